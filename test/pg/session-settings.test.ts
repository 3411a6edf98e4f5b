/** Every session of the service has the settings it is meant to have. */
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { connect, type Orm } from '../../src/pg/orm.ts';
import { query } from '../../src/pg/query.ts';
import { SESSION_SETTINGS } from '../../src/pg/session-settings.ts';

let orm: Orm;
beforeAll(async () => {
  orm = await connect(inject('postgresUrl'), {}, 1, 5_000);
});
afterAll(() => orm.close());

async function setting(name: string): Promise<string | undefined> {
  const [row] = await query<{ setting: string }>(
    orm.em.fork(),
    'select current_setting($1) as setting',
    [name],
  );
  return row?.setting;
}

test.each(Object.entries(SESSION_SETTINGS))('%s is %s', async (name, value) => {
  expect(await setting(name)).toBe(value);
});

// PostgreSQL built with LLVM would otherwise compile every update of accounts: see docs/performance.md.
test('JIT compilation is off', async () => {
  expect(await setting('jit')).toBe('off');
});
