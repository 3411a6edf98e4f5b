/** Slots are moved between two servers while two replicas serve calls on them. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { verify } from '../../src/verify/verify.ts';
import { accountsIn } from '../cells/installation.ts';
import { end, type Replica, startProgram, startPublished } from '../process/replica.ts';
import { retried, Worker } from './load.ts';
import { idInSlots, startTwoLedgers, type TwoLedgers } from './two-ledgers.ts';

let two: TwoLedgers;
let replicas: readonly Replica[];
let workers: readonly Worker[];
beforeAll(async () => {
  two = await startTwoLedgers();
  const env = { CELLS_FILE: two.file, SWEEP_INTERVAL_MS: '500', USAGE_INTERVAL_MS: '500' };
  replicas = await Promise.all([startPublished(env), startPublished(env)]);
  const ids = [
    ...Array.from({ length: 12 }, () => idInSlots(0, 255)),
    ...Array.from({ length: 12 }, () => idInSlots(256, 511)),
    ...Array.from({ length: 6 }, () => idInSlots(512, 4_095)),
  ];
  workers = ids.map((id) => new Worker(id, replicas));
});
afterAll(async () => {
  await Promise.all((replicas ?? []).map(end));
  await two?.stop();
});

const split = (...args: readonly string[]) =>
  startProgram(['src/cli/main.ts', 'cells', 'split', ...args], { CELLS_FILE: two.file });

/** The ids of all events so far, in the order of a reader that begins at a token. */
async function readEvents(replica: Replica, accountId = '', afterToken = '') {
  const ids: string[] = [];
  let token = afterToken;
  await retried(async () => {
    const stream = replica.events.streamEvents({ accountId, afterToken: token });
    for await (const { events, nextToken } of stream) {
      ids.push(...events.map(({ eventId }) => eventId));
      token = nextToken;
    }
  });
  return { ids, token };
}

test('no call fails for good, every balance is as expected, and nothing is lost or doubled', async () => {
  await Promise.all(workers.map((worker) => worker.open()));
  const [a, b] = replicas as [Replica, Replica];
  const running = Promise.all(workers.map((worker) => worker.run()));
  const before = await readEvents(a);

  const moving = split('--from', 'old', '--to', 'new', '--slots', '0-511');
  const { code, stdout, stderr } = await Promise.race([
    moving.ended,
    running.then(() => Promise.reject(new Error('the load has ended'))),
  ]);
  process.stderr.write(stdout);
  expect(stderr).toBe('');
  expect(code).toBe(0);
  expect(stdout).toMatch(
    /slots 0-255: stopped for \d+ ms \(\d+ accounts? copied again, 2 replicas\)/,
  );

  // Both serve the accounts where they are now.
  const charged = workers.map(({ charges }) => charges.length);
  await expect
    .poll(() => workers.every(({ charges }, i) => charges.length > (charged[i] ?? 0)), {
      timeout: 60_000,
    })
    .toBe(true);
  for (const worker of workers) worker.stop();
  await running;

  const moved = workers.slice(0, 24).map(({ accountId }) => accountId);
  expect(await accountsIn(two.cells[1])).toEqual(moved.toSorted());
  for (const worker of workers) {
    await worker.assertBalance();
    await worker.assertRepeated();
  }
  for (const { url } of two.cells)
    expect(await verify(url, { all: true })).toMatchObject({ ok: true });

  // A reader that has begun before goes on, and one that begins now has the same.
  const after = await readEvents(b, '', before.token);
  const all = await readEvents(b);
  expect(new Set(all.ids).size).toBe(all.ids.length);
  expect([...before.ids, ...after.ids].toSorted()).toEqual(all.ids.toSorted());
  const own = await Promise.all(moved.map((accountId) => readEvents(a, accountId)));
  for (const { ids } of own) expect(ids.length).toBeGreaterThan(0);
  const others = await Promise.all(
    workers.slice(24).map(({ accountId }) => readEvents(a, accountId)),
  );
  expect([...own, ...others].flatMap(({ ids }) => ids).toSorted()).toEqual(all.ids.toSorted());
});
