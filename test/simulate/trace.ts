/**
 * A trace: the steps of a simulation as plain data. A step names earlier steps by their number, so any of
 * them can be left out: a step that needs the result of one that is missing is skipped.
 */

import type { ImportSpec } from './import-spec.ts';

export type UsageSpec = {
  readonly operation: string;
  readonly quantities: Readonly<Record<string, number>>;
  readonly count: number;
};

export type AmountSpec =
  | { readonly credits: number }
  | { readonly usages: readonly UsageSpec[] }
  | { readonly all: true };

/** A request. `of` is the step whose reservation, entry, purchase or pack it names. */
export type RequestSpec = {
  /** Milliseconds from now to not_after. */
  readonly notAfterMs?: number;
} & (
  | {
      readonly do: 'open';
      readonly plan: string;
      readonly name: string;
      readonly timeZone?: string;
    }
  | ImportSpec
  | {
      readonly do: 'update';
      readonly name?: string;
      readonly labels?: Readonly<Record<string, string>>;
      /** Null: the plan's again. */
      readonly levels?: readonly (number | `${number}%`)[] | null;
      readonly floor?: number | null;
      readonly timeZone?: string;
    }
  | { readonly do: 'close' }
  /** RunningWork. */
  | { readonly do: 'suspend'; readonly running: number }
  | { readonly do: 'resume' }
  | { readonly do: 'shadow'; readonly enabled: boolean }
  | { readonly do: 'move'; readonly plan: string }
  | {
      readonly do: 'set budget';
      readonly budget: string;
      /** Left out: of the label "user". */
      readonly dimension?: 'operation';
      /** Left out: each. */
      readonly value?: string;
      readonly credits: number;
      /** BudgetPeriod. */
      readonly period: number;
      /** BudgetEnforcement. */
      readonly enforcement: number;
      /** Null: no cap. */
      readonly exceptions: Readonly<Record<string, number | null>>;
    }
  | { readonly do: 'remove budget'; readonly budget: string }
  | {
      readonly do: 'grant';
      readonly credits: number;
      readonly category: number;
      readonly priority?: number;
      readonly effectiveInMs?: number;
      readonly expiresInMs?: number;
      readonly onlyFor?: readonly string[];
    }
  | {
      readonly do: 'void';
      readonly grant: number;
      /** Null: all. */
      readonly credits: number | null;
      /** VoidGrantRequest.Returned. */
      readonly returned: number;
    }
  | {
      readonly do: 'change';
      readonly grant: number;
      readonly priority?: number;
      /** Null: never. */
      readonly expiresInMs?: number | null;
      /** Null: all operations. */
      readonly onlyFor?: readonly string[] | null;
    }
  | {
      readonly do: 'offer';
      readonly pack: string;
      readonly credits: number;
      readonly days?: number;
    }
  | { readonly do: 'withdraw'; readonly pack: string }
  | {
      readonly do: 'buy';
      readonly pack: string;
      readonly quantity?: number | undefined;
      readonly reference: string;
    }
  | { readonly do: 'checkout'; readonly pack: string; readonly quantity?: number | undefined }
  | {
      readonly do: 'reserve';
      readonly amount: AmountSpec;
      readonly ttlMs?: number;
      readonly policy: number;
      readonly sheddable: boolean;
      readonly reference: string;
      readonly user?: string;
      /** How long ago the work was done. */
      readonly usedMs?: number;
    }
  | {
      readonly do: 'charge';
      readonly amount: AmountSpec;
      readonly sheddable: boolean;
      readonly reference: string;
      readonly user?: string;
      /** How long ago the work was done. */
      readonly usedMs?: number;
    }
  | { readonly do: 'raise'; readonly of: number; readonly amount: AmountSpec }
  | { readonly do: 'extend'; readonly of: number; readonly ttlMs: number }
  | {
      readonly do: 'commit';
      readonly of: number;
      readonly amount: AmountSpec;
      readonly final?: boolean;
    }
  | { readonly do: 'release'; readonly of: number }
  | {
      readonly do: 'refund';
      readonly of: number;
      /** Null: all. */
      readonly credits: number | null;
      readonly reference: string;
    }
);

export type ReadSpec =
  | { readonly read: 'balance'; readonly grants: boolean }
  /** After an entry, or at an instant so long before it is asked for. */
  | {
      readonly read: 'past balance';
      readonly point: { readonly seq: number } | { readonly agoMs: number };
      readonly buckets: boolean;
    }
  /** A page of entries: all filters must match. `of` is the step of a reservation. */
  | {
      readonly read: 'entries';
      readonly pageSize: number;
      readonly of?: number;
      readonly kinds?: readonly number[];
      readonly operation?: string;
      readonly reference?: string;
      readonly requestId?: string;
      readonly labelKey?: string;
      readonly beforeSeq?: number;
    }
  | { readonly read: 'purchase estimate'; readonly pack: string; readonly quantity?: number }
  | { readonly read: 'estimate'; readonly usages: readonly UsageSpec[] }
  | { readonly read: 'reservation'; readonly of: number }
  | { readonly read: 'reservations'; readonly states: readonly number[] }
  | { readonly read: 'grants' }
  | { readonly read: 'account' }
  | { readonly read: 'budgets' }
  | { readonly read: 'packs' }
  | { readonly read: 'purchase'; readonly of: number }
  | { readonly read: 'purchases' }
  /** What an import would do: it validates only. */
  | { readonly read: 'import'; readonly account: ImportSpec };

/** How a request is sent. */
export type Delivery = {
  readonly replica: number;
  /** It is sent to this replica at the same time. */
  readonly also?: number;
  /** The caller gives up after this time, and repeats the request elsewhere. */
  readonly deadlineMs?: number;
};

/** What customers, banks and operators do with the payment of a checkout. */
export type PaymentDeed =
  | 'pay'
  | 'pay other'
  | 'pay later'
  | 'arrive'
  | 'bounce'
  | 'expire'
  | 'refund'
  | 'dispute'
  | 'win'
  | 'lose';

export type Step = { readonly id: number } & (
  | {
      readonly kind: 'request';
      readonly account: number;
      readonly request: RequestSpec;
      readonly delivery: Delivery;
    }
  /** The request of an earlier step again, after its response: the same body, or another one. */
  | {
      readonly kind: 'repeat';
      readonly of: number;
      readonly other: RequestSpec | null;
      readonly delivery: Delivery;
    }
  | {
      readonly kind: 'batch';
      readonly items: readonly { readonly account: number; readonly request: RequestSpec }[];
      readonly delivery: Delivery;
    }
  /** An atomic batch, which may have the request of an earlier step in it, under its request id. */
  | {
      readonly kind: 'atomic';
      readonly account: number;
      readonly requests: readonly RequestSpec[];
      readonly again: { readonly of: number; readonly place: number } | null;
      readonly delivery: Delivery;
    }
  | {
      readonly kind: 'read';
      readonly account: number;
      readonly read: ReadSpec;
      readonly delivery: Delivery;
    }
  /** The clocks advance. With `calm`, after everything that was sent is answered. */
  | { readonly kind: 'advance'; readonly ms: number; readonly calm: boolean }
  /** The clocks advance to the expiry of a reservation, and this much further. */
  | { readonly kind: 'reach'; readonly of: number; readonly ms: number; readonly calm: boolean }
  /** The clocks advance to the beginning of the next day or month of a zone (UTC), and this much further. */
  | {
      readonly kind: 'turn';
      readonly to: 'day' | 'month';
      readonly zone?: string;
      readonly ms: number;
    }
  /** Something happens to a payment. Its webhook comes so many times, to this replica and those after it. */
  | {
      readonly kind: 'payment';
      readonly of: number;
      readonly deed: PaymentDeed;
      readonly replica: number;
      readonly webhooks: number;
    }
  /** A replica checks the pending purchases that are due. */
  | { readonly kind: 'check'; readonly replica: number }
  | { readonly kind: 'sweep'; readonly replica: number }
  | { readonly kind: 'kill'; readonly replica: number }
);

export type Trace = {
  readonly seed: number;
  readonly replicas: number;
  /** Requests at the same time. */
  readonly width: number;
  readonly steps: readonly Step[];
};

/** The trace as text: one step per line. */
export const traceText = ({ seed, replicas, width, steps }: Trace): string =>
  [
    `seed ${seed}, ${replicas} replicas, ${width} calls at a time`,
    ...steps.map((step) => JSON.stringify(step)),
  ].join('\n');

/** The trace of a text: the lines of `traceText`. Other lines are ignored. */
export function parseTrace(text: string): Trace {
  const lines = text.split('\n');
  const title = lines.map((line) => TITLE.exec(line)?.groups).find((groups) => groups);
  if (!title) throw new Error('the text has no line "seed N, N replicas, N calls at a time"');
  return {
    seed: Number(title['seed']),
    replicas: Number(title['replicas']),
    width: Number(title['width']),
    steps: lines.filter((line) => line.startsWith('{"id":')).map((line) => JSON.parse(line)),
  };
}

const TITLE = /^seed (?<seed>\d+), (?<replicas>\d+) replicas, (?<width>\d+) calls at a time$/;
