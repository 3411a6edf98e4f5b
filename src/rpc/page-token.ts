/** Page tokens: opaque to callers, bound to the list and arguments they were made for. */
import { Failure } from '../failure.ts';

export function pageToken(list: readonly string[], key: string | bigint): string {
  return Buffer.from(JSON.stringify([...list, String(key)])).toString('base64url');
}

/** The key after which the page begins; null for the first page. Throws a Failure on a foreign token. */
export function keyOfPageToken(list: readonly string[], token: string): string | null {
  if (token === '') return null;
  const parts = parse(token);
  const key = parts?.at(-1);
  if (
    key !== undefined &&
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
