/** A ledger with rows in every table, whose rows are altered one after the other and restored. */
import { isDeepStrictEqual } from 'node:util';
import pg from 'pg';
import { vi } from 'vitest';
import { verifyOn } from '../../src/verify/verify.ts';
import { Receiver } from '../events/receiver.ts';
import type { TestService } from '../service.ts';
import { alterationsOf, columnsOf, keysOf, type TableColumn } from './alterations.ts';
import { startSampleService, writeSampleLedger } from './sample-ledger.ts';

export type Outcome = {
  readonly result: 'noticed' | 'unnoticed' | 'not named' | `verify failed: ${string}`;
  readonly does: string;
};

/** A row as text, by its columns. */
type TextRow = Readonly<Record<string, string | null>>;

/** Rows and alterations of a column: enough to meet each of its forms, few enough to be quick. */
const ROWS_MAX = 4;
const ALTERATIONS_MAX = 8;

export class AlteredLedger {
  readonly owner: pg.Client;
  /** Null: nothing is archived. */
  readonly #archiveDirectory: string | null;
  readonly #columns: ReadonlyMap<string, readonly TableColumn[]>;
  readonly #keys: ReadonlyMap<string, readonly string[]>;

  private constructor(
    owner: pg.Client,
    archiveDirectory: string | null,
    columns: readonly TableColumn[],
    keys: ReadonlyMap<string, readonly string[]>,
  ) {
    this.owner = owner;
    this.#archiveDirectory = archiveDirectory;
    this.#columns = Map.groupBy(columns, ({ table }) => table);
    this.#keys = keys;
  }

  /** Writes the ledger, and waits until every event is delivered. */
  static async write(
    archive: (scrip: TestService) => Promise<string | null> = async () => null,
  ): Promise<AlteredLedger> {
    const receiver = await new Receiver().open();
    const scrip = await startSampleService({ env: receiver.env });
    await writeSampleLedger(scrip);
    const owner = new pg.Client(scrip.databaseUrl);
    await owner.connect();
    await vi.waitFor(
      async () => {
        const { rows } = await owner.query(`
          select (select count(*) from events) as events,
            (select count(*) from deliveries where state = 'DELIVERED') as delivered`);
        if (rows[0].events !== rows[0].delivered) throw new Error('events are on their way');
      },
      { timeout: 60_000, interval: 50 },
    );
    await scrip.service.countUsage();
    await scrip.service.countMovements();
    const archiveDirectory = await archive(scrip);
    await scrip.stop();
    await receiver.close();
    await owner.query(`
      insert into clock_acceptances values (1, now(), now());
      insert into verify_runs values (gen_random_uuid(), now(), 1, 1, 0);
      insert into cells values ('only', 1, '{"only": [[0, 4095]]}', now());
      create schema original`);
    const columns = await columnsOf(owner);
    for (const table of new Set(columns.map((column) => column.table)))
      await owner.query(`create table original.${table} as table ${table}`);
    return new AlteredLedger(owner, archiveDirectory, columns, await keysOf(owner));
  }

  end(): Promise<void> {
    return this.owner.end();
  }

  /** The discrepancies of an account, or of everything. */
  async verify(accountId: string | null) {
    const result = await verifyOn(this.owner, {
      all: true,
      archiveDirectory: this.#archiveDirectory,
      ...(accountId !== null && { accountId }),
    });
    return result.ok ? [] : result.discrepancies;
  }

  async alterColumn(column: TableColumn): Promise<readonly Outcome[]> {
    const { table, column: name, type } = column;
    const rows = await this.#rowsOf(table);
    const outcomes: Outcome[] = [];
    for (const row of differing(rows, name)) {
      const values = new Set(rows.map((other) => other[name] ?? null));
      const others = [...values].filter((value) => value !== row[name]).slice(0, 2);
      const alterations = [
        ...sample(alterationsOf(column, row[name] ?? null), ALTERATIONS_MAX),
        ...others.map((value) => ({ does: `gives ${value} to`, value: literal(value, type) })),
      ];
      for (const { does, value } of alterations)
        outcomes.push(
          ...(await this.#attempt(table, row, `${does} ${name}`, async () => {
            const set = `${name} = ${value.replaceAll('?', name)}`;
            return [await this.#update(table, row, set)];
          })),
        );
    }
    return outcomes;
  }

  async deleteRows(table: string): Promise<readonly Outcome[]> {
    const outcomes: Outcome[] = [];
    for (const row of sample(await this.#rowsOf(table), 6))
      outcomes.push(
        ...(await this.#attempt(table, row, 'deletes', async () => {
          await this.owner.query(`delete from ${table} where ${this.#where(table, row)}`);
          return [row];
        })),
      );
    return outcomes;
  }

  /** A copy gets the next free key. */
  async forgeRows(table: string): Promise<readonly Outcome[]> {
    const rows = await this.#rowsOf(table);
    const outcomes: Outcome[] = [];
    for (const row of sample(rows, 6))
      outcomes.push(
        ...(await this.#attempt(table, row, 'copies', async () => {
          const names = (this.#columns.get(table) ?? []).map(({ column }) => column);
          const values = names.map((name) => this.#forgedValue(table, name, row, rows));
          const { rows: forged } = await this.owner.query<TextRow>(
            `insert into ${table} (${names.join(', ')}) select ${values.join(', ')} from ${table}
             where ${this.#where(table, row)} returning ${this.#texts(table)}`,
          );
          return forged;
        })),
      );
    return outcomes;
  }

  /** Copies have the empty id, which no account can have. */
  async forgeRowsOfNobody(table: string): Promise<readonly Outcome[]> {
    const names = (this.#columns.get(table) ?? []).map(({ column }) => column);
    if (!names.includes('account_id')) return [];
    const values = names.map((name) => (name === 'account_id' ? `''` : name));
    const outcomes: Outcome[] = [];
    for (const row of sample(await this.#rowsOf(table), 1))
      outcomes.push(
        ...(await this.#attempt(table, row, 'copies for nobody', async () => {
          const { rows: forged } = await this.owner.query<TextRow>(
            `insert into ${table} (${names.join(', ')}) select ${values.join(', ')} from ${table}
             where ${this.#where(table, row)} returning ${this.#texts(table)}`,
          );
          return forged;
        })),
      );
    return outcomes;
  }

  /** Two rows of one account get each other's values, but for their keys. */
  async swapRows(table: string): Promise<readonly Outcome[]> {
    const rows = await this.#rowsOf(table);
    const outcomes: Outcome[] = [];
    for (const [index, row] of sample(rows, 5).entries()) {
      const others = rows.filter((other) => other !== row);
      const other =
        others.find(({ account_id: id }) => id !== undefined && id === row['account_id']) ??
        others[index];
      if (other) outcomes.push(...(await this.#swap(table, row, other)));
    }
    return outcomes;
  }

  async #swap(table: string, row: TextRow, other: TextRow): Promise<readonly Outcome[]> {
    const keys = this.#keys.get(table) ?? [];
    const columns = (this.#columns.get(table) ?? []).filter(({ column }) => !keys.includes(column));
    const valuesOf = (from: TextRow) =>
      columns.map(({ column, type }) => `${column} = ${literal(from[column] ?? null, type)}`);
    if (valuesOf(row).join() === valuesOf(other).join()) return [];
    return await this.#attempt(table, row, `swaps with ${nameOf(table, other)}`, async () => {
      await this.owner.query('begin');
      // Unique columns of the first must be free for the second.
      const { rows } = await this.owner.query<TextRow>(
        `delete from ${table} where ${this.#where(table, other)} returning ${this.#texts(table)}`,
      );
      await this.#update(table, row, valuesOf(other).join(', '));
      const names = Object.keys(rows[0] ?? {});
      const types = new Map(columns.map(({ column, type }) => [column, type]));
      const values = names.map((name) =>
        types.has(name)
          ? literal(row[name] ?? null, types.get(name) ?? 'text')
          : literal(other[name] ?? null, this.#typeOf(table, name)),
      );
      await this.owner.query(
        `insert into ${table} (${names.join(', ')}) values (${values.join(', ')})`,
      );
      await this.owner.query('commit');
      return [row, other];
    });
  }

  /** Alters, verifies, and restores. Nothing was altered where the schema refuses it. */
  async #attempt(
    table: string,
    row: TextRow,
    does: string,
    alter: () => Promise<readonly TextRow[]>,
  ): Promise<readonly Outcome[]> {
    let altered: readonly TextRow[];
    try {
      altered = await alter();
    } catch (error) {
      await this.owner.query('rollback');
      if (isRefusal(error)) return [];
      throw error;
    }
    // It was that already.
    if (altered.every((after) => isDeepStrictEqual(after, row)) && does !== 'deletes') return [];
    const what = `${does} ${nameOf(table, row)}`;
    try {
      return [await this.#audit(table, [row, ...altered], what)];
    } catch (error) {
      return [{ result: `verify failed: ${error}`, does: what }];
    } finally {
      await this.#restore(table, [row, ...altered]);
    }
  }

  async #audit(table: string, rows: readonly TextRow[], does: string): Promise<Outcome> {
    // What spans accounts needs an audit of all.
    const accounts = new Set(rows.map(({ account_id: id }) => id ?? null));
    const [only = null] = accounts.size === 1 && !SPANNING.includes(table) ? accounts : [];
    const found = await this.verify(only);
    if (found.length === 0) return { result: 'unnoticed', does };
    const names = rows.flatMap((row) => namesOf(table, row));
    const isNamed = found.some(
      ({ accountId, what }) =>
        names.length === 0 || names.some((name) => `${accountId} ${what} `.includes(name)),
    );
    return isNamed
      ? { result: 'noticed', does }
      : { result: 'not named', does: `${does}: ${found.map(({ what }) => what).join('; ')}` };
  }

  async #update(table: string, row: TextRow, set: string): Promise<TextRow> {
    const { rows } = await this.owner.query<TextRow>(
      `update ${table} set ${set} where ${this.#where(table, row)} returning ${this.#texts(table)}`,
    );
    if (!rows[0]) throw new Error(`no row of ${table} was altered`);
    return rows[0];
  }

  async #restore(table: string, rows: readonly TextRow[]) {
    for (const row of rows) {
      const where = this.#where(table, row);
      await this.owner.query(`delete from ${table} where ${where}`);
    }
    for (const row of rows)
      await this.owner.query(
        `insert into ${table} select * from original.${table} where ${this.#where(table, row)}
         on conflict do nothing`,
      );
  }

  async #rowsOf(table: string): Promise<readonly TextRow[]> {
    const { rows } = await this.owner.query<TextRow>(
      `select ${this.#texts(table)} from original.${table} order by ctid`,
    );
    return rows;
  }

  #texts(table: string): string {
    const columns = this.#columns.get(table) ?? [];
    return columns.map(({ column }) => `${column}::text as ${column}`).join(', ');
  }

  #where(table: string, row: TextRow): string {
    const keys = this.#keys.get(table) ?? [];
    return keys
      .map((key) => `${key} = ${literal(row[key] ?? null, this.#typeOf(table, key))}`)
      .join(' and ');
  }

  #typeOf(table: string, name: string): string {
    return this.#columns.get(table)?.find(({ column }) => column === name)?.type ?? 'text';
  }

  /** SQL of a copy's value: the last part of the key is a new one. */
  #forgedValue(table: string, name: string, row: TextRow, rows: readonly TextRow[]): string {
    const isKey = this.#keys.get(table)?.at(-1) === name;
    const isUnique = UNIQUE.includes(`${table}.${name}`);
    if (!isKey && !isUnique) return name;
    const type = this.#typeOf(table, name);
    if (type === 'uuid') return 'gen_random_uuid()';
    if (type.startsWith('int')) {
      const numbers = rows
        .filter((other) => other['account_id'] === row['account_id'])
        .map((other) => Number(other[name]));
      return `${Math.max(...numbers) + 1}`;
    }
    if (name === 'month') return `'2031-12'`;
    return `${name} || '-forged'`;
  }
}

/** Unique beside the key. */
const UNIQUE = [
  'purchases.payment_reference_key',
  'purchases.payment_reference',
  'purchases.session_id',
  'purchases.payment_intent_id',
  'events.seq',
];

/** Tables whose rows are compared over all accounts, or belong to none. */
const SPANNING = ['events', 'deliveries', 'event_cursors', 'plans', 'plan_versions', 'rate_cards'];

/** The texts of which verify's message has one. None: any message about the row's account names it. */
function namesOf(table: string, row: TextRow): readonly string[] {
  const { account_id: accountId } = row;
  switch (table) {
    case 'accounts':
      return [`${accountId} `];
    case 'grants':
      return [
        `grant ${row['grant_id']}:`,
        `grant ${row['grant_id']} `,
        `grant ${row['grant_id']},`,
      ];
    case 'reservations':
      return [`${row['reservation_id']}`];
    case 'entries':
      return [
        `entry ${row['seq']}:`,
        `entry ${row['seq']} `,
        `after entry ${Number(row['seq']) - 1} `,
        `seq is ${row['seq']}, `, // the newest, which is missing
        `entry ${Number(row['seq']) + 1}: is the first entry`,
      ];
    case 'refunded':
      return [`entry ${row['seq']}:`];
    case 'purchases':
      return [`${row['purchase_id']}`];
    case 'custom_packs':
      return [`pack ${row['pack_id']} `];
    case 'statements':
      return [`statement ${row['month']}`];
    case 'usage_rollups':
    case 'usage_quantities':
      return [`of ${row['operation'] || 'no operation'} by ${row['caller']}, ${row['plan_id']} `];
    case 'roll_forward_sums':
      return [`roll-forward ${row['month']} ${row['plan_id']} ${row['category']} `];
    case 'events':
      return [
        `event ${row['seq']}:`,
        `event ${Number(row['seq']) - 1} `,
        `event ${row['event_id']}:`,
        `event ${Number(row['seq']) - 1}`,
      ];
    case 'plans':
      return [`plan ${row['plan_id']}:`];
    case 'plan_versions':
      return [`version ${row['version']} of plan ${row['plan_id']}`, `plan ${row['plan_id']}:`];
    case 'rate_cards':
      return [`rate card ${row['version']} of plan ${row['plan_id']}`, `plan ${row['plan_id']}:`];
    default:
      return [];
  }
}

const nameOf = (table: string, row: TextRow): string =>
  `${table} ${Object.values(row).slice(0, 3).join(' ')}`;

const literal = (value: string | null, type: string): string =>
  value === null ? 'null' : `'${value.replaceAll("'", "''")}'::${type}`;

/** Constraints of the schema refuse it, or it is no value of the column's type. */
const isRefusal = (error: unknown): boolean =>
  /^(23|22)/.test((error as { readonly code?: string }).code ?? '');

/** A few of them, from everywhere. */
function sample<Item>(items: readonly Item[], most: number): readonly Item[] {
  const step = Math.max(1, items.length / most);
  return Array.from(
    { length: Math.min(most, items.length) },
    (_, index) => items[Math.floor(index * step)]!,
  );
}

/** A few rows whose values of a column differ in form, of different states. */
function differing(rows: readonly TextRow[], name: string): readonly TextRow[] {
  const byForm = Map.groupBy(rows, (row) => {
    const value = row[name] ?? null;
    const form = value === null || /^[A-Z_]+$/.test(value) ? value : value.slice(0, 2);
    return `${row['state']} ${form}`;
  });
  return sample(
    [...byForm.values()].map(([first]) => first!),
    ROWS_MAX,
  );
}
