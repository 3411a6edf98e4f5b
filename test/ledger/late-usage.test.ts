/** Usage that is charged after it happened: how late it may be, where it counts, and what pays for it. */
import { describe, expect, test } from 'vitest';
import { Failure } from '../../src/failure.ts';
import type { Statement } from '../../src/ledger/statement.ts';
import { closeStatement } from '../../src/ledger/statement-closing.ts';
import type { Terms } from '../../src/pricing/plan.ts';
import type { AccountStore } from './account-store.ts';
import {
  allowance,
  at,
  charge,
  close,
  commit,
  grantCredits,
  move,
  ms,
  open,
  origin,
  pages,
  plan,
  postpaid,
  raise,
  rateCard,
  refund,
  release,
  reserve,
  setBudget,
  update,
  updateGrant,
  usagesOf,
} from './fixtures.ts';
import { continueLedger, ledger, type Row } from './table.ts';

const FEBRUARY = at('2026-02-01');
const MARCH = at('2026-03-01');
const LATE = { lateUsageMs: ms('3d') };
const POSTPAID: Partial<Terms> = { ...postpaid(100n), ...LATE };
const MONTHLY: Partial<Terms> = { ...allowance(50n), ...LATE };

const late = (amount: Parameters<typeof charge>[0], usedAt: string) =>
  charge(amount, null, { usedAt: at(usedAt) });

const opened = (terms: Partial<Terms>, rows: readonly Row[] = []): AccountStore =>
  ledger(plan(terms), [
    [
      '2026-01-10',
      open(),
      terms.allowance ? 'OPEN_ACCOUNT | GRANT 50: issued>g1 50' : 'OPEN_ACCOUNT',
      terms.allowance ? '50' : '0',
    ],
    ...rows,
  ]);

const dueOf = ({ account }: AccountStore) => account.statementDueAt;

const NO_STATEMENT: Statement = {
  accountId: 'acme',
  month: '2026-01',
  planId: 'test',
  closedAt: null,
  afterSeq: 0n,
  lastSeq: 0n,
  usage: [],
  creditsUsed: new Map(),
  overage: 0n,
  owed: 0n,
  owedPaid: 0n,
  rates: null,
  lines: [],
  adjustments: [],
  total: null,
  otherTotals: [],
};

/** Closes the month that is due, if it is. */
function closeMonth(store: AccountStore, now: string): boolean {
  const { seq, lastAt } = store.account;
  const dueAt = store.account.statementDueAt ?? 0;
  const book = store.loadBook(at(now), []);
  closeStatement(
    book,
    { statement: NO_STATEMENT, dueAt, read: { seq, lastAt }, nextPlanId: null },
    origin,
  );
  store.saveBook(book);
  return book.changes.statements.length === 1;
}

function metadataOf(store: AccountStore, now: string, usedAt: string) {
  const { outcome } = store.run(at(now), late(1n, usedAt));
  if (!(outcome instanceof Failure)) return outcome?.kind;
  return [outcome.reason, outcome.metadata['earliest'] ?? outcome.metadata['allowed'] ?? 'none'];
}

describe('usage can be late', () => {
  const granted = (terms: Partial<Terms>) =>
    opened(terms, [
      [
        '2026-01-10T01:00Z',
        grantCredits(100n),
        terms.allowance ? 'GRANT 100: issued>g2 100' : 'GRANT 100: issued>g1 100',
        terms.allowance ? '150' : '100',
      ],
    ]);

  test.each<[string, Partial<Terms>, string, string, unknown]>([
    [
      'not where the plan has no window',
      {},
      '2026-01-20',
      '2026-01-19',
      ['LATE_USAGE_NOT_ALLOWED', 'none'],
    ],
    [
      'not by a millisecond where the plan has no window',
      {},
      '2026-01-20',
      '2026-01-19T23:59:59.999Z',
      ['LATE_USAGE_NOT_ALLOWED', 'none'],
    ],
    ['up to the window of the plan', LATE, '2026-01-20', '2026-01-17', 'Charge'],
    [
      'by no more than that',
      LATE,
      '2026-01-20',
      '2026-01-16T23:59:59.999Z',
      ['LATE_USAGE_NOT_ALLOWED', '2026-01-17T00:00:00.000Z'],
    ],
    ['as of now', LATE, '2026-01-20', '2026-01-20', 'Charge'],
    [
      'and not in the future',
      LATE,
      '2026-01-20',
      '2026-01-20T00:00:00.001Z',
      ['INVALID_FIELD', '2026-01-20T00:00:00.000Z'],
    ],
    [
      'since the opening of the account',
      LATE,
      '2026-01-11',
      '2026-01-09',
      ['LATE_USAGE_NOT_ALLOWED', '2026-01-10T00:00:00.000Z'],
    ],
    [
      'of the month before, where no statement closes it',
      LATE,
      '2026-02-02',
      '2026-01-31',
      'Charge',
    ],
    [
      'of the month before, as long as its statement is open',
      POSTPAID,
      '2026-02-03T23:59:59Z',
      '2026-01-31T23:59:59.999Z',
      'Charge',
    ],
    [
      'and no longer once that is due, closed or not',
      POSTPAID,
      '2026-02-04',
      '2026-01-31T23:59:59.999Z',
      ['LATE_USAGE_NOT_ALLOWED', '2026-02-01T00:00:00.000Z'],
    ],
  ])('%s', (_, terms, now, usedAt, expected) => {
    expect(metadataOf(granted(terms), now, usedAt)).toEqual(expected);
  });

  test('not in a month that was closed without a window', () => {
    const store = opened(postpaid(100n));
    store.run(at('2026-01-11'), charge(1n));
    expect(closeMonth(store, '2026-02-01')).toBe(true);
    store.plan = plan(POSTPAID);
    expect(metadataOf(store, '2026-02-02', '2026-01-31')).toEqual([
      'LATE_USAGE_NOT_ALLOWED',
      '2026-02-01T00:00:00.000Z',
    ]);
  });

  test('not in a month that ended without a window, though nobody has closed it yet', () => {
    const store = opened(postpaid(100n));
    store.plan = plan(POSTPAID);
    expect(metadataOf(store, '2026-02-02', '2026-01-31')).toEqual([
      'LATE_USAGE_NOT_ALLOWED',
      '2026-02-01T00:00:00.000Z',
    ]);
    expect(dueOf(store)).toBe(FEBRUARY);
  });

  test('not in a month that ended under another plan', () => {
    const store = opened(POSTPAID);
    store.otherPlans.set('other', { ...plan(POSTPAID), planId: 'other' });
    store.run(at('2026-02-02'), move('other'));
    expect(dueOf(store)).toBe(at('2026-02-04'));
    expect(store.account.statementPlanId).toBe('test');
    expect(metadataOf(store, '2026-02-02T01:00Z', '2026-01-31')).toEqual([
      'LATE_USAGE_NOT_ALLOWED',
      '2026-02-01T00:00:00.000Z',
    ]);
    closeMonth(store, '2026-02-04');
    expect([dueOf(store), store.account.statementPlanId]).toEqual([at('2026-03-04'), 'other']);
  });

  test('and changes nothing where it is refused', () => {
    opened(LATE, [
      ['2026-01-20', late(1n, '2026-01-02'), 'LATE_USAGE_NOT_ALLOWED', '0'],
      ['2026-01-20', late(1n, '2026-01-21'), 'INVALID_FIELD', '0'],
      ['2026-01-20', reserve(1n, { usedAt: at('2026-01-02') }), 'LATE_USAGE_NOT_ALLOWED', '0'],
    ]);
  });

  test('and has the prices of its time', () => {
    const store = opened({ ...postpaid(100n), ...LATE });
    store.run(at('2026-01-11'), charge(1n));
    store.publish(rateCard(2, 3n));
    const split = (usedAt: number | null) =>
      store.run(at('2026-01-12'), charge(pages(2n), null, { usedAt })).outcome;
    // The fixture puts version 2 in force at START, which is the opening of the account.
    expect(split(null)).toMatchObject({ credits: 6n });
    expect(split(at('2026-01-11'))).toMatchObject({ credits: 6n });
    expect(store.entries.at(-1)).toMatchObject({ rateCardVersion: 2, usedAt: at('2026-01-11') });
  });
});

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
    closeStatement(book, { statement: NO_STATEMENT, dueAt, read, nextPlanId: null }, origin);
    expect(book.changes.statements).toEqual([]);
    expect(closeMonth(store, '2026-02-04')).toBe(true);
  });
});

describe('late overage', () => {
  const rows: readonly Row[] = [
    ['2026-01-20', charge(60n), 'CHARGE 60: overage>consumed 60', '0 overage 60'],
    ['2026-02-01', charge(90n), 'CHARGE 90: overage>consumed 90', '0 overage 90'],
  ];

  test('counts in its own month, and against the limit of that', () => {
    const store = opened(POSTPAID, [
      ...rows,
      ['2026-02-02', late(30n, '2026-01-31'), 'CHARGE 30: overage>consumed 30', '0 overage 90'],
      [
        '2026-02-02',
        late(11n, '2026-01-31'),
        'OVERAGE_LIMIT_REACHED: required 11, available 10, shortfall 1, limit 100',
        '0 overage 90',
      ],
      ['2026-02-02', late(10n, '2026-02-01'), 'CHARGE 10: overage>consumed 10', '0 overage 100'],
      [
        '2026-02-02',
        late(10n, '2026-01-30T12:00Z'),
        'CHARGE 10: overage>consumed 10',
        '0 overage 100',
      ],
    ]);
    expect(store.account.overageBefore).toBe(100n);
    closeMonth(store, '2026-02-04');
    expect(store.account).toMatchObject({ overageBefore: null, overage: 100n });
  });

  test('is the first that the new month sees', () => {
    const store = opened(POSTPAID, [
      rows[0] as Row,
      ['2026-02-02', late(40n, '2026-01-31'), 'CHARGE 40: overage>consumed 40', '0'],
      ['2026-02-02', late(1n, '2026-01-31'), 'OVERAGE_LIMIT_REACHED', '0'],
      ['2026-02-02', charge(100n), 'CHARGE 100: overage>consumed 100', '0 overage 100'],
    ]);
    expect(store.account.overageBefore).toBe(100n);
  });

  test('that is refunded gives nothing back to the month that runs', () => {
    const store = opened(POSTPAID, [
      ...rows,
      ['2026-02-02', late(40n, '2026-01-31'), 'CHARGE 40: overage>consumed 40', '0 overage 90'],
      ['2026-02-03', refund(4n), 'REFUND 40: consumed>overage 40', '0 overage 90'],
    ]);
    // As of any refund of an earlier month: the statement of this one adjusts it.
    expect(store.account.overageBefore).toBe(100n);
  });

  test('that is reserved must have room in both months', () => {
    const usedAt = at('2026-01-31');
    opened(POSTPAID, [
      ...rows,
      ['2026-02-02', reserve(11n, { usedAt }), 'OVERAGE_LIMIT_REACHED', '0 overage 90'],
      [
        '2026-02-02',
        reserve(10n, { usedAt }),
        'RESERVE 10: overage>(overage) 10',
        '0 (10) overage 90',
      ],
      ['2026-02-02', late(31n, '2026-01-31'), 'OVERAGE_LIMIT_REACHED', '0 (10) overage 90'],
      [
        '2026-02-02',
        late(30n, '2026-01-31'),
        'CHARGE 30: overage>consumed 30',
        '0 (10) overage 90',
      ],
      ['2026-02-02T00:01Z', commit('r1'), 'COMMIT 10: (overage)>consumed 10', '0 overage 90'],
    ]);
  });

  test('of an account that was quiet for months is of no month that is kept', () => {
    const store = opened(POSTPAID, [rows[0] as Row]);
    store.run(at('2026-05-05'), charge(5n));
    expect(store.account).toMatchObject({ overage: 5n, overageBefore: null });
  });

  test('that a raise adds must have room in its month, too', () => {
    const usedAt = at('2026-01-31');
    opened(POSTPAID, [
      rows[0] as Row,
      ['2026-02-02', reserve(10n, { usedAt }), 'RESERVE 10: overage>(overage) 10', '0 (10)'],
      [
        '2026-02-02',
        raise('r1', 31n),
        'OVERAGE_LIMIT_REACHED: required 31, available 30, shortfall 1, limit 100',
        '0 (10)',
      ],
      ['2026-02-02', raise('r1', 30n), 'RAISE 30: overage>(overage) 30', '0 (40)'],
      ['2026-02-02', commit('r1'), 'COMMIT 40: (overage)>consumed 40', '0'],
    ]);
  });

  test('of a raise that is charged when it is made needs room of then alone', () => {
    const store = opened(POSTPAID, [rows[0] as Row]);
    const reserved = reserve(10n, { usedAt: at('2026-01-31T23:30Z'), ttlMs: ms('24h') });
    store.run(at('2026-02-03T23:00Z'), reserved);
    continueLedger(store, [
      ['2026-02-04', raise('r1', 90n), 'RAISE 90: overage>(overage) 90', '0 (100)'],
    ]);
  });

  test('counts against what its month had, also where the account was under another plan meanwhile', () => {
    const store = opened(POSTPAID, [rows[0] as Row]);
    store.otherPlans.set('other', { ...plan(postpaid(100n)), planId: 'other' });
    store.run(at('2026-02-01'), move('other'));
    expect(store.account.overageBefore).toBe(60n);
    store.run(at('2026-02-01T12:00Z'), move('test'));
    continueLedger(store, [
      ['2026-02-02', late(41n, '2026-01-31'), 'OVERAGE_LIMIT_REACHED', '0'],
      ['2026-02-02', late(40n, '2026-01-31'), 'CHARGE 40: overage>consumed 40', '0'],
    ]);
  });

  test('counts against the limit of its month, and not what an earlier one had', () => {
    const store = opened(POSTPAID, [
      ...rows,
      ['2026-02-02', late(40n, '2026-01-31'), 'CHARGE 40: overage>consumed 40', '0 overage 90'],
    ]);
    // Nobody has closed a month yet.
    continueLedger(store, [
      ['2026-03-02', late(10n, '2026-02-28'), 'CHARGE 10: overage>consumed 10', '0'],
      ['2026-05-02', late(100n, '2026-04-30'), 'CHARGE 100: overage>consumed 100', '0'],
    ]);
  });

  test('is not kept where the plan takes no late usage', () => {
    const store = opened(postpaid(100n), rows);
    expect(store.account.overageBefore).toBeNull();
  });
});

describe('a commit', () => {
  const usedAt = at('2026-01-31');
  const lastUsedAt = ({ entries }: AccountStore) => entries.at(-1)?.usedAt;

  test('counts when its reservation says, while that can be charged', () => {
    const store = opened(POSTPAID);
    store.run(at('2026-02-02'), reserve(10n, { usedAt, ttlMs: ms('24h') }));
    store.run(at('2026-02-02T01:00Z'), commit('r1', 4n, { final: false }));
    expect(lastUsedAt(store)).toBe(usedAt);
    expect(store.account).toMatchObject({ overage: 0n, overageBefore: 4n });
  });

  test('counts when it is made, once that cannot be charged any more', () => {
    const store = opened(POSTPAID);
    store.run(at('2026-02-02'), reserve(10n, { usedAt, ttlMs: ms('24h') }));
    for (const hours of [20, 40, 48])
      store.run(at('2026-02-02') + hours * 3_600_000, {
        kind: 'ExtendReservation',
        reservationId: 'r1',
        ttlMs: ms('24h'),
      });
    store.run(at('2026-02-04'), commit('r1', 4n));
    expect(lastUsedAt(store)).toBeNull();
    expect(store.account).toMatchObject({ overage: 4n, overageBefore: null });
  });

  test('counts when it is made, where it draws overage that was not held', () => {
    const store = opened(POSTPAID);
    store.run(at('2026-02-02'), reserve(10n, { usedAt, overCommitPolicy: 'DRAW' }));
    store.run(at('2026-02-02T00:01Z'), commit('r1', 14n));
    expect(lastUsedAt(store)).toBeNull();
    expect(store.account).toMatchObject({ overage: 14n, overageBefore: null });
  });
});

describe('an allowance that has expired since', () => {
  const IN_FEBRUARY: Row = [
    '2026-02-02',
    null,
    'GRANT_EXPIRED 50: g1>expired 50 | GRANT 50: issued>g2 50',
    '50',
  ];

  test('returns as far as late usage of its time needs it', () => {
    const store = opened(MONTHLY, [
      IN_FEBRUARY,
      [
        '2026-02-02',
        late(30n, '2026-01-31'),
        'REINSTATE 30: expired>g1 30 | CHARGE 30: g1>consumed 30',
        '50',
      ],
      [
        '2026-02-02',
        late(30n, '2026-01-31'),
        'REINSTATE 20: expired>g1 20 | CHARGE 30: g1>consumed 20, g2>consumed 10',
        '40',
      ],
      ['2026-02-02', late(5n, '2026-01-31'), 'CHARGE 5: g2>consumed 5', '35'],
    ]);
    expect(store.grants.get(1n)).toMatchObject({ remaining: 0n, expired: 0n, state: 'EXPIRED' });
    expect(store.entries.filter(({ kind }) => kind === 'REINSTATE')).toMatchObject([
      { grantId: 1n, purchaseId: null, requestId: '', caller: 'scrip', usedAt: at('2026-01-31') },
      { grantId: 1n },
    ]);
  });

  test('returns in the unit of work in which it expires', () => {
    opened(MONTHLY, [
      [
        '2026-02-02',
        late(30n, '2026-01-31'),
        'GRANT_EXPIRED 50: g1>expired 50 | GRANT 50: issued>g2 50 | REINSTATE 30: expired>g1 30 | CHARGE 30: g1>consumed 30',
        '50',
      ],
    ]);
  });

  test('stays expired for usage of now, of another time, or that fails', () => {
    opened(MONTHLY, [
      IN_FEBRUARY,
      ['2026-02-02', charge(10n), 'CHARGE 10: g2>consumed 10', '40'],
      ['2026-02-02', late(10n, '2026-02-01'), 'CHARGE 10: g2>consumed 10', '30'],
      [
        '2026-02-02',
        late(81n, '2026-01-31'),
        'INSUFFICIENT_CREDITS: required 81, available 80, shortfall 1',
        '30',
      ],
      [
        '2026-02-02',
        late(80n, '2026-01-31'),
        'REINSTATE 50: expired>g1 50 | CHARGE 80: g1>consumed 50, g2>consumed 30',
        '0',
      ],
    ]);
  });

  test('expires again when the charge is refunded', () => {
    const store = opened(MONTHLY, [
      IN_FEBRUARY,
      [
        '2026-02-02',
        late(30n, '2026-01-31'),
        'REINSTATE 30: expired>g1 30 | CHARGE 30: g1>consumed 30',
        '50',
      ],
      ['2026-02-03', refund(6n), 'REFUND 30: consumed>expired 30', '50'],
    ]);
    expect(store.grants.get(1n)).toMatchObject({ expired: 50n, state: 'EXPIRED' });
  });

  test('is reserved and committed, and what the reservation gives back expires again', () => {
    const usedAt = at('2026-01-31');
    const store = opened(MONTHLY, [
      IN_FEBRUARY,
      [
        '2026-02-02',
        reserve(60n, { usedAt }),
        'REINSTATE 50: expired>g1 50 | RESERVE 60: g1>(g1) 50, g2>(g2) 10',
        '100 (60)',
      ],
      [
        '2026-02-02T00:01Z',
        commit('r1', 20n),
        'COMMIT 20: (g1)>consumed 20, (g2)>g2 10, (g1)>expired 30',
        '50',
      ],
      [
        '2026-02-02T00:02Z',
        reserve(30n, { usedAt }),
        'REINSTATE 30: expired>g1 30 | RESERVE 30: g1>(g1) 30',
        '80 (30)',
      ],
      ['2026-02-02T00:03Z', release('r2'), 'RELEASE 30: (g1)>expired 30', '50'],
    ]);
    expect(store.grants.get(1n)).toMatchObject({ remaining: 0n, expired: 30n });
  });

  test('returns only for the operations that it pays for', () => {
    const store = opened(MONTHLY);
    const { book } = store.run(at('2026-01-12'), null);
    const first = store.grants.get(1n);
    expect(book.hasLimitedGrants).toBe(false);
    if (first) store.grants.set(1n, { ...first, operations: ['a'] });
    store.account.hasLimitedGrants = true;
    store.run(at('2026-02-02'), null);
    expect(
      store.run(at('2026-02-02'), late(usagesOf({ a: 5n, b: 7n }), '2026-01-31')).outcome,
    ).toMatchObject({
      split: [
        { grantId: 1n, credits: 5n },
        { grantId: 2n, credits: 7n },
      ],
    });
  });

  test('does not return where the plan took no late usage when it expired', () => {
    const store = opened(allowance(50n), [IN_FEBRUARY]);
    store.plan = plan(MONTHLY);
    continueLedger(store, [
      ['2026-02-02', late(5n, '2026-01-31'), 'CHARGE 5: g2>consumed 5', '45'],
    ]);
  });

  test('does not return where it rolls over: what is left of it is there', () => {
    opened({ ...allowance(50n, { rollover: { upTo: 10n } }), ...LATE }, [
      [
        '2026-02-02',
        late(15n, '2026-01-31'),
        'GRANT_EXPIRED 40: g1>expired 40 | GRANT 50: issued>g2 50 | CHARGE 15: g1>consumed 10, g2>consumed 5',
        '45',
      ],
    ]);
  });

  test('does not return while it lasts, and what was not carried over never does', () => {
    const store = opened({ ...allowance(50n, { rollover: { upTo: 10n } }), ...LATE });
    store.run(at('2026-02-02'), updateGrant(1n, { expiresAt: at('2026-02-20') }));
    expect(store.grants.get(1n)).toMatchObject({ remaining: 10n, expired: 0n });
    continueLedger(store, [
      ['2026-02-02', late(4n, '2026-01-31'), 'CHARGE 4: g1>consumed 4', '56'],
      ['2026-02-20', null, 'GRANT_EXPIRED 6: g1>expired 6', '50'],
      [
        '2026-02-21',
        late(15n, '2026-02-19'),
        'REINSTATE 6: expired>g1 6 | CHARGE 15: g1>consumed 6, g2>consumed 9',
        '41',
      ],
    ]);
  });

  test.each([
    ['America/New_York', '2026-02-01T04:59:59Z', '2026-02-01T05:00:00Z'],
    ['Asia/Kolkata', '2026-01-31T18:29:59Z', '2026-01-31T18:30:00Z'],
    ['Pacific/Kiritimati', '2026-01-31T09:59:59Z', '2026-01-31T10:00:00Z'],
  ])('in %s returns for usage of the last second of its month', (zone, last, first) => {
    ledger(plan(MONTHLY), [
      ['2026-01-10', open(zone), 'OPEN_ACCOUNT | GRANT 50: issued>g1 50', '50'],
      IN_FEBRUARY,
      ['2026-02-02', late(5n, first), 'CHARGE 5: g2>consumed 5', '45'],
      ['2026-02-02', late(5n, last), 'REINSTATE 5: expired>g1 5 | CHARGE 5: g1>consumed 5', '45'],
    ]);
  });

  test('pays nothing of what the account owes', () => {
    opened({ ...MONTHLY, payOwed: true }, [
      [
        '2026-01-11',
        reserve(50n, { overCommitPolicy: 'TAKE' }),
        'RESERVE 50: g1>(g1) 50',
        '50 (50)',
      ],
      [
        '2026-01-11T00:01Z',
        commit('r1', 80n),
        'COMMIT 80: (g1)>consumed 50, owed>consumed 30',
        '0 owes 30',
      ],
    ]);
  });
});

test('budgets count late usage in the period in which it happened', () => {
  const store = opened(POSTPAID);
  store.run(
    at('2026-01-20'),
    setBudget({ label: 'user', cap: 10n, period: 'MONTH', enforcement: 'HARD' }),
  );
  const used = (now: string, credits: bigint, usedAt: string | null) => {
    const command = charge(credits, null, {
      labels: { user: 'ann' },
      usedAt: usedAt === null ? null : at(usedAt),
    });
    const { outcome } = store.run(at(now), command);
    return outcome instanceof Failure ? outcome.reason : outcome?.kind;
  };
  expect(used('2026-01-21', 6n, null)).toBe('Charge');
  expect(used('2026-02-02', 10n, null)).toBe('Charge');
  expect(used('2026-02-02', 5n, '2026-01-31')).toBe('BUDGET_EXCEEDED');
  expect(used('2026-02-02', 4n, '2026-01-31')).toBe('Charge');
  expect(used('2026-02-02', 1n, null)).toBe('BUDGET_EXCEEDED');
});

test('a change of zone keeps the month that is to be closed', () => {
  const store = opened({ ...POSTPAID, lateUsageMs: ms('25d') });
  store.run(at('2026-02-02'), update(null, { timeZone: 'Pacific/Kiritimati' }));
  expect(dueOf(store)).toBe(FEBRUARY + ms('25d'));
  store.run(at('2026-02-20'), late(5n, '2026-01-31'));
  expect(store.account).toMatchObject({ overage: 0n, overageBefore: 5n });
  expect(closeMonth(store, '2026-02-26')).toBe(true);
});
