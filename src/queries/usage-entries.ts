/** Entries as statements and usage rollups count them: the columns that say what credits were used for. */
import type { Archive } from '../archive/archive.ts';
import { selectedRow } from '../archive/entry-row.ts';
import { uuidBytes } from '../archive/parquet-columns.ts';
import type { EntryKind } from '../ledger/entry.ts';
import { readContent } from '../ledger/entry-content.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Row } from '../pg/table.ts';
import type { UsageEntry } from '../statements/attributions.ts';
import { COUNTED_KINDS, type CountedEntry } from '../statements/usage-tally.ts';
import { KIND_CODES, kindCodes } from '../store/tables/codes.ts';
import { entries } from '../store/tables/entries.ts';

const { selectList, read } = entries.pick(
  'seq',
  'kind',
  'at',
  'content',
  'reservationId',
  'refundedSeq',
);

const counted = entries.pick(
  'seq',
  'kind',
  'at',
  'content',
  'reservationId',
  'refundedSeq',
  'credits',
  'caller',
  'planId',
  'rateCardVersion',
  'personal',
);

const JOB_KIND_LIST = [KIND_CODES.RESERVE, KIND_CODES.COMMIT];
const KINDS = kindCodes(
  'RESERVE',
  'COMMIT',
  'RELEASE',
  'EXPIRE',
  'CHARGE',
  'REFUND',
  'IMPORT',
  'PAY_OWED',
);

const KIND_LIST = KINDS.split(', ').map(Number);

/** Entries of an account for its statements, those in files included. */
export class UsageEntries {
  readonly #em: Em;
  readonly #archive: Archive;
  readonly accountId: string;

  constructor(em: Em, archive: Archive, accountId: string) {
    this.#em = em;
    this.#archive = archive;
    this.accountId = accountId;
  }

  /** Those with after < seq <= upTo that reserve, use or give back credits. */
  async between(after: bigint, upTo: bigint): Promise<UsageEntry[]> {
    const rows = await query<Row>(
      this.#em,
      `select ${selectList} from entries
       where account_id = $1 and seq > $2 and seq <= $3 and kind in (${KINDS}) order by seq`,
      [this.accountId, after, upTo],
    );
    const border = await this.#archive.borderOf(this.#em, this.accountId);
    if (!border || after >= border.seq) return rows.map(toUsageEntry);
    const range = { accountId: this.accountId, after, upTo };
    const archived = await this.#archive.rows(this.#em, border, range);
    const counted = archived.filter((row) => KIND_LIST.includes(row['kind'] as number));
    const newer = rows.filter((row) => BigInt(row['seq']!) > border.seq);
    return [...counted.map(selectedRow), ...newer].map(toUsageEntry);
  }

  async bySeq(seqs: readonly bigint[]): Promise<UsageEntry[]> {
    if (seqs.length === 0) return [];
    const rows = await query<Row>(
      this.#em,
      `select ${selectList} from entries where account_id = $1 and seq = any($2::bigint[])`,
      [this.accountId, seqs],
    );
    const found = rows.map(toUsageEntry);
    const border = await this.#archive.borderOf(this.#em, this.accountId);
    if (!border) return found;
    const known = new Set(found.map(({ seq }) => seq));
    for (const seq of seqs) {
      if (known.has(seq)) continue;
      const range = { accountId: this.accountId, after: seq - 1n, upTo: seq };
      const archived = await this.#archive.rows(this.#em, border, range);
      found.push(...archived.map(selectedRow).map(toUsageEntry));
    }
    return found;
  }

  /** The RESERVE and COMMIT entries of reservations, up to a seq. */
  async ofReservations(reservationIds: readonly string[], upTo: bigint): Promise<UsageEntry[]> {
    const stored = await entriesOfReservations(this.#em, this.accountId, reservationIds, upTo);
    const border = await this.#archive.borderOf(this.#em, this.accountId);
    if (!border || reservationIds.length === 0) return stored;
    const ids = reservationIds.map(uuidBytes);
    const rows = await this.#archive.find(this.#em, 'reservation_id', ids, this.accountId);
    const archived = rows.filter(
      (row) => JOB_KIND_LIST.includes(row['kind'] as number) && BigInt(row.seq) <= upTo,
    );
    const newer = stored.filter(({ seq }) => seq > border.seq);
    return [...archived.map(selectedRow).map(toUsageEntry), ...newer];
  }
}

/** The RESERVE and COMMIT entries of reservations, up to a seq. */
export async function entriesOfReservations(
  em: Em,
  accountId: string,
  reservationIds: readonly string[],
  upTo: bigint,
): Promise<UsageEntry[]> {
  if (reservationIds.length === 0) return [];
  const rows = await query<Row>(
    em,
    `select ${selectList} from entries
     where reservation_id = any($1::uuid[]) and account_id = $2 and seq <= $3
       and kind in (${kindCodes('RESERVE', 'COMMIT')}) order by seq`,
    [reservationIds, accountId, upTo],
  );
  return rows.map(toUsageEntry);
}

/** Some entries of an account: after < seq <= upTo. */
export type EntryRange = {
  readonly accountId: string;
  readonly after: bigint;
  readonly upTo: bigint;
};

/** Those entries of each range that usage rollups count, in the order of the ranges: one statement for all. */
export async function countedEntries(
  em: Em,
  ranges: readonly EntryRange[],
): Promise<readonly CountedEntry[][]> {
  const found = ranges.map((): CountedEntry[] => []);
  const rows = await query<Row>(
    em,
    `select range, ${counted.selectList}
     from unnest($1::text[], $2::bigint[], $3::bigint[]) with ordinality
         as ranges (range_account_id, after, up_to, range)
       cross join lateral (
         select * from entries
         where account_id = range_account_id and seq > after and seq <= up_to
           and kind in (${kindCodes(...COUNTED_KINDS)})
         order by seq offset 0
       ) as entries
     order by range, seq`,
    [
      ranges.map(({ accountId }) => accountId),
      ranges.map(({ after }) => after),
      ranges.map(({ upTo }) => upTo),
    ],
  );
  for (const row of rows) found[Number(row['range']) - 1]?.push(toCountedEntry(row));
  return found;
}

export async function countedEntriesBySeq(
  em: Em,
  accountId: string,
  seqs: readonly bigint[],
): Promise<CountedEntry[]> {
  if (seqs.length === 0) return [];
  const rows = await query<Row>(
    em,
    `select ${counted.selectList} from entries where account_id = $1 and seq = any($2::bigint[])`,
    [accountId, seqs],
  );
  return rows.map(toCountedEntry);
}

/** Every refund of these entries, up to a seq. */
export async function refundsOf(
  em: Em,
  accountId: string,
  seqs: readonly bigint[],
  upTo: bigint,
): Promise<{ seq: bigint; refundedSeq: bigint; credits: bigint }[]> {
  if (seqs.length === 0) return [];
  const rows = await query<{ seq: string; refunded_seq: string; credits: string }>(
    em,
    `select seq, refunded_seq, credits from entries
     where account_id = $1 and refunded_seq = any($2::bigint[]) and seq <= $3`,
    [accountId, seqs, upTo],
  );
  return rows.map(({ seq, refunded_seq, credits }) => ({
    seq: BigInt(seq),
    refundedSeq: BigInt(refunded_seq),
    credits: BigInt(credits),
  }));
}

function toUsageEntry(row: Row): UsageEntry {
  const { content, ...entry } = read(row);
  return { ...entry, ...usedIn(content, entry.kind) };
}

function toCountedEntry(row: Row): CountedEntry {
  const { content, personal, ...entry } = counted.read(row);
  return { ...entry, ...usedIn(content, entry.kind), labels: personal?.labels ?? {} };
}

function usedIn(content: Parameters<typeof readContent>[0], kind: EntryKind) {
  const { moves, usages, usedAt } = readContent(content, kind);
  return {
    usedAt,
    moves,
    usages: usages.map(({ usage: { operation, count, quantities }, credits }) => ({
      operation,
      count,
      credits,
      quantities,
    })),
  };
}
