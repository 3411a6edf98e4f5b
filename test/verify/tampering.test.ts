/** The audit of a ledger that somebody with full access to the database has falsified. */
import { readFileSync } from 'node:fs';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { seal } from '../../src/ledger/hash-chain.ts';
import { entries } from '../../src/store/tables/entries.ts';
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
  'requests',
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
  await owner.query(`create schema original; ${copies.join(' ')}`);
});

afterAll(() => owner.end());

/** Restores every table for the next falsification. */
afterEach(async () => {
  const restored = TABLES.map((t) => `delete from ${t}; insert into ${t} table original.${t};`);
  await owner.query(`${restored.join(' ')} drop table if exists added;`);
});

/** Recomputes an account's hash chain, as a forger would. */
async function recomputeChain(accountId: string) {
  const { rows } = await owner.query(
    `select ${entries.selectList} from entries where account_id = $1 order by seq`,
    [accountId],
  );
  const seqs: bigint[] = [];
  const hashes: Uint8Array[] = [];
  for (const entry of rows.map(entries.read)) {
    seqs.push(entry.seq);
    hashes.push(seal(entry, hashes.at(-1) ?? new Uint8Array()).hash);
  }
  await owner.query(
    `update entries set hash = n.hash from unnest($2::bigint[], $3::bytea[]) as n(seq, hash)
     where account_id = $1 and entries.seq = n.seq`,
    [accountId, seqs, hashes],
  );
  await owner.query('update accounts set last_hash = $2 where account_id = $1', [
    accountId,
    hashes.at(-1),
  ]);
}

const first = (table: string, key: string, condition: string): string =>
  `account_id = :id and ${key} = (
    select ${key} from ${table} where account_id = :id and ${condition} order by ${key} limit 1)`;

/** The conditions that tampering.sql names. */
const CONDITIONS: Readonly<Record<string, string>> = {
  ':account': 'account_id = :id',
  ':charge': first('entries', 'seq', "kind = 'CHARGE'"),
  ':commit': first('entries', 'seq', "kind = 'COMMIT' and credits > 0"),
  ':release': first('entries', 'seq', "kind = 'RELEASE'"),
  ':refund': first('entries', 'seq', "kind = 'REFUND'"),
  ':newest': 'account_id = :id and seq = (select max(seq) from entries where account_id = :id)',
  ':open': first('grants', 'grant_id', "state = 'OPEN'"),
  ':active': first('reservations', 'reservation_id', "state = 'ACTIVE'"),
  ':expired': first('reservations', 'reservation_id', "state = 'EXPIRED'"),
  ':ended': first(
    'reservations',
    'reservation_id',
    "state = 'COMMITTED' and over_commit_policy = 'REJECT' and returned > 0",
  ),
};

const isSampleAccount = (account: string | undefined): account is keyof SampleAccounts & string =>
  account !== undefined &&
  ['prepaid', 'postpaid', 'waterfall', 'buyer', 'topped'].includes(account);

const HEAD =
  /^-- (?<account>prepaid|postpaid|waterfall|buyer|topped)(?<notRecomputed>, chain not recomputed)?: (?<does>.+)$/;

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
  expect(accountIds).toEqual(new Set([accountId]));
  const messages = result.discrepancies.map(({ what }) => what);
  expect(messages).toEqual(expect.arrayContaining([expect.stringContaining(says)]));
  if (recomputes) expect(messages).not.toContainEqual(expect.stringContaining('its hash is not'));
});

test('a ledger with only its chain recomputed has no discrepancy, nor has a restored one', async () => {
  await recomputeChain(accounts.prepaid);
  expect(await verify(databaseUrl)).toMatchObject({ ok: true });
});
