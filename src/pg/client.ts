/** The connection the pool makes: pg's, with five things pg and Kysely leave to others. */
import type { Socket } from 'node:net';
import pg from 'pg';
import { PipelinedBatch, type Result, type Shapes, type SqlStatement } from './pipelined-batch.ts';

type Release = (error?: Error | boolean) => void;

/** The text of a query that stands for several statements: its one parameter says which. */
export const STATEMENT_BATCH = 'together';

/** Statements that go to the database in one flight. Its rows are theirs, statement by statement. */
export type StatementBatch = {
  readonly statements: readonly SqlStatement[];
  /** The transaction's COMMIT goes with them. */
  readonly commits: boolean;
};

const BEGIN = /^(begin|start transaction)\b/;
const COMMIT: SqlStatement = { text: 'commit', parameters: [] };
/** What is answered for a statement that was not sent by itself. */
const NOTHING = Promise.resolve({ command: '', rowCount: 0, rows: [] });

/**
 * - Statements can be sent together (STATEMENT_BATCH), and a transaction's last ones with its COMMIT. Its
 *   BEGIN always waits for its first: a unit of work waits for the database twice, not ten times.
 * - pg sends a statement with parameters unnamed, to be parsed and planned every time. This client's
 *   are prepared, once per connection.
 * - Kysely does not give a connection back to the pool when it was lost inside a transaction: after
 *   ten of them a pool of ten is empty for good. This one goes back by itself when it ends.
 * - A connection whose other end is gone without a word would be waited on for ever. This one is cut
 *   when a statement is not answered in time.
 */
export class Client extends pg.Client {
  readonly #answerTimeoutMs: number;
  #release: Release | null = null;
  #ended = false;
  /** Not sent yet. */
  #begin: SqlStatement | null = null;
  #committed = false;
  readonly #shapes: Shapes = new Map();

  constructor(config: pg.ClientConfig & { readonly answerTimeoutMs: number }) {
    super(config);
    this.#answerTimeoutMs = config.answerTimeoutMs;
    this.once('end', () => {
      this.#ended = true;
      this.#release?.(true);
    });
  }

  /** Set by the pool each time it hands the client out. Only the first call of it counts. */
  get release(): Release {
    return this.#release ?? (() => {});
  }

  set release(release: Release) {
    let released = false;
    this.#release = (error) => {
      if (!released) release(error);
      released = true;
    };
    // One that ended in the pool can still be handed out once; whoever gets it learns from its error.
    if (this.#ended) setImmediate(() => this.#release?.(true));
  }

  override query(...args: unknown[]): never {
    return this.#query(args) as never;
  }

  #query(args: unknown[]): unknown {
    const [text, parameters] = args;
    if (typeof text !== 'string') return super.query.apply(this, args as never);
    if (this.#committed) return this.#afterCommit(text);
    if (BEGIN.test(text)) {
      this.#begin = { text, parameters: [] };
      return NOTHING;
    }
    if (this.#begin && (text === 'commit' || text === 'rollback')) {
      this.#begin = null;
      return NOTHING;
    }
    if (text === STATEMENT_BATCH) return this.#together((parameters as [StatementBatch])[0]);
    if (Array.isArray(parameters) && parameters.length > 0) return this.#one({ text, parameters });
    return this.#plain(text);
  }

  /** All that may come after a COMMIT that went with others is the COMMIT that it was for. */
  async #afterCommit(text: string) {
    this.#committed = false;
    if (text !== COMMIT.text) throw new Error(`the transaction was committed before: ${text}`);
    return await NOTHING;
  }

  async #together({ statements, commits }: StatementBatch) {
    const results = await this.#fly(commits ? [...statements, COMMIT] : statements);
    this.#committed = commits;
    return { command: '', rowCount: 0, rows: results.map(({ rows }) => rows) };
  }

  /** As pg would answer it: Kysely asks how many rows were written. */
  async #one(statement: SqlStatement) {
    const [result] = (await this.#fly([statement])) as [Result];
    const [command, ...counts] = result.command.split(' ');
    return { command, rowCount: Number(counts.at(-1)), rows: result.rows };
  }

  async #fly(statements: readonly SqlStatement[]): Promise<Result[]> {
    const begin = this.#begin;
    this.#begin = null;
    const flight = new PipelinedBatch(
      begin ? [begin, ...statements] : statements,
      this,
      this.#shapes,
    );
    super.query(flight);
    this.#cutUnlessAnswered(flight.results);
    const results = await flight.results;
    return begin ? results.slice(1) : results;
  }

  /** Can be several statements in one text, as migrations have them. */
  async #plain(text: string): Promise<pg.QueryResult> {
    if (this.#begin) await this.#fly([]);
    const answer = super.query(text);
    this.#cutUnlessAnswered(answer);
    return await answer;
  }

  get #connection(): { readonly stream: Socket } {
    return (this as unknown as { connection: { stream: Socket } }).connection;
  }

  #cutUnlessAnswered(answer: Promise<unknown>) {
    const { stream } = this.#connection;
    const timer = setTimeout(() => stream.destroy(), this.#answerTimeoutMs);
    const answered = () => clearTimeout(timer);
    answer.then(answered, answered);
  }
}
