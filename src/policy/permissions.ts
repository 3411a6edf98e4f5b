/** What one caller may do: the rule of the policy that applies to it, with its roles resolved. */
import type { CreditLimits } from '../ledger/caller-limits.ts';
import type { MethodName } from './methods.ts';

export type Permissions = {
  readonly methods: ReadonlySet<MethodName>;
  /** The accounts that it may use and see. Null: all. */
  readonly accounts: AccountScope | null;
  /** The operations that its usages may name; a name ending in "*" stands for all that begin so. Null: all. */
  readonly operations: readonly string[] | null;
  /** True: it commits, releases, extends, raises and reads only reservations that it made. */
  readonly ownReservationsOnly: boolean;
  readonly creditLimits: CreditLimits | null;
  readonly requestsPerSecond: Rate | null;
  /** Of what its calls reserve, charge or grant. */
  readonly creditsPerSecond: Rate | null;
  /** Open streams at the same time, of each replica. Null: the limit of the replica. */
  readonly streamsMax: number | null;
  /** Names that it may act for (`x-on-behalf-of`); one ending in "*" stands for all that begin so. */
  readonly onBehalfOf: readonly string[];
};

/** An account is within the scope if it meets each condition that is not null. */
export type AccountScope = {
  /** Its id begins with one of these. */
  readonly prefixes: readonly string[] | null;
  /** It has these labels. */
  readonly labels: Readonly<Record<string, string>> | null;
  /** It lives under one of these plans. */
  readonly plans: readonly string[] | null;
};

/** A token bucket: refilled at `rate` a second, it holds `burst` at most. */
export type Rate = { readonly rate: number; readonly burst: number };

/** No method, and no limits that would matter. */
export const NOTHING_ALLOWED: Permissions = {
  methods: new Set(),
  accounts: null,
  operations: null,
  ownReservationsOnly: false,
  creditLimits: null,
  requestsPerSecond: null,
  creditsPerSecond: null,
  streamsMax: null,
  onBehalfOf: [],
};
