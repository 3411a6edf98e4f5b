/**
 * MoveAccount: from now on the account lives under another plan. What it has stays as it is: grants with
 * their expiry, reservations with their prices, the month's overage. What the new plan gives comes with
 * time: its allowance from the next period on, and no welcome, which is for new accounts.
 */
import { Failure } from '../../failure.ts';
import type { Plan } from '../../pricing/plan.ts';
import type { Book } from '../book.ts';
import type { Labels, Origin } from '../entry.ts';
import { syncPlanTerms } from '../settle.ts';
import { accountClosed, planNotFound } from './account.ts';

export type MoveAccount = {
  readonly kind: 'MoveAccount';
  readonly planId: string;
  readonly reference: string;
  readonly labels: Labels;
};

export function moveAccount(book: Book, command: MoveAccount, origin: Origin) {
  const { account } = book;
  if (account.state === 'CLOSED') return accountClosed(book);
  const plan = book.planNamed(command.planId);
  if (!plan) return planNotFound(command.planId);
  const previousPlanId = account.planId;
  if (plan.planId === previousPlanId) return { kind: 'MoveAccount', entrySeq: 0n } as const;
  if (!plan.terms.overage && account.overageReserved > 0n) return overageReserved(book, plan);

  account.planId = plan.planId;
  book.plan = plan;
  book.changes.settings = true;
  syncPlanTerms(book);
  const entry = book.post(
    {
      kind: 'PLAN_CHANGE',
      moves: [],
      credits: 0n,
      planId: plan.planId,
      previousPlanId,
      reference: command.reference,
      labels: command.labels,
    },
    origin,
  );
  return { kind: 'MoveAccount', entrySeq: entry.seq } as const;
}

/**
 * What those reservations commit would be overage on a plan that has no price for it: used, and never
 * billed. Overage that was used before the move is on the books as what it is, and stays there.
 */
function overageReserved({ account }: Book, { planId }: Plan): Failure {
  const { accountId, overageReserved: reserved } = account;
  return new Failure(
    'OVERAGE_RESERVED',
    `account ${accountId} has ${reserved} credits of overage reserved, and plan ${planId} has no overage: ` +
      'it can move once those reservations have ended',
    { account_id: accountId, plan_id: planId, reserved },
  );
}
