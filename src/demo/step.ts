/** A step of a scenario: its expected figures, its line of output, and how values are formatted. */
import type { Allocation } from '../gen/billing/v1/ledger.ts';
import type { Usage } from '../gen/billing/v1/pricing.ts';

export type Line = {
  readonly operation: string;
  /** Credits priced, reserved, charged, bought or given back. */
  readonly credits: bigint;
  /** Available credits after the step. */
  readonly available: bigint;
  readonly note: string;
};

/** The expected figures of a step. */
export type Figures = {
  readonly credits: bigint;
  readonly available: bigint;
  /** Default 0. */
  readonly reserved?: bigint;
  /** Default: not checked. */
  readonly lowBalance?: boolean;
};

export type UsageOf = Partial<Omit<Usage, 'operation'>> & { readonly operation: string };

export const formatUsage = ({ operation, count }: UsageOf): string =>
  count === undefined ? operation : `${count} x ${operation}`;

export const formatAllocation = ({ source, credits }: Allocation): string =>
  `${credits} of ${source?.$case === 'grantId' ? `grant ${source.value}` : 'overage'}`;

export const formatPrice = (price: { currency: string; amount: string } | undefined): string =>
  price ? `${price.amount} ${price.currency}` : 'nothing';
