/** Lists of accounts read an index, and a bounded number of rows, however many accounts there are. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { connect, type Orm } from '../../src/pg/orm.ts';
import { query } from '../../src/pg/query.ts';
import { type AccountFilter, findAccounts } from '../../src/queries/account-pages.ts';
import { entities } from '../../src/store/tables/index.ts';
import { execute } from '../postgres.ts';
import { startTestService } from '../service.ts';
import { explain, rowsRead, type Sent } from './explained.ts';

const sent: Sent[] = [];
vi.mock('../../src/pg/query.ts', async (original) => {
  const real = await original<typeof import('../../src/pg/query.ts')>();
  const recorded: typeof real.query = (em, text, parameters) => {
    sent.push({ text, parameters: [...parameters] });
    return real.query(em, text, parameters);
  };
  return { ...real, query: recorded };
});

/** More than one page passes over. */
const ACCOUNTS = 50_000;
const PASSED_MAX = 20_000;
const LIMIT = 51;

const ALL: AccountFilter = {
  planId: '',
  state: null,
  labels: {},
  labelKeys: [],
  availableAtMost: null,
  inShadowMode: false,
  scope: null,
};

let orm: Orm;
beforeAll(async () => {
  const scrip = await startTestService();
  const accountId = await scrip.open('verts');
  const { databaseUrl } = scrip;
  await scrip.stop();
  // Every account has the label "all", every tenth thousandth "rare", is closed or suspended, and has 5 credits.
  await execute(
    databaseUrl,
    `insert into accounts
     select copy.* from accounts a, generate_series(1, ${ACCOUNTS}) n,
       jsonb_populate_record(a, jsonb_build_object(
         'account_id', 'copy-' || lpad(n::text, 6, '0'),
         'plan_id', case when n % 10000 = 3 then 'perfectparser' else 'verts' end,
         'state', case when n % 10000 = 1 then 'CLOSED' else 'OPEN' end,
         'suspension', case when n % 10000 = 2 then '{"since": 1}'::jsonb end,
         'remaining', case when n % 10000 = 4 then 5 else 1000 end, 'granted', 1000,
         'labels', case when n % 10000 = 5 then '{"all": "1", "rare": "yes"}'::jsonb else '{"all": "1"}' end
       )) copy
     where a.account_id = $1`,
    [accountId],
  );
  await execute(databaseUrl, 'delete from accounts where account_id = $1', [accountId]);
  orm = await connect(databaseUrl, entities, 1, 30_000);
});
afterAll(() => orm.close());

/** The ids of a page, and what each of its SQL statements has read. */
async function list(filter: Partial<AccountFilter>, afterId = '', limit = LIMIT) {
  const em = orm.em.fork();
  sent.splice(0);
  const { found, nextAfterId } = await findAccounts(em, { ...ALL, ...filter }, afterId, limit);
  const nodes = await explain(em, sent.splice(0));
  const reads = nodes.filter((node) => node['Relation Name'] === 'accounts');
  return { ids: found.map(({ account }) => account.accountId), nextAfterId, nodes, reads };
}

const numbered = (...numbers: readonly number[]): readonly string[] =>
  numbers.map((number) => `copy-${String(number).padStart(6, '0')}`);
const each = (first: number) => numbered(...[0, 1, 2, 3, 4].map((n) => n * 10_000 + first));

describe.each([
  ['a rare label', { labels: { rare: 'yes' } }, each(5)],
  ['a label of a rare name', { labelKeys: ['rare'] }, each(5)],
  ['a rare label of accounts that have another', { labels: { all: '1', rare: 'yes' } }, each(5)],
  ['closed', { state: 'CLOSED' }, each(1)],
  ['suspended', { state: 'SUSPENDED' }, each(2)],
  ['a small plan', { planId: 'perfectparser' }, each(3)],
  ['a value that no label has', { labels: { rare: 'no' } }, []],
] as const)('Accounts by %s', (_, filter, expected) => {
  test('are found at once, by an index, without reading others', async () => {
    const { ids, nextAfterId, nodes, reads } = await list(filter);
    expect(ids).toEqual(expected);
    expect(nextAfterId).toBeNull();
    for (const read of reads) expect(read['Node Type']).toMatch(/^(Index|Bitmap Heap|Index Only) /);
    // Once to know that there are few, and once to read them.
    expect(rowsRead(nodes, 'accounts')).toBeLessThanOrEqual(2 * expected.length);
  });
});

describe.each([
  ['all', {}],
  ['the open ones', { state: 'OPEN' }],
  ['those of a large plan', { planId: 'verts' }],
  ['those with a common label', { labels: { all: '1' } }],
  ['those with a label of a common name', { labelKeys: ['all'] }],
] as const)('A page of many accounts: %s', (_, filter) => {
  test('reads them in the order of an index, and few more than it has', async () => {
    const { ids, reads } = await list(filter, 'copy-000005');
    expect(ids).toHaveLength(LIMIT);
    const pages = reads.filter((node) => node['Index Name'] && node['Node Type'] === 'Index Scan');
    expect(pages).toHaveLength(1);
    expect(rowsRead(pages, 'accounts')).toBeLessThanOrEqual(LIMIT + 5);
    // The others know only ids, or count labels.
    for (const read of reads) expect(read['Node Type']).not.toBe('Seq Scan');
  });
});

test('a page of accounts with a low balance passes over a bounded number, and tells where to go on', async () => {
  const seen: string[] = [];
  let pages = 0;
  for (let after: string | null = ''; after !== null; pages++) {
    const page: Awaited<ReturnType<typeof list>> = await list({ availableAtMost: 5n }, after);
    for (const read of page.reads) expect(read['Node Type']).toMatch(/^Index (Only )?Scan$/);
    const scans = page.nodes.filter((node) => node['Node Type'] === 'Index Scan');
    expect(rowsRead(scans, 'accounts')).toBeLessThanOrEqual(PASSED_MAX);
    seen.push(...page.ids);
    after = page.nextAfterId;
  }
  expect(seen).toEqual(each(4));
  expect(pages).toBe(3);
});

test('a full page of them begins after its last account, and not after what was passed over', async () => {
  const page = await list({ availableAtMost: 5n }, '', 2);
  expect(page.ids).toEqual(each(4).slice(0, 2));
  expect(page.nextAfterId).toBeNull();
});

test('all filters together find what each of them finds', async () => {
  const both = { availableAtMost: 1_000n, labels: { all: '1', rare: 'yes' }, planId: 'verts' };
  expect((await list({ ...both, state: 'OPEN' })).ids).toEqual(each(5));
  expect((await list({ ...both, state: 'CLOSED' })).ids).toEqual([]);
  expect((await list({ ...both, planId: 'perfectparser' })).ids).toEqual([]);
  expect((await list({ ...both, availableAtMost: 999n })).ids).toEqual([]);
});

test('a caller that may see few accounts gets those of the passed ones that it may see', async () => {
  const scope = { prefixes: ['copy-000007', 'copy-030000'], labels: null, plans: null };
  const first = await list({ scope });
  expect(first.ids).toEqual(['copy-000007']);
  expect(first.nextAfterId).not.toBeNull();
  const second = await list({ scope }, first.nextAfterId ?? '');
  expect(second.ids).toEqual(['copy-030000']);
  const { ids } = await list({ scope, labels: { rare: 'yes' } });
  expect(ids).toEqual([]);
});

test('the service plans for any value: what is tested is what runs', async () => {
  const em = orm.em.fork();
  expect(await query(em, 'show plan_cache_mode', [])).toEqual([
    { plan_cache_mode: 'force_generic_plan' },
  ]);
});
