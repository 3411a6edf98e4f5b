import { describe, expect, test } from 'vitest';
import { ACCOUNT_CREDITS_MAX, GRANTED_CREDITS_MAX } from '../../src/ledger/credit-limit.ts';
import { MAX_CREDITS } from '../../src/pricing/plan.ts';
import {
  at,
  charge,
  checkout,
  close,
  grantCredits,
  pack,
  paid,
  plan,
  purchase,
  refund,
  syncPurchase,
} from './fixtures.ts';
import { ledger } from './table.ts';

describe('credits granted by an operator', () => {
  test('can be spent at once and never expire by default', () => {
    const store = ledger(plan(), [
      ['0s', grantCredits(10n), 'GRANT 10: issued>g1 10', '10'],
      ['1s', charge(10n), 'CHARGE 10: g1>consumed 10', '0'],
    ]);
    expect(store.grants.get(1n)).toMatchObject({
      grantId: 1n,
      amount: 10n,
      category: 'PAID',
      source: 'OPERATOR',
      effectiveAt: at('0s'),
      expiresAt: null,
      state: 'SPENT',
    });
  });

  test('with effective_at in the past can be spent at once', () => {
    const store = ledger(plan(), [
      [
        '1d',
        grantCredits(10n, { effectiveAt: at('1h'), expiresAt: at('2d') }),
        'GRANT 10: issued>g1 10',
        '10',
      ],
    ]);
    expect(store.grants.get(1n)?.effectiveAt).toBe(at('1d'));
  });

  test('carry the caller’s reference and labels', () => {
    const labels = { why: 'sorry' };
    const store = ledger(plan(), []);
    store.run(
      at('1s'),
      grantCredits(10n, { category: 'ADJUSTMENT', priority: 7, reference: 'ticket 9', labels }),
    );
    expect(store.grants.get(1n)).toMatchObject({
      category: 'ADJUSTMENT',
      priority: 7,
      sourceReference: 'ticket 9',
    });
    expect(store.entries[1]).toMatchObject({ grantId: 1n, reference: 'ticket 9', labels });
  });

  test('with effective_at in the future are in no balance until then, and expire like others', () => {
    const scheduled = grantCredits(10n, { effectiveAt: at('1d'), expiresAt: at('3d') });
    const store = ledger(plan(), [
      ['0s', scheduled, 'GRANT 10', '0'],
      ['1h', charge(1n), 'INSUFFICIENT_CREDITS', '0'],
      ['2026-01-10T23:59:59.999Z', null, 'nothing', '0'],
      ['1d', charge(4n), 'GRANT_EFFECTIVE 10: issued>g1 10 | CHARGE 4: g1>consumed 4', '6'],
      ['2026-01-12T23:59:59.999Z', charge(1n), 'CHARGE 1: g1>consumed 1', '5'],
      ['3d', charge(1n), 'GRANT_EXPIRED 5: g1>expired 5 | INSUFFICIENT_CREDITS', '0'],
    ]);
    expect(store.grants.get(1n)).toMatchObject({ state: 'EXPIRED', remaining: 0n });
  });

  test('that became effective and expired between two calls get both entries', () => {
    const scheduled = grantCredits(10n, {
      effectiveAt: at('1d'),
      expiresAt: at('3d'),
      reference: 'gift',
    });
    const store = ledger(plan(), [
      ['0s', scheduled, 'GRANT 10', '0'],
      ['9d', null, 'GRANT_EFFECTIVE 10: issued>g1 10 | GRANT_EXPIRED 10: g1>expired 10', '0'],
    ]);
    for (const entry of store.entries.slice(1))
      expect(entry).toMatchObject({ grantId: 1n, reference: 'gift' });
  });

  test.each([
    ['before now', null, at('1h')],
    ['now', null, at('1d')],
    ['as they become effective', at('2d'), at('2d')],
    ['before they become effective', at('2d'), at('36h')],
    ['before now, although after effective_at', at('1h'), at('2h')],
  ])('cannot expire %s', (_, effectiveAt, expiresAt) => {
    ledger(plan(), [
      ['0s', null, 'nothing', '0'],
      ['1d', grantCredits(10n, { effectiveAt, expiresAt }), 'INVALID_FIELD: field expires_at', '0'],
    ]);
  });

  test('cannot be granted to a closed account', () => {
    ledger(plan(), [
      ['1s', close(), 'CLOSE_ACCOUNT', '0'],
      ['2s', grantCredits(1n), 'ACCOUNT_CLOSED: account_id acme, at 2026-01-10T00:00:01.000Z', '0'],
    ]);
  });
});

describe('an account holds at most 9,000,000,000,000,000,000 credits', () => {
  const most = `${ACCOUNT_CREDITS_MAX}`;
  const almost = ACCOUNT_CREDITS_MAX - 10n;

  test('granted by an operator', () => {
    ledger(plan(), [
      ['0s', grantCredits(MAX_CREDITS), `INVALID_FIELD: field credits, allowed ${most}`, '0'],
      ['1s', grantCredits(almost), `GRANT ${almost}: issued>g1 ${almost}`, `${almost}`],
      ['2s', grantCredits(11n), 'INVALID_FIELD: field credits, allowed 10', `${almost}`],
      ['3s', grantCredits(10n), 'GRANT 10: issued>g2 10', most],
      ['4s', grantCredits(1n), 'INVALID_FIELD: field credits, allowed 0', most],
      ['5s', charge(7n), `CHARGE 7: g1>consumed 7`, `${ACCOUNT_CREDITS_MAX - 7n}`],
      ['6s', grantCredits(7n), 'GRANT 7: issued>g3 7', most],
    ]);
  });

  test('including scheduled ones', () => {
    ledger(plan(), [
      ['0s', grantCredits(almost, { effectiveAt: at('1d') }), `GRANT ${almost}`, '0'],
      ['1s', grantCredits(11n), 'INVALID_FIELD: field credits, allowed 10', '0'],
      ['2s', grantCredits(10n), 'GRANT 10: issued>g2 10', '10'],
      ['1d', null, `GRANT_EFFECTIVE ${almost}: issued>g1 ${almost}`, most],
    ]);
  });

  test('including bought ones', () => {
    ledger(plan({}, [pack('small', 11n, '5.00')]), [
      ['0s', grantCredits(almost), `GRANT ${almost}: issued>g1 ${almost}`, `${almost}`],
      ['1s', purchase('small', 'INV-1'), 'INVALID_FIELD: field credits, allowed 10', `${almost}`],
      ['2s', charge(1n), 'CHARGE 1: g1>consumed 1', `${almost - 1n}`],
      ['3s', purchase('small', 'INV-1'), 'PURCHASE 11: issued>g2 11', most],
    ]);
  });

  test('including refunded ones', () => {
    ledger(plan(), [
      ['0s', grantCredits(almost), `GRANT ${almost}: issued>g1 ${almost}`, `${almost}`],
      ['1s', charge(20n), 'CHARGE 20: g1>consumed 20', `${almost - 20n}`],
      ['2s', grantCredits(30n), 'GRANT 30: issued>g2 30', most],
      ['3s', refund(3n), 'INVALID_FIELD: field credits, allowed 0', most],
      ['4s', charge(20n), 'CHARGE 20: g1>consumed 20', `${ACCOUNT_CREDITS_MAX - 20n}`],
      ['5s', refund(3n), 'REFUND 20: consumed>g1 20', most],
    ]);
  });
});

describe('the grants with credits left come to at most 9,100,000,000,000,000,000', () => {
  const [held, had] = [ACCOUNT_CREDITS_MAX, GRANTED_CREDITS_MAX];
  const room = had - held;
  /** A grant of the most, of which 5 are left. */
  const NEARLY_SPENT = [
    ['0s', grantCredits(held), `GRANT ${held}: issued>g1 ${held}`, `${held}`],
    ['1s', charge(held - 5n), `CHARGE ${held - 5n}: g1>consumed ${held - 5n}`, '5'],
  ] as const;
  const refused = (allowed: bigint) => `INVALID_FIELD: field credits, allowed ${allowed}`;

  test('granted by an operator, until the first is used up', () => {
    ledger(plan(), [
      ...NEARLY_SPENT,
      ['2s', grantCredits(held - 5n), refused(room), '5'],
      ['3s', grantCredits(room + 1n), refused(room), '5'],
      ['4s', grantCredits(room), `GRANT ${room}: issued>g2 ${room}`, `${room + 5n}`],
      ['5s', grantCredits(1n), refused(0n), `${room + 5n}`],
      ['6s', charge(5n), 'CHARGE 5: g1>consumed 5', `${room}`],
      ['7s', grantCredits(9n), 'GRANT 9: issued>g3 9', `${room + 9n}`],
    ]);
  });

  test('with scheduled ones', () => {
    ledger(plan(), [
      ...NEARLY_SPENT,
      ['2s', grantCredits(room, { effectiveAt: at('1d') }), `GRANT ${room}`, '5'],
      ['3s', grantCredits(1n), refused(0n), '5'],
    ]);
  });

  test('with bought ones', () => {
    ledger(plan({}, [pack('large', room + 1n, '5.00')]), [
      ...NEARLY_SPENT,
      ['2s', purchase('large', 'INV-1'), refused(room), '5'],
      ['3s', charge(5n), 'CHARGE 5: g1>consumed 5', '0'],
      [
        '4s',
        purchase('large', 'INV-1'),
        `PURCHASE ${room + 1n}: issued>g2 ${room + 1n}`,
        `${room + 1n}`,
      ],
    ]);
  });

  test('with those that a refund fills again', () => {
    ledger(plan(), [
      ...NEARLY_SPENT,
      ['2s', charge(5n), 'CHARGE 5: g1>consumed 5', '0'],
      ['3s', grantCredits(room + 1n), `GRANT ${room + 1n}: issued>g2 ${room + 1n}`, `${room + 1n}`],
      ['4s', refund(4n, 1n), refused(0n), `${room + 1n}`],
      ['5s', charge(room + 1n), `CHARGE ${room + 1n}: g2>consumed ${room + 1n}`, '0'],
      ['6s', refund(4n, 1n), 'REFUND 1: consumed>g1 1', '1'],
      ['7s', refund(4n, 2n), 'REFUND 2: consumed>g1 2', '3'],
    ]);
  });

  test('with those that a dispute gives back', () => {
    const bought = held - 10n;
    const granted = room + 20n;
    ledger(plan({}, [pack('large', bought, '10.00')]), [
      ['0s', checkout('large'), 'CHECKOUT', '0'],
      ['1s', syncPurchase('p1', 0, paid()), `PURCHASE ${bought}: issued>g1 ${bought}`, `${bought}`],
      [
        '2s',
        syncPurchase('p1', 1, paid(0n, 'OPEN')),
        `CLAW_BACK ${bought}: g1>issued ${bought} | PAYMENT`,
        '0',
      ],
      ['3s', grantCredits(granted), `GRANT ${granted}: issued>g2 ${granted}`, `${granted}`],
      ['4s', charge(granted - 1n), `CHARGE ${granted - 1n}: g2>consumed ${granted - 1n}`, '1'],
      ['5s', syncPurchase('p1', 2, paid(0n, 'WON')), refused(bought - 10n), '1'],
      ['6s', charge(1n), 'CHARGE 1: g2>consumed 1', '0'],
      [
        '7s',
        syncPurchase('p1', 2, paid(0n, 'WON')),
        `REINSTATE ${bought}: issued>g1 ${bought} | PAYMENT`,
        `${bought}`,
      ],
    ]);
  });
});
