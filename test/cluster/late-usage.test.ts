/** Late usage with two replicas: what is answered is on the statement of its month, and on no other. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { execute } from '../postgres.ts';
import { planIn } from '../pricing/fixtures.ts';
import { requestId, showDatabaseOnFailure } from '../service.ts';
import { expectSoundLedger } from './audit.ts';
import { type Cluster, outcomesOf, startCluster, tally } from './cluster.ts';

const LATE = planIn(`
plan_id: late
title: Late
terms:
  late_usage: 2d
  allowance: { credits: 60, every: month, rollover: none }
  overage: { limit: 100000, mode: graduated, currency: USD, tiers: [{ price: "1" }] }
packs: []
operations:
  job.one: { title: One, billable: true, components: [{ kind: flat, label: One, credits: 1 }] }
`);

const END = Date.UTC(2031, 5, 1);
const DUE = END + 2 * 86_400_000;
const USED_AT = new Date(END - 1);

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ plans: [LATE], frozenAt: END - 20 * 86_400_000 });
});
afterAll(() => cluster.stop());

async function openInMay(): Promise<string> {
  cluster.setNow(END - 10 * 86_400_000);
  const accountId = await cluster.a.open('late');
  // On the edge of the month's window, each replica on its side.
  cluster.setNow(DUE - 1);
  return accountId;
}

const usedIn = async (accountId: string, month: string) => {
  const { statement } = await cluster.a.statements.getStatement({ accountId, month });
  return statement?.usage.reduce((sum, { credits }) => sum + credits, 0n) ?? 0n;
};

test('50 late charges at the end of the window spend an expired allowance once, and are refused after it', async () => {
  showDatabaseOnFailure(cluster.databaseUrl);
  const accountId = await openInMay();
  const late = (replica: Cluster['a']) =>
    replica.billing.charge({ accountId, requestId: requestId(), credits: 2n, usedAt: USED_AT });
  const before = Array.from({ length: 50 }, (_, index) => late(index % 2 ? cluster.a : cluster.b));
  expect(tally(await outcomesOf(before))).toEqual({ OK: 50 });
  const [grant] = await execute(
    cluster.databaseUrl,
    `select expired, remaining from grants where account_id = $1 and grant_id = 1`,
    [accountId],
  );
  expect(grant).toEqual({ expired: null, remaining: '0' });
  cluster.setNow(DUE);
  const after = await outcomesOf([late(cluster.a), late(cluster.b)]);
  expect(tally(after)).toEqual({ LATE_USAGE_NOT_ALLOWED: 2 });
  expect(await usedIn(accountId, '2031-05')).toBe(100n);
  expect(await usedIn(accountId, '2031-06')).toBe(0n);
  await expectSoundLedger(cluster.databaseUrl);
});

test('late charges on one replica, while the other closes the month, are on its statement or refused', async () => {
  showDatabaseOnFailure(cluster.databaseUrl);
  const { a, b } = cluster;
  const accountId = await openInMay();
  // The clock of b is behind: it is still within the window there when a closes the month.
  a.setNow(DUE);
  const charges = Array.from({ length: 40 }, () =>
    b.billing.charge({ accountId, requestId: requestId(), credits: 3n, usedAt: USED_AT }),
  );
  const closings = Array.from({ length: 10 }, () =>
    a.statements.getStatement({ accountId, month: '2031-05' }),
  );
  const [outcomes] = await Promise.all([
    outcomesOf(charges),
    Promise.all(closings),
    a.service.sweep(),
  ]);
  const { OK: charged = 0, LATE_USAGE_NOT_ALLOWED: refused = 0 } = tally(outcomes);
  expect(charged + refused).toBe(charges.length);
  expect(await usedIn(accountId, '2031-05')).toBe(3n * BigInt(charged));
  expect(await usedIn(accountId, '2031-06')).toBe(0n);
  await expectSoundLedger(cluster.databaseUrl);
});
