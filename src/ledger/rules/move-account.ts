/**
 * MoveAccount: moves the account to another plan, from now on. Grants keep their expiry, reservations
 * their prices, and the month's overage stays counted. The allowance of the new plan begins with the
 * next period; welcome credits are for new accounts only.
 */
import type { Book } from '../book.ts';
import type { Labels, Origin } from '../entry.ts';
import { accountClosed, overageReserved, planNotFound } from '../failures.ts';
import { syncPlanTerms } from '../settle.ts';
import { updateWindow } from '../statement-closing.ts';

export type MoveAccount = {
  readonly kind: 'MoveAccount';
  readonly planId: string;
  readonly reference: string;
  readonly labels: Labels;
  /** Why, for people. */
  readonly reason: string;
};

export function moveAccount(book: Book, command: MoveAccount, origin: Origin) {
  const { account } = book;
  if (account.state === 'CLOSED') return accountClosed(book);
  const plan = book.findPlan(command.planId);
  if (!plan) return planNotFound(command.planId, book.plans.keys());
  const previousPlanId = account.planId;
  if (plan.planId === previousPlanId) return { kind: 'MoveAccount', entrySeq: 0n } as const;
  // Their commits would be overage that no plan has a price for.
  if (!plan.terms.overage && account.overageReserved > 0n) return overageReserved(account, plan);

  account.planId = plan.planId;
  book.plan = plan;
  book.changes.settings = true;
  syncPlanTerms(book);
  updateWindow(book);
  const entry = book.post(
    {
      kind: 'PLAN_CHANGE',
      moves: [],
      credits: 0n,
      planId: plan.planId,
      previousPlanId,
      reference: command.reference,
      labels: command.labels,
      personal: { reason: command.reason },
    },
    origin,
  );
  return { kind: 'MoveAccount', entrySeq: entry.seq } as const;
}
