/** ImportAccount: what another system says of an account, as the command has it. Instants are epoch milliseconds. */
import type { Money } from '../../pricing/plan.ts';
import type { Labels } from '../entry.ts';
import type { GrantCategory, GrantSource } from '../grant.ts';

/** How much of a grant or purchase is spent. */
export type ImportedSpending = {
  readonly credits: bigint;
  /** 0 to `credits`. */
  readonly spent: bigint;
  /** The part of `spent` that was spent in the running month. */
  readonly spentThisMonth: bigint;
};

export type ImportedGrant = ImportedSpending & {
  readonly source: Extract<GrantSource, 'WELCOME' | 'ALLOWANCE' | 'OPERATOR'>;
  readonly category: GrantCategory;
  readonly effectiveAt: number;
  /** Null: never, or as the plan says of an allowance. */
  readonly expiresAt: number | null;
  readonly priority: number;
  /** Without duplicates; empty: all. */
  readonly operations: readonly string[];
  /** Of OPERATOR; otherwise empty. */
  readonly reference: string;
};

export type ImportedPurchase = ImportedSpending & {
  readonly packId: string;
  readonly quantity: number;
  /** Of all packs together, as are the credits. */
  readonly price: Money;
  readonly paidAt: number;
  /** Null: never; undefined: as the pack says. */
  readonly expiresAt?: number | null;
  readonly paymentReference: string;
  /** Null: the payment provider cannot be asked about it. */
  readonly paymentIntentId: string | null;
};

export type ImportedUsage = {
  readonly operation: string;
  /** 1 or more. */
  readonly count: bigint;
  readonly credits: bigint;
};

export type ImportedMonth = {
  /** E.g. "2026-11". */
  readonly month: string;
  readonly overage: bigint;
  /** Empty, or all that was used in the month. */
  readonly usage: readonly ImportedUsage[];
};

export type ImportAccount = {
  readonly kind: 'ImportAccount';
  readonly planId: string;
  readonly displayName: string;
  readonly labels: Labels;
  readonly openedAt: number;
  /** Canonical; null: the plan's. */
  readonly timeZone: string | null;
  readonly grants: readonly ImportedGrant[];
  readonly purchases: readonly ImportedPurchase[];
  /** Null: nothing was used in the running month. */
  readonly month: ImportedMonth | null;
  /** Name of the other system. */
  readonly system: string;
  /** Empty: it came from no file. */
  readonly file: string;
  /** The account's name in the other system; may be empty. */
  readonly reference: string;
  /** True: nothing is written. */
  readonly validateOnly: boolean;
};

/** Credits spent in the running month, as grants and purchases say, with the overage. */
export const usedThisMonth = ({ grants, purchases, month }: ImportAccount): bigint =>
  [...grants, ...purchases].reduce(
    (sum, { spentThisMonth }) => sum + spentThisMonth,
    month?.overage ?? 0n,
  );
