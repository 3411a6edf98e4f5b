/** What an entry says: its step in words, how it changed the balance, and which grants it moved. */
import { big, words } from '../format.ts';
import type { Allocation, Entry } from '../messages.ts';
import type { Tone } from './basics.tsx';

/** "commit, in part", "refund of 14". */
export function stepName({ kind, late, final, refundedSeq, usedAt }: Entry): string {
  const name = words(kind, 'KIND');
  const parts = [big(refundedSeq) > 0n ? `${name} of ${refundedSeq}` : name];
  if (late) parts.push('late');
  if (final === false) parts.push('in part');
  if (usedAt) parts.push(`used ${usedAt.slice(0, 16).replace('T', ' ')} UTC`);
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
  KIND_PAY_OWED: 'warn',
  KIND_CLAW_BACK: 'bad',
  KIND_REJECT_PURCHASE: 'bad',
};

export const toneOf = ({ kind }: Entry): Tone => TONES[kind ?? ''] ?? 'plain';

/** What pays of no grant, beside the numbers of grants. */
export const OVERAGE = 'overage';
export const OWED = 'owed';

/** How many credits each grant, or the overage or what is owed, got or gave. */
export type Part = {
  /** The number of a grant, OVERAGE or OWED. */
  readonly source: string;
  readonly credits: bigint;
};

export const isGrant = (source: string): boolean => source !== OVERAGE && source !== OWED;

export const sourceText = (source: string): string => (isGrant(source) ? `#${source}` : source);

/** Of a charge or commit its split, otherwise what its moves say. */
export function partsOf({ split, moves }: Entry): readonly Part[] {
  const credits = new Map<string, bigint>();
  const add = (source: string, amount: string | undefined) =>
    credits.set(source, (credits.get(source) ?? 0n) + big(amount));
  if (split && split.length > 0) for (const one of split) add(sourceOf(one), one.credits);
  else
    for (const { from, to, credits: amount } of moves ?? []) {
      const grantId = [from, to].map((bucket) => big(bucket?.grantId)).find((id) => id > 0n);
      const isOf = (kind: string) =>
        [from, to].some((bucket) => bucket?.kind?.startsWith(kind) === true);
      if (grantId !== undefined) add(String(grantId), amount);
      else if (isOf('KIND_OVERAGE')) add(OVERAGE, amount);
      else if (isOf('KIND_OWED')) add(OWED, amount);
    }
  return Array.from(credits, ([source, amount]) => ({ source, credits: amount }));
}

/** Of an allocation. */
export const sourceOf = ({ grantId, overage, owed }: Allocation): string =>
  overage ? OVERAGE : owed ? OWED : (grantId ?? '');

/** By how much the entry changed what is left: the moves into and out of grants, and back. */
export function changeOf({ moves }: Entry): bigint {
  const isHeld = (kind: string | undefined) => kind?.startsWith('KIND_GRANT_') === true;
  return (moves ?? []).reduce((sum, { from, to, credits }) => {
    if (isHeld(from?.kind) === isHeld(to?.kind)) return sum;
    return isHeld(to?.kind) ? sum + big(credits) : sum - big(credits);
  }, 0n);
}
