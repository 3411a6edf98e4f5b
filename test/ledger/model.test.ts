/**
 * Random scenarios of an account, checked by an auditor that knows only the entries. A failing run prints
 * its seed and the shortest scenario that fails.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Failure } from '../../src/failure.ts';
import { type Book, MoreGrantsNeeded } from '../../src/ledger/book.ts';
import type { Entry, Move } from '../../src/ledger/entry.ts';
import { type Grant, isLimited } from '../../src/ledger/grant.ts';
import { isOver, type Reservation } from '../../src/ledger/reservation.ts';
import { settle } from '../../src/ledger/settle.ts';
import type { AccountStore } from './account-store.ts';
import { Auditor } from './auditor.ts';
import { inLaterUnit, origin, snapshotOf } from './fixtures.ts';
import {
  reservationScenarios,
  runScenario,
  scenarios,
  untargetedCommands,
  withTarget,
} from './workload.ts';

const RUNS = { numRuns: 200 };
/** Includes the time to find the shortest scenario that fails. */
const TIMEOUT_MS = 120_000;
/** Of a test that runs thousands of scenarios, on a busy machine. */
const LONG_MS = 900_000;

/** The burn order as a list of numbers, of which the first that differs decides. */
const rank = ({ priority, expiresAt, category, grantId }: Grant): number[] => [
  priority,
  expiresAt ?? Number.MAX_SAFE_INTEGER,
  category === 'PAID' ? 1 : 0,
  Number(grantId),
];

const burnsBefore = (a: Grant, b: Grant): boolean => {
  const [ranksA, ranksB] = [rank(a), rank(b)];
  const index = ranksA.findIndex((value, position) => value !== ranksB[position]);
  return (ranksA[index] ?? 0) < (ranksB[index] ?? 0);
};

/** Throws if an entry used credits while grants that burn earlier still had some. */
function auditBurnOrder(
  { grants }: AccountStore,
  { seq, kind, at, usedAt, moves, usages, late }: Entry,
) {
  if (!['RESERVE', 'RAISE', 'CHARGE', 'COMMIT'].includes(kind)) return;
  // A grant that may pay for only some of the usages may rightly have credits left.
  const paysAll = ({ operations }: Grant) =>
    operations.length === 0 ||
    (usages.length > 0 && usages.every(({ usage }) => operations.includes(usage.operation)));
  const unused = [...grants.values()].filter(
    (grant) =>
      grant.state !== 'SCHEDULED' &&
      grant.remaining > grant.reserved &&
      (grant.expiresAt === null || grant.expiresAt > at) &&
      paysAll(grant),
  );
  for (const { from, grantId } of moves) {
    if (from === 'overage' || from === 'owed')
      assert.equal(unused.length, 0, `${seq}: ${from} before grants`);
    // A late commit uses the grants first that its reservation held.
    // Late usage those that were there when it happened.
    if (from !== 'available' || late || usedAt !== null) continue;
    const used = grants.get(grantId)!;
    const earlier = unused.find((grant) => burnsBefore(grant, used));
    assert(!earlier, `${seq} uses grant ${grantId} before ${earlier?.grantId}`);
  }
}

/** Throws if something that is due by now was not settled. */
function auditSettled({ grants, reservations, account }: AccountStore, now: number) {
  for (const { reservationId, state, expiresAt } of reservations.values())
    assert(state !== 'ACTIVE' || expiresAt > now, `${reservationId} has not expired`);
  for (const grant of grants.values()) {
    const { grantId, state, expiresAt, effectiveAt, remaining, reserved, noticeAt } = grant;
    assert(state !== 'SCHEDULED' || effectiveAt > now, `grant ${grantId} is not effective`);
    const expired = expiresAt !== null && expiresAt <= now;
    assert(!expired || remaining === reserved, `grant ${grantId} has not expired`);
    const noticed = noticeAt === null || noticeAt > now || remaining === 0n;
    assert(noticed || state === 'SCHEDULED', `no notice was given of grant ${grantId}`);
  }
  assert(account.dueAt === null || account.dueAt > now, 'the account is still due');
}

/** Calls `check` for every command of random scenarios, with the book before and after its decision. */
function afterEachDecision(
  check: (
    book: Book,
    before: ReturnType<typeof snapshotOf>,
    outcome: ReturnType<AccountStore['decide']>,
  ) => void,
) {
  fc.assert(
    fc.property(scenarios(40), (scenario) => {
      runScenario(scenario, (store, now, command) => {
        const book = store.loadBook(now, command ? [command] : []);
        settle(book, origin);
        const before = snapshotOf(book);
        if (command) check(book, before, store.decide(book, command));
        store.saveBook(book);
      });
    }),
    RUNS,
  );
}

describe('in every scenario of an account', () => {
  test(
    'the entries add up, and balance, grants and reservations agree with them',
    () => {
      fc.assert(
        fc.property(scenarios(60), (scenario) => {
          const auditor = new Auditor(scenario.terms.overage?.limit ?? 0n);
          let seen = 0;
          runScenario(scenario, (store, now, command) => {
            const limit = store.plan.terms.overage?.limit ?? 0n;
            if (limit > auditor.limit) auditor.limit = limit;
            const { outcome } = store.run(now, command);
            for (const entry of store.entries.slice(seen)) auditor.addEntry(entry);
            seen = store.entries.length;
            const limited = [...store.grants.values()].some(isLimited);
            // What would have returned is available only for this command.
            const isLate = command !== null && 'usedAt' in command && command.usedAt !== null;
            if (outcome instanceof Failure && !limited && !isLate)
              auditor.checkFailure(outcome, limit, now);
            auditor.checkStore(store);
            auditSettled(store, now);
            const last = store.entries.at(-1);
            if (last && command) auditBurnOrder(store, last);
          });
        }),
        RUNS,
      );
    },
    TIMEOUT_MS,
  );

  test(
    'a failure changes nothing',
    () =>
      afterEachDecision((book, before, outcome) => {
        if (outcome instanceof Failure) assert.deepEqual(snapshotOf(book), before);
      }),
    TIMEOUT_MS,
  );

  test(
    'what a caller asked for writes an entry, or changes nothing at all',
    () =>
      afterEachDecision((book, before, outcome) => {
        if (outcome instanceof Failure || !('entrySeq' in outcome)) return;
        // What returns for late usage comes before the entry that spends it.
        const written = book.changes.entries.slice(before.changes.entries.length);
        const first = written.find(({ kind, usedAt }) => kind !== 'REINSTATE' || usedAt === null);
        assert.equal(outcome.entrySeq, first?.seq ?? 0n, outcome.kind);
        if (!first) assert.deepEqual(snapshotOf(book), before);
      }),
    TIMEOUT_MS,
  );

  test(
    'a command that needs more grants than were loaded has changed nothing',
    () => {
      let needed = 0;
      fc.assert(
        fc.property(scenarios(40), fc.integer({ min: 1, max: 2 }), (scenario, grantLimit) => {
          runScenario(scenario, (store, now, command) => {
            if (command) {
              const book = store.loadBook(now, [command], grantLimit);
              settle(book, origin);
              const before = snapshotOf(book);
              try {
                store.decide(book, command);
              } catch (error) {
                assert(error instanceof MoreGrantsNeeded);
                assert.deepEqual(snapshotOf(book), before);
                needed += 1;
              }
            }
            store.run(now, command);
          });
        }),
        RUNS,
      );
      expect(needed).toBeGreaterThan(10);
    },
    TIMEOUT_MS,
  );

  test(
    'the entries of a reservation that has ended say what it was',
    () => {
      fc.assert(
        fc.property(reservationScenarios(60), (scenario) => {
          const store = runScenario(scenario);
          for (const reservation of store.reservations.values())
            if (isOver(reservation)) assert.deepEqual(store.fromEntries(reservation), reservation);
        }),
        { numRuns: 400 },
      );
    },
    TIMEOUT_MS,
  );

  test(
    'settling again at the same time does nothing',
    () => {
      fc.assert(
        fc.property(scenarios(40), (scenario) => {
          runScenario(scenario, (store, now, command) => {
            store.run(now, command);
            const book = store.loadBook(now, []);
            settle(book, origin);
            assert.deepEqual(book.changes.entries, []);
            assert.deepEqual(snapshotOf(book).grants, store.loadBook(now, []).grants);
          });
        }),
        RUNS,
      );
    },
    TIMEOUT_MS,
  );

  test(
    'nothing happens by itself before dueAt',
    () => {
      fc.assert(
        fc.property(scenarios(30), (scenario) => {
          runScenario(scenario, (store, now, command) => {
            store.run(now, command);
            const { dueAt, allowanceDueAt } = store.account;
            const instants = [
              allowanceDueAt,
              ...[...store.grants.values()].flatMap((g) => [
                g.effectiveAt,
                g.expiresAt,
                g.noticeAt,
              ]),
              ...[...store.reservations.values()].map((r) => r.expiresAt),
            ].filter((at) => at !== null && at > now);
            for (const at of new Set(instants)) {
              if (at === null || (dueAt !== null && dueAt <= at)) continue;
              const book = inLaterUnit(store.loadWholeBook(now), at - now);
              book.account.dueAt = now;
              settle(book, origin);
              assert.deepEqual(book.changes.entries, [], `due at ${dueAt}, too late for ${at}`);
              assert.deepEqual(book.changes.events, [], `due at ${dueAt}, too late for ${at}`);
            }
          });
        }),
        RUNS,
      );
    },
    TIMEOUT_MS,
  );

  test(
    'commands in one unit of work write the same as in one unit of work each',
    () => {
      fc.assert(
        fc.property(scenarios(25), untargetedCommands, (scenario, all) => {
          const [grouped, single] = [runScenario(scenario), runScenario(scenario)];
          const now = grouped.account.lastAt + 60_000;
          // Targets are what existed before the unit of work: callers do not know the ids of later ones.
          const commands = all.flatMap((untargeted) => withTarget(untargeted, grouped, now) ?? []);
          const { outcomes } = grouped.runGroup(now, commands);
          const singleOutcomes = commands.map((command) => single.run(now, command).outcome);
          expect(outcomes.map(reasonOf)).toEqual(singleOutcomes.map(reasonOf));
          expect(grouped.entries).toEqual(single.entries);
          expect(grouped.grants).toEqual(single.grants);
          expect(grouped.reservations).toEqual(single.reservations);
        }),
        RUNS,
      );
    },
    TIMEOUT_MS,
  );
});

class Counts {
  readonly #counts = new Map<string, number>();

  add(name: string) {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }

  get names(): readonly string[] {
    return [...this.#counts.keys()].toSorted();
  }

  below(times: number): readonly string[] {
    return this.names.filter((name) => (this.#counts.get(name) ?? 0) < times);
  }
}

/** What distinguishes how reservations end. */
function describeEnd(reservation: Reservation, all: readonly Entry[]): readonly string[] {
  const { state, overCommitPolicy, reservationId } = reservation;
  if (!isOver(reservation)) return [];
  const entries = all.filter((entry) => entry.reservationId === reservationId);
  const commits = entries.filter(({ kind }) => kind === 'COMMIT');
  const moved = (moves: readonly Move[], from: string, to: string) =>
    moves.some((move) => move.from === from && move.to === to);
  const distinctions = {
    'after expiry': entries.some(({ kind }) => kind === 'EXPIRE'),
    'after a raise': entries.some(({ kind }) => kind === 'RAISE'),
    'after an extension': entries.some(({ kind }) => kind === 'EXTEND'),
    'in parts': commits.length > 1,
    'late in parts': commits.filter(({ late }) => late).length > 1,
    'in time and late': new Set(commits.map(({ late }) => late)).size > 1,
    'charged less than asked for': commits.some(({ asked }) => asked !== null),
    'of usages': commits.some(({ usages }) => usages.length > 0),
    'whose overage was spared': commits.some(
      ({ moves }) =>
        moved(moves, 'overage_reserved', 'overage') && moved(moves, 'available', 'consumed'),
    ),
  };
  const found = Object.entries(distinctions).filter(([, isSo]) => isSo);
  return [`${state} ${overCommitPolicy}`, ...found.map(([what]) => `${state} ${what}`)];
}

const reasonOf = (outcome: unknown) => (outcome instanceof Failure ? outcome.reason : 'done');

test(
  'the random scenarios contain every kind of entry and every failure of a rule',
  () => {
    const counts = new Counts();
    for (const scenario of fc.sample(scenarios(60), { seed: 11, numRuns: 4_000 })) {
      const { entries } = runScenario(scenario, (store, now, command) => {
        const { outcome } = store.run(now, command);
        if (outcome instanceof Failure) counts.add(outcome.reason);
      });
      for (const { kind, late, moves } of entries) {
        counts.add(late ? `late ${kind}` : kind);
        for (const { from, to } of moves) counts.add(`${from}>${to}`);
      }
    }
    // A dispute that is won after credits were used is in owed.test.ts.
    expect(counts.below(2)).toEqual([]);
    expect(counts.names).toMatchInlineSnapshot(`
    [
      "ACCOUNT_CLOSED",
      "ACCOUNT_NOT_CLOSED",
      "ACCOUNT_SUSPENDED",
      "BUDGET_EXCEEDED",
      "BUDGET_NOT_FOUND",
      "CHARGE",
      "CHECKOUT",
      "CLAW_BACK",
      "CLOSE_ACCOUNT",
      "COMMIT",
      "ENTRY_NOT_FOUND",
      "ERASE_ACCOUNT_DATA",
      "EXCEEDS_COMMIT",
      "EXCEEDS_GRANT",
      "EXCEEDS_RESERVATION",
      "EXPIRE",
      "EXTEND",
      "GRANT",
      "GRANT_EFFECTIVE",
      "GRANT_ENDED",
      "GRANT_EXPIRED",
      "GRANT_NOT_FOUND",
      "GRANT_RESERVED",
      "INSUFFICIENT_CREDITS",
      "INVALID_FIELD",
      "LATE_USAGE_NOT_ALLOWED",
      "OFFER_PACK",
      "OPEN_ACCOUNT",
      "OVERAGE_LIMIT_REACHED",
      "OVERAGE_RESERVED",
      "PACK_EXISTS",
      "PACK_NOT_FOUND",
      "PAUSED_BELOW_FLOOR",
      "PAYMENT",
      "PAYMENT_REFERENCE_USED",
      "PAY_OWED",
      "PLAN_CHANGE",
      "PLAN_NOT_FOUND",
      "PURCHASE",
      "PURCHASE_NOT_FOUND",
      "PURCHASE_NOT_MISMATCHED",
      "PURCHASE_UNSETTLED",
      "QUANTITY_OUT_OF_RANGE",
      "RAISE",
      "REFUND",
      "REINSTATE",
      "REJECT_PURCHASE",
      "RELEASE",
      "REMOVE_BUDGET",
      "RESERVATION_ACTIVE",
      "RESERVATION_COMMITTED",
      "RESERVATION_EXPIRED",
      "RESERVATION_NOT_FOUND",
      "RESERVATION_RELEASED",
      "RESERVE",
      "RESUME_ACCOUNT",
      "SET_BUDGET",
      "SUSPEND_ACCOUNT",
      "UNKNOWN_OPERATION",
      "UPDATE_ACCOUNT",
      "UPDATE_GRANT",
      "VOID_GRANT",
      "WITHDRAW_PACK",
      "available>consumed",
      "available>expired",
      "available>issued",
      "available>owed",
      "available>reserved",
      "available>voided",
      "consumed>available",
      "consumed>expired",
      "consumed>issued",
      "consumed>overage",
      "consumed>owed",
      "consumed>voided",
      "expired>available",
      "issued>available",
      "issued>expired",
      "late COMMIT",
      "overage>consumed",
      "overage>overage_reserved",
      "overage_reserved>consumed",
      "overage_reserved>overage",
      "owed>consumed",
      "owed>issued",
      "reserved>available",
      "reserved>consumed",
      "reserved>expired",
      "reserved>voided",
    ]
  `);
  },
  LONG_MS,
);

test('the random scenarios contain every mutation that may change nothing', () => {
  const counts = new Counts();
  const all = [scenarios(60), reservationScenarios(60)];
  for (const scenario of all.flatMap((each) => fc.sample(each, { seed: 3, numRuns: 400 })))
    runScenario(scenario, (store, now, command) => {
      const { outcome } = store.run(now, command);
      if (outcome && 'entrySeq' in outcome && outcome.entrySeq === 0n) counts.add(outcome.kind);
    });
  expect(counts.names).toMatchInlineSnapshot(`
    [
      "CloseAccount",
      "Commit",
      "ExtendReservation",
      "MoveAccount",
      "Release",
      "ResumeAccount",
      "SuspendAccount",
      "UpdateAccount",
      "UpdateGrant",
      "WithdrawPack",
    ]
  `);
});

test('the random scenarios of reservations contain every way to end', () => {
  const counts = new Counts();
  for (const scenario of fc.sample(reservationScenarios(60), { seed: 7, numRuns: 600 })) {
    const { entries, reservations } = runScenario(scenario);
    for (const reservation of reservations.values())
      for (const end of describeEnd(reservation, entries)) counts.add(end);
  }
  expect(counts.names).toMatchInlineSnapshot(`
    [
      "COMMITTED CAP",
      "COMMITTED DRAW",
      "COMMITTED REJECT",
      "COMMITTED TAKE",
      "COMMITTED after a raise",
      "COMMITTED after an extension",
      "COMMITTED after expiry",
      "COMMITTED charged less than asked for",
      "COMMITTED in parts",
      "COMMITTED in time and late",
      "COMMITTED late in parts",
      "COMMITTED of usages",
      "COMMITTED whose overage was spared",
      "RELEASED CAP",
      "RELEASED DRAW",
      "RELEASED REJECT",
      "RELEASED TAKE",
      "RELEASED after a raise",
      "RELEASED after an extension",
      "RELEASED after expiry",
      "RELEASED charged less than asked for",
      "RELEASED in parts",
      "RELEASED in time and late",
      "RELEASED late in parts",
      "RELEASED of usages",
      "RELEASED whose overage was spared",
    ]
  `);
});
