/** Mutations that take effect together, by the client package against a real service. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import {
  type AtomicMutation,
  type ChargeResponse,
  connect,
  Grant_Category,
  type GrantCreditsResponse,
  InsufficientCredits,
  InvalidField,
  RequestIdReused,
  type Scrip,
  type ScripError,
} from '../../clients/typescript/src/index.ts';
import { blockConnections } from '../disruptions.ts';
import { startTestService, type TestService } from '../service.ts';
import { Network } from './network.ts';

let service: TestService;
let network: Network;
let scrip: Scrip;
let accountId: string;
beforeAll(async () => {
  service = await startTestService();
  network = new Network(() => service.service.port);
  await network.open();
  scrip = connect({ address: network.address, caller: 'test', timeoutMs: 120_000 });
});
beforeEach(async () => {
  accountId = await service.open('verts');
});
afterAll(async () => {
  scrip.close();
  await network.close();
  await service.stop();
});

const give = (credits: number) => ({
  grantCredits: { credits, category: Grant_Category.ADJUSTMENT, reason: 'a gift' },
});
const balance = async () => {
  const { balance: found } = await scrip.billing.getBalance({ accountId });
  return { remaining: found?.remaining, seq: found?.seq };
};
const errorOf = (call: Promise<unknown>): Promise<ScripError> =>
  call.then(
    () => expect.fail('it succeeded'),
    (error: ScripError) => error,
  );

test('resolves with the response to each, in their order', async () => {
  const [granted, charged] = await scrip.atomic(accountId, [
    give(100),
    { charge: { credits: 30 } },
  ]);
  const typed: readonly [GrantCreditsResponse, ChargeResponse] = [granted, charged];
  expect(typed).toMatchObject([{ grant: { amount: 100n } }, { credits: 30n }]);
  expect(await balance()).toEqual({ remaining: 70n, seq: 3n });
});

test('rejects with the error of the one that was refused, and says which', async () => {
  const requestId = 'too much';
  const error = await errorOf(
    scrip.atomic(accountId, [give(10), { charge: { requestId, credits: 30 } }, give(50)]),
  );
  expect(error).toBeInstanceOf(InsufficientCredits);
  expect(error).toMatchObject({ mutationIndex: 1, requestId, outcome: 'none', shortfall: 20n });
  expect(await balance()).toEqual({ remaining: 0n, seq: 1n });
});

test('says of an error of all mutations that it is not about one', async () => {
  const error = await errorOf(scrip.atomic(accountId, [give(-1), give(-2)]));
  expect(error).toBeInstanceOf(InvalidField);
  expect(error.mutationIndex).toBeUndefined();
  expect((await errorOf(scrip.atomic(accountId, [give(-1)]))).mutationIndex).toBe(0);
});

test('takes exactly one method for each, and only fields that its request has', async () => {
  const two = { ...give(1), charge: { credits: 1 } } as unknown as AtomicMutation;
  const misspelled = { charge: { credit: 1 } } as unknown as AtomicMutation;
  for (const mutation of [two, {} as AtomicMutation, misspelled])
    expect(await errorOf(scrip.atomic(accountId, [mutation]))).toBeInstanceOf(TypeError);
  expect(await balance()).toEqual({ remaining: 0n, seq: 1n });
});

test('is repeated under the same request ids if its answer was lost', async () => {
  network.resetAfter(0);
  const [, charged] = await scrip.atomic(accountId, [give(100), { charge: { credits: 30 } }]);
  expect(charged.credits).toBe(30n);
  expect(await balance()).toEqual({ remaining: 70n, seq: 3n });
});

test('is repeated if the database was away, which is an error of all mutations', async () => {
  await scrip.atomic(accountId, [give(100)]);
  const once = connect({ address: network.address, caller: 'test', retries: false });
  const allowConnections = await blockConnections(service.databaseUrl);
  const repeated = scrip.atomic(accountId, [give(1), { charge: { credits: 2 } }]);
  const error = await errorOf(once.atomic(accountId, [give(5), { charge: { credits: 5 } }]));
  expect(error).toMatchObject({ reason: 'DATABASE_UNAVAILABLE', outcome: 'unknown' });
  expect(error.mutationIndex).toBeUndefined();
  await allowConnections();
  await repeated;
  once.close();
  expect((await balance()).remaining).toBe(99n);
});

test('says so if a request id was used before', async () => {
  await scrip.atomic(accountId, [give(100)]);
  await scrip.billing.charge({ accountId, requestId: 'known', credits: 1 });
  const error = await errorOf(
    scrip.atomic(accountId, [give(5), { charge: { requestId: 'known', credits: 1 } }]),
  );
  expect(error).toBeInstanceOf(RequestIdReused);
  expect(error).toMatchObject({ mutationIndex: 1, requestId: 'known' });
  expect(await balance()).toEqual({ remaining: 99n, seq: 3n });
});

test('shares no call with mutations that are made at the same time', async () => {
  await scrip.atomic(accountId, [give(100)]);
  const ends = await Promise.allSettled([
    ...Array.from({ length: 10 }, () => scrip.billing.charge({ accountId, credits: 1 })),
    scrip.atomic(accountId, [{ charge: { credits: 5 } }, { charge: { credits: 500 } }]),
    ...Array.from({ length: 10 }, () => scrip.billing.charge({ accountId, credits: 1 })),
    scrip.atomic(accountId, [{ charge: { credits: 5 } }, { charge: { credits: 6 } }]),
  ]);
  expect(ends.filter(({ status }) => status === 'rejected')).toHaveLength(1);
  expect((await balance()).remaining).toBe(69n);
});
