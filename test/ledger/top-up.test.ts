/** Auto top-up in the ledger: when a top-up is due, what starting it does, and how it ends. */

import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Failure, type Reason } from '../../src/failure.ts';
import type { Account } from '../../src/ledger/account.ts';
import type { AutoTopUpTerms as AutoTopUp } from '../../src/ledger/auto-top-up.ts';
import type { Command } from '../../src/ledger/decide.ts';
import { monthStart } from '../../src/ledger/month.ts';
import type { PaymentSnapshot } from '../../src/ledger/purchase.ts';
import { backoffMs, REFUSAL_VALID_MS, TOP_UP_LEASE_MS } from '../../src/ledger/top-up.ts';
import { usableCredits } from '../../src/ledger/usable-credits.ts';
import { PENDING_SNAPSHOT } from '../../src/payments/payment-snapshot.ts';
import { AccountStore } from './account-store.ts';
import {
  at,
  charge,
  close,
  commit,
  grantCredits,
  move,
  ms,
  open,
  pack,
  plan,
  release,
  reserve,
  START,
  update,
} from './fixtures.ts';

const PACKS = [pack('small', 100n, '5.00')];

const setting = (change: Partial<AutoTopUp> = {}): AutoTopUp => ({
  packId: 'small',
  threshold: 50n,
  onRefusal: false,
  coolDownMs: ms('1h'),
  monthlyCap: 3,
  customer: 'cus_1',
  paymentMethod: 'pm_1',
  ...change,
});
const on = (change: Partial<AutoTopUp> = {}) => update(null, { autoTopUp: setting(change) });
const off = update(null, { autoTopUp: null });
const start: Command = { kind: 'StartTopUp' };
const synced = (
  purchaseId: string,
  snapshot: Partial<PaymentSnapshot>,
  syncVersion = 0,
): Command => ({
  kind: 'SyncPurchase',
  purchaseId,
  syncVersion,
  snapshot: { ...PENDING_SNAPSHOT, paymentIntentId: `pi_${purchaseId}`, ...snapshot },
});
const paid = (purchaseId: string, syncVersion = 0, amount = '5.00') =>
  synced(purchaseId, { payment: 'PAID', amountPaid: { currency: 'USD', amount } }, syncVersion);
/** Paid, and spent at once, so the balance is as low as before. */
const paidAndSpent = (purchaseId: string): readonly Command[] => [paid(purchaseId), charge(100n)];
const declined = (purchaseId: string, code = 'card_declined', syncVersion = 0) =>
  synced(purchaseId, { payment: 'FAILED', failureCode: code }, syncVersion);
const ended = (purchaseId: string, code: string): Command => ({
  kind: 'EndTopUp',
  purchaseId,
  code,
});

/** An account with this number of credits. */
function funded(credits: bigint): AccountStore {
  const store = new AccountStore(plan({}, PACKS), START);
  store.run(START, open());
  store.run(START, grantCredits(credits));
  return store;
}

/** Time, command, outcome, and when a top-up is due after it. */
type Row = readonly [
  at: string,
  commands: Command | readonly Command[],
  answer: string,
  dueAt: string | null,
];

function runRows(store: AccountStore, rows: readonly Row[]) {
  const actual = rows.map(([when, commands]) => {
    const { outcomes } = store.runGroup(at(when), [commands].flat());
    return [when, commands, outcomeText(outcomes[0] ?? null), store.account.topUpDueAt];
  });
  expect(actual).toEqual(
    rows.map(([when, commands, answer, due]) => [
      when,
      commands,
      answer,
      due === null ? null : at(due),
    ]),
  );
}

function outcomeText(outcome: ReturnType<AccountStore['run']>['outcome']): string {
  if (outcome instanceof Failure) return outcome.reason;
  if (outcome?.kind === 'StartTopUp') return outcome.purchaseId ?? 'nothing due';
  if (outcome?.kind === 'EndTopUp') return outcome.ended ? 'ended' : 'ignored';
  if (outcome?.kind === 'SyncPurchase') return outcome.purchase.state;
  return '';
}

const disabled = (store: AccountStore) =>
  store.events.filter(({ type }) => type === 'top_up.disabled').map(({ data }) => data);
const failures = (store: AccountStore) =>
  store.events.filter(({ type }) => type === 'top_up.failed').map(({ data }) => data);

describe('a top-up is due', () => {
  test('at once when the balance falls below the threshold, and never while it is off', () => {
    const store = funded(60n);
    runRows(store, [
      ['1m', charge(5n), '', null],
      ['2m', on(), '', null],
      ['3m', charge(5n), '', null],
      ['4m', charge(1n), '', '4m'],
      ['5m', charge(1n), '', '4m'],
      ['6m', grantCredits(2n), '', null],
      ['7m', charge(1n), '', '7m'],
      ['8m', off, '', null],
    ]);
  });

  test('by what is spent, and not by what a reservation only holds', () => {
    runRows(funded(60n), [
      ['1m', on(), '', null],
      ['2m', reserve(60n), '', null],
      ['3m', release('r1'), '', null],
      ['4m', reserve(60n), '', null],
      ['5m', commit('r2', 11n), '', '5m'],
    ]);
  });

  test('although the account has credits for one operation only', () => {
    const store = funded(60n);
    store.run(START, grantCredits(1_000n, { operations: ['a'] }));
    runRows(store, [
      ['1m', on(), '', null],
      ['2m', charge(11n), '', '2m'],
    ]);
  });

  test('at once if it is switched on while the balance is low', () => {
    runRows(funded(10n), [
      ['1m', on(), '', '1m'],
      ['2m', on({ threshold: 10n }), '', null],
    ]);
  });

  test('never again once the account is closed', () => {
    runRows(funded(10n), [
      ['1m', on(), '', '1m'],
      ['2m', close(), '', null],
      ['3m', start, 'nothing due', null],
    ]);
  });

  test('after the cool-down, counted from the start of the previous one', () => {
    runRows(funded(10n), [
      ['1m', on(), '', '1m'],
      ['2m', start, 'p1', '7m'],
      ['3m', paidAndSpent('p1'), 'PAID', '62m'],
      ['4m', start, 'nothing due', '62m'],
      ['61m', start, 'nothing due', '62m'],
      ['62m', start, 'p2', '67m'],
    ]);
  });

  test('at once if a shorter cool-down is set that has passed', () => {
    runRows(funded(10n), [
      ['1m', on(), '', '1m'],
      ['2m', start, 'p1', '7m'],
      ['3m', paidAndSpent('p1'), 'PAID', '62m'],
      ['4m', on({ coolDownMs: ms('3m') }), '', '5m'],
    ]);
  });

  test('until the monthly cap is reached; declined ones do not count', () => {
    const store = funded(10n);
    runRows(store, [
      ['1m', on({ coolDownMs: ms('1m'), monthlyCap: 2 }), '', '1m'],
      ['1m', start, 'p1', '6m'],
      ['2m', paidAndSpent('p1'), 'PAID', '2m'],
      ['3m', start, 'p2', '8m'],
      ['4m', declined('p2'), 'FAILED', '64m'],
      ['64m', start, 'p3', '69m'],
      ['65m', paidAndSpent('p3'), 'PAID', '2026-02-01'],
      ['20d', start, 'nothing due', '2026-02-01'],
      ['2026-02-01', start, 'p4', '2026-02-01T00:05:00Z'],
    ]);
    expect(store.account.topUps).toMatchObject({ count: 1, month: at('2026-02-01') });
  });
});

describe('starting a top-up', () => {
  test('creates a pending purchase, and an entry that says what is bought and who pays', () => {
    const store = funded(10n);
    runRows(store, [['1m', on(), '', '1m']]);
    const entries = store.entries.length;
    runRows(store, [['2m', start, 'p1', '7m']]);
    expect(store.purchases).toMatchObject([
      { purchaseId: 'p1', packId: 'small', credits: 100n, state: 'PENDING', grantId: null },
    ]);
    expect(store.entries.slice(entries)).toMatchObject([
      {
        kind: 'CHECKOUT',
        purchaseId: 'p1',
        details: { pack_id: 'small', quantity: '1', credits: '100', method: 'TOP_UP' },
      },
    ]);
  });

  test('returns null while one is in progress, and the same purchase once its lease has expired', () => {
    const store = funded(10n);
    runRows(store, [
      ['1m', on(), '', '1m'],
      ['2m', start, 'p1', '7m'],
      ['3m', start, 'nothing due', '7m'],
      ['7m', start, 'p1', '12m'],
      ['8m', start, 'nothing due', '12m'],
    ]);
    expect(store.purchases.length).toBe(1);
  });

  test('returns the one in progress although it was switched off or the balance recovered', () => {
    runRows(funded(10n), [
      ['1m', on(), '', '1m'],
      ['2m', start, 'p1', '7m'],
      ['3m', off, '', '7m'],
      ['4m', grantCredits(500n), '', '7m'],
      ['7m', start, 'p1', '12m'],
      ['8m', paid('p1'), 'PAID', null],
    ]);
  });

  test('buys as many packs as the gap needs, in one purchase', () => {
    const store = funded(10n);
    runRows(store, [
      ['1m', on({ threshold: 290n }), '', '1m'],
      ['2m', start, 'p1', '7m'],
      ['3m', paid('p1', 0, '15.00'), 'PAID', null],
    ]);
    expect(store.purchases).toMatchObject([
      { quantity: 3, credits: 300n, price: { currency: 'USD', amount: '15.00' }, state: 'PAID' },
    ]);
    expect(store.account).toMatchObject({ remaining: 310n, topUps: { count: 3 } });
  });

  test('buys as many as are left of the monthly cap', () => {
    const store = funded(10n);
    runRows(store, [
      ['1m', on({ threshold: 200n, coolDownMs: ms('1m') }), '', '1m'],
      ['2m', start, 'p1', '7m'],
      ['3m', [paid('p1', 0, '10.00'), charge(210n)], 'PAID', '3m'],
      ['4m', start, 'p2', '9m'],
      ['5m', declined('p2'), 'FAILED', '65m'],
      ['65m', start, 'p3', '70m'],
      ['66m', paid('p3'), 'PAID', '2026-02-01'],
    ]);
    expect(store.purchases.map(({ quantity }) => quantity)).toEqual([2, 1, 1]);
  });

  test('buys a custom pack, and is switched off once it is withdrawn', () => {
    const store = funded(10n);
    runRows(store, [
      ['1m', on({ packId: 'own' }), 'PACK_NOT_FOUND', null],
      ['2m', { kind: 'OfferPack', pack: pack('own', 70n, '3.00') }, '', null],
      ['3m', on({ packId: 'own', threshold: 211n }), 'INVALID_FIELD', null],
      ['4m', on({ packId: 'own' }), '', '4m'],
      ['5m', start, 'p1', '10m'],
      ['6m', [paid('p1', 0, '3.00'), charge(70n)], 'PAID', '65m'],
      ['7m', { kind: 'WithdrawPack', packId: 'own' }, '', null],
      ['65m', start, 'nothing due', null],
    ]);
    expect(store.purchases).toMatchObject([{ packId: 'own', credits: 70n, state: 'PAID' }]);
    expect(disabled(store)).toEqual([
      { pack_id: 'own', plan_id: 'test', reason: 'pack_withdrawn' },
    ]);
  });

  test('fails if the pack exceeds the credit limit', () => {
    const store = funded(10n);
    store.plan = plan({}, [pack('small', 9_000_000_000_000_000_000n, '5.00')]);
    runRows(store, [
      ['1m', on(), '', '1m'],
      ['2m', start, 'nothing due', '62m'],
    ]);
    expect(failures(store)).toMatchObject([
      { purchase_id: '', pack_id: 'small', code: 'account_full' },
    ]);
    expect(store.purchases).toEqual([]);
  });
});

describe('auto top-up is switched off, with an event,', () => {
  test('when the plan is published without its pack', () => {
    const store = funded(10n);
    runRows(store, [['1m', on(), '', '1m']]);
    store.plan = plan({}, [pack('large', 900n, '5.00')]);
    runRows(store, [
      ['2m', start, 'nothing due', null],
      ['3m', charge(1n), '', null],
    ]);
    expect(store.account.autoTopUp).toBeNull();
    expect(disabled(store)).toEqual([
      { pack_id: 'small', plan_id: 'test', reason: 'pack_removed' },
    ]);
  });

  test('when the account moves to a plan without its pack', () => {
    const store = funded(60n);
    const gold = { ...plan({}, PACKS), planId: 'gold' };
    const bare = { ...plan(), planId: 'bare' };
    store.otherPlans.set('gold', gold);
    store.otherPlans.set('bare', bare);
    runRows(store, [
      ['1m', on(), '', null],
      ['2m', move('gold'), '', null],
    ]);
    expect([store.account.autoTopUp?.packId, disabled(store)]).toEqual(['small', []]);
    runRows(store, [['3m', move('bare'), '', null]]);
    expect([store.account.autoTopUp, disabled(store)]).toEqual([
      null,
      [{ pack_id: 'small', plan_id: 'bare', reason: 'pack_removed' }],
    ]);
  });

  test.each([
    ['price', pack('small', 100n, '19.00')],
    ['number of credits', pack('small', 10n, '5.00')],
  ])('when its pack has another %s, on the plan or on the next one', (_, changed) => {
    for (const change of ['publication', 'move'] as const) {
      const store = funded(10n);
      runRows(store, [['1m', on(), '', '1m']]);
      const other = plan({}, [changed]);
      store.otherPlans.set('other', { ...other, planId: 'other' });
      if (change === 'publication') store.plan = other;
      else runRows(store, [['2m', move('other'), '', null]]);
      runRows(store, [['3m', start, 'nothing due', null]]);
      expect(store.account.autoTopUp).toBeNull();
      expect(disabled(store)).toMatchObject([{ pack_id: 'small', reason: 'pack_changed' }]);
    }
  });

  test('and a top-up in progress is withdrawn', () => {
    const store = funded(10n);
    runRows(store, [
      ['1m', on(), '', '1m'],
      ['2m', start, 'p1', '7m'],
    ]);
    store.plan = plan();
    runRows(store, [['3m', declined('p1', 'requested_by_customer'), 'FAILED', null]]);
    expect(failures(store)).toEqual([]);
  });

  test('but not because a plan has no pack of the name of a custom pack', () => {
    const store = funded(60n);
    store.otherPlans.set('bare', { ...plan(), planId: 'bare' });
    runRows(store, [
      ['1m', { kind: 'OfferPack', pack: pack('own', 70n, '3.00') }, '', null],
      ['2m', on({ packId: 'own' }), '', null],
      ['3m', move('bare'), '', null],
      ['4m', charge(20n), '', '4m'],
    ]);
    expect(disabled(store)).toEqual([]);
  });
});

describe('a refusal', () => {
  const refused = (shortfall: bigint, reason: Reason = 'INSUFFICIENT_CREDITS'): Command => ({
    kind: 'ReportRefusals',
    reason,
    metadata:
      reason === 'PAUSED_BELOW_FLOOR'
        ? { available: '40', floor: '50' }
        : { required: '500', available: '40', shortfall: String(shortfall), packs: 'small' },
    count: 3,
  });

  test('writes charge.refused with the amounts of the newest and the number of all', () => {
    const store = funded(60n);
    store.run(at('1m'), refused(5n));
    expect(store.events.at(-1)).toMatchObject({
      type: 'charge.refused',
      data: {
        reason: 'INSUFFICIENT_CREDITS',
        count: '3',
        required: '500',
        available: '40',
        shortfall: '5',
      },
    });
  });

  test('starts a top-up of what was missing, if the owner wants that', () => {
    const store = funded(60n);
    runRows(store, [
      ['1m', on(), '', null],
      ['2m', refused(5n), '', null],
      ['3m', on({ onRefusal: true }), '', null],
      ['4m', refused(5n, 'PAUSED_BELOW_FLOOR'), '', null],
      ['5m', refused(150n), '', '5m'],
      ['6m', start, 'p1', '11m'],
      ['7m', refused(150n), '', '11m'],
      ['8m', paid('p1', 0, '10.00'), 'PAID', null],
    ]);
    expect(store.purchases).toMatchObject([{ quantity: 2 }]);
  });

  test('starts none if the credits have come meanwhile, or after 5 minutes', () => {
    const late = at('3m') + REFUSAL_VALID_MS + 1;
    const store = funded(60n);
    runRows(store, [
      ['0m', on({ onRefusal: true }), '', null],
      ['1m', refused(5n), '', '1m'],
      ['2m', grantCredits(5n), '', null],
      ['3m', [charge(5n), refused(7n)], '', '3m'],
    ]);
    store.run(late, start);
    expect([store.account.topUpDueAt, store.purchases]).toEqual([null, []]);
  });

  test('starts none during the cool-down or beyond the cap, and not later either', () => {
    runRows(funded(10n), [
      ['1m', on({ onRefusal: true }), '', '1m'],
      ['2m', start, 'p1', '7m'],
      ['3m', paid('p1'), 'PAID', null],
      ['4m', refused(5n), '', null],
      ['61m', start, 'nothing due', null],
      ['63m', refused(5n), '', '63m'],
    ]);
  });
});

describe('a top-up that ends', () => {
  test('as declined emits top_up.failed with the code and the next attempt, later each time', () => {
    const store = funded(10n);
    runRows(store, [
      ['1m', on({ coolDownMs: ms('1m') }), '', '1m'],
      ['1m', start, 'p1', '6m'],
      ['2m', declined('p1'), 'FAILED', '62m'],
      ['62m', start, 'p2', '67m'],
      ['63m', ended('p2', 'insufficient_funds'), 'ended', '183m'],
      ['183m', start, 'p3', '188m'],
      ['184m', paidAndSpent('p3'), 'PAID', '184m'],
      ['184m', start, 'p4', '189m'],
      ['185m', declined('p4'), 'FAILED', '245m'],
    ]);
    const failed = (purchaseId: string, code: string, next: string) => ({
      purchase_id: purchaseId,
      pack_id: 'small',
      code,
      next_attempt_at: new Date(at(next)).toISOString(),
    });
    expect(failures(store)).toEqual([
      failed('p1', 'card_declined', '62m'),
      failed('p2', 'insufficient_funds', '183m'),
      // One that is paid in between resets the back-off.
      failed('p4', 'card_declined', '245m'),
    ]);
  });

  test('ends once: a repeated end and one of another purchase are ignored', () => {
    const store = funded(10n);
    runRows(store, [
      ['1m', ended('p1', 'card_declined'), 'ignored', null],
      ['1m', on(), '', '1m'],
      ['2m', start, 'p1', '7m'],
      ['3m', ended('p2', 'card_declined'), 'ignored', '7m'],
      ['4m', ended('p1', 'card_declined'), 'ended', '64m'],
      ['5m', ended('p1', 'card_declined'), 'ignored', '64m'],
      // Read before the end and applied after it: stale.
      ['6m', declined('p1'), 'FAILED', '64m'],
    ]);
    expect(failures(store).length).toBe(1);
    expect(store.purchases).toMatchObject([
      { state: 'FAILED', failureCode: 'card_declined', nextCheckAt: null },
    ]);
  });

  test('as paid cannot be ended as declined', () => {
    const store = funded(10n);
    runRows(store, [
      ['1m', on(), '', '1m'],
      ['2m', start, 'p1', '7m'],
      ['3m', paid('p1'), 'PAID', null],
      ['4m', ended('p1', 'card_declined'), 'ignored', null],
    ]);
    expect(store.purchases).toMatchObject([{ state: 'PAID', failureCode: '' }]);
  });

  test('by expiry emits top_up.failed', () => {
    const store = funded(10n);
    runRows(store, [
      ['1m', on(), '', '1m'],
      ['2m', start, 'p1', '7m'],
      ['24h', synced('p1', { payment: 'EXPIRED' }), 'EXPIRED', '25h'],
    ]);
    expect(failures(store)).toMatchObject([{ purchase_id: 'p1', code: 'expired' }]);
  });

  test('as declined and is paid after all grants credits, counts, and ends the back-off', () => {
    const store = funded(10n);
    runRows(store, [
      ['1m', on({ monthlyCap: 1, coolDownMs: ms('1m') }), '', '1m'],
      ['2m', start, 'p1', '7m'],
      ['3m', declined('p1'), 'FAILED', '63m'],
      ['4m', [paid('p1', 1), charge(100n)], 'PAID', '2026-02-01'],
    ]);
    expect(store.purchases).toMatchObject([{ state: 'PAID', grantId: 2n }]);
    expect(store.account.topUps).toMatchObject({ count: 1, failures: 0, retryAt: null });
  });

  test.each<[string, Command]>([
    ['it was switched off', off],
    ['the account was closed', close()],
  ])('unpaid after %s ends without a word, and does not count', (_, command) => {
    const store = funded(10n);
    runRows(store, [
      ['1m', on(), '', '1m'],
      ['2m', start, 'p1', '7m'],
      ['3m', command, '', '7m'],
      ['4m', declined('p1', 'requested_by_customer'), 'FAILED', null],
    ]);
    expect(failures(store)).toEqual([]);
    expect(store.account.topUps).toMatchObject({ count: 0, failures: 0, purchaseId: null });
  });

  test('as declined is tried at once with another payment method, but not with the same one', () => {
    runRows(funded(10n), [
      ['1m', on({ coolDownMs: ms('1m') }), '', '1m'],
      ['2m', start, 'p1', '7m'],
      ['3m', declined('p1'), 'FAILED', '63m'],
      ['5m', on({ coolDownMs: ms('1m'), monthlyCap: 9 }), '', '63m'],
      ['6m', on({ coolDownMs: ms('1m'), paymentMethod: 'pm_2' }), '', '6m'],
    ]);
  });

  test.each([
    [1, '1h'],
    [2, '2h'],
    [3, '4h'],
    [8, '128h'],
    [9, '7d'],
    [500, '7d'],
  ])('waits after decline %i in a row for %s', (declines, length) => {
    expect(backoffMs(declines)).toBe(ms(length));
  });
});

describe('a setting that cannot work fails and changes nothing:', () => {
  test.each<[string, Partial<AutoTopUp>, string]>([
    ['a pack that the plan does not have', { packId: 'huge' }, 'PACK_NOT_FOUND'],
    ['a threshold above what the cap can buy', { threshold: 301n }, 'INVALID_FIELD'],
  ])('%s', (_, change, reason) => {
    const store = funded(10n);
    runRows(store, [['1m', { ...on(change), displayName: 'Acme' } as Command, reason, null]]);
    expect(store.account).toMatchObject({ autoTopUp: null, displayName: '' });
  });
});

type Step = {
  readonly waitMs: number;
  readonly command: Command | 'end' | 'decline' | 'refuse' | null;
};

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    waitMs: fc.oneof(
      fc.constant(0),
      fc.integer({ min: 1, max: ms('10m') }),
      fc.integer({ min: 1, max: ms('3h') }),
      fc.integer({ min: 1, max: ms('20d') }),
    ),
    command: fc.oneof(
      { weight: 4, arbitrary: fc.bigInt(1n, 60n).map((credits) => charge(credits)) },
      { weight: 2, arbitrary: fc.bigInt(1n, 60n).map((credits) => grantCredits(credits)) },
      { weight: 8, arbitrary: fc.constant(start) },
      {
        weight: 6,
        arbitrary: fc.constantFrom('end' as const, 'decline' as const, 'refuse' as const),
      },
      {
        weight: 2,
        arbitrary: fc
          .integer({ min: 1, max: 3 })
          .chain((monthlyCap) =>
            fc
              .bigInt(1n, 100n * BigInt(monthlyCap))
              .map((threshold) => on({ threshold, monthlyCap })),
          ),
      },
      { weight: 1, arbitrary: fc.constantFrom<Command | null>(off, null) },
    ),
  }),
  { minLength: 1, maxLength: 60, size: 'max' },
);

const usableIn = (account: Account, { grants, plan }: AccountStore) =>
  usableCredits(account, [...grants.values()], plan);

/** The two ways in which the service learns of a decline. */
function toCommand(command: Exclude<Step['command'], 'end'>, pending: string): Command | null {
  if (command === 'decline') return declined(pending);
  return command === 'refuse' ? ended(pending, 'no') : command;
}

test('in every scenario at most one is in progress, and none starts too early or beyond the cap', () => {
  fc.assert(
    fc.property(steps, (random) => {
      const store = funded(100n);
      let now = START;
      const starts: { at: number; declined: boolean; quantity: number }[] = [];
      let notBefore = 0;
      for (const { waitMs, command } of random) {
        now += waitMs;
        store.run(now, null);
        const before = structuredClone(store.account);
        const pending = before.topUps?.purchaseId ?? null;
        const resolved =
          command === 'end' ? paid(pending ?? 'p0') : toCommand(command, pending ?? 'p0');
        if (resolved?.kind === 'UpdateAccount' && before.autoTopUp === null) notBefore = 0;
        const purchasesBefore = store.purchases.length;
        const { outcome } = store.run(now, resolved);
        const { account } = store;

        if (store.purchases.length > purchasesBefore) {
          const { autoTopUp } = before;
          assert(autoTopUp && pending === null);
          assert(usableIn(before, store) < autoTopUp.threshold);
          assert(now >= notBefore, 'the back-off has passed');
          const last = starts.at(-1);
          assert(!last || now >= last.at + autoTopUp.coolDownMs, 'the cool-down has passed');
          const counted = starts.filter(
            (start) => !start.declined && monthStart(start.at) === monthStart(now),
          );
          const { quantity = 0 } = store.purchases.at(-1) ?? {};
          const packs = counted.reduce((sum, start) => sum + start.quantity, quantity);
          assert(packs <= autoTopUp.monthlyCap, 'within the cap');
          starts.push({ at: now, declined: false, quantity });
        }
        if (pending !== null && (command === 'decline' || command === 'refuse')) {
          const last = starts.at(-1);
          assert(last && !last.declined);
          last.declined = true;
          notBefore = now + backoffMs(account.topUps?.failures ?? 0);
        }
        if (pending !== null && command === 'end') notBefore = 0;
        if (outcome && !(outcome instanceof Failure) && outcome.kind === 'StartTopUp') {
          const due = before.topUpDueAt !== null && before.topUpDueAt <= now;
          assert.equal(outcome.purchaseId !== null, due);
          if (due) assert.equal(account.topUpDueAt, now + TOP_UP_LEASE_MS);
        }
        const inProgress = account.topUps?.purchaseId ?? null;
        assert.deepEqual(
          store.purchases.filter((p) => p.state === 'PENDING').map((p) => p.purchaseId),
          inProgress === null ? [] : [inProgress],
          'in progress exactly as long as its purchase is pending',
        );
        const low = account.autoTopUp && usableIn(account, store) < account.autoTopUp.threshold;
        assert.equal(
          account.topUpDueAt !== null,
          Boolean(low || account.topUps?.purchaseId),
          'due if and only if there is something to do',
        );
      }
    }),
    { numRuns: 300 },
  );
}, 120_000);
