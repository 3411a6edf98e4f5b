/** Streams that are open or resumed around a move and a restore. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { recordRestore } from '../../src/cells/recorded-map.ts';
import { Grant_Category } from '../../src/gen/billing/v1/ledger.ts';
import { moveSlots } from '../../src/slot-moves/move-slots.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { retried } from './load.ts';
import { idInSlots, startTwoLedgers, type TwoLedgers } from './two-ledgers.ts';

let two: TwoLedgers;
let scrip: TestService;
let accountId: string;
beforeAll(async () => {
  two = await startTwoLedgers();
  scrip = await startTestService({ installation: await two.installation() });
  accountId = idInSlots(0, 9);
  await scrip.accounts.openAccount({ accountId, requestId: requestId(), planId: 'verts' });
  await grant();
});
afterAll(async () => {
  await scrip?.stop();
  await two?.stop();
});

async function grant() {
  await retried(() =>
    scrip.accounts.grantCredits({
      ...{ accountId, requestId: requestId(), credits: 600n, reason: 'a test' },
      category: Grant_Category.PAID,
    }),
  );
}

/** Spends until the balance is low, which writes an event. */
async function spend() {
  const { balance } = await retried(() => scrip.billing.getBalance({ accountId }));
  const credits = (balance?.available ?? 0n) - 100n;
  await retried(() => scrip.billing.charge({ accountId, requestId: requestId(), credits }));
}

async function readAll(request: { accountId?: string; afterToken?: string }) {
  const read: { eventId: string; at: Date | undefined }[] = [];
  let token = request.afterToken ?? '';
  for await (const { events, nextToken } of scrip.events.streamEvents(request)) {
    read.push(...events);
    token = nextToken;
  }
  return { ids: read.map(({ eventId }) => eventId), token };
}

const move = async (from: string, to: string) => {
  const slots = Array.from({ length: 10 }, (_, slot) => slot);
  await moveSlots({ cells: two.cells, from, to, slots, map: await two.map() });
};

/** Events get their positions a moment after the commit. */
const atLeast = (count: number) =>
  expect
    .poll(async () => (await readAll({ accountId })).ids.length, { timeout: 60_000 })
    .toBe(count);

test('StreamHistory that follows ends with what it must do, and goes on in the other cell', async () => {
  const stream = scrip.billing.streamHistory({ accountId, follow: true });
  const { value } = await stream.next();
  const afterSeq = value?.nextAfterSeq ?? 0n;
  const ended = errorOf(
    (async () => {
      while (!(await stream.next()).done);
    })(),
  );
  await spend();
  await atLeast(1);
  await move('old', 'new');
  expect(await ended).toMatchObject({ reason: 'DATABASE_UNAVAILABLE', metadata: { cell: 'old' } });
  const rest = scrip.billing.streamHistory({ accountId, afterSeq });
  expect((await rest.next()).value?.entries.map(({ seq }) => seq)).toEqual([3n]);
});

test('a reader of events goes on from its token, wherever the account was meanwhile', async () => {
  const first = await readAll({ accountId });
  expect(first.ids).toHaveLength(1);
  await grant();
  await spend();
  await atLeast(3);
  await move('new', 'old');
  await grant();
  await spend();
  await atLeast(5);
  const all = await readAll({ accountId });
  const rest = await readAll({ accountId, afterToken: first.token });
  expect([...first.ids, ...rest.ids].toSorted()).toEqual(all.ids.toSorted());
  expect((await readAll({})).ids.toSorted()).toEqual(all.ids.toSorted());
  expect(new Set(all.ids).size).toBe(5);
});

test('a token of before a restore is refused, and says from where to go on', async () => {
  const { token } = await readAll({});
  await recordRestore(two.cells[0].url);
  const lost = await errorOf(readAll({ afterToken: token }));
  expect(lost).toMatchObject({ reason: 'POSITION_LOST', metadata: { after: token } });
  const { newest = '' } = (lost as { metadata?: Record<string, string> }).metadata ?? {};
  expect((await readAll({ afterToken: newest })).ids).toEqual([]);
  await grant();
  await spend();
  await expect
    .poll(async () => (await readAll({ afterToken: newest })).ids.length, { timeout: 60_000 })
    .toBe(2);
});
