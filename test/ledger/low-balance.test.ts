/** balance.low and balance.recovered alternate: one when the balance becomes low, one when it recovers. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { availableCredits, effectiveLowBalanceThreshold } from '../../src/ledger/account.ts';
import type { Command } from '../../src/ledger/decide.ts';
import { AccountStore } from './account-store.ts';
import {
  allowance,
  at,
  charge,
  grantCredits,
  open,
  plan,
  postpaid,
  refund,
  release,
  reserve,
  update,
} from './fixtures.ts';
import { runScenario, scenarios } from './workload.ts';

const own = (lowBalanceThreshold: bigint | null) => update(null, { lowBalanceThreshold });

/** The events of each command, e.g. "low 40/50" for 40 available and a threshold of 50. */
type Row = readonly [command: Command | null, events: string];

function expectEvents(store: AccountStore, rows: readonly Row[]) {
  const actual = rows.map(([command], index) => {
    const before = store.events.length;
    store.run(at(`${index + 1}s`), command);
    const texts = store.events
      .slice(before)
      .filter(({ type }) => type.startsWith('balance.'))
      .map(({ type, data }) => `${type.slice(8)} ${data['available']}/${data['threshold']}`);
    return [command, texts.join(', ')];
  });
  expect(actual).toEqual(rows.map(([command, text]) => [command, text]));
}

function opened(terms: Parameters<typeof plan>[0]): AccountStore {
  const store = new AccountStore(plan(terms), at('0s'));
  store.run(at('0s'), open());
  return store;
}

describe('a balance becomes', () => {
  test('low below the threshold, and recovered at or above it', () => {
    expectEvents(opened({ lowBalanceThreshold: 50n }), [
      [grantCredits(50n), 'recovered 50/50'],
      [charge(0n), ''],
      [charge(1n), 'low 49/50'],
      [charge(9n), ''],
      [grantCredits(9n), ''],
      [grantCredits(1n), 'recovered 50/50'],
      [charge(1n), 'low 49/50'],
    ]);
  });

  test('low by reserving as well as by spending', () => {
    expectEvents(opened({ lowBalanceThreshold: 50n }), [
      [grantCredits(60n), 'recovered 60/50'],
      [reserve(11n), 'low 49/50'],
      [release('r1'), 'recovered 60/50'],
      [charge(11n), 'low 49/50'],
      [refund(4n), 'recovered 60/50'],
    ]);
  });

  test('neither when the account is opened', () => {
    const poor = opened({ lowBalanceThreshold: 50n });
    expect([poor.events, poor.account.lowBalance]).toEqual([[], true]);
    const welcome = { credits: 50n, validity: null };
    const rich = opened({ lowBalanceThreshold: 50n, welcome });
    expect([rich.events, rich.account.lowBalance]).toEqual([[], false]);
  });

  test('neither when a command fails', () => {
    expectEvents(opened({ lowBalanceThreshold: 50n }), [
      [grantCredits(60n), 'recovered 60/50'],
      [charge(61n), ''],
      [null, ''],
    ]);
  });

  test('neither when an allowance expires and the next one is granted', () => {
    const store = opened({ lowBalanceThreshold: 50n, ...allowance(50n) });
    store.run(at('2026-02-01'), null);
    expect(store.events.map(({ type }) => type)).toEqual(['grant.expired']);
  });

  test('low by reserved overage', () => {
    expectEvents(opened({ lowBalanceThreshold: 0n, ...postpaid(90n) }), [
      [reserve(5n), 'low -5/0'],
      [release('r1'), 'recovered 0/0'],
      // Used overage is owed, and does not lower available.
      [charge(5n), ''],
    ]);
  });
});

describe('a changed threshold applies', () => {
  test('at once, if it is the account’s own', () => {
    const store = opened({ lowBalanceThreshold: 50n });
    expectEvents(store, [
      [grantCredits(60n), 'recovered 60/50'],
      [own(61n), 'low 60/61'],
      [own(60n), 'recovered 60/60'],
      [own(61n), 'low 60/61'],
      [own(null), 'recovered 60/50'],
      [charge(60n), 'low 0/50'],
      [own(0n), 'recovered 0/0'],
      [update('Acme'), ''],
    ]);
    expect(store.account.lowBalanceThreshold).toBe(0n);
  });

  test('when the account is settled next, if it is the plan’s and the account has none', () => {
    const store = opened({ lowBalanceThreshold: 50n });
    expectEvents(store, [[grantCredits(60n), 'recovered 60/50']]);
    store.plan = plan({ lowBalanceThreshold: 70n });
    expectEvents(store, [
      [null, 'low 60/70'],
      [null, ''],
      [own(50n), 'recovered 60/50'],
    ]);
    store.plan = plan({ lowBalanceThreshold: 90n });
    expectEvents(store, [[null, '']]);
  });
});

test('in every scenario, low and recovered alternate, and the last event is true', () => {
  fc.assert(
    fc.property(scenarios(60), (random) => {
      let first: boolean | null = null;
      runScenario(random, (store, now, command) => {
        first ??= store.account.lowBalance;
        store.run(now, command);
        const crossings = store.events.filter(({ type }) => type.startsWith('balance.'));
        crossings.forEach(({ type, data }, index) => {
          const low = type === 'balance.low';
          assert.equal(low, first === (index % 2 === 1), `crossing ${index}`);
          assert.equal(BigInt(data['available']!) < BigInt(data['threshold']!), low);
        });
        const { account, plan } = store;
        const low = availableCredits(account) < effectiveLowBalanceThreshold(account, plan.terms);
        assert.equal(account.lowBalance, low);
        assert.equal(low, first === (crossings.length % 2 === 0));
        assert.deepEqual(
          store.events.map(({ seq }) => seq),
          store.events.map((_, index) => BigInt(index + 1)),
        );
        assert.equal(account.eventCount, BigInt(store.events.length));
      });
    }),
    { numRuns: 200 },
  );
}, 120_000);
