/** EraseAccountData: when an account's data can be erased, and what its row and its entry say then. */
import { describe, expect, test } from 'vitest';
import {
  checkout,
  close,
  eraseData,
  grantCredits,
  pack,
  plan,
  release,
  reserve,
  update,
} from './fixtures.ts';
import { ledger, type Row } from './table.ts';

const CLOSED: readonly Row[] = [
  ['0s', grantCredits(100n), 'GRANT 100: issued>g1 100', '100'],
  ['0s', reserve(10n), 'RESERVE 10: g1>(g1) 10', '100 (10)'],
  ['1s', close(), 'CLOSE_ACCOUNT', '100 (10)'],
];

describe('erasing the data of an account', () => {
  test('needs a closed one', () => {
    ledger(plan(), [['0s', eraseData(), 'ACCOUNT_NOT_CLOSED: account_id acme', '0']]);
  });

  test('waits for its reservations, until they are ended or have expired', () => {
    const running = 'RESERVATION_ACTIVE: reservation_id r1, expires_at 2026-01-10T00:15:00.000Z';
    ledger(plan(), [
      ...CLOSED,
      ['2s', eraseData(), running, '100 (10)'],
      ['3s', release('r1'), 'RELEASE 10: (g1)>g1 10', '100'],
      ['4s', eraseData(), 'ERASE_ACCOUNT_DATA', '100'],
    ]);
    ledger(plan(), [
      ...CLOSED,
      ['1h', eraseData(), 'EXPIRE 10: (g1)>g1 10 | ERASE_ACCOUNT_DATA', '100'],
    ]);
  });

  test('waits for its purchases', () => {
    ledger(plan({}, [pack('starter', 100n, '19.00')]), [
      ['0s', checkout('starter'), 'CHECKOUT', '0'],
      ['1s', close(), 'CLOSE_ACCOUNT', '0'],
      ['2s', eraseData(), 'PURCHASE_UNSETTLED: purchase_id p1, state PENDING', '0'],
    ]);
  });

  test('leaves neither name nor labels nor auto top-up on its row; its entry says why', () => {
    const settings = { labels: { region: 'eu' }, pauseFloor: 5n };
    const store = ledger(plan(), [
      ['0s', update('Jo Doe', settings), 'UPDATE_ACCOUNT', '0'],
      ['1s', close(), 'CLOSE_ACCOUNT', '0'],
      ['2s', eraseData(), 'ERASE_ACCOUNT_DATA', '0'],
    ]);
    expect(store.account).toMatchObject({
      state: 'CLOSED',
      displayName: '',
      labels: {},
      autoTopUp: null,
      pauseFloor: 5n,
    });
    expect(store.entries.at(-1)).toMatchObject({
      personal: { reason: 'a test' },
      details: { events: `${store.account.eventCount}` },
    });
  });

  test('can be done again, for what was written since', () => {
    ledger(plan(), [
      ['0s', close(), 'CLOSE_ACCOUNT', '0'],
      ['1s', eraseData(), 'ERASE_ACCOUNT_DATA', '0'],
      ['2s', eraseData(), 'ERASE_ACCOUNT_DATA', '0'],
    ]);
  });
});
