/** One of two cells is down: its accounts alone are unavailable, and it is taken up when it can be reached. */
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { findInstallation } from '../../src/cells/installation.ts';
import { readConfig } from '../../src/config.ts';
import { startService } from '../../src/service.ts';
import { healthOf } from '../health.ts';
import { execute } from '../postgres.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { cellsOf, publishInBoth, startTwoCells, type TwoCells } from './installation.ts';

/** As `DatabaseProbe` has it: failures in a row after which a database counts as unreachable. */
const FAILURES = 3;

let two: TwoCells;
let scrip: TestService | null = null;
beforeAll(async () => {
  two = await startTwoCells();
  await publishInBoth(two);
});
afterEach(async () => {
  await scrip?.stop();
  scrip = null;
});
afterAll(() => two?.stop());

const opening = (service: TestService, accountId: string) =>
  service.accounts.openAccount({ accountId, requestId: requestId(), planId: 'verts' });

async function expectDown(service: TestService) {
  const [one, other] = [two.idIn('one'), two.idIn('two')];
  await opening(service, one);
  const unavailable = { reason: 'DATABASE_UNAVAILABLE', metadata: { cell: 'two' } };
  expect(await errorOf(opening(service, other))).toMatchObject(unavailable);
  expect(await errorOf(service.billing.getBalance({ accountId: other }))).toMatchObject(
    unavailable,
  );
  const { results } = await service.billing.batch({
    mutations: [one, other].map((accountId) => ({
      mutation: { $case: 'closeAccount', value: { accountId, requestId: requestId() } },
    })),
  });
  expect(results.map(({ result }) => result)).toMatchObject([
    { $case: 'closeAccount' },
    {
      $case: 'error',
      value: { reason: 'DATABASE_UNAVAILABLE', metadata: new Map([['cell', 'two']]) },
    },
  ]);
}

test('a cell that goes down concerns its accounts alone, and the replica stays ready', async () => {
  scrip = await startTestService({ installation: two.installation });
  await opening(scrip, two.idIn('two'));
  await two.network.close();
  try {
    await expectDown(scrip);
    for (let failure = 0; failure < FAILURES; failure++) await scrip.service.probeDatabase();
    await expectDown(scrip);
    expect(await healthOf(scrip)).toBe('SERVING');
  } finally {
    await two.network.open();
  }
  await scrip.service.probeDatabase();
  await opening(scrip, two.idIn('two'));
});

test('a replica starts while a cell is down, and takes it up', async () => {
  await two.network.close();
  try {
    const found = await findInstallation(cellsOf(two.file), true);
    if ('problems' in found) throw new Error(found.problems.join());
    expect(found.installation.map).toEqual(two.installation.map);
    scrip = await startTestService({ installation: found.installation });
    await expectDown(scrip);
    expect(await healthOf(scrip)).toBe('SERVING');
    await scrip.service.takeUpCells();
    await expectDown(scrip);
  } finally {
    await two.network.open();
  }
  await scrip.service.takeUpCells();
  await opening(scrip, two.idIn('two'));
});

test('the newest map counts: a cell that was not reached when slots were moved has an older one', async () => {
  const [, { url }] = two.cells;
  await execute(url, 'update cells set map_version = 2');
  try {
    expect(await findInstallation(cellsOf(two.file), true)).toMatchObject({
      installation: { map: { version: 2 } },
    });
  } finally {
    await execute(url, 'update cells set map_version = 1');
  }
});

test('no replica starts on a cell that has another map of the same version, nor takes it up', async () => {
  const [{ url: first }, { url }] = two.cells;
  await execute(url, `update cells set slots = '{"two": [[0, 4095]]}'`);
  try {
    expect(await findInstallation(cellsOf(two.file), true)).toEqual({
      problems: ['cells two and one have different maps of version 1: run scrip cells list'],
    });
    const read = readConfig({ PORT: '0', ADMIN_PORT: 'none' });
    if ('problems' in read) throw new Error(read.problems.join());
    const log = pino({ level: 'silent' });
    await expect(startService(read.config, two.installation, null, log)).rejects.toThrow(
      'cell two has another map of version 1 than this replica: start it again',
    );
  } finally {
    const [recorded] = await execute(first, 'select slots from cells');
    await execute(url, `update cells set slots = '${JSON.stringify(recorded?.['slots'])}'`);
  }
});
