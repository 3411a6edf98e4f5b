/** What the transport refuses before a handler is called, and beside it, has a reason as every error. */
import { gzipSync } from 'node:zlib';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ChargeRequest } from '../../src/gen/billing/v1/billing_service.ts';
import { balanceOf, openWithCredits } from '../accounts.ts';
import { captureLog, lockAccount } from '../disruptions.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { callHttp2, frame, type Http2Call, http2ErrorOf } from './http2-call.ts';
import { callRaw } from './raw-call.ts';

const CHARGE = '/billing.v1.BillingService/Charge';
const HISTORY = '/billing.v1.BillingService/StreamHistory';
const HEALTH = '/grpc.health.v1.Health/Check';
const MAX = 3 * 1024 * 1024;

const { log, lines } = captureLog('debug');
let scrip: TestService;
beforeAll(async () => {
  // A cached account is decided before its row is locked, so the lock would not hold the decision up.
  scrip = await startTestService({ log, env: { ACCOUNT_CACHE_MAX: '0' } });
});
afterAll(() => scrip.stop());

const chargeOf = (accountId: string) =>
  Buffer.from(
    ChargeRequest.encode(
      ChargeRequest.fromPartial({ accountId, requestId: requestId(), credits: 1n }),
    ).finish(),
  );

describe('a method that does not exist', () => {
  test.each([
    ['of a known service', '/billing.v1.BillingService/Void'],
    ['of an unknown service', '/billing.v9.BillingService/Charge'],
    ['without a service', '/Charge'],
    ['with an empty path', '/'],
  ])('%s is METHOD_UNKNOWN', async (_, path) => {
    const error = await errorOf(callRaw(scrip, path, new Uint8Array()));
    expect(error).toMatchObject({
      code: status.UNIMPLEMENTED,
      reason: 'METHOD_UNKNOWN',
      metadata: { method: path.slice(1) },
    });
  });

  test('is refused before the caller has sent a message', async () => {
    const call = { path: '/none.Such/Call', body: new Uint8Array(), ends: false };
    expect((await http2ErrorOf(scrip, call)).reason).toBe('METHOD_UNKNOWN');
  });

  test('with a long name is named in part', async () => {
    const error = await http2ErrorOf(scrip, { path: `/none.Such/${'x'.repeat(10_000)}` });
    expect(error.metadata['method']?.length).toBeLessThan(200);
  });

  test('is logged', async () => {
    await errorOf(callRaw(scrip, '/logged.Service/Call', new Uint8Array()));
    const logged = lines.find((line) => line['rpc.method_original'] === 'logged.Service/Call');
    expect(logged).toMatchObject({
      'rpc.method': '_OTHER',
      'rpc.status_code': 'UNIMPLEMENTED',
      'scrip.reason': 'METHOD_UNKNOWN',
    });
  });
});

describe('a message that is too large', () => {
  const tooLarge = { code: status.INVALID_ARGUMENT, reason: 'MESSAGE_TOO_LARGE', retryMs: null };

  test.each([CHARGE, HISTORY, HEALTH])('for %s is MESSAGE_TOO_LARGE', async (path) => {
    const error = await errorOf(callRaw(scrip, path, new Uint8Array(MAX + 1)));
    expect(error).toMatchObject({
      ...tooLarge,
      metadata: { size: `${MAX + 1}`, limit: `${MAX}` },
    });
  });

  test('is refused when its size is known, before it is sent', async () => {
    const body = frame(new Uint8Array(), 0, 0xffff_ffff);
    expect(await http2ErrorOf(scrip, { path: CHARGE, body, ends: false })).toMatchObject({
      ...tooLarge,
      metadata: { size: '4294967295' },
    });
  });

  test('after decompression is MESSAGE_TOO_LARGE', async () => {
    const body = frame(gzipSync(new Uint8Array(MAX + 1)), 1);
    const error = await http2ErrorOf(scrip, {
      path: CHARGE,
      body,
      headers: { 'grpc-encoding': 'gzip' },
    });
    expect(error).toMatchObject({ ...tooLarge, metadata: { limit: `${MAX}` } });
  });

  test('by nothing is accepted', async () => {
    const accountId = await openWithCredits(scrip, 10n);
    const charge = ChargeRequest.fromPartial({ accountId, requestId: requestId(), credits: 1n });
    const empty = ChargeRequest.encode({ ...charge, reference: '' }).finish().length;
    // The tag and the length of the reference have 5 bytes.
    const reference = 'x'.repeat(MAX - empty - 5);
    const bytes = ChargeRequest.encode({ ...charge, reference }).finish();
    expect(bytes.length).toBe(MAX);
    expect((await errorOf(callRaw(scrip, CHARGE, bytes))).fields).toEqual(['reference']);
  });
});

describe('a message that cannot be read', () => {
  const gzip = { 'grpc-encoding': 'gzip' };
  const undecodable = { code: status.INVALID_ARGUMENT, reason: 'MESSAGE_UNDECODABLE' };

  test.each<[name: string, call: Omit<Http2Call, 'path'>]>([
    [
      'garbage that is said to be compressed',
      { body: frame(Buffer.from('zip'), 1), headers: gzip },
    ],
    ['two messages', { body: Buffer.concat([frame(Buffer.alloc(0)), frame(Buffer.alloc(0))]) }],
    ['no message', { body: new Uint8Array() }],
  ])('%s: MESSAGE_UNDECODABLE', async (_, call) => {
    for (const path of [CHARGE, HISTORY])
      expect(await http2ErrorOf(scrip, { path, ...call })).toMatchObject(undecodable);
  });

  test('garbage for the health service: MESSAGE_UNDECODABLE', async () => {
    const error = await errorOf(callRaw(scrip, HEALTH, Buffer.from([0x0a, 0xff])));
    expect(error).toMatchObject(undecodable);
  });

  test('of an encoding that is not supported: COMPRESSION_UNSUPPORTED', async () => {
    const body = frame(Buffer.from('zip'), 1);
    const error = await http2ErrorOf(scrip, {
      path: CHARGE,
      body,
      headers: { 'grpc-encoding': 'snappy' },
    });
    expect(error).toMatchObject({
      code: status.UNIMPLEMENTED,
      reason: 'COMPRESSION_UNSUPPORTED',
      metadata: { encoding: 'snappy', supported: 'identity, deflate, gzip' },
    });
  });

  test('that is compressed as the service supports it is accepted', async () => {
    const accountId = await openWithCredits(scrip, 10n);
    const body = frame(gzipSync(chargeOf(accountId)), 1);
    const answer = await callHttp2(scrip, { path: CHARGE, body, headers: gzip });
    expect(answer['grpc-status']).toBe('0');
    expect((await balanceOf(scrip, accountId)).remaining).toBe(9n);
  });
});

describe('request metadata', () => {
  test('with a timeout that is none is INVALID_FIELD', async () => {
    const call = { path: CHARGE, headers: { 'grpc-timeout': 'soon' } };
    expect(await http2ErrorOf(scrip, call)).toMatchObject({
      code: status.INVALID_ARGUMENT,
      reason: 'INVALID_FIELD',
      fields: ['grpc-timeout'],
    });
  });

  test.each(['99999999H', '36000M', '2592000S', '2147484S'])(
    'with a timeout of %s is no reason to end a call',
    async (timeout) => {
      const accountId = await openWithCredits(scrip, 10n);
      const body = frame(chargeOf(accountId));
      const headers = { 'grpc-timeout': timeout };
      expect((await callHttp2(scrip, { path: CHARGE, body, headers }))['grpc-status']).toBe('0');
    },
  );

  test.each([
    ['300 characters', 'x'.repeat(300)],
    ['129 characters', 'x'.repeat(129)],
    ['a space', 'two words'],
    ['letters that are not ASCII', 'müller'],
    ['nothing', ''],
  ])('with a caller name of %s is INVALID_FIELD, and nothing is written', async (_, name) => {
    const accountId = await openWithCredits(scrip, 10n);
    for (const path of [CHARGE, HISTORY]) {
      const body = frame(chargeOf(accountId));
      const error = await http2ErrorOf(scrip, { path, body, headers: { 'x-caller': name } });
      expect(error).toMatchObject({
        code: status.INVALID_ARGUMENT,
        reason: 'INVALID_FIELD',
        metadata: { field: 'x-caller' },
        fields: ['x-caller'],
      });
    }
    expect((await balanceOf(scrip, accountId)).remaining).toBe(10n);
  });

  test('with two caller names is INVALID_FIELD', async () => {
    const call = { path: CHARGE, headers: { 'x-caller': ['one', 'two'] } };
    expect((await http2ErrorOf(scrip, call)).fields).toEqual(['x-caller']);
  });
});

test('a deadline that the service notices first is DEADLINE_EXCEEDED', async () => {
  const accountId = await openWithCredits(scrip, 10n);
  const unlock = await lockAccount(scrip.databaseUrl, accountId);
  try {
    const body = frame(chargeOf(accountId));
    const headers = { 'grpc-timeout': '50m' };
    expect(await http2ErrorOf(scrip, { path: CHARGE, body, headers })).toMatchObject({
      code: status.DEADLINE_EXCEEDED,
      reason: 'DEADLINE_EXCEEDED',
    });
  } finally {
    await unlock();
  }
});

test('a service that health does not know is SERVICE_UNKNOWN', async () => {
  const request = Buffer.from([0x0a, 4, ...Buffer.from('none')]);
  expect(await errorOf(callRaw(scrip, HEALTH, request))).toMatchObject({
    code: status.NOT_FOUND,
    reason: 'SERVICE_UNKNOWN',
    metadata: { service: 'none' },
  });
});
