/** Operations that callers may use, whom they act for, and what the log tells an auditor. */
import { Metadata } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Grant_Category } from '../../src/gen/billing/v1/ledger.ts';
import { mapOf } from '../../src/map-of.ts';
import {
  balanceOf,
  entriesOf,
  INSPECT,
  openWithCredits,
  storedRows,
  UPSCALE,
} from '../accounts.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId } from '../service.ts';
import { callAs, callMethod, EVERY_CALL, givenAccount } from './every-call.ts';
import { type PolicedService, startPoliced } from './policed-service.ts';

const RULES = `
  - { id: header:images, roles: [product-service], operations: [image.*] }
  - { id: header:inspector, roles: [product-service], operations: [file.inspect] }
  - { id: header:anything, roles: [product-service], operations: ['*'] }
  - { id: header:agent, roles: [product-service, support], on_behalf_of: ['user:*', anna] }
  - { id: header:alone, roles: [product-service, support] }
  - { id: header:scoped, roles: [product-service, observer], accounts: { labels: { team: media } } }
  - { id: header:limited, roles: [product-service], credits: { per_call: 1, per_day: 1 } }
  - { id: header:own, roles: [product-service], own_reservations_only: true }`;

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

describe('the log', () => {
  test('has a line for each denial, with what was denied', async () => {
    await errorOf(scrip.as('nobody').billing.getBalance({ accountId }));
    await errorOf(scrip.as('images').accounts.closeAccount(named()));
    await errorOf(scrip.as('images').billing.charge({ ...named(), credits: 1n }));
    await errorOf(scrip.as('limited').billing.charge({ ...named(), credits: 2n }));
    await scrip.as('limited').billing.charge({ ...named(), credits: 1n });
    await errorOf(scrip.as('limited').billing.charge({ ...named(), credits: 1n }));
    const account = { account_id: accountId };
    expect(scrip.logged('denied')).toMatchObject([
      { reason: 'CALLER_NOT_ALLOWED', caller: 'nobody', method: 'GetBalance', limit: 'caller' },
      { caller: 'images', method: 'CloseAccount', limit: 'method' },
      { caller: 'images', method: 'Charge', limit: 'operation', ...account },
      { caller: 'limited', method: 'Charge', limit: 'credits_per_call', ...account },
      { reason: 'CALLER_LIMIT_REACHED', caller: 'limited', limit: 'credits_per_day' },
    ]);
  });

  test('tells of accounts and reservations that looked as if they did not exist', async () => {
    const given = { ...(await givenAccount(scrip)), accountId };
    await callMethod(scrip, 'scoped', 'Charge', given);
    await callMethod(scrip, 'scoped', 'GetBalance', given);
    await callMethod(scrip, 'scoped', 'StreamHistory', given);
    const { reservation } = await scrip.billing.reserve({ ...named(), credits: 1n });
    const ofOther = { ...given, reservationId: reservation?.reservationId ?? '' };
    await callMethod(scrip, 'own', 'Commit', ofOther);
    await callMethod(scrip, 'own', 'GetReservation', ofOther);
    const account = { reason: 'CALLER_NOT_ALLOWED', account_id: accountId };
    expect(scrip.logged('denied')).toMatchObject([
      { ...account, caller: 'scoped', method: 'Charge', limit: 'account' },
      { ...account, caller: 'scoped', method: 'GetBalance', limit: 'account' },
      { ...account, caller: 'scoped', method: 'StreamHistory', limit: 'account' },
      { ...account, caller: 'own', method: 'Commit', limit: 'own_reservations_only' },
      { ...account, caller: 'own', method: 'GetReservation', limit: 'own_reservations_only' },
    ]);
    // What does not exist is no denial.
    await callMethod(scrip, 'scoped', 'Charge', { ...given, accountId: 'no-such-account' });
    expect(scrip.logged('denied')).toHaveLength(5);
  });

  test('has a bounded number of denials, and says how many it left out', async () => {
    const deny = () => errorOf(scrip.as('nobody').billing.getBalance({ accountId }));
    for (let time = 0; time < 250; time++) await deny();
    expect(scrip.logged('denied')).toHaveLength(200);
    scrip.advance(1_000);
    await deny();
    expect(scrip.logged('denied').at(-1)).toMatchObject({ suppressed: 50 });
    await deny();
    expect(scrip.logged('denied').at(-1)).not.toHaveProperty('suppressed');
  });

  test('has a line for each administrative action, and none for its replay', async () => {
    const metadata = new Metadata();
    metadata.set('x-on-behalf-of', 'user:7');
    metadata.set('traceparent', `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`);
    const request = {
      ...named(),
      credits: 5n,
      category: Grant_Category.PAID,
      reason: 'a late delivery',
    };
    const { accounts } = scrip.as('agent');
    const before = await balanceOf(scrip, accountId);
    for (let time = 0; time < 3; time++) await accounts.grantCredits(request, { metadata });
    expect((await balanceOf(scrip, accountId)).available).toBe(before.available + 5n);
    const grants = scrip
      .logged('administrative action')
      .filter(({ request_id }) => request_id === request.requestId);
    expect(grants).toEqual([
      expect.objectContaining({
        method: 'GrantCredits',
        caller: 'agent',
        on_behalf_of: 'user:7',
        account_id: accountId,
        reason: 'a late delivery',
        trace_id: expect.any(String),
      }),
    ]);
  });

  test.each([
    'UpdateAccount',
    'MoveAccount',
    'CloseAccount',
    'GrantCredits',
    'Refund',
    'OfferPack',
    'WithdrawPack',
    'ResolvePurchase',
  ] as const)(
    'has a line for %s that took effect, and none for one that failed',
    async (method) => {
      const given = await givenAccount(scrip);
      const lines = () =>
        scrip.logged('administrative action').filter((line) => line['method'] === method);
      const earlier = lines().length;
      await callMethod(scrip, 'test', method, { ...given, accountId: 'no-such-account' });
      expect(lines()).toHaveLength(earlier);
      expect(await callMethod(scrip, 'test', method, given)).toBe('OK');
      expect(lines().slice(earlier)).toMatchObject([
        { caller: 'test', account_id: given.accountId, request_id: given.requestId },
      ]);
    },
  );

  test('has no line for the work of products, and for reads', async () => {
    const before = scrip.logged('administrative action').length;
    const given = await givenAccount(scrip);
    const lines = scrip.logged('administrative action').length;
    for (const method of ['Reserve', 'Commit', 'Charge', 'GetBalance', 'ListAccounts'] as const)
      expect(await callMethod(scrip, 'test', method, { ...given, requestId: requestId() })).toBe(
        'OK',
      );
    expect(scrip.logged('administrative action')).toHaveLength(lines);
    expect(lines).toBeGreaterThan(before);
  });
});

describe('a policy that is read again', () => {
  const charge = (caller: string) => scrip.as(caller).billing.charge({ ...named(), credits: 1n });
  const rule = (id: string, more = '') =>
    `  - { id: header:${id}, roles: [product-service]${more} }`;

  test('refuses a caller that it removed at once, on a connection that is open', async () => {
    await charge('alone');
    await scrip.usePolicy(rule('other'));
    expect(await errorOf(charge('alone'))).toMatchObject({
      reason: 'CALLER_NOT_ALLOWED',
      metadata: { limit: 'caller' },
    });
    await charge('other');
    await scrip.usePolicy(rule('alone'));
    await charge('alone');
  });

  test('that is broken changes nothing, and is reported once', async () => {
    await scrip.usePolicyText('version: 1\ncallers: [');
    await scrip.service.reload();
    await charge('alone');
    expect(await errorOf(charge('nobody'))).toMatchObject({ reason: 'CALLER_NOT_ALLOWED' });
    const message = 'the policy file is invalid: the policy before it stays in force';
    expect(scrip.logged(message)).toMatchObject([{ level: 50 }]);
    await scrip.usePolicy(rule('other'));
    expect(await errorOf(charge('alone'))).toMatchObject({ reason: 'CALLER_NOT_ALLOWED' });
    expect(scrip.logged('the policy file is valid again')).toHaveLength(1);
  });

  test('is logged with what it changed', async () => {
    await scrip.usePolicy(`${rule('alone', ', operations: [image.*]')}\n${rule('new')}`);
    expect(scrip.logged('policy changed')).toMatchObject([
      {
        added: ['header:new'],
        changed: ['header:alone'],
        removed: expect.arrayContaining(['header:agent', 'header:images']),
      },
    ]);
    expect(await errorOf(charge('alone'))).toMatchObject({ metadata: { limit: 'operation' } });
  });

  test('goes on with the rates that callers have used', async () => {
    const slow = (rate: number) =>
      rule('alone', `, requests_per_second: { rate: ${rate}, burst: 2 }`);
    await scrip.usePolicy(slow(1));
    await charge('alone');
    await charge('alone');
    await scrip.usePolicy(slow(2));
    expect(await errorOf(charge('alone'))).toMatchObject({ reason: 'RATE_LIMITED', retryMs: 500 });
  });

  test('ends open streams of a caller that may not read them any more', async () => {
    await scrip.accounts.updateAccount({
      ...named(),
      labels: { labels: mapOf({ team: 'media' }) },
    });
    const follow = async (caller: string) => {
      const stream = scrip.as(caller).billing.streamHistory({ accountId, follow: true });
      await stream.next();
      return stream;
    };
    const [removed, scoped, kept] = [
      await follow('alone'),
      await follow('scoped'),
      await follow('test'),
    ];
    await scrip.usePolicy(
      '  - { id: header:scoped, roles: [observer], accounts: { labels: { team: media } } }',
    );
    await charge('test');
    expect(await errorOf(removed.next())).toMatchObject({ reason: 'CALLER_NOT_ALLOWED' });
    expect((await scoped.next()).value).toMatchObject({ entries: [{ credits: 1n }] });
    await kept.next();
    // The account leaves the scope of the one that is left.
    await scrip.accounts.updateAccount({ ...named(), labels: { labels: mapOf({}) } });
    expect(await errorOf(scoped.next())).toMatchObject({ reason: 'ACCOUNT_NOT_FOUND' });
    await kept.return();
  });
});
