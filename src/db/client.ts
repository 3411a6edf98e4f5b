/** The connection the pool makes: pg's, with four things pg and Kysely leave to others. */
import type { Socket } from 'node:net';
import pg from 'pg';

type Release = (error?: Error | boolean) => void;

export type Statement = { readonly text: string; readonly parameters: readonly unknown[] };

/** The text of a query that stands for several: its parameters are statements, its rows theirs. */
export const TOGETHER = 'together';

/**
 * - Statements can be sent together (TOGETHER); the pool's `pipeline` makes pg send them at once.
 * - pg sends a statement with parameters unnamed, to be parsed and planned every time. This client
 *   names each after its text, so PostgreSQL prepares it once per connection.
 * - Kysely does not give a connection back to the pool when it was lost inside a transaction: after
 *   ten of them a pool of ten is empty for good. This one goes back by itself when it ends.
 * - A connection whose other end is gone without a word would be waited on for ever. This one is cut
 *   when a statement is not answered in time.
 */
export class Client extends pg.Client {
  static readonly #names = new Map<string, string>();
  readonly #answerTimeoutMs: number;
  #release: Release | null = null;
  #ended = false;

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
    const answer: unknown =
      args[0] === TOGETHER ? this.#together(args[1] as Statement[]) : this.#query(args);
    if (answer instanceof Promise) this.#cutUnlessAnswered(answer);
    return answer as never;
  }

  /**
   * Sends all statements in one go and waits for all answers: they run in their order, as if each had
   * waited for the one before, without the way there and back in between.
   */
  async #together(statements: readonly Statement[]) {
    const { stream } = this.#connection;
    stream.cork();
    const answers = statements.map(({ text, parameters }) => this.#query([text, [...parameters]]));
    stream.uncork();
    const results = (await Promise.all(answers)) as pg.QueryResult[];
    return { command: 'SELECT', rowCount: results.length, rows: results.map(({ rows }) => rows) };
  }

  #query(args: unknown[]): unknown {
    const [text, values] = args;
    if (typeof text !== 'string' || !Array.isArray(values) || values.length === 0)
      return super.query.apply(this, args as never);
    let name = Client.#names.get(text);
    if (!name) {
      name = `s${Client.#names.size + 1}`;
      Client.#names.set(text, name);
    }
    return super.query({ name, text, values }, args[2] as never);
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
