/**
 * Columns. One is defined by a line in src/store/tables, such as
 * `remaining: bigint('updated', 'not spent yet')`: its SQL type, when it is written, its meaning, and how
 * the field of the domain object, such as a Grant, is read from the database and written to it.
 */
import { canonicalJson } from '../canonical.ts';
import type { Element, ElementType } from './binary-array.ts';

/**
 * When a column is written: it is part of the primary key; it is set once, by the insert; it is set by
 * every update; or by updates of settings only, so that the frequent update stays narrow.
 */
export type Group = 'key' | 'inserted' | 'updated' | 'settings';

/** The value that is written is the field of the column. */
export type OwnField = { readonly kind: 'field' };
/** The value that is written is a function of the domain object. */
export type From<Domain> = { readonly kind: 'from'; readonly object: Domain };
/** The same, and the column is never read: it exists for CHECKs and indexes. */
export type Computed<Domain> = { readonly kind: 'computed'; readonly object: Domain };

export type ColumnDefinition = {
  readonly group: Group;
  /** What the column means, in one line of docs/schema.sql. Empty: its name says it. */
  readonly comment: string;
  /** As `create table` spells it. */
  readonly sqlType: string;
  readonly elementType: ElementType;
  readonly isNullable: boolean;
  /** From the value that a select list of the table yields. */
  readonly read: (selected: never) => unknown;
  readonly write: (value: never) => Element;
  /** Null: the value is the field. */
  readonly from: ((object: never) => unknown) | null;
  readonly isRead: boolean;
};

const asIs = <T>(value: T): T => value;

/** A column whose value is a `Value` in the domain object, and a `Stored` in the MikroORM entity. */
export class Column<Value, Stored, Source = OwnField> {
  readonly definition: ColumnDefinition;
  /** For the type checker alone: it makes a field and its column agree exactly. */
  declare readonly types: {
    readonly value: (value: Value) => Value;
    readonly stored: Stored;
    readonly source: Source;
  };

  constructor(definition: ColumnDefinition) {
    this.definition = definition;
  }

  nullable(): Column<Value | null, Stored | null, Source> {
    const { read, write } = this.definition;
    return this.#with({
      isNullable: true,
      read: (selected) => (selected === null ? null : read(selected)),
      write: (value) => (value === null ? null : write(value)),
    });
  }

  /** NULL in SQL stands for this value, which the field has instead of null. */
  nullIs(absent: Value): Column<Value, Stored | null, Source> {
    const { read, write } = this.definition;
    return this.#with({
      isNullable: true,
      read: (selected) => (selected === null ? absent : read(selected)),
      write: (value) => (value === absent ? null : write(value)),
    });
  }

  /**
   * The field holds the value in another form. `toValue` is left out where the column is not written from
   * the field.
   */
  as<Mapped>(
    toMapped: (value: Value) => Mapped,
    toValue?: (mapped: Mapped) => Value,
  ): Column<Mapped, Stored, Source> {
    const { read, write } = this.definition;
    return this.#with({
      read: (selected) => toMapped(read(selected) as Value),
      write: toValue ? (mapped) => write(toValue(mapped) as never) : write,
    });
  }

  /** The column is written from elsewhere in the domain object than its field. */
  from<Domain>(value: (object: Domain) => Value): Column<Value, Stored, From<Domain>> {
    return this.#with({ from: value });
  }

  /** The JSON column is written from its text, which the domain object has already. */
  fromText<Domain>(text: (object: Domain) => string): Column<Value, Stored, From<Domain>> {
    return this.#with({ from: text, write: asIs });
  }

  /** The column is computed when it is written, and never read. */
  computed<Domain>(value: (object: Domain) => Value): Column<Value, Stored, Computed<Domain>> {
    return this.#with({ from: value, isRead: false });
  }

  #with<V, S, From>(changes: Partial<ColumnDefinition>): Column<V, S, From> {
    return new Column({ ...this.definition, ...changes });
  }
}

/** A column in its table. */
export type NamedColumn = ColumnDefinition & {
  /** In the domain object, and in the MikroORM entity. */
  readonly field: string;
  /** In SQL. */
  readonly name: string;
};

type ColumnType<Value> = Pick<ColumnDefinition, 'elementType'> & {
  /** Else the element type's name. */
  readonly sqlType?: string;
  readonly read?: (selected: never) => Value;
  readonly write?: (value: Value) => Element;
};

/** `Value` can be narrowed by the column, e.g. `text<AccountState>(…)`. */
const columnType =
  <Value, Stored = Value>({ elementType, sqlType = elementType, read, write }: ColumnType<Value>) =>
  <V extends Value = Value>(group: Group, comment = ''): Column<V, Stored> =>
    new Column({
      group,
      comment,
      sqlType,
      elementType,
      isNullable: false,
      read: read ?? asIs,
      write: (write ?? asIs) as ColumnDefinition['write'],
      from: null,
      isRead: true,
    });

export const text = columnType<string>({ elementType: 'text' });
export const uuid = columnType<string>({ elementType: 'uuid' });
export const int = columnType<number>({ elementType: 'int' });
export const boolean = columnType<boolean>({ elementType: 'boolean' });
export const bytea = columnType<Uint8Array, Buffer>({ elementType: 'bytea' });
/** The driver reads an int8 as text. */
export const bigint = columnType<bigint>({ elementType: 'bigint', read: BigInt });
/** Epoch milliseconds. */
export const instant = columnType<number, Date>({
  elementType: 'instant',
  sqlType: 'timestamptz(3)',
});

/** An exact decimal as text; with a precision and scale, padded to the scale. */
export const numeric = (...precision: readonly [] | readonly [number, number]) =>
  columnType<string>({
    elementType: 'numeric',
    sqlType: precision.length === 0 ? 'numeric' : `numeric(${precision.join(', ')})`,
  });

/** Names as short numbers, e.g. `code({ ACTIVE: 1, EXPIRED: 4 })('updated')`. A view spells them. */
export const code = <Name extends string>(codes: Readonly<Record<Name, number>>) => {
  const names = new Map(Object.entries<number>(codes).map(([name, code]) => [code, name as Name]));
  return columnType<Name, number>({
    elementType: 'smallint',
    read: (selected: number) => {
      const name = names.get(selected);
      if (name === undefined) throw new Error(`there is no name for the code ${selected}`);
      return name;
    },
    write: (name) => codes[name],
  });
};

/** Hexadecimal text, in half as many bytes. */
export const hex = columnType<string, Buffer>({
  elementType: 'bytea',
  read: (selected: Buffer) => selected.toString('hex'),
  write: (value) => Buffer.from(value, 'hex'),
});

/**
 * JSON as text: canonical, and smaller than jsonb. For what is written once and read whole. A bigint
 * becomes a number or, above 2^53, a string.
 */
export const jsonText = <Stored>(group: Group, comment = ''): Column<Stored, Stored> =>
  columnType<Stored>({ elementType: 'json', write: canonicalJson })(group, comment);

/** Written as canonical JSON: a bigint becomes a number or, above 2^53, a string. */
export const json = <Stored>(group: Group, comment = ''): Column<Stored, Stored> =>
  columnType<Stored>({ elementType: 'jsonb', write: canonicalJson })(group, comment);
