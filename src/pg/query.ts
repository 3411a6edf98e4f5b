/** SQL statements with bound parameters, in the transaction of an entity manager. */
import type { Connection } from './connection.ts';
import type { Em } from './orm.ts';
import type { SqlStatement } from './pipelined-batch.ts';
import { sendTraced } from './traced-batches.ts';

type Pending = SqlStatement & {
  readonly resolve: (rows: never) => void;
  readonly reject: (error: unknown) => void;
};

/** Queries that wait for the end of this tick, by their entity manager. */
const pendingOf = new WeakMap<Em, Pending[]>();

/**
 * Runs one SQL statement in the current transaction, or outside one if there is none. All queries of one entity
 * manager in the same tick go to PostgreSQL in one batch, in the order of the calls. So
 * `await Promise.all([query(…), query(…)])` waits for one round trip.
 */
export function query<Row>(em: Em, text: string, parameters: readonly unknown[]): Promise<Row[]> {
  return new Promise<Row[]>((resolve, reject) => {
    const one: Pending = { text, parameters, resolve, reject };
    const pending = pendingOf.get(em);
    if (pending) {
      pending.push(one);
      return;
    }
    const all = [one];
    pendingOf.set(em, all);
    queueMicrotask(() => {
      pendingOf.delete(em);
      void sendAll(em, all);
    });
  });
}

async function sendAll(em: Em, all: readonly Pending[]): Promise<void> {
  try {
    const rows = await onConnection(em, (connection) =>
      sendTraced(em, connection, all, { commit: false }),
    );
    all.forEach(({ resolve }, index) => void resolve(rows[index] as never));
  } catch (error) {
    for (const { reject } of all) reject(error);
  }
}

/**
 * Runs the last SQL statements of the current transaction and commits it, in one batch. Where one of them fails
 * PostgreSQL skips the COMMIT. Nothing may follow in the transaction.
 */
export async function commit(em: Em, statements: readonly SqlStatement[]): Promise<void> {
  await onConnection(em, (connection) => sendTraced(em, connection, statements, { commit: true }));
}

/** Calls `use` with the transaction's connection, or with one of the pool. They are made by PoolDriver. */
async function onConnection<Result>(
  em: Em,
  use: (connection: Connection) => Promise<Result>,
): Promise<Result> {
  const executor = em.getKysely().getExecutor();
  return await executor.provideConnection((connection) => use(connection as Connection));
}
