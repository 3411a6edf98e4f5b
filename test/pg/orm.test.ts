import { expect, inject, test } from 'vitest';
import { connect } from '../../src/pg/orm.ts';
import { query } from '../../src/pg/query.ts';

test('the pool closes while a connection is still being made for a query', async () => {
  const orm = await connect(inject('postgresUrl'), 2, 1_000);
  const asked = query(orm.em, 'select 1', []).catch((error) => error);
  await new Promise((resolve) => setImmediate(resolve));
  await orm.close();
  expect(await asked).toBeInstanceOf(Error);
});
