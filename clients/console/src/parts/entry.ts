/** What an entry says: its step in words, how it changed the balance, and which grants it moved. */
import { big, words } from '../format.ts';
import type { Entry } from '../messages.ts';
import type { Tone } from './basics.tsx';

/** "commit, in part", "refund of 14". */
export function stepName({ kind, late, final, refundedSeq }: Entry): string {
  const name = words(kind, 'KIND');
  const parts = [big(refundedSeq) > 0n ? `${name} of ${refundedSeq}` : name];
  if (late) parts.push('late');
  if (final === false) parts.push('in part');
  return parts.join(', ');
}

const TONES: Readonly<Record<string, Tone>> = {
  KIND_GRANT: 'good',
  KIND_GRANT_EFFECTIVE: 'good',
  KIND_PURCHASE: 'good',
  KIND_REFUND: 'good',
  KIND_REINSTATE: 'good',
  KIND_RESERVE: 'busy',
  KIND_RAISE: 'busy',
  KIND_EXTEND: 'busy',
  KIND_RESUME_ACCOUNT: 'good',
  KIND_GRANT_EXPIRED: 'warn',
  KIND_EXPIRE: 'warn',
  KIND_VOID_GRANT: 'warn',
  KIND_SUSPEND_ACCOUNT: 'warn',
  KIND_CLAW_BACK: 'bad',
  KIND_REJECT_PURCHASE: 'bad',
};

export const toneOf = ({ kind }: Entry): Tone => TONES[kind ?? ''] ?? 'plain';

/** How many credits each grant, or the overage, got or gave. */
export type Part = {
  /** Null: overage. */
  readonly grantId: string | null;
  readonly credits: bigint;
};

/** Of a charge or commit its split, otherwise what its moves say. */
export function partsOf({ split, moves }: Entry): readonly Part[] {
  const credits = new Map<string | null, bigint>();
  const add = (grantId: string | null, amount: string | undefined) =>
    credits.set(grantId, (credits.get(grantId) ?? 0n) + big(amount));
  if (split && split.length > 0)
    for (const one of split) add(one.overage ? null : (one.grantId ?? ''), one.credits);
  else
    for (const { from, to, credits: amount } of moves ?? []) {
      const grantId = [from, to].map((bucket) => big(bucket?.grantId)).find((id) => id > 0n);
      const isOverage = [from, to].some((bucket) => bucket?.kind?.startsWith('KIND_OVERAGE'));
      if (grantId !== undefined) add(String(grantId), amount);
      else if (isOverage) add(null, amount);
    }
  return Array.from(credits, ([grantId, amount]) => ({ grantId, credits: amount }));
}

/** By how much the entry changed what is left: the moves into and out of grants, and back. */
export function changeOf({ moves }: Entry): bigint {
  const isHeld = (kind: string | undefined) => kind?.startsWith('KIND_GRANT_') === true;
  return (moves ?? []).reduce((sum, { from, to, credits }) => {
    if (isHeld(from?.kind) === isHeld(to?.kind)) return sum;
    return isHeld(to?.kind) ? sum + big(credits) : sum - big(credits);
  }, 0n);
}
