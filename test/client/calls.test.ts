/** Calls of the client package against a running service, over a network that breaks. */
import { randomUUID } from 'node:crypto';
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  onTestFinished,
  test,
} from 'vitest';
import {
  Cancelled,
  type ConnectOptions,
  connect,
  Metadata,
  RequestExpired,
  type Scrip,
} from '../../clients/typescript/src/index.ts';
import { entriesOf, HOUR } from '../accounts.ts';
import { lockAccount, waitForBlockedSessions } from '../disruptions.ts';
import { startTestService, type TestService } from '../service.ts';
import { Network } from './network.ts';

let service: TestService;
let network: Network;
let scrip: Scrip;

beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.stop());
beforeEach(async () => {
  service.setNow(Date.now());
  network = new Network(() => service.service.port);
  await network.open();
  scrip = client({ address: network.address });
});
afterEach(() => network.close());

function client(options: Partial<ConnectOptions> = {}): Scrip {
  const address = `127.0.0.1:${service.service.port}`;
  // Clients of grpc-js share connections, and a test needs its own.
  const channel = { 'grpc.use_local_subchannel_pool': 1 };
  const opened = connect({ address, caller: 'test', channel, timeoutMs: 60_000, ...options });
  onTestFinished(() => opened.close());
  return opened;
}

const twoPages = {
  items: [{ operation: 'extraction.result_per_file', quantities: { pages: 2 } }],
};
const chargesOf = async (accountId: string) =>
  (await entriesOf(service, accountId)).filter(({ kind }) => kind === 9).length;

describe('a charge', () => {
  test.each([
    [1.5, RangeError],
    [2 ** 53, RangeError],
    ['', TypeError],
    [' 1', TypeError],
    ['0x10', TypeError],
    [true, TypeError],
    [[1], TypeError],
  ])('of %o credits is refused before it is sent', async (credits, type) => {
    const accountId = await service.open('perfectparser');
    const charge = scrip.billing.charge({ accountId, credits: credits as never });
    await expect(charge).rejects.toThrow(type);
    await expect(charge).rejects.toThrow('credits');
    expect(await chargesOf(accountId)).toBe(0);
  });

  test.each([
    { timeoutMs: '5000' },
    { timeoutMs: 0 },
    { signal: new AbortController() },
    { signal: {} },
    { metadata: { 'x-on-behalf-of': 'somebody' } },
  ])('with the option %o is refused before it is sent', async (options) => {
    const accountId = await service.open('perfectparser');
    const charge = scrip.billing.charge({ accountId, credits: 1n }, options as never);
    await expect(charge).rejects.toThrow(Object.keys(options)[0]);
    expect(await chargesOf(accountId)).toBe(0);
  });

  test('is priced, and its answer has bigint', async () => {
    const accountId = await service.open('perfectparser');
    const charge = await scrip.billing.charge({ accountId, usages: twoPages });
    expect(charge.credits).toBe(2n);
    expect(charge.balance?.available).toBe(18n);
    expect(charge.replay).toBeUndefined();
  });

  test('gets a request id of its own, unless the caller gives one', async () => {
    const accountId = await service.open('perfectparser');
    for (let made = 0; made < 2; made++) await scrip.billing.charge({ accountId, credits: 1n });
    const requestId = randomUUID();
    const first = await scrip.billing.charge({ accountId, requestId, credits: 1n });
    const second = await scrip.billing.charge({ accountId, requestId, credits: 1n });
    expect(await chargesOf(accountId)).toBe(3);
    expect(second).toEqual({ ...first, replay: expect.anything() });
  });

  test('whose answer is lost is charged once', async () => {
    const accountId = await service.open('perfectparser');
    await scrip.billing.getBalance({ accountId });
    network.resetAfter(0);
    const charge = await scrip.billing.charge({ accountId, credits: 3n });
    expect(charge.replay).toBeDefined();
    expect(charge.balance?.available).toBe(17n);
    expect(await chargesOf(accountId)).toBe(1);
  });

  test('whose answer is cut anywhere is charged once', async () => {
    const accountId = await service.open('perfectparser');
    for (let cuts = 0; cuts < 20; cuts++) {
      await scrip.billing.getBalance({ accountId });
      network.resetAfter(23 * cuts);
      const { balance } = await scrip.billing.charge({ accountId, credits: 1n });
      expect(balance?.available).toBe(BigInt(19 - cuts));
    }
    expect(await chargesOf(accountId)).toBe(20);
  });

  test('waits for a service that is not there yet', async () => {
    const accountId = await service.open('perfectparser');
    network.isRefusing = true;
    const charge = scrip.billing.charge({ accountId, credits: 3n });
    await expect.poll(() => network.connections, { timeout: 60_000 }).toBeGreaterThan(2);
    network.isRefusing = false;
    expect((await charge).credits).toBe(3n);
  });

  test.each([true, false])(
    'of hundreds over resets is charged once; batching: %s',
    async (batching) => {
      const flaky = client({ address: network.address, batching, timeoutMs: 120_000 });
      const accounts = await Promise.all(
        Array.from({ length: 20 }, () => service.open('perfectparser')),
      );
      const breaking = setInterval(() => network.reset(), 60);
      onTestFinished(() => clearInterval(breaking));
      await Promise.all(
        Array.from({ length: 200 }, async (_, index) => {
          const accountId = accounts[index % 20] ?? '';
          for (let made = 0; made < 2; made++) {
            const { credits } = await flaky.billing.charge({ accountId, credits: 1n });
            expect(credits).toBe(1n);
          }
        }),
      );
      clearInterval(breaking);
      for (const accountId of accounts) {
        const { balance } = await service.billing.getBalance({ accountId });
        expect(balance?.available).toBe(0n);
      }
    },
  );
});

test('a connection on which nothing comes back is left for another', async () => {
  const accountId = await service.open('perfectparser');
  const silent = new Network(() => service.service.port);
  onTestFinished(() => silent.close());
  await silent.open();
  const both = client({
    address: `ipv4:${silent.address},${network.address}`,
    timeoutMs: 60_000,
  });
  // Both connections are open.
  await expect
    .poll(
      async () => {
        await both.billing.getBalance({ accountId });
        return silent.connections * network.connections;
      },
      { timeout: 60_000 },
    )
    .toBeGreaterThan(0);
  silent.losesAnswers = true;
  for (let made = 0; made < 4; made++) await both.billing.charge({ accountId, credits: 1n });
  expect(await chargesOf(accountId)).toBe(4);
});

describe('not_after', () => {
  test('follows the clock of the service, whatever the clock of this machine says', async () => {
    const accountId = await service.open('perfectparser');
    service.advance(3 * HOUR);
    expect((await scrip.billing.charge({ accountId, credits: 1n })).credits).toBe(1n);
    expect(Math.abs(scrip.now() - service.now())).toBeLessThan(60_000);
  });

  test('is learned from every answer', async () => {
    const accountId = await service.open('perfectparser');
    service.advance(3 * HOUR);
    await scrip.billing.getBalance({ accountId });
    expect(Math.abs(scrip.now() - service.now())).toBeLessThan(60_000);
  });

  test('of the caller stays', async () => {
    const accountId = await service.open('perfectparser');
    const notAfter = new Date(service.now() - HOUR);
    const charge = scrip.billing.charge({ accountId, credits: 1n, notAfter });
    await expect(charge).rejects.toThrow(RequestExpired);
    await expect(charge).rejects.toMatchObject({ notAfter, outcome: 'none' });
  });

  test('is given to the mutations of a Batch, as is the request id', async () => {
    const accountId = await service.open('perfectparser');
    const charge = { $case: 'charge', value: { accountId, credits: 1n } } as const;
    const mutations = [{ mutation: charge }, { mutation: charge }];
    const { results } = await scrip.billing.batch({ mutations });
    expect(results.map(({ result }) => result?.$case)).toEqual(['charge', 'charge']);
    expect(await chargesOf(accountId)).toBe(2);
  });
});

test('an abort ends a call that waits in the service, and its repeat tells what became of it', async () => {
  const accountId = await service.open('perfectparser');
  const unlock = await lockAccount(service.databaseUrl, accountId);
  const stop = new AbortController();
  const request = { accountId, requestId: randomUUID(), credits: 1n };
  const call = scrip.billing.charge(request, { signal: stop.signal });
  await waitForBlockedSessions(service.databaseUrl);
  stop.abort(new Error('no longer needed'));
  await expect(call).rejects.toThrow(Cancelled);
  await expect(call).rejects.toMatchObject({ outcome: 'unknown' });
  await unlock();
  await scrip.billing.charge(request);
  expect(await chargesOf(accountId)).toBe(1);
});

test('request metadata of the caller is sent', async () => {
  const accountId = await service.open('perfectparser');
  const metadata = new Metadata();
  metadata.set('x-on-behalf-of', 'someone');
  await scrip.billing.charge({ accountId, credits: 1n }, { metadata });
  const [entry] = (await entriesOf(service, accountId)).slice(-1);
  expect(entry).toMatchObject({ caller: 'test', onBehalfOf: 'someone' });
});

test('raw streams yield messages', async () => {
  const accountId = await service.open('perfectparser');
  const messages = [];
  for await (const message of scrip.billing.streamHistory({ accountId })) messages.push(message);
  expect(messages.flatMap(({ entries }) => entries).length).toBeGreaterThan(0);
});
