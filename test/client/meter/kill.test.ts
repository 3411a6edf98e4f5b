/** What a meter allowed is what is charged, whoever is killed. */
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, inject, test, vi } from 'vitest';
import { connect, Entry_Kind, type Scrip } from '../../../clients/typescript/src/index.ts';
import { verify } from '../../../src/verify/verify.ts';
import { createDatabase } from '../../postgres.ts';
import {
  end,
  type Program,
  type Replica,
  SOON,
  startProgram,
  startReplica,
} from '../../process/replica.ts';

let databaseUrl: string;
let replica: Replica;
let scrip: Scrip;
let accountId: string;
let metering: Program | null = null;

beforeEach(async () => {
  databaseUrl = await createDatabase(inject('postgresUrl'));
  replica = await startReplica({ DATABASE_URL: databaseUrl });
  scrip = connect({ address: `127.0.0.1:${replica.port}`, caller: 'test', timeoutMs: 60_000 });
  accountId = `metered-${randomUUID()}`;
  // A postpaid plan, whose accounts may use a million credits.
  await scrip.accounts.openAccount({ accountId, planId: 'aspose-cloud' });
});
afterEach(async () => {
  scrip.close();
  if (metering) await end(metering);
  await end(replica);
});

/** Credits that the ledger has as used. */
async function used(): Promise<number> {
  let credits = 0n;
  const kinds = [Entry_Kind.COMMIT, Entry_Kind.CHARGE];
  for await (const { entries } of scrip.billing.streamHistory({ accountId, kinds }))
    for (const entry of entries) credits += entry.credits;
  return Number(credits);
}

const reserved = async () => (await scrip.billing.getBalance({ accountId })).balance?.reserved;

test('the service is killed: what was allowed is charged, exactly', async () => {
  const { port } = replica;
  const meter = await scrip.meter(accountId, { credits: 100, intervalMs: 50 });
  let allowed = 0;
  const useUntil = async (enough: number) => {
    for (; allowed < enough; await new Promise(setImmediate)) if (meter.tryUse()) allowed += 1;
  };
  for (const enough of [150, 520]) {
    await useUntil(enough);
    await replica.signal('SIGKILL');
    // What is reserved can be used without the service, and no more.
    const { available } = meter;
    for (let index = 0; index < available; index++) {
      expect(meter.tryUse()).toBe(true);
      allowed += 1;
    }
    expect(meter.tryUse()).toBe(false);
    replica = await startReplica({ DATABASE_URL: databaseUrl, PORT: String(port) });
  }
  await useUntil(1_200);
  expect(await meter.close({ timeoutMs: 100_000 })).toEqual({ allowed, charged: allowed, lost: 0 });
  expect(await used()).toBe(allowed);
  expect(await reserved()).toBe(0n);
  expect(await verify(databaseUrl)).toMatchObject({ ok: true });
});

test('the client is killed: what it had reported is charged, and the rest is returned', async () => {
  const ADDRESS = `127.0.0.1:${replica.port}`;
  const one = startProgram(['test/client/meter/metering-process.ts'], {
    ADDRESS,
    ACCOUNT: accountId,
  });
  metering = one;
  const lines = () => one.output.stdout.split('\n').slice(0, -1);
  await vi.waitFor(() => expect(lines().length).toBeGreaterThan(300), SOON);
  one.process.kill('SIGKILL');
  await one.ended;
  const [allowed = 0, charged = 0] = lines().at(-1)?.split(' ').map(Number) ?? [];
  await vi.waitFor(async () => expect(await reserved()).toBe(0n), SOON);
  // Reports that were not answered may have arrived.
  expect(await used()).toBeGreaterThanOrEqual(charged);
  expect(await used()).toBeLessThanOrEqual(allowed);
  expect(charged).toBeGreaterThan(0);
  expect(await verify(databaseUrl)).toMatchObject({ ok: true });
});

test('several clients share an account: what each was allowed is charged', async () => {
  const clients = [1, 2, 3].map(() =>
    connect({ address: `127.0.0.1:${replica.port}`, caller: 'test' }),
  );
  const options = { operation: 'document.convert', credits: 40, intervalMs: 20 };
  const totals = await Promise.all(
    clients.map(async (client) => {
      const meter = await client.meter(accountId, options);
      for (let allowed = 0; allowed < 500; await new Promise(setImmediate))
        if (meter.tryUse()) allowed += 1;
      return await meter.close({ timeoutMs: 60_000 });
    }),
  );
  for (const client of clients) client.close();
  expect(totals).toEqual(clients.map(() => ({ allowed: 500, charged: 500, lost: 0 })));
  expect(await used()).toBe(1_500);
});
