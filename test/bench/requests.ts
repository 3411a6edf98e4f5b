/**
 * Cheap requests: each kind is encoded once with placeholders of the right length. A request is a copy
 * in which account, request id and reservation overwrite the placeholders.
 */

import { randomUUID } from 'node:crypto';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import {
  BatchRequest,
  ChargeRequest,
  CommitRequest,
  EstimateRequest,
  ExtendReservationRequest,
  GetBalanceRequest,
  type Mutation,
  PurchaseRequest,
  ReleaseRequest,
  ReserveRequest,
  StreamHistoryRequest,
} from '../../src/gen/billing/v1/billing_service.ts';
import type { Usage } from '../../src/gen/billing/v1/pricing.ts';
import { mapOf } from '../../src/map-of.ts';

const ACCOUNT = '~account';
const REQUEST = '~request'.padEnd(36, '~');
const RESERVATION = '~reservation'.padEnd(36, '~');

export class Template {
  readonly #encoded: Buffer;
  readonly #accountAt: number;
  /** Two for a purchase, whose payment reference is its request id. */
  readonly #requestAt: readonly number[];
  readonly #reservationAt: number;

  constructor(encoded: Uint8Array) {
    this.#encoded = Buffer.from(encoded);
    this.#accountAt = this.#encoded.indexOf(ACCOUNT);
    this.#reservationAt = this.#encoded.indexOf(RESERVATION);
    const first = this.#encoded.indexOf(REQUEST);
    const second = first < 0 ? -1 : this.#encoded.indexOf(REQUEST, first + 1);
    this.#requestAt = [first, second].filter((at) => at >= 0);
  }

  /** A request with a new request id. */
  make(accountId: string, reservationId = ''): Buffer {
    const bytes = Buffer.allocUnsafe(this.#encoded.length);
    this.#write(bytes, 0, accountId, reservationId);
    return bytes;
  }

  /** One request per target, concatenated: the mutations of a batch. */
  makeAll(targets: readonly { accountId: string; reservationId?: string }[]): Buffer {
    const { length } = this.#encoded;
    const bytes = Buffer.allocUnsafe(length * targets.length);
    targets.forEach(({ accountId, reservationId }, index) => {
      this.#write(bytes, index * length, accountId, reservationId ?? '');
    });
    return bytes;
  }

  #write(bytes: Buffer, at: number, accountId: string, reservationId: string) {
    this.#encoded.copy(bytes, at);
    bytes.write(accountId, at + this.#accountAt, 'latin1');
    const requestId = this.#requestAt.length > 0 ? randomUUID() : '';
    for (const place of this.#requestAt) bytes.write(requestId, at + place, 'latin1');
    if (this.#reservationAt >= 0) bytes.write(reservationId, at + this.#reservationAt, 'latin1');
  }
}

export const usage = (
  operation: string,
  quantities: Record<string, bigint> = {},
  attributes: Record<string, string> = {},
): Usage => ({
  operation,
  quantities: mapOf(quantities),
  attributes: mapOf(attributes),
  count: 1n,
});

/** The usage of nearly every case: 20 credits of the plan `verts`. */
export const UPSCALE = usage('image.upscale', { scale_factor: 4n });

const addressed = { accountId: ACCOUNT, requestId: REQUEST };
/** Longer than the benchmark: nothing expires meanwhile. */
const ttl = { seconds: 86_400n, nanos: 0 };

const reserveOf = (used: Usage) =>
  ReserveRequest.fromPartial({
    ...addressed,
    usages: { items: [used] },
    ttl,
    reference: 'job-20261104',
  });
const commitOf = (usages: Usage[]) =>
  CommitRequest.fromPartial({
    ...addressed,
    reservationId: RESERVATION,
    ...(usages.length > 0 ? { usages: { items: usages } } : { all: true }),
  });

const encoded = (request: { finish(): Uint8Array }) => new Template(request.finish());

export const reserveRequest = (used: Usage) => encoded(ReserveRequest.encode(reserveOf(used)));
export const labelledRequest = () =>
  encoded(ReserveRequest.encode({ ...reserveOf(UPSCALE), labels: mapOf({ user: 'user-17' }) }));
/** Commits what is held, or these usages. */
export const commitRequest = (...usages: Usage[]) =>
  encoded(CommitRequest.encode(commitOf(usages)));
export const releaseRequest = () =>
  encoded(
    ReleaseRequest.encode(ReleaseRequest.fromPartial({ ...addressed, reservationId: RESERVATION })),
  );
/** Each takes the same time from now, so that it ends a little later than before. */
export const extendRequest = () =>
  encoded(
    ExtendReservationRequest.encode({
      ...addressed,
      reservationId: RESERVATION,
      ttl,
      notAfter: undefined,
    }),
  );
export const chargeRequest = (used: Usage) =>
  encoded(
    ChargeRequest.encode(ChargeRequest.fromPartial({ ...addressed, usages: { items: [used] } })),
  );
export const estimateRequest = (used: Usage) =>
  encoded(
    EstimateRequest.encode(
      EstimateRequest.fromPartial({ accountId: ACCOUNT, usages: { items: [used] } }),
    ),
  );
export const balanceRequest = () =>
  encoded(GetBalanceRequest.encode({ accountId: ACCOUNT, includeGrants: false }));
export const purchaseRequest = (packId: string) =>
  encoded(
    PurchaseRequest.encode(
      PurchaseRequest.fromPartial({
        ...addressed,
        packId,
        payment: { $case: 'paymentReference', value: REQUEST },
      }),
    ),
  );
export const historyRequest = () =>
  encoded(StreamHistoryRequest.encode(StreamHistoryRequest.fromPartial({ accountId: ACCOUNT })));

const mutation = (one: NonNullable<Mutation['mutation']>) =>
  encoded(BatchRequest.encode({ mutations: [{ mutation: one, traceparent: '' }], atomic: false }));
/** One mutation of a BatchRequest; several, concatenated, are a BatchRequest. */
export const reserveMutation = (used: Usage) =>
  mutation({ $case: 'reserve', value: reserveOf(used) });
export const commitMutation = () => mutation({ $case: 'commit', value: commitOf([]) });

/** Field 2 of field 1: every response with a reservation has its id there. */
export function reservationIdOf(response: Uint8Array): string {
  const reader = new BinaryReader(response);
  reader.uint32();
  reader.uint32();
  reader.uint32();
  reader.skip(2);
  reader.uint32();
  return reader.string();
}

/** Calls `visit` with each element of a repeated message in field 1. */
export function eachOfField1(message: Uint8Array, visit: (element: Uint8Array) => void) {
  const reader = new BinaryReader(message);
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag >>> 3 === 1) visit(reader.bytes());
    else reader.skip(tag & 7);
  }
}
