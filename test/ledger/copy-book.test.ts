/** Commands that are decided on a copy: all take effect, or none, and the original changes only in the first case. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Failure } from '../../src/failure.ts';
import type { Book } from '../../src/ledger/book.ts';
import { copyBook } from '../../src/ledger/copy-book.ts';
import { type Command, decide } from '../../src/ledger/decide.ts';
import { settle } from '../../src/ledger/settle.ts';
import type { AccountStore } from './account-store.ts';
import { origin, snapshotOf } from './fixtures.ts';
import { runScenario, scenarios, untargetedCommands, withTarget } from './workload.ts';

const RUNS = { numRuns: 200 };
const TIMEOUT_MS = 120_000;

/** A settled book whose new ids depend on the step only, and not on what was decided in vain. */
function load(store: AccountStore, now: number, commands: readonly Command[], step: number): Book {
  const book = store.loadBook(now, commands);
  let ids = 0;
  Object.assign(book, { newId: () => `${step}-${++ids}` });
  settle(book, origin);
  return book;
}

/** Decides the commands in order. False if one is refused. */
const decideAll = (book: Book, commands: readonly Command[]): boolean =>
  commands.every((command) => !(decide(book, command, origin) instanceof Failure));

/** Those of the commands that succeed one after the other. */
const succeeding = (book: Book, commands: readonly Command[]): readonly Command[] =>
  commands.filter((command) => decideAll(book, [command]));

/** Decides the commands on a copy, which is stored in place of the book if all have succeeded. */
function runTogether(
  store: AccountStore,
  now: number,
  commands: readonly Command[],
  step: number,
): boolean {
  const book = load(store, now, commands, step);
  const before = snapshotOf(book);
  const copy = Object.assign(copyBook(book), { newId: load(store, now, [], step).newId });
  assert.deepEqual(snapshotOf(copy), before);
  const isDone = decideAll(copy, commands);
  assert.deepEqual(snapshotOf(book), before, 'the original has changed');
  store.saveBook(isDone ? copy : book);
  return isDone;
}

/** What a store holds when one ends. */
const stateOf = ({
  account,
  grants,
  reservations,
  purchases,
  customPacks,
  ...rest
}: AccountStore) => ({
  ...{ account, grants, reservations, purchases, customPacks },
  ...{ refunded: rest.refunded, entries: rest.entries, events: rest.events },
});

test(
  'several commands leave what they leave one after the other, or what was there before',
  () => {
    const ended = { done: 0, refused: 0 };
    const groups = fc.array(untargetedCommands, { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(scenarios(20), groups, (scenario, batches) => {
        const [together, inTurn] = [runScenario(scenario), runScenario(scenario)];
        const now = together.account.lastAt;
        for (const [step, batch] of batches.entries()) {
          const targeted = batch.map((command) => withTarget(command, together, now));
          const all = targeted.filter((command) => command !== null);
          // Most lists of random commands have one that is refused.
          const commands = step % 2 === 0 ? all : succeeding(load(together, now, all, step), all);
          const isDone = runTogether(together, now, commands, step);
          ended[isDone ? 'done' : 'refused'] += 1;
          const book = load(inTurn, now, isDone ? commands : [], step);
          decideAll(book, isDone ? commands : []);
          inTurn.saveBook(book);
          assert.deepEqual(stateOf(together), stateOf(inTurn));
        }
      }),
      RUNS,
    );
    expect(Math.min(ended.done, ended.refused)).toBeGreaterThan(200);
  },
  TIMEOUT_MS,
);
