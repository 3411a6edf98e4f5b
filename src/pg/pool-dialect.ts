/** Gives Kysely, and through it MikroORM, the connections of a pool. */
import {
  type DatabaseConnection,
  PostgresDialect,
  PostgresDriver,
  type TransactionSettings,
} from 'kysely';
import type pg from 'pg';
import { Connection } from './connection.ts';

/** Where connections come from. */
type Pool = Pick<pg.Pool, 'end' | 'options'> & { connect(): Promise<pg.PoolClient> };

export class PoolDialect extends PostgresDialect {
  readonly #pool: Pool;
  readonly #answerTimeoutMs: number;

  constructor(pool: Pool, answerTimeoutMs: number) {
    super({ pool });
    this.#pool = pool;
    this.#answerTimeoutMs = answerTimeoutMs;
  }

  override createDriver(): PostgresDriver {
    return new PoolDriver(this.#pool, this.#answerTimeoutMs);
  }
}

class PoolDriver extends PostgresDriver {
  readonly #pool: Pool;
  readonly #answerTimeoutMs: number;
  readonly #connections = new WeakMap<pg.PoolClient, Connection>();

  constructor(pool: Pool, answerTimeoutMs: number) {
    super({ pool });
    this.#pool = pool;
    this.#answerTimeoutMs = answerTimeoutMs;
  }

  override async acquireConnection(): Promise<Connection> {
    const client = await this.#pool.connect();
    let connection = this.#connections.get(client);
    if (!connection) {
      connection = new Connection(client);
      this.#connections.set(client, connection);
    }
    connection.acquire(this.#answerTimeoutMs);
    return connection;
  }

  override async releaseConnection(connection: DatabaseConnection) {
    (connection as Connection).release();
  }

  override async beginTransaction(connection: Connection, settings: TransactionSettings) {
    const { isolationLevel, accessMode } = settings;
    const isolation = isolationLevel ? ` isolation level ${isolationLevel}` : '';
    connection.begin(`begin${isolation}${accessMode ? ` ${accessMode}` : ''}`);
  }

  override async commitTransaction(connection: Connection) {
    await connection.commit();
  }

  override async rollbackTransaction(connection: Connection) {
    await connection.rollback();
  }
}
