/**
 * Alterations of a database, column by column, as somebody with full access to it could make them. The columns
 * are read from information_schema: a new one cannot be forgotten.
 */
import type pg from 'pg';

export type TableColumn = {
  readonly table: string;
  readonly column: string;
  readonly type: string;
  readonly isNullable: boolean;
};

/** SQL of a new value, in terms of the column's name, and what it does. */
export type Alteration = { readonly does: string; readonly value: string };

export async function columnsOf(client: pg.Client): Promise<readonly TableColumn[]> {
  const { rows } = await client.query<TableColumn>(`
    select c.table_name::text as table, column_name::text as column, udt_name::text as type,
      is_nullable = 'YES' as "isNullable"
    from information_schema.columns c join information_schema.tables t using (table_schema, table_name)
    where table_schema = 'public' and table_type = 'BASE TABLE' and table_name <> 'schema_migrations'
    order by table_name, ordinal_position`);
  return rows;
}

export async function keysOf(client: pg.Client): Promise<ReadonlyMap<string, readonly string[]>> {
  const { rows } = await client.query<{ table: string; keys: string[] }>(`
    select conrelid::regclass::text as table, array_agg(attname::text order by attnum) as keys
    from pg_constraint join pg_attribute on attrelid = conrelid and attnum = any(conkey)
    where contype = 'p' and connamespace = 'public'::regnamespace group by 1`);
  return new Map(rows.map(({ table, keys }) => [table, keys]));
}

/** By the type of a column: values that look valid, though they are others. */
const VALUES: Readonly<Record<string, readonly Alteration[]>> = {
  int8: numbers(),
  int4: numbers(),
  int2: numbers(),
  numeric: [
    ...numbers(),
    { does: 'adds 0.01 to', value: '? + 0.01' },
    { does: 'makes no number of', value: `'NaN'` },
  ],
  bool: [{ does: 'negates', value: 'not ?' }],
  uuid: [{ does: 'replaces', value: 'gen_random_uuid()' }],
  timestamptz: [
    { does: 'puts off', value: `? + interval '32 days'` },
    { does: 'puts forward', value: `? - interval '32 days'` },
    { does: 'puts off a little', value: `? + interval '1 ms'` },
    { does: 'puts off for ever', value: `'infinity'` },
    { does: 'puts before all time', value: `'-infinity'` },
  ],
  text: [
    { does: 'extends', value: `? || 'x'` },
    { does: 'empties', value: `''` },
  ],
  bytea: [
    { does: 'flips a bit of', value: `set_bit(?, 0, 1 - get_bit(?, 0))` },
    { does: 'extends', value: `? || '\\x00'` },
    { does: 'empties', value: `''` },
  ],
};

function numbers(): readonly Alteration[] {
  return [
    { does: 'adds 1 to', value: '? + 1' },
    { does: 'takes 1 from', value: '? - 1' },
  ];
}

const MALFORMED = [
  'null',
  '5',
  '"text"',
  '[]',
  '{}',
  '[5]',
  '[[5, {}]]',
  '{"x": 5}',
  '{"x": null}',
];

/** How to alter a value of this column. `stored` is the value, as JSON where the column is JSON. */
export function alterationsOf(column: TableColumn, stored: string | null): readonly Alteration[] {
  const { type, isNullable } = column;
  const toNull = isNullable && stored !== null ? [{ does: 'clears', value: 'null' }] : [];
  if (type === 'json' || type === 'jsonb') return [...toNull, ...jsonAlterations(stored, type)];
  if (stored === null) return [];
  return [...toNull, ...(VALUES[type] ?? [])];
}

const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;

function jsonAlterations(stored: string | null, type: string): readonly Alteration[] {
  const leaves = stored === null ? [] : alteredLeaves(JSON.parse(stored));
  return [...leaves, ...MALFORMED.map((text) => JSON.parse(text) as unknown)].map((value) => ({
    does: `makes ${JSON.stringify(value)} of`,
    value: `${quoted(JSON.stringify(value))}::${type}`,
  }));
}

/** Copies of a JSON value, in each of which one member is another, or is missing. */
function alteredLeaves(value: unknown): readonly unknown[] {
  if (typeof value === 'string')
    return [`${value}x`, /^\d+$/.test(value) ? `${BigInt(value) + 1n}` : ''];
  if (typeof value === 'number') return [value + 1];
  if (typeof value === 'boolean') return [!value];
  if (value === null) return ['x'];
  if (Array.isArray(value))
    return value.flatMap((member, index) => [
      ...alteredLeaves(member).map((altered) => value.with(index, altered)),
      value.toSpliced(index, 1),
    ]);
  return Object.entries(value as object).flatMap(([name, member]) => [
    ...alteredLeaves(member).map((altered) => ({ ...(value as object), [name]: altered })),
    Object.fromEntries(Object.entries(value as object).filter(([other]) => other !== name)),
  ]);
}
