/** Page tokens: opaque to callers, bound to the list and arguments they were made for. */
import { Failure } from '../../failure.ts';
import { type Codec, encode } from './encode.ts';

export function pageToken(list: readonly string[], key: string | bigint): string {
  return Buffer.from(JSON.stringify([...list, String(key)])).toString('base64url');
}

/**
 * The key after which the page begins; null for the first page. Throws a Failure on a token that was
 * not made for this list, or whose key is not of its `form`.
 */
export function keyOfPageToken(list: readonly string[], token: string, form = /^/): string | null {
  if (token === '') return null;
  const parts = parse(token);
  const key = parts?.at(-1);
  if (
    key !== undefined &&
    form.test(key) &&
    parts?.length === list.length + 1 &&
    list.every((a, i) => a === parts[i])
  )
    return key;
  const description = 'must be next_page_token of a page of the same list with the same arguments';
  throw new Failure('INVALID_FIELD', `page_token ${description}`, { field: 'page_token' }, [
    { field: 'page_token', description },
  ]);
}

function parse(token: string): string[] | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(token, 'base64url').toString('utf8'));
    return Array.isArray(value) && value.every((part) => typeof part === 'string') ? value : null;
  } catch {
    return null;
  }
}

/** A page is cut at so many bytes: clients refuse messages above 4 MB unless told otherwise. */
const PAGE_BYTES_MAX = 3 * 1024 * 1024;

/** The messages of a page, and the token of the next one; `found` is one more than `limit` if there is one. */
export function cutPage<Noun, Message>(
  found: readonly Noun[],
  limit: number,
  codec: Codec<Message>,
  toMessage: (noun: Noun) => Message,
  tokenOf: (noun: Noun) => string,
): { messages: Message[]; nextPageToken: string } {
  const messages: Message[] = [];
  let bytes = 0;
  for (const noun of found.slice(0, limit)) {
    const message = toMessage(noun);
    bytes += encode(codec, message).length;
    if (bytes > PAGE_BYTES_MAX && messages.length > 0) break;
    messages.push(message);
  }
  const last = found[messages.length - 1];
  return { messages, nextPageToken: last && messages.length < found.length ? tokenOf(last) : '' };
}
