/** When a statement is due where usage can be late, and when it is closed. */
import { describe, expect, test } from 'vitest';
import { closeStatement } from '../../src/ledger/statement-closing.ts';
import { at, charge, close, move, ms, open, origin, plan, postpaid, update } from './fixtures.ts';
import {
  closeMonth,
  dueOf,
  FEBRUARY,
  late,
  MARCH,
  NO_STATEMENT,
  opened,
  POSTPAID,
} from './late-usage.ts';
import { ledger } from './table.ts';

describe('a statement is due', () => {
  test('as long after the end of its month as usage may be late', () => {
    expect(dueOf(opened(POSTPAID))).toBe(FEBRUARY + ms('3d'));
    expect(dueOf(opened(postpaid(1n)))).toBe(FEBRUARY);
  });

  test('by the window that the plan has at the end of the month', () => {
    const store = opened(postpaid(100n));
    store.plan = plan(POSTPAID);
    store.run(at('2026-01-20'), null);
    expect(dueOf(store)).toBe(FEBRUARY + ms('3d'));
    store.plan = plan({ ...POSTPAID, lateUsageMs: ms('25d') });
    store.run(at('2026-02-02'), null);
    expect(dueOf(store)).toBe(FEBRUARY + ms('3d'));
    closeMonth(store, '2026-02-04');
    expect(dueOf(store)).toBe(MARCH + ms('25d'));
    closeMonth(store, '2026-03-26');
    expect(dueOf(store)).toBe(at('2026-04-01') + ms('25d'));
  });

  test('by that of the plan that the account moves to before the month ends', () => {
    const store = opened(POSTPAID);
    store.otherPlans.set('other', { ...plan(postpaid(9n)), planId: 'other' });
    store.run(at('2026-01-20'), move('other'));
    expect(dueOf(store)).toBe(FEBRUARY);
    store.run(at('2026-01-21'), move('test'));
    expect(dueOf(store)).toBe(FEBRUARY + ms('3d'));
    store.otherPlans.set('prepaid', { ...plan(), planId: 'prepaid' });
    store.run(at('2026-01-22'), move('prepaid'));
    expect([dueOf(store), store.account.statementPlanId]).toEqual([FEBRUARY, 'test']);
  });

  test.each(['Asia/Kolkata', 'America/New_York', 'Pacific/Kiritimati', 'Africa/Cairo'])(
    'after the end of the month in %s',
    (zone) => {
      const store = ledger(plan({ ...POSTPAID, lateUsageMs: ms('25d') }), [
        ['2026-01-10', open(zone), 'OPEN_ACCOUNT', '0'],
      ]);
      const first = dueOf(store) as number;
      const local = new Intl.DateTimeFormat('en-CA', { timeZone: zone, dateStyle: 'short' });
      expect(local.format(first - ms('25d'))).toBe('2026-02-01');
      expect(local.format(first - ms('25d') - 1)).toBe('2026-01-31');
      closeMonth(store, '2026-02-27');
      expect(local.format((dueOf(store) as number) - ms('25d'))).toBe('2026-03-01');
    },
  );

  test('also of a closed account', () => {
    const store = opened(POSTPAID);
    store.run(at('2026-01-11'), charge(1n));
    store.run(at('2026-02-01'), close());
    expect(closeMonth(store, '2026-02-03')).toBe(false);
    expect(closeMonth(store, '2026-02-04')).toBe(true);
    expect(dueOf(store)).toBe(MARCH + ms('3d'));
  });

  test('is not closed while late usage can come, nor without usage that came since it was read', () => {
    const store = opened(POSTPAID);
    store.run(at('2026-02-02'), late(5n, '2026-01-31'));
    const read = { seq: 1n, lastAt: at('2026-01-10') };
    const book = store.loadBook(at('2026-02-04'), []);
    const dueAt = FEBRUARY + ms('3d');
    closeStatement(book, { statement: NO_STATEMENT, dueAt, read }, origin);
    expect(book.changes.statements).toEqual([]);
    expect(closeMonth(store, '2026-02-04')).toBe(true);
  });
});

test('a change of zone keeps the month that is to be closed', () => {
  const store = opened({ ...POSTPAID, lateUsageMs: ms('25d') });
  store.run(at('2026-02-02'), update(null, { timeZone: 'Pacific/Kiritimati' }));
  expect(dueOf(store)).toBe(FEBRUARY + ms('25d'));
  store.run(at('2026-02-20'), late(5n, '2026-01-31'));
  expect(store.account).toMatchObject({ overage: 0n, overageBefore: 5n });
  expect(closeMonth(store, '2026-02-26')).toBe(true);
});
