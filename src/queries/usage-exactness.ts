/** Up to where usage rollups count the entries that there are. */
import { millis } from '../pg/millis.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { PositionTable } from './uncounted-accounts.ts';

export type Exactness = {
  /** Of one account: every entry up to it is counted. Null: of several accounts. */
  readonly upToSeq: bigint | null;
  /** The time of the oldest entry that is not counted; the present time if all are. */
  readonly before: number;
};

/** The oldest entry that is not counted. Few accounts have one: entries are read for those only, by their key. */
const uncounted = (positions: PositionTable, condition: string) => `
  select ${millis('min(next.at)', 'at')} from accounts a
  left join ${positions} p on p.account_id = a.account_id
  cross join lateral (
    select at from entries e where e.account_id = a.account_id and e.seq = coalesce(p.seq, 0) + 1 limit 1
  ) next
  where a.seq > coalesce(p.seq, 0) and ${condition}`;

/** Of one account, or of all there are. */
export async function exactnessOf(
  em: Em,
  { of }: { readonly of: { readonly accountId: string } | object | null },
  now: number,
): Promise<Exactness> {
  if (!of || !('accountId' in of)) {
    return { upToSeq: null, before: await exactBefore(em, 'usage_positions', now) };
  }
  const [[position], [row]] = await Promise.all([
    query<{ seq: string }>(em, 'select seq from usage_positions where account_id = $1', [
      of.accountId,
    ]),
    query<{ at: number | null }>(em, uncounted('usage_positions', 'a.account_id = $1'), [
      of.accountId,
    ]),
  ]);
  return { upToSeq: BigInt(position?.seq ?? 0), before: row?.at ?? now };
}

/** The time of the oldest entry of any account that is not counted; `now` if all are. */
export async function exactBefore(em: Em, positions: PositionTable, now: number): Promise<number> {
  const [row] = await query<{ at: number | null }>(em, uncounted(positions, 'true'), []);
  return row?.at ?? now;
}
