/** One file of the archive: Parquet, with entries in the order of their accounts, by bytes, and seqs. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import {
  type AsyncBuffer,
  asyncBufferFromFile,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
  type RowGroup,
} from 'hyparquet';
import { fileWriter, ParquetWriter } from 'hyparquet-writer';
import {
  columnData,
  type FileRow,
  type Id,
  type IdColumn,
  type RowToArchive,
  SCHEMA,
} from './parquet-columns.ts';

/** Rows of a group, which is what a reader decompresses at least. */
const GROUP_ROWS = 4_000;
const CODEC = 'ZSTD';
const compressors = { ZSTD: (bytes: Uint8Array) => zstdCompressSync(bytes) };
const decompressors = { ZSTD: (bytes: Uint8Array) => zstdDecompressSync(bytes) };

/** Writes a file from the beginning; what it had is gone. */
export class EntryFileWriter {
  readonly #writer: ParquetWriter;
  #rows: RowToArchive[] = [];

  constructor(path: string) {
    this.#writer = new ParquetWriter({
      writer: fileWriter(path),
      schema: SCHEMA,
      codec: CODEC,
      compressors,
      statisticsTruncateLength: Number.POSITIVE_INFINITY,
      createdBy: 'scrip',
    });
  }

  add(row: RowToArchive) {
    this.#rows.push(row);
    if (this.#rows.length === GROUP_ROWS) this.#writeGroup();
  }

  /** The file is whole after it, and not yet synchronized with the disk. */
  finish() {
    if (this.#rows.length > 0) this.#writeGroup();
    this.#writer.finish();
  }

  #writeGroup() {
    this.#writer.write({ columnData: columnData(this.#rows), rowGroupSize: GROUP_ROWS });
    this.#rows = [];
  }
}

/** Entries of an account: those with after < seq <= upTo. */
export type SeqRange = {
  readonly accountId: string;
  readonly after: bigint;
  readonly upTo: bigint;
};

const KEYS = ['account_id', 'seq'];

export type RangeOptions = {
  /** Others are null. All, if it is left out. */
  readonly columns?: readonly string[];
  /** Leaves out rows by some of their columns, which are read before the others. */
  readonly where?: {
    readonly columns: readonly string[];
    readonly matches: (row: FileRow) => boolean;
  };
  readonly newestFirst?: boolean;
};

export class EntryFile {
  readonly #file: AsyncBuffer;
  readonly #metadata: FileMetaData;

  /** Rejects where there is no such file, or it is none. */
  static async open(path: string): Promise<EntryFile> {
    return await EntryFile.of(await asyncBufferFromFile(path));
  }

  /** Reads from a buffer what it needs of it. */
  static async of(file: AsyncBuffer): Promise<EntryFile> {
    return new EntryFile(file, await parquetMetadataAsync(file));
  }

  private constructor(file: AsyncBuffer, metadata: FileMetaData) {
    this.#file = file;
    this.#metadata = metadata;
  }

  get rows(): bigint {
    return this.#metadata.num_rows;
  }

  /** The first and last of its accounts, by bytes. */
  get bounds(): { readonly first: string; readonly last: string } {
    const all = this.#metadata.row_groups.map(accountsOf);
    const firsts = all.map(({ min }) => min).sort();
    const lasts = all.map(({ max }) => max).sort();
    return { first: firsts[0] ?? '', last: lasts.at(-1) ?? '' };
  }

  /** All rows, group by group. */
  async *groups(): AsyncGenerator<readonly FileRow[], void, void> {
    for (const { start, end } of this.#groups()) yield await this.#read(start, end);
  }

  /** The rows of accounts from one to another, group by group: few others are read with them. */
  async *accounts(first: string, last: string): AsyncGenerator<readonly FileRow[], void, void> {
    for (const { group, start, end } of this.#groups()) {
      if (!mayHave(group, first, last)) continue;
      const rows = await this.#read(start, end);
      yield rows.filter(({ account_id: id }) => isWithin(id as string, first, last));
    }
  }

  /**
   * The rows of a range, a group of rows at a time, read on demand. Statistics tell first whether a group can have such
   * rows, then its keys and the columns of the condition. The other columns are read only where it has some.
   */
  async *range(
    range: SeqRange,
    { columns, where, newestFirst = false }: RangeOptions = {},
  ): AsyncGenerator<readonly FileRow[], void, void> {
    const groups = [...this.#groups()];
    for (const { group, start, end } of newestFirst ? groups.toReversed() : groups) {
      if (!mayHaveRange(group, range)) continue;
      const keys = await this.#read(start, end, [...KEYS, ...(where?.columns ?? [])]);
      const isWanted = (row: FileRow) => isIn(range, row) && (where?.matches(row) ?? true);
      const first = keys.findIndex(isWanted);
      if (first === -1) continue;
      const last = keys.findLastIndex(isWanted);
      const read = await this.#read(start + first, start + last + 1, columns);
      const rows = read.filter((_, index) => isWanted(keys[first + index] as FileRow));
      yield newestFirst ? rows.toReversed() : rows;
    }
  }

  /** The rows that have one of the ids, of one account or of any. Bloom filters tell which groups cannot have one. */
  async find(
    column: IdColumn,
    ids: readonly Id[],
    accountId: string | null,
  ): Promise<readonly FileRow[]> {
    return await parquetReadObjects({
      file: this.#file,
      metadata: this.#metadata,
      compressors: decompressors,
      utf8: false,
      filter: {
        [column]: { $in: [...ids] },
        ...(accountId !== null && { account_id: { $eq: accountId } }),
      },
      useBloomFilters: true,
    });
  }

  *#groups(): Generator<{ group: RowGroup; start: number; end: number }, void, void> {
    let start = 0;
    for (const group of this.#metadata.row_groups) {
      const end = start + Number(group.num_rows);
      yield { group, start, end };
      start = end;
    }
  }

  async #read(start: number, end: number, columns?: readonly string[]): Promise<FileRow[]> {
    return await parquetReadObjects({
      file: this.#file,
      metadata: this.#metadata,
      compressors: decompressors,
      utf8: false,
      rowStart: start,
      rowEnd: end,
      ...(columns && { columns: [...columns] }),
    });
  }
}

/** Whether the first and last account of a group allow that it has one of these. */
function mayHave(group: RowGroup, first: string, last: string): boolean {
  const { min, max } = accountsOf(group);
  return min <= last && max >= first;
}

/** Whether its first and last account, and its lowest and highest seq, allow that a group has rows of a range. */
function mayHaveRange(group: RowGroup, { accountId, after, upTo }: SeqRange): boolean {
  if (!mayHave(group, accountId, accountId)) return false;
  const { min, max } = boundsOf(group, 'seq');
  return typeof min !== 'bigint' || typeof max !== 'bigint' || (max > after && min <= upTo);
}

function boundsOf({ columns }: RowGroup, name: string) {
  const found = columns.find(({ meta_data: of }) => of?.path_in_schema[0] === name);
  const { min_value: min, max_value: max } = found?.meta_data?.statistics ?? {};
  return { min, max };
}

function accountsOf(group: RowGroup): { readonly min: string; readonly max: string } {
  const { min, max } = boundsOf(group, 'account_id');
  if (typeof min !== 'string' || typeof max !== 'string')
    throw new Error('a group of rows does not say which accounts it has');
  return { min, max };
}

const isWithin = (accountId: string, first: string, last: string): boolean =>
  accountId >= first && accountId <= last;

const isIn = ({ accountId, after, upTo }: SeqRange, row: FileRow): boolean =>
  row['account_id'] === accountId &&
  (row['seq'] as bigint) > after &&
  (row['seq'] as bigint) <= upTo;

/** Size and hash of a file as it is on disk. */
export async function measureFile(
  path: string,
): Promise<{ readonly bytes: bigint; readonly sha256: Buffer }> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  const { size } = await stat(path);
  return { bytes: BigInt(size), sha256: hash.digest() };
}
