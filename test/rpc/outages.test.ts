/** Database outages and full queues: every call gets a response or an error. */
import { status } from '@grpc/grpc-js';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { connect as connectClient } from '../../src/client.ts';
import { Entry_Kind } from '../../src/gen/billing/v1/ledger.ts';
import { balanceOf, entriesOf, INSPECT, openWithCredits } from '../accounts.ts';
import { blockConnections, lockAccount, waitForBlockedSessions } from '../disruptions.ts';
import { healthOf } from '../health.ts';
import { createDatabase } from '../postgres.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { TcpProxy } from '../tcp-proxy.ts';
import { http2ErrorOf } from './http2-call.ts';

async function proxyTo(databaseUrl: string): Promise<TcpProxy> {
  const proxy = new TcpProxy(databaseUrl);
  await proxy.open();
  return proxy;
}

const unavailable = { code: status.UNAVAILABLE, reason: 'DATABASE_UNAVAILABLE', retryMs: 500 };

/** Fails if a replica that has lost connections does not stop. */
async function stop(service: TestService) {
  const timer = new Promise((_, reject) => {
    setTimeout(() => reject(new Error('the service does not stop')), 20_000).unref();
  });
  await Promise.race([service.stop(), timer]);
}

describe('While the database cannot be reached', () => {
  let direct: string;
  let proxy: TcpProxy;
  let scrip: TestService;
  let accountId: string;
  beforeAll(async () => {
    direct = await createDatabase(inject('postgresUrl'));
    proxy = await proxyTo(direct);
    scrip = await startTestService({
      databaseUrl: proxy.url,
      env: { HISTORY_POLL_MS: '10' },
    });
    accountId = await openWithCredits(scrip, 1_000n);
  });
  afterAll(async () => {
    await stop(scrip);
    await proxy.close();
  });

  test('every kind of call fails with DATABASE_UNAVAILABLE and RetryInfo', async () => {
    await proxy.close();
    const account = { accountId, requestId: requestId() };
    const calls = {
      charge: scrip.billing.charge({ ...account, credits: 1n }),
      estimate: scrip.billing.estimate({ accountId, usages: { items: [INSPECT] } }),
      balance: balanceOf(scrip, accountId),
      history: entriesOf(scrip, accountId),
      reservations: scrip.billing.listReservations({ accountId }),
      accounts: scrip.accounts.listAccounts({}),
      account: scrip.accounts.getAccount({ accountId }),
      unknownPlan: scrip.plans.getPlan({ planId: 'gold' }),
    };
    const errors = await Promise.all(
      Object.entries(calls).map(async ([name, call]) => ({ name, ...(await errorOf(call)) })),
    );
    await proxy.open();
    for (const { name, code, reason, retryMs } of errors)
      expect({ name, code, reason, retryMs }).toEqual({ name, ...unavailable });
  });

  test('a batch returns DATABASE_UNAVAILABLE for each mutation', async () => {
    await proxy.close();
    const charge = { accountId, requestId: requestId(), credits: 1n };
    const { results } = await scrip.billing.batch({
      mutations: [{ mutation: { $case: 'charge', value: charge } }],
    });
    await proxy.open();
    expect(results).toMatchObject([
      {
        result: {
          $case: 'error',
          value: { code: status.UNAVAILABLE, reason: 'DATABASE_UNAVAILABLE' },
        },
      },
    ]);
  });

  test('a mutation of a batch fails by itself, where what its refusal would offer cannot be read', async () => {
    const locker = new pg.Client(direct);
    await locker.connect();
    await locker.query('begin; lock table custom_packs in access exclusive mode');
    const mutations = [1n, 1_000_000n, 2n].map((credits) => ({
      mutation: {
        $case: 'charge' as const,
        value: { accountId, requestId: requestId(), credits },
      },
    }));
    const answered = scrip.billing.batch({ mutations });
    await waitForBlockedSessions(direct);
    await proxy.close();
    await locker.end();
    await proxy.open();
    const { results } = await answered;
    expect(results).toMatchObject([
      { result: { $case: 'charge' } },
      { result: { $case: 'error', value: { reason: 'DATABASE_UNAVAILABLE' } } },
      { result: { $case: 'charge' } },
    ]);
  });

  test('plans can still be read', async () => {
    await proxy.close();
    const { plans } = await scrip.plans.listPlans({});
    await proxy.open();
    expect(plans.length).toBe(3);
  });

  test('an active call fails, and repeating it shows that nothing was written', async () => {
    const unlock = await lockAccount(direct, accountId);
    const before = await balanceOf(scrip, accountId);
    const request = { accountId, requestId: requestId(), credits: 5n };
    const error = errorOf(scrip.billing.charge(request));
    await waitForBlockedSessions(direct);
    await proxy.close();
    expect(await error).toMatchObject(unavailable);
    await unlock();
    await proxy.open();
    expect((await scrip.billing.charge(request)).credits).toBe(5n);
    await scrip.billing.charge(request);
    expect((await balanceOf(scrip, accountId)).remaining).toBe(before.remaining - 5n);
  });

  test('a stream that follows a history waits and misses nothing', async () => {
    const afterSeq = (await balanceOf(scrip, accountId)).seq;
    const stream = scrip.billing.streamHistory({
      accountId,
      afterSeq: afterSeq - 1n,
      follow: true,
    });
    // With its first message the stream has read what there is, and waits.
    await stream.next();
    const following = stream.next();
    await proxy.close();
    // The stream polls every 10 ms meanwhile.
    for (let reads = 0; reads < 20; reads++) await errorOf(balanceOf(scrip, accountId));
    await proxy.open();
    await scrip.billing.charge({ accountId, requestId: requestId(), credits: 1n });
    const { value } = await following;
    expect(value?.entries.map(({ seq }) => seq)).toEqual([afterSeq + 1n]);
    await stream.return();
  });
});

describe('A replica whose connections are cut repeatedly', () => {
  test('works after it has lost more connections than its pool has', async () => {
    const direct = await createDatabase(inject('postgresUrl'));
    const proxy = await proxyTo(direct);
    const env = { DATABASE_POOL_MAX: '2' };
    const scrip = await startTestService({ databaseUrl: proxy.url, env });
    const accountId = await openWithCredits(scrip, 100n);
    for (let times = 0; times < 4; times++) {
      const unlock = await lockAccount(direct, accountId);
      const request = { accountId, requestId: requestId(), credits: 1n };
      const error = errorOf(scrip.billing.charge(request));
      await waitForBlockedSessions(direct);
      await proxy.close();
      expect((await error).reason).toBe('DATABASE_UNAVAILABLE');
      await unlock();
      await proxy.open();
      const again = scrip.billing.charge(request, { deadline: Date.now() + 20_000 });
      expect((await again).credits).toBe(1n);
    }
    await stop(scrip);
    await proxy.close();
  });

  test('charges each request once, however often it is retried', async () => {
    const proxy = await proxyTo(await createDatabase(inject('postgresUrl')));
    const scrip = await startTestService({ databaseUrl: proxy.url });
    const accountId = await openWithCredits(scrip, 1_000n);
    const ids = Array.from({ length: 60 }, requestId);
    let charging = true;
    const cutting = (async () => {
      // On a slow machine no charge might succeed between two cuts, so their number is limited.
      for (let cuts = 0; charging && cuts < 60; cuts++) {
        await new Promise((resolve) => setTimeout(resolve, 20 + Math.random() * 60));
        await proxy.close();
        await proxy.open();
      }
    })();
    const until = Date.now() + 60_000;
    for (const id of ids)
      for (let done = false; !done && Date.now() < until; ) {
        const request = { accountId, requestId: id, credits: 1n };
        const result = await scrip.billing.charge(request).catch((error) => error);
        done = !(result instanceof Error);
        if (!done) expect(result).toMatchObject({ reason: 'DATABASE_UNAVAILABLE' });
      }
    charging = false;
    await cutting;
    const charges = await entriesOf(scrip, accountId, { kinds: [Entry_Kind.CHARGE] });
    expect(charges.map((entry) => entry.requestId)).toEqual(ids);
    expect((await balanceOf(scrip, accountId)).remaining).toBe(940n);
    await stop(scrip);
    await proxy.close();
  }, 90_000);
});

describe('A database that refuses connections', () => {
  test('is reported as DATABASE_UNAVAILABLE and not as a bug', async () => {
    const scrip = await startTestService();
    const accountId = await openWithCredits(scrip, 10n);
    const allowConnections = await blockConnections(scrip.databaseUrl);
    const request = { accountId, requestId: requestId(), credits: 1n };
    const errors = [
      await errorOf(scrip.billing.charge(request)),
      await errorOf(balanceOf(scrip, accountId)),
    ];
    await allowConnections();
    expect((await scrip.billing.charge(request)).balance?.remaining).toBe(9n);
    await stop(scrip);
    expect(errors).toMatchObject([unavailable, unavailable]);
  });
});

describe('Readiness', () => {
  test('ends after three probes that failed, and returns with the first that succeeds', async () => {
    const databaseUrl = await createDatabase(inject('postgresUrl'));
    const proxy = await proxyTo(databaseUrl);
    const scrip = await startTestService({ databaseUrl: proxy.url });
    try {
      const probe = () => scrip.service.probeDatabase();
      await probe();
      await proxy.close();
      await probe();
      await probe();
      expect(await healthOf(scrip, 'readiness')).toBe('SERVING');
      await probe();
      for (const name of ['', 'readiness', 'billing.v1.BillingService'])
        expect(await healthOf(scrip, name)).toBe('NOT_SERVING');
      expect(await healthOf(scrip, 'liveness')).toBe('SERVING');
      await proxy.open();
      await probe();
      expect(await healthOf(scrip)).toBe('SERVING');
    } finally {
      await scrip.stop();
      await proxy.close();
    }
  });

  test('does not end where the connections of the service are busy', async () => {
    const scrip = await startTestService({ env: { DATABASE_POOL_MAX: '2' } });
    try {
      const accountId = await openWithCredits(scrip, 100n);
      const unlock = await lockAccount(scrip.databaseUrl, accountId);
      const charging = scrip.billing.charge({ accountId, requestId: requestId(), credits: 1n });
      await waitForBlockedSessions(scrip.databaseUrl);
      for (let count = 0; count < 3; count++) await scrip.service.probeDatabase();
      expect(await healthOf(scrip)).toBe('SERVING');
      await unlock();
      await charging;
    } finally {
      await scrip.stop();
    }
  });
});

describe('When as many calls are in flight as may be', () => {
  test('further calls fail at once with OVERLOADED and succeed when they are retried', async () => {
    const scrip = await startTestService({ env: { QUEUE_MAX: '5' } });
    try {
      const accountId = await openWithCredits(scrip, 100n);
      const unlock = await lockAccount(scrip.databaseUrl, accountId);
      const charge = (id: string) =>
        scrip.billing.charge({ accountId, requestId: id, credits: 1n });
      const working = charge(requestId());
      await waitForBlockedSessions(scrip.databaseUrl);
      const ids = Array.from({ length: 20 }, requestId);
      const settled = ids.map((id) =>
        charge(id).then(
          () => ({ id, error: null }),
          async (error) => ({ id, error: await errorOf(Promise.reject(error)) }),
        ),
      );
      // The refused calls are answered while all others are waiting.
      await Promise.race(settled);
      await unlock();
      const refused = (await Promise.all(settled)).filter(({ error }) => error !== null);
      expect(refused.length).toBe(16);
      for (const { error } of refused)
        expect(error).toMatchObject({
          code: status.RESOURCE_EXHAUSTED,
          reason: 'OVERLOADED',
          metadata: { limit: '5' },
          retryMs: 100,
        });
      await working;
      for (const { id } of refused) await charge(id);
      expect((await balanceOf(scrip, accountId)).remaining).toBe(79n);
    } finally {
      await scrip.stop();
    }
  });

  test('health is answered, and reads are refused as well', async () => {
    const scrip = await startTestService({ env: { QUEUE_MAX: '1' } });
    try {
      const accountId = await openWithCredits(scrip, 100n);
      const unlock = await lockAccount(scrip.databaseUrl, accountId);
      const charging = scrip.billing.charge({ accountId, requestId: requestId(), credits: 1n });
      await waitForBlockedSessions(scrip.databaseUrl);
      const refused = await errorOf(balanceOf(scrip, accountId));
      const health = await healthOf(scrip);
      await unlock();
      await charging;
      expect(refused).toMatchObject({ reason: 'OVERLOADED', metadata: { queue: '1', limit: '1' } });
      expect(health).toBe('SERVING');
    } finally {
      await scrip.stop();
    }
  });

  test('a call is refused before its message has arrived', async () => {
    const scrip = await startTestService({ env: { QUEUE_MAX: '1' } });
    try {
      const accountId = await openWithCredits(scrip, 100n);
      const unlock = await lockAccount(scrip.databaseUrl, accountId);
      const charging = scrip.billing.charge({ accountId, requestId: requestId(), credits: 1n });
      await waitForBlockedSessions(scrip.databaseUrl);
      const call = {
        path: '/billing.v1.BillingService/Charge',
        body: new Uint8Array(),
        ends: false,
      };
      const error = await http2ErrorOf(scrip, call);
      await unlock();
      await charging;
      expect(error).toMatchObject({ reason: 'OVERLOADED', retryMs: 100 });
    } finally {
      await scrip.stop();
    }
  });

  test('an account has at most its share of them, whoever calls, and others have the rest', async () => {
    const scrip = await startTestService({ env: { QUEUE_MAX: '20' } });
    const callers = Array.from({ length: 17 }, (_, index) =>
      connectClient(`127.0.0.1:${scrip.service.port}`, { caller: `caller-${index}` }),
    );
    try {
      const [hot, other] = [await openWithCredits(scrip, 100n), await openWithCredits(scrip, 5n)];
      const unlock = await lockAccount(scrip.databaseUrl, hot);
      const charges = callers.map(({ billing }) =>
        billing.charge({ accountId: hot, requestId: requestId(), credits: 1n }),
      );
      // 16 wait for the lock.
      const refused = await errorOf(Promise.race(charges));
      const available = (await balanceOf(scrip, other)).available;
      const refusedRead = await errorOf(balanceOf(scrip, hot));
      await unlock();
      const settled = await Promise.allSettled(charges);
      expect(refused).toMatchObject({ reason: 'OVERLOADED' });
      expect(refusedRead).toMatchObject({ reason: 'OVERLOADED' });
      expect(available).toBe(5n);
      expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(16);
    } finally {
      for (const caller of callers) caller.close();
      await scrip.stop();
    }
  });
});
