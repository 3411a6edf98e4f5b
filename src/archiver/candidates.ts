/** What can be archived: which entries of which accounts, and what keeps the others. */
import { millis } from '../pg/millis.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import { KIND_CODES } from '../store/tables/codes.ts';

/** Entries of an account to be archived: those with after < seq <= upTo. */
export type Candidate = {
  readonly accountId: string;
  readonly after: bigint;
  readonly upTo: bigint;
};

export type CandidatePage = {
  readonly candidates: readonly Candidate[];
  /** After which account the next page begins; null: there are no more. */
  readonly next: string | null;
};

const ACCOUNTS_MAX = 500;

/**
 * An entry stays as long as something that is not done yet counts it: the usage rollups, the roll-forwards, and the
 * statement of a month that is to be closed. All entries of accounts whose data are erased stay: what erases them finds them there.
 */
const ARCHIVABLE = `
  select a.account_id, coalesce(b.seq, 0) as after,
    least(
      coalesce((
        select e.seq - 1 from entries e
        where e.account_id = a.account_id and e.seq > coalesce(b.seq, 0) and e.at >= $1
        order by e.seq limit 1
      ), a.seq),
      coalesce(p.seq, 0),
      coalesce(f.seq, 0),
      case when a.statement_due_at is null then a.seq else coalesce((
        select max(s.last_seq) from statements s where s.account_id = a.account_id
      ), 0) end
    ) as up_to,
    not (
      (b.account_id is not null and b.key is null)
      or (a.state = 'CLOSED' and exists (
        select from entries x
        where x.account_id = a.account_id and x.seq > coalesce(b.seq, 0)
          and x.kind = ${KIND_CODES.ERASE_ACCOUNT_DATA}
      ))
    ) as is_free
  from (
    select account_id, seq, state, statement_due_at from accounts
    where account_id > $2 order by account_id limit ${ACCOUNTS_MAX}
  ) a
  left join archived_accounts b on b.account_id = a.account_id
  left join usage_positions p on p.account_id = a.account_id
  left join roll_forward_positions f on f.account_id = a.account_id
  order by a.account_id`;

type Row = {
  readonly account_id: string;
  readonly after: string;
  readonly up_to: string;
  readonly is_free: boolean;
};

/** Entries from before `end`, of the next accounts after the id `after`. */
export async function findCandidates(em: Em, end: number, after: string): Promise<CandidatePage> {
  const rows = await query<Row>(em, ARCHIVABLE, [new Date(end).toISOString(), after]);
  const candidates = rows.flatMap((row) => {
    const [first, last] = [BigInt(row.after), BigInt(row.up_to)];
    return row.is_free && last > first
      ? [{ accountId: row.account_id, after: first, upTo: last }]
      : [];
  });
  const isLast = rows.length < ACCOUNTS_MAX;
  return { candidates, next: isLast ? null : (rows.at(-1)?.account_id ?? null) };
}

/** The time of the oldest entry that is not archived, in epoch milliseconds; null: there is none. */
export async function oldestEntry(em: Em): Promise<number | null> {
  const [row] = await query<{ at: number | null }>(
    em,
    `select ${millis('min(e.at)', 'at')} from accounts a
     left join archived_accounts b on b.account_id = a.account_id
     cross join lateral (
       select at from entries
       where account_id = a.account_id and seq > coalesce(b.seq, 0) order by seq limit 1
     ) e`,
    [],
  );
  return row?.at ?? null;
}

/** The database's clock, in epoch milliseconds. */
export async function databaseNow(em: Em): Promise<number> {
  const [row] = await query<{ now: number }>(em, `select ${millis('now()', 'now')}`, []);
  return row?.now as number;
}
