/** What a load is and what came of it: plain data, sent to the process that makes it and back. */

/** Accounts that were made for the bench: `prefix` and seven digits, 0 to `count` − 1. */
export type Accounts = { readonly prefix: string; readonly count: number };

/** What one operation of a load does. */
export type Operation =
  /** One call each, on an account taken at random. */
  | { readonly kind: 'reserve' | 'charge' | 'balance' | 'estimate'; readonly accounts: Accounts }
  /** Commits reservations, `prepare` of which are made before the clock starts. */
  | { readonly kind: 'commit'; readonly accounts: Accounts; readonly prepare: number }
  /** A Reserve, and when it is answered the Commit of what it reserved. */
  | { readonly kind: 'pair'; readonly accounts: Accounts }
  /** Batch calls of `size` mutations; `pairs` has every second batch commit what the first reserved. */
  | {
      readonly kind: 'batch';
      readonly accounts: Accounts;
      readonly size: number;
      readonly pairs?: boolean;
    }
  /** The whole history of one account, which has `entries`. */
  | { readonly kind: 'history'; readonly accountId: string; readonly entries: number }
  /** What the three tenants do all day. */
  | { readonly kind: 'mixed' }
  /** The hand-tuned baseline: one call of a database function, no RPC. `address` is a database. */
  | { readonly kind: 'function'; readonly accounts: Accounts; readonly pool: number }
  /** COPY of one account's entries to stdout. `address` is a database. */
  | { readonly kind: 'copy'; readonly accountId: string; readonly entries: number };

export type Load = {
  readonly operation: Operation;
  /** host:port of a server, or of several that share the load; or the URL of a database. */
  readonly addresses: readonly string[];
  /** So many operations are under way at a time. An open loop ignores it. */
  readonly inFlight: number;
  /** Operations begin at this rate whatever became of those before them: an open loop. */
  readonly perSecond?: number;
  readonly warmUpMs: number;
  /** How long is measured, unless the operations end before. */
  readonly durationMs: number;
  /** The load ends after so many operations. */
  readonly operationsMax?: number;
};

/** Milliseconds. */
export type Percentiles = {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
};

export type LoadResult = {
  readonly operations: number;
  readonly seconds: number;
  /** Time to answer: of a call, or of a batch or stream as a whole. */
  readonly latency: Percentiles;
  /** How late an open loop was with the calls it began; it is part of their latency. */
  readonly lag: Percentiles | null;
  readonly clientCpuMicros: number;
};

export const accountId = ({ prefix }: Accounts, index: number): string =>
  `${prefix}${String(index).padStart(7, '0')}`;

/** What the process that makes loads is told and tells. */
export type Told = { readonly load: Load };
export type Tells =
  | { readonly event: 'measuring' | 'measured' }
  | { readonly event: 'result'; readonly result: LoadResult }
  | { readonly event: 'failed'; readonly reason: string };
