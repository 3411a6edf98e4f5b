/**
 * Counts entries into the sums of roll-forwards. One transaction locks the positions of some accounts, adds what
 * comes after them and moves the positions on: an entry counts exactly once, whichever replica counts it and
 * wherever it is killed. PostgreSQL does all of it; no entry is sent.
 */
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import { allCurrencies } from '../pricing/currencies.ts';
import { allowScans } from '../queries/allow-scans.ts';
import { newestSeqs } from '../queries/entries.ts';
import {
  type EntryPage,
  type EntryPosition,
  outcomeOf,
  type PassedEntries,
  pagesOf,
} from '../queries/entry-pages.ts';
import { COUNT_SQL } from './count-sql.ts';

/** Counts up to `entriesMax` entries of these accounts. An account that somebody else counts is left out, or waited for. */
export async function countMovements(
  em: Em,
  accountIds: readonly string[],
  entriesMax: number,
  ifLocked: 'skip' | 'wait',
): Promise<PassedEntries> {
  return await em.transactional((em) => countHere(em, accountIds, entriesMax, ifLocked));
}

/** The same in a transaction there is. */
export async function countHere(
  em: Em,
  accountIds: readonly string[],
  entriesMax: number,
  ifLocked: 'skip' | 'wait',
): Promise<PassedEntries> {
  await insertPositions(em, accountIds);
  const ours = await lock(em, accountIds, ifLocked);
  // After the locks were had: what somebody else has counted meanwhile is not counted again.
  const newest = await newestSeqs(em, accountIds);
  const pages = pagesOf(ours, newest, entriesMax);
  await count(em, pages);
  return outcomeOf(accountIds, pages, newest);
}

async function insertPositions(em: Em, accountIds: readonly string[]) {
  await query(
    em,
    `insert into roll_forward_positions (account_id, seq, plan_id, remaining)
     select a.account_id, 0, coalesce(e.plan_id, a.plan_id), '{}'
     from accounts a left join entries e on e.account_id = a.account_id and e.seq = 1
     where a.account_id = any($1::text[])
       and not exists (select from roll_forward_positions p where p.account_id = a.account_id)
     order by a.account_id on conflict do nothing`,
    [accountIds],
  );
}

/** The positions that are ours now. */
async function lock(
  em: Em,
  accountIds: readonly string[],
  ifLocked: 'skip' | 'wait',
): Promise<readonly EntryPosition[]> {
  const rows = await query<{ account_id: string; seq: string }>(
    em,
    `select account_id, seq from roll_forward_positions where account_id = any($1::text[])
     order by account_id for update ${ifLocked === 'skip' ? 'skip locked' : ''}`,
    [accountIds],
  );
  return rows.map(({ account_id: accountId, seq }) => ({ accountId, seq: BigInt(seq) }));
}

const OTHER_DECIMALS = allCurrencies().filter(({ decimals }) => decimals !== 2);

async function count(em: Em, pages: readonly EntryPage[]) {
  const toCount = pages.filter(({ after, upTo }) => upTo > after);
  if (toCount.length === 0) return;
  await allowScans(em);
  await query(em, COUNT_SQL, [
    toCount.map(({ accountId }) => accountId),
    toCount.map(({ upTo }) => upTo),
    OTHER_DECIMALS.map(({ code }) => code),
    OTHER_DECIMALS.map(({ decimals }) => decimals),
  ]);
}
