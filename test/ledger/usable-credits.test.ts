/** What a balance shows is what Estimate says and what Charge then accepts. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Failure } from '../../src/failure.ts';
import { currentOverage } from '../../src/ledger/account.ts';
import { previewAllocation } from '../../src/ledger/allocation/allocate.ts';
import { balanceOf, type LimitedCredits } from '../../src/ledger/balance.ts';
import type { Book } from '../../src/ledger/book.ts';
import { decide } from '../../src/ledger/decide.ts';
import { settle } from '../../src/ledger/settle.ts';
import type { Plan } from '../../src/pricing/plan.ts';
import { priceUsages } from '../../src/pricing/price.ts';
import { AccountStore } from './account-store.ts';
import {
  at,
  charge,
  grantCredits,
  inLaterUnit,
  move,
  open,
  origin,
  plan,
  rateCard,
  reserve,
  START,
  update,
  usagesOf,
} from './fixtures.ts';
import { runScenario, scenarios } from './workload.ts';

const limitedTo = (credits: bigint, ...operations: string[]) =>
  grantCredits(credits, { operations });

function opened(accountPlan: Plan = plan()): AccountStore {
  const store = new AccountStore(accountPlan, START);
  store.run(START, open());
  return store;
}

const balanceIn = ({ account, grants, plan, now }: Book) => balanceOf(account, grants, plan, now);

/** The plan without some of its operations. */
const without = (...names: readonly string[]): Plan => {
  const card = rateCard();
  const operations = new Map([...card.operations].filter(([name]) => !names.includes(name)));
  return { ...plan(), rateCard: { ...card, operations } };
};

describe('a balance with 1,000 credits for one operation and 5 general ones', () => {
  const store = opened(plan({ lowBalanceLevels: [{ credits: 500n }], pauseFloor: 100n }));
  store.run(at('1s'), grantCredits(600n));
  store.run(at('2s'), limitedTo(1_000n, 'a'));
  store.run(at('3s'), charge(595n));
  const { book } = store.run(at('4s'), null);

  test('has 5 available, and the others apart', () => {
    expect(balanceIn(book)).toMatchObject({
      remaining: 1_005n,
      available: 5n,
      usable: 5n,
      lowBalance: true,
      limited: [
        { operations: ['a'], remaining: 1_000n, reserved: 0n, available: 1_000n, stranded: false },
      ],
    });
  });

  test('is low, and reported so', () => {
    expect(store.events.map(({ type, data }) => [type, data['usable']])).toEqual([
      ['balance.low', '5'],
    ]);
  });

  test('refuses 10 for another operation and for credits, with 5 available', () => {
    for (const command of [charge(usagesOf({ b: 10n })), charge(10n), reserve(10n)])
      expect(store.run(at('5s'), command).outcome).toMatchObject({
        reason: 'INSUFFICIENT_CREDITS',
        metadata: { required: '10', available: '5', shortfall: '5' },
      });
  });

  test('pauses sheddable work by what is available for its operations', () => {
    const sheddable = { criticality: 'SHEDDABLE' } as const;
    expect(store.run(at('6s'), reserve(usagesOf({ b: 1n }), sheddable)).outcome).toMatchObject({
      reason: 'PAUSED_BELOW_FLOOR',
      metadata: { available: '5', floor: '100' },
    });
    expect(store.run(at('7s'), reserve(1n, sheddable)).outcome).toBeInstanceOf(Failure);
    expect(store.run(at('8s'), reserve(usagesOf({ a: 1n }), sheddable)).outcome).toMatchObject({
      kind: 'Reserve',
    });
  });
});

describe('usable credits', () => {
  test('are the general ones if a priced operation has no others', () => {
    const store = opened();
    store.run(at('1s'), grantCredits(7n));
    store.run(at('1s'), limitedTo(100n, 'a', 'b', 'c'));
    expect(balanceIn(store.run(at('2s'), null).book).usable).toBe(7n);
  });

  test('include limited ones that every priced operation has', () => {
    const store = opened(without('page.extract'));
    store.run(at('1s'), grantCredits(7n));
    store.run(at('1s'), limitedTo(100n, 'a', 'b'));
    store.run(at('1s'), limitedTo(30n, 'b', 'c'));
    const { book } = store.run(at('1s'), limitedTo(20n, 'c'));
    expect(balanceIn(book).usable).toBe(57n);
  });

  test('include what reservations hold', () => {
    const store = opened();
    store.run(at('1s'), grantCredits(7n));
    expect(balanceIn(store.run(at('2s'), reserve(5n)).book)).toMatchObject({
      available: 2n,
      usable: 7n,
    });
  });
});

describe('credits limited to the same operations', () => {
  test('are one entry of the balance, without what is spent', () => {
    const store = opened();
    store.run(at('1s'), limitedTo(10n, 'a'));
    store.run(at('1s'), limitedTo(20n, 'b', 'a'));
    store.run(at('1s'), limitedTo(30n, 'a', 'b'));
    store.run(at('2s'), charge(usagesOf({ a: 15n })));
    const { book } = store.run(at('3s'), reserve(usagesOf({ b: 4n })));
    expect(balanceIn(book).limited).toEqual([
      { operations: ['a', 'b'], remaining: 45n, reserved: 4n, available: 41n, stranded: false },
    ] satisfies LimitedCredits[]);
  });
});

describe('a limited grant is stranded', () => {
  const strandedEvents = (store: AccountStore) =>
    store.events.filter(({ type }) => type === 'grant.stranded').map(({ data }) => data);

  test('when its operation leaves the plan: the balance shows it, and one event reports it', () => {
    const store = opened();
    store.run(at('1s'), limitedTo(10n, 'a', 'b'));
    store.plan = without('a');
    expect(balanceIn(store.run(at('2s'), null).book).limited[0]?.stranded).toBe(false);
    store.plan = without('a', 'b');
    const { book } = store.run(at('3s'), update('Acme'));
    expect(balanceIn(book).limited[0]).toMatchObject({ available: 10n, stranded: true });
    store.run(at('4s'), null);
    expect(strandedEvents(store)).toEqual([
      { grant_id: '1', remaining: '10', operations: 'a,b', category: 'PAID' },
    ]);
    store.plan = plan();
    expect(balanceIn(store.run(at('5s'), null).book).limited[0]?.stranded).toBe(false);
    store.plan = without('a', 'b');
    store.run(at('6s'), null);
    expect(strandedEvents(store).length).toBe(2);
  });

  test('by MoveAccount', () => {
    const store = opened();
    store.otherPlans.set('other', { ...without('a'), planId: 'other' });
    store.run(at('1s'), limitedTo(10n, 'a'));
    store.run(at('2s'), move('other'));
    expect(strandedEvents(store)).toMatchObject([{ grant_id: '1' }]);
  });

  test('once it is effective and not before, and never without credits', () => {
    const store = opened();
    store.run(at('1s'), grantCredits(10n, { operations: ['a'], effectiveAt: at('1h') }));
    store.run(at('1s'), limitedTo(5n, 'b'));
    store.run(at('2s'), charge(usagesOf({ b: 5n })));
    store.plan = without('a', 'b');
    store.run(at('3s'), null);
    expect(strandedEvents(store)).toEqual([]);
    store.run(at('1h'), null);
    expect(strandedEvents(store)).toMatchObject([{ grant_id: '1' }]);
  });
});

/** What a request of these operations can take, by the balance alone. None: a request of credits. */
function payable(book: Book, operations: readonly string[]): bigint {
  const { available, limited, overageLimit } = balanceIn(book);
  const { account, now } = book;
  const general = available + account.overageReserved;
  const overage = overageLimit - currentOverage(account, now) - account.overageReserved;
  return limited
    .filter((some) => some.operations.some((name) => operations.includes(name)))
    .reduce((sum, some) => sum + some.available, general + (overage > 0n ? overage : 0n));
}

const charges = (book: Book, amount: Parameters<typeof charge>[0]) =>
  decide(inLaterUnit(book, 0), charge(amount), origin);

test('in every scenario, Charge takes what the balance shows and not one credit more, as Estimate says', () => {
  fc.assert(
    fc.property(scenarios(25), (random) => {
      runScenario(random, (store, now, command) => {
        store.run(now, command);
        const book = store.loadBook(now, []);
        settle(book, origin);
        const { account } = book;
        // What budgets refuse does not depend on the balance.
        account.budgets = null;
        if (account.state !== 'OPEN' || account.suspension !== null) return;
        assert.equal(balanceIn(book).usable <= account.remaining, true);
        for (const operation of ['a', 'b', 'c', null] as const) {
          if (operation !== null && !book.plan.rateCard.operations.has(operation)) continue;
          const most = payable(book, operation === null ? [] : [operation]);
          for (const credits of [most, most + 1n]) {
            if (operation !== null && (credits === 0n || credits > 1_000n)) continue;
            const amount = operation === null ? credits : usagesOf({ [operation]: credits });
            const outcome = charges(book, amount);
            if (credits === most) assert(!(outcome instanceof Failure), `${operation} ${credits}`);
            else {
              assert(outcome instanceof Failure);
              assert.equal(outcome.metadata['available'], String(most));
              assert.equal(outcome.metadata['shortfall'], '1');
            }
            if (typeof amount === 'bigint') continue;
            const priced = priceUsages(book.plan.rateCard, amount.usages, 'usages');
            assert(!(priced instanceof Failure));
            assert.deepEqual(previewAllocation(book, priced.credits, priced.lines), {
              available: most,
              shortfall: credits - most,
            });
          }
        }
      });
    }),
    { numRuns: 150 },
  );
}, 120_000);
