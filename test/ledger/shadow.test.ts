/**
 * What shadow mode decides is what would be decided: a twin that is charged answers the same commands. Where the twin
 * refuses, shadow mode says so for the same reason, and its balance stays that of the twin.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Failure } from '../../src/failure.ts';
import type { Book } from '../../src/ledger/book.ts';
import { type Command, decide } from '../../src/ledger/decide.ts';
import { decideInShadow } from '../../src/ledger/shadow/decide-in-shadow.ts';
import { Shadow } from '../../src/ledger/shadow/shadow.ts';
import {
  addMoves,
  beginAgain,
  FIRST_SHADOW_SEQ,
  noUse,
  OVER_COMMIT_GRANT,
} from '../../src/ledger/shadow/shadow-use.ts';
import {
  account,
  book,
  charge,
  commit,
  grant,
  grantCredits,
  ms,
  origin,
  pages,
  plan,
  postpaid,
  raise,
  refund,
  release,
  reserve,
  START,
  setBudget,
  snapshotOf,
} from './fixtures.ts';

const SHADOW = { since: START, until: null, caller: 'an operator' };

/** Two equal books, of which one is in shadow mode. Each gives its reservations ids of its own. */
function twins(isPostpaid: boolean) {
  const made = (shadow: typeof SHADOW | null): Book => {
    let ids = 0;
    const limits = isPostpaid ? postpaid(20n) : {};
    const ofPlan = plan(limits);
    const made = book(
      [
        grant(1n, { amount: 30n, remaining: 30n, operations: ['page.extract'] }),
        grant(2n, { amount: 40n, remaining: 40n, category: 'PROMOTIONAL' }),
        grant(3n, { amount: 25n, remaining: 25n, priority: 10 }),
      ],
      { plan: ofPlan, account: account({ shadow, overageLimit: isPostpaid ? 20n : 0n }) },
    );
    return Object.assign(made, { newId: () => `job-${++ids}` });
  };
  return { real: made(SHADOW), twin: made(null), shadow: new Shadow(noUse('acme', START), [], []) };
}

type Action = {
  readonly kind:
    | 'charge'
    | 'pages'
    | 'reserve'
    | 'commit'
    | 'all'
    | 'part'
    | 'release'
    | 'raise'
    | 'refund'
    | 'grant'
    | 'cap';
  readonly credits: bigint;
  readonly which: number;
};

const actions = fc.array(
  fc.record({
    kind: fc.constantFrom<Action['kind']>(
      ...(['charge', 'pages', 'reserve', 'commit', 'all', 'part'] as const),
      ...(['release', 'raise', 'refund', 'grant', 'cap'] as const),
    ),
    credits: fc.bigInt({ min: 1n, max: 30n }),
    which: fc.nat(5),
  }),
  { maxLength: 40 },
);

type Job = { readonly twin: string; readonly shadow: string };
type Charged = { readonly twin: bigint; readonly shadow: bigint };

class Run {
  readonly #jobs: Job[] = [];
  readonly #charges: Charged[] = [];
  readonly #twins;

  constructor(isPostpaid: boolean) {
    this.#twins = twins(isPostpaid);
  }

  apply({ kind, credits, which }: Action) {
    const job = this.#jobs[which % Math.max(1, this.#jobs.length)];
    const charged = this.#charges[which % Math.max(1, this.#charges.length)];
    switch (kind) {
      case 'grant':
        for (const one of [this.#twins.real, this.#twins.twin])
          decide(one, grantCredits(credits), origin);
        return;
      case 'cap':
        for (const one of [this.#twins.real, this.#twins.twin])
          decide(one, setBudget(budgetOf(credits, which)), origin);
        return;
      case 'charge':
        return this.#both(charge(credits), charge(credits), null);
      case 'pages':
        return this.#both(charge(pages(credits)), charge(pages(credits)), null);
      case 'reserve':
        return this.#both(reserve(pages(credits)), reserve(pages(credits)), null);
      case 'refund':
        if (!charged) return;
        return this.#both(refund(charged.twin, credits), refund(charged.shadow, credits), null);
      default:
        if (!job) return;
        return this.#both(
          commandOn(kind, job.twin, credits),
          commandOn(kind, job.shadow, credits),
          job,
        );
    }
  }

  #both(ofTwin: Command, ofShadow: Command, job: Job | null) {
    const { real, twin, shadow } = this.#twins;
    const before = snapshotOf(real);
    const expected = decide(twin, ofTwin, origin);
    const decided = decideInShadow(real, shadow, ofShadow, origin);
    expect(snapshotOf(real)).toEqual(before);
    if (expected instanceof Failure && decided instanceof Failure) {
      expect(decided.reason).toBe(expected.reason);
      return;
    }
    if (decided instanceof Failure) throw decided;
    const { outcome, decision } = decided;
    if (expected instanceof Failure) {
      expect(decision?.refusal?.reason).toBe(expected.reason);
      // It goes on in shadow mode alone.
      if (job) this.#jobs.splice(this.#jobs.indexOf(job), 1);
    } else {
      expect(decision?.refusal ?? null).toBe(null);
      expect(decision?.credits ?? 0n).toBe(
        'entrySeq' in expected && expected.entrySeq > 0n
          ? twin.changes.entries.at(-1)?.credits
          : 0n,
      );
      if (expected.kind === 'Reserve' && outcome.kind === 'Reserve')
        this.#jobs.push({
          twin: expected.reservation.reservationId,
          shadow: outcome.reservation.reservationId,
        });
      if ((expected.kind === 'Charge' || expected.kind === 'Commit') && decision)
        this.#charges.push({ twin: expected.entrySeq, shadow: decision.seq });
    }
    expect(balancesOf(decided.book)).toEqual(balancesOf(twin));
  }
}

/** Of values of a label or of operations. Jobs that began before it do not count. */
const budgetOf = (credits: bigint, which: number) => ({
  budgetId: `budget-${which}`,
  label: which % 2 === 0 ? 'user' : null,
  cap: 2n * credits,
});

function commandOn(kind: Action['kind'], reservationId: string, credits: bigint): Command {
  if (kind === 'release') return release(reservationId);
  if (kind === 'raise') return raise(reservationId, credits);
  if (kind === 'all') return commit(reservationId);
  return commit(reservationId, credits, { final: kind === 'commit' });
}

const balancesOf = ({ account, grants, budgetCounters }: Book) => ({
  available: account.remaining - account.reserved - account.overageReserved,
  overage: account.overage,
  overageReserved: account.overageReserved,
  grants: grants
    .filter(({ grantId }) => grantId !== OVER_COMMIT_GRANT)
    .map(({ grantId, remaining, reserved }) => [grantId, remaining - reserved] as const)
    .sort(([a], [b]) => Number(a - b)),
  budgets: account.budgets?.map(({ budgetId, since: ofBudget }) => [
    budgetId,
    ...[...(budgetCounters?.values() ?? [])]
      .filter(({ since, used }) => since === ofBudget && used !== 0n)
      .map(({ value, used }) => `${value} ${used}`)
      .sort(),
  ]),
});

test.each([
  ['prepaid', false],
  ['postpaid', true],
])('a %s account is decided as its twin that is charged', (_, isPostpaid) => {
  fc.assert(
    fc.property(actions, (all) => {
      const run = new Run(isPostpaid);
      for (const action of all) run.apply(action);
    }),
    { numRuns: 150 },
  );
});

test('what comes back pays nothing of what the account owes', () => {
  const real = book([grant(1n, { amount: 30n, remaining: 30n })], {
    plan: plan({ payOwed: true }),
    account: account({ shadow: SHADOW, owed: 5n }),
  });
  const shadow = new Shadow(noUse('acme', START), [], []);
  for (let count = 0; count < 2; count++) {
    const reserved = decideInShadow(real, shadow, reserve(10n), origin);
    if (reserved instanceof Failure || reserved.outcome.kind !== 'Reserve') throw reserved;
    const { reservationId } = reserved.outcome.reservation;
    const released = decideInShadow(real, shadow, release(reservationId), origin);
    if (released instanceof Failure) throw released;
    expect(released.book.account).toMatchObject({ remaining: 30n, reserved: 0n, owed: 5n });
  }
  expect(shadow.decisions.map(({ kind }) => kind)).toEqual([
    ...['RESERVE', 'RELEASE', 'RESERVE', 'RELEASE'],
  ]);
});

test('late usage sees what its month has used', () => {
  const february = Date.UTC(2026, 1, 1);
  const real = book(
    [],
    {
      plan: plan({ ...postpaid(20n), lateUsageMs: ms('3d') }),
      account: account({
        ...{ shadow: SHADOW, overage: 15n, overageLimit: 20n },
        statementDueAt: february + ms('3d'),
        statementPlanId: 'test',
      }),
    },
    february,
  );
  const shadow = new Shadow(noUse('acme', START), [], []);
  const decided = (credits: bigint) => {
    decideInShadow(real, shadow, charge(credits, null, { usedAt: february - 1 }), origin);
    return shadow.decisions.at(-1)?.refusal?.reason ?? null;
  };
  expect(decided(6n)).toBe('OVERAGE_LIMIT_REACHED');
  expect(decided(5n)).toBeNull();
  // It is no overage of the month that runs, and nor is its refund.
  expect(shadow.use.overage).toBe(0n);
  decideInShadow(real, shadow, refund(shadow.use.seq, 5n), origin);
  expect(shadow.use.overage).toBe(0n);
});

test('what follows from a job that would have been refused uses nothing of the account', () => {
  const real = book([grant(1n, { amount: 30n, remaining: 30n })], {
    account: account({ shadow: SHADOW }),
  });
  const shadow = new Shadow(noUse('acme', START), [], []);
  const reserved = decideInShadow(real, shadow, reserve(40n, { overCommitPolicy: 'DRAW' }), origin);
  if (reserved instanceof Failure || reserved.outcome.kind !== 'Reserve') throw reserved;
  const { reservationId } = reserved.outcome.reservation;
  decideInShadow(real, shadow, raise(reservationId, 5n), origin);
  decideInShadow(real, shadow, commit(reservationId, 60n), origin);
  decideInShadow(real, shadow, charge(30n), origin);
  expect(
    shadow.decisions.map(({ kind, credits, refusal }) => [kind, credits, refusal?.reason]),
  ).toEqual([
    ['RESERVE', 40n, 'INSUFFICIENT_CREDITS'],
    ['RAISE', 5n, undefined],
    ['COMMIT', 60n, undefined],
    ['CHARGE', 30n, undefined],
  ]);
});

test('what was reserved before shadow mode began again gives nothing back to a budget', () => {
  const real = book([grant(1n, { amount: 99n, remaining: 99n })], {
    account: account({ shadow: SHADOW }),
  });
  const shadow = new Shadow(noUse('acme', START), [], []);
  decide(real, setBudget({ cap: 20n }), origin);
  const reserved = decideInShadow(real, shadow, reserve(15n), origin);
  if (reserved instanceof Failure || reserved.outcome.kind !== 'Reserve') throw reserved;
  real.account.shadow = { ...SHADOW, since: START + 1 };
  decideInShadow(real, shadow, charge(20n), origin);
  decideInShadow(real, shadow, release(reserved.outcome.reservation.reservationId), origin);
  decideInShadow(real, shadow, charge(1n), origin);
  expect(shadow.decisions.map(({ refusal }) => refusal?.reason ?? null)).toEqual([
    ...[null, null, null],
    'BUDGET_EXCEEDED',
  ]);
});

test('a refund of what was charged before shadow mode began again gives nothing back', () => {
  const real = book([grant(1n, { amount: 30n, remaining: 30n })], {
    plan: plan(postpaid(20n)),
    account: account({ shadow: SHADOW, overageLimit: 20n }),
  });
  const shadow = new Shadow(noUse('acme', START), [], []);
  decideInShadow(real, shadow, charge(45n), origin);
  const { seq } = shadow.use;
  real.account.shadow = { ...SHADOW, since: START + 1 };
  decideInShadow(real, shadow, charge(32n), origin);
  for (const credits of [16n, 29n]) {
    const refunded = decideInShadow(real, shadow, refund(seq, credits), origin);
    if (refunded instanceof Failure) throw refunded;
    expect(refunded.outcome).toMatchObject({ kind: 'Refund', refunded: credits });
    expect(refunded.book.account).toMatchObject({ remaining: 0n, overage: 2n });
  }
  expect(shadow.use.grants).toEqual(new Map([[1n, { spent: 30n, reserved: 0n }]]));
  expect(shadow.decisions.map(({ kind, refusal }) => [kind, refusal])).toEqual([
    ...[
      ['CHARGE', null],
      ['CHARGE', null],
    ],
    ...[
      ['REFUND', null],
      ['REFUND', null],
    ],
  ]);
});

describe('what is used', () => {
  const use = addMoves(
    noUse('acme', START),
    [
      { from: 'available', to: 'reserved', grantId: 1n, credits: 9n },
      { from: 'available', to: 'consumed', grantId: 1n, credits: 5n },
      { from: 'overage', to: 'consumed', grantId: 0n, credits: 3n },
      { from: 'overage', to: 'overage_reserved', grantId: 0n, credits: 2n },
    ],
    null,
    START,
  );

  test('is the sum of moves', () => {
    expect(use.grants.get(1n)).toEqual({ spent: 5n, reserved: 9n });
    expect(use).toMatchObject({ overage: 3n, overageReserved: 2n });
  });

  test('of the next month has no overage yet', () => {
    expect(addMoves(use, [], null, Date.UTC(2026, 1, 1))).toMatchObject({ overage: 0n });
  });

  test('of another shadow mode is what its jobs still hold', () => {
    const again = beginAgain({ ...use, seq: FIRST_SHADOW_SEQ + 4n }, START + 1);
    expect(again.grants).toEqual(new Map([[1n, { spent: 0n, reserved: 9n }]]));
    expect(again).toMatchObject({
      ...{ since: START + 1, sinceSeq: FIRST_SHADOW_SEQ + 4n, overage: 0n },
      overageReserved: 2n,
    });
  });
});
