/** Statements with bound parameters, in the transaction an entity manager is in, many in one go. */
import { CompiledQuery } from 'kysely';
import { STATEMENT_BATCH, type StatementBatch } from './client.ts';
import type { Em } from './orm.ts';
import type { SqlStatement } from './pipelined-batch.ts';

type Waiting = SqlStatement & {
  readonly resolve: (rows: never) => void;
  readonly reject: (error: unknown) => void;
};

/** Statements given in this turn, by the entity manager they were given to. */
const waiting = new WeakMap<Em, Waiting[]>();

/**
 * Runs one statement in the current transaction, or outside one if there is none. Statements that one
 * entity manager is given in the same turn go to the database together and run in their order.
 */
export function query<Row>(em: Em, text: string, parameters: readonly unknown[]): Promise<Row[]> {
  return new Promise<Row[]>((resolve, reject) => {
    const one: Waiting = { text, parameters, resolve, reject };
    const together = waiting.get(em);
    if (together) {
      together.push(one);
      return;
    }
    const statements = [one];
    waiting.set(em, statements);
    queueMicrotask(() => {
      waiting.delete(em);
      void answer(em, statements);
    });
  });
}

async function answer(em: Em, statements: readonly Waiting[]): Promise<void> {
  try {
    const rows = await send(em, { statements, commits: false });
    statements.forEach(({ resolve }, index) => void resolve(rows[index] as never));
  } catch (error) {
    for (const { reject } of statements) reject(error);
  }
}

/**
 * Runs the last statements of the current transaction and commits it: COMMIT goes with them, and is
 * skipped where one of them fails. Saves a lone request one of three ways to the database and back.
 * Answers the rows of each statement.
 */
export async function commit(
  em: Em,
  statements: readonly SqlStatement[],
): Promise<readonly unknown[]> {
  return (await send(em, { statements, commits: true })).slice(0, statements.length);
}

const send = async (em: Em, together: StatementBatch): Promise<readonly unknown[]> =>
  (await em.getKysely().executeQuery(CompiledQuery.raw(STATEMENT_BATCH, [together]))).rows;
