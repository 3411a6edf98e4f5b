/** The schema of the database as one page of SQL, from the definitions in src/store/tables. */
import type { NamedColumn } from '../../src/pg/column.ts';
import type { Columns, Table, TableDescription } from '../../src/pg/table.ts';
import { tables } from '../../src/store/tables/index.ts';
import { VIEWS } from '../../src/store/tables/views.ts';

const HEADER = `\
-- The schema of the database, as the migrations in src/pg/migrations make it. \`npm run schema\` writes
-- this page from the table definitions in src/store/tables. A test creates a database from it and
-- compares that with a migrated one.
--
-- account_id is in every primary and unique key of the account tables, no column is filled by a default,
-- sequence or trigger, and there are no foreign keys: every write holds the lock of its account's row.
-- So the tables can be distributed by account_id as they are. The CHECKs repeat the ledger's invariants.
--
-- The service works under the role scrip_runtime. It can change what updates of the service write, and nothing
-- else: no entry, no amount or expiry of a grant, no price.
-- Instants have a time zone, and are exact to the millisecond.
`;

export const schemaPage = (): string => [HEADER, schemaSql()].join('\n');

/** The tables, views and functions, without the words at the top of the page. */
export const schemaSql = (): string => [...tables.map(tableSql), VIEWS].join('\n');

const WIDTH = 100;

type AnyTable = Pick<Table<Columns, unknown>, 'columns'> & {
  readonly definition: TableDescription;
};

function tableSql({ columns, definition }: AnyTable): string {
  const { name, comment, checks = {}, uniques = {}, indexes = {}, privileges } = definition;
  const { fillfactor, unanalyzed = [] } = definition;
  const namesOf = (fields: readonly string[]) =>
    fields.map((field) => columns.find((column) => column.field === field)?.name).join(', ');
  const keys = columns.filter(({ group }) => group === 'key').map((column) => column.name);
  const constraints = [
    `primary key (${keys.join(', ')})`,
    ...Object.entries(uniques).map(
      ([name, fields]) => `constraint ${name} unique (${namesOf(fields)})`,
    ),
    ...Object.entries(checks).map(([name, conditions]) => checkSql(name, [conditions].flat())),
  ];
  return [
    ...wrap(comment, WIDTH - 3).map((line) => `-- ${line}`),
    `create table ${name} (`,
    ...columnLines(columns),
    constraints.map((constraint) => `  ${constraint}`).join(',\n'),
    fillfactor === undefined ? ');' : `) with (fillfactor = ${fillfactor});`,
    ...Object.entries(indexes).map(
      ([index, { on, where, unique, using }]) =>
        `create ${unique ? 'unique index' : 'index'} ${index} on ${name}${using ? ` using ${using}` : ''}` +
        ` (${namesOf(on)})${where ? ` where ${where}` : ''};`,
    ),
    ...(unanalyzed.length > 0
      ? [
          `alter table ${name} ${namesOf(unanalyzed)
            .split(', ')
            .map((column) => `alter column ${column} set statistics 0`)
            .join(',\n  ')};`,
        ]
      : []),
    ...grantLines(name, privileges, columns),
    '',
  ].join('\n');
}

/** An update may change the columns that an update of the service writes, and no others. */
function grantLines(name: string, privileges: string, columns: readonly NamedColumn[]): string[] {
  const updated = columns.filter(({ group }) => group === 'updated' || group === 'settings');
  const ofColumns = `update (${updated.map((column) => column.name).join(', ')})`;
  const text = `grant ${privileges.replace('update', ofColumns)} on ${name} to scrip_runtime;`;
  return wrap(text, WIDTH).map((line, index) => (index === 0 ? line : `  ${line}`));
}

/** A line for each column, with its comment. */
function columnLines(columns: readonly NamedColumn[]): string[] {
  const nameWidth = Math.max(...columns.map(({ name }) => name.length));
  const declared = columns.map(
    ({ name, sqlType, isNullable }) =>
      `  ${name.padEnd(nameWidth)} ${sqlType}${isNullable ? '' : ' not null'},`,
  );
  const width = Math.max(...declared.map((line) => line.length));
  return columns.map(({ comment }, index) => {
    const line = declared[index] as string;
    return comment ? `${line.padEnd(width)} -- ${comment}` : line;
  });
}

/** On one line where it fits, else a line for each condition. */
function checkSql(name: string, conditions: readonly string[]): string {
  const line = `constraint ${name} check (${conditions.join(' and ')})`;
  if (line.length <= WIDTH - 3) return line;
  const lines = conditions.flatMap((condition, index) =>
    wrap(index === 0 ? condition : `and ${condition}`, WIDTH - 4),
  );
  return [`constraint ${name} check (`, ...lines.map((text) => `  ${text}`), ')'].join('\n  ');
}

/** Breaks a text between words into lines of at most `width` characters. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line ? `${line} ${word}` : word;
  }
  return [...lines, line];
}
