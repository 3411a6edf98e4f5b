/** What may happen once happens once, even if two replicas are called at the same time. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Scrip, ScripCallOptions } from '../../src/client.ts';
import { Grant_Category, Grant_Source } from '../../src/gen/billing/v1/ledger.ts';
import { requestId } from '../service.ts';
import { expectSoundLedger } from './audit.ts';
import { type Cluster, outcomesOf, startCluster, tally } from './cluster.ts';

const ROUNDS = 20;

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(async () => {
  await expectSoundLedger(cluster.databaseUrl);
  await cluster.stop();
});

/** Makes the same call on every replica at the same time, `ROUNDS` times in parallel. */
async function callAll<Answer>(
  call: (
    scrip: Scrip,
    round: number,
    replica: number,
    options: ScripCallOptions,
  ) => Promise<Answer>,
) {
  return await Promise.all(
    Array.from({ length: ROUNDS }, async (_, round) => {
      let replays = 0;
      const options: ScripCallOptions = {
        onTrailers: (trailers) => {
          if (trailers.get('idempotent-replayed')[0] === 'true') replays++;
        },
      };
      const outcomes = await outcomesOf(
        cluster.replicas.map((scrip, replica) => call(scrip, round, replica, options)),
      );
      return { outcomes, replays };
    }),
  );
}

async function accountWith(credits: bigint): Promise<string> {
  const accountId = await cluster.a.open('verts');
  const category = Grant_Category.PAID;
  await cluster.a.accounts.grantCredits({
    reason: 'a test',
    accountId,
    requestId: requestId(),
    credits,
    category,
  });
  return accountId;
}

describe('an account opened on both replicas', () => {
  const open = (scrip: Scrip, accountId: string, id: string, planId: string, options = {}) =>
    scrip.accounts.openAccount({ accountId, requestId: id, planId }, options);

  test('by two callers is opened once; the other gets ACCOUNT_EXISTS', async () => {
    const name = requestId();
    for (const { outcomes } of await callAll((scrip, round) =>
      open(scrip, `${name}-${round}`, requestId(), 'perfectparser'),
    ))
      expect(tally(outcomes)).toEqual({ OK: 1, ACCOUNT_EXISTS: 1 });
    for (let round = 0; round < ROUNDS; round++) {
      const accountId = `${name}-${round}`;
      const { grants } = await cluster.a.accounts.listGrants({ accountId });
      expect(grants).toMatchObject([{ source: Grant_Source.WELCOME, remaining: 20n }]);
    }
  });

  test('under one request id is opened once, and both get the same response', async () => {
    const name = requestId();
    const results = await callAll((scrip, round, _, options) =>
      open(scrip, `${name}-${round}`, 'open', 'perfectparser', options),
    );
    for (const { outcomes, replays } of results) {
      expect(tally(outcomes)).toEqual({ OK: 2 });
      const responses = outcomes.map(({ answer }) => ({ ...answer, replay: undefined }));
      expect(responses[0]).toEqual(responses[1]);
      expect(replays).toBe(1);
    }
  });

  test('under one request id with two contents is opened once, as one of them', async () => {
    const name = requestId();
    const plans = ['perfectparser', 'verts'] as const;
    for (const { outcomes } of await callAll((scrip, round, replica) =>
      open(scrip, `${name}-${round}`, 'open', plans[replica] ?? ''),
    ))
      expect(tally(outcomes)).toEqual({ OK: 1, REQUEST_ID_REUSED: 1 });
  });
});

describe('a mutation sent to both replicas under one request id', () => {
  test('takes effect once; both get the same response, and one is marked as a replay', async () => {
    const accountId = await accountWith(1_000n);
    const results = await callAll((scrip, round, _, options) =>
      scrip.billing.reserve({ accountId, requestId: `job-${round}`, credits: 7n }, options),
    );
    for (const { outcomes, replays } of results) {
      expect(tally(outcomes)).toEqual({ OK: 2 });
      const responses = outcomes.map(({ answer }) => ({ ...answer, replay: undefined }));
      expect(responses[0]).toEqual(responses[1]);
      expect(replays).toBe(1);
    }
    const { balance } = await cluster.b.billing.getBalance({ accountId });
    expect(balance).toMatchObject({ reserved: 7n * BigInt(ROUNDS), seq: 2n + BigInt(ROUNDS) });
  });

  test('with two contents takes effect with one of them; the other writes nothing', async () => {
    const accountId = await accountWith(1_000n);
    const results = await callAll((scrip, round, replica) =>
      scrip.billing.charge({ accountId, requestId: `job-${round}`, credits: BigInt(1 + replica) }),
    );
    let charged = 0n;
    for (const { outcomes } of results) {
      expect(tally(outcomes)).toEqual({ OK: 1, REQUEST_ID_REUSED: 1 });
      for (const { answer } of outcomes) charged += answer?.credits ?? 0n;
    }
    const { balance } = await cluster.b.billing.getBalance({ accountId });
    expect(balance).toMatchObject({ remaining: 1_000n - charged, seq: 2n + BigInt(ROUNDS) });
  });

  test('with two methods is two requests', async () => {
    const accountId = await accountWith(10n);
    const named = { accountId, requestId: 'job', credits: 5n };
    await Promise.all([cluster.a.billing.charge(named), cluster.b.billing.reserve(named)]);
    const { balance } = await cluster.b.billing.getBalance({ accountId });
    expect(balance).toMatchObject({ remaining: 5n, reserved: 5n });
  });
});

describe('a payment reference used on both replicas', () => {
  const purchase = (scrip: Scrip, accountId: string, id: string, reference: string, options = {}) =>
    scrip.billing.purchase(
      {
        accountId,
        requestId: id,
        packId: 'starter',
        payment: { $case: 'paymentReference', value: reference },
      },
      options,
    );

  test('under two request ids makes one grant', async () => {
    const accountId = await cluster.a.open('verts');
    for (const { outcomes } of await callAll((scrip, round) =>
      purchase(scrip, accountId, requestId(), `order-${round}`),
    ))
      expect(tally(outcomes)).toEqual({ OK: 1, PAYMENT_REFERENCE_USED: 1 });
    const { grants } = await cluster.a.accounts.listGrants({ accountId });
    expect(grants).toHaveLength(ROUNDS);
  });

  test('under one request id makes one grant, which both responses contain', async () => {
    const accountId = await cluster.a.open('verts');
    const results = await callAll((scrip, round, _, options) =>
      purchase(scrip, accountId, `buy-${round}`, `order-${round}`, options),
    );
    for (const { outcomes, replays } of results) {
      expect(tally(outcomes)).toEqual({ OK: 2 });
      expect(outcomes[0]?.answer?.grant).toEqual(outcomes[1]?.answer?.grant);
      expect(replays).toBe(1);
    }
    const { balance } = await cluster.a.billing.getBalance({ accountId });
    expect(balance).toMatchObject({ remaining: 1_000n * BigInt(ROUNDS) });
  });
});

describe('replicas whose clocks differ', () => {
  test('write one history, in which time never runs backwards', async () => {
    cluster.a.advance(10_000);
    const accountId = await accountWith(1_000n);
    for (let round = 0; round < ROUNDS; round++)
      await Promise.all(
        cluster.replicas.map(({ billing }) =>
          billing.charge({ accountId, requestId: requestId(), credits: 1n }),
        ),
      );
    await expectSoundLedger(cluster.databaseUrl);
  });
});
