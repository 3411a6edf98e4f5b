/** Decodes requests exactly: what a request says is in the message, or the request is refused. */
import type { DescMessage } from '@bufbuild/protobuf';
import { Failure } from '../../failure.ts';
import { invalidField } from '../../ledger/failures.ts';
import { findWireFault, type WireFault } from './wire-check.ts';
import { compileWireSchema } from './wire-schema.ts';

/** Decodes a request of the type `input`, or returns MESSAGE_UNDECODABLE, or INVALID_FIELD for too many values. */
export function requestDecoder<Request>(
  input: DescMessage,
  decode: (bytes: Buffer) => Request,
): (bytes: Buffer) => Request | Failure {
  const schema = compileWireSchema(input);
  return (bytes) => {
    const fault = findWireFault(schema, bytes);
    if (fault === null) return decode(bytes);
    return fault.exceedsLimit
      ? invalidField(fault.field, fault.description)
      : messageUndecodable(fault);
  };
}

export function messageUndecodable({ field, description }: WireFault): Failure {
  const message = `the request cannot be decoded: ${field || 'it'} ${description}`;
  const violations = field === '' ? [] : [{ field, description }];
  return new Failure('MESSAGE_UNDECODABLE', message, { field }, violations);
}
