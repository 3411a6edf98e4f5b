/**
 * The definition of a table: the one place that knows its columns. Select lists and readers of rows, bulk
 * writes (bulk.ts), the MikroORM entity (entity.ts) and docs/schema.sql follow from it.
 */
import type { Element } from './binary-array.ts';
import type { Column, ColumnDefinition, Computed, NamedColumn, OwnField } from './column.ts';
import { millis } from './millis.ts';

/** A row as the driver gives it: what a field holds follows from the SQL that named it. */
export type Row = Readonly<Record<string, never>>;

/** The columns of a table, by their fields. */
export type Columns = Readonly<Record<string, { readonly definition: ColumnDefinition }>>;

type ValueOf<C> = C extends Column<infer Value, unknown, unknown> ? Value : never;
type SourceOf<C> = C extends Column<infer _, unknown, infer Source> ? Source : never;
type DomainOf<Source> = Source extends { readonly object: infer Domain } ? Domain : never;
type DomainWritten<C extends Columns> = DomainOf<SourceOf<C[keyof C]>>;
type FieldsRead<C extends Columns> = {
  [Field in keyof C]: SourceOf<C[Field]> extends Computed<unknown> ? never : Field;
}[keyof C];
type FieldsWritten<C extends Columns> = {
  [Field in keyof C]: SourceOf<C[Field]> extends OwnField ? Field : never;
}[keyof C];

/** What is read of a row: the values of all columns but the computed ones, by their fields. */
export type Values<C extends Columns> = { [Field in FieldsRead<C>]: ValueOf<C[Field]> };

/** What is written: an object with these fields, and of the type that the other columns are written from. */
export type Written<C extends Columns> = {
  readonly [Field in FieldsWritten<C>]: ValueOf<C[Field]>;
} & ([DomainWritten<C>] extends [never] ? unknown : DomainWritten<C>);

/** What `create table` and its companions say, apart from the columns. */
export type TableDescription<Field extends string = string> = {
  readonly name: string;
  /** What a row is, and what a reader of the schema should know of it. */
  readonly comment: string;
  /** By the name of the constraint, a condition, or several that must all hold. */
  readonly checks?: Readonly<Record<string, string | readonly string[]>>;
  readonly uniques?: Readonly<Record<string, readonly Field[]>>;
  readonly indexes?: Readonly<Record<string, Index<Field>>>;
  /** Of the role `scrip_runtime`, e.g. "select, insert". An update may set the groups `updated` and `settings`. */
  readonly privileges: string;
  /** Columns that no query filters by: ANALYZE would sort their values for nothing. */
  readonly unanalyzed?: readonly Field[];
  /** Percent of a page that inserts fill. An update that finds room on the page touches no index. */
  readonly fillfactor?: number;
};

export type Index<Field extends string> = {
  readonly on: readonly Field[];
  /** Of a partial index. */
  readonly where?: string;
  readonly unique?: true;
  /** Default: a B-tree. */
  readonly using?: 'gin';
};

export type TableDefinition<C extends Columns, Domain> = TableDescription<keyof C & string> & {
  readonly columns: C;
  /** Where the domain object is not simply the values. */
  readonly toDomain?: (values: Values<C>) => Domain;
};

export const defineTable = <C extends Columns, Domain = Values<C>>(
  definition: TableDefinition<C, Domain>,
): Table<C, Domain> => new Table(definition);

export class Table<C extends Columns, Domain> {
  readonly name: string;
  readonly definition: TableDefinition<C, Domain>;
  readonly columns: readonly NamedColumn[];
  /** Every column but the computed ones, for a query of this table alone. */
  readonly selectList: string;
  /** Reads a row of such a query. */
  readonly read: (row: Row) => Domain;

  constructor(definition: TableDefinition<C, Domain>) {
    this.name = definition.name;
    this.definition = definition;
    this.columns = Object.entries(definition.columns).map(([field, { definition }]) => ({
      ...definition,
      field,
      name: snakeCase(field),
    }));
    this.selectList = this.selectListOf();
    const values = reader<Values<C>>(this.#columnsRead);
    const { toDomain } = definition;
    this.read = toDomain ? (row) => toDomain(values(row)) : (row) => values(row) as Domain;
  }

  /** The select list in a query that gives the table an alias. */
  selectListOf(alias?: string): string {
    return this.#columnsRead.map((column) => selected(column, alias)).join(', ');
  }

  /** A select list of a few columns, and the reader of its rows. */
  pick<Field extends FieldsRead<C> & string>(...fields: readonly Field[]) {
    const columns = this.#columnsRead.filter(({ field }) => fields.includes(field as Field));
    return {
      selectList: columns.map((column) => selected(column)).join(', '),
      read: reader<Pick<Values<C>, Field>>(columns),
    };
  }

  get #columnsRead(): readonly NamedColumn[] {
    return this.columns.filter(({ isRead }) => isRead);
  }
}

/** The value that a bulk write sends for a column. */
export function elementOf<Domain>({
  field,
  from,
  write,
}: NamedColumn): (object: Domain) => Element {
  if (from) return (object) => write(from(object as never) as never);
  return (object) => write((object as Row)[field] as never);
}

const snakeCase = (field: string): string =>
  field.replace(/[A-Z]/g, (capital) => `_${capital.toLowerCase()}`);

function selected({ name, elementType }: NamedColumn, alias?: string): string {
  const column = alias === undefined ? name : `${alias}.${name}`;
  if (elementType === 'instant') return millis(column, name);
  return elementType === 'numeric' ? `${column}::text` : column;
}

function reader<Read>(columns: readonly NamedColumn[]): (row: Row) => Read {
  // An object that grows by computed names becomes a dictionary in V8, which is slow to use. A copy of a
  // copy of it has all its fields from the start.
  const grown = Object.fromEntries(columns.map(({ field }) => [field, null]));
  const blank: Record<string, unknown> = { ...grown };
  return (row) => {
    const values = { ...blank };
    for (const { field, name, read } of columns) values[field] = read(row[name] as never);
    return values as Read;
  };
}
