/** Purchases that were paid in another amount or currency than ordered, and what an operator decides. */
import { describe, expect, test } from 'vitest';
import type { Purchase } from '../../src/ledger/purchase.ts';
import type { AccountStore } from './account-store.ts';
import {
  at,
  charge,
  checkout,
  close,
  pack,
  paid,
  plan,
  resolve,
  syncPurchase,
} from './fixtures.ts';
import { continueLedger, ledger, type Row } from './table.ts';

const PACKS = [pack('starter', 100n, '10.00')];

/** An account that has ordered a pack of 100 credits for 10.00 USD. */
const ordered = (...rows: readonly Row[]): AccountStore =>
  ledger(plan({}, PACKS), [['0s', checkout('starter'), 'CHECKOUT', '0'], ...rows]);

const purchase = ({ purchases }: AccountStore): Purchase =>
  purchases[0] ?? expect.fail('none was made');

/** A payment of half the price, of which `refunded` hundredths were refunded. */
const half = (refunded = 0n, dispute: Parameters<typeof paid>[1] = 'NONE') =>
  paid(refunded, dispute, '5.00');

const MISMATCHED: Row = ['1h', syncPurchase('p1', 0, half()), 'PAYMENT', '0'];

describe('a payment that differs from the order', () => {
  test.each([
    ['less', '9.99', 'USD'],
    ['more', '10.01', 'USD'],
    ['the same number in another currency', '10.00', 'EUR'],
    ['nothing', '0.00', 'USD'],
  ])('grants nothing: %s', (_, amount, currency) => {
    const store = ordered([
      '1h',
      syncPurchase('p1', 0, paid(0n, 'NONE', amount, currency)),
      'PAYMENT',
      '0',
    ]);
    expect(purchase(store)).toMatchObject({
      state: 'MISMATCHED',
      amountPaid: { currency, amount },
      grantId: null,
      paidAt: null,
      nextCheckAt: null,
    });
    expect(store.events).toMatchObject([
      {
        type: 'purchase.mismatched',
        data: {
          purchase_id: 'p1',
          pack_id: 'starter',
          method: 'CHECKOUT',
          amount: '10.00',
          currency: 'USD',
          paid_amount: amount,
          paid_currency: currency,
        },
      },
    ]);
  });

  test('is reported once, whatever later snapshots show, and stays undecided', () => {
    const store = ordered(
      MISMATCHED,
      ['2h', syncPurchase('p1', 1, half()), 'nothing', '0'],
      ['3h', syncPurchase('p1', 2, half(200n)), 'PAYMENT', '0'],
      ['4h', syncPurchase('p1', 3, half(200n, 'OPEN')), 'PAYMENT', '0'],
      ['5h', syncPurchase('p1', 4, { payment: 'EXPIRED' }), 'nothing', '0'],
    );
    expect(purchase(store)).toMatchObject({
      state: 'MISMATCHED',
      amountRefunded: '2.00',
      disputeState: 'OPEN',
      creditsClawedBack: 0n,
      creditsUnrecovered: 0n,
    });
    expect(store.events.map(({ type }) => type)).toEqual([
      'purchase.mismatched',
      'purchase.refunded',
      'purchase.disputed',
    ]);
  });

  test('is not repaired by a second payment: that one is to be refunded', () => {
    const store = ordered(MISMATCHED);
    const second = { ...paid(), paymentIntentId: 'pi_2' };
    const { outcome } = store.run(at('2h'), syncPurchase('p1', 1, second));
    expect(outcome).toMatchObject({ result: 'other payment' });
    expect(purchase(store).state).toBe('MISMATCHED');
  });
});

describe('an operator who accepts it', () => {
  test('grants the credits as ordered, by an entry and an event that say who and why', () => {
    const store = ordered(MISMATCHED);
    store.run(at('2h'), resolve('p1', 'ACCEPTED', 'discount agreed on the phone'));
    expect(purchase(store)).toMatchObject({
      state: 'PAID',
      grantId: 1n,
      paidAt: at('2h'),
      resolution: {
        decision: 'ACCEPTED',
        caller: 'pages',
        reason: 'discount agreed on the phone',
        at: at('2h'),
      },
    });
    expect(store.entries.slice(2)).toMatchObject([
      {
        kind: 'PAYMENT',
        caller: 'scrip',
        details: { state: 'MISMATCHED', amount_paid: '5.00', currency_paid: 'USD' },
      },
      {
        kind: 'PURCHASE',
        credits: 100n,
        purchaseId: 'p1',
        caller: 'pages',
        reference: 'p1',
        personal: { reason: 'discount agreed on the phone' },
      },
    ]);
    expect(store.events.slice(1)).toMatchObject([
      { type: 'purchase.completed' },
      {
        type: 'purchase.resolved',
        data: {
          purchase_id: 'p1',
          decision: 'ACCEPTED',
          caller: 'pages',
          reason: 'discount agreed on the phone',
        },
      },
    ]);
  });

  test('twice, has no second effect; the first reason stays, and the opposite is refused', () => {
    const store = ordered(
      MISMATCHED,
      ['2h', resolve('p1', 'ACCEPTED'), 'PURCHASE 100: issued>g1 100', '100'],
      ['3h', resolve('p1', 'ACCEPTED', 'another'), 'nothing', '100'],
      [
        '3h',
        resolve('p1', 'REJECTED'),
        'PURCHASE_NOT_MISMATCHED: purchase_id p1, state PAID',
        '100',
      ],
    );
    expect(purchase(store).resolution?.reason).toBe('why');
  });

  test('gets no other result from later snapshots, and refunds take back their share of what was paid', () => {
    ordered(
      MISMATCHED,
      ['2h', resolve('p1', 'ACCEPTED'), 'PURCHASE 100: issued>g1 100', '100'],
      ['3h', syncPurchase('p1', 2, half()), 'nothing', '100'],
      ['4h', syncPurchase('p1', 3, half(250n)), 'CLAW_BACK 50: g1>issued 50 | PAYMENT', '50'],
      ['5h', syncPurchase('p1', 4, half(500n)), 'CLAW_BACK 50: g1>issued 50 | PAYMENT', '0'],
    );
  });

  test('after part of it was refunded, grants the rest', () => {
    ordered(
      MISMATCHED,
      ['2h', syncPurchase('p1', 1, half(100n)), 'PAYMENT', '0'],
      [
        '3h',
        resolve('p1', 'ACCEPTED'),
        'PURCHASE 100: issued>g1 100 | CLAW_BACK 20: g1>issued 20',
        '80',
      ],
      ['4h', charge(80n), 'CHARGE 80: g1>consumed 80', '0'],
    );
  });

  test('while it is disputed, grants nothing until the dispute is won', () => {
    ordered(
      MISMATCHED,
      ['2h', syncPurchase('p1', 1, half(0n, 'OPEN')), 'PAYMENT', '0'],
      [
        '3h',
        resolve('p1', 'ACCEPTED'),
        'PURCHASE 100: issued>g1 100 | CLAW_BACK 100: g1>issued 100',
        '0',
      ],
      [
        '4h',
        syncPurchase('p1', 3, half(0n, 'WON')),
        'REINSTATE 100: issued>g1 100 | PAYMENT',
        '100',
      ],
    );
  });

  test('can do so on a closed account, because the money was taken', () => {
    ordered(['30m', close(), 'CLOSE_ACCOUNT', '0'], MISMATCHED, [
      '2h',
      resolve('p1', 'ACCEPTED'),
      'PURCHASE 100: issued>g1 100',
      '100',
    ]);
  });
});

describe('an operator who rejects it', () => {
  test('ends the purchase without a grant, and no later snapshot changes that', () => {
    const store = ordered(
      MISMATCHED,
      ['2h', resolve('p1', 'REJECTED', 'wrong coupon'), 'REJECT_PURCHASE', '0'],
      ['3h', resolve('p1', 'REJECTED'), 'nothing', '0'],
      [
        '3h',
        resolve('p1', 'ACCEPTED'),
        'PURCHASE_NOT_MISMATCHED: purchase_id p1, state REJECTED',
        '0',
      ],
      ['4h', syncPurchase('p1', 2, half()), 'nothing', '0'],
      ['5h', syncPurchase('p1', 3, half(500n)), 'PAYMENT', '0'],
    );
    expect(purchase(store)).toMatchObject({
      state: 'REJECTED',
      grantId: null,
      amountRefunded: '5.00',
      resolution: { decision: 'REJECTED', caller: 'pages', reason: 'wrong coupon' },
    });
    expect(store.entries.slice(3, 4)).toMatchObject([
      {
        kind: 'REJECT_PURCHASE',
        purchaseId: 'p1',
        caller: 'pages',
        reference: 'p1',
        personal: { reason: 'wrong coupon' },
      },
    ]);
    expect(store.events.map(({ type }) => type)).toEqual([
      'purchase.mismatched',
      'purchase.resolved',
      'purchase.refunded',
    ]);
  });

  test('makes a snapshot stale that was read before', () => {
    const store = ordered(MISMATCHED, ['2h', resolve('p1', 'REJECTED'), 'REJECT_PURCHASE', '0']);
    const { outcome } = store.run(at('3h'), syncPurchase('p1', 1, half()));
    expect(outcome).toMatchObject({ result: 'stale' });
  });
});

describe('there is nothing to decide', () => {
  test.each([
    ['pending', [], 'PENDING'],
    ['failed', [['1h', syncPurchase('p1', 0, { payment: 'FAILED' }), 'PAYMENT', '0']], 'FAILED'],
    [
      'paid as ordered',
      [['1h', syncPurchase('p1', 0, paid()), 'PURCHASE 100: issued>g1 100', '100']],
      'PAID',
    ],
  ] satisfies [string, Row[], string][])('about a purchase that is %s', (_, rows, state) => {
    const store = ordered(...rows);
    const refused = `PURCHASE_NOT_MISMATCHED: purchase_id p1, state ${state}`;
    const balance = state === 'PAID' ? '100' : '0';
    continueLedger(store, [
      ['2h', resolve('p1', 'ACCEPTED'), refused, balance],
      ['2h', resolve('p1', 'REJECTED'), refused, balance],
    ]);
  });

  test('about a purchase that does not exist', () => {
    ordered([
      '1h',
      resolve('p9', 'ACCEPTED'),
      'PURCHASE_NOT_FOUND: purchase_id p9, account_id acme',
      '0',
    ]);
  });
});
