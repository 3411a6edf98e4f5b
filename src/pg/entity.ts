/** The MikroORM entity of a table. Its properties have the names of the fields. */
import { defineEntity, type EntitySchema, p, t } from '@mikro-orm/core';
import type { ElementType } from './binary-array.ts';
import type { Column, NamedColumn } from './column.ts';
import type { Columns, Index, Table } from './table.ts';

export type Entity<C extends Columns> = {
  [Field in keyof C]: C[Field] extends Column<infer _, infer Stored, unknown> ? Stored : never;
};

const TYPES = {
  text: t.text,
  uuid: t.uuid,
  bigint: new t.bigint('bigint'),
  int: t.integer,
  smallint: t.smallint,
  boolean: t.boolean,
  bytea: t.blob,
  instant: t.datetime,
  numeric: new t.decimal('string'),
  jsonb: t.json,
  json: t.json,
} satisfies Readonly<Record<ElementType, unknown>>;

export function entityOf<C extends Columns, Domain>({
  name,
  columns,
  definition: { checks = {}, uniques = {}, indexes = {} },
}: Table<C, Domain>): EntitySchema<Entity<C>> {
  return defineEntity({
    name,
    tableName: name,
    properties: Object.fromEntries(columns.map((column) => [column.field, propertyOf(column)])),
    checks: Object.entries(checks).map(([name, conditions]) => ({
      name,
      expression: [conditions].flat().join(' and '),
    })),
    uniques: [
      ...Object.entries(uniques).map(([name, fields]) => ({ name, properties: [...fields] })),
      ...indexesOf(indexes, true),
    ],
    indexes: indexesOf(indexes, false),
  }) as unknown as EntitySchema<Entity<C>>;
}

const indexesOf = (indexes: Readonly<Record<string, Index<string>>>, areUnique: boolean) =>
  Object.entries(indexes)
    .filter(([, { unique = false }]) => unique === areUnique)
    .map(([name, { on, where, using }]) => ({
      name,
      properties: [...on],
      ...(where !== undefined && { where }),
      ...(using !== undefined && { type: using }),
    }));

function propertyOf({ elementType, sqlType, name, group, isNullable }: NamedColumn) {
  const property = p.type(TYPES[elementType]).columnType(sqlType).fieldName(name);
  // No column is filled by a sequence.
  if (group === 'key') return property.primary().autoincrement(false);
  return isNullable ? property.nullable() : property;
}
