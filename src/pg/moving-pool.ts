/** A pool of connections to a database that moves from server to server while it is used. */
import pg from 'pg';
import { createPool, type PoolFigures, withSettings } from './pool.ts';

/** Where such a database is. */
export type MovingDatabase = {
  /** Its URL on the server that has it at the moment. */
  readonly url: string;
  /** Called when no connection can be made: the database may have moved. */
  readonly unreachable: () => void;
};

/** Transactions end on the server where they began; those that begin after a move are on the new one. */
export class MovingPool implements PoolFigures {
  readonly #pool: pg.Pool;
  readonly #database: MovingDatabase;
  readonly #settings: Readonly<Record<string, string>>;
  /** Where new connections go. */
  #target: Target;

  constructor(database: MovingDatabase, max: number, settings: Readonly<Record<string, string>>) {
    this.#database = database;
    this.#settings = settings;
    this.#target = targetOf(database.url);
    this.#pool = createPool(database.url, max, settings);
  }

  get totalCount(): number {
    return this.#pool.totalCount;
  }

  get idleCount(): number {
    return this.#pool.idleCount;
  }

  get waitingCount(): number {
    return this.#pool.waitingCount;
  }

  get options(): pg.PoolOptions {
    return this.#pool.options;
  }

  async connect(): Promise<pg.PoolClient> {
    for (;;) {
      this.#follow();
      const client = await this.#pool.connect().catch((error: unknown) => {
        this.#database.unreachable();
        throw error;
      });
      this.#follow();
      if (client.host === this.#target.host && client.port === this.#target.port) return client;
      // It leads to the server that the database has left.
      client.release(true);
    }
  }

  async end(): Promise<void> {
    await this.#pool.end();
  }

  #follow() {
    const { url } = this.#database;
    if (url === this.#target.url) return;
    this.#target = targetOf(url);
    Object.assign(this.#pool.options, withSettings(url, this.#settings));
  }
}

type Target = { readonly url: string; readonly host: string; readonly port: number };

/** As a connection by this URL calls them. */
function targetOf(url: string): Target {
  const { host, port } = new pg.Client(url);
  return { url, host, port };
}
