/**
 * Counts entries into the usage rollups of their accounts: one transaction locks the positions of some accounts,
 * reads what comes after them, adds it to the rows and moves the positions on. So an entry is counted exactly once,
 * whichever replica does it and wherever it is killed.
 */
import { bulkAdd, bulkUpdate } from '../pg/bulk.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import { newestSeqs } from '../queries/entries.ts';
import { type EntryPage, outcomeOf, type PassedEntries, pagesOf } from '../queries/entry-pages.ts';
import {
  countedEntries,
  countedEntriesBySeq,
  entriesOfReservations,
  refundsOf,
} from '../queries/usage-entries.ts';
import {
  type CountedEntry,
  NOTHING_REFERRED,
  type Referred,
  refundedBy,
  reservationsOf,
  tallyUsage,
  type UsageOfPage,
} from '../statements/usage-tally.ts';
import {
  type UsagePosition,
  usagePositions,
  usageQuantities,
  usageRollups,
} from '../store/tables/usage-rollups.ts';

const addRollups = bulkAdd(usageRollups);
const addQuantities = bulkAdd(usageQuantities);
const updatePositions = bulkUpdate(usagePositions);

/**
 * Counts up to about `entriesMax` entries of these accounts. An account whose position is locked is left out
 * (`skip`), or waited for.
 */
export async function rollUp(
  em: Em,
  accountIds: readonly string[],
  entriesMax: number,
  ifLocked: 'skip' | 'wait',
): Promise<PassedEntries> {
  return await em.transactional((em) => rollUpHere(em, accountIds, entriesMax, ifLocked));
}

/** The same in a transaction there is. */
export async function rollUpHere(
  em: Em,
  accountIds: readonly string[],
  entriesMax: number,
  ifLocked: 'skip' | 'wait',
): Promise<PassedEntries> {
  const [positions, newest] = await lock(em, accountIds, ifLocked);
  const pages = pagesOf(positions, newest, entriesMax);
  const counted = await count(em, pages);
  await write(em, pages, counted);
  return outcomeOf(accountIds, pages, newest);
}

type Page = UsagePosition & EntryPage;

/**
 * Positions that are ours now, and the seqs of the newest entries. Those are read after the locks were had: what
 * somebody else has counted meanwhile is not counted again.
 */
async function lock(em: Em, accountIds: readonly string[], ifLocked: 'skip' | 'wait') {
  const [, rows, newest] = await Promise.all([
    query(
      em,
      `insert into usage_positions (account_id, seq)
       select account_id, 0 from accounts where account_id = any($1::text[])
         and not exists (select from usage_positions p where p.account_id = accounts.account_id)
       order by account_id on conflict do nothing`,
      [accountIds],
    ),
    query<never>(
      em,
      `select ${usagePositions.selectList} from usage_positions where account_id = any($1::text[])
       order by account_id for update ${ifLocked === 'skip' ? 'skip locked' : ''}`,
      [accountIds],
    ),
    newestSeqs(em, accountIds),
  ]);
  return [rows.map(usagePositions.read), newest] as const;
}

async function count(em: Em, pages: readonly Page[]): Promise<readonly UsageOfPage[]> {
  const entries = await countedEntries(em, pages);
  return await Promise.all(
    pages.map(async ({ accountId, labels, upTo }, index) => {
      const own = entries[index] ?? [];
      return tallyUsage(own, await referredBy(em, accountId, own, upTo), labels);
    }),
  );
}

async function referredBy(
  em: Em,
  accountId: string,
  entries: readonly CountedEntry[],
  upTo: bigint,
): Promise<Referred> {
  const seqs = refundedBy(entries);
  if (seqs.length === 0 && reservationsOf(entries).length === 0) return NOTHING_REFERRED;
  const [refunded, refunds] = await Promise.all([
    countedEntriesBySeq(em, accountId, seqs),
    refundsOf(em, accountId, seqs, upTo),
  ]);
  const reservationIds = reservationsOf([...entries, ...refunded]);
  const ofReservations = await entriesOfReservations(em, accountId, reservationIds, upTo);
  return { ofReservations, refunded, refunds };
}

async function write(em: Em, pages: readonly Page[], counted: readonly UsageOfPage[]) {
  const forgetting = pages.flatMap(({ accountId }, index) =>
    counted[index]?.forgetsLabels ? [accountId] : [],
  );
  if (forgetting.length > 0) await forgetLabels(em, forgetting);
  const sums = pages.flatMap(({ accountId }, index) =>
    (counted[index]?.sums ?? []).map((sum) => ({ accountId, ...sum })),
  );
  const moved = pages.flatMap(({ accountId, after, upTo }, index) =>
    upTo > after ? [{ accountId, seq: upTo, labels: counted[index]?.labels ?? null }] : [],
  );
  const statements = [
    ...addRollups(
      sums.map((sum) => ({
        ...sum,
        count: sum.count.toString(),
        credits: sum.credits.toString(),
        refunded: sum.refunded.toString(),
      })),
    ),
    ...addQuantities(
      sums.flatMap((sum) =>
        [...sum.quantities].map(([quantity, total]) => ({
          ...sum,
          quantity,
          total: total.toString(),
        })),
      ),
    ),
    ...updatePositions(moved),
  ];
  await Promise.all(statements.map(({ text, parameters }) => query(em, text, parameters)));
}

/** Labels are personal data, which an ERASE_ACCOUNT_DATA entry ends. The undivided rows stay. */
async function forgetLabels(em: Em, accountIds: readonly string[]) {
  for (const { name } of [usageRollups, usageQuantities])
    await query(
      em,
      `delete from ${name} where account_id = any($1::text[]) and (label <> '' or beyond)`,
      [accountIds],
    );
}
