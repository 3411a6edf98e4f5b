/**
 * Archives whole months of entries, the oldest first, part by part. What an earlier run has begun is finished before
 * anything new: a part that is recorded, and whose entries have not all left the database.
 */
import { openRecorded } from '../archive/archive.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Row } from '../pg/table.ts';
import { archiveFiles } from '../store/tables/archive.ts';
import { type Candidate, databaseNow, findCandidates, oldestEntry } from './candidates.ts';
import { finishPart, type WriteCheckpoint } from './finish-part.ts';
import { lockAsArchiver } from './lock.ts';
import { monthsFrom } from './months.ts';
import { partOf, writePart } from './write-part.ts';

export type ArchiverOptions = {
  /** Works under the role scrip_archiver, on one connection: it holds the lock of the archiver. */
  readonly em: () => Em;
  readonly directory: string;
  /** Where files of earlier runs can be, too. */
  readonly earlierDirectory?: string | null;
  /** Entries from before this first moment of a month, in epoch milliseconds. */
  readonly before: number;
  /** Entries of a part at most. */
  readonly partMax: number;
  readonly writeCheckpoint: WriteCheckpoint;
  /** Told of each part once its entries have left the database. */
  readonly onPart: (part: ArchivedPart) => void;
};

export type ArchivedPart = {
  readonly name: string;
  readonly entries: bigint;
  readonly bytes: bigint;
  /** Rows that were deleted: fewer than entries, where jobs go on after the month. */
  readonly deleted: number;
  /** How long it took to take them out of the database. */
  readonly ms: number;
};

/** Reservations that expired less long ago may be committed late, under plans with a grace period of months. */
const LATE_MS = 92 * 86_400_000;

/** Rejects where another archiver works on the database or slots leave the cell. The next run continues one that failed. */
export async function archive(options: ArchiverOptions): Promise<void> {
  const { em, before } = options;
  await lockAsArchiver(em());
  await finishAll(options);
  const oldest = await oldestEntry(em());
  if (oldest === null) return;
  for (const { month, end } of monthsFrom(oldest, before)) {
    let part = await newestPart(em(), month);
    for await (const candidates of partsOf(em, end, options.partMax)) {
      part += 1;
      const entries = await writePart(em, options.directory, partOf(month, part), candidates);
      if (entries > 0) await finishAll(options);
    }
  }
}

export type MonthToArchive = {
  readonly month: string;
  readonly accounts: number;
  readonly entries: bigint;
};

/** What `archive` would do, month by month. */
export async function planArchive(
  em: () => Em,
  before: number,
): Promise<readonly MonthToArchive[]> {
  const months: MonthToArchive[] = [];
  const oldest = await oldestEntry(em());
  if (oldest === null) return months;
  const reached = new Map<string, bigint>();
  for (const { month, end } of monthsFrom(oldest, before)) {
    let accounts = 0;
    let entries = 0n;
    for (let after: string | null = ''; after !== null; ) {
      const page = await findCandidates(em(), end, after);
      for (const { accountId, after: first, upTo } of page.candidates) {
        const added = upTo - (reached.get(accountId) ?? first);
        if (added > 0n) accounts += 1;
        entries += added;
        reached.set(accountId, upTo);
      }
      after = page.next;
    }
    months.push({ month, accounts, entries });
  }
  return months;
}

/** Throws where `before` is later than the first moment of the running month: only what has ended is archived. */
export async function assertEnded(em: Em, before: number): Promise<void> {
  if (before > (await databaseNow(em))) throw new Error('only months that have ended are archived');
}

/** The accounts of a month, as many as make a part. Of an account with more entries than a part has, the first ones. */
async function* partsOf(
  em: () => Em,
  end: number,
  partMax: number,
): AsyncGenerator<readonly Candidate[]> {
  const max = BigInt(partMax);
  let part: Candidate[] = [];
  let room = max;
  for (let page: string | null = ''; page !== null; ) {
    const { candidates, next } = await findCandidates(em(), end, page);
    for (const { accountId, after: first, upTo } of candidates)
      for (let after = first; after < upTo; ) {
        const last = upTo - after < room ? upTo : after + room;
        part.push({ accountId, after, upTo: last });
        room -= last - after;
        after = last;
        if (room > 0n) continue;
        yield part;
        [part, room] = [[], max];
      }
    page = next;
  }
  if (part.length > 0) yield part;
}

async function newestPart(em: Em, month: string): Promise<number> {
  const [row] = await query<{ part: number }>(
    em,
    'select coalesce(max(part), 0)::int as part from archive_files where month = $1',
    [month],
  );
  return row?.part ?? 0;
}

/** Takes the entries of all recorded files out of the database that are still there. */
async function finishAll({
  em,
  directory,
  earlierDirectory = null,
  writeCheckpoint,
  onPart,
}: ArchiverOptions): Promise<void> {
  const rows = await query<Row>(
    em(),
    `select ${archiveFiles.selectList} from archive_files where finished_at is null order by month, part`,
    [],
  );
  for (const recorded of rows.map(archiveFiles.read)) {
    const { name, entries, bytes } = recorded;
    const startedAt = performance.now();
    const file = await openRecorded(directory, recorded, earlierDirectory);
    const lateAfter = (await databaseNow(em())) - LATE_MS;
    const deleted = await finishPart({ em, file, name, writeCheckpoint, lateAfter });
    onPart({ name, entries, bytes, deleted, ms: performance.now() - startedAt });
  }
}
