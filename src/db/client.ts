/** The connection the pool makes: pg's, with three things pg and Kysely leave to others. */
import type { Socket } from 'node:net';
import pg from 'pg';

type Release = (error?: Error | boolean) => void;

/**
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
    const answer: unknown = this.#query(args);
    if (answer instanceof Promise) this.#cutUnlessAnswered(answer);
    return answer as never;
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

  #cutUnlessAnswered(answer: Promise<unknown>) {
    const { stream } = (this as unknown as { connection: { stream: Socket } }).connection;
    const timer = setTimeout(() => stream.destroy(), this.#answerTimeoutMs);
    const answered = () => clearTimeout(timer);
    answer.then(answered, answered);
  }
}
