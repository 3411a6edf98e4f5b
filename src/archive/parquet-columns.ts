/**
 * The columns of a file of the archive: those of the table `entries` by their names, but for personal data, which are one
 * encrypted column, and the hash that the chain covers of them. A column that a file lacks is null in its rows.
 */
import type { SchemaElement } from 'hyparquet';
import type { ElementType } from '../pg/binary-array.ts';
import { entries } from '../store/tables/entries.ts';
import type { EntryRow, RowValue } from './entry-row.ts';
import { openPersonal, PERSONAL_COLUMNS, sealPersonal } from './personal-seal.ts';

type Stored = string | number | bigint | Date | Uint8Array | null;
type Kind = {
  readonly element: Omit<SchemaElement, 'name' | 'repetition_type'>;
  readonly toFile: (value: never) => Stored;
  readonly toRow: (stored: never) => RowValue;
};

const BYTES: Kind = {
  element: { type: 'BYTE_ARRAY' },
  toFile: (value: Uint8Array) => value,
  toRow: (stored: Uint8Array) => Buffer.from(stored),
};
const TEXT: Kind = {
  element: { type: 'BYTE_ARRAY', converted_type: 'UTF8', logical_type: { type: 'STRING' } },
  toFile: (value: string) => value,
  toRow: (stored: string) => stored,
};
const NUMBER: Kind = {
  element: { type: 'INT32' },
  toFile: (value: number) => value,
  toRow: (stored: number) => stored,
};

/** By the type of the column in the table. A UUID is its 16 bytes: the library makes Bloom filters of those. */
const KINDS: Partial<Record<ElementType, Kind>> = {
  text: TEXT,
  json: TEXT,
  bytea: BYTES,
  int: NUMBER,
  smallint: NUMBER,
  bigint: {
    element: { type: 'INT64' },
    toFile: (value: string) => BigInt(value),
    toRow: (stored: bigint) => stored.toString(),
  },
  instant: {
    element: { type: 'INT64', converted_type: 'TIMESTAMP_MILLIS' },
    toFile: (value: number) => new Date(value),
    toRow: (stored: Date) => stored.getTime(),
  },
  uuid: {
    element: { type: 'BYTE_ARRAY' },
    toFile: (value: string) => uuidBytes(value),
    toRow: (stored: Uint8Array) => uuidText(stored),
  },
};

export const uuidBytes = (uuid: string): Uint8Array => Buffer.from(uuid.replaceAll('-', ''), 'hex');

const uuidText = (bytes: Uint8Array): string =>
  Buffer.from(bytes)
    .toString('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');

/** The columns by which entries of any account are found. */
export type IdColumn =
  | 'trace_id'
  | 'request_id'
  | 'reservation_id'
  | 'purchase_id'
  | 'refunded_seq';
const ID_COLUMNS: ReadonlySet<string> = new Set<IdColumn>([
  'trace_id',
  'request_id',
  'reservation_id',
  'purchase_id',
]);

/** As files have them: UUIDs as their bytes, seqs as numbers. */
export type Id = Uint8Array | bigint;

/** The salted hash of what is encrypted, or was erased before; null: there is nothing personal. */
const PERSONAL_HASH = 'personal_hash';
const SEALED = 'personal';
const ERASED_HASH = 'erased_hash';

type FileColumn = { readonly name: string; readonly isNullable: boolean; readonly kind: Kind };

const PLAIN: readonly FileColumn[] = entries.columns
  .filter(({ name }) => !PERSONAL_COLUMNS.includes(name) && name !== ERASED_HASH)
  .map(({ name, isNullable, elementType }) => {
    const kind = KINDS[elementType];
    if (!kind) throw new Error(`the archive has no type for the column ${name}`);
    return { name, isNullable, kind };
  });

const COLUMNS: readonly FileColumn[] = [
  ...PLAIN,
  { name: PERSONAL_HASH, isNullable: true, kind: BYTES },
  { name: SEALED, isNullable: true, kind: BYTES },
];

export const SCHEMA: SchemaElement[] = [
  { name: 'entries', num_children: COLUMNS.length },
  ...COLUMNS.map(
    ({ name, isNullable, kind }): SchemaElement => ({
      name,
      ...kind.element,
      repetition_type: isNullable ? 'OPTIONAL' : 'REQUIRED',
    }),
  ),
];

/** A row to be written, with the key of its account and the `personal_hash` of its row. */
export type RowToArchive = {
  readonly row: EntryRow;
  readonly key: Uint8Array;
  readonly personalHash: Uint8Array;
};

/** The columns of a row group, for the writer. */
export const columnData = (rows: readonly RowToArchive[]) =>
  COLUMNS.map((column) => ({
    name: column.name,
    data: rows.map((row) => storedValue(column, row)),
    bloomFilter: ID_COLUMNS.has(column.name),
    offsetIndex: false,
  }));

function storedValue({ name, kind }: FileColumn, { row, key, personalHash }: RowToArchive): Stored {
  if (name === SEALED) return sealPersonal(row, key);
  if (name === PERSONAL_HASH) {
    const isErased = row[ERASED_HASH] !== null;
    const isEmpty = PERSONAL_COLUMNS.every((personal) => row[personal] === null);
    if (isErased) return row[ERASED_HASH] as Uint8Array;
    return isEmpty ? null : personalHash;
  }
  const value = row[name] ?? null;
  return value === null ? null : kind.toFile(value as never);
}

/** What a file has of an entry. */
export type FileRow = Readonly<Record<string, Stored | undefined>>;

/** `key` null: the personal data of the account were erased. Throws where the key does not open them. */
export function rowOf(stored: FileRow, key: Uint8Array | null): EntryRow {
  const row: Record<string, RowValue> = {};
  for (const { name, kind } of PLAIN) {
    const value = stored[name] ?? null;
    row[name] = value === null ? null : kind.toRow(value as never);
  }
  const sealed = (stored[SEALED] ?? null) as Uint8Array | null;
  const hash = (stored[PERSONAL_HASH] ?? null) as Uint8Array | null;
  for (const name of PERSONAL_COLUMNS) row[name] = null;
  if (sealed && key) Object.assign(row, openPersonal(sealed, key, row['seq'] as string));
  row[ERASED_HASH] = hash && !(sealed && key) ? Buffer.from(hash) : null;
  return row as EntryRow;
}
