/** The demonstration against a replica whose cell is in the cluster, and its audit. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { presentAddress } from '../../src/cells/citus-node.ts';
import { formatServer } from '../../src/cells/place-cell.ts';
import { publishInCells } from '../../src/plan-publication.ts';
import { capture } from '../cli/in-process.ts';
import { type Replica, startProgram, startPublished } from '../process/replica.ts';
import { plansOfDeploy } from '../service.ts';
import { type Cells, createCells, workers } from './cluster.ts';

const SKEW_MAX_MS = 60_000;

let given: Cells;
let replica: Replica;
beforeAll(async () => {
  given = await createCells('one');
  const [worker] = await workers();
  if (!worker) throw new Error('the cluster has no server');
  await capture(['cells', 'place', 'one', formatServer(worker)], { CELLS_FILE: given.file });
  const present = await Promise.all(given.cells.map(presentAddress));
  await publishInCells(present, await plansOfDeploy(), SKEW_MAX_MS);
  replica = await startPublished({ CELLS_FILE: given.file });
});
afterAll(async () => {
  await replica?.signal('SIGTERM');
  await given?.remove();
});

test('the three tenants are served, and the audit holds', async () => {
  const args = ['src/demo/main.ts', '--address', `127.0.0.1:${replica.port}`];
  const { code, stdout, stderr } = await startProgram(args, { CELLS_FILE: given.file }).ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/verify: ok \(\d+ accounts, \d+ entries/);
});

test('the doctor, the clock and the plans are read on the server of the cell', async () => {
  for (const args of [['doctor'], ['clock', 'status'], ['plans', 'status']]) {
    const { exitCode, lines } = await capture(args, { CELLS_FILE: given.file });
    const text = lines.map((line) => line.text).join('\n');
    expect(exitCode, text).toBeLessThanOrEqual(1);
    expect(text).not.toMatch(/distributed plan|^scrip:/m);
  }
});
