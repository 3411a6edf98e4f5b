/** Meters and batches over a network that breaks: every use and every mutation is charged once. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { connect, type Scrip } from '../../../clients/typescript/src/index.ts';
import { verify } from '../../../src/verify/verify.ts';
import { grant } from '../../accounts.ts';
import { SOON } from '../../process/replica.ts';
import { startTestService, type TestService } from '../../service.ts';
import { Network } from '../network.ts';

const CREDITS = 100_000n;

let service: TestService;
let network: Network;
let scrip: Scrip;
let accountId: string;

beforeEach(async () => {
  service = await startTestService();
  network = new Network(() => service.service.port);
  await network.open();
  scrip = connect({ address: network.address, caller: 'test', timeoutMs: 60_000 });
  accountId = await service.open('verts');
  await grant(service, accountId, CREDITS);
});
afterEach(async () => {
  scrip.close();
  await network.close();
  await service.stop();
});

async function spent(): Promise<number> {
  const { balance } = await service.billing.getBalance({ accountId });
  expect(balance?.reserved).toBe(0n);
  return Number(CREDITS - (balance?.remaining ?? 0n));
}

/** Where a connection breaks: in headers, within an answer, between answers. */
const BREAKS = [1, 40, 150, 400, 900, 1_500, 3_000, 20, 700, 5_000];

test('a meter whose connection breaks again and again', async () => {
  const meter = await scrip.meter(accountId, { credits: 60, intervalMs: 10 });
  let allowed = 0;
  for (const bytes of BREAKS) {
    network.resetAfter(bytes);
    const { connections } = network;
    while (network.connections === connections) {
      if (meter.tryUse(3)) allowed += 3;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
  expect(await meter.close({ timeoutMs: 100_000 })).toEqual({ allowed, charged: allowed, lost: 0 });
  expect(await spent()).toBe(allowed);
  expect(await verify(service.databaseUrl)).toMatchObject({ ok: true });
});

test('a meter whose answers are lost without a trace allows what it has reserved, and no more', async () => {
  const meter = await scrip.meter(accountId, { credits: 60, intervalMs: 10 });
  network.losesAnswers = true;
  let allowed = 0;
  await vi.waitFor(() => {
    while (meter.tryUse()) allowed += 1;
    expect(allowed).toBe(60);
  }, SOON);
  await new Promise(setImmediate);
  expect(meter.tryUse()).toBe(false);
  network.losesAnswers = false;
  network.reset();
  await vi.waitFor(() => expect(meter.tryUse()).toBe(true), SOON);
  expect(await meter.close({ timeoutMs: 100_000 })).toEqual({ allowed: 61, charged: 61, lost: 0 });
  expect(await spent()).toBe(61);
});

test('a meter that cannot reach the service at its end says what it does not know', async () => {
  const meter = await scrip.meter(accountId, { credits: 60, intervalMs: 6_000 });
  expect(meter.tryUse(5)).toBe(true);
  network.isRefusing = true;
  network.reset();
  expect(await meter.close({ timeoutMs: 100 })).toEqual({ allowed: 5, charged: 0, lost: 0 });
});

test('charges that share calls over a connection that breaks again and again', async () => {
  let charged = 0;
  let isOver = false;
  const work = async () => {
    while (!isOver) {
      await scrip.billing.charge({ accountId, credits: 1n });
      charged += 1;
    }
  };
  const workers = Promise.all(Array.from({ length: 40 }, work));
  for (const bytes of BREAKS) {
    network.resetAfter(bytes);
    const { connections } = network;
    await vi.waitFor(() => expect(network.connections).toBeGreaterThan(connections), SOON);
  }
  isOver = true;
  await workers;
  expect(await spent()).toBe(charged);
});
