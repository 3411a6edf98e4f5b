/** Operations that callers may use, and whom they act for. */
import { Metadata } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { entriesOf, INSPECT, openWithCredits, storedRows, UPSCALE } from '../accounts.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId } from '../service.ts';
import { callAs, EVERY_CALL, givenAccount } from './every-call.ts';
import { type PolicedService, startPoliced } from './policed-service.ts';

const RULES = `
  - { id: header:images, roles: [product-service], operations: [image.*] }
  - { id: header:inspector, roles: [product-service], operations: [file.inspect] }
  - { id: header:anything, roles: [product-service], operations: ['*'] }
  - { id: header:agent, roles: [product-service, support], on_behalf_of: ['user:*', anna] }
  - { id: header:alone, roles: [product-service, support] }`;

let scrip: PolicedService;
let accountId: string;
beforeEach(async () => {
  scrip = await startPoliced(RULES, { frozenAt: Date.UTC(2031, 4, 10, 12) });
  accountId = await openWithCredits(scrip, 1_000n);
});
afterEach(() => scrip.stop());

const named = () => ({ accountId, requestId: requestId() });

describe('operations', () => {
  const images = { items: [UPSCALE] };
  const files = { items: [INSPECT] };
  const denied = (method: string, operation = 'file.inspect') => ({
    code: 7,
    reason: 'CALLER_NOT_ALLOWED',
    metadata: {
      caller: expect.any(String),
      method,
      account_id: accountId,
      limit: 'operation',
      operation,
    },
  });
  const reserve = async (caller: string, usages = images) =>
    (await scrip.as(caller).billing.reserve({ ...named(), usages })).reservation?.reservationId ??
    '';

  test('are allowed by their names, and by the beginnings of their names', async () => {
    await reserve('images');
    await reserve('inspector', files);
    await reserve('anything');
    await reserve('anything', files);
    expect(await errorOf(reserve('images', files))).toMatchObject(denied('Reserve'));
    expect(await errorOf(reserve('inspector'))).toMatchObject(denied('Reserve', 'image.upscale'));
    expect(await errorOf(reserve('images', { items: [UPSCALE, INSPECT] }))).toMatchObject(
      denied('Reserve'),
    );
  });

  test('are asked of each call that names usages, and nothing is written of a denied one', async () => {
    const { billing } = scrip.as('images');
    const reservationId = await reserve('images');
    const before = await storedRows(scrip, accountId);
    const calls = {
      Charge: () => billing.charge({ ...named(), usages: files }),
      RaiseReservation: () =>
        billing.raiseReservation({ ...named(), reservationId, usages: files }),
      Commit: () => billing.commit({ ...named(), reservationId, usages: files }),
      Estimate: () => billing.estimate({ accountId, usages: files }),
    };
    for (const [method, call] of Object.entries(calls))
      expect(await errorOf(call())).toMatchObject(denied(method));
    expect(await storedRows(scrip, accountId)).toBe(before);
    await billing.charge({ ...named(), usages: images });
    await billing.raiseReservation({ ...named(), reservationId, usages: images });
    await billing.estimate({ accountId, usages: images });
    await billing.commit({ ...named(), reservationId, usages: images });
  });

  test('cannot be gone around by credits without usages', async () => {
    const { billing } = scrip.as('images');
    const reservationId = await reserve('images');
    const none = 'none: credits without usages';
    const calls = {
      Reserve: () => billing.reserve({ ...named(), credits: 1n }),
      Charge: () => billing.charge({ ...named(), credits: 1n }),
      RaiseReservation: () => billing.raiseReservation({ ...named(), reservationId, credits: 1n }),
      Commit: () => billing.commit({ ...named(), reservationId, credits: 1n }),
    };
    for (const [method, call] of Object.entries(calls))
      expect(await errorOf(call())).toMatchObject(denied(method, none));
    // A job that failed pays nothing, and one that did all of its work pays what is reserved.
    await billing.commit({ ...named(), reservationId, credits: 0n });
    const whole = await reserve('images');
    await billing.commit({ ...named(), reservationId: whole, all: true });
  });

  test('that do not exist look as those that are forbidden', async () => {
    const usages = { items: [{ ...INSPECT, operation: 'no.such' }] };
    expect(await errorOf(reserve('images', usages))).toMatchObject(denied('Reserve', 'no.such'));
    expect(await errorOf(reserve('anything', usages))).toMatchObject({
      reason: 'UNKNOWN_OPERATION',
    });
  });
});

describe('on behalf of', () => {
  const charge = (caller: string, onBehalfOf: string) => {
    const metadata = new Metadata();
    metadata.set('x-on-behalf-of', onBehalfOf);
    return scrip.as(caller).billing.charge({ ...named(), credits: 1n }, { metadata });
  };

  test('somebody is stored next to the caller', async () => {
    await charge('agent', 'user:7');
    await charge('agent', 'anna');
    await scrip.as('agent').billing.charge({ ...named(), credits: 1n });
    const entries = (await entriesOf(scrip, accountId)).slice(-3);
    expect(entries).toMatchObject([
      { caller: 'agent', onBehalfOf: 'user:7' },
      { caller: 'agent', onBehalfOf: 'anna' },
      { caller: 'agent', onBehalfOf: '' },
    ]);
  });

  test('is refused where the policy does not allow it, and nothing is written', async () => {
    const before = await storedRows(scrip, accountId);
    for (const [caller, name] of [
      ['agent', 'anna2'],
      ['agent', 'USER:7'],
      ['alone', 'anna'],
    ] as const)
      expect(await errorOf(charge(caller, name))).toMatchObject({
        code: 7,
        reason: 'CALLER_NOT_ALLOWED',
        metadata: { caller, method: 'Charge', limit: 'on_behalf_of', on_behalf_of: name },
      });
    expect(await storedRows(scrip, accountId)).toBe(before);
  });

  test('is checked after the method, and a malformed name is invalid', async () => {
    for (const name of ['a b', 'user:7, user:8', `user:${'x'.repeat(128)}`])
      expect(await errorOf(charge('agent', name))).toMatchObject({
        code: 3,
        reason: 'INVALID_FIELD',
        fields: ['x-on-behalf-of'],
      });
    const { path, encode } = EVERY_CALL.CloseAccount;
    const given = await givenAccount(scrip);
    const headers = { 'x-on-behalf-of': 'a b' };
    const { ended } = await callAs(scrip, 'agent', path, encode(given), headers);
    expect(ended).toMatchObject({ reason: 'CALLER_NOT_ALLOWED', metadata: { limit: 'method' } });
    // Only denials are logged as such.
    expect(scrip.logged('denied')).toMatchObject([{ reason: 'CALLER_NOT_ALLOWED' }]);
  });
});
