/** The order of account ids. The sort order of a database decides it: it may be that of bytes, or of words. */
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';

/** Compares any two of the ids. */
export async function compareIdsAs(
  em: Em,
  accountIds: Iterable<string>,
): Promise<(one: string, other: string) => number> {
  const ids = [...new Set(accountIds)];
  if (ids.length < 2) return () => 0;
  const rows = await query<{ account_id: string }>(
    em,
    'select account_id from unnest($1::text[]) as n(account_id) order by account_id',
    [ids],
  );
  const places = new Map(rows.map(({ account_id }, place) => [account_id, place]));
  const placeOf = (id: string) => places.get(id) as number;
  return (one, other) => placeOf(one) - placeOf(other);
}
