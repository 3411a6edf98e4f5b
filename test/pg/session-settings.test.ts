/** Every session of the service has the settings it is meant to have. */
import { readFileSync } from 'node:fs';
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

test('options of the URL stay, and do not replace them', async () => {
  const url = new URL(inject('postgresUrl'));
  url.searchParams.set('options', '-c work_mem=5MB -c jit=on -c role=none');
  const other = await connect(url.href, {}, 1, 5_000);
  try {
    const names = ['work_mem', 'jit', 'role', 'enable_seqscan'];
    const rows = await query<{ setting: string }>(
      other.em.fork(),
      'select current_setting(name) as setting from unnest($1::text[]) as name',
      [names],
    );
    expect(rows.map(({ setting: value }) => value)).toEqual(['5MB', 'off', 'scrip_runtime', 'off']);
  } finally {
    await other.close();
  }
});

test('docs/operations.md gives a user behind a pooler the same', () => {
  const page = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8');
  const given = page.matchAll(/^alter role scrip_service set (\w+) = '(.*)';$/gm);
  expect([...given].map(([, name, value]) => [name, value])).toEqual(
    Object.entries(SESSION_SETTINGS),
  );
});
