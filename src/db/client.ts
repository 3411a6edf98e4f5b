/** The connection the pool makes: pg's, with two things pg and Kysely leave to others. */
import pg from 'pg';

type Release = (error?: Error | boolean) => void;

/**
 * - pg sends a statement with parameters unnamed, to be parsed and planned every time. This client
 *   names each after its text, so PostgreSQL prepares it once per connection.
 * - Kysely does not give a connection back to the pool when it was lost inside a transaction: after
 *   ten of them a pool of ten is empty for good. This one goes back by itself when it ends.
 */
export class Client extends pg.Client {
  static readonly #names = new Map<string, string>();
  #release: Release | null = null;

  constructor(config?: string | pg.ClientConfig) {
    super(config);
    this.once('end', () => this.#release?.(true));
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
  }

  override query(...args: unknown[]): never {
    const [text, values] = args;
    if (typeof text !== 'string' || !Array.isArray(values) || values.length === 0)
      return super.query.apply(this, args as never) as never;
    let name = Client.#names.get(text);
    if (!name) {
      name = `s${Client.#names.size + 1}`;
      Client.#names.set(text, name);
    }
    return super.query({ name, text, values }, args[2] as never) as never;
  }
}
