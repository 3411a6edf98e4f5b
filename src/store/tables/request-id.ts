/**
 * Request ids as bytes. Most are UUIDs in their usual form, which take 16 bytes. Any other is its UTF-8; one
 * that would be taken for a UUID because of its length is preceded by a zero byte. The SQL functions
 * `request_id_to_bytes` and `request_id_to_text` of docs/schema.sql do the same.
 */
import { createHash } from 'node:crypto';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const UUID_BYTES = 16;

export function requestIdToBytes(requestId: string): Uint8Array {
  if (requestId.length === 36 && UUID.test(requestId))
    return Buffer.from(requestId.replaceAll('-', ''), 'hex');
  const bytes = Buffer.from(requestId, 'utf8');
  return bytes.length === UUID_BYTES ? Buffer.concat([Buffer.of(0), bytes]) : bytes;
}

export function requestIdToText(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (buffer.length !== UUID_BYTES) return buffer.toString('utf8', buffer[0] === 0 ? 1 : 0);
  const hex = buffer.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** Bytes of the key of an archived request. */
export const REQUEST_KEY_BYTES = 16;

/** What `archived_requests` has of a request: the account has one of this method and id. */
export const archivedRequestKey = (methodCode: number, requestId: Uint8Array): Buffer =>
  createHash('sha256')
    .update(Uint8Array.of(methodCode))
    .update(requestId)
    .digest()
    .subarray(0, REQUEST_KEY_BYTES);
