/**
 * The usage log: what callers asked for and what they were answered, in their order. All that the
 * checks of the year know, beside the published plans.
 */
import type { Scrip } from '../../src/client.ts';
import type { MutationResult } from '../../src/gen/billing/v1/billing_service.ts';
import type { Balance } from '../../src/gen/billing/v1/ledger.ts';

export type Usage = {
  readonly operation: string;
  readonly count: bigint;
  readonly quantities?: Readonly<Record<string, bigint>>;
  readonly attributes?: Readonly<Record<string, string>>;
};

export type UsagesOrCredits =
  | { readonly kind: 'open'; readonly planId: string }
  | { readonly kind: 'charge'; readonly usages: readonly Usage[] }
  /** Without `ttlMs`: as long as the plan says. */
  | { readonly kind: 'reserve'; readonly usages: readonly Usage[]; readonly ttlMs?: number }
  /** Without `usages`: all that is held. */
  | {
      readonly kind: 'commit';
      readonly reservationId: string;
      readonly usages?: readonly Usage[];
      readonly final: boolean;
    }
  | { readonly kind: 'release'; readonly reservationId: string }
  /** Without `credits`: all that is not refunded yet. */
  | { readonly kind: 'refund'; readonly seq: bigint; readonly credits?: bigint }
  | { readonly kind: 'purchase'; readonly packId: string }
  | { readonly kind: 'move'; readonly planId: string }
  | { readonly kind: 'close' };

export type Answer = {
  /** Why nothing was done; empty where it was. */
  readonly refused: string;
  /** What it was about: charged, reserved, committed, released, refunded, bought. */
  readonly credits: bigint;
  /** The balance after it; null where the answer has none. */
  readonly balance: { readonly available: bigint; readonly overage: bigint } | null;
  /** seq of the entry; 0 where there is none. */
  readonly seq: bigint;
  /** Of a reserve. */
  readonly reservationId: string;
  readonly expiresAt: number;
  /** Of a purchase. */
  readonly grantId: bigint;
};

export type Logged = {
  /** By the service's clock. */
  readonly at: number;
  readonly accountId: string;
  readonly asked: UsagesOrCredits;
  readonly answer: Answer;
};

type AnyResult = NonNullable<MutationResult['result']>;

type Mutations = NonNullable<Parameters<Scrip['billing']['batch']>[0]['mutations']>;
export type Request = NonNullable<Mutations[number]['mutation']>;

/** What is sent for it; partial messages, to be completed by the client. */
export function requestOf(accountId: string, requestId: string, asked: UsagesOrCredits): Request {
  const named = { accountId, requestId };
  switch (asked.kind) {
    case 'open':
      return { $case: 'openAccount', value: { ...named, planId: asked.planId } };
    case 'charge':
      return { $case: 'charge', value: { ...named, usages: [...asked.usages] } };
    case 'reserve': {
      const ttl = asked.ttlMs && { ttl: { seconds: BigInt(asked.ttlMs / 1_000), nanos: 0 } };
      return { $case: 'reserve', value: { ...named, usages: [...asked.usages], ...ttl } };
    }
    case 'commit': {
      const { reservationId, usages = [], final } = asked;
      return {
        $case: 'commit',
        value: { ...named, reservationId, usages: [...usages], final },
      };
    }
    case 'release':
      return { $case: 'release', value: { ...named, reservationId: asked.reservationId } };
    case 'refund': {
      const credits = asked.credits !== undefined && { credits: asked.credits };
      return { $case: 'refund', value: { ...named, seq: asked.seq, ...credits } };
    }
    case 'purchase': {
      const payment = { $case: 'paymentReference', value: `order-${requestId}` } as const;
      return { $case: 'purchase', value: { ...named, packId: asked.packId, payment } };
    }
    case 'move':
      return { $case: 'moveAccount', value: { ...named, planId: asked.planId } };
    case 'close':
      return { $case: 'closeAccount', value: named };
  }
}

const NOTHING: Answer = {
  refused: '',
  credits: 0n,
  balance: null,
  seq: 0n,
  reservationId: '',
  expiresAt: 0,
  grantId: 0n,
};

export function answerOf(result: AnyResult | undefined): Answer {
  const about = (value: { balance: Balance | undefined; entrySeq?: bigint }, credits: bigint) => ({
    ...NOTHING,
    credits,
    balance: value.balance
      ? { available: value.balance.available, overage: value.balance.overage }
      : null,
    seq: value.entrySeq ?? 0n,
  });
  switch (result?.$case) {
    case 'error':
      return { ...NOTHING, refused: result.value.reason };
    case 'openAccount':
      return about(result.value, 0n);
    case 'charge':
      return about(result.value, result.value.credits);
    case 'reserve': {
      const { reservation } = result.value;
      return {
        ...about(result.value, reservation?.held ?? 0n),
        reservationId: reservation?.reservationId ?? '',
        expiresAt: reservation?.expiresAt?.getTime() ?? 0,
      };
    }
    case 'commit':
      return about(result.value, result.value.committed);
    case 'release':
      return about(result.value, result.value.released);
    case 'refund':
      return about(result.value, result.value.refunded);
    case 'purchase': {
      const grantId = result.value.grant?.grantId ?? 0n;
      return { ...about(result.value, result.value.purchase?.credits ?? 0n), grantId };
    }
    case 'moveAccount':
      return about(result.value, 0n);
    case 'closeAccount':
      return about(result.value, 0n);
    default:
      throw new Error(`an answer to nothing that was asked: ${result?.$case}`);
  }
}
