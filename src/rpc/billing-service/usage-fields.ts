/** Fields that Reserve, RaiseReservation, Commit and Charge have in common. */
import { Criticality } from '../../gen/billing/v1/ledger.ts';
import type { Usage as UsageMessage } from '../../gen/billing/v1/pricing.ts';
import type { RequestedAmount } from '../../ledger/requested-amount.ts';
import type { FieldChecker } from '../call/field-checker.ts';

/** Exactly one of `usages` and `credits` must be given. */
export function parseRequestedAmount(
  { usages, credits }: { usages: UsageMessage[]; credits?: bigint | undefined },
  check: FieldChecker,
): RequestedAmount {
  if (usages.length > 0 === (credits !== undefined))
    check.addViolation('usages', 'give usages or credits, one of them');
  return credits === undefined
    ? { usages: check.usages(usages, 0) }
    : { credits: check.credits('credits', credits) };
}

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
