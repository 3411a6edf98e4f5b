/** When a statement is due, and what may close it. */

import { describe, expect, test } from 'vitest';
import type { Account } from '../../src/ledger/account.ts';
import { settle } from '../../src/ledger/settle.ts';
import type { Statement } from '../../src/ledger/statement.ts';
import { closeStatement, type StatementToClose } from '../../src/ledger/statement-closing.ts';
import { at, charge, close, open, origin, picture, plan, postpaid, refund } from './fixtures.ts';
import { Shelf } from './shelf.ts';

const FEBRUARY = at('2026-02-01');
const MARCH = at('2026-03-01');

const statement = (change: Partial<Statement> = {}): Statement => ({
  accountId: 'acme',
  month: '2026-01',
  planId: 'test',
  closedAt: null,
  afterSeq: 0n,
  lastSeq: 0n,
  usage: [],
  creditsUsed: new Map(),
  overage: 0n,
  rates: null,
  lines: [],
  adjustments: [],
  total: null,
  otherTotals: [],
  ...change,
});

const closing = (
  { seq, lastAt }: Account,
  dueAt = FEBRUARY,
  change: Partial<Statement> = {},
): StatementToClose => ({ statement: statement(change), dueAt, read: { seq, lastAt } });

function opened(terms = postpaid(100n)): Shelf {
  const shelf = new Shelf(plan(terms), at('0s'));
  shelf.work(at('0s'), open());
  return shelf;
}

/** Closes a month of the shelf's account, as it was read before. */
function closed(shelf: Shelf, now: number, of: StatementToClose = closing(shelf.account)) {
  const book = shelf.take(now, []);
  settle(book, origin);
  closeStatement(book, of, origin);
  shelf.putBack(book);
  return [...book.changes.statements];
}

const dueOf = ({ account }: Shelf) => [account.statementDueAt, account.statementPlanId];

describe('a statement is due', () => {
  test('at the end of the month an account is opened in, on a postpaid plan', () => {
    expect(dueOf(opened())).toEqual([FEBRUARY, 'test']);
    expect(dueOf(opened({ overage: null }))).toEqual([null, null]);
  });

  test('at the end of the month in which a plan becomes postpaid, once it is touched', () => {
    const shelf = opened({ overage: null });
    shelf.plan = plan(postpaid(5n));
    shelf.work(at('2026-02-10'), charge(1n));
    expect(dueOf(shelf)).toEqual([MARCH, 'test']);
  });

  test('still, where the plan is postpaid no more; and priced as the plan it was', () => {
    const shelf = opened();
    shelf.plan = { ...plan(), planId: 'prepaid' };
    shelf.account.planId = 'prepaid';
    shelf.work(at('2026-01-20'), null);
    expect(dueOf(shelf)).toEqual([FEBRUARY, 'test']);
  });

  test('under the plan of the month’s end, if another follows before it is closed', () => {
    const shelf = opened();
    shelf.plan = { ...plan(postpaid(7n)), planId: 'other' };
    shelf.account.planId = 'other';
    shelf.work(FEBRUARY, null);
    expect(dueOf(shelf)).toEqual([FEBRUARY, 'test']);
    closed(shelf, FEBRUARY);
    expect(dueOf(shelf)).toEqual([MARCH, 'other']);
  });

  test('again, where overage is given back long after an account left postpaid plans', () => {
    const shelf = opened();
    shelf.work(at('1h'), charge(9n));
    shelf.plan = plan();
    closed(shelf, FEBRUARY);
    closed(shelf, MARCH, closing(shelf.account, MARCH));
    expect(dueOf(shelf)).toEqual([null, null]);
    shelf.work(at('2026-05-05'), refund(1n));
    expect(dueOf(shelf)).toEqual([at('2026-06-01'), null]);
  });
});

describe('closing a month', () => {
  test('happens once, says so in an event and turns to the next', () => {
    const shelf = opened();
    shelf.work(at('1h'), charge(9n));
    const read = closing(shelf.account, FEBRUARY, { overage: 9n });
    const book = shelf.take(FEBRUARY + 5, []);
    closeStatement(book, read, origin);
    closeStatement(book, read, origin);
    expect([...book.changes.statements]).toEqual([{ ...read.statement, closedAt: FEBRUARY + 5 }]);
    expect(book.changes.events).toMatchObject([
      { type: 'statement.closed', data: { month: '2026-01', overage: '9' } },
    ]);
    expect(book.account).toMatchObject({ statementDueAt: MARCH, lastAt: FEBRUARY, overage: 0n });
    shelf.putBack(book);
    expect(closed(shelf, FEBRUARY, read)).toEqual([]);
  });

  test('ends its time: a slow clock posts into the next month', () => {
    const shelf = opened();
    closed(shelf, FEBRUARY);
    shelf.work(at('2026-01-31'), charge(3n));
    expect(shelf.entries.at(-1)?.at).toBe(FEBRUARY);
    expect(shelf.account.overage).toBe(3n);
  });

  test.each<[string, (shelf: Shelf) => { now: number; of: StatementToClose }]>([
    ['before the month is over', ({ account }) => ({ now: FEBRUARY - 1, of: closing(account) })],
    [
      'of another month than the one due',
      ({ account }) => ({ now: MARCH, of: closing(account, MARCH) }),
    ],
    [
      'where an entry was posted into the month after it was read',
      (shelf) => {
        const of = closing(shelf.account);
        shelf.work(at('2h'), charge(1n));
        return { now: FEBRUARY, of };
      },
    ],
    [
      'where an entry was posted since, and it was read before the month was over',
      (shelf) => {
        const of = closing(shelf.account);
        shelf.work(FEBRUARY, charge(1n));
        return { now: FEBRUARY, of };
      },
    ],
  ])('does nothing %s', (_, given) => {
    const shelf = opened();
    const { now, of } = given(shelf);
    const book = shelf.take(now, []);
    const before = picture(book);
    closeStatement(book, of, origin);
    expect(picture(book)).toEqual(before);
  });

  test('is not hindered by entries of the next month that were there when it was read', () => {
    const shelf = opened();
    shelf.work(FEBRUARY, charge(1n));
    const of = closing(shelf.account);
    shelf.work(FEBRUARY + 1, charge(1n));
    expect(closed(shelf, FEBRUARY + 2, of)).toHaveLength(1);
    expect(shelf.account.overage).toBe(2n);
  });

  test('of a closed account ends with the month it was closed in', () => {
    const shelf = opened();
    shelf.work(at('1h'), close());
    expect(closed(shelf, FEBRUARY)).toHaveLength(1);
    expect(closed(shelf, MARCH, closing(shelf.account, MARCH))).toEqual([]);
    expect(dueOf(shelf)).toEqual([null, null]);
  });
});
