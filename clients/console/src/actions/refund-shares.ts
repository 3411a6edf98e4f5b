/** What of an entry can be refunded, and to which grants it goes. */
import { big } from '../format.ts';
import type { ChargeStep, Entry } from '../messages.ts';
import { type Part, partsOf } from '../parts/entry.ts';

/** A charge or commit can be refunded, as far as it was not yet. */
export function refundable(entry: Entry, steps: readonly ChargeStep[]): bigint {
  if (entry.kind !== 'KIND_CHARGE' && entry.kind !== 'KIND_COMMIT') return 0n;
  return steps.reduce(
    (left, step) =>
      step.entry?.kind === 'KIND_REFUND' && step.entry.refundedSeq === entry.seq
        ? left - big(step.entry.credits)
        : left,
    big(entry.credits),
  );
}

/** The last to pay gets its credits back first; what was refunded before came from there, too. */
export function shareOut(entry: Entry, left: bigint, refunded: bigint): readonly Part[] {
  let before = big(entry.credits) - left;
  let rest = refunded;
  const shares: Part[] = [];
  for (const { source, credits: paid } of partsOf(entry).toReversed()) {
    const gone = before < paid ? before : paid;
    before -= gone;
    const possible = paid - gone;
    const share = rest < possible ? rest : possible;
    rest -= share;
    if (share > 0n) shares.push({ source, credits: share });
  }
  return shares;
}
