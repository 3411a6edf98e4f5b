/** Usage that is charged after it happened: how late it may be, its prices and its budgets. */
import { describe, expect, test } from 'vitest';
import { Failure } from '../../src/failure.ts';
import type { Terms } from '../../src/pricing/plan.ts';
import { auditStore } from '../verify/audit-store.ts';
import { AccountStore } from './account-store.ts';
import {
  at,
  charge,
  grantCredits,
  importAccount,
  importedGrant,
  move,
  ms,
  open,
  pages,
  plan,
  postpaid,
  rateCard,
  reserve,
  START,
  setBudget,
} from './fixtures.ts';
import { closeMonth, dueOf, FEBRUARY, LATE, late, MARCH, opened, POSTPAID } from './late-usage.ts';
import { ledger } from './table.ts';

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
      'since the opening of the account, also where its first month has a statement',
      POSTPAID,
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

  test('in the month before, though an earlier one is still to be closed, if it ended under the same plan', () => {
    const store = opened(POSTPAID);
    store.otherPlans.set('other', { ...plan(POSTPAID), planId: 'other' });
    expect(metadataOf(store, '2026-03-01', '2026-02-28')).toBe('Charge');
    store.run(at('2026-03-02'), move('other'));
    store.run(at('2026-03-02'), move('test'));
    expect(metadataOf(store, '2026-03-02', '2026-02-28')).toBe('Charge');
    expect(dueOf(store)).toBe(FEBRUARY + ms('3d'));
  });

  test('not in a month that ended under another plan, though an earlier one is still to be closed', () => {
    const store = opened(POSTPAID);
    store.otherPlans.set('prepaid', { ...plan(), planId: 'prepaid' });
    store.run(at('2026-01-20'), move('prepaid'));
    store.run(at('2026-03-01'), move('test'));
    const { outcomes } = store.runGroup(at('2026-03-01'), [late(1n, '2026-02-28')]);
    expect(outcomes).toMatchObject([
      {
        reason: 'LATE_USAGE_NOT_ALLOWED',
        metadata: { earliest: '2026-03-01T00:00:00.000Z' },
      },
    ]);
    closeMonth(store, '2026-03-01', 2n);
    expect([dueOf(store), store.account.statementPlanId]).toEqual([MARCH, null]);
    expect(metadataOf(store, '2026-03-01', '2026-02-28')).toEqual([
      'LATE_USAGE_NOT_ALLOWED',
      '2026-03-01T00:00:00.000Z',
    ]);
  });

  test('in a month that no plan prices, where the account has come from a postpaid plan', () => {
    const store = opened(POSTPAID);
    store.otherPlans.set('prepaid', { ...plan(LATE), planId: 'prepaid' });
    store.run(at('2026-01-11'), charge(1n));
    store.run(at('2026-01-20'), move('prepaid'));
    store.run(at('2026-01-20'), grantCredits(100n));
    expect(closeMonth(store, '2026-02-04', 2n)).toBe(true);
    expect([dueOf(store), store.account.statementPlanId]).toEqual([MARCH + ms('3d'), null]);
    expect(metadataOf(store, '2026-03-01', '2026-02-28')).toBe('Charge');
    store.run(at('2026-03-01'), move('test'));
    expect(metadataOf(store, '2026-03-01', '2026-02-28')).toEqual([
      'LATE_USAGE_NOT_ALLOWED',
      '2026-03-01T00:00:00.000Z',
    ]);
  });

  const byCharge = (usedAt: string) => late(1n, usedAt);
  const byReserve = (usedAt: string) => reserve(1n, { usedAt: at(usedAt) });
  test.each([
    ['a charge', 'prepaid', LATE, byCharge],
    ['a reservation', 'prepaid', LATE, byReserve],
    ['a charge', 'postpaid', POSTPAID, byCharge],
    ['a reservation', 'postpaid', POSTPAID, byReserve],
  ])('not before an import, which says what was used before: by %s, %s', (_, _kind, terms, use) => {
    const opening = importAccount({ grants: [importedGrant(100n)] });
    const refused = {
      reason: 'LATE_USAGE_NOT_ALLOWED',
      metadata: { earliest: '2026-01-20T00:00:00.000Z' },
    };
    const store = new AccountStore(plan(terms), at('2026-01-20'), opening);
    const { outcomes } = store.runGroup(at('2026-01-20'), [
      opening,
      use('2026-01-19T23:59:59.999Z'),
    ]);
    expect(outcomes[1]).toMatchObject(refused);
    const { outcome: later } = store.run(at('2026-01-21'), use('2026-01-19T23:59:59.999Z'));
    expect(later).toMatchObject(refused);
    const { outcome } = store.run(at('2026-01-21'), use('2026-01-20'));
    expect(outcome).not.toBeInstanceOf(Failure);
  });

  test('and an audit names an entry of usage before its import', () => {
    const opening = importAccount({ grants: [importedGrant(100n)] });
    const store = new AccountStore(plan(LATE), at('2026-01-20'), opening);
    store.run(at('2026-01-20'), opening);
    store.run(at('2026-01-21'), late(1n, '2026-01-20'));
    const early = expect.stringContaining('before the first entry of the account');
    expect(auditStore(store)).not.toContainEqual(early);
    const altered = store.entries.map((entry) =>
      entry.usedAt === null ? entry : { ...entry, usedAt: entry.usedAt - 1 },
    );
    expect(auditStore(store, altered)).toContainEqual(early);
  });

  test('and changes nothing where it is refused', () => {
    opened(LATE, [
      ['2026-01-20', late(1n, '2026-01-02'), 'LATE_USAGE_NOT_ALLOWED', '0'],
      ['2026-01-20', late(1n, '2026-01-21'), 'INVALID_FIELD', '0'],
      ['2026-01-20', reserve(1n, { usedAt: at('2026-01-02') }), 'LATE_USAGE_NOT_ALLOWED', '0'],
    ]);
  });

  test('and has the prices of its time', () => {
    const store = ledger(plan(POSTPAID), [
      ['2026-01-09T23:59:59.500Z', open(), 'OPEN_ACCOUNT', '0'],
    ]);
    // In the fixture version 1 is in force until START, and version 2 since.
    store.publish(rateCard(2, 3n));
    const charged = (usedAt: number | null) =>
      store.run(at('1h'), charge(pages(2n), null, { usedAt })).outcome;
    expect(charged(null)).toMatchObject({ credits: 6n });
    expect(charged(START)).toMatchObject({ credits: 6n });
    expect(charged(START - 1)).toMatchObject({ credits: 2n });
    expect(store.entries.at(-1)).toMatchObject({ rateCardVersion: 1, usedAt: START - 1 });
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
