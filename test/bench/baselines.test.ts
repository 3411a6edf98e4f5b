/** The benchmark's baselines write the service's tables: they must follow changes of the schema. */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { connect } from '../../src/client.ts';
import { sealAgain } from '../../src/ledger/hash-chain.ts';
import type { Row } from '../../src/pg/table.ts';
import { entries } from '../../src/store/tables/entries.ts';
import { Published } from '../../src/verify/published.ts';
import { execute } from '../postgres.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { functionSource, installHandTuned, reserveStatement } from './hand-tuned.ts';
import { accounts, openAccounts } from './ledger.ts';
import { accountId } from './load-spec.ts';
import { UPSCALE } from './requests.ts';
import { startTextbook } from './servers.ts';

const HOT = accountId(accounts.hot, 0);

let scrip: TestService;
let before: Record<string, unknown>;

beforeAll(async () => {
  scrip = await startTestService();
  await openAccounts(`127.0.0.1:${scrip.service.port}`, [accounts.hot]);
});
beforeEach(async () => {
  before = await readState();
});
afterAll(() => scrip.stop());

/** The account's state in every table that a reserve writes. */
async function readState(): Promise<Record<string, unknown>> {
  const [row] = await execute(
    scrip.databaseUrl,
    `select seq::int, reserved::int, version::int,
       (select sum(reserved)::int from grants where account_id = $1) as grants,
       (select count(*)::int from reservations where account_id = $1) as reservations,
       (select count(*)::int from history where account_id = $1 and kind = 'RESERVE') as entries,
       (select count(*)::int from history where account_id = $1 and method = 'Reserve') as requests
     from accounts where account_id = $1`,
    [HOT],
  );
  return row as Record<string, unknown>;
}

/** The state after one more reserve of 20 credits. */
const expectedState = () => {
  const number = (key: string) => Number(before[key]);
  return {
    seq: number('seq') + 1,
    reserved: number('reserved') + 20,
    version: number('version') + 1,
    grants: number('grants') + 20,
    reservations: number('reservations') + 1,
    entries: number('entries') + 1,
    requests: number('requests') + 1,
  };
};

/** Checks the newest entry as the audit does: its content is what the service writes, and so is its hash. */
async function checkNewestEntry() {
  const rows = await execute(
    scrip.databaseUrl,
    `select ${entries.selectList} from entries where account_id = $1 order by seq desc limit 2`,
    [HOT],
  );
  const [newest, previous] = rows.map((row) => entries.read(row as Row));
  if (!newest || !previous) throw new Error('there are no two entries');
  const owner = new pg.Client(scrip.databaseUrl);
  await owner.connect();
  const published = await Published.load(owner, (what) => expect.fail(what));
  await owner.end();
  const [terms] = published.hashesOf(newest);
  if (!terms) throw new Error('the entry names a version that does not exist');
  const sealed = sealAgain(newest, terms, previous.hash);
  expect(Buffer.from(sealed.hash)).toEqual(newest.hash);
  expect(rows[0]?.['content']).toEqual(JSON.parse(sealed.contentJson));
  expect(newest).toMatchObject({
    kind: 'RESERVE',
    credits: 20n,
    planVersion: 1,
    rateCardVersion: 1,
  });
  expect(newest.usages).toMatchObject([
    { unitCredits: 20n, usage: { operation: 'image.upscale' } },
  ]);
  expect(newest.request?.fingerprint).toHaveLength(16);
}

test('textbook writes the rows of a reserve', async () => {
  const server = await startTextbook(scrip.databaseUrl, 2);
  const textbook = connect(server.address, { caller: 'bench' });
  try {
    const request = { accountId: HOT, requestId: requestId(), usages: { items: [UPSCALE] } };
    const first = await textbook.billing.reserve(request);
    expect(first.reservation).toMatchObject({ credits: 20n });
    expect(await readState()).toEqual(expectedState());
    await checkNewestEntry();
    expect(await textbook.billing.reserve(request)).toEqual(first);
    expect(await readState()).toEqual(expectedState());
  } finally {
    textbook.close();
    await server.stop();
  }
});

test('hand-tuned writes the rows of a reserve', async () => {
  await installHandTuned(scrip.databaseUrl);
  const operation = { kind: 'function', accounts: accounts.hot, pool: 1 } as const;
  const source = await functionSource(scrip.databaseUrl, operation);
  try {
    await new Promise<void>((resolve, reject) => {
      source.start((_, error) => (error ? reject(error) : resolve()));
    });
    expect(await readState()).toEqual(expectedState());
    await checkNewestEntry();
  } finally {
    await source.close();
  }
});

test('hand-tuned answers a repetition from the entry', async () => {
  const { text, values } = reserveStatement(HOT, randomUUID());
  const first = await execute(scrip.databaseUrl, text, values);
  expect(await execute(scrip.databaseUrl, text, values)).toEqual(first);
  expect(await readState()).toEqual(expectedState());
});
