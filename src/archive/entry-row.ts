/**
 * Entries between the table and the files of the archive: a row has every column of `entries` by its name, as PostgreSQL
 * gives it, with JSON as the text that is stored and hashed.
 */
import { createHash } from 'node:crypto';
import type { Entry } from '../ledger/entry.ts';
import type { NamedColumn } from '../pg/column.ts';
import { millis } from '../pg/millis.ts';
import type { Row } from '../pg/table.ts';
import { entries, shownEntries } from '../store/tables/entries.ts';

export type RowValue = string | number | Uint8Array | null;
export type EntryRow = Readonly<Record<string, RowValue>> & {
  readonly account_id: string;
  readonly seq: string;
  /** Epoch milliseconds. */
  readonly at: number;
  readonly hash: Uint8Array;
};

/** The select list of a query whose rows are EntryRows. */
export const entryRowList = (alias: string): string =>
  entries.columns
    .map(({ name, elementType }) => {
      if (elementType === 'instant') return millis(`${alias}.${name}`, name);
      return elementType === 'json' ? `${alias}.${name}::text` : `${alias}.${name}`;
    })
    .join(', ');

const JSON_COLUMNS = entries.columns.filter(({ elementType }) => elementType === 'json');

/** The entry that RPCs show. */
export const entryOf = (row: EntryRow): Entry => shownEntries.read(selectedRow(row));

/** The row as a query selects it: JSON is parsed. */
export function selectedRow(row: EntryRow): Row {
  const parsed: Record<string, unknown> = { ...row };
  for (const { name } of JSON_COLUMNS) {
    const text = row[name];
    parsed[name] = typeof text === 'string' ? JSON.parse(text) : null;
  }
  return parsed as Row;
}

/** The row as a JSON object that `json_populate_record(null::entries, …)` reads. */
export function rowJson(row: EntryRow): string {
  const members = entries.columns.flatMap((column) => {
    const value = row[column.name] ?? null;
    return value === null ? [] : [`"${column.name}":${valueJson(column, value)}`];
  });
  return `{${members.join(',')}}`;
}

function valueJson({ elementType }: NamedColumn, value: RowValue): string {
  if (value instanceof Uint8Array) return `"\\\\x${Buffer.from(value).toString('hex')}"`;
  if (elementType === 'instant') return `"${new Date(value as number).toISOString()}"`;
  // JSON in JSON: the column has the same text again.
  if (elementType === 'json' || elementType === 'bigint') return `${value}`;
  return JSON.stringify(value);
}

/** A digest of rows, to compare what was read of the table with what was read back of a file. */
export class RowsDigest {
  readonly #hash = createHash('sha256');

  add(row: EntryRow) {
    this.#hash.update(`${rowJson(row)}\n`);
  }

  digest(): string {
    return this.#hash.digest('hex');
  }
}
