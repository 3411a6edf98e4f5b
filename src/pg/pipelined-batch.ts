/**
 * SQL statements that are sent together, run in their order and answered together. There is one Sync, at the end:
 * where an SQL statement fails, PostgreSQL skips those behind it, a COMMIT among them. pg's own pipeline mode sends
 * a Sync with each (figures: docs/performance.md).
 * Protocol: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-PIPELINING
 */
import pg from 'pg';
import { prepareValue } from 'pg/lib/utils.js';

export type SqlStatement = { readonly text: string; readonly parameters: readonly unknown[] };

/** A row as pg parses it. */
export type ParsedRow = Record<string, unknown>;

/** `command` is PostgreSQL's command tag, such as `INSERT 0 3` or `COMMIT`. */
export type Result = { readonly rows: ParsedRow[]; command: string };

/** An SQL statement as it is prepared on one connection. */
type Prepared = {
  readonly name: string;
  /** pg's parser of its rows. */
  readonly parser: RowParser;
  /** PostgreSQL has prepared it and has described its rows, which cannot change after that. */
  isReady: boolean;
};

/** The prepared statements of one connection, by their text. */
export type PreparedStatements = Map<string, Prepared>;

/** Methods of pg.Result that its types leave out. */
type RowParser = {
  addFields(fields: readonly unknown[]): void;
  parseRow(fields: readonly (string | null)[]): ParsedRow;
};

/** pg.Connection. pg's types demand more parameters than there are, and accept only bytes or text as values. */
type PgConnection = Pick<pg.Connection, 'stream' | 'sync'> & {
  close(statement: { readonly type: 'S'; readonly name: string }): void;
  parse(statement: { readonly name: string; readonly text: string }): void;
  describe(statement: { readonly type: 'S'; readonly name: string }): void;
  bind(portal: {
    readonly statement: string;
    readonly values: readonly unknown[];
    readonly valueMapper: typeof prepareValue;
  }): void;
  execute(): void;
};

/** pg's Client accepts it in place of a query, and calls `handle…` with each message that comes back. */
export class PipelinedBatch {
  /** The result of each SQL statement; rejects with the error of the first that fails. */
  readonly results: Promise<Result[]>;
  readonly #statements: readonly SqlStatement[];
  readonly #prepared: readonly Prepared[];
  readonly #results: Result[];
  /** How many SQL statements are complete. */
  #completed = 0;
  #resolve: (results: Result[]) => void = () => {};
  #reject: (error: unknown) => void = () => {};

  constructor(
    statements: readonly SqlStatement[],
    prepared: PreparedStatements,
    types: pg.CustomTypesConfig,
  ) {
    this.results = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#statements = statements;
    this.#prepared = statements.map(({ text }) => findOrAdd(prepared, text, types));
    this.#results = statements.map(() => ({ rows: [], command: '' }));
  }

  submit(given: pg.Connection): null {
    const connection = given as unknown as PgConnection;
    connection.stream.cork();
    try {
      this.#statements.forEach((statement, index) => {
        send(connection, statement, this.#prepared[index] as Prepared);
      });
    } catch (error) {
      // A parameter cannot be written: the SQL statement is not sent, nor is any behind it.
      this.#reject(error);
    } finally {
      connection.sync();
      connection.stream.uncork();
    }
    return null;
  }

  handleRowDescription({ fields }: { readonly fields: readonly unknown[] }) {
    this.#prepared[this.#completed]?.parser.addFields(fields);
  }

  handleDataRow({ fields }: { readonly fields: readonly (string | null)[] }) {
    const row = this.#prepared[this.#completed]?.parser.parseRow(fields);
    this.#results[this.#completed]?.rows.push(row as ParsedRow);
  }

  handleCommandComplete({ text }: { readonly text: string }) {
    (this.#prepared[this.#completed] as Prepared).isReady = true;
    (this.#results[this.#completed] as Result).command = text;
    this.#completed += 1;
  }

  handleReadyForQuery() {
    this.#resolve(this.#results);
  }

  handleError(error: unknown) {
    this.#reject(error);
  }
}

function send(connection: PgConnection, { text, parameters }: SqlStatement, prepared: Prepared) {
  const { name, isReady } = prepared;
  if (!isReady) {
    // An earlier attempt may have prepared it and then failed. Closing an unknown name is no error.
    connection.close({ type: 'S', name });
    connection.parse({ name, text });
    connection.describe({ type: 'S', name });
  }
  connection.bind({ statement: name, values: parameters, valueMapper: prepareValue });
  connection.execute();
}

function findOrAdd(
  prepared: PreparedStatements,
  text: string,
  types: pg.CustomTypesConfig,
): Prepared {
  const found = prepared.get(text);
  if (found) return found;
  const parser = new pg.Result('', types as typeof pg.types) as unknown as RowParser;
  const added = { name: `s${prepared.size + 1}`, parser, isReady: false };
  prepared.set(text, added);
  return added;
}
