/**
 * The usage log: requests and their responses, in order. With the published plans it is all that the
 * checks know.
 */
import type { Scrip } from '../../src/client.ts';
import type { MutationResult } from '../../src/gen/billing/v1/billing_service.ts';
import type { Balance } from '../../src/gen/billing/v1/ledger.ts';

export type Usage = {
  readonly operation: string;
  readonly count: bigint;
  readonly quantities?: Map<string, bigint>;
  readonly attributes?: Map<string, string>;
};

export type ImportedPurchase = {
  readonly grantId: bigint;
  readonly packId: string;
  readonly paidAt: number;
  readonly left: bigint;
};

export type LoggedRequest =
  | { readonly kind: 'open'; readonly planId: string }
  /** In place of opening it. What the plan grants is as the plan says, and unspent if it has not expired. */
  | {
      readonly kind: 'import';
      readonly planId: string;
      readonly purchases: readonly ImportedPurchase[];
    }
  /** With `usedAt`: it was used then, and is charged late. */
  | { readonly kind: 'charge'; readonly usages: readonly Usage[]; readonly usedAt?: number }
  /** Without `ttlMs`: the plan's TTL. */
  | {
      readonly kind: 'reserve';
      readonly usages: readonly Usage[];
      readonly ttlMs?: number;
      readonly usedAt?: number;
    }
  /** Without `usages`: commits all that is held. */
  | {
      readonly kind: 'commit';
      readonly reservationId: string;
      readonly usages?: readonly Usage[];
      readonly final: boolean;
    }
  | { readonly kind: 'release'; readonly reservationId: string }
  /** Without `credits`: refunds all that is not refunded yet. */
  | { readonly kind: 'refund'; readonly seq: bigint; readonly credits?: bigint }
  | { readonly kind: 'purchase'; readonly packId: string }
  /** An operator voids credits of a pack, or moves its expiry. */
  | { readonly kind: 'void'; readonly grantId: bigint; readonly credits: bigint }
  | { readonly kind: 'extend grant'; readonly grantId: bigint; readonly expiresAt: number }
  | { readonly kind: 'move'; readonly planId: string }
  | { readonly kind: 'close' };

export type LoggedResponse = {
  /** Reason of the failure; empty after a success. */
  readonly refused: string;
  /** Credits charged, reserved, committed, released, refunded, bought or voided. */
  readonly credits: bigint;
  /** The balance in the response; null if it has none. */
  readonly balance: { readonly available: bigint; readonly overage: bigint } | null;
  /** seq of the entry; 0 if there is none. */
  readonly seq: bigint;
  /** Of a reserve. */
  readonly reservationId: string;
  readonly expiresAt: number;
  /** Of a purchase. */
  readonly grantId: bigint;
};

export type LogEntry = {
  /** The time by the service's clock. */
  readonly at: number;
  readonly accountId: string;
  readonly request: LoggedRequest;
  readonly response: LoggedResponse;
};

type AnyResult = NonNullable<MutationResult['result']>;

type Mutations = NonNullable<Parameters<Scrip['billing']['batch']>[0]['mutations']>;
export type MutationRequest = NonNullable<Mutations[number]['mutation']>;

/** The RPC's request. The client completes the partial message. */
export function toMutation(
  accountId: string,
  requestId: string,
  request: LoggedRequest,
): MutationRequest {
  const ids = { accountId, requestId };
  switch (request.kind) {
    case 'open':
      return { $case: 'openAccount', value: { ...ids, planId: request.planId } };
    case 'import':
      throw new Error('accounts are imported from a file');
    case 'charge':
      return {
        $case: 'charge',
        value: { ...ids, usages: { items: [...request.usages] }, ...usedAtOf(request) },
      };
    case 'reserve': {
      const ttl = request.ttlMs && { ttl: { seconds: BigInt(request.ttlMs / 1_000), nanos: 0 } };
      return {
        $case: 'reserve',
        value: { ...ids, usages: { items: [...request.usages] }, ...ttl, ...usedAtOf(request) },
      };
    }
    case 'commit': {
      const { reservationId, usages, final } = request;
      const amount = usages ? { usages: { items: [...usages] } } : { all: true };
      return { $case: 'commit', value: { ...ids, reservationId, ...amount, final } };
    }
    case 'release':
      return { $case: 'release', value: { ...ids, reservationId: request.reservationId } };
    case 'refund': {
      const amount = request.credits === undefined ? { all: true } : { credits: request.credits };
      return {
        $case: 'refund',
        value: { ...ids, seq: request.seq, ...amount, reason: 'a complaint' },
      };
    }
    case 'purchase': {
      const payment = { $case: 'paymentReference', value: `order-${requestId}` } as const;
      return { $case: 'purchase', value: { ...ids, packId: request.packId, payment } };
    }
    case 'void': {
      const { grantId, credits } = request;
      return { $case: 'voidGrant', value: { ...ids, grantId, credits, reason: 'too many' } };
    }
    case 'extend grant': {
      const { grantId, expiresAt } = request;
      const expiry = { expiresAt: new Date(expiresAt) };
      return { $case: 'updateGrant', value: { ...ids, grantId, expiry, reason: 'goodwill' } };
    }
    case 'move':
      return {
        $case: 'moveAccount',
        value: { ...ids, planId: request.planId, reason: 'an upgrade' },
      };
    case 'close':
      return { $case: 'closeAccount', value: ids };
  }
}

const usedAtOf = ({ usedAt }: { readonly usedAt?: number }) =>
  usedAt === undefined ? {} : { usedAt: new Date(usedAt) };

export const EMPTY_RESPONSE: LoggedResponse = {
  refused: '',
  credits: 0n,
  balance: null,
  seq: 0n,
  reservationId: '',
  expiresAt: 0,
  grantId: 0n,
};

export function toResponse(result: AnyResult | undefined): LoggedResponse {
  const success = (
    value: { balance: Balance | undefined; entrySeq?: bigint },
    credits: bigint,
  ) => ({
    ...EMPTY_RESPONSE,
    credits,
    balance: value.balance
      ? { available: value.balance.available, overage: value.balance.overage }
      : null,
    seq: value.entrySeq ?? 0n,
  });
  switch (result?.$case) {
    case 'error':
      return { ...EMPTY_RESPONSE, refused: result.value.reason };
    case 'openAccount':
      return success(result.value, 0n);
    case 'charge':
      return success(result.value, result.value.credits);
    case 'reserve': {
      const { reservation } = result.value;
      return {
        ...success(result.value, reservation?.held ?? 0n),
        reservationId: reservation?.reservationId ?? '',
        expiresAt: reservation?.expiresAt?.getTime() ?? 0,
      };
    }
    case 'commit':
      return success(result.value, result.value.committed);
    case 'release':
      return success(result.value, result.value.released);
    case 'refund':
      return success(result.value, result.value.refunded);
    case 'purchase': {
      const grantId = result.value.grant?.grantId ?? 0n;
      return { ...success(result.value, result.value.purchase?.credits ?? 0n), grantId };
    }
    case 'voidGrant':
      return success(result.value, result.value.voided);
    case 'updateGrant':
      return success(result.value, 0n);
    case 'moveAccount':
      return success(result.value, 0n);
    case 'closeAccount':
      return success(result.value, 0n);
    default:
      throw new Error(`an unexpected result: ${result?.$case}`);
  }
}
