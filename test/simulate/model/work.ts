import type { Usages } from '../../../src/gen/billing/v1/pricing.ts';
import { freeOf, heldOf } from './funding.ts';
import { needsOf, type Priced, priceOf } from './prices.ts';
import type { Refusal } from './refusal.ts';
import { sharesOf } from './shares.ts';
import {
  type AccountState,
  type Need,
  OVERAGE,
  OWED,
  type Part,
  type ReservationState,
  type Spending,
  type Use,
} from './state.ts';

export type Amount = {
  readonly usages?: Usages | undefined;
  readonly credits?: bigint | undefined;
};

export const amountOf = ({ usages, credits }: Amount): Priced | Refusal =>
  usages ? priceOf(usages) : { credits: credits ?? 0n, lines: [] };

export const toNeeds = ({ credits, lines }: Priced): readonly Need[] =>
  lines.length > 0 ? needsOf(lines) : [{ operation: null, credits }];

export const millisOf = (ttl: { seconds: bigint; nanos: number }): number =>
  Number(ttl.seconds) * 1_000 + Math.floor(ttl.nanos / 1_000_000);

export const isLimited = (state: AccountState, { grantId }: Part): boolean =>
  grantId !== OVERAGE && state.grant(grantId).operations.length > 0;

export const take = (parts: readonly Part[], to: 'reserved' | 'consumed') =>
  parts.map((part) => ({
    ...part,
    from: freeOf(part),
    to: to === 'reserved' ? heldOf(part) : ('consumed' as const),
  }));

export function recordSpending(
  state: AccountState,
  seq: bigint,
  at: number,
  parts: readonly Part[],
  uses: readonly Use[],
  names: Pick<
    Spending,
    'rateCardVersion' | 'reference' | 'labels' | 'planId' | 'reservationId' | 'shares'
  >,
) {
  const { reservationId, planId, rateCardVersion, reference, labels, shares } = names;
  const split = overageLast(parts);
  const terms = { reservationId, planId, rateCardVersion, reference, labels, shares };
  state.spendings.set(seq, { seq, at, split, refunded: 0n, uses, ...terms });
}

export const overageLast = (parts: readonly Part[]): readonly Part[] => [
  ...parts.filter(({ grantId }) => grantId > OVERAGE),
  ...parts.filter(({ grantId }) => grantId === OVERAGE),
  ...parts.filter(({ grantId }) => grantId === OWED),
];

/** What is reserved, charged or raised, as budgets count it. */
export const changeOf = (priced: Priced) => ({ credits: priced.credits, shares: sharesOf(priced) });

/** As budgets count it. */
export const jobOf = ({ seq, createdAt, usedAt, labels }: ReservationState) => ({
  seq,
  at: usedAt ?? createdAt,
  labels,
});
