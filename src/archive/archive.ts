/**
 * Reads archived entries: from the files that the database has recorded. A file is compared with its recorded hash when
 * it is used first.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Failure } from '../failure.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Row } from '../pg/table.ts';
import { type ArchivedFile, archiveFiles } from '../store/tables/archive.ts';
import { EntryFile, measureFile, type RangeOptions, type SeqRange } from './entry-file.ts';
import type { EntryRow } from './entry-row.ts';
import { type FileRow, type Id, type IdColumn, rowOf } from './parquet-columns.ts';

/** How far an account is archived. */
export type Border = {
  /** Entries up to it are read from files. */
  readonly seq: bigint;
  /** The time of that entry, in epoch milliseconds. */
  readonly at: number;
  /** Null: its personal data were erased. */
  readonly key: Uint8Array | null;
};

export class Archive {
  readonly #directory: string | null;
  readonly #earlierDirectory: string | null;
  readonly #open = new Map<string, Promise<EntryFile>>();

  /** `directory` null: none is configured. It matters only where something archived is asked for. */
  constructor(directory: string | null, earlierDirectory: string | null = null) {
    this.#directory = directory;
    this.#earlierDirectory = earlierDirectory;
  }

  /** Null: nothing of the account is archived. */
  async borderOf(em: Em, accountId: string): Promise<Border | null> {
    return (await this.bordersOf(em, [accountId])).get(accountId) ?? null;
  }

  async bordersOf(em: Em, accountIds: readonly string[]): Promise<ReadonlyMap<string, Border>> {
    const rows = await query<{ account_id: string; seq: string; at: number; key: Buffer | null }>(
      em,
      `select account_id, seq, (extract(epoch from at) * 1000)::float8 as at, key
       from archived_accounts where account_id = any($1::text[]) and seq > 0`,
      [accountIds],
    );
    return new Map(
      rows.map(({ account_id, seq, at, key }) => [account_id, { seq: BigInt(seq), at, key }]),
    );
  }

  /** The archived rows of a range, up to `limit` of the oldest, or of the newest where `newestFirst`. */
  async rows(
    em: Em,
    border: Border,
    range: SeqRange,
    limit = Number.POSITIVE_INFINITY,
    newestFirst = false,
  ): Promise<readonly EntryRow[]> {
    const found: EntryRow[] = [];
    for await (const { name, rows } of this.#groups(em, border, range, { newestFirst })) {
      for (const row of rows.slice(0, limit - found.length))
        found.push(this.#rowOf(name, row, border.key));
      if (found.length >= limit) break;
    }
    return found;
  }

  /** The same, a page of some thousand rows at a time: nothing is read that is not asked for. */
  async *pages(
    em: Em,
    border: Border,
    range: SeqRange,
    options: RangeOptions,
  ): AsyncGenerator<readonly EntryRow[], void, void> {
    for await (const { name, rows } of this.#groups(em, border, range, options))
      yield rows.map((row) => this.#rowOf(name, row, border.key));
  }

  async *#groups(
    em: Em,
    { seq }: Border,
    range: SeqRange,
    options: RangeOptions,
  ): AsyncGenerator<{ readonly name: string; readonly rows: readonly FileRow[] }, void, void> {
    const upTo = range.upTo < seq ? range.upTo : seq;
    if (range.after >= upTo) return;
    const files = await this.#filesOf(em, range.accountId);
    for (const { name } of options.newestFirst ? files.toReversed() : files) {
      const file = await this.#fileOf(name, files);
      const groups = file.range({ ...range, upTo }, options);
      for (;;) {
        const next = await this.#reading(name, () => groups.next());
        if (next.done) break;
        yield { name, rows: next.value };
      }
    }
  }

  /** seq of the last archived entry of an account before an instant; 0: there is none. */
  async lastSeqBefore(em: Em, border: Border, accountId: string, instant: number): Promise<bigint> {
    const range = { accountId, after: 0n, upTo: border.seq };
    const options = { columns: ['seq', 'at'], newestFirst: true };
    for await (const { rows } of this.#groups(em, border, range, options)) {
      const last = rows.find((row) => (row['at'] as Date).getTime() < instant);
      if (last) return last['seq'] as bigint;
    }
    return 0n;
  }

  /** The archived rows that have one of the ids: of one account, or of all where it is null. */
  async find(
    em: Em,
    column: IdColumn,
    ids: readonly Id[],
    accountId: string | null,
  ): Promise<readonly EntryRow[]> {
    if (ids.length === 0) return [];
    const files = await this.#filesOf(em, accountId);
    const found: (readonly [string, FileRow])[] = [];
    for (const { name } of files) {
      const file = await this.#fileOf(name, files);
      const rows = await this.#reading(name, () => file.find(column, ids, accountId));
      for (const row of rows) found.push([name, row]);
    }
    const accountIds = new Set(found.map(([, row]) => row['account_id'] as string));
    const borders = await this.bordersOf(em, [...accountIds]);
    return found.flatMap(([name, row]) => {
      const border = borders.get(row['account_id'] as string);
      // What is in a file and has not left the table yet is read from there.
      if (!border || (row['seq'] as bigint) > border.seq) return [];
      return [this.#rowOf(name, row, border.key)];
    });
  }

  /** The files that can have entries of an account, or all of them, in the order of its entries. */
  async #filesOf(em: Em, accountId: string | null): Promise<readonly ArchivedFile[]> {
    const rows = await query<Row>(
      em,
      `select ${archiveFiles.selectList} from archive_files
       where $1::text is null or (first_account collate "C" <= $1 and last_account collate "C" >= $1)
       order by month, part`,
      [accountId],
    );
    return rows.map(archiveFiles.read);
  }

  async #fileOf(name: string, files: readonly ArchivedFile[]): Promise<EntryFile> {
    const known = this.#open.get(name);
    if (known) return await known;
    const recorded = files.find((file) => file.name === name) as ArchivedFile;
    const opening = openRecorded(this.#directory, recorded, this.#earlierDirectory);
    this.#open.set(name, opening);
    // Once it is back, it is read again.
    opening.catch(() => this.#open.delete(name));
    return await opening;
  }

  async #reading<Read>(name: string, read: () => Promise<Read>): Promise<Read> {
    try {
      return await read();
    } catch (error) {
      this.#open.delete(name);
      throw archiveUnavailable(name, 'it cannot be read', error);
    }
  }

  #rowOf(name: string, row: FileRow, key: Uint8Array | null): EntryRow {
    try {
      return rowOf(row, key);
    } catch (error) {
      throw archiveUnavailable(name, `entry ${row['seq']} of it cannot be decrypted`, error);
    }
  }
}

/** Opens a file if it is the one that was recorded; else throws ARCHIVE_UNAVAILABLE. */
export async function openRecorded(
  directory: string | null,
  { name, bytes, sha256 }: ArchivedFile,
  earlierDirectory: string | null = null,
): Promise<EntryFile> {
  if (directory === null) throw archiveUnavailable('', 'ARCHIVE_DIRECTORY is not set', null);
  const own = join(directory, name);
  const earlier = earlierDirectory === null ? own : join(earlierDirectory, name);
  const path = !existsSync(own) && existsSync(earlier) ? earlier : own;
  let problem = 'it cannot be read';
  try {
    const found = await measureFile(path);
    const isSame = found.bytes === bytes && found.sha256.equals(sha256);
    if (isSame) return await EntryFile.open(path);
    problem = 'it is not as it was written';
  } catch (error) {
    throw archiveUnavailable(name, problem, error);
  }
  throw archiveUnavailable(name, problem, null);
}

function archiveUnavailable(file: string, problem: string, cause: unknown): Failure {
  const why = cause instanceof Error ? `: ${cause.message}` : '';
  const of = file === '' ? 'the archive' : `file ${file} of the archive`;
  return new Failure('ARCHIVE_UNAVAILABLE', `${of}: ${problem}${why}`, { file });
}
