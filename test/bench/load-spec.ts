/** A load and its result: plain data, exchanged with the load generator's process. */

/** Accounts whose ids are `prefix` and seven digits, 0 to `count` − 1. */
export type Accounts = { readonly prefix: string; readonly count: number };

/** What one operation of a load does. */
export type Operation =
  /** One call on a random account. */
  | { readonly kind: 'reserve' | 'charge' | 'balance' | 'estimate'; readonly accounts: Accounts }
  /** A Reserve on a random account, with a label `user`. */
  | { readonly kind: 'labelled'; readonly accounts: Accounts }
  /** A call on one of `prepare` reservations that are made before the measurement, once on each. */
  | {
      readonly kind: 'commit' | 'release' | 'extend';
      readonly accounts: Accounts;
      readonly prepare: number;
    }
  /** A Reserve, and then the Commit of its reservation. */
  | { readonly kind: 'pair'; readonly accounts: Accounts }
  /** A Batch call of `size` reserves; with `pairs` a second one commits what the first reserved. */
  | {
      readonly kind: 'batch';
      readonly accounts: Accounts;
      readonly size: number;
      readonly pairs?: boolean;
    }
  /** The whole history of one account, of `entries`. */
  | { readonly kind: 'history'; readonly accountId: string; readonly entries: number }
  /** A Reserve by the client package, with its automatic batching or without. */
  | { readonly kind: 'client'; readonly accounts: Accounts; readonly batching: boolean }
  /** `size` uses of a meter of the client package. */
  | { readonly kind: 'meter'; readonly accountId: string; readonly size: number }
  /** The mixed load of mixed.ts. */
  | { readonly kind: 'mixed' }
  /** The hand-tuned baseline: one call of a database function. The address is a database URL. */
  | { readonly kind: 'function'; readonly accounts: Accounts; readonly pool: number }
  /** COPY of one account's entries to stdout. The address is a database URL. */
  | { readonly kind: 'copy'; readonly accountId: string; readonly entries: number };

/** PEM texts of a client. */
export type LoadTls = { readonly ca: string; readonly certificate: string; readonly key: string };

export type Load = {
  readonly operation: Operation;
  /** host:port of each server that shares the load, or the URL of a database. */
  readonly addresses: readonly string[];
  /** Mutual TLS. Default: none. */
  readonly tls?: LoadTls;
  /** Concurrent operations of a closed loop. */
  readonly inFlight: number;
  /** Makes it an open loop: operations start at this rate, whether or not earlier ones have ended. */
  readonly perSecond?: number;
  readonly warmUpMs: number;
  /** Length of the measurement, unless `operationsMax` is reached before. */
  readonly durationMs: number;
  /** Operations, warm-up included, after which the load ends. */
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
  /** All operations of the load: also those of the warm-up, and those in flight when it ended. */
  readonly completed: number;
  readonly seconds: number;
  /** Time to the response: of a call, a whole batch, or a whole stream. */
  readonly latency: Percentiles;
  /** How late an open loop started its operations; part of their latency. Null for a closed loop. */
  readonly lag: Percentiles | null;
  readonly clientCpuMicros: number;
};

export const accountId = ({ prefix }: Accounts, index: number): string =>
  `${prefix}${String(index).padStart(7, '0')}`;

/** Messages to and from the load generator's process. */
export type LoadRequest = { readonly load: Load } | { readonly begin: true };
export type LoadEvent =
  /** Nothing is in flight; the operations begin with the next message. */
  | { readonly event: 'prepared' }
  | { readonly event: 'measuring' }
  | { readonly event: 'measured' }
  | { readonly event: 'result'; readonly result: LoadResult }
  | { readonly event: 'failed'; readonly reason: string };
