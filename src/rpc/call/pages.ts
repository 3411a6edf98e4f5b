/**
 * Keyset pagination: a page begins after the key of the last row of the page before. The page token
 * holds that key. It is opaque to callers, and valid only for the list and the arguments it was made for.
 */
import { Failure } from '../../failure.ts';
import { type Codec, encodeMessage } from './codec.ts';

/** `list` is the name of the list, followed by the arguments that select its rows. */
export function encodePageToken(list: readonly string[], key: string | bigint): string {
  return Buffer.from(JSON.stringify([...list, String(key)])).toString('base64url');
}

/** The form of a key that is the seq of an entry. */
export const SEQ_KEY = /^[1-9][0-9]{0,18}$/;

/**
 * The key after which the page begins; null for the first page. Throws INVALID_FIELD if the token was
 * made for another list or other arguments, or if its key does not match `keyPattern`.
 */
export function decodePageToken(
  list: readonly string[],
  token: string,
  keyPattern = /^/,
): string | null {
  if (token === '') return null;
  const parts = parseToken(token);
  const key = parts?.at(-1);
  if (
    key !== undefined &&
    keyPattern.test(key) &&
    parts?.length === list.length + 1 &&
    list.every((argument, index) => argument === parts[index])
  )
    return key;
  throw tokenRefused();
}

export function tokenRefused(): Failure {
  const description = 'must be next_page_token of a page of the same list with the same arguments';
  return new Failure('INVALID_FIELD', `page_token ${description}`, { field: 'page_token' }, [
    { field: 'page_token', description },
  ]);
}

function parseToken(token: string): string[] | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(token, 'base64url').toString('utf8'));
    return Array.isArray(value) && value.every((part) => typeof part === 'string') ? value : null;
  } catch {
    return null;
  }
}

/** A page ends at this size, even below the page size: clients refuse messages above 4 MB by default. */
export const PAGE_BYTES_MAX = 3 * 1024 * 1024;

/** The messages of one page, and the token of the next; the token of the last page is empty. */
export function toPage<Row, Message>(
  /** Up to `pageSize + 1` rows: the one too many tells that there is a next page. */
  rows: readonly Row[],
  pageSize: number,
  codec: Codec<Message>,
  toMessage: (row: Row) => Message,
  tokenOf: (row: Row) => string,
): { messages: Message[]; nextPageToken: string } {
  const messages: Message[] = [];
  let bytes = 0;
  for (const row of rows.slice(0, pageSize)) {
    const message = toMessage(row);
    bytes += encodeMessage(codec, message).length;
    if (bytes > PAGE_BYTES_MAX && messages.length > 0) break;
    messages.push(message);
  }
  const last = rows[messages.length - 1];
  return { messages, nextPageToken: last && messages.length < rows.length ? tokenOf(last) : '' };
}
