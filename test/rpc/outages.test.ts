/** The database goes away and comes back; requests pile up. No caller is left without an answer. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { balanceOf, entriesOf, INSPECT, openWithCredits } from '../accounts.ts';
import { blockConnections, lockAccount, waitForBlockedSessions } from '../disruptions.ts';
import { createDatabase } from '../postgres.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

/** A wire to the database that can be cut. */
async function wireTo(databaseUrl: string) {
  const target = new URL(databaseUrl);
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    const upstream = connect(Number(target.port), target.hostname);
    for (const end of [socket, upstream]) {
      open.add(end);
      end.on('error', () => {});
      end.on('close', () => {
        open.delete(end);
        socket.destroy();
        upstream.destroy();
      });
    }
    socket.pipe(upstream).pipe(socket);
  });
  const listen = async (port: number) => {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };
  const port = await listen(0);
  const through = new URL(databaseUrl);
  through.port = String(port);
  return {
    url: through.href,
    async cut() {
      const closed = once(server, 'close');
      server.close();
      for (const end of open) end.destroy();
      await closed;
    },
    mend: () => listen(port),
  };
}

const unavailable = { code: status.UNAVAILABLE, reason: 'DATABASE_UNAVAILABLE', retryMs: 500 };

/** A replica that lost connections must still be able to stop. */
async function stopped(service: TestService) {
  const timer = new Promise((_, reject) => {
    setTimeout(() => reject(new Error('the service does not stop')), 5_000).unref();
  });
  await Promise.race([service.stop(), timer]);
}

describe('While the database cannot be reached', () => {
  let direct: string;
  let wire: Awaited<ReturnType<typeof wireTo>>;
  let scrip: TestService;
  let accountId: string;
  beforeAll(async () => {
    direct = await createDatabase(inject('postgresUrl'));
    wire = await wireTo(direct);
    scrip = await startTestService({ databaseUrl: wire.url });
    accountId = await openWithCredits(scrip, 1_000n);
  });
  afterAll(async () => {
    await stopped(scrip);
    await wire.cut();
  });

  test('every kind of call says so, and that a retry may help', async () => {
    await wire.cut();
    const account = { accountId, requestId: requestId() };
    const calls = {
      charge: scrip.billing.charge({ ...account, credits: 1n }),
      estimate: scrip.billing.estimate({ accountId, usages: [INSPECT] }),
      balance: balanceOf(scrip, accountId),
      history: entriesOf(scrip, accountId),
      reservations: scrip.billing.listReservations({ accountId }),
      accounts: scrip.accounts.listAccounts({}),
      account: scrip.accounts.getAccount({ accountId }),
      unknownPlan: scrip.plans.getPlan({ planId: 'gold' }),
    };
    const faults = await Promise.all(
      Object.entries(calls).map(async ([name, call]) => ({ name, ...(await errorOf(call)) })),
    );
    await wire.mend();
    for (const { name, code, reason, retryMs } of faults)
      expect({ name, code, reason, retryMs }).toEqual({ name, ...unavailable });
  });

  test('a batch says so of each mutation', async () => {
    await wire.cut();
    const charge = { accountId, requestId: requestId(), credits: 1n };
    const { results } = await scrip.billing.batch({
      mutations: [{ mutation: { $case: 'charge', value: charge } }],
    });
    await wire.mend();
    expect(results).toMatchObject([
      {
        result: {
          $case: 'error',
          value: { code: status.UNAVAILABLE, reason: 'DATABASE_UNAVAILABLE' },
        },
      },
    ]);
  });

  test('plans in force are still known', async () => {
    await wire.cut();
    const { plans } = await scrip.plans.listPlans({});
    await wire.mend();
    expect(plans.length).toBe(3);
  });

  test('a call under way is told, and its request id tells later that nothing was written', async () => {
    const letGo = await lockAccount(direct, accountId);
    const before = await balanceOf(scrip, accountId);
    const request = { accountId, requestId: requestId(), credits: 5n };
    const fault = errorOf(scrip.billing.charge(request));
    await waitForBlockedSessions(direct);
    await wire.cut();
    expect(await fault).toMatchObject(unavailable);
    await letGo();
    await wire.mend();
    expect((await scrip.billing.charge(request)).credits).toBe(5n);
    await scrip.billing.charge(request);
    expect((await balanceOf(scrip, accountId)).remaining).toBe(before.remaining - 5n);
  });

  test('one who follows a history waits, and misses nothing', async () => {
    const afterSeq = (await balanceOf(scrip, accountId)).seq;
    const stream = scrip.billing.streamHistory({ accountId, afterSeq, follow: true });
    const coming = stream.next();
    await new Promise((resolve) => setTimeout(resolve, 120));
    await wire.cut();
    await new Promise((resolve) => setTimeout(resolve, 120));
    await wire.mend();
    await scrip.billing.charge({ accountId, requestId: requestId(), credits: 1n });
    const { value } = await coming;
    expect(value?.entries.map(({ seq }) => seq)).toEqual([afterSeq + 1n]);
    await stream.return();
  });
});

describe('A replica whose connections are cut again and again', () => {
  test('works on when it has lost more of them than it may have at once', async () => {
    const direct = await createDatabase(inject('postgresUrl'));
    const wire = await wireTo(direct);
    const env = { DATABASE_POOL_MAX: '2' };
    const scrip = await startTestService({ databaseUrl: wire.url, env });
    const accountId = await openWithCredits(scrip, 100n);
    for (let times = 0; times < 4; times++) {
      const letGo = await lockAccount(direct, accountId);
      const request = { accountId, requestId: requestId(), credits: 1n };
      const fault = errorOf(scrip.billing.charge(request));
      await waitForBlockedSessions(direct);
      await wire.cut();
      expect((await fault).reason).toBe('DATABASE_UNAVAILABLE');
      await letGo();
      await wire.mend();
      const again = scrip.billing.charge(request, { deadline: Date.now() + 2_000 });
      expect((await again).credits).toBe(1n);
    }
    await stopped(scrip);
    await wire.cut();
  });

  test('charges each request once, however often its caller had to ask', async () => {
    const wire = await wireTo(await createDatabase(inject('postgresUrl')));
    const scrip = await startTestService({ databaseUrl: wire.url });
    const accountId = await openWithCredits(scrip, 1_000n);
    const ids = Array.from({ length: 60 }, requestId);
    let charging = true;
    const cutting = (async () => {
      // Not for ever: a slow machine would never get a charge in between two cuts.
      for (let cuts = 0; charging && cuts < 60; cuts++) {
        await new Promise((resolve) => setTimeout(resolve, 20 + Math.random() * 60));
        await wire.cut();
        await wire.mend();
      }
    })();
    const until = Date.now() + 25_000;
    for (const id of ids)
      for (let done = false; !done && Date.now() < until; ) {
        const request = { accountId, requestId: id, credits: 1n };
        const answer = await scrip.billing.charge(request).catch((error) => error);
        done = !(answer instanceof Error);
        if (!done) expect(answer).toMatchObject({ reason: 'DATABASE_UNAVAILABLE' });
      }
    charging = false;
    await cutting;
    const charged = (await entriesOf(scrip, accountId)).map((entry) => entry.requestId);
    expect(charged.slice(1)).toEqual(ids);
    expect((await balanceOf(scrip, accountId)).remaining).toBe(940n);
    await stopped(scrip);
    await wire.cut();
  });
});

describe('A database that takes no connections', () => {
  test('is unavailable, not a bug', async () => {
    const scrip = await startTestService();
    const accountId = await openWithCredits(scrip, 10n);
    const bringBack = await blockConnections(scrip.databaseUrl);
    const request = { accountId, requestId: requestId(), credits: 1n };
    const faults = [
      await errorOf(scrip.billing.charge(request)),
      await errorOf(balanceOf(scrip, accountId)),
    ];
    await bringBack();
    expect((await scrip.billing.charge(request)).balance?.remaining).toBe(9n);
    await stopped(scrip);
    expect(faults).toMatchObject([unavailable, unavailable]);
  });
});

describe('When more requests wait than may', () => {
  test('the others are refused at once, and lose nothing by trying again', async () => {
    const scrip = await startTestService({ env: { QUEUE_MAX: '5' } });
    try {
      const accountId = await openWithCredits(scrip, 100n);
      const letGo = await lockAccount(scrip.databaseUrl, accountId);
      const charge = (id: string) =>
        scrip.billing.charge({ accountId, requestId: id, credits: 1n });
      const working = charge(requestId());
      await waitForBlockedSessions(scrip.databaseUrl);
      const ids = Array.from({ length: 20 }, requestId);
      const settled = ids.map((id) =>
        charge(id).then(
          () => ({ id, fault: null }),
          async (error) => ({ id, fault: await errorOf(Promise.reject(error)) }),
        ),
      );
      // The refused are answered while everyone else still waits.
      await Promise.race(settled);
      await letGo();
      const refused = (await Promise.all(settled)).filter(({ fault }) => fault !== null);
      expect(refused.length).toBe(15);
      for (const { fault } of refused)
        expect(fault).toMatchObject({
          code: status.RESOURCE_EXHAUSTED,
          reason: 'OVERLOADED',
          metadata: { queue: '5', limit: '5' },
          retryMs: 100,
        });
      await working;
      for (const { id } of refused) await charge(id);
      expect((await balanceOf(scrip, accountId)).remaining).toBe(79n);
    } finally {
      await scrip.stop();
    }
  });
});
