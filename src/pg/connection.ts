/**
 * One session with PostgreSQL. MikroORM and Kysely run SQL on it as on any connection; the service sends batches.
 * A transaction's BEGIN is sent with its first SQL statements and its COMMIT can be sent with the last, so a unit
 * of work waits for PostgreSQL twice.
 */
import type { Socket } from 'node:net';
import type { CompiledQuery, DatabaseConnection, QueryResult } from 'kysely';
import type pg from 'pg';
import {
  type ParsedRow,
  PipelinedBatch,
  type PreparedStatements,
  type SqlStatement,
} from './pipelined-batch.ts';

const COMMIT: SqlStatement = { text: 'commit', parameters: [] };

export class Connection implements DatabaseConnection {
  readonly #client: pg.PoolClient;
  readonly #prepared: PreparedStatements = new Map();
  /** The BEGIN of the transaction, until it is sent. */
  #begin: SqlStatement | null = null;
  /** The transaction was committed with its last SQL statements. */
  #isCommitted = false;
  /** A rollback failed, so the state of the session is unknown. */
  #isBroken = false;

  constructor(client: pg.PoolClient) {
    this.#client = client;
    this.#socket.on('timeout', () => this.#socket.destroy());
  }

  get #socket(): Socket {
    return this.#client.connection.stream as Socket;
  }

  /** The database that it is connected to. */
  get target(): { readonly host: string; readonly port: number; readonly database: string } {
    const { host, port, database = '' } = this.#client;
    return { host, port, database };
  }

  /** From now on the connection is destroyed when PostgreSQL is silent for `timeoutMs`: it may be gone. */
  acquire(timeoutMs: number) {
    this.#socket.setTimeout(timeoutMs);
  }

  release() {
    this.#socket.setTimeout(0);
    this.#client.release(this.#isBroken);
  }

  /** Runs SQL of MikroORM, which writes parameters into the text. The text may have several SQL statements. */
  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    // BEGIN and COMMIT are sent with a batch: here by themselves, as MikroORM's text is no part of one.
    if (this.#begin || this.#isCommitted) await this.send([]);
    const { rows, rowCount } = await this.#client.query(sql, [...parameters]);
    return { rows, numAffectedRows: BigInt(rowCount ?? 0) };
  }

  streamQuery(): never {
    throw new Error('not supported: read page by page instead');
  }

  /**
   * Runs SQL statements in one batch and returns the rows of each. Outside a transaction the batch is a transaction.
   * With `commit` the batch is the last of the transaction, which is committed unless an SQL statement fails.
   */
  async send(statements: readonly SqlStatement[], { commit = false } = {}): Promise<ParsedRow[][]> {
    if (this.#isCommitted) throw new Error('the transaction is already committed');
    const before = this.#begin ? [this.#begin] : [];
    this.#begin = null;
    const batch = new PipelinedBatch(
      [...before, ...statements, ...(commit ? [COMMIT] : [])],
      this.#prepared,
      this.#client,
    );
    this.#client.query(batch);
    const results = await batch.results;
    if (commit) {
      assertCommitted(results.at(-1)?.command);
      this.#isCommitted = true;
    }
    return results.slice(before.length, before.length + statements.length).map(({ rows }) => rows);
  }

  /** Begins a transaction with the next batch. */
  begin(sql: string) {
    this.#begin = { text: sql, parameters: [] };
  }

  async commit() {
    if (!this.#endTransaction()) return;
    assertCommitted((await this.#client.query(COMMIT.text)).command);
  }

  /** Never fails, so that Kysely releases the connection. PostgreSQL rolls back when a session ends. */
  async rollback() {
    if (!this.#endTransaction()) return;
    try {
      await this.#client.query('rollback');
    } catch {
      this.#isBroken = true;
    }
  }

  /** Forgets the transaction. Returns whether PostgreSQL still has to be told. */
  #endTransaction(): boolean {
    const isOpen = this.#begin === null && !this.#isCommitted;
    this.#begin = null;
    this.#isCommitted = false;
    return isOpen;
  }
}

/** PostgreSQL answers ROLLBACK to the COMMIT of a transaction in which an SQL statement has failed. */
function assertCommitted(command: string | undefined) {
  if (command !== 'COMMIT') throw new Error('the transaction had failed and was rolled back');
}
