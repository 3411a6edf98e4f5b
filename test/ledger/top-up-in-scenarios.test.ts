/** What is true of top-ups in every random history. */

import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'vitest';
import { Failure } from '../../src/failure.ts';
import type { Account } from '../../src/ledger/account.ts';
import type { Command } from '../../src/ledger/decide.ts';
import { monthStart } from '../../src/ledger/month.ts';
import { backoffMs, TOP_UP_LEASE_MS } from '../../src/ledger/top-up.ts';
import { usableCredits } from '../../src/ledger/usable-credits.ts';
import type { AccountStore } from './account-store.ts';
import { charge, grantCredits, ms, START } from './fixtures.ts';

import { declined, ended, funded, off, on, paid, start } from './topping-up.ts';

type Step = {
  readonly waitMs: number;
  readonly command: Command | 'end' | 'decline' | 'refuse' | null;
};

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    waitMs: fc.oneof(
      fc.constant(0),
      fc.integer({ min: 1, max: ms('10m') }),
      fc.integer({ min: 1, max: ms('3h') }),
      fc.integer({ min: 1, max: ms('20d') }),
    ),
    command: fc.oneof(
      { weight: 4, arbitrary: fc.bigInt(1n, 60n).map((credits) => charge(credits)) },
      { weight: 2, arbitrary: fc.bigInt(1n, 60n).map((credits) => grantCredits(credits)) },
      { weight: 8, arbitrary: fc.constant(start) },
      {
        weight: 6,
        arbitrary: fc.constantFrom('end' as const, 'decline' as const, 'refuse' as const),
      },
      {
        weight: 2,
        arbitrary: fc
          .integer({ min: 1, max: 3 })
          .chain((monthlyCap) =>
            fc
              .bigInt(1n, 100n * BigInt(monthlyCap))
              .map((threshold) => on({ threshold, monthlyCap })),
          ),
      },
      { weight: 1, arbitrary: fc.constantFrom<Command | null>(off, null) },
    ),
  }),
  { minLength: 1, maxLength: 60, size: 'max' },
);

const usableIn = (account: Account, { grants, plan }: AccountStore) =>
  usableCredits(account, [...grants.values()], plan);

/** The two ways in which the service learns of a decline. */
function toCommand(command: Exclude<Step['command'], 'end'>, pending: string): Command | null {
  if (command === 'decline') return declined(pending);
  return command === 'refuse' ? ended(pending, 'no') : command;
}

test('in every scenario at most one is in progress, and none starts too early or beyond the cap', () => {
  fc.assert(
    fc.property(steps, (random) => {
      const store = funded(100n);
      let now = START;
      const starts: { at: number; declined: boolean; quantity: number }[] = [];
      let notBefore = 0;
      for (const { waitMs, command } of random) {
        now += waitMs;
        store.run(now, null);
        const before = structuredClone(store.account);
        const pending = before.topUps?.purchaseId ?? null;
        const resolved =
          command === 'end' ? paid(pending ?? 'p0') : toCommand(command, pending ?? 'p0');
        if (resolved?.kind === 'UpdateAccount' && before.autoTopUp === null) notBefore = 0;
        const purchasesBefore = store.purchases.length;
        const { outcome } = store.run(now, resolved);
        const { account } = store;

        if (store.purchases.length > purchasesBefore) {
          const { autoTopUp } = before;
          assert(autoTopUp && pending === null);
          assert(usableIn(before, store) < autoTopUp.threshold);
          assert(now >= notBefore, 'the back-off has passed');
          const last = starts.at(-1);
          assert(!last || now >= last.at + autoTopUp.coolDownMs, 'the cool-down has passed');
          const counted = starts.filter(
            (start) => !start.declined && monthStart(start.at) === monthStart(now),
          );
          const { quantity = 0 } = store.purchases.at(-1) ?? {};
          const packs = counted.reduce((sum, start) => sum + start.quantity, quantity);
          assert(packs <= autoTopUp.monthlyCap, 'within the cap');
          starts.push({ at: now, declined: false, quantity });
        }
        if (pending !== null && (command === 'decline' || command === 'refuse')) {
          const last = starts.at(-1);
          assert(last && !last.declined);
          last.declined = true;
          notBefore = now + backoffMs(account.topUps?.failures ?? 0);
        }
        if (pending !== null && command === 'end') notBefore = 0;
        if (outcome && !(outcome instanceof Failure) && outcome.kind === 'StartTopUp') {
          const due = before.topUpDueAt !== null && before.topUpDueAt <= now;
          assert.equal(outcome.purchaseId !== null, due);
          if (due) assert.equal(account.topUpDueAt, now + TOP_UP_LEASE_MS);
        }
        const inProgress = account.topUps?.purchaseId ?? null;
        assert.deepEqual(
          store.purchases.filter((p) => p.state === 'PENDING').map((p) => p.purchaseId),
          inProgress === null ? [] : [inProgress],
          'in progress exactly as long as its purchase is pending',
        );
        const low = account.autoTopUp && usableIn(account, store) < account.autoTopUp.threshold;
        assert.equal(
          account.topUpDueAt !== null,
          Boolean(low || account.topUps?.purchaseId),
          'due if and only if there is something to do',
        );
      }
    }),
    { numRuns: 300 },
  );
}, 120_000);
