/** The events of a balance: one for each level that the usable credits cross. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { balanceOf } from '../../src/ledger/balance.ts';
import type { Command } from '../../src/ledger/decide.ts';
import { usableCredits } from '../../src/ledger/usable-credits.ts';
import { type LowBalanceLevel, levelName } from '../../src/pricing/low-balance-level.ts';
import { AccountStore } from './account-store.ts';
import {
  allowance,
  at,
  charge,
  commit,
  grantCredits,
  open,
  plan,
  postpaid,
  release,
  reserve,
  update,
} from './fixtures.ts';
import { runScenario, scenarios } from './workload.ts';

const credits = (...amounts: readonly bigint[]): readonly LowBalanceLevel[] =>
  amounts.map((amount) => ({ credits: amount }));
const percent = (...percents: readonly number[]): readonly LowBalanceLevel[] =>
  percents.map((value) => ({ percent: value }));
const at50 = { lowBalanceLevels: credits(50n) };
const own = (lowBalanceLevels: readonly LowBalanceLevel[] | null) =>
  update(null, { lowBalanceLevels });

/** The events of each command, e.g. "low 50: 40" for 40 usable credits below the level 50. */
type Row = readonly [command: Command | null, events: string];

function expectEvents(store: AccountStore, rows: readonly Row[]) {
  const actual = rows.map(([command], index) => {
    const before = store.events.length;
    store.run(at(`${index + 1}s`), command);
    const texts = store.events
      .slice(before)
      .filter(({ type }) => type.startsWith('balance.'))
      .map(({ type, data }) =>
        type === 'balance.depleted'
          ? 'depleted'
          : `${type.slice(8)} ${data['level']}: ${data['usable']}`,
      );
    return [command, texts.join(', ')];
  });
  expect(actual).toEqual(rows.map(([command, text]) => [command, text]));
}

function opened(terms: Parameters<typeof plan>[0]): AccountStore {
  const store = new AccountStore(plan(terms), at('0s'));
  store.run(at('0s'), open());
  return store;
}

const flagsOf = ({ account, grants, plan }: AccountStore) => {
  const { usable, lowBalance, levels } = balanceOf(
    account,
    [...grants.values()],
    plan,
    account.lastAt,
  );
  return [usable, lowBalance, levels.map(({ threshold, low }) => [threshold, low])];
};

describe('a balance becomes', () => {
  test('low below a level, and recovers at 110 % of it', () => {
    expectEvents(opened(at50), [
      [grantCredits(60n), ''],
      [charge(0n), ''],
      [charge(10n), ''],
      [charge(1n), 'low 50: 49'],
      [charge(9n), ''],
      [grantCredits(10n), ''],
      [grantCredits(4n), ''],
      [charge(5n), ''],
      [grantCredits(6n), 'recovered 50: 55'],
      [charge(6n), 'low 50: 49'],
    ]);
  });

  test('low by what is spent, and not by what is only held', () => {
    const store = opened({ lowBalanceLevels: credits(100n) });
    const ten = Array.from({ length: 10 }, () => reserve(10n));
    const all = Array.from({ length: 10 }, (_, index) => release(`r${index + 1}`));
    expectEvents(store, [
      [grantCredits(105n), ''],
      ...[...ten, ...all].map((command): Row => [command, '']),
      [reserve(20n), ''],
      [commit('r11', 5n), ''],
      [reserve(20n), ''],
      [commit('r12', 1n), 'low 100: 99'],
    ]);
  });

  test('depleted when nothing is left, whatever its levels', () => {
    expectEvents(opened({ lowBalanceLevels: [] }), [
      [grantCredits(10n), ''],
      [reserve(10n), ''],
      [commit('r1', 9n), ''],
      [charge(1n), 'depleted'],
      [charge(0n), ''],
      [grantCredits(1n), 'recovered 0: 1'],
      [charge(1n), 'depleted'],
    ]);
  });

  test('low at several levels, each with its own event', () => {
    expectEvents(opened({ lowBalanceLevels: [...credits(50n, 20n), ...percent(10)] }), [
      [grantCredits(100n), ''],
      [charge(51n), 'low 50: 49'],
      [charge(30n), 'low 20: 19'],
      [charge(9n), ''],
      [charge(1n), 'low 10%: 9'],
      [charge(9n), 'depleted'],
      [
        grantCredits(100n),
        'recovered 50: 100, recovered 20: 100, recovered 10%: 100, recovered 0: 100',
      ],
      [charge(100n), 'low 50: 0, low 20: 0, low 10%: 0, depleted'],
    ]);
  });

  test('low at a percentage of the grants that have credits left', () => {
    const store = opened({ lowBalanceLevels: percent(20) });
    expectEvents(store, [
      [grantCredits(100n), ''],
      [grantCredits(401n), ''],
      // 20 % of 501, rounded up, is 101.
      [charge(100n), ''],
      [charge(320n), ''],
      [charge(1n), 'low 20%: 80'],
      // 110 % of 20 % of 901 is 199.
      [grantCredits(400n), 'recovered 20%: 480'],
    ]);
    expect(flagsOf(store)).toEqual([480n, false, [[161n, false]]]);
  });

  test('not recovered from a percentage because a grant was used up', () => {
    expectEvents(opened({ lowBalanceLevels: percent(10) }), [
      [grantCredits(1_000n), ''],
      [grantCredits(50n), ''],
      [charge(960n), 'low 10%: 90'],
      [charge(40n), ''],
      [charge(1n), ''],
      [grantCredits(1n), 'recovered 10%: 50'],
    ]);
  });

  test('nothing when a command fails', () => {
    expectEvents(opened(at50), [
      [grantCredits(60n), ''],
      [charge(61n), ''],
      [null, ''],
    ]);
  });

  test('nothing when an allowance expires and the next one is granted', () => {
    const store = opened({ ...at50, ...allowance(50n) });
    store.run(at('2026-02-01'), null);
    expect(store.events.map(({ type }) => type)).toEqual(['grant.expired']);
  });

  test('nothing by overage', () => {
    expectEvents(opened({ ...at50, ...postpaid(90n) }), [
      [grantCredits(60n), ''],
      [reserve(65n), ''],
      [release('r1'), ''],
      [charge(65n), 'low 50: 0, depleted'],
      [charge(5n), ''],
    ]);
  });
});

describe('an account that is opened below a level', () => {
  test('shows it as low, and reports it with the first change of its balance', () => {
    const store = opened({ ...at50, welcome: { credits: 20n, validity: null } });
    expect([store.events, flagsOf(store)]).toEqual([[], [20n, true, [[50n, true]]]]);
    expectEvents(store, [
      [null, ''],
      [update('Acme'), ''],
      [reserve(5n), ''],
      [release('r1'), ''],
      [charge(1n), 'low 50: 19'],
      [charge(19n), 'depleted'],
    ]);
  });

  test('without credits reports that the first ones are few', () => {
    expectEvents(opened(at50), [
      [grantCredits(20n), 'low 50: 20'],
      [charge(20n), 'depleted'],
    ]);
    expectEvents(opened(at50), [[grantCredits(50n), '']]);
  });
});

describe('a changed level applies', () => {
  test('at once, if it is the account’s own', () => {
    const store = opened(at50);
    expectEvents(store, [
      [grantCredits(60n), ''],
      [own(credits(61n)), 'low 61: 60'],
      [own(credits(54n)), 'recovered 61: 60'],
      [own(credits(61n)), 'low 61: 60'],
      [own(null), 'recovered 61: 60'],
      [charge(60n), 'low 50: 0, depleted'],
      [own([]), 'recovered 50: 0'],
      [update('Acme'), ''],
    ]);
    expect(store.account).toMatchObject({ lowBalanceLevels: [], lowLevels: ['0'] });
  });

  test('at once, if the account has never had a credit', () => {
    expectEvents(opened(at50), [[own(credits(7n)), 'low 7: 0, depleted']]);
  });

  test('when the account is settled next, if it is the plan’s and the account has none', () => {
    const store = opened(at50);
    expectEvents(store, [[grantCredits(60n), '']]);
    store.plan = plan({ lowBalanceLevels: credits(70n) });
    expectEvents(store, [
      [null, 'low 70: 60'],
      [null, ''],
      [own(credits(50n)), 'recovered 70: 60'],
    ]);
    store.plan = plan({ lowBalanceLevels: credits(90n) });
    expectEvents(store, [[null, '']]);
  });
});

test('in every scenario, the events of each level alternate and agree with the flags', () => {
  fc.assert(
    fc.property(scenarios(60), (random) => {
      runScenario(random, (store, now, command) => {
        store.run(now, command);
        const low = new Set<string>();
        for (const { type, data } of store.events) {
          if (!type.startsWith('balance.')) continue;
          const { level = '', usable = '', threshold = '' } = data;
          const isLow = type !== 'balance.recovered';
          assert.notEqual(low.has(level), isLow, `${type} of ${level} again`);
          if (isLow) low.add(level);
          else low.delete(level);
          const below = BigInt(usable) < BigInt(threshold) || BigInt(usable) === 0n;
          if (isLow) assert(below, `${type} of ${level} at ${usable}`);
        }
        const { account, plan } = store;
        const grants = [...store.grants.values()];
        assert.deepEqual(new Set(account.lowLevels ?? []), low);
        const { usable, levels } = balanceOf(account, grants, plan, account.lastAt);
        assert.equal(usable, usableCredits(account, grants, plan));
        for (const { level, threshold, low: shown } of levels) {
          if (account.lowLevels !== null) assert.equal(shown, low.has(levelName(level)));
          if (usable < threshold) assert(shown);
          if (shown && 'credits' in level) assert(usable * 10n < threshold * 11n);
        }
        if (account.lowLevels !== null) assert.equal(low.has('0'), usable === 0n);
        assert.equal(account.eventCount, BigInt(store.events.length));
      });
    }),
    { numRuns: 200 },
  );
}, 120_000);
