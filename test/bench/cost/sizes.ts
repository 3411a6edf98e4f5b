/** Sizes of tables and indexes, and how much they grow per operation. */
import type pg from 'pg';

/** The main fork of a table, of one of its indexes, or of its TOAST table with its index. */
export type Relation = {
  readonly table: string;
  readonly name: string;
  readonly kind: 'heap' | 'toast' | 'index';
  readonly bytes: number;
};

/** `bytes` are those per operation. */
export type Growth = Relation;

export async function readSizes(sql: pg.Client): Promise<Relation[]> {
  const { rows } = await sql.query<Relation>(`
    with tables as (
      select c.oid, c.relname, c.reltoastrelid from pg_class c
      join pg_namespace n on n.oid = c.relnamespace
      where c.relkind = 'r' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    ), relations as (
      select relname as table, relname as name, 'heap' as kind, oid from tables
      union all
      select relname, indexrelid::regclass::text, 'index', indexrelid
      from tables join pg_index on indrelid = tables.oid
      union all
      select relname, relname || ' TOAST', 'toast', reltoastrelid from tables where reltoastrelid <> 0
      union all
      select relname, relname || ' TOAST', 'toast', indexrelid
      from tables join pg_index on indrelid = reltoastrelid
    )
    select "table", name, kind, sum(pg_relation_size(oid))::float8 as bytes
    from relations group by 1, 2, 3
    order by 1, array_position(array['heap', 'toast', 'index'], kind), 2`);
  return rows;
}

/** Growth between two readings; relations that kept their size are left out. */
export function growthOf(
  before: readonly Relation[],
  after: readonly Relation[],
  operations: number,
): Growth[] {
  const bytesBefore = new Map(before.map(({ name, bytes }) => [name, bytes]));
  return after
    .map((relation) => ({
      ...relation,
      bytes: (relation.bytes - (bytesBefore.get(relation.name) ?? 0)) / operations,
    }))
    .filter(({ bytes }) => bytes !== 0);
}

/** Indexes of entries that serve lookups only: a ledger is complete without them. */
export const isLookupIndex = ({ name }: Pick<Relation, 'name'>) => name.startsWith('entries_by_');

export type Totals = {
  readonly heap: number;
  /** Without the lookup indexes. */
  readonly index: number;
  readonly lookup: number;
  readonly withoutLookup: number;
  readonly all: number;
};

/** Bytes per operation. TOAST counts as heap. */
export function totalsOf(growth: readonly Growth[]): Totals {
  const sum = (wanted: (one: Growth) => boolean) =>
    growth.filter(wanted).reduce((total, { bytes }) => total + bytes, 0);
  const heap = sum(({ kind }) => kind !== 'index');
  const lookup = sum((one) => one.kind === 'index' && isLookupIndex(one));
  const index = sum((one) => one.kind === 'index' && !isLookupIndex(one));
  return { heap, index, lookup, withoutLookup: heap + index, all: heap + index + lookup };
}
