/** Many callers reserve at the same time from a balance that covers only some of them. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Grant_Category } from '../../src/gen/billing/v1/ledger.ts';
import { mapOf } from '../../src/map-of.ts';
import { planIn } from '../pricing/fixtures.ts';
import { plansOfDeploy, requestId, showDatabaseOnFailure } from '../service.ts';
import { expectSoundLedger } from './audit.ts';
import { type Cluster, outcomesOf, startCluster, tally } from './cluster.ts';

const CALLERS = 64;
/** Credits for image.upscale by 8. */
const PRICE = 35n;

const POSTPAID = planIn(`
plan_id: postpaid
title: Postpaid
terms:
  overage: { limit: 500 }
packs: []
operations:
  image.upscale:
    title: Upscale
    billable: true
    quantities:
      scale_factor: { title: Scale factor, unit: times, min: 2, max: 16 }
    components:
      - { kind: flat, label: Upscale, credits: 35 }
`);

describe.each([
  ['one lane', { LANES: '1' }],
  ['four lanes', { LANES: '4' }],
  ['units of work of three requests', { GROUP_MAX: '3' }],
])('64 callers reserve at once, with %s', (_, env) => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await startCluster({ env, plans: [...(await plansOfDeploy()), POSTPAID] });
  });
  afterAll(async () => {
    await cluster.stop();
  });

  /** Grants the credits in parts that are no multiple of the price. */
  async function accountWith(planId: string, credits: bigint): Promise<string> {
    const accountId = await cluster.a.open(planId);
    for (let left = credits; left > 0n; left -= 90n)
      await cluster.a.accounts.grantCredits({
        reason: 'a test',
        accountId,
        requestId: requestId(),
        credits: left < 90n ? left : 90n,
        category: Grant_Category.PAID,
      });
    return accountId;
  }

  const reserveAll = (accountId: string, replicas: Cluster['replicas'] | [Cluster['a']]) =>
    outcomesOf(
      Array.from({ length: CALLERS }, (_unused, index) =>
        (replicas[index % replicas.length] ?? cluster.a).billing.reserve({
          accountId,
          requestId: requestId(),
          usages: {
            items: [{ operation: 'image.upscale', quantities: mapOf({ scale_factor: 8n }) }],
          },
        }),
      ),
    );

  test.each([1, 2])('on %i replica(s): as many succeed as the balance covers', async (count) => {
    showDatabaseOnFailure(cluster.databaseUrl);
    const accountId = await accountWith('verts', 1_000n);
    const outcomes = await reserveAll(accountId, count === 1 ? [cluster.a] : cluster.replicas);
    expect(tally(outcomes)).toEqual({ OK: 28, INSUFFICIENT_CREDITS: 36 });
    for (const outcome of outcomes)
      if (outcome.answer) expect(outcome.answer.balance?.available).toBeGreaterThanOrEqual(0n);
      else
        expect(outcome.error.metadata).toMatchObject({
          required: String(PRICE),
          available: '20',
          shortfall: '15',
        });
    const { balance } = await cluster.b.billing.getBalance({ accountId });
    expect(balance).toMatchObject({ remaining: 1_000n, reserved: 980n, available: 20n });
    await expectSoundLedger(cluster.databaseUrl);
  });

  test('on a postpaid plan: as many as balance and overage limit cover', async () => {
    showDatabaseOnFailure(cluster.databaseUrl);
    const accountId = await accountWith('postpaid', 300n);
    const outcomes = await reserveAll(accountId, cluster.replicas);
    // 300 granted and 500 of overage: 22 × 35 = 770.
    expect(tally(outcomes)).toEqual({ OK: 22, OVERAGE_LIMIT_REACHED: 42 });
    const { balance } = await cluster.a.billing.getBalance({ accountId });
    expect(balance).toMatchObject({ remaining: 300n, reserved: 770n, available: -470n });
    await expectSoundLedger(cluster.databaseUrl);
  });
});
