/** A replica that hears nothing of a move: the database refuses what it writes. */
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { MapFollower } from '../../src/cells/map-follower.ts';
import { Grant_Category } from '../../src/gen/billing/v1/ledger.ts';
import { type MoveStep, moveSlots } from '../../src/slot-moves/move-slots.ts';
import { verify } from '../../src/verify/verify.ts';
import { execute } from '../postgres.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { idInSlots, startTwoLedgers, type TwoLedgers } from './two-ledgers.ts';

const SLOTS = Array.from({ length: 100 }, (_, slot) => slot);
const REFUSED = { reason: 'DATABASE_UNAVAILABLE', metadata: { cell: 'old' } };

let two: TwoLedgers;
let stale: TestService;
/** Another one, which has the account cached and does nothing until the move is over. */
let idle: TestService;
let moved: string;
let cached: string;
let staying: string;
/** What the replica was answered when a step began. */
const answers = new Map<MoveStep | 'afterwards', unknown>();
beforeAll(async () => {
  two = await startTwoLedgers();
  vi.spyOn(MapFollower.prototype, 'read').mockResolvedValue(false);
  stale = await startTestService({ installation: await two.installation() });
  idle = await startTestService({ installation: await two.installation() });
  [moved, cached, staying] = [idInSlots(0, 99), idInSlots(0, 99), idInSlots(100, 4_095)];
  for (const accountId of [moved, cached, staying]) {
    await stale.accounts.openAccount({ accountId, requestId: requestId(), planId: 'verts' });
    await stale.accounts.grantCredits({
      ...{ accountId, requestId: requestId(), credits: 100n, reason: 'a test' },
      category: Grant_Category.PAID,
    });
  }
  // The account is cached from now on.
  await charge(cached, idle);
  await charge(moved);
  await moveSlots({
    ...{ cells: two.cells, from: 'old', to: 'new', slots: SLOTS, map: await two.map() },
    onStep: async (step) => {
      const isServed = step === 'copying' || step === 'stopping';
      if (isServed) answers.set(step, await charge(moved));
      if (step === 'stopped') answers.set(step, await errorOf(charge(moved)));
    },
  });
  answers.set('afterwards', await errorOf(charge(cached, idle)));
}, 300_000);
afterAll(async () => {
  await stale?.stop();
  await idle?.stop();
  await two?.stop();
});

const charge = (accountId: string, { billing } = stale) =>
  billing.charge({ accountId, requestId: requestId(), credits: 1n });

test('its writes count until the database stops them, and are refused from then on', async () => {
  expect(answers.get('copying')).toMatchObject({ entrySeq: 4n });
  expect(answers.get('stopping')).toMatchObject({ entrySeq: 5n });
  expect(answers.get('stopped')).toMatchObject(REFUSED);
  expect(answers.get('afterwards')).toMatchObject(REFUSED);
  expect(
    await execute(two.cells[0].url, `select from entries where account_id = '${moved}'`),
  ).toEqual([]);
  const [account] = await execute(
    two.cells[1].url,
    `select seq::int, remaining::int from accounts where account_id = '${moved}'`,
  );
  expect(account).toEqual({ seq: 5, remaining: 97 });
});

test('an account that is new in such a slot is refused, for ever', async () => {
  const accountId = idInSlots(0, 99);
  const opening = { accountId, requestId: requestId(), planId: 'verts' };
  expect(await errorOf(stale.accounts.openAccount(opening))).toMatchObject(REFUSED);
  expect(
    await execute(two.cells[0].url, `select from accounts where account_id = '${accountId}'`),
  ).toEqual([]);
});

test('a refused account fails no other of the same unit of work', async () => {
  const opening = idInSlots(0, 99);
  const { results } = await stale.billing.batch({
    mutations: [
      {
        mutation: {
          $case: 'openAccount',
          value: { accountId: opening, requestId: requestId(), planId: 'verts' },
        },
      },
      {
        mutation: {
          $case: 'charge',
          value: { accountId: staying, requestId: requestId(), credits: 1n },
        },
      },
    ],
  });
  expect(results.map(({ result }) => result)).toMatchObject([
    { $case: 'error', value: { reason: 'DATABASE_UNAVAILABLE' } },
    { $case: 'charge' },
  ]);
});

test('both ledgers are whole', async () => {
  for (const { url } of two.cells) expect(await verify(url)).toMatchObject({ ok: true });
});
