/**
 * Random lives of an account against an auditor who knows only the entries. A failure prints its
 * seed and the shortest life that fails.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Failure } from '../../src/failure.ts';
import type { Entry } from '../../src/ledger/entry.ts';
import { type Grant, isLimited } from '../../src/ledger/grant.ts';
import { settle } from '../../src/ledger/settle.ts';
import { Auditor } from './auditor.ts';
import { later, origin, picture } from './fixtures.ts';
import type { Shelf } from './shelf.ts';
import { acts, aimed, life, live } from './workload.ts';

const RUNS = { numRuns: 200 };
/** Time to find the shortest life that fails. */
const PATIENCE_MS = 120_000;

/** What burns first, as a list whose first difference decides. */
const rank = ({ priority, expiresAt, category, grantId }: Grant): number[] => [
  priority,
  expiresAt ?? Number.MAX_SAFE_INTEGER,
  category === 'PAID' ? 1 : 0,
  Number(grantId),
];

const burnsBefore = (a: Grant, b: Grant): boolean => {
  const [ranksA, ranksB] = [rank(a), rank(b)];
  const index = ranksA.findIndex((value, place) => value !== ranksB[place]);
  return (ranksA[index] ?? 0) < (ranksB[index] ?? 0);
};

/** Objects where an entry took credits while others that burn before them could still be taken. */
function auditBurnOrder({ grants }: Shelf, { seq, kind, at, moves, usages }: Entry) {
  if (!['RESERVE', 'RAISE', 'CHARGE', 'COMMIT'].includes(kind)) return;
  // One that may pay for some of the usages only can have been held back for want of them.
  const paysAll = ({ operations }: Grant) =>
    operations.length === 0 ||
    (usages.length > 0 && usages.every(({ usage }) => operations.includes(usage.operation)));
  const untouched = [...grants.values()].filter(
    (grant) =>
      grant.state !== 'SCHEDULED' &&
      grant.remaining > grant.reserved &&
      (grant.expiresAt === null || grant.expiresAt > at) &&
      paysAll(grant),
  );
  for (const { from, grantId } of moves) {
    if (from === 'overage') assert.equal(untouched.length, 0, `${seq}: overage before grants`);
    if (from !== 'available') continue;
    const taken = grants.get(grantId)!;
    const first = untouched.find((grant) => burnsBefore(grant, taken));
    assert(!first, `${seq} takes from grant ${grantId} before ${first?.grantId}`);
  }
}

/** Objects where something that should have ended by now has not. */
function auditSettled({ grants, reservations, account }: Shelf, now: number) {
  for (const { reservationId, state, expiresAt } of reservations.values())
    assert(state !== 'ACTIVE' || expiresAt > now, `${reservationId} has not expired`);
  for (const grant of grants.values()) {
    const { grantId, state, expiresAt, effectiveAt, remaining, reserved, noticeAt } = grant;
    assert(state !== 'SCHEDULED' || effectiveAt > now, `grant ${grantId} is not effective`);
    const expired = expiresAt !== null && expiresAt <= now;
    assert(!expired || remaining === reserved, `grant ${grantId} has not expired`);
    const noticed = noticeAt === null || noticeAt > now || remaining === 0n;
    assert(noticed || state === 'SCHEDULED', `nobody was told that grant ${grantId} expires`);
  }
  assert(account.dueAt === null || account.dueAt > now, 'the account is still due');
}

describe('whatever happens to an account', () => {
  test(
    'its entries add up, and its balance, grants and reservations are what they say',
    () => {
      fc.assert(
        fc.property(life(60), (random) => {
          const auditor = new Auditor(random.terms.overage?.limit ?? 0n);
          let seen = 0;
          live(random, (shelf, now, command) => {
            const limit = shelf.plan.terms.overage?.limit ?? 0n;
            if (limit > auditor.limit) auditor.limit = limit;
            const { outcome } = shelf.work(now, command);
            for (const entry of shelf.entries.slice(seen)) auditor.see(entry);
            seen = shelf.entries.length;
            const limited = [...shelf.grants.values()].some(isLimited);
            if (outcome instanceof Failure && !limited) auditor.seeRefusal(outcome, limit, now);
            auditor.agreeWith(shelf);
            auditSettled(shelf, now);
            const last = shelf.entries.at(-1);
            if (last && command) auditBurnOrder(shelf, last);
          });
        }),
        RUNS,
      );
    },
    PATIENCE_MS,
  );

  test(
    'a failure has changed nothing',
    () => {
      fc.assert(
        fc.property(life(40), (random) => {
          live(random, (shelf, now, command) => {
            const book = shelf.take(now, command ? [command] : []);
            settle(book, origin);
            const before = picture(book);
            const outcome = command && shelf.decide(book, command);
            if (outcome instanceof Failure) assert.deepEqual(picture(book), before);
            shelf.putBack(book);
          });
        }),
        RUNS,
      );
    },
    PATIENCE_MS,
  );

  test(
    'settling again at the same moment finds nothing to do',
    () => {
      fc.assert(
        fc.property(life(40), (random) => {
          live(random, (shelf, now, command) => {
            shelf.work(now, command);
            const book = shelf.take(now, []);
            settle(book, origin);
            assert.deepEqual(book.changes.entries, []);
            assert.deepEqual(picture(book).grants, shelf.take(now, []).grants);
          });
        }),
        RUNS,
      );
    },
    PATIENCE_MS,
  );

  test(
    'it is never due too late: nothing happens by itself before',
    () => {
      fc.assert(
        fc.property(life(30), (random) => {
          live(random, (shelf, now, command) => {
            shelf.work(now, command);
            const { dueAt, allowanceDueAt } = shelf.account;
            const instants = [
              allowanceDueAt,
              ...[...shelf.grants.values()].flatMap((g) => [
                g.effectiveAt,
                g.expiresAt,
                g.noticeAt,
              ]),
              ...[...shelf.reservations.values()].map((r) => r.expiresAt),
            ].filter((at) => at !== null && at > now);
            for (const at of new Set(instants)) {
              if (at === null || (dueAt !== null && dueAt <= at)) continue;
              const book = later(shelf.whole(now), at - now);
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
    PATIENCE_MS,
  );

  test(
    'commands that waited together write what they would have written one by one',
    () => {
      fc.assert(
        fc.property(life(25), acts, (random, all) => {
          const [together, apart] = [live(random), live(random)];
          const now = together.account.lastAt + 60_000;
          // What they name was there before them: nobody knows the names of what is not answered yet.
          const commands = all.flatMap((act) => aimed(act, together, now) ?? []);
          const { outcomes } = together.group(now, commands);
          const alone = commands.map((command) => apart.work(now, command).outcome);
          expect(outcomes.map(reasonOf)).toEqual(alone.map(reasonOf));
          expect(together.entries).toEqual(apart.entries);
          expect(together.grants).toEqual(apart.grants);
          expect(together.reservations).toEqual(apart.reservations);
        }),
        RUNS,
      );
    },
    PATIENCE_MS,
  );
});

const reasonOf = (outcome: unknown) => (outcome instanceof Failure ? outcome.reason : 'done');

test('the random lives see every kind of entry and every reason a rule can fail for', () => {
  const seen = new Map<string, number>();
  const count = (what: string) => seen.set(what, (seen.get(what) ?? 0) + 1);
  for (const random of fc.sample(life(60), { seed: 7, numRuns: 400 })) {
    const { entries } = live(random, (shelf, now, command) => {
      const { outcome } = shelf.work(now, command);
      if (outcome instanceof Failure) count(outcome.reason);
    });
    for (const { kind, late, moves } of entries) {
      count(late ? `late ${kind}` : kind);
      for (const { from, to } of moves) count(`${from}>${to}`);
    }
  }
  const rare = [...seen].filter(([, times]) => times < 5);
  expect(rare).toEqual([]);
  expect([...seen.keys()].toSorted()).toMatchInlineSnapshot(`
    [
      "ACCOUNT_CLOSED",
      "CHARGE",
      "CLAW_BACK",
      "COMMIT",
      "ENTRY_NOT_FOUND",
      "EXCEEDS_COMMIT",
      "EXCEEDS_RESERVATION",
      "EXPIRE",
      "GRANT",
      "GRANT_EFFECTIVE",
      "GRANT_EXPIRED",
      "INSUFFICIENT_CREDITS",
      "INVALID_FIELD",
      "OVERAGE_LIMIT_REACHED",
      "OVERAGE_RESERVED",
      "PACK_NOT_FOUND",
      "PAUSED_BELOW_FLOOR",
      "PAYMENT_REFERENCE_USED",
      "PLAN_CHANGE",
      "PLAN_NOT_FOUND",
      "PURCHASE",
      "PURCHASE_NOT_FOUND",
      "QUANTITY_OUT_OF_RANGE",
      "RAISE",
      "REFUND",
      "REINSTATE",
      "RELEASE",
      "RESERVATION_COMMITTED",
      "RESERVATION_EXPIRED",
      "RESERVATION_NOT_FOUND",
      "RESERVATION_RELEASED",
      "RESERVE",
      "available>consumed",
      "available>expired",
      "available>issued",
      "available>reserved",
      "consumed>available",
      "consumed>expired",
      "consumed>issued",
      "consumed>overage",
      "issued>available",
      "issued>expired",
      "late COMMIT",
      "overage>consumed",
      "overage>overage_reserved",
      "overage_reserved>consumed",
      "overage_reserved>overage",
      "reserved>available",
      "reserved>consumed",
      "reserved>expired",
    ]
  `);
});
