/** MikroORM gives connections back to the pool, whatever becomes of them. */
import { expect, inject, test } from 'vitest';
import { connect, type Em } from '../../src/pg/orm.ts';
import { query } from '../../src/pg/query.ts';
import { execute } from '../postgres.ts';

test('the pool closes while a connection is still being made for a query', async () => {
  const orm = await connect(inject('postgresUrl'), {}, 2, 1_000);
  const asked = query(orm.em, 'select 1 as one', []);
  await new Promise((resolve) => setImmediate(resolve));
  await orm.close();
  expect(await asked).toEqual([{ one: 1 }]);
});

test('a connection that is lost inside a transaction leaves room in the pool', async () => {
  const orm = await connect(inject('postgresUrl'), {}, 1, 5_000);
  try {
    await expect(orm.em.fork().transactional(loseConnection)).rejects.toThrow();
    expect(await query(orm.em.fork(), 'select 1 as one', [])).toEqual([{ one: 1 }]);
  } finally {
    await orm.close();
  }
});

async function loseConnection(em: Em) {
  const [session] = await query<{ pid: number }>(em, 'select pg_backend_pid() as pid', []);
  await execute(inject('postgresUrl'), 'select pg_terminate_backend($1)', [session?.pid]);
  await query(em, 'select 1', []);
}
