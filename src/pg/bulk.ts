/**
 * Bulk writes: one SQL statement writes any number of rows of a table, a binary array per column. An
 * entity manager's flush would format every value into SQL text instead, at many times the CPU.
 */

import { binaryArray, type Element, type ElementType } from './binary-array.ts';
import type { Group, NamedColumn } from './column.ts';
import type { SqlStatement } from './pipelined-batch.ts';
import { type Columns, elementOf, type Table, type Written } from './table.ts';

/** A column as it is sent: an array with an element for each row. */
type SentColumn<Row> = {
  readonly name: string;
  readonly type: ElementType;
  readonly elementOf: (row: Row) => Element;
};

const ALL_GROUPS: readonly Group[] = ['key', 'inserted', 'updated', 'settings'];

/** `insert` of rows. */
export function bulkInsert<C extends Columns, Domain>(table: Table<C, Domain>) {
  const columns = columnsOf<Written<C>>(table, ALL_GROUPS);
  return writer(insertText(table.name, columns), columns);
}

/** `insert` of rows; where the key exists, `update` of the group `updated`. */
export function bulkUpsert<C extends Columns, Domain>(table: Table<C, Domain>) {
  const columns = columnsOf<Written<C>>(table, ALL_GROUPS);
  const keys = columnsOf(table, ['key']).map(({ name }) => name);
  const set = columnsOf(table, ['updated']).map(({ name }) => `${name} = excluded.${name}`);
  const text = `${insertText(table.name, columns)}
    on conflict (${keys.join(', ')}) do update set ${set.join(', ')}`;
  return writer(text, columns);
}

/** `insert` of rows; where the key exists, the group `updated` is added to what is there. */
export function bulkAdd<C extends Columns, Domain>(table: Table<C, Domain>) {
  const columns = columnsOf<Written<C>>(table, ALL_GROUPS);
  const keys = columnsOf(table, ['key']).map(({ name }) => name);
  const set = columnsOf(table, ['updated']).map(
    ({ name }) => `${name} = ${table.name}.${name} + excluded.${name}`,
  );
  const text = `${insertText(table.name, columns)}
    on conflict (${keys.join(', ')}) do update set ${set.join(', ')}`;
  return writer(text, columns);
}

/** `update` of the columns of a group. */
export function bulkUpdate<C extends Columns, Domain>(
  table: Table<C, Domain>,
  group: 'updated' | 'settings' = 'updated',
) {
  const keys = columnsOf<Written<C>>(table, ['key']);
  const columns = columnsOf<Written<C>>(table, [group]);
  const set = columns.map((column) => `${column.name} = ${selected(column)}`);
  return writer(updateText(table.name, keys, set, [...keys, ...columns]), [...keys, ...columns]);
}

/** `delete` of rows by their key. */
export function bulkDelete<Row>(table: Pick<Table<Columns, unknown>, 'name' | 'columns'>) {
  const keys = columnsOf<Row>(table, ['key']);
  const text = `
    delete from ${table.name} using ${unnest(keys)}
    where ${keys.map(({ name }) => `${table.name}.${name} = n.${name}`).join(' and ')}`;
  return writer(text, keys);
}

/** A value that a row was computed from and the SQL that it must still equal. Null is not compared. */
export type Guard<Row> = SentColumn<Row> & { readonly equal: string };

/**
 * `update` of the group `updated` with optimistic concurrency. Each row states its new version; the table
 * must have the version before it, and the guards must hold. A stale row's version becomes 0, which the
 * table's CHECK (version > 0) refuses. Counting the updated rows instead would be too late: the COMMIT is
 * sent in the same pipeline, and only an error makes PostgreSQL skip it. The CHECK gives this error a name.
 */
export function versionedUpdate<C extends Columns, Domain, Row>(
  table: Table<C, Domain>,
  domainOf: (row: Row) => Written<C>,
  guards: readonly Guard<Row>[],
) {
  const from = (column: SentColumn<Written<C>>): SentColumn<Row> => ({
    ...column,
    elementOf: (row) => column.elementOf(domainOf(row)),
  });
  const keys = columnsOf<Written<C>>(table, ['key']).map(from);
  const columns = columnsOf<Written<C>>(table, ['updated']).map(from);
  const isCurrent = [
    `${table.name}.version = n.version - 1`,
    ...guards.map(({ name, equal }) => `(n.${name} is null or n.${name} = ${equal})`),
  ].join(' and ');
  const set = columns.map((column) =>
    column.name === 'version'
      ? `version = case when ${isCurrent} then n.version else 0 end`
      : `${column.name} = ${selected(column)}`,
  );
  const sent = [...keys, ...columns, ...guards];
  return writer(updateText(table.name, keys, set, sent), sent);
}

function columnsOf<Row>(
  table: { readonly columns: readonly NamedColumn[] },
  groups: readonly Group[],
): SentColumn<Row>[] {
  return table.columns
    .filter(({ group }) => groups.includes(group))
    .map((column) => ({
      name: column.name,
      type: column.elementType,
      elementOf: elementOf<Row>(column),
    }));
}

const insertText = <Row>(table: string, columns: readonly SentColumn<Row>[]): string => `
    insert into ${table} (${columns.map(({ name }) => name).join(', ')})
    select ${columns.map(selected).join(', ')}
    from ${unnest(columns)}`;

const updateText = <Row>(
  table: string,
  keys: readonly SentColumn<Row>[],
  set: readonly string[],
  sent: readonly SentColumn<Row>[],
): string => `
    update ${table} set ${set.join(', ')}
    from ${unnest(sent)}
    where ${keys.map(({ name }) => `${table}.${name} = n.${name}`).join(' and ')}`;

/** No SQL statement for no rows. */
function writer<Row>(text: string, columns: readonly SentColumn<Row>[]) {
  return (rows: readonly Row[]): readonly SqlStatement[] =>
    rows.length === 0
      ? []
      : [
          {
            text,
            parameters: columns.map(({ type, elementOf }) => binaryArray(type, rows, elementOf)),
          },
        ];
}

const selected = <Row>({ name, type }: SentColumn<Row>): string =>
  type === 'numeric' ? `n.${name}::numeric` : `n.${name}`;

const ARRAYS: Readonly<Partial<Record<ElementType, string>>> = {
  instant: 'timestamptz',
  numeric: 'text',
};

/**
 * Arrays side by side in a select list. `unnest(…, …)` in the from clause would first keep the rows of
 * every array in a store of its own.
 */
function unnest<Row>(columns: readonly SentColumn<Row>[]): string {
  const arrays = columns.map(
    ({ name, type }, index) => `unnest($${index + 1}::${ARRAYS[type] ?? type}[]) as ${name}`,
  );
  return `(select ${arrays.join(', ')}) as n`;
}
