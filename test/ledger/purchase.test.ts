import { describe, expect, test } from 'vitest';
import { AccountStore } from './account-store.ts';
import { at, charge, close, grantCredits, pack, plan, purchase } from './fixtures.ts';
import { ledger } from './table.ts';

const PACKS = [
  pack('starter', 100n, '19.00'),
  { ...pack('month', 50n, '9.00'), validity: { days: 30 } },
  { ...pack('forever', 10n, '5.00'), validity: null },
];

describe('a purchase', () => {
  test('that is paid elsewhere grants the pack at once', () => {
    const store = ledger(plan({}, PACKS), [
      ['0s', purchase('starter', 'INV-1'), 'PURCHASE 100: issued>g1 100', '100'],
    ]);
    expect(store.purchases).toEqual([
      {
        accountId: 'acme',
        purchaseId: 'p1',
        packId: 'starter',
        title: 'starter',
        credits: 100n,
        quantity: 1,
        price: { currency: 'USD', amount: '19.00' },
        validity: { months: 12 },
        method: 'REFERENCE',
        state: 'PAID',
        paymentReference: 'INV-1',
        caller: 'pages',
        requestId: 'request-1',
        labels: {},
        checkout: null,
        savedMethod: null,
        session: null,
        paymentIntentId: null,
        failureCode: '',
        grantId: 1n,
        createdAt: at('0s'),
        paidAt: at('0s'),
        amountPaid: null,
        amountRefunded: '0',
        resolution: null,
        disputeState: 'NONE',
        creditsClawedBack: 0n,
        creditsUnrecovered: 0n,
        creditsOwed: 0n,
        syncVersion: 0,
        nextCheckAt: null,
      },
    ]);
    expect(store.grants.get(1n)).toMatchObject({
      category: 'PAID',
      source: 'PURCHASE',
      sourceReference: 'p1',
      priority: 50,
    });
    expect(store.entries.slice(1)).toMatchObject([
      { reference: 'INV-1', purchaseId: 'p1', grantId: 1n, credits: 100n },
    ]);
  });

  test('adds to others, each with its own expiry, and the soonest burns first', () => {
    ledger(plan({}, PACKS), [
      ['0s', purchase('forever', 'INV-1'), 'PURCHASE 10: issued>g1 10', '10'],
      ['0s', purchase('starter', 'INV-2'), 'PURCHASE 100: issued>g2 100', '110'],
      ['1d', purchase('month', 'INV-3'), 'PURCHASE 50: issued>g3 50', '160'],
      ['2d', purchase('starter', 'INV-4'), 'PURCHASE 100: issued>g4 100', '260'],
      ['3d', charge(60n), 'CHARGE 60: g3>consumed 50, g2>consumed 10', '200'],
      ['2027-01-10', null, 'GRANT_EXPIRED 90: g2>expired 90', '110'],
      ['2027-01-12', null, 'GRANT_EXPIRED 100: g4>expired 100', '10'],
      ['2099-01-01', null, 'nothing', '10'],
    ]);
  });

  test.each([
    ['2026-01-10T08:00:00Z', '2027-01-10T08:00:00Z'],
    ['2028-02-29T12:00:00Z', '2029-02-28T12:00:00Z'],
    ['2027-02-28T12:00:00Z', '2028-02-28T12:00:00Z'],
  ])('of a 12-month pack on %s lasts until %s', (from, until) => {
    const store = new AccountStore(plan({}, PACKS), at(from));
    store.run(at(from), purchase('starter', 'INV-1'));
    expect(store.grants.get(1n)?.expiresAt).toBe(at(until));
    store.run(at(until) - 1, null);
    expect(store.account.remaining).toBe(100n);
    store.run(at(until), null);
    expect(store.account.remaining).toBe(0n);
  });

  test('needs a pack of the plan and an open account', () => {
    ledger(plan({}, PACKS), [
      ['0s', purchase('giant', 'INV-1'), 'PACK_NOT_FOUND: pack_id giant, plan_id test', '0'],
      ['1s', close(), 'CLOSE_ACCOUNT', '0'],
      ['2s', purchase('starter', 'INV-1'), 'ACCOUNT_CLOSED', '0'],
    ]);
  });

  test('can use a payment reference only once, for any pack', () => {
    ledger(plan({}, PACKS), [
      ['0s', purchase('starter', 'INV-1'), 'PURCHASE 100: issued>g1 100', '100'],
      [
        '1s',
        purchase('starter', 'INV-1'),
        'PAYMENT_REFERENCE_USED: payment_reference INV-1, used_as INV-1',
        '100',
      ],
      ['2s', purchase('forever', 'INV-1'), 'PAYMENT_REFERENCE_USED', '100'],
      [
        '3s',
        purchase('starter', ' inv-1'),
        'PAYMENT_REFERENCE_USED: payment_reference  inv-1, used_as INV-1',
        '100',
      ],
      ['4s', purchase('starter', 'INV-2'), 'PURCHASE 100: issued>g2 100', '200'],
    ]);
  });

  test('can use a payment reference only once within a unit of work', () => {
    const store = new AccountStore(plan({}, PACKS), at('0s'));
    const twice = [purchase('starter', 'INV-1'), purchase('starter', 'INV-1')];
    const { outcomes } = store.runGroup(at('0s'), twice);
    expect(outcomes).toMatchObject([{ kind: 'Purchase' }, { reason: 'PAYMENT_REFERENCE_USED' }]);
    expect(store.account.remaining).toBe(100n);
  });

  test('burns after promotional credits that expire at the same moment', () => {
    ledger(plan({}, PACKS), [
      ['0s', purchase('starter', 'INV-1'), 'PURCHASE 100: issued>g1 100', '100'],
      [
        '0s',
        grantCredits(5n, { category: 'PROMOTIONAL', expiresAt: at('2027-01-10') }),
        'GRANT 5: issued>g2 5',
        '105',
      ],
      ['1s', charge(6n), 'CHARGE 6: g2>consumed 5, g1>consumed 1', '99'],
    ]);
  });
});
