/** What a charge should have cost on the right rate card, and what corrects it. Pure: README.md has the rules. */
import type { RateCard } from '../pricing/plan.ts';
import type { PricedUsage } from '../pricing/price.ts';
import { reprice } from '../pricing/reprice.ts';

/** A commit or charge as it is recorded. */
export type RecordedCharge = {
  readonly accountId: string;
  readonly seq: bigint;
  readonly at: number;
  readonly requestId: string;
  /** Empty: a charge without a reservation. */
  readonly reservationId: string;
  readonly planId: string;
  readonly rateCardVersion: number;
  readonly credits: bigint;
  /** By whomever, corrections included. */
  readonly refunded: bigint;
  /** Its own or, without any, those of its reservation. */
  readonly usages: readonly PricedUsage[];
  readonly labels: Readonly<Record<string, string>>;
};

/** Corrections that were made of a charge. */
export type EarlierCorrections = {
  readonly refunded: bigint;
  readonly charged: bigint;
  /** What was given back of the additional charges. */
  readonly chargedRefunded: bigint;
  /** To which versions of the rate card. */
  readonly versions: ReadonlySet<number>;
};

export const NO_CORRECTIONS: EarlierCorrections = {
  refunded: 0n,
  charged: 0n,
  chargedRefunded: 0n,
  versions: new Set(),
};

/**
 * `refund` and `charge`: the difference is to be given back, or charged. `done`: this correction was made. `by hand`: it
 * is not made, and `why` says why. `right`: nothing is to be corrected.
 */
export type CorrectionState = 'right' | 'refund' | 'charge' | 'done' | 'by hand';

export type Correction = {
  readonly state: CorrectionState;
  /** What was paid and not given back, other than by this correction. */
  readonly charged: bigint;
  readonly shouldCost: bigint;
  readonly why: string;
};

/** `operation`: only its usages are priced anew; empty: all. */
export function correctionOf(
  charge: RecordedCharge,
  earlier: EarlierCorrections,
  right: RateCard,
  operation: string,
): Correction {
  const others = charge.refunded - earlier.refunded;
  const kept = charge.credits - others;
  const paid = kept - earlier.refunded + earlier.charged - earlier.chargedRefunded;
  const end = (state: CorrectionState, charged: bigint, shouldCost: bigint, why = '') => ({
    state,
    charged,
    shouldCost,
    why,
  });
  if (earlier.versions.has(right.version)) return end('done', kept, paid);
  // Who got everything back owes nothing, whatever it should have cost.
  if (charge.credits > 0n && charge.refunded === charge.credits && earlier.charged === 0n)
    return end('right', paid, paid);
  if (earlier.versions.size > 0 && (others > 0n || earlier.chargedRefunded > 0n))
    return end('by hand', paid, paid, 'it was rerated and refunded before');
  const priced = reprice(
    right,
    { credits: kept, usages: charge.usages },
    (name) => operation === '' || name === operation,
  );
  const [refused] = priced.refused;
  if (refused) return end('by hand', paid, paid, `${refused.operation}: ${refused.reason}`);
  if (priced.credits === paid) return end('right', paid, paid);
  if (priced.credits > paid) return end('charge', paid, priced.credits);
  const isLeft = paid - priced.credits <= charge.credits - charge.refunded;
  return isLeft
    ? end('refund', paid, priced.credits)
    : end('by hand', paid, priced.credits, 'less than the difference is left of it to refund');
}

/** Longer than 16 bytes, so that request ids of corrections are stored as they are. */
export const CORRECTION_PREFIX = 'scrip-rerate-of:';

/** The same for the same correction, however often it is tried: it has one effect. */
export const correctionId = ({ seq, planId }: RecordedCharge, version: number): string =>
  `${CORRECTION_PREFIX}${seq}:${planId}:${version}`;

/** The entry that a correction is of, and the version that it corrects to; null: it is none. */
export function parseCorrectionId(
  requestId: string,
): { readonly seq: bigint; readonly version: number } | null {
  const [, seq, version] = /^scrip-rerate-of:(\d{1,19}):.+:(\d{1,9})$/.exec(requestId) ?? [];
  return seq && version ? { seq: BigInt(seq), version: Number(version) } : null;
}
