/** A message with more values than a request needs is refused before it is decoded. */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BatchRequest, ChargeRequest } from '../../src/gen/billing/v1/billing_service.ts';
import { INSPECT, openWithCredits } from '../accounts.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { callRaw } from './raw-call.ts';

const CHARGE = '/billing.v1.BillingService/Charge';
const BATCH = '/billing.v1.BillingService/Batch';
const RESERVATIONS = '/billing.v1.BillingService/ListReservations';
const HISTORY = '/billing.v1.BillingService/StreamHistory';

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService();
});
afterAll(() => scrip.stop());

const times = <Value>(count: number, value: Value): Value[] =>
  Array.from({ length: count }, () => value);

const charge = (accountId: string, usages: number, labels = 0) =>
  ChargeRequest.fromPartial({
    accountId,
    requestId: requestId(),
    usages: { items: times(usages, INSPECT) },
    labels: new Map(Array.from({ length: labels }, (_, index) => [`${index}`, ''])),
  });
/** A charge of usages with so many attributes each. */
const chargeOf = (usages: number, attributes: number) =>
  ChargeRequest.fromPartial({
    accountId: 'acct',
    requestId: requestId(),
    usages: {
      items: times(usages, {
        ...INSPECT,
        attributes: new Map(Array.from({ length: attributes }, (_, index) => [`a${index}`, ''])),
      }),
    },
  });
const chargeBytes = (usages: number, labels = 0) =>
  ChargeRequest.encode(charge('acct', usages, labels)).finish();
const batchBytes = (mutations: number, usages: number, labels = 0) =>
  BatchRequest.encode(
    BatchRequest.fromPartial({
      mutations: Array.from({ length: mutations }, () => ({
        mutation: { $case: 'charge', value: charge('acct', usages, labels) },
      })),
    }),
  ).finish();

/** A field of type Usages with only empty usages, of two bytes each. */
const emptyUsages = (usages: number): Uint8Array => {
  const items = Buffer.alloc(2 * usages, new Uint8Array([(1 << 3) | WireType.LengthDelimited, 0]));
  return new BinaryWriter().tag(USAGES, WireType.LengthDelimited).bytes(items).finish();
};
/** A request of only a packed list of enum values. */
const packed = (field: number, values: number): Uint8Array =>
  new BinaryWriter()
    .tag(field, WireType.LengthDelimited)
    .bytes(new Uint8Array(values).fill(1))
    .finish();
/** Field numbers. */
const [USAGES, STATES, KINDS] = [3, 2, 3];

describe('refused as INVALID_FIELD', () => {
  test.each([
    ['1,001 usages', CHARGE, chargeBytes(1_001), 'usages.items'],
    ['1,500,000 empty usages', CHARGE, emptyUsages(1_500_000), 'usages.items'],
    ['17,000 labels', CHARGE, chargeBytes(1, 17_000), 'labels'],
    ['1,001 mutations', BATCH, batchBytes(1_001, 1), 'mutations'],
    [
      '10,001 usages in a batch',
      BATCH,
      batchBytes(73, 137),
      'mutations[72].charge.usages.items[136]',
    ],
    [
      '50,001 values in a batch',
      BATCH,
      batchBytes(1_000, 0, 51),
      'mutations[961].charge.labels[27]',
    ],
    [
      '10,001 values in a charge',
      CHARGE,
      ChargeRequest.encode(chargeOf(250, 40)).finish(),
      'usages.items[243].attributes[36]',
    ],
    [
      '10,001 values in a mutation of a batch',
      BATCH,
      BatchRequest.encode(
        BatchRequest.fromPartial({
          mutations: [1, 250].map((usages) => ({
            mutation: { $case: 'charge', value: chargeOf(usages, 40) },
          })),
        }),
      ).finish(),
      'mutations[1].charge.usages.items[243].attributes[36]',
    ],
    ['3,000,000 states', RESERVATIONS, packed(STATES, 3_000_000), 'states'],
    ['3,000,000 kinds', HISTORY, packed(KINDS, 3_000_000), 'kinds'],
  ])('%s', async (_, path, message, field) => {
    expect(await errorOf(callRaw(scrip, path, message))).toMatchObject({
      code: status.INVALID_ARGUMENT,
      reason: 'INVALID_FIELD',
      metadata: { field },
      fields: [field],
      message: expect.stringMatching(/more than/),
    });
  });
});

test('a batch of as many usages as a request may have is taken', async () => {
  const accountId = await openWithCredits(scrip, 1_000_000n);
  const mutations = Array.from({ length: 10 }, () => ({
    mutation: { $case: 'charge' as const, value: charge(accountId, 1_000) },
  }));
  const { results } = await scrip.billing.batch({ mutations });
  expect(results.map(({ result }) => result?.$case)).toEqual(times(10, 'charge'));
});
