/** A step of the demo: what its figures must be, and how it is told. */
import type { Allocation } from '../gen/billing/v1/ledger.ts';
import type { Usage } from '../gen/billing/v1/pricing.ts';

export type Line = {
  readonly operation: string;
  /** What the step is about: priced, reserved, charged, bought, given back. */
  readonly credits: bigint;
  /** Available after the step. */
  readonly available: bigint;
  readonly note: string;
};

/** What the figures of a step must be. */
export type Figures = {
  readonly credits: bigint;
  readonly available: bigint;
  /** Default 0. */
  readonly reserved?: bigint;
  /** Not given: either will do. */
  readonly lowBalance?: boolean;
};

export type UsageOf = Partial<Omit<Usage, 'operation'>> & { readonly operation: string };

export const nameOf = ({ operation, count }: UsageOf): string =>
  count === undefined ? operation : `${count} x ${operation}`;

export const allocationOf = ({ source, credits }: Allocation): string =>
  `${credits} of ${source?.$case === 'grantId' ? `grant ${source.value}` : 'overage'}`;

export const priceOf = (price: { currency: string; amount: string } | undefined): string =>
  price ? `${price.amount} ${price.currency}` : 'nothing';
