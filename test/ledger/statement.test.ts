/** When a statement is due, and when a month is closed. */

import { describe, expect, test } from 'vitest';
import type { Account } from '../../src/ledger/account.ts';
import { settle } from '../../src/ledger/settle.ts';
import type { Statement } from '../../src/ledger/statement.ts';
import { closeStatement, type StatementToClose } from '../../src/ledger/statement-closing.ts';
import { AccountStore } from './account-store.ts';
import {
  at,
  charge,
  close,
  move,
  open,
  origin,
  plan,
  postpaid,
  refund,
  snapshotOf,
} from './fixtures.ts';
import { FEBRUARY, MARCH, NO_STATEMENT } from './late-usage.ts';

const statement = (change: Partial<Statement> = {}): Statement => ({ ...NO_STATEMENT, ...change });

const statementToClose = (
  { seq, lastAt }: Account,
  dueAt = FEBRUARY,
  change: Partial<Statement> = {},
): StatementToClose => ({
  statement: statement(change),
  dueAt,
  read: { seq, lastAt },
});

function opened(terms = postpaid(100n)): AccountStore {
  const store = new AccountStore(plan(terms), at('0s'));
  store.run(at('0s'), open());
  return store;
}

/** Closes a month of the stored account with a statement that was computed before. */
function closeMonth(
  store: AccountStore,
  now: number,
  toClose: StatementToClose = statementToClose(store.account),
) {
  const book = store.loadBook(now, []);
  settle(book, origin);
  closeStatement(book, toClose, origin);
  store.saveBook(book);
  return [...book.changes.statements];
}

const dueOf = ({ account }: AccountStore) => [account.statementDueAt, account.statementPlanId];

describe('a statement is due', () => {
  test('at the end of the month in which a postpaid account is opened', () => {
    expect(dueOf(opened())).toEqual([FEBRUARY, 'test']);
    expect(dueOf(opened({ overage: null }))).toEqual([null, null]);
  });

  test('at the end of the month in which a plan becomes postpaid, once the account is settled', () => {
    const store = opened({ overage: null });
    store.plan = plan(postpaid(5n));
    store.run(at('2026-02-10'), charge(1n));
    expect(dueOf(store)).toEqual([MARCH, 'test']);
  });

  test('although the plan is no longer postpaid, and priced by its former plan', () => {
    const store = opened();
    store.plan = { ...plan(), planId: 'prepaid' };
    store.account.planId = 'prepaid';
    store.run(at('2026-01-20'), null);
    expect(dueOf(store)).toEqual([FEBRUARY, 'test']);
  });

  test('under the plan at the month’s end, if the account moves before it is closed', () => {
    const store = opened();
    store.plan = { ...plan(postpaid(7n)), planId: 'other' };
    store.account.planId = 'other';
    store.run(FEBRUARY, null);
    expect(dueOf(store)).toEqual([FEBRUARY, 'test']);
    closeMonth(store, FEBRUARY);
    expect(dueOf(store)).toEqual([MARCH, 'other']);
  });

  test('again if overage is refunded long after the account left postpaid plans', () => {
    const store = opened();
    store.run(at('1h'), charge(9n));
    store.plan = plan();
    closeMonth(store, FEBRUARY);
    closeMonth(store, MARCH, statementToClose(store.account, MARCH));
    expect(dueOf(store)).toEqual([null, null]);
    store.run(at('2026-05-05'), refund(2n));
    expect(dueOf(store)).toEqual([at('2026-06-01'), null]);
  });
});

describe('closing a month', () => {
  test('happens once, emits statement.closed and schedules the next month', () => {
    const store = opened();
    store.run(at('1h'), charge(9n));
    const read = statementToClose(store.account, FEBRUARY, { overage: 9n });
    const book = store.loadBook(FEBRUARY + 5, []);
    closeStatement(book, read, origin);
    closeStatement(book, read, origin);
    expect([...book.changes.statements]).toEqual([{ ...read.statement, closedAt: FEBRUARY + 5 }]);
    expect(book.changes.events).toMatchObject([
      { type: 'statement.closed', data: { month: '2026-01', overage: '9' } },
    ]);
    expect(book.account).toMatchObject({ statementDueAt: MARCH, lastAt: FEBRUARY, overage: 0n });
    store.saveBook(book);
    expect(closeMonth(store, FEBRUARY, read)).toEqual([]);
  });

  test('forbids later entries: a slow clock posts into the next month', () => {
    const store = opened();
    closeMonth(store, FEBRUARY);
    store.run(at('2026-01-31'), charge(3n));
    expect(store.entries.at(-1)?.at).toBe(FEBRUARY);
    expect(store.account.overage).toBe(3n);
  });

  test.each<[string, (store: AccountStore) => { now: number; toClose: StatementToClose }]>([
    [
      'before the month has ended',
      ({ account }) => ({ now: FEBRUARY - 1, toClose: statementToClose(account) }),
    ],
    [
      'for another month than the one due',
      ({ account }) => ({ now: MARCH, toClose: statementToClose(account, MARCH) }),
    ],
    [
      'if an entry was posted into the month after it was read',
      (store) => {
        const toClose = statementToClose(store.account);
        store.run(at('2h'), charge(1n));
        return { now: FEBRUARY, toClose };
      },
    ],
    [
      'if an entry was posted since, and it was read before the month had ended',
      (store) => {
        const toClose = statementToClose(store.account);
        store.run(FEBRUARY, charge(1n));
        return { now: FEBRUARY, toClose };
      },
    ],
  ])('does nothing %s', (_, given) => {
    const store = opened();
    const { now, toClose } = given(store);
    const book = store.loadBook(now, []);
    const before = snapshotOf(book);
    closeStatement(book, toClose, origin);
    expect(snapshotOf(book)).toEqual(before);
  });

  test('is not prevented by entries of the next month that existed when it was read', () => {
    const store = opened();
    store.run(FEBRUARY, charge(1n));
    const toClose = statementToClose(store.account);
    store.run(FEBRUARY + 1, charge(1n));
    expect(closeMonth(store, FEBRUARY + 2, toClose)).toHaveLength(1);
    expect(store.account.overage).toBe(2n);
  });

  describe('prices the next one by the last postpaid plan of it', () => {
    const plans = (store: AccountStore) => {
      store.otherPlans.set('cheap', { ...plan(postpaid(7n)), planId: 'cheap' });
      store.otherPlans.set('prepaid', { ...plan(), planId: 'prepaid' });
    };

    test.each([
      ['that the account had before it was read', [move('cheap'), move('prepaid')], [], 'cheap'],
      ['that it has left since', [], [move('cheap'), charge(5n), move('prepaid')], 'cheap'],
      [
        'that it has come to and left since',
        [move('prepaid')],
        [move('cheap'), charge(5n), move('prepaid')],
        'cheap',
      ],
      ['under which it was closed since', [], [move('cheap'), charge(5n), close()], 'cheap'],
      ['that it had when the month began', [], [move('prepaid')], 'test'],
    ])('%s', (_, before, since, expected) => {
      const store = opened();
      plans(store);
      store.run(FEBRUARY, charge(1n));
      for (const command of before) store.run(FEBRUARY + 1, command);
      const toClose = statementToClose(store.account, FEBRUARY, { lastSeq: 1n });
      for (const command of since) store.run(FEBRUARY + 2, command);
      expect(closeMonth(store, FEBRUARY + 3, toClose)).toHaveLength(1);
      expect(dueOf(store)).toEqual([MARCH, expected]);
    });

    test.each([
      ['and has another plan by now', [move('prepaid')], [move('cheap')], MARCH, 'test'],
      ['and had none in it', [], [move('cheap')], MARCH, 'test'],
      ['and had none', [move('prepaid')], [], MARCH, 'test'],
    ])('that has ended as well %s', (_, inIt, after, dueAt, expected) => {
      const store = opened();
      plans(store);
      store.run(FEBRUARY, charge(1n));
      const toClose = statementToClose(store.account, FEBRUARY, { lastSeq: 1n });
      for (const command of inIt) store.run(FEBRUARY + 2, command);
      for (const command of after) store.run(MARCH, command);
      expect(closeMonth(store, MARCH, toClose)).toHaveLength(1);
      expect(dueOf(store)).toEqual([dueAt, expected]);
    });

    test('that it leaves in the unit of work that closes the month', () => {
      const store = opened();
      plans(store);
      store.run(FEBRUARY, charge(1n));
      const toClose = statementToClose(store.account, FEBRUARY, { lastSeq: 1n });
      const commands = [move('cheap'), move('prepaid')];
      const book = store.loadBook(FEBRUARY + 1, commands);
      for (const command of commands) store.decide(book, command);
      closeStatement(book, toClose, origin);
      expect(book.account.statementPlanId).toBe('cheap');
    });
  });

  test('of a closed account ends with the month in which it was closed', () => {
    const store = opened();
    store.run(at('1h'), close());
    expect(closeMonth(store, FEBRUARY)).toHaveLength(1);
    expect(closeMonth(store, MARCH, statementToClose(store.account, MARCH))).toEqual([]);
    expect(dueOf(store)).toEqual([null, null]);
  });
});
