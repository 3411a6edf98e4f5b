/**
 * The token that resumes StreamEvents: where a reader is in the events. It is opaque to readers, so that it
 * can hold more than one position later. Its first byte is the version of its format.
 */
import type { FieldChecker } from '../call/field-checker.ts';

const VERSION = 1;
const BYTES = 9;

export function encodeStreamToken(position: bigint): string {
  const bytes = Buffer.alloc(BYTES);
  bytes[0] = VERSION;
  bytes.writeBigInt64BE(position, 1);
  return bytes.toString('base64url');
}

/** The position after which the stream begins; 0 for an empty token. */
export function decodeStreamToken(field: string, token: string, check: FieldChecker): bigint {
  if (token === '') return 0n;
  const bytes = Buffer.from(token, 'base64url');
  const position = bytes.length === BYTES ? bytes.readBigInt64BE(1) : -1n;
  // Encoding it again finds everything that decoding passes over: other versions, characters, padding.
  if (position >= 0n && encodeStreamToken(position) === token) return position;
  check.addViolation(field, 'must be next_token of a message of StreamEvents');
  return 0n;
}
