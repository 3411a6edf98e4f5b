import { describe, expect, test } from 'vitest';
import {
  at,
  checkout,
  close,
  offer,
  pack,
  paid,
  plan,
  purchase,
  syncPurchase,
  withdraw,
} from './fixtures.ts';
import { continueLedger, ledger } from './table.ts';

const own = pack('negotiated', 500n, '50.00');

describe('a custom pack', () => {
  test('can be bought like any other once it is offered', () => {
    ledger(plan({}, [pack('starter', 100n, '19.00')]), [
      ['0s', purchase('negotiated', 'INV-1'), 'PACK_NOT_FOUND', '0'],
      ['1s', offer(own), 'OFFER_PACK', '0'],
      ['2s', purchase('negotiated', 'INV-1'), 'PURCHASE 500: issued>g1 500', '500'],
      ['3s', checkout('negotiated'), 'CHECKOUT', '500'],
      [
        '4s',
        syncPurchase('p2', 0, paid(0n, 'NONE', '50.00')),
        'PURCHASE 500: issued>g2 500',
        '1000',
      ],
    ]);
  });

  test('cannot have the id of a pack of the plan, nor change while it is offered', () => {
    ledger(plan({}, [pack('starter', 100n, '19.00')]), [
      [
        '0s',
        offer({ ...own, packId: 'starter' }),
        'PACK_EXISTS: pack_id starter, account_id acme',
        '0',
      ],
      ['1s', offer(own), 'OFFER_PACK', '0'],
      ['2s', offer({ ...own, credits: 600n }), 'PACK_EXISTS', '0'],
      ['3s', purchase('negotiated', 'INV-1'), 'PURCHASE 500: issued>g1 500', '500'],
    ]);
  });

  test('is replaced by a pack of the same id that the plan gets later', () => {
    const store = ledger(plan(), [['0s', offer(own), 'OFFER_PACK', '0']]);
    store.plan = plan({}, [pack('negotiated', 1n, '1.00')]);
    continueLedger(store, [
      ['1s', purchase('negotiated', 'INV-1'), 'PURCHASE 1: issued>g1 1', '1'],
    ]);
  });

  test('that is withdrawn cannot be bought; earlier purchases are still granted', () => {
    const store = ledger(plan(), [
      ['0s', offer(own), 'OFFER_PACK', '0'],
      ['1s', checkout('negotiated'), 'CHECKOUT', '0'],
      ['2s', withdraw('negotiated'), 'WITHDRAW_PACK', '0'],
      ['3s', purchase('negotiated', 'INV-1'), 'PACK_NOT_FOUND', '0'],
      [
        '4s',
        syncPurchase('p1', 0, paid(0n, 'NONE', '50.00')),
        'PURCHASE 500: issued>g1 500',
        '500',
      ],
    ]);
    expect(store.customPacks.get('negotiated')?.withdrawnAt).toBe(at('2s'));
    continueLedger(store, [['9s', withdraw('negotiated'), 'nothing', '500']]);
    expect(store.customPacks.get('negotiated')?.withdrawnAt).toBe(at('2s'));
  });

  test('can be offered again on other terms after it was withdrawn', () => {
    ledger(plan(), [
      ['0s', offer(own), 'OFFER_PACK', '0'],
      ['1s', withdraw('negotiated'), 'WITHDRAW_PACK', '0'],
      ['2s', offer({ ...own, credits: 700n }), 'OFFER_PACK', '0'],
      ['3s', purchase('negotiated', 'INV-1'), 'PURCHASE 700: issued>g1 700', '700'],
    ]);
  });

  test('cannot be withdrawn if it was not offered, nor if it is the plan’s', () => {
    ledger(plan({}, [pack('starter', 100n, '19.00')]), [
      ['0s', withdraw('negotiated'), 'PACK_NOT_FOUND', '0'],
      ['0s', withdraw('starter'), 'PACK_NOT_FOUND', '0'],
    ]);
  });

  test('cannot be offered to a closed account', () => {
    ledger(plan(), [
      ['0s', close(), 'CLOSE_ACCOUNT', '0'],
      ['1s', offer(own), 'ACCOUNT_CLOSED', '0'],
    ]);
  });
});
