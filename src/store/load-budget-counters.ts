/** Counters of budgets, which units of work read of accounts that have budgets. */
import type { BudgetCounter, BudgetCounterKey } from '../ledger/budget.ts';
import type { RefundableEntry } from '../ledger/refundable.ts';
import { binaryArray } from '../pg/binary-array.ts';
import { millis } from '../pg/millis.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Row } from '../pg/table.ts';
import { budgetCounters } from './tables/budgets.ts';
import { kindCodes } from './tables/codes.ts';

/** A counter of an account. Of a cached account, the row version that it must still have; null: it is locked. */
export type CounterToLoad = BudgetCounterKey & {
  readonly accountId: string;
  readonly version: bigint | null;
};

/**
 * The counters that have a row. Those of cached accounts are found only at the cached version: where it is another,
 * the update of the account will fail.
 */
export async function loadBudgetCounters(
  em: Em,
  counters: readonly CounterToLoad[],
): Promise<BudgetCounter[]> {
  if (counters.length === 0) return [];
  const rows = await query<Row>(
    em,
    `select ${budgetCounters.selectListOf('c')}
     from unnest($1::text[], $2::bigint[], $3::timestamptz[], $4::text[], $5::bigint[])
       as n(account_id, since, period_from, value, version)
     join budget_counters c using (account_id, since, period_from, value)
     left join accounts a on n.version is not null and a.account_id = n.account_id
     where n.version is null or a.version = n.version`,
    [
      binaryArray('text', counters, ({ accountId }) => accountId),
      binaryArray('bigint', counters, ({ since }) => since),
      binaryArray('instant', counters, ({ periodFrom }) => periodFrom),
      binaryArray('text', counters, ({ value }) => value),
      binaryArray('bigint', counters, ({ version }) => version),
    ],
  );
  return rows.map(budgetCounters.read);
}

type JobStart = {
  readonly account_id: string;
  readonly reservation_id: string;
  readonly seq: string;
  readonly recorded_at: number;
  /** When its work was done, if the caller said so. */
  readonly used_at: number | null;
};

/** Finds the first entries of the jobs that commits belong to. */
export async function loadJobStarts(em: Em, commits: readonly RefundableEntry[]): Promise<void> {
  if (commits.length === 0) return;
  const rows = await query<JobStart>(
    em,
    `select account_id, reservation_id, seq,
       ${millis('at', 'recorded_at')}, (content ->> 't')::float8 as used_at from entries
     where reservation_id = any($1::uuid[]) and kind = ${kindCodes('RESERVE')}`,
    [[...new Set(commits.map(({ reservationId }) => reservationId))]],
  );
  const starts = new Map(rows.map((row) => [`${row.account_id} ${row.reservation_id}`, row]));
  for (const commit of commits) {
    const start = starts.get(`${commit.accountId} ${commit.reservationId}`);
    if (start) commit.start = { seq: BigInt(start.seq), at: start.used_at ?? start.recorded_at };
  }
}
