import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Failure } from '../../src/failure.ts';
import { effectivePauseFloor } from '../../src/ledger/account.ts';
import { balanceOf } from '../../src/ledger/balance.ts';
import type { Command } from '../../src/ledger/decide.ts';
import type { Criticality } from '../../src/ledger/pause-floor.ts';
import type { AccountStore } from './account-store.ts';
import {
  charge,
  close,
  commit,
  extend,
  grantCredits,
  plan,
  postpaid,
  reserve,
  update,
} from './fixtures.ts';
import { continueLedger, ledger } from './table.ts';
import { runScenario, scenarios } from './workload.ts';

const SHEDDABLE: { criticality: Criticality } = { criticality: 'SHEDDABLE' };

describe('below the pause floor', () => {
  test('sheddable work is refused and critical work is not', () => {
    ledger(plan({ pauseFloor: 50n }), [
      ['0s', grantCredits(51n), 'GRANT 51: issued>g1 51', '51'],
      ['1s', reserve(1n, SHEDDABLE), 'RESERVE 1: g1>(g1) 1', '51 (1)'],
      // At the floor is not below it. What is available counts, not what is asked for.
      ['2s', charge(5n, null, SHEDDABLE), 'CHARGE 5: g1>consumed 5', '46 (1)'],
      ['3s', charge(0n, null, SHEDDABLE), 'PAUSED_BELOW_FLOOR: available 45, floor 50', '46 (1)'],
      ['4s', reserve(0n, SHEDDABLE), 'PAUSED_BELOW_FLOOR: available 45, floor 50', '46 (1)'],
      ['5s', charge(1n), 'CHARGE 1: g1>consumed 1', '45 (1)'],
      ['6s', reserve(1n), 'RESERVE 1: g1>(g1) 1', '45 (2)'],
      ['7s', grantCredits(7n), 'GRANT 7: issued>g2 7', '52 (2)'],
      ['8s', charge(1n, null, SHEDDABLE), 'CHARGE 1: g1>consumed 1', '51 (2)'],
    ]);
  });

  test('active reservations can be committed and released', () => {
    ledger(plan({ pauseFloor: 50n }), [
      ['0s', grantCredits(60n), 'GRANT 60: issued>g1 60', '60'],
      ['1s', reserve(40n, SHEDDABLE), 'RESERVE 40: g1>(g1) 40', '60 (40)'],
      ['2s', extend('r1', '1h'), 'EXTEND', '60 (40)'],
      ['3s', commit('r1', 30n), 'COMMIT 30: (g1)>consumed 30, (g1)>g1 10', '30'],
    ]);
  });

  test('a closed account fails as closed, whatever its balance', () => {
    ledger(plan({ pauseFloor: 50n }), [
      ['0s', close(), 'CLOSE_ACCOUNT', '0'],
      ['1s', charge(0n, null, SHEDDABLE), 'ACCOUNT_CLOSED', '0'],
    ]);
  });
});

describe('the effective floor', () => {
  test('is the account’s own if it has one; 0 switches the plan’s off', () => {
    const store = ledger(plan({ pauseFloor: 50n }), [
      ['0s', grantCredits(20n), 'GRANT 20: issued>g1 20', '20'],
      ['1s', charge(1n, null, SHEDDABLE), 'PAUSED_BELOW_FLOOR', '20'],
      ['2s', update(null, { pauseFloor: 20n }), 'UPDATE_ACCOUNT', '20'],
      ['3s', charge(1n, null, SHEDDABLE), 'CHARGE 1: g1>consumed 1', '19'],
      ['4s', charge(1n, null, SHEDDABLE), 'PAUSED_BELOW_FLOOR: available 19, floor 20', '19'],
      ['5s', update(null, { pauseFloor: 0n }), 'UPDATE_ACCOUNT', '19'],
      ['6s', charge(1n, null, SHEDDABLE), 'CHARGE 1: g1>consumed 1', '18'],
      ['7s', update('Acme'), 'UPDATE_ACCOUNT', '18'],
      ['8s', charge(1n, null, SHEDDABLE), 'CHARGE 1: g1>consumed 1', '17'],
      ['9s', update(null, { pauseFloor: null }), 'UPDATE_ACCOUNT', '17'],
    ]);
    continueLedger(store, [['10s', charge(1n, null, SHEDDABLE), 'PAUSED_BELOW_FLOOR', '17']]);
    expect(store.account.displayName).toBe('Acme');
  });

  test('of 0 pauses nothing, even if reserved overage makes available negative', () => {
    ledger(plan(postpaid(90n)), [
      ['0s', reserve(5n), 'RESERVE 5: overage>(overage) 5', '0 (5)'],
      ['1s', charge(1n, null, SHEDDABLE), 'CHARGE 1: overage>consumed 1', '0 (5) overage 1'],
    ]);
  });
});

/** What the balance shows as available for the operations of a request. */
function availableFor(store: AccountStore, command: Command | null): bigint {
  const { account, grants, plan } = store;
  const { available, limited } = balanceOf(account, [...grants.values()], plan, account.lastAt);
  const amount = command && 'amount' in command ? command.amount : null;
  const usages = typeof amount === 'object' && amount && 'usages' in amount ? amount.usages : [];
  return limited
    .filter(({ operations }) => usages.some((usage) => operations.includes(usage.operation)))
    .reduce((sum, some) => sum + some.available, available);
}

/** A request is checked and priced before the floor is compared with what its operations can use. */
const INVALID: ReadonlySet<string> = new Set([
  'INVALID_FIELD',
  'QUANTITY_OUT_OF_RANGE',
  'UNKNOWN_OPERATION',
  'RATE_CARD_VERSION_UNKNOWN',
  'LATE_USAGE_NOT_ALLOWED',
]);

test('in every scenario, only sheddable work below the floor is paused', () => {
  fc.assert(
    fc.property(scenarios(60), (random) => {
      runScenario(random, (store, now, command) => {
        store.run(now, null);
        const { account, plan } = store;
        const floor = effectivePauseFloor(account, plan.terms);
        const below = floor > 0n && availableFor(store, command) < floor;
        const { outcome } = store.run(now, command);
        const sheddable =
          (command?.kind === 'Reserve' || command?.kind === 'Charge') &&
          command.criticality === 'SHEDDABLE';
        const reason = outcome instanceof Failure ? outcome.reason : null;
        const paused = reason === 'PAUSED_BELOW_FLOOR';
        if (reason !== null && INVALID.has(reason)) return;
        const takesWork = account.state === 'OPEN' && account.suspension === null;
        assert.equal(paused, sheddable && below && takesWork);
      });
    }),
    { numRuns: 200 },
  );
}, 120_000);
