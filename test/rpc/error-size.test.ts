/**
 * Details travel in a trailer, and an HTTP/2 client that is sent more headers than it takes (8 to
 * 16 KiB as a rule) drops the whole connection: whatever a caller sends, what is said of it is short.
 */
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connect, type Scrip } from '../../src/client.ts';
import { balanceOf } from '../accounts.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService();
});
afterAll(() => scrip.stop());

/** A connection of its own: channels of one process share theirs, and this one may break. */
const connectAlone = () =>
  connect(`127.0.0.1:${scrip.service.port}`, {
    caller: 'test',
    channel: { 'grpc.use_local_subchannel_pool': 1 },
  });

const long = 'x'.repeat(90_000);
const labels = (count: number, key = 'key', value = 'value') =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`${key}${index}`, value]));

type Call = (client: Scrip, accountId: string) => Promise<unknown>;

const reserve =
  (request: Parameters<Scrip['billing']['reserve']>[0]): Call =>
  ({ billing }, accountId) =>
    billing.reserve({ accountId, requestId: requestId(), ...request });

describe('An error stays small enough to be sent', () => {
  test.each<[name: string, call: Call, fields: string]>([
    [
      '1,000 bad usages',
      reserve({ usages: Array(1_000).fill({ operation: '', count: -1n }) }),
      'usages[0].operation',
    ],
    [
      '1,000 labels with bad values',
      reserve({ credits: 1n, labels: labels(1_000, 'k', long.slice(0, 300)) }),
      'labels',
    ],
    [
      '16 labels with names and values too long',
      reserve({ credits: 1n, labels: labels(16, long, long) }),
      'labels',
    ],
    ['an operation too long', reserve({ usages: [{ operation: long }] }), 'usages[0].operation'],
    [
      'an undeclared quantity with a long name',
      reserve({ usages: [{ operation: 'file.inspect', quantities: { [long]: 1n } }] }),
      'usages[0].quantities',
    ],
    [
      'an attribute with a long value',
      reserve({ usages: [{ operation: 'file.convert', attributes: { output_format: long } }] }),
      'usages[0].attributes',
    ],
    ['a reference too long', reserve({ credits: 1n, reference: long }), 'reference'],
    ['a request id too long', reserve({ credits: 1n, requestId: long }), 'request_id'],
    ['an account id too long', reserve({ credits: 1n, accountId: long }), 'account_id'],
    [
      'a page token too long',
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
      const fault = await errorOf(call(own, accountId));
      expect(fault).toMatchObject({ code: status.INVALID_ARGUMENT, reason: 'INVALID_FIELD' });
      expect(fault.fields[0]?.slice(0, field.length)).toBe(field);
    } finally {
      own.close();
    }
  });

  test('a call that is refused does no harm to the others of its connection', async () => {
    const accountId = await scrip.open('verts');
    const own = connectAlone();
    try {
      const usages = Array(1_000).fill({ operation: '' });
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
