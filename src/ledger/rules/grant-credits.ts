/** GrantCredits: an operator grants credits, effective now or later. */
import { unknownOperationAt } from '../../pricing/usage-failures.ts';
import type { Book } from '../book.ts';
import { checkCallerLimits } from '../caller-limits.ts';
import { checkCreditLimit } from '../credit-limit.ts';
import type { Labels, Origin } from '../entry.ts';
import { accountClosed, invalidField } from '../failures.ts';
import type { GrantCategory } from '../grant.ts';
import { grantDetails } from '../grant-details.ts';

export type GrantCredits = {
  readonly kind: 'GrantCredits';
  readonly credits: bigint;
  readonly category: Exclude<GrantCategory, 'ALLOWANCE'>;
  readonly priority: number;
  /** Null: now. */
  readonly effectiveAt: number | null;
  /** Null: never. */
  readonly expiresAt: number | null;
  /** Operations that the credits may pay for, without duplicates; empty: all. */
  readonly operations: readonly string[];
  readonly reference: string;
  readonly labels: Labels;
  /** Why, for people. */
  readonly reason: string;
};

export function grantCredits(book: Book, command: GrantCredits, origin: Origin) {
  if (book.account.state === 'CLOSED') return accountClosed(book);
  const effectiveAt = Math.max(command.effectiveAt ?? book.now, book.now);
  if (command.expiresAt !== null && command.expiresAt <= effectiveAt)
    return invalidField('expires_at', 'must be after now and after effective_at');

  for (const [index, operation] of command.operations.entries())
    if (!book.plan.rateCard.operations.has(operation))
      return unknownOperationAt(book.plan.rateCard, operation, `only_for.operations[${index}]`);
  const overLimit =
    checkCallerLimits(book, command.credits) ?? checkCreditLimit(book, command.credits);
  if (overLimit) return overLimit;

  const scheduled = effectiveAt > book.now;
  const grant = book.addGrant({
    amount: command.credits,
    category: command.category,
    priority: command.priority,
    effectiveAt,
    expiresAt: command.expiresAt,
    source: 'OPERATOR',
    sourceReference: command.reference,
    operations: command.operations.toSorted(),
    state: scheduled ? 'SCHEDULED' : 'OPEN',
  });
  const entry = book.post(
    {
      kind: 'GRANT',
      // Scheduled credits are in no balance yet: GRANT_EFFECTIVE issues them.
      moves: scheduled
        ? []
        : [{ from: 'issued', to: 'available', grantId: grant.grantId, credits: grant.amount }],
      credits: grant.amount,
      grantId: grant.grantId,
      details: grantDetails(grant),
      reference: command.reference,
      labels: command.labels,
      personal: { reason: command.reason },
    },
    origin,
  );
  return { kind: 'GrantCredits', grant, entrySeq: entry.seq } as const;
}
