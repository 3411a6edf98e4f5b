/** A BatchRequest of mutations that are encoded one by one, each when it is made. */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import {
  BatchResponse,
  BillingServiceDefinition,
  Mutation,
} from '../gen/billing/v1/billing_service.ts';
import type { Route } from '../method.ts';
import type { BatchedMutation } from './batched-mutation.ts';

/** Number of the field `mutations`. */
const MUTATIONS_FIELD = 1;

/** The mutation as an element of a BatchRequest. */
export function encodeMutation({ content, options }: BatchedMutation): Uint8Array {
  const message = { mutation: content, traceparent: options.traceparent ?? '' };
  const writer = new BinaryWriter().tag(MUTATIONS_FIELD, WireType.LengthDelimited).fork();
  return Mutation.encode(message, writer).join().finish();
}

/** Batch, with a request that is the encoded mutations: an encoded list is its elements, one after the other. */
export const BATCH: Route<readonly Uint8Array[], BatchResponse> = {
  ...BillingServiceDefinition.methods.batch,
  path: `/${BillingServiceDefinition.fullName}/${BillingServiceDefinition.methods.batch.name}`,
  requestType: {
    encode: (mutations, writer = new BinaryWriter()) => writer.raw(Buffer.concat(mutations)),
    decode: () => [],
    toJSON: () => [],
    fromPartial: () => [],
  },
  responseType: BatchResponse,
};
