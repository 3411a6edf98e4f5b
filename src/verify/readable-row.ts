/**
 * Reads rows whose JSON may be anything. What cannot be read is reported, and read as if it were not there: the
 * audit goes on.
 */
import { canonicalJson } from '../canonical.ts';
import type { NamedColumn } from '../pg/column.ts';
import type { Row } from '../pg/table.ts';
import type { Report } from './findings.ts';

type ReadTable<Domain> = {
  readonly columns: readonly NamedColumn[];
  readonly read: (row: Row) => Domain;
};

const isJson = ({ elementType, isRead }: NamedColumn): boolean =>
  isRead && (elementType === 'json' || elementType === 'jsonb');

/** JSON as text, beside the values: the driver reads a JSON null as NULL. */
export const jsonTexts = ({ columns }: Pick<ReadTable<unknown>, 'columns'>): string =>
  columns
    .filter(isJson)
    .map(({ name }) => `${name}::text as ${name}_text`)
    .join(', ');

/** The row of a query that selects `jsonTexts` as well. */
export function readRow<Domain>(table: ReadTable<Domain>, row: Row, report: Report): Domain {
  const readable: Record<string, unknown> = { ...row };
  for (const column of table.columns.filter(isJson)) {
    const { name } = column;
    const error = findError(column, row);
    if (!error) continue;
    report(`${name} ${error}`);
    readable[name] = column.isNullable ? null : {};
  }
  return table.read(readable as Row);
}

/** Why a value is none that the service writes; null if it is one. */
function findError({ name, read, write }: NamedColumn, row: Row): string | null {
  const text: string | null = row[`${name}_text`] ?? null;
  try {
    const written = write(read(row[name] as never) as never);
    const canonical = text === null ? null : canonicalJson(JSON.parse(text));
    return written === canonical ? null : 'is not as the service writes it';
  } catch (error) {
    return `cannot be read: ${error instanceof Error ? error.message : error}`;
  }
}
