/** Where a cell is: its own URL, or that of the server of a cluster. A real cluster is in test/citus. */
import { expect, inject, test } from 'vitest';
import { withSchema } from '../../src/cells/cells-file.ts';
import { presentAddress, urlOn } from '../../src/cells/citus-node.ts';
import { placeCell } from '../../src/cells/place-cell.ts';
import { createDatabase } from '../postgres.ts';

const URL_OF = withSchema('postgres://me:secret@coordinator/scrip?sslmode=verify-full', 'eu_1');

test('the URL on a server differs in its host and port alone', () => {
  expect(urlOn(URL_OF, { host: 'worker-1', port: 5433 })).toBe(
    URL_OF.replace('@coordinator/', '@worker-1:5433/'),
  );
});

test.each([
  [
    'postgres://me@coordinator/scrip',
    { host: '10.0.0.1', port: 5432 },
    'postgres://me@10.0.0.1:5432/scrip',
  ],
  [
    'postgres://me@coordinator/scrip',
    { host: 'fd00::1', port: 5432 },
    'postgres://me@[fd00::1]:5432/scrip',
  ],
  [
    'postgres://me@other/scrip?host=coordinator&options=-c%20work_mem%3D8MB',
    { host: 'worker-1', port: 5432 },
    'postgres://me@worker-1:5432/scrip?options=-c%20work_mem%3D8MB',
  ],
])('%s on another server', (url, server, expected) => {
  expect(urlOn(url, server)).toBe(expected);
});

test('a server that the cluster knows by an IP address is refused where certificates are compared', () => {
  expect(() => urlOn(URL_OF, { host: '10.0.0.1', port: 5432 })).toThrow(
    'the cluster knows a server as 10.0.0.1: no certificate is compared with an IP address',
  );
});

test('a cell of no cluster is where its URL says', async () => {
  const cell = { name: 'plain', url: 'postgres://nowhere/scrip' };
  expect(await presentAddress(cell)).toBe(cell);
  await expect(placeCell(cell, 'worker-1:5432')).rejects.toThrow(
    'cell plain is in no Citus cluster: its entry has no citus: true',
  );
});

test('a database without Citus has no servers', async () => {
  const cell = {
    name: 'plain',
    url: await createDatabase(inject('postgresUrl')),
    citusSchema: 'public',
  };
  const message = 'the database has no Citus: install the extension, or remove citus of the cell';
  await expect(presentAddress(cell)).rejects.toThrow(message);
  await expect(placeCell(cell, 'worker-1:5432')).rejects.toThrow(message);
});
