import { expect } from 'vitest';
import type { Command } from '../../src/ledger/decide.ts';
import type { Plan } from '../../src/pricing/plan.ts';
import { auditStore } from '../verify/audit-store.ts';
import type { AccountStore } from './account-store.ts';
import { grantCredits, ms, plan } from './fixtures.ts';
import { ledger, type Row } from './table.ts';

export const ann = { labels: { user: 'ann' } };
export const bob = { labels: { user: 'bob' } };
export const none = { labels: {} };

export type Step = readonly [at: string, command: Command, written: string];

/** Runs the commands and compares what they wrote: the kind of the entry, or the failure with its metadata. */
export function run(steps: readonly Step[], accountPlan: Plan = plan()): AccountStore {
  const store = ledger(accountPlan, [
    ['0s', grantCredits(1_000n), 'GRANT 1000: issued>g1 1000', '1000'] satisfies Row,
  ]);
  const actual = steps.map(([when, command]) => {
    const before = store.entries.length;
    const { outcome } = store.run(Date.parse('2026-01-10T00:00Z') + ms(when), command);
    const kinds = store.entries.slice(before).map(({ kind }) => kind);
    if (!(outcome && 'reason' in outcome)) return kinds.join(' ');
    const { cap, used, requested } = outcome.metadata;
    return outcome.reason === 'BUDGET_EXCEEDED'
      ? `${used} of ${cap}, and ${requested}`
      : outcome.reason;
  });
  expect(actual).toEqual(steps.map(([, , written]) => written));
  check(store);
  return store;
}

/** The audit shares no rule with the ledger. */
export const check = (store: AccountStore) => expect(auditStore(store)).toEqual([]);

/** What each value has used, by the day on which the period began. */
export const usedOf = ({ budgetCounters }: AccountStore) =>
  [...budgetCounters.values()].map(
    ({ value, periodFrom, used }) =>
      `${value || '(none)'} ${new Date(periodFrom).toISOString().slice(5, 10)}: ${used}`,
  );
