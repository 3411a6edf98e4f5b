/** Allowances of any period, and what rolls over into the next period. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { allowancePeriodAt } from '../../src/ledger/allowance.ts';
import { balanceOf } from '../../src/ledger/balance.ts';
import type { Allowance } from '../../src/pricing/plan.ts';
import { AccountStore } from './account-store.ts';
import {
  allowance,
  at,
  charge,
  close,
  commit,
  ms,
  open,
  plan,
  refund,
  release,
  reserve,
  START,
} from './fixtures.ts';
import { audit, continueLedger, ledger } from './table.ts';

const periodOf = (every: Allowance['every'], openedAt: number, instant: number) =>
  allowancePeriodAt({ openedAt, timeZones: null }, { every }, instant);

const iso = (instant: number): string => new Date(instant).toISOString();

const periodsOf = (store: AccountStore) =>
  [...store.grants.values()]
    .filter(({ source }) => source === 'ALLOWANCE')
    .map(({ sourceReference }) => sourceReference);

describe('a period', () => {
  test.each<[string, Allowance['every'], string, string, string, string]>([
    ['month', 'month', '2026-01-31T10:00Z', '2026-02-01T00:00Z', '2026-02-01', '2026-03-01'],
    ['month', 'month', '2026-01-31T10:00Z', '2026-12-31T23:59Z', '2026-12-01', '2027-01-01'],
    [
      '1 months',
      { months: 1 },
      '2026-01-31T10:00Z',
      '2026-01-31T10:00Z',
      '2026-01-31T10:00Z',
      '2026-02-28T10:00Z',
    ],
    [
      '1 months',
      { months: 1 },
      '2026-01-31T10:00Z',
      '2026-03-01T00:00Z',
      '2026-02-28T10:00Z',
      '2026-03-31T10:00Z',
    ],
    [
      '1 months',
      { months: 1 },
      '2026-01-31T10:00Z',
      '2028-02-29T10:00Z',
      '2028-02-29T10:00Z',
      '2028-03-31T10:00Z',
    ],
    [
      '3 months',
      { months: 3 },
      '2026-01-31T10:00Z',
      '2026-07-31T09:59Z',
      '2026-04-30T10:00Z',
      '2026-07-31T10:00Z',
    ],
    [
      '30 days',
      { days: 30 },
      '2026-01-31T10:00Z',
      '2026-03-02T10:00Z',
      '2026-03-02T10:00Z',
      '2026-04-01T10:00Z',
    ],
    [
      '7 days',
      { days: 7 },
      '2026-01-31T10:00Z',
      '2026-02-07T09:59Z',
      '2026-01-31T10:00Z',
      '2026-02-07T10:00Z',
    ],
  ])('of %s, for an account opened at %3$s', (_, every, opened, when, from, until) => {
    expect(periodOf(every, at(opened), at(when))).toEqual({ from: at(from), until: at(until) });
  });

  test('contains its moment, ends where the next starts, and is counted from the opening', () => {
    const lengths = fc.oneof(
      fc.integer({ min: 1, max: 90 }).map((days) => ({ days })),
      fc.integer({ min: 1, max: 14 }).map((months) => ({ months })),
      fc.constant('month' as const),
    );
    const instants = fc.integer({ min: at('2024-01-01'), max: at('2060-01-01') });
    fc.assert(
      fc.property(lengths, instants, fc.nat(ms('366d')), (every, opened, laterMs) => {
        const period = periodOf(every, opened, opened + laterMs * 10);
        expect(period.from).toBeLessThanOrEqual(opened + laterMs * 10);
        expect(period.until).toBeGreaterThan(opened + laterMs * 10);
        expect(periodOf(every, opened, period.until).from).toBe(period.until);
        expect(periodOf(every, opened, period.until - 1)).toEqual(period);
        if (every === 'month' || 'days' in every) return;
        const [first, day] = [new Date(opened), new Date(period.from)];
        const tomorrow = new Date(period.from + ms('1d'));
        // On the day of the opening, or on the last day of a shorter month.
        expect(
          day.getUTCDate() === first.getUTCDate() ||
            (day.getUTCDate() < first.getUTCDate() && tomorrow.getUTCDate() === 1),
        ).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('an allowance with a period counted from the opening', () => {
  const EVERY_MONTH = allowance(50n, { every: { months: 1 } });

  test('is granted at the opening and at the start of each period', () => {
    const store = ledger(plan(EVERY_MONTH), [
      ['2026-01-31T10:00Z', open(), 'OPEN_ACCOUNT | GRANT 50: issued>g1 50', '50'],
      ['2026-02-28T09:59Z', charge(20n), 'CHARGE 20: g1>consumed 20', '30'],
      ['2026-02-28T10:00Z', null, 'GRANT_EXPIRED 30: g1>expired 30 | GRANT 50: issued>g2 50', '50'],
      ['2026-03-31T10:00Z', null, 'GRANT_EXPIRED 50: g2>expired 50 | GRANT 50: issued>g3 50', '50'],
    ]);
    expect(periodsOf(store)).toEqual([
      '2026-01-31T10:00:00.000Z',
      '2026-02-28T10:00:00.000Z',
      '2026-03-31T10:00:00.000Z',
    ]);
  });

  test('is granted exactly once per period, whenever the account is settled', () => {
    const settledDays = fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 20 });
    const lengths = fc.constantFrom({ days: 30 }, { days: 1 }, { months: 1 }, { months: 3 });
    fc.assert(
      fc.property(lengths, settledDays, (every, days) => {
        const store = new AccountStore(plan(allowance(50n, { every })), START);
        store.run(START, open());
        const moments = days.map((day) => START + day * ms('1d')).toSorted((a, b) => a - b);
        for (const moment of moments) store.run(moment, null);
        const expected: string[] = [];
        let from = START;
        while (from <= (moments.at(-1) ?? START)) {
          expected.push(iso(from));
          from = periodOf(every, START, from).until;
        }
        expect(periodsOf(store)).toEqual(expected);
        expect(store.account.remaining).toBe(50n);
        audit(store);
      }),
      { numRuns: 50 },
    );
  });

  test('changes its period when the next allowance is due', () => {
    const store = ledger(plan(EVERY_MONTH), [
      ['2026-01-10T06:00Z', open(), 'OPEN_ACCOUNT | GRANT 50: issued>g1 50', '50'],
    ]);
    store.plan = plan(allowance(40n));
    continueLedger(store, [
      ['2026-02-10T06:00Z', null, 'GRANT_EXPIRED 50: g1>expired 50 | GRANT 40: issued>g2 40', '40'],
      ['2026-03-01', null, 'GRANT_EXPIRED 40: g2>expired 40 | GRANT 40: issued>g3 40', '40'],
    ]);
    store.plan = plan(allowance(30n, { every: { days: 1 } }));
    continueLedger(store, [
      ['2026-04-01T05:59Z', null, 'GRANT_EXPIRED 40: g3>expired 40 | GRANT 30: issued>g4 30', '30'],
      ['2026-04-01T06:00Z', null, 'GRANT_EXPIRED 30: g4>expired 30 | GRANT 30: issued>g5 30', '30'],
    ]);
    expect(new Set(periodsOf(store)).size).toBe(5);
  });

  test('of a plan that did not have one starts with the next period', () => {
    const store = ledger(plan(), [['2026-01-10T06:00Z', charge(0n), 'CHARGE 0', '0']]);
    store.plan = plan(allowance(50n, { every: { days: 7 } }));
    continueLedger(store, [
      ['2026-01-18', null, 'nothing', '0'],
      ['2026-01-24T06:00Z', null, 'GRANT 50: issued>g1 50', '50'],
    ]);
  });
});

describe('an allowance with rollover', () => {
  test('of `all` never expires, and the oldest is spent first', () => {
    ledger(plan(allowance(50n, { rollover: 'all' })), [
      ['0s', open(), 'OPEN_ACCOUNT | GRANT 50: issued>g1 50', '50'],
      ['2026-02-01', null, 'GRANT 50: issued>g2 50', '100'],
      ['2026-02-02', charge(70n), 'CHARGE 70: g1>consumed 50, g2>consumed 20', '30'],
      ['2026-04-01', null, 'GRANT 50: issued>g3 50 | GRANT 50: issued>g4 50', '130'],
    ]);
  });

  test('of `up_to` keeps the newest credits, of all periods together', () => {
    const store = ledger(plan(allowance(50n, { rollover: { upTo: 60n } })), [
      ['0s', open(), 'OPEN_ACCOUNT | GRANT 50: issued>g1 50', '50'],
      ['2026-02-01', null, 'GRANT 50: issued>g2 50', '100'],
      ['2026-03-01', null, 'GRANT_EXPIRED 40: g1>expired 40 | GRANT 50: issued>g3 50', '110'],
      ['2026-03-02', charge(5n), 'CHARGE 5: g1>consumed 5', '105'],
      [
        '2026-04-01',
        null,
        'GRANT_EXPIRED 5: g1>expired 5 | GRANT_EXPIRED 40: g2>expired 40 | GRANT 50: issued>g4 50',
        '110',
      ],
    ]);
    expect([...store.grants.values()].map(({ state, remaining }) => [state, remaining])).toEqual([
      ['EXPIRED', 0n],
      ['OPEN', 10n],
      ['OPEN', 50n],
      ['OPEN', 50n],
    ]);
  });

  test('of `up_to` counts reserved credits, and does not expire them', () => {
    ledger(plan(allowance(50n, { rollover: { upTo: 10n } })), [
      ['2026-01-31T23:00Z', open(), 'OPEN_ACCOUNT | GRANT 50: issued>g1 50', '50'],
      ['2026-01-31T23:50Z', reserve(30n), 'RESERVE 30: g1>(g1) 30', '50 (30)'],
      ['2026-02-01', null, 'GRANT_EXPIRED 20: g1>expired 20 | GRANT 50: issued>g2 50', '80 (30)'],
      ['2026-02-01T00:01Z', commit('r1', 4n), 'COMMIT 4: (g1)>consumed 4, (g1)>g1 26', '76'],
      [
        '2026-03-01',
        null,
        'GRANT_EXPIRED 26: g1>expired 26 | GRANT_EXPIRED 40: g2>expired 40 | GRANT 50: issued>g3 50',
        '60',
      ],
    ]);
  });

  test('that expired and is refunded can be spent until the next period starts', () => {
    const store = ledger(plan(allowance(50n, { rollover: { upTo: 10n } })), [
      ['0s', open(), 'OPEN_ACCOUNT | GRANT 50: issued>g1 50', '50'],
      ['1s', charge(30n), 'CHARGE 30: g1>consumed 30', '20'],
      ['2026-02-01', null, 'GRANT_EXPIRED 10: g1>expired 10 | GRANT 50: issued>g2 50', '60'],
      ['2026-02-02', charge(10n), 'CHARGE 10: g1>consumed 10', '50'],
      ['2026-02-03', refund(3n, 25n), 'REFUND 25: consumed>g1 25', '75'],
      [
        '2026-03-01',
        null,
        'GRANT_EXPIRED 25: g1>expired 25 | GRANT_EXPIRED 40: g2>expired 40 | GRANT 50: issued>g3 50',
        '60',
      ],
    ]);
    expect(store.grants.get(1n)?.state).toBe('EXPIRED');
  });

  test('expires at the start of the next period if the plan no longer rolls over', () => {
    const store = ledger(plan(allowance(50n, { rollover: 'all' })), [
      ['0s', open(), 'OPEN_ACCOUNT | GRANT 50: issued>g1 50', '50'],
    ]);
    store.plan = plan(allowance(50n));
    continueLedger(store, [
      ['2026-02-01', null, 'GRANT_EXPIRED 50: g1>expired 50 | GRANT 50: issued>g2 50', '50'],
      ['2026-03-01', null, 'GRANT_EXPIRED 50: g2>expired 50 | GRANT 50: issued>g3 50', '50'],
    ]);
  });

  test('is applied in order of time, whenever the account is settled', () => {
    // A reservation holds credits over the start of two periods, and gives them back after both.
    const terms = allowance(50n, { every: { days: 1 }, rollover: { upTo: 10n } });
    const grantsAfter = (instants: readonly string[]) => {
      const store = new AccountStore(
        plan({ ...terms, reservation: { ttlMs: ms('60h'), maxTtlMs: ms('60h'), graceMs: 0 } }),
        START,
      );
      store.run(START, open());
      store.run(START, reserve(45n));
      for (const instant of instants) store.run(at(instant), null);
      return [...store.grants.values()].map(({ remaining, state }) => [remaining, state]);
    };
    const stepwise = grantsAfter(['24h', '36h', '48h', '60h']);
    expect(grantsAfter(['60h'])).toEqual(stepwise);
    expect(stepwise).toEqual([
      [45n, 'OPEN'],
      [0n, 'EXPIRED'],
      [50n, 'OPEN'],
    ]);
  });

  test('never rolls over more than the limit, and the excess is breakage', () => {
    const steps = fc.array(
      fc.record({
        waitMs: fc.nat(ms('40d')),
        command: fc.oneof(
          fc.bigInt(0n, 80n).map((credits) => charge(credits)),
          fc.bigInt(0n, 80n).map((credits) => reserve(credits)),
          fc.constant(null),
        ),
      }),
      { maxLength: 20 },
    );
    fc.assert(
      fc.property(fc.bigInt(1n, 120n), steps, (upTo, all) => {
        const store = new AccountStore(plan(allowance(50n, { rollover: { upTo } })), START);
        let now = START;
        store.run(now, open());
        for (const { waitMs, command } of all) {
          now += waitMs;
          const before = store.entries.length;
          store.run(now, command);
          let remaining = store.entries[before - 1]?.remainingAfter ?? 0n;
          for (const entry of store.entries.slice(before)) {
            const reserved = entry.reservedAfter;
            const most = upTo > reserved ? upTo : reserved;
            if (entry.kind === 'GRANT') expect(remaining).toBeLessThanOrEqual(most);
            remaining = entry.remainingAfter;
          }
        }
        audit(store);
      }),
      { numRuns: 200 },
    );
  });
});

describe('the next allowance', () => {
  const next = (store: AccountStore) => {
    const { account, grants, plan } = store;
    return balanceOf(account, [...grants.values()], plan, account.lastAt).nextAllowance;
  };

  test('is shown with its time, and with its credits by the present plan', () => {
    const store = ledger(plan(allowance(50n)), [
      ['0s', open(), 'OPEN_ACCOUNT | GRANT 50: issued>g1 50', '50'],
    ]);
    expect(next(store)).toEqual({ dueAt: at('2026-02-01'), credits: 50n });
    store.plan = plan(allowance(60n));
    expect(next(store)).toEqual({ dueAt: at('2026-02-01'), credits: 60n });
  });

  test('is null without an allowance, and for a closed account', () => {
    expect(next(ledger(plan(), [['0s', charge(0n), 'CHARGE 0', '0']]))).toBeNull();
    const store = ledger(plan(allowance(50n)), [
      ['0s', open(), 'OPEN_ACCOUNT | GRANT 50: issued>g1 50', '50'],
      ['0s', release('r9'), 'RESERVATION_NOT_FOUND', '50'],
      ['1s', close(), 'CLOSE_ACCOUNT', '50'],
    ]);
    expect(next(store)).toBeNull();
  });
});
