/** Accounts with a time zone: when what they have by the day or month begins anew. */
import { describe, expect, test } from 'vitest';
import { Failure } from '../../src/failure.ts';
import {
  allowance,
  at,
  charge,
  open,
  plan,
  postpaid,
  refund,
  setBudget,
  update,
} from './fixtures.ts';
import { continueLedger, ledger } from './table.ts';

const MONTHLY = allowance(50n);
const DAILY = allowance(5n, { every: { days: 1 } });
const BERLIN = open('Europe/Berlin');

const moved = (timeZone: string) => update(null, { timeZone });

describe('an allowance', () => {
  test('is due at midnight of the zone, on either side of daylight saving', () => {
    ledger(plan(MONTHLY), [
      ['2026-02-15', BERLIN, 'OPEN_ACCOUNT | GRANT 50: issued>g1 50', '50'],
      ['2026-02-28T22:59:59.999Z', null, 'nothing', '50'],
      ['2026-02-28T23:00Z', null, 'GRANT_EXPIRED 50: g1>expired 50 | GRANT 50: issued>g2 50', '50'],
      ['2026-03-31T21:59:59.999Z', charge(20n), 'CHARGE 20: g2>consumed 20', '30'],
      ['2026-03-31T22:00Z', null, 'GRANT_EXPIRED 30: g2>expired 30 | GRANT 50: issued>g3 50', '50'],
    ]);
  });

  test('of each day is due after 23 and 25 hours, where days have so many', () => {
    const store = ledger(plan(DAILY), [
      ['2026-03-28T08:00Z', BERLIN, 'OPEN_ACCOUNT | GRANT 5: issued>g1 5', '5'],
      ['2026-03-28T23:00Z', null, 'GRANT_EXPIRED 5: g1>expired 5 | GRANT 5: issued>g2 5', '5'],
      ['2026-03-29T22:00Z', null, 'GRANT_EXPIRED 5: g2>expired 5 | GRANT 5: issued>g3 5', '5'],
    ]);
    store.run(at('2026-10-24T22:00Z'), null);
    const grants = store.grants.size;
    store.run(at('2026-10-25T22:59:59.999Z'), null);
    expect(store.grants.size).toBe(grants);
    store.run(at('2026-10-25T23:00Z'), null);
    expect(store.grants.size).toBe(grants + 1);
  });

  test('is granted once a month by its name, however far the zone is changed', () => {
    const store = ledger(plan(MONTHLY), [
      [
        '2026-01-31T09:59Z',
        open('Pacific/Kiritimati'),
        'OPEN_ACCOUNT | GRANT 50: issued>g1 50',
        '50',
      ],
      ['2026-01-31T09:59:30Z', moved('Etc/GMT+12'), 'UPDATE_ACCOUNT', '50'],
      // Midnight of the first zone.
      ['2026-01-31T10:00Z', null, 'GRANT_EXPIRED 50: g1>expired 50 | GRANT 50: issued>g2 50', '50'],
      // Midnight of the second.
      ['2026-02-01T12:00Z', null, 'nothing', '50'],
      ['2026-03-01T11:59:59.999Z', null, 'nothing', '50'],
      ['2026-03-01T12:00Z', null, 'GRANT_EXPIRED 50: g2>expired 50 | GRANT 50: issued>g3 50', '50'],
    ]);
    const names = [...store.grants.values()].map(({ sourceReference }) => sourceReference);
    expect(names).toEqual(['2026-01', '2026-02', '2026-03']);
    expect(store.entries.find(({ kind }) => kind === 'UPDATE_ACCOUNT')?.details).toEqual({
      time_zone: 'Etc/GMT+12',
    });
  });

  test('of a month that begins late, after days of another plan, has the name of that month', () => {
    const daily = plan(DAILY);
    const store = ledger(daily, [
      ['2026-01-30T12:00Z', open('Etc/GMT+12'), 'OPEN_ACCOUNT | GRANT 5: issued>g1 5', '5'],
    ]);
    store.plan = plan(MONTHLY);
    store.run(at('2026-02-01T12:00Z'), null);
    const names = [...store.grants.values()].map(({ sourceReference }) => sourceReference);
    expect(names).toEqual(['2026-01-30T12:00:00.000Z', '2026-01', '2026-02']);
  });

  test('keeps the end it was given, although the zone is changed', () => {
    ledger(plan(DAILY), [
      ['2026-11-30T12:00Z', open(), 'OPEN_ACCOUNT | GRANT 5: issued>g1 5', '5'],
      ['2026-11-30T13:00Z', moved('Asia/Tokyo'), 'UPDATE_ACCOUNT', '5'],
      ['2026-11-30T15:00Z', null, 'nothing', '5'],
      ['2026-12-01T12:00Z', null, 'GRANT_EXPIRED 5: g1>expired 5 | GRANT 5: issued>g2 5', '5'],
      ['2026-12-01T14:59Z', null, 'nothing', '5'],
      ['2026-12-02T15:00Z', null, 'GRANT_EXPIRED 5: g2>expired 5 | GRANT 5: issued>g3 5', '5'],
    ]);
  });
});

describe('a budget', () => {
  const user = { labels: { user: 'ann' } };

  test('begins anew at midnight of the zone', () => {
    const store = ledger(plan({ ...postpaid(1_000n) }), [
      ['2026-11-30T12:00Z', open('America/New_York'), 'OPEN_ACCOUNT', '0'],
    ]);
    store.run(at('2026-11-30T12:01Z'), setBudget({ cap: 10n }));
    store.run(at('2026-12-01T04:59:59.999Z'), charge(10n, null, user));
    const { outcome } = store.run(at('2026-12-01T04:59:59.999Z'), charge(1n, null, user));
    expect(outcome).toBeInstanceOf(Failure);
    expect(outcome).toMatchObject({
      reason: 'BUDGET_EXCEEDED',
      metadata: { resets_at: '2026-12-01T05:00:00.000Z' },
    });
    expect(store.run(at('2026-12-01T05:00Z'), charge(10n, null, user)).outcome).not.toBeInstanceOf(
      Failure,
    );
    expect([...store.budgetCounters.values()].map(({ used }) => used)).toEqual([10n, 10n]);
  });
});

describe('overage', () => {
  test('counts from 0 at the first midnight of a month, and a refund before it lowers the old count', () => {
    const store = ledger(plan(postpaid(100n)), [
      ['2026-01-20', open('America/New_York'), 'OPEN_ACCOUNT', '0'],
      ['2026-02-01T04:00Z', charge(60n), 'CHARGE 60: overage>consumed 60', '0 overage 60'],
      ['2026-02-01T04:59Z', refund(2n, 10n), 'REFUND 10: consumed>overage 10', '0 overage 50'],
      ['2026-02-01T05:00Z', charge(100n), 'CHARGE 100: overage>consumed 100', '0 overage 100'],
      ['2026-02-01T05:01Z', refund(2n, 10n), 'REFUND 10: consumed>overage 10', '0 overage 100'],
    ]);
    expect(store.account.statementDueAt).toBe(at('2026-02-01T05:00Z'));
  });
});

describe('a time zone', () => {
  test('is that of the plan, unless the account is opened with one', () => {
    const tokyo = plan({ timeZone: 'Asia/Tokyo' });
    expect(ledger(tokyo, [['0s', open(), 'OPEN_ACCOUNT', '0']]).account.timeZones).toEqual([
      { zone: 'Asia/Tokyo', at: at('0s') },
    ]);
    expect(ledger(tokyo, [['0s', open('UTC'), 'OPEN_ACCOUNT', '0']]).account.timeZones).toBeNull();
    const store = ledger(plan(), [['0s', BERLIN, 'OPEN_ACCOUNT', '0']]);
    expect(store.entries[0]?.details).toEqual({ time_zone: 'Europe/Berlin' });
  });

  test('that the account has already changes nothing', () => {
    ledger(plan(), [
      ['0s', BERLIN, 'OPEN_ACCOUNT', '0'],
      ['1s', moved('Europe/Berlin'), 'nothing', '0'],
    ]);
  });

  test('is changed 50 times at most', () => {
    const store = ledger(plan(), [['0s', open(), 'OPEN_ACCOUNT', '0']]);
    for (let change = 1; change <= 50; change += 1)
      continueLedger(store, [
        [`${change}s`, moved(change % 2 === 0 ? 'UTC' : 'Asia/Tokyo'), 'UPDATE_ACCOUNT', '0'],
      ]);
    continueLedger(store, [['51s', moved('Asia/Tokyo'), 'INVALID_FIELD', '0']]);
    expect(store.account.timeZones).toHaveLength(51);
  });
});
