/** Mutations that are made at the same time, against a real service: each ends as it would alone. */
import '../../../src/telemetry/sdk.ts';
import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test, vi } from 'vitest';
import {
  connect,
  type Entry,
  Entry_Kind,
  InsufficientCredits,
  Metadata,
  type Scrip,
  type ScripError,
} from '../../../clients/typescript/src/index.ts';
import { verify } from '../../../src/verify/verify.ts';
import { createDatabase } from '../../postgres.ts';
import { end, type Replica, SOON, startReplica } from '../../process/replica.ts';
import { startTestService, type TestService } from '../../service.ts';

async function entriesOf(scrip: Scrip, accountId: string, kind: Entry_Kind): Promise<Entry[]> {
  const all: Entry[] = [];
  for await (const { entries } of scrip.billing.streamHistory({ accountId, kinds: [kind] }))
    all.push(...entries);
  return all;
}

describe('a running service', () => {
  let service: TestService;
  let scrip: Scrip;
  let single: Scrip;

  beforeAll(async () => {
    service = await startTestService();
    const address = `127.0.0.1:${service.service.port}`;
    scrip = connect({ address, caller: 'test' });
    single = connect({ address, caller: 'test', batching: false });
  });
  afterAll(async () => {
    scrip.close();
    single.close();
    await service.stop();
  });

  test('charges, refusals and faulty requests at the same time: each has its own end', async () => {
    const account = await service.open('perfectparser');
    const poor = await service.open('verts');
    const ends = await Promise.allSettled(
      Array.from({ length: 60 }, (_, index) => [
        scrip.billing.charge({ accountId: index % 3 === 1 ? poor : account, credits: 1n }),
        scrip.billing.charge({ accountId: index % 2 ? '' : 'nobody', credits: 1n }),
      ]).flat(),
    );
    const reasons = new Map<string, number>();
    for (const one of ends) {
      const reason = one.status === 'fulfilled' ? 'OK' : (one.reason as ScripError).reason;
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    }
    // 20 credits for 40 charges; 20 on an account without any.
    expect(Object.fromEntries(reasons)).toEqual({
      OK: 20,
      INSUFFICIENT_CREDITS: 40,
      ACCOUNT_NOT_FOUND: 30,
      INVALID_FIELD: 30,
    });
  });

  test('an error has the same class, values and details as alone', async () => {
    const accountId = await service.open('verts');
    const requests = ['', 'a', 'b'].map(() => ({ accountId, credits: 700n }));
    const errorOf = (client: Scrip) => (request: { accountId: string; credits: bigint }) =>
      client.billing.charge(request).then(
        () => null,
        (error: ScripError) => error,
      );
    const errors = await Promise.all(requests.map(errorOf(scrip)));
    const alone = await errorOf(single)({ accountId, credits: 700n });
    expect(alone).toBeInstanceOf(InsufficientCredits);
    for (const error of errors) {
      expect(error).toBeInstanceOf(InsufficientCredits);
      expect({ ...error, cause: null, requestId: null }).toEqual({
        ...alone,
        cause: null,
        requestId: null,
      });
      expect(error?.message).toBe(alone?.message);
    }
  });

  test('each entry has the trace of its own caller, and whom it was made on behalf of', async () => {
    const accountId = await service.open('perfectparser');
    const callers = Array.from({ length: 12 }, (_, index) => ({
      reference: `job-${index}`,
      traceId: randomBytes(16).toString('hex'),
      onBehalfOf: `user-${index % 2}`,
    }));
    await Promise.all(
      callers.map(({ reference, traceId, onBehalfOf }) => {
        const metadata = new Metadata();
        metadata.set('x-on-behalf-of', onBehalfOf);
        const traceparent = `00-${traceId}-${randomBytes(8).toString('hex')}-01`;
        return scrip.billing.charge(
          { accountId, credits: 1n, reference },
          { metadata, traceparent },
        );
      }),
    );
    const entries = await entriesOf(scrip, accountId, Entry_Kind.CHARGE);
    const found = entries.map(({ reference, traceId, onBehalfOf }) => ({
      reference,
      traceId,
      onBehalfOf,
    }));
    expect(found).toHaveLength(12);
    expect(found).toEqual(expect.arrayContaining(callers));
  });

  test('a caller whose deadline passes does not hold up the others', async () => {
    const accountId = await service.open('perfectparser');
    const charge = (timeoutMs: number) =>
      scrip.billing.charge({ accountId, credits: 1n }, { timeoutMs });
    const ends = await Promise.allSettled([
      charge(60_000),
      charge(0),
      charge(60_000),
      charge(60_000),
    ]);
    expect(ends.map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
      'fulfilled',
      'fulfilled',
    ]);
    const entries = await entriesOf(scrip, accountId, Entry_Kind.CHARGE);
    expect(entries).toHaveLength(3);
  });

  test('a thousand large requests are split, so that none is refused', async () => {
    const accountId = await service.open('perfectparser');
    // 4 MB in all, and the service takes 3.
    const labels = Object.fromEntries(
      Array.from({ length: 16 }, (_, index) => [`label-${index}`, 'x'.repeat(250)]),
    );
    const all = Array.from({ length: 1_000 }, () =>
      scrip.billing.charge({ accountId, credits: 0n, labels }, { timeoutMs: 170_000 }),
    );
    await Promise.all(all);
    expect(await entriesOf(scrip, accountId, Entry_Kind.CHARGE)).toHaveLength(1_000);
  });
});

describe('a service that is killed', () => {
  let replica: Replica | null = null;
  let scrip: Scrip | null = null;
  afterEach(async () => {
    scrip?.close();
    if (replica) await end(replica);
  });

  test('while batches are in flight: each charge is made once, and no caller sees it', async () => {
    const databaseUrl = await createDatabase(inject('postgresUrl'));
    replica = await startReplica({ DATABASE_URL: databaseUrl });
    const { port } = replica;
    scrip = connect({ address: `127.0.0.1:${port}`, caller: 'test', timeoutMs: 150_000 });
    const accountId = `killed-${randomUUID()}`;
    await scrip.accounts.openAccount({ accountId, planId: 'aspose-cloud' });
    let answered = 0;
    const work = async (billing: Scrip['billing']) => {
      for (let index = 0; index < 20; index++) {
        await billing.charge({ accountId, credits: 1n });
        answered += 1;
      }
    };
    const workers = Array.from({ length: 30 }, () => work((scrip as Scrip).billing));
    const done = Promise.all(workers);
    done.catch(() => {});
    for (const enough of [50, 250]) {
      await vi.waitFor(() => expect(answered).toBeGreaterThan(enough), SOON);
      await replica.signal('SIGKILL');
      replica = await startReplica({ DATABASE_URL: databaseUrl, PORT: String(port) });
    }
    await done;
    const entries = await entriesOf(scrip, accountId, Entry_Kind.CHARGE);
    expect(entries).toHaveLength(600);
    expect(await verify(databaseUrl)).toMatchObject({ ok: true });
  });
});
