/** What the log tells an auditor. */
import { Metadata } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Grant_Category } from '../../src/gen/billing/v1/ledger.ts';
import { balanceOf, openWithCredits } from '../accounts.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId } from '../service.ts';
import { callMethod, givenAccount } from './every-call.ts';
import { type PolicedService, startPoliced } from './policed-service.ts';

const RULES = `
  - { id: header:images, roles: [product-service], operations: [image.*] }
  - { id: header:agent, roles: [product-service, support], on_behalf_of: ['user:*', anna] }
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

  test('has a line for the erasure of an account, with its reason', async () => {
    const accountId = await openWithCredits(scrip, 1n);
    const named = () => ({ accountId, requestId: requestId() });
    const why = { reason: 'ticket 17' };
    await errorOf(scrip.accounts.eraseAccountData({ ...named(), ...why }));
    await scrip.accounts.closeAccount(named());
    await scrip.accounts.eraseAccountData({ ...named(), ...why });
    const lines = scrip.logged('administrative action');
    expect(lines.filter(({ method }) => method === 'EraseAccountData')).toMatchObject([
      { caller: 'test', account_id: accountId, ...why },
    ]);
  });

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
