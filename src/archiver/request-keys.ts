/** The rows of `archived_requests`: hashes in their order, cut into rows that PostgreSQL stores four to a page. */
import { REQUEST_KEY_BYTES } from '../store/tables/request-id.ts';

/** With an account id of 64 bytes a row stays below the 2 KB beyond which PostgreSQL stores values elsewhere. */
const KEYS_MAX = 112;

export type KeyRow = { readonly firstKey: Buffer; readonly keys: Buffer };

/** The rows that have these keys; of equal keys one. */
export function keyRows(keys: readonly Buffer[]): readonly KeyRow[] {
  const sorted = keys.toSorted(Buffer.compare);
  const distinct = sorted.filter((key, index) => index === 0 || !key.equals(sorted[index - 1]!));
  const rows: KeyRow[] = [];
  for (let from = 0; from < distinct.length; from += KEYS_MAX) {
    const ofRow = distinct.slice(from, from + KEYS_MAX);
    rows.push({ firstKey: ofRow[0] as Buffer, keys: Buffer.concat(ofRow) });
  }
  return rows;
}

/** The keys of a row. */
export const keysOf = (keys: Buffer): readonly Buffer[] =>
  Array.from({ length: keys.length / REQUEST_KEY_BYTES }, (_, index) =>
    keys.subarray(index * REQUEST_KEY_BYTES, (index + 1) * REQUEST_KEY_BYTES),
  );
