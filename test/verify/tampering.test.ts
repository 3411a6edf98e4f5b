/** The audit of a ledger that somebody with full access to the database has falsified. */
import { readFileSync } from 'node:fs';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type SealedEntry, sealAgain } from '../../src/ledger/hash-chain.ts';
import { KIND_CODES, METHOD_CODES, RESERVATION_STATE_CODES } from '../../src/store/tables/codes.ts';
import { entries } from '../../src/store/tables/entries.ts';
import { Published } from '../../src/verify/published.ts';
import { verify } from '../../src/verify/verify.ts';
import { type SampleAccounts, startSampleService, writeSampleLedger } from './sample-ledger.ts';

let databaseUrl: string;
let owner: pg.Client;
let accounts: SampleAccounts;

const TABLES = [
  'accounts',
  'grants',
  'reservations',
  'entries',
  'custom_packs',
  'budget_counters',
  'plan_versions',
  'rate_cards',
  'purchases',
  'refunded',
  'statements',
  'events',
];

beforeAll(async () => {
  const scrip = await startSampleService();
  accounts = await writeSampleLedger(scrip);
  databaseUrl = scrip.databaseUrl;
  await scrip.stop();
  owner = new pg.Client(databaseUrl);
  await owner.connect();
  const copies = TABLES.map((table) => `create table original.${table} as table ${table};`);
  // Who falsifies the ledger drops the checks that are in the way.
  await owner.query(`
    alter table entries drop constraint entries_kind_check, drop constraint entries_request_check,
      drop constraint entries_plan_change_check, drop constraint entries_erased_check;
    alter table reservations drop constraint reservations_state_check`);
  await owner.query(`create schema original; ${copies.join(' ')}`);
  await owner.query(FUNCTIONS);
});

afterAll(() => owner.end());

/** For tampering.sql. */
const FUNCTIONS = `
  create function code(name text) returns smallint immutable
    return ('${JSON.stringify({ ...KIND_CODES, ...METHOD_CODES })}'::jsonb ->> name)::smallint;
  create function altered(whole json, path text[], value jsonb) returns json immutable
    return jsonb_set(whole::jsonb, path, value)::json;`;

/** Restores every table for the next falsification. */
afterEach(async () => {
  const restored = TABLES.map((t) => `delete from ${t}; insert into ${t} table original.${t};`);
  await owner.query(`${restored.join(' ')} drop table if exists added;`);
});

const NO_TERMS = { termsHash: '', rateCardHash: '' };

/** Recomputes an account's hash chain and writes JSON as the service does, as a forger would. */
async function recomputeChain(accountId: string) {
  const { rows } = await owner.query(
    `select ${entries.selectList} from entries where account_id = $1 order by seq`,
    [accountId],
  );
  const published = await Published.load(owner, () => {});
  const sealed: SealedEntry[] = [];
  for (const entry of rows.map(entries.read)) {
    const [terms = NO_TERMS] = published.hashesOf(entry);
    sealed.push(sealAgain(entry, terms, sealed.at(-1)?.hash ?? new Uint8Array()));
  }
  await owner.query(
    `update entries set hash = n.hash, content = n.content, personal = n.personal
     from unnest($2::bigint[], $3::bytea[], $4::json[], $5::json[]) as n(seq, hash, content, personal)
     where account_id = $1 and entries.seq = n.seq`,
    [
      accountId,
      sealed.map(({ seq }) => seq),
      sealed.map(({ hash }) => hash),
      sealed.map(({ contentJson }) => contentJson),
      sealed.map(({ personalJson }) => personalJson),
    ],
  );
  await owner.query('update accounts set last_hash = $2 where account_id = $1', [
    accountId,
    sealed.at(-1)?.hash,
  ]);
}

const first = (table: string, key: string, condition: string): string =>
  `account_id = :id and ${key} = (
    select ${key} from ${table} where account_id = :id and ${condition} order by ${key} limit 1)`;

const { ACTIVE, EXPIRED } = RESERVATION_STATE_CODES;

/** The conditions that tampering.sql names. */
const CONDITIONS: Readonly<Record<string, string>> = {
  ':account': 'account_id = :id',
  ':charge': first('entries', 'seq', `kind = ${KIND_CODES.CHARGE}`),
  ':commit': first('entries', 'seq', `kind = ${KIND_CODES.COMMIT} and credits > 0`),
  ':late': first('entries', 'seq', `kind = ${KIND_CODES.CHARGE} and content ->> 't' is not null`),
  ':returned': first('entries', 'seq', `kind = ${KIND_CODES.REINSTATE}`),
  ':release': first('entries', 'seq', `kind = ${KIND_CODES.RELEASE}`),
  ':refund': first('entries', 'seq', `kind = ${KIND_CODES.REFUND}`),
  ':newest': 'account_id = :id and seq = (select max(seq) from entries where account_id = :id)',
  ':open': first('grants', 'grant_id', "state = 'OPEN'"),
  ':active': first('reservations', 'reservation_id', `state = ${ACTIVE}`),
  ':partly': first('reservations', 'reservation_id', `state = ${ACTIVE} and committed > 0`),
  ':expired': first('reservations', 'reservation_id', `state = ${EXPIRED} and returned > 0`),
};

const isSampleAccount = (account: string | undefined): account is keyof SampleAccounts & string =>
  account !== undefined &&
  [
    'prepaid',
    'postpaid',
    'bare',
    'waterfall',
    'buyer',
    'erased',
    'topped',
    'corrected',
    'budgeted',
    'imported',
    'late',
  ].includes(account);

const HEAD =
  /^-- (?<account>prepaid|postpaid|bare|waterfall|buyer|erased|topped|corrected|budgeted|imported|late)(?<notRecomputed>, chain not recomputed)?: (?<does>.+)$/;

function tamperings() {
  const text = readFileSync(new URL('tampering.sql', import.meta.url), 'utf8');
  const blocks = text.split(/\n\n+/).filter((block) => !block.startsWith('---'));
  return blocks.map((block) => {
    const [head = '', found = '', ...sql] = block.split('\n');
    const { account, notRecomputed, does } = HEAD.exec(head)?.groups ?? {};
    const says = /^-- > (.+)$/.exec(found)?.[1];
    if (!isSampleAccount(account) || !does || !says) throw new Error(`cannot parse: ${block}`);
    return { account, recomputes: notRecomputed === undefined, does, says, sql: sql.join('\n') };
  });
}

const sqlFor = (accountId: string, sql: string): string =>
  sql.replace(/:[a-z]+\b/g, (name) => CONDITIONS[name] ?? name).replaceAll(':id', `'${accountId}'`);

test.each(tamperings())('verify finds who $does', async (tampering) => {
  const { account, recomputes, says, sql } = tampering;
  const accountId = accounts[account];
  await owner.query(sqlFor(accountId, sql));
  if (recomputes) await recomputeChain(accountId);
  const result = await verify(databaseUrl, { all: true });
  if (result.ok) expect.fail('verify found nothing');
  const accountIds = new Set(result.discrepancies.map((found) => found.accountId));
  accountIds.delete(null); // a forged rate card belongs to none
  expect(accountIds).toEqual(new Set([accountId]));
  const messages = result.discrepancies.map(({ what }) => what);
  expect(messages).toEqual(expect.arrayContaining([expect.stringContaining(says)]));
  if (recomputes)
    expect(messages).not.toContainEqual(expect.stringMatching(/^entry .* its hash is not/));
});

test('a ledger with only its chain recomputed has no discrepancy, nor has a restored one', async () => {
  await recomputeChain(accounts.prepaid);
  expect(await verify(databaseUrl)).toMatchObject({ ok: true });
});

const MALFORMED_CONTENT = [
  'null',
  '{"m": 5}',
  '{"m": [5]}',
  '{"m": [["ac", 1, 1.5]]}',
  '{"m": [["a", 1, 1]]}',
  '{"u": "pages"}',
  '{"u": [["job.pages", "many", 1]]}',
  '{"u": [[5, 1, 1]]}',
  '{"u": [["job.pages", 1, 1, {}, {"colour": 5}]]}',
  '{"a": {}}',
  '{"x": "soon"}',
  '{"x": 1e300}',
  '{"p": 5}',
  '{"d": 5}',
  '{"d": {"pack_id": null}}',
  '{"c": 5}',
];
const MALFORMED_PERSONAL = [
  '{"labels": 5}',
  '{"labels": null}',
  '{"labels": ["a"]}',
  '{"labels": {"team": 5}}',
  '{"reason": 5}',
  '{"on_behalf_of": 5}',
];
const UNUSUAL_CONTENT = [
  '5',
  '[]',
  '"m"',
  '{"l": 5}',
  '{"f": "no"}',
  '{"z": 1}',
  '{"m": {}, "m": []}',
  '{ }',
];
const UNUSUAL_PERSONAL = ['null', '5', '[]', '"labels"', '{}'];

describe.each([
  ['content', MALFORMED_CONTENT, 'cannot be read: '],
  ['personal', MALFORMED_PERSONAL, 'cannot be read: '],
  ['content', UNUSUAL_CONTENT, 'its content is not as the service writes it'],
  ['personal', UNUSUAL_PERSONAL, 'its personal data are not as the service writes them'],
])('%s that may be any JSON', (column, texts, says) => {
  test.each(texts)('%s is reported of every entry, and ends no audit', async (text) => {
    await owner.query(`update entries set ${column} = $1`, [text]);
    for (const accountId of Object.values(accounts)) {
      const result = await verify(databaseUrl, { accountId, all: true });
      expect(result).toMatchObject({
        discrepancies: expect.arrayContaining([
          { accountId, what: expect.stringContaining(`entry 1: ${says}`) },
          { accountId, what: expect.stringContaining(`entry 2: ${says}`) },
        ]),
      });
    }
  });
});

describe('personal data that the owner of the database erased', () => {
  const erase = () => owner.query('select erase_entry(account_id, seq) from entries');

  test('leave no discrepancy, so SQL and the service hash them alike', async () => {
    await erase();
    const { rows } = await owner.query(
      'select count(*)::int as left from entries where num_nonnulls(reference, personal, response, fingerprint) > 0',
    );
    expect(rows).toEqual([{ left: 0 }]);
    expect(await verify(databaseUrl)).toMatchObject({ ok: true });
  });

  test('are erased once: the hash of what there was stays', async () => {
    await erase();
    await erase();
    expect(await verify(databaseUrl)).toMatchObject({ ok: true });
  });

  test('of some entries leave no discrepancy in what the others say', async () => {
    await owner.query('select erase_entry(account_id, seq) from entries where seq % 3 = 1');
    expect(await verify(databaseUrl)).toMatchObject({ ok: true });
  });
});
