import { describe, expect, test } from 'vitest';
import type { AutoTopUpTerms as AutoTopUp } from '../../src/ledger/auto-top-up.ts';
import type { Command } from '../../src/ledger/decide.ts';
import { charge, move, pack, plan } from './fixtures.ts';

import { declined, disabled, failures, funded, on, PACKS, runRows, start } from './topping-up.ts';

describe('auto top-up is switched off, with an event,', () => {
  test('when the plan is published without its pack', () => {
    const store = funded(10n);
    runRows(store, [['1m', on(), '', '1m']]);
    store.plan = plan({}, [pack('large', 900n, '5.00')]);
    runRows(store, [
      ['2m', start, 'nothing due', null],
      ['3m', charge(1n), '', null],
    ]);
    expect(store.account.autoTopUp).toBeNull();
    expect(disabled(store)).toEqual([
      { pack_id: 'small', plan_id: 'test', reason: 'pack_removed' },
    ]);
  });

  test('when the account moves to a plan without its pack', () => {
    const store = funded(60n);
    const gold = { ...plan({}, PACKS), planId: 'gold' };
    const bare = { ...plan(), planId: 'bare' };
    store.otherPlans.set('gold', gold);
    store.otherPlans.set('bare', bare);
    runRows(store, [
      ['1m', on(), '', null],
      ['2m', move('gold'), '', null],
    ]);
    expect([store.account.autoTopUp?.packId, disabled(store)]).toEqual(['small', []]);
    runRows(store, [['3m', move('bare'), '', null]]);
    expect([store.account.autoTopUp, disabled(store)]).toEqual([
      null,
      [{ pack_id: 'small', plan_id: 'bare', reason: 'pack_removed' }],
    ]);
  });

  test.each([
    ['price', pack('small', 100n, '19.00')],
    ['number of credits', pack('small', 10n, '5.00')],
  ])('when its pack has another %s, on the plan or on the next one', (_, changed) => {
    for (const change of ['publication', 'move'] as const) {
      const store = funded(10n);
      runRows(store, [['1m', on(), '', '1m']]);
      const other = plan({}, [changed]);
      store.otherPlans.set('other', { ...other, planId: 'other' });
      if (change === 'publication') store.plan = other;
      else runRows(store, [['2m', move('other'), '', null]]);
      runRows(store, [['3m', start, 'nothing due', null]]);
      expect(store.account.autoTopUp).toBeNull();
      expect(disabled(store)).toMatchObject([{ pack_id: 'small', reason: 'pack_changed' }]);
    }
  });

  test('and a top-up in progress is withdrawn', () => {
    const store = funded(10n);
    runRows(store, [
      ['1m', on(), '', '1m'],
      ['2m', start, 'p1', '7m'],
    ]);
    store.plan = plan();
    runRows(store, [['3m', declined('p1', 'requested_by_customer'), 'FAILED', null]]);
    expect(failures(store)).toEqual([]);
  });

  test('but not because a plan has no pack of the name of a custom pack', () => {
    const store = funded(60n);
    store.otherPlans.set('bare', { ...plan(), planId: 'bare' });
    runRows(store, [
      ['1m', { kind: 'OfferPack', pack: pack('own', 70n, '3.00') }, '', null],
      ['2m', on({ packId: 'own' }), '', null],
      ['3m', move('bare'), '', null],
      ['4m', charge(20n), '', '4m'],
    ]);
    expect(disabled(store)).toEqual([]);
  });
});

describe('a setting that cannot work fails and changes nothing:', () => {
  test.each<[string, Partial<AutoTopUp>, string]>([
    ['a pack that the plan does not have', { packId: 'huge' }, 'PACK_NOT_FOUND'],
    ['a threshold above what the cap can buy', { threshold: 301n }, 'INVALID_FIELD'],
  ])('%s', (_, change, reason) => {
    const store = funded(10n);
    runRows(store, [['1m', { ...on(change), displayName: 'Acme' } as Command, reason, null]]);
    expect(store.account).toMatchObject({ autoTopUp: null, displayName: '' });
  });
});
