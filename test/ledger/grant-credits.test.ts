import { describe, expect, test } from 'vitest';
import { ACCOUNT_CREDITS_MAX } from '../../src/ledger/credit-limit.ts';
import { MAX_CREDITS } from '../../src/pricing/plan.ts';
import { at, charge, close, grantCredits, pack, plan, purchase, refund } from './fixtures.ts';
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
