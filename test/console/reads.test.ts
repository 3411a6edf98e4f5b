/** Every read through the console answers what gRPC answers: its JSON says the same message, to the last field. */
import {
  type DescMethod,
  equals,
  fromBinary,
  fromJson,
  type JsonObject,
  type JsonValue,
  toBinary,
} from '@bufbuild/protobuf';
import { MethodOptions_IdempotencyLevel } from '@bufbuild/protobuf/wkt';
import { Metadata, type ServiceError } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { findOffered, isAction } from '../../src/console/offered-methods.ts';
import { Grant_Category } from '../../src/gen/billing/v1/ledger.ts';
import { readDescriptors } from '../../src/rpc/descriptors.ts';
import { SECRET } from '../events/receiver.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { Browser } from './browser-client.ts';

const registry = readDescriptors(false);
const offered = findOffered(registry);
const JULY = Date.parse('2026-07-31T23:59:50Z');
const AUGUST = Date.parse('2026-08-01T00:00:10Z');

let scrip: TestService;
let browser: Browser;
const ids = { accountId: '', postpaid: '', reservationId: '', purchaseId: '' };

/** Accounts with something of everything. */
beforeAll(async () => {
  scrip = await startTestService({
    frozenAt: JULY,
    env: {
      ADMIN_PORT: '0',
      // Nobody is there. One attempt fails, and the next is not due.
      EVENTS_WEBHOOK_URL: 'http://127.0.0.1:9/',
      EVENTS_WEBHOOK_SECRET: SECRET,
      EVENTS_WEBHOOK_BACKOFF_MS: '3600000',
    },
  });
  browser = new Browser(scrip);
  const { accounts, billing } = scrip;
  const accountId = await scrip.open('verts');
  const named = () => ({ accountId, requestId: requestId() });
  const category = Grant_Category.PAID;
  const labels = new Map([['team', 'Füße 🚀']]);
  await accounts.grantCredits({ ...named(), credits: 600n, category, reason: 'a test', labels });
  const usages = { items: [{ operation: 'file.inspect', count: 3n }] };
  const { reservation } = await billing.reserve({ ...named(), usages });
  // Below the level of its plan: this writes an event.
  const { entrySeq } = await billing.charge({ ...named(), credits: 200n, reference: 'job 7' });
  await billing.refund({ ...named(), seq: entrySeq, credits: 5n, reason: 'a test' });
  const price = { currency: 'USD', amount: '1.00' };
  await accounts.offerPack({
    ...named(),
    pack: { packId: 'own', title: 'Own', credits: 9n, price },
  });
  const payment = { $case: 'paymentReference', value: 'order-1' } as const;
  const { purchase } = await billing.purchase({ ...named(), packId: 'own', payment });
  await billing.charge({ ...named(), credits: 1_000_000n }).catch(() => {});

  const postpaid = await scrip.open('aspose-cloud');
  await billing.charge({ accountId: postpaid, requestId: requestId(), credits: 80n });
  Object.assign(ids, {
    accountId,
    postpaid,
    reservationId: reservation?.reservationId,
    purchaseId: purchase?.purchaseId,
  });
  const attempted = async () => {
    const { deliveries } = await scrip.events.listDeliveries({});
    expect(deliveries.length).toBeGreaterThan(0);
    for (const { attempts } of deliveries) expect(attempts).toBeGreaterThan(0);
  };
  await vi.waitFor(attempted, { timeout: 120_000, interval: 50 });
  scrip.setNow(AUGUST);
  await scrip.service.sweep();
});
afterAll(() => scrip.stop());

/** By method: requests that have an answer with content. */
const REQUESTS: Readonly<Record<string, () => readonly JsonObject[]>> = {
  GetAccount: () => [{ accountId: ids.accountId }, { accountId: ids.postpaid }],
  ListAccounts: () => [{}, { pageSize: 1 }],
  ListGrants: () => [{ accountId: ids.accountId }],
  ListPacks: () => [{ accountId: ids.accountId }],
  Estimate: () => [
    { accountId: ids.accountId, usages: { items: [{ operation: 'file.inspect', count: '7' }] } },
  ],
  GetReservation: () => [{ accountId: ids.accountId, reservationId: ids.reservationId }],
  ListReservations: () => [{ accountId: ids.accountId }],
  GetPurchase: () => [{ accountId: ids.accountId, purchaseId: ids.purchaseId }],
  ListPurchases: () => [{ accountId: ids.accountId }],
  GetBalance: () => [
    { accountId: ids.accountId, includeGrants: true },
    { accountId: ids.postpaid },
  ],
  ListEntries: () => [
    { accountId: ids.accountId },
    { accountId: ids.accountId, beforeSeq: '3', pageSize: 1 },
  ],
  StreamHistory: () => [
    { accountId: ids.accountId },
    { accountId: ids.accountId, afterSeq: '2' },
    { accountId: ids.accountId, kinds: ['KIND_CHARGE'], reference: 'job 7' },
  ],
  ListPlans: () => [{}],
  GetPlan: () => [{ planId: 'verts' }, { planId: 'aspose-cloud' }],
  GetStatement: () => [{ accountId: ids.postpaid, month: '2026-07' }],
  ListStatements: () => [{ accountId: ids.postpaid }],
  ExportStatements: () => [
    { accountId: ids.postpaid, fromMonth: '2026-07', format: 'FORMAT_CSV' },
    { planId: 'aspose-cloud', fromMonth: '2026-07', format: 'FORMAT_JSON' },
  ],
  ListDeliveries: () => [{}, { state: 'STATE_PENDING' }],
  TraceCharge: () => [
    { reservationId: ids.reservationId },
    { purchaseId: ids.purchaseId },
    { accountId: ids.accountId, entrySeq: '4' },
    { reference: 'job 7' },
  ],
  ListStuckReservations: () => [{}],
  ListRefusals: () => [{}],
};

/** The bytes that gRPC answers with. */
async function answerOf(method: DescMethod, request: Uint8Array): Promise<readonly Buffer[]> {
  const path = `/${method.parent.typeName}/${method.name}`;
  const asIs = (bytes: Buffer) => bytes;
  const metadata = new Metadata();
  metadata.set('x-caller', 'console');
  const bytes = Buffer.from(request);
  if (method.methodKind === 'server_streaming')
    return await scrip.channel.makeServerStreamRequest(path, asIs, asIs, bytes, metadata).toArray();
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const settle = (error: ServiceError | null, response?: Buffer) =>
    error ? reject(error) : resolve(response as Buffer);
  scrip.channel.makeUnaryRequest(path, asIs, asIs, bytes, metadata, settle);
  return [await promise];
}

describe.each([...offered].filter(([, { name }]) => !isAction(name)))('%s', (path, method) => {
  test('changes nothing, as the contract says', () => {
    const level = method.proto.options?.idempotencyLevel;
    const isRead = level === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
    expect(isRead || method.methodKind === 'server_streaming').toBe(true);
  });

  test('answers the same', async () => {
    const requests = REQUESTS[method.name]?.() ?? [];
    expect(requests.length).toBeGreaterThan(0);
    for (const request of requests) {
      const name = path.replace('billing.v1.', '');
      const { status, json } = await browser.rpc(name, request, {}, '?messages=20');
      expect([status, json.error]).toEqual([200, undefined]);
      const said: readonly JsonValue[] = method.methodKind === 'unary' ? [json] : json;
      const bytes = toBinary(method.input, fromJson(method.input, request));
      const answers = await answerOf(method, bytes);
      expect(said).toHaveLength(answers.length);
      expect(answers.some((answer) => answer.length > 0)).toBe(true);
      for (const [index, answer] of answers.entries()) {
        const shown = fromJson(method.output, said[index] as JsonValue, { registry });
        const message = fromBinary(method.output, answer);
        expect(equals(method.output, shown, message, { registry, unknown: true })).toBe(true);
      }
    }
  });
});

test('every method that is offered is a method of the contract', () => {
  const names = [...offered.values()].map(({ name }) => name);
  expect(names.filter((name) => !isAction(name)).toSorted()).toEqual(
    Object.keys(REQUESTS).toSorted(),
  );
  expect(names.filter(isAction).toSorted()).toEqual(
    [
      'GrantCredits',
      'Refund',
      'Release',
      'ReplayDeadDeliveries',
      'ReplayDelivery',
      'VoidGrant',
    ].toSorted(),
  );
});

describe('the JSON', () => {
  test('has large numbers as texts, times in UTC, names of values, and default values', async () => {
    const { json } = await browser.rpc('BillingService/StreamHistory', {
      accountId: ids.accountId,
      kinds: ['KIND_GRANT'],
    });
    expect(json[0].entries[0]).toMatchObject({
      credits: '600',
      at: '2026-07-31T23:59:50Z',
      kind: 'KIND_GRANT',
      labels: { team: 'Füße 🚀' },
      caller: 'test',
      refundedSeq: '0',
      late: false,
      usages: [],
    });
  });

  test('has as many messages of a stream as were asked for', async () => {
    const accountId = await scrip.open('verts');
    const mutations = Array.from({ length: 1_000 }, () => ({
      mutation: {
        $case: 'grantCredits' as const,
        value: {
          accountId,
          requestId: requestId(),
          credits: 1n,
          category: Grant_Category.PAID,
          reason: 'a test',
        },
      },
    }));
    await scrip.billing.batch({ mutations });
    const seqsOf = async (query: string, afterSeq = '0') => {
      const request = { accountId, afterSeq };
      const { json } = await browser.rpc('BillingService/StreamHistory', request, {}, query);
      return json.map(({ nextAfterSeq }: { nextAfterSeq: string }) => nextAfterSeq);
    };
    const [first, second, ...others] = await seqsOf('?messages=20');
    expect(others.at(-1)).toBe('1001');
    expect(await seqsOf('')).toEqual([first]);
    expect(await seqsOf('?messages=2')).toEqual([first, second]);
    expect(await seqsOf('?messages=1', first)).toEqual([second]);
    for (const odd of ['?messages=0', '?messages=-1', '?messages=x', '?messages=1.5'])
      expect(await seqsOf(odd)).toEqual([first]);
  });
});

test('of a message of a history there are as many entries as were asked for', async () => {
  const request = { accountId: ids.accountId };
  const { json: all } = await browser.rpc('BillingService/StreamHistory', request);
  const seqs = all[0].entries.map(({ seq }: { seq: string }) => seq);
  const read = async (afterSeq: string) =>
    (await browser.rpc('BillingService/StreamHistory', { ...request, afterSeq }, {}, '?rows=2'))
      .json[0];
  let found: readonly string[] = [];
  for (let after = '0'; found.length < seqs.length; ) {
    const { entries, nextAfterSeq } = await read(after);
    expect(entries.length).toBeLessThanOrEqual(2);
    found = [...found, ...entries.map(({ seq }: { seq: string }) => seq)];
    after = nextAfterSeq;
  }
  expect(found).toEqual(seqs);
});

describe('errors', () => {
  test('have the code, the reason and the metadata of the service', async () => {
    const { status, json } = await browser.rpc('AccountService/GetAccount', { accountId: 'none' });
    expect(status).toBe(404);
    expect(json).toEqual({
      error: {
        code: 'NOT_FOUND',
        reason: 'ACCOUNT_NOT_FOUND',
        message: 'there is no account none',
        metadata: { account_id: 'none' },
        violations: [],
        retryAfterMs: null,
      },
    });
  });

  test('name the fields that are wrong', async () => {
    const { status, json } = await browser.rpc('BillingService/StreamHistory', {
      accountId: 'a b',
      afterSeq: '-1',
    });
    expect([status, json.error.code, json.error.reason]).toEqual([
      400,
      'INVALID_ARGUMENT',
      'INVALID_FIELD',
    ]);
    const fields = json.error.violations.map(({ field }: { field: string }) => field);
    expect(fields).toEqual(['account_id', 'after_seq']);
    expect(json.error.violations[0].description).toMatch(/ASCII/);
  });
});
