/** What tests of auto top-up run: its commands, and accounts whose top-up is due. */

import { expect } from 'vitest';
import { Failure } from '../../src/failure.ts';
import type { AutoTopUpTerms as AutoTopUp } from '../../src/ledger/auto-top-up.ts';
import type { Command } from '../../src/ledger/decide.ts';
import type { PaymentSnapshot } from '../../src/ledger/purchase.ts';
import { PENDING_SNAPSHOT } from '../../src/payments/payment-snapshot.ts';
import { AccountStore } from './account-store.ts';
import { at, charge, grantCredits, ms, open, pack, plan, START, update } from './fixtures.ts';

export const PACKS = [pack('small', 100n, '5.00')];

export const setting = (change: Partial<AutoTopUp> = {}): AutoTopUp => ({
  packId: 'small',
  threshold: 50n,
  onRefusal: false,
  coolDownMs: ms('1h'),
  monthlyCap: 3,
  customer: 'cus_1',
  paymentMethod: 'pm_1',
  ...change,
});
export const on = (change: Partial<AutoTopUp> = {}) => update(null, { autoTopUp: setting(change) });
export const off = update(null, { autoTopUp: null });
export const start: Command = { kind: 'StartTopUp' };
export const synced = (
  purchaseId: string,
  snapshot: Partial<PaymentSnapshot>,
  syncVersion = 0,
): Command => ({
  kind: 'SyncPurchase',
  purchaseId,
  syncVersion,
  snapshot: { ...PENDING_SNAPSHOT, paymentIntentId: `pi_${purchaseId}`, ...snapshot },
});
export const paid = (purchaseId: string, syncVersion = 0, amount = '5.00') =>
  synced(purchaseId, { payment: 'PAID', amountPaid: { currency: 'USD', amount } }, syncVersion);
/** Paid, and spent at once, so the balance is as low as before. */
export const paidAndSpent = (purchaseId: string): readonly Command[] => [
  paid(purchaseId),
  charge(100n),
];
export const declined = (purchaseId: string, code = 'card_declined', syncVersion = 0) =>
  synced(purchaseId, { payment: 'FAILED', failureCode: code }, syncVersion);
export const ended = (purchaseId: string, code: string): Command => ({
  kind: 'EndTopUp',
  purchaseId,
  code,
});

/** An account with this number of credits. */
export function funded(credits: bigint): AccountStore {
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

export function runRows(store: AccountStore, rows: readonly Row[]) {
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

export const disabled = (store: AccountStore) =>
  store.events.filter(({ type }) => type === 'top_up.disabled').map(({ data }) => data);
export const failures = (store: AccountStore) =>
  store.events.filter(({ type }) => type === 'top_up.failed').map(({ data }) => data);
