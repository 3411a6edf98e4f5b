import { describe, expect, test } from 'vitest';
import { newAccount } from '../../src/ledger/rules/account.ts';
import { AccountStore } from './account-store.ts';
import {
  allowance,
  at,
  charge,
  close,
  commit,
  extend,
  grantCredits,
  open,
  pack,
  plan,
  postpaid,
  purchase,
  refund,
  release,
  reserve,
  update,
} from './fixtures.ts';
import { audit, ledger, type Row } from './table.ts';

describe('opening an account', () => {
  test('is the first entry of the account, and changes nothing else if the plan grants nothing', () => {
    const store = ledger(plan(), [['0s', open(), 'OPEN_ACCOUNT', '0']]);
    expect(store.account).toEqual({
      ...newAccount('acme', open(), plan(), at('0s')),
      seq: 1n,
      lastHash: store.entries[0]?.hash,
    });
  });

  test('has the name and the labels of the account on its entry, as personal data', () => {
    const command = { ...open(), displayName: 'Jo Doe', labels: { region: 'eu' } };
    const store = new AccountStore(plan(), at('0s'), command);
    store.run(at('0s'), command);
    expect(store.entries).toMatchObject([
      { kind: 'OPEN_ACCOUNT', labels: { region: 'eu' }, personal: { display_name: 'Jo Doe' } },
    ]);
  });

  test('grants welcome credits and the full allowance of the month', () => {
    const welcome = { credits: 20n, validity: { days: 30 } };
    const store = ledger(plan({ welcome, ...allowance(50n) }), [
      ['0s', open(), 'OPEN_ACCOUNT | GRANT 20: issued>g1 20 | GRANT 50: issued>g2 50', '70'],
      ['2026-02-01', null, 'GRANT_EXPIRED 50: g2>expired 50 | GRANT 50: issued>g3 50', '70'],
      ['30d', null, 'GRANT_EXPIRED 20: g1>expired 20', '50'],
    ]);
    expect([...store.grants.values()]).toMatchObject([
      { category: 'PROMOTIONAL', source: 'WELCOME', sourceReference: '', expiresAt: at('30d') },
      { category: 'ALLOWANCE', source: 'ALLOWANCE', sourceReference: '2026-01' },
      { category: 'ALLOWANCE', source: 'ALLOWANCE', sourceReference: '2026-02' },
    ]);
  });

  test('grants welcome credits that never expire if the plan says so', () => {
    ledger(plan({ welcome: { credits: 20n, validity: null } }), [
      ['0s', open(), 'OPEN_ACCOUNT | GRANT 20: issued>g1 20', '20'],
      ['2099-01-01', charge(20n), 'CHARGE 20: g1>consumed 20', '0'],
    ]);
  });

  test('lets later commands of the same unit of work use its credits', () => {
    const store = new AccountStore(plan(allowance(50n)), at('0s'));
    const { outcomes } = store.runGroup(at('0s'), [open(), reserve(40n), charge(11n), charge(10n)]);
    expect(outcomes).toMatchObject([
      { kind: 'OpenAccount' },
      { kind: 'Reserve' },
      { reason: 'INSUFFICIENT_CREDITS' },
      { kind: 'Charge', entrySeq: 4n },
    ]);
    audit(store);
  });

  test('writes entries with the caller and the labels', () => {
    const welcome = { credits: 20n, validity: null };
    const store = new AccountStore(plan({ welcome }), at('0s'));
    store.account.labels = { region: 'eu' };
    store.run(at('0s'), open());
    expect(store.entries.map(({ kind }) => kind)).toEqual(['OPEN_ACCOUNT', 'GRANT']);
    for (const entry of store.entries)
      expect(entry).toMatchObject({ caller: 'pages', labels: { region: 'eu' } });
  });

  test('sets the overage limit of the plan', () => {
    ledger(plan(postpaid(5n)), [
      ['0s', open(), 'OPEN_ACCOUNT', '0'],
      ['0s', charge(5n), 'CHARGE 5: overage>consumed 5', '0 overage 5'],
    ]);
  });
});

test('an update changes the fields it names, and writes no entry if it changes nothing', () => {
  const store = ledger(plan(), [
    ['1s', update('Acme'), 'UPDATE_ACCOUNT', '0'],
    ['2s', update(null), 'nothing', '0'],
    ['2s', update('Acme'), 'nothing', '0'],
  ]);
  expect(store.account).toMatchObject({ displayName: 'Acme', labels: {} });
  store.run(at('3s'), { kind: 'UpdateAccount', displayName: null, labels: { region: 'eu' } });
  expect(store.account).toMatchObject({ displayName: 'Acme', labels: { region: 'eu' } });
  store.run(at('4s'), { kind: 'UpdateAccount', displayName: '', labels: {} });
  expect(store.account).toMatchObject({ displayName: '', labels: {} });
});

describe('a closed account', () => {
  const CLOSED: readonly Row[] = [
    ['0s', grantCredits(100n), 'GRANT 100: issued>g1 100', '100'],
    ['0s', reserve(10n), 'RESERVE 10: g1>(g1) 10', '100 (10)'],
    ['0s', reserve(20n), 'RESERVE 20: g1>(g1) 20', '100 (30)'],
    ['0s', reserve(30n), 'RESERVE 30: g1>(g1) 30', '100 (60)'],
    ['0s', charge(5n), 'CHARGE 5: g1>consumed 5', '95 (60)'],
    ['1s', close(), 'CLOSE_ACCOUNT', '95 (60)'],
  ];
  const closed = 'ACCOUNT_CLOSED: account_id acme, at 2026-01-10T00:00:01.000Z';

  test('refuses to reserve, charge, buy, grant and update', () => {
    ledger(plan({}, [pack('starter', 100n, '19.00')]), [
      ...CLOSED,
      ['2s', reserve(1n), closed, '95 (60)'],
      ['2s', charge(1n), closed, '95 (60)'],
      ['2s', purchase('starter', 'INV-1'), closed, '95 (60)'],
      ['2s', grantCredits(1n), closed, '95 (60)'],
      ['2s', update('Acme'), closed, '95 (60)'],
    ]);
  });

  test('still commits, releases, extends, expires and refunds', () => {
    ledger(plan(), [
      ...CLOSED,
      ['2s', commit('r1', 4n), 'COMMIT 4: (g1)>consumed 4, (g1)>g1 6', '91 (50)'],
      ['3s', release('r2'), 'RELEASE 20: (g1)>g1 20', '91 (30)'],
      ['4s', extend('r3', '1h'), 'EXTEND', '91 (30)'],
      ['5s', refund(6n), 'REFUND 5: consumed>g1 5', '96 (30)'],
      ['3604s', null, 'EXPIRE 30: (g1)>g1 30', '96'],
      ['3605s', commit('r3', 1n), 'late COMMIT 1: g1>consumed 1', '95'],
    ]);
  });

  test('keeps the time at which it was first closed', () => {
    const store = ledger(plan(), [...CLOSED, ['9s', close(), 'nothing', '95 (60)']]);
    expect(store.account).toMatchObject({ state: 'CLOSED', closedAt: at('1s') });
  });

  test('keeps its credits until they expire', () => {
    ledger(plan(), [
      ['0s', grantCredits(7n, { expiresAt: at('2d') }), 'GRANT 7: issued>g1 7', '7'],
      ['1s', close(), 'CLOSE_ACCOUNT', '7'],
      ['1d', null, 'nothing', '7'],
      ['2d', null, 'GRANT_EXPIRED 7: g1>expired 7', '0'],
    ]);
  });
});
