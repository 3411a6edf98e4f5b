/**
 * What an account used in a calendar month, counted from its entries page by page. No lock is needed:
 * entries never change, and the unit of work that closes the month makes sure that no more were added.
 */
import type { Archive } from '../archive/archive.ts';
import type { Account } from '../ledger/account.ts';
import { monthNameAt, nameOfMonth, type Period } from '../ledger/periods/period.ts';
import type { MonthUsage } from '../ledger/statement.ts';
import type { Em } from '../pg/orm.ts';
import { LATE_USAGE_MAX_MS } from '../pricing/plan.ts';
import { attributeEntries } from '../statements/attributions.ts';
import {
  type CountedMonth,
  type LookupResults,
  type Lookups,
  MonthTally,
  type RefundedEntry,
} from '../statements/month-tally.ts';
import { lastSeqBefore, newestLateUsage } from './entries.ts';
import { findGrantsById } from './grants.ts';
import { findStatement } from './statements.ts';
import { UsageEntries } from './usage-entries.ts';

/** Entries in one page. */
const PAGE_SIZE = 2_000n;

export type UsageOfMonth = MonthUsage & Pick<CountedMonth, 'afterSeq' | 'lastSeq'>;

/** Of a month of the account. Entries newer than `account` are not counted. */
export async function countMonth(
  em: Em,
  archive: Archive,
  account: Account,
  { from, until }: Period,
): Promise<UsageOfMonth> {
  const { accountId, seq, lastAt, timeZones } = account;
  const before = await findStatement(em, accountId, monthNameAt(timeZones, from - 1));
  const afterSeq = before?.lastSeq ?? (await lastSeqBefore(em, archive, accountId, from, seq));
  const lastSeq = lastAt < until ? seq : await lastSeqBefore(em, archive, accountId, until, seq);

  const entries = new UsageEntries(em, archive, accountId);
  const month = { name: nameOfMonth({ from, until }), afterSeq, lastSeq };
  const tally = new MonthTally(month, (at) => monthNameAt(timeZones, at));
  const end = await lastSeqOfLateUsage(em, archive, account, until, lastSeq);
  for (let after = afterSeq; after < end; after += PAGE_SIZE) {
    const upTo = after + PAGE_SIZE < end ? after + PAGE_SIZE : end;
    const page = await entries.between(after, upTo);
    const lookups = tally.lookupsFor(page);
    tally.addEntries(page, await lookUp(em, entries, lookups, after, afterSeq));
  }
  return { ...tally.result(), afterSeq, lastSeq };
}

/** The last entry, recorded after a month, whose usage can be of it; the last of the month where there is none. */
async function lastSeqOfLateUsage(
  em: Em,
  archive: Archive,
  { accountId, seq, archivedSeq }: Account,
  until: number,
  lastSeq: bigint,
): Promise<bigint> {
  if (lastSeq === seq) return lastSeq;
  const last = await lastSeqBefore(em, archive, accountId, until + LATE_USAGE_MAX_MS, seq);
  // Files are not searched: what they have of this time is counted, whether or not it has late usage.
  const searched = archivedSeq !== null && archivedSeq > lastSeq ? archivedSeq : lastSeq;
  return (
    (await newestLateUsage(em, accountId, searched, last)) ?? (searched < last ? searched : last)
  );
}

/** What the entries of a page refer to. The page begins after one seq, its month after another. */
async function lookUp(
  em: Em,
  entries: UsageEntries,
  { reservationIds, refundedSeqs, grantIds }: Lookups,
  pageAfter: bigint,
  monthAfter: bigint,
): Promise<LookupResults> {
  const grants = await findGrantsById(em, entries.accountId, grantIds);
  return {
    earlier: await entries.ofReservations(reservationIds, pageAfter),
    refunded: await lookUpRefunded(entries, refundedSeqs, monthAfter),
    categories: new Map(grants.map(({ grantId, category }) => [grantId, category])),
  };
}

/** The entries that refunds give back, and for those of the same month what they were used for. */
async function lookUpRefunded(
  usage: UsageEntries,
  seqs: readonly bigint[],
  monthAfter: bigint,
): Promise<ReadonlyMap<bigint, RefundedEntry>> {
  const entries = await usage.bySeq(seqs);
  const ofMonth = entries.filter(({ seq }) => seq > monthAfter);
  const withoutUsages = ofMonth.filter(
    ({ kind, usages }) => kind === 'COMMIT' && usages.length === 0,
  );
  const newest = withoutUsages.reduce((max, { seq }) => (seq > max ? seq : max), 0n);
  const reservationIds = new Set(withoutUsages.flatMap((entry) => entry.reservationId ?? []));
  const used = new Map([
    ...attributeEntries(await usage.ofReservations([...reservationIds], newest)),
    ...attributeEntries(ofMonth.filter((entry) => !withoutUsages.includes(entry))),
  ]);
  return new Map(
    entries.map(({ seq, at, usedAt }) => [seq, { at: usedAt ?? at, used: used.get(seq) ?? [] }]),
  );
}
