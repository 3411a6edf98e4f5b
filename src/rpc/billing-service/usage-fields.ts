/** Fields that Estimate, Reserve, RaiseReservation, Commit and Charge have in common. */
import { Criticality } from '../../gen/billing/v1/ledger.ts';
import type { Usages } from '../../gen/billing/v1/pricing.ts';
import type { RequestedAmount } from '../../ledger/requested-amount.ts';
import type { FieldChecker } from '../call/field-checker.ts';

type AmountFields = { usages?: Usages | undefined; credits?: bigint | undefined };

/** Exactly one of `usages` and `credits` must be given. */
export function parseRequestedAmount(
  { usages, credits }: AmountFields,
  check: FieldChecker,
): RequestedAmount {
  if ((usages === undefined) === (credits === undefined))
    check.addViolation('usages', 'give usages or credits, exactly one of them');
  return toAmount({ usages, credits }, check);
}

/** Exactly one of `usages`, `credits` and `all` must be given. */
export function parseCommittedAmount(
  { usages, credits, all }: AmountFields & { all?: boolean | undefined },
  check: FieldChecker,
): RequestedAmount | 'all' {
  const given = [usages, credits, all].filter((field) => field !== undefined);
  if (given.length !== 1)
    check.addViolation('usages', 'give usages, credits or all, exactly one of them');
  return check.all('all', all) ? 'all' : toAmount({ usages, credits }, check);
}

/** Checks what is given. Where nothing is, the request has a violation already. */
const toAmount = ({ usages, credits = 0n }: AmountFields, check: FieldChecker): RequestedAmount =>
  usages ? { usages: check.usages(usages) } : { credits: check.credits('credits', credits) };

const CRITICALITIES = {
  [Criticality.UNSPECIFIED]: 'CRITICAL',
  [Criticality.CRITICAL]: 'CRITICAL',
  [Criticality.SHEDDABLE]: 'SHEDDABLE',
} as const;

export function parseCriticality(
  { criticality }: { criticality: Criticality },
  check: FieldChecker,
): 'CRITICAL' | 'SHEDDABLE' {
  const known = CRITICALITIES[criticality];
  if (!known) check.addViolation('criticality', 'must be CRITICAL or SHEDDABLE');
  return known;
}
