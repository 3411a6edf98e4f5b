/**
 * Reads what an account used in a month from its entries, a bounded stretch at a time and without a
 * lock: entries never change, and closing makes sure that no more come.
 */

import type { Account } from '../ledger/account.ts';
import type { EntryKind } from '../ledger/entry.ts';
import type { GrantCategory } from '../ledger/grant.ts';
import { formatMonth, monthStart } from '../ledger/month.ts';
import type { MonthUsage } from '../ledger/statement.ts';
import { millis } from '../pg/millis.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Row } from '../pg/table.ts';
import type { UsageEntry } from '../statements/attributions.ts';
import {
  attributeEntries,
  type LookupResults,
  type Lookups,
  MonthTally,
  type RefundedEntry,
} from '../statements/month-tally.ts';
import { loadGrants } from '../store/load.ts';
import { loadStatement } from '../store/statements.ts';
import { entries as table } from '../store/tables/entries.ts';
import { lastSeqBefore } from './history.ts';

/** Entries in one stretch. */
const PAGE_SIZE = 2_000n;

export type MonthRead = MonthUsage & {
  readonly afterSeq: bigint;
  readonly lastSeq: bigint;
};

/** The month that begins at `start`; `account` is as it was read before. */
export async function readMonth(em: Em, account: Account, start: number): Promise<MonthRead> {
  const { accountId, seq, lastAt } = account;
  const before = await loadStatement(em, accountId, formatMonth(monthStart(start, -1)));
  const afterSeq = before?.lastSeq ?? (await lastSeqBefore(em, accountId, start, seq));
  const end = monthStart(start, 1);
  const lastSeq = lastAt < end ? seq : await lastSeqBefore(em, accountId, end, seq);

  const tally = new MonthTally(afterSeq);
  for (let after = afterSeq; after < lastSeq; after += PAGE_SIZE) {
    const upTo = after + PAGE_SIZE < lastSeq ? after + PAGE_SIZE : lastSeq;
    const entries = await readStretch(em, accountId, after, upTo);
    const wanted = tally.lookupsFor(entries);
    tally.addEntries(entries, await lookUp(em, accountId, wanted, after, afterSeq));
  }
  return { ...tally.result(), afterSeq, lastSeq };
}

const { selectList, read } = table.pick(
  'seq',
  'kind',
  'at',
  'moves',
  'usages',
  'reservationId',
  'refundedSeq',
);

const KINDS: readonly EntryKind[] = ['RESERVE', 'COMMIT', 'RELEASE', 'EXPIRE', 'CHARGE', 'REFUND'];

async function readStretch(em: Em, accountId: string, after: bigint, upTo: bigint) {
  const rows = await query<Row>(
    em,
    `select ${selectList} from entries
     where account_id = $1 and seq > $2 and seq <= $3 and kind = any($4::text[]) order by seq`,
    [accountId, after, upTo, KINDS],
  );
  return rows.map(toUsageEntry);
}

function toUsageEntry(row: Row): UsageEntry {
  const { usages, ...entry } = read(row);
  return {
    ...entry,
    usages: usages.map(({ usage: { operation, count }, credits }) => ({
      operation,
      count,
      credits,
    })),
  };
}

async function lookUp(
  em: Em,
  accountId: string,
  { reservationIds, refundedSeqs, grantIds }: Lookups,
  after: bigint,
  monthAfter: bigint,
): Promise<LookupResults> {
  const named = grantIds.map((key) => ({ accountId, key }));
  const grants = await loadGrants(em, named);
  return {
    earlier: await readReservations(em, accountId, reservationIds, after),
    refunded: await readRefunded(em, accountId, refundedSeqs, monthAfter),
    categories: new Map(
      grants.map(({ grantId, category }): [bigint, GrantCategory] => [grantId, category]),
    ),
  };
}

/** What refunds of the month give back, with what it was used for if that was in the month, too. */
async function readRefunded(
  em: Em,
  accountId: string,
  seqs: readonly bigint[],
  monthAfter: bigint,
): Promise<ReadonlyMap<bigint, RefundedEntry>> {
  if (seqs.length === 0) return new Map();
  const rows = await query<Row>(
    em,
    `select ${selectList} from entries where account_id = $1 and seq = any($2::bigint[])`,
    [accountId, seqs],
  );
  const entries = rows.map(toUsageEntry);
  const ofMonth = entries.filter(({ seq }) => seq > monthAfter);
  const unnamed = ofMonth.filter(({ kind, usages }) => kind === 'COMMIT' && usages.length === 0);
  const newest = unnamed.reduce((max, { seq }) => (seq > max ? seq : max), 0n);
  const reservationIds = unnamed.flatMap(({ reservationId }) => reservationId ?? []);
  const others = ofMonth.filter((entry) => !unnamed.includes(entry));
  const used = new Map([
    ...attributeEntries(
      await readReservations(em, accountId, [...new Set(reservationIds)], newest),
    ),
    ...attributeEntries(others),
  ]);
  return new Map(entries.map(({ seq, at }) => [seq, { at, used: used.get(seq) ?? [] }]));
}

/**
 * The RESERVE and COMMIT entries of reservations up to a seq. Entries have no index by reservation:
 * reservations say when they were made, and so from where on to look.
 */
async function readReservations(
  em: Em,
  accountId: string,
  reservationIds: readonly string[],
  upTo: bigint,
): Promise<readonly UsageEntry[]> {
  if (reservationIds.length === 0) return [];
  const [made] = await query<{ first: number | null }>(
    em,
    `select ${millis('min(created_at)', 'first')} from reservations
     where account_id = $1 and reservation_id = any($2::uuid[])`,
    [accountId, reservationIds],
  );
  if (made?.first === null || made === undefined) return [];
  const entries: UsageEntry[] = [];
  let after = await lastSeqBefore(em, accountId, made.first, upTo);
  for (; after < upTo; after += READ_AHEAD) {
    const rows = await query<Row>(
      em,
      `select ${selectList} from entries
       where account_id = $1 and seq > $2 and seq <= least($3::bigint, $4::bigint)
         and kind in ('RESERVE', 'COMMIT') and reservation_id = any($5::uuid[]) order by seq`,
      [accountId, after, after + READ_AHEAD, upTo, reservationIds],
    );
    entries.push(...rows.map(toUsageEntry));
  }
  return entries;
}

/** Few of these entries are read: most belong to other reservations. */
const READ_AHEAD = 20_000n;
