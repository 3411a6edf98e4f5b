/** Statements with two replicas: one for each month, whoever closes it, with all of its entries. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Statement } from '../../src/gen/billing/v1/statement_service.ts';
import { execute } from '../postgres.ts';
import { planIn } from '../pricing/fixtures.ts';
import { plansOfDeploy, requestId, showDatabaseOnFailure } from '../service.ts';
import { expectSoundLedger } from './audit.ts';
import { type Cluster, outcomesOf, startCluster } from './cluster.ts';

const MAY = Date.UTC(2031, 4, 10);
const JUNE = Date.UTC(2031, 5, 1);

/** Grants nothing, so that nothing is posted when a month begins. */
const BARE = planIn(`
plan_id: bare
title: Bare
terms:
  overage: { limit: 100, mode: graduated, currency: USD, tiers: [{ price: "1" }] }
packs: []
operations:
  job.one: { title: One, billable: true, components: [{ kind: flat, label: One, credits: 1 }] }
`);

let cluster: Cluster;
beforeAll(async () => {
  const plans = [...(await plansOfDeploy()), BARE];
  cluster = await startCluster({ plans, env: { SWEEP_ACCOUNTS_MAX: '16' } });
});
afterAll(() => cluster.stop());

const closedOf = async (accountId: string): Promise<Statement[]> =>
  (await cluster.b.statements.listStatements({ accountId })).statements;

const charging = (accountId: string, credits: bigint) => ({
  mutation: {
    $case: 'charge' as const,
    value: { accountId, requestId: requestId(), credits },
  },
});

test('60 accounts, closed by both replicas and by callers, have one statement and one event each', async () => {
  showDatabaseOnFailure(cluster.databaseUrl);
  cluster.setNow(MAY);
  const accounts = await Promise.all(
    Array.from({ length: 60 }, () => cluster.a.open('aspose-cloud')),
  );
  await cluster.a.billing.batch({ mutations: accounts.map((id) => charging(id, 150n)) });
  cluster.setNow(JUNE);
  await Promise.all([
    cluster.sweep(),
    ...accounts.flatMap((accountId) =>
      cluster.replicas.map(({ statements }) =>
        statements.getStatement({ accountId, month: '2031-05' }),
      ),
    ),
    cluster.sweep(),
  ]);
  const counts = await execute(
    cluster.databaseUrl,
    `select count(*)::int as statements, count(distinct s.account_id)::int as accounts,
       (select count(*)::int from events where type = 'statement.closed') as events,
       min(total)::text as least, max(total)::text as most
     from statements s`,
  );
  expect(counts).toEqual([
    { statements: 60, accounts: 60, events: 60, least: '2.00', most: '2.00' },
  ]);
  await expectSoundLedger(cluster.databaseUrl);
});

test('charges at the end of a month are on one statement or the next', async () => {
  showDatabaseOnFailure(cluster.databaseUrl);
  const { a, b } = cluster;
  cluster.setNow(Date.UTC(2031, 6, 31, 23, 59, 58));
  const accountId = await a.open('aspose-cloud');
  const month = '2031-07';
  let charged = 0n;
  const chargeOn = async ({ billing }: typeof a, rounds: number) => {
    for (let round = 0; round < rounds; round++) {
      const { credits } = await billing.charge({
        accountId,
        requestId: requestId(),
        credits: 7n,
      });
      charged += credits;
    }
  };
  // The clock of b is behind: it is still July there when a closes July.
  a.setNow(Date.UTC(2031, 7, 1));
  await Promise.all([
    chargeOn(b, 60),
    chargeOn(a, 30),
    ...Array.from({ length: 20 }, () => a.statements.getStatement({ accountId, month })),
    a.service.sweep(),
  ]);
  const [july] = await closedOf(accountId);
  const { statement: august } = await a.statements.getStatement({ accountId, month: '2031-08' });
  const unnamed = (statement: Statement | undefined) => statement?.usage[0]?.credits ?? 0n;
  expect(july?.month).toBe(month);
  expect(unnamed(july) + unnamed(august)).toBe(charged);
  expect(august?.afterSeq).toBe(july?.lastSeq);
  const late = `select count(*)::int as late from entries
    where account_id = $1 and at < '2031-08-01Z' and seq > $2`;
  expect(await execute(cluster.databaseUrl, late, [accountId, july?.lastSeq])).toEqual([
    { late: 0 },
  ]);
  await expectSoundLedger(cluster.databaseUrl);
});

test('a replica whose clock is behind cannot post into a closed month', async () => {
  const { a, b } = cluster;
  cluster.setNow(Date.UTC(2031, 8, 30, 23, 59, 50));
  const accountId = await a.open('bare');
  a.setNow(Date.UTC(2031, 9, 1));
  const month = '2031-09';
  const { statement } = await a.statements.getStatement({ accountId, month });
  expect(statement?.closedAt).toBeDefined();
  b.setNow(Date.UTC(2031, 8, 30, 23, 59, 51));
  await b.billing.charge({ accountId, requestId: requestId(), credits: 3n });
  const [entry] = await execute(
    cluster.databaseUrl,
    'select at from entries where account_id = $1 order by seq desc limit 1',
    [accountId],
  );
  expect(entry?.['at']).toEqual(new Date(Date.UTC(2031, 9, 1)));
  const october = await a.statements.getStatement({ accountId, month: '2031-10' });
  expect(october.statement).toMatchObject({ overage: 3n });
  await expectSoundLedger(cluster.databaseUrl);
});

test('a month of thousands of entries, some reserved in the month before, adds up', async () => {
  showDatabaseOnFailure(cluster.databaseUrl);
  const { a } = cluster;
  cluster.setNow(Date.UTC(2032, 0, 31, 23, 55));
  const accountId = await a.open('aspose-cloud');
  const named = () => ({ accountId, requestId: requestId() });
  const usages = { items: [{ operation: 'document.convert', count: 2n }] };
  const reserving = Array.from({ length: 700 }, () => ({
    mutation: { $case: 'reserve' as const, value: { ...named(), usages } },
  }));
  const { results } = await a.billing.batch({ mutations: reserving });
  const ids = results.map(({ result }) =>
    result?.$case === 'reserve' ? (result.value.reservation?.reservationId ?? '') : '',
  );
  cluster.setNow(Date.UTC(2032, 1, 1, 0, 1));
  for (let round = 0; round < 4; round++)
    await a.billing.batch({
      mutations: Array.from({ length: 900 }, () => charging(accountId, 1n)),
    });
  const committing = ids.map((reservationId) => ({
    mutation: { $case: 'commit' as const, value: { ...named(), reservationId, all: true } },
  }));
  const committed = await a.billing.batch({ mutations: committing });
  const seqs = committed.results.flatMap(({ result }) =>
    result?.$case === 'commit' ? result.value.entrySeq : [],
  );
  expect(seqs).toHaveLength(700);
  await a.billing.batch({
    mutations: seqs.slice(0, 300).map((seq) => ({
      mutation: {
        $case: 'refund' as const,
        value: { ...named(), seq, credits: 1n, reason: 'a test' },
      },
    })),
  });
  cluster.setNow(Date.UTC(2032, 2, 1));
  await cluster.sweep();
  const [february, january] = await closedOf(accountId);
  expect(january).toMatchObject({ month: '2032-01', usage: [], overage: 0n });
  expect(february).toMatchObject({
    month: '2032-02',
    usage: [
      { operation: 'document.convert', count: 1_400n, credits: 1_100n, refunded: 300n },
      { operation: '', count: 0n, credits: 3_600n, refunded: 0n },
    ],
  });
  await expectSoundLedger(cluster.databaseUrl);
});

test('the service cannot close a statement again, change it or remove it', async () => {
  cluster.setNow(Date.UTC(2033, 0, 10));
  const accountId = await cluster.a.open('aspose-cloud');
  cluster.setNow(Date.UTC(2033, 1, 1));
  await cluster.sweep();
  const [before] = await closedOf(accountId);
  // As if the account had not been updated: the statement that exists stays.
  await execute(
    cluster.databaseUrl,
    `update accounts set statement_due_at = '2033-02-01Z' where account_id = $1`,
    [accountId],
  );
  const outcomes = await outcomesOf([
    cluster.a.statements.getStatement({ accountId, month: '2033-01' }),
  ]);
  expect(outcomes.map(({ reason }) => reason)).toEqual(['INTERNAL']);
  await execute(
    cluster.databaseUrl,
    `update accounts set statement_due_at = '2033-03-01Z' where account_id = $1`,
    [accountId],
  );
  expect(await closedOf(accountId)).toEqual([before]);
  for (const sql of ['update statements set total = 0', 'delete from statements'])
    await expect(
      execute(cluster.databaseUrl, `set role scrip_runtime; ${sql}`),
    ).rejects.toMatchObject({ code: '42501' });
});
