/**
 * Error details are sent in a trailer. HTTP/2 clients close the connection if headers exceed their
 * limit, commonly 8 to 16 KiB, so errors must stay small, whatever the request.
 */

import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connect, type Scrip } from '../../src/client.ts';
import { mapOf } from '../../src/map-of.ts';
import { balanceOf } from '../accounts.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService();
});
afterAll(() => scrip.stop());

/** A connection of its own: channels of a process share connections, and this one may be closed. */
const connectAlone = () =>
  connect(`127.0.0.1:${scrip.service.port}`, {
    caller: 'test',
    channel: { 'grpc.use_local_subchannel_pool': 1 },
  });

const long = 'x'.repeat(90_000);
const labels = (count: number, key = 'key', value = 'value') =>
  new Map(Array.from({ length: count }, (_, index) => [`${key}${index}`, value]));

type Call = (client: Scrip, accountId: string) => Promise<unknown>;

const reserve =
  (request: Parameters<Scrip['billing']['reserve']>[0]): Call =>
  ({ billing }, accountId) =>
    billing.reserve({ accountId, requestId: requestId(), ...request });

describe('An error fits into the headers of a client', () => {
  test.each<[name: string, call: Call, fields: string]>([
    [
      '1,000 bad usages',
      reserve({ usages: { items: Array(1_000).fill({ operation: '', count: -1n }) } }),
      'usages.items[0].operation',
    ],
    [
      '1,000 labels with bad values',
      reserve({ credits: 1n, labels: labels(1_000, 'k', long.slice(0, 300)) }),
      'labels',
    ],
    [
      '16 labels with keys and values that are too long',
      reserve({ credits: 1n, labels: labels(16, long, long) }),
      'labels',
    ],
    [
      '16 labels with keys that are too long and not ASCII',
      reserve({ credits: 1n, labels: labels(16, '🧾'.repeat(1_000), long) }),
      'labels',
    ],
    [
      'an operation that is too long',
      reserve({ usages: { items: [{ operation: long }] } }),
      'usages.items[0].operation',
    ],
    [
      'an undeclared quantity with a long name',
      reserve({
        usages: { items: [{ operation: 'file.inspect', quantities: mapOf({ [long]: 1n }) }] },
      }),
      'usages.items[0].quantities',
    ],
    [
      'an attribute with a long value',
      reserve({
        usages: {
          items: [{ operation: 'file.convert', attributes: mapOf({ output_format: long }) }],
        },
      }),
      'usages.items[0].attributes',
    ],
    ['a reference that is too long', reserve({ credits: 1n, reference: long }), 'reference'],
    ['a request id that is too long', reserve({ credits: 1n, requestId: long }), 'request_id'],
    ['an account id that is too long', reserve({ credits: 1n, accountId: long }), 'account_id'],
    [
      'a page token that is too long',
      ({ accounts }) => accounts.listAccounts({ pageToken: long }),
      'page_token',
    ],
    [
      '1,000 unknown states',
      ({ billing }, accountId) =>
        billing.listReservations({ accountId, states: Array(1_000).fill(99) }),
      'states',
    ],
    [
      '1,000 unknown kinds',
      async ({ billing }, accountId) =>
        await billing.streamHistory({ accountId, kinds: Array(1_000).fill(99) }).next(),
      'kinds',
    ],
  ])('%s', async (_, call, field) => {
    const accountId = await scrip.open('verts');
    const own = connectAlone();
    try {
      const error = await errorOf(call(own, accountId));
      expect(error).toMatchObject({ code: status.INVALID_ARGUMENT, reason: 'INVALID_FIELD' });
      expect(error.fields[0]?.slice(0, field.length)).toBe(field);
    } finally {
      own.close();
    }
  });

  test('a refused call does not affect other calls on its connection', async () => {
    const accountId = await scrip.open('verts');
    const own = connectAlone();
    try {
      const usages = { items: Array(1_000).fill({ operation: '' }) };
      const [, balance] = await Promise.allSettled([
        own.billing.estimate({ accountId, usages }),
        balanceOf({ ...scrip, ...own }, accountId),
      ]);
      expect(balance).toMatchObject({ status: 'fulfilled' });
      expect((await balanceOf({ ...scrip, ...own }, accountId)).remaining).toBe(0n);
    } finally {
      own.close();
    }
  });
});
