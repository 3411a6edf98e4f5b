/** What the model says of an import, and what the checker accepts of the account that it made. */
import { describe, expect, test } from 'vitest';
import { memberName } from '../../src/cli/member-name.ts';
import { Entry_Kind } from '../../src/gen/billing/v1/ledger.ts';
import type { ImportSpec } from './import-spec.ts';
import { mistakeIn } from './model/import-mistakes.ts';
import { importSums } from './model/import-sums.ts';
import { History, OPENED_AT } from './model-history.ts';
import { planOf, UNITS } from './plans.ts';
import { importOf } from './to-import.ts';

const { MINUTE, HOUR, DAY } = UNITS;
const ALLOWANCE = { source: 2, category: 0, credits: 50, agoMs: HOUR } as const;
const GRANT = { source: 4, category: 2, agoMs: 3 * DAY } as const;
const PACK = { pack: 'small', credits: 60, price: '5.00', agoMs: DAY } as const;

/** An account of 40 days, with an allowance that is used up, a grant that is over, and a pack. */
const IMPORT: ImportSpec = {
  do: 'import',
  plan: 'postpaid',
  name: 'Acme',
  openedAgoMs: 40 * DAY,
  grants: [
    { ...ALLOWANCE, spent: 50, spentThisMonth: 50 },
    { ...GRANT, credits: 30, spent: 12, spentThisMonth: 2, lastsMs: DAY },
  ],
  purchases: [{ ...PACK, spent: 20, spentThisMonth: 5, reference: 'order-1' }],
  month: { overage: 7, usage: [{ operation: 'doc.convert', count: 5, credits: 64 }] },
  reference: 'customer 17',
};
const CHARGE = { do: 'charge', amount: { credits: 3 }, sheddable: false, reference: '' } as const;

const imported = () => new History().request(0, IMPORT);

describe('an imported account', () => {
  test('has entries for its grants, oldest first, and one of the running month', () => {
    const { entries } = imported();
    expect(entries.map(({ kind, credits }) => [memberName(Entry_Kind, kind), credits])).toEqual([
      ['OPEN_ACCOUNT', 0n],
      ['GRANT', 50n],
      ['GRANT', 30n],
      ['PURCHASE', 60n],
      ['IMPORT', 64n],
    ]);
    expect(entries.at(-1)?.usages.map(({ usage, credits }) => [usage?.count, credits])).toEqual([
      [1n, 12n],
      [4n, 52n],
    ]);
  });

  test('has what was left, and no allowance before the next month', () => {
    const state = imported().check();
    expect({ remaining: state.remaining, overage: state.overageOf(OPENED_AT) }).toEqual({
      remaining: 40n,
      overage: 7n,
    });
    expect(state.allowanceDueAt).toBe(Date.UTC(2031, 1, 1));
  });

  test('has sums', () => {
    expect(importSums([imported().check()])).toEqual({
      sums: [
        {
          ...{ planId: 'postpaid', accounts: 1n, grants: 2n, purchases: 1n, granted: 140n },
          ...{ spent: 82n, spentThisMonth: 57n, expired: 18n, overage: 7n },
          paid: [{ currency: 'USD', amount: '5.00' }],
        },
      ],
    });
  });

  test('is charged as any other, and read', () => {
    const history = imported().read().request(1, CHARGE).read();
    history
      .advanceTo(Date.UTC(2031, 1, 1))
      .settle()
      .read();
    expect(() => history.check()).not.toThrow();
  });
});

describe('the checker refuses an imported account', () => {
  test('whose entries are of no import', () => {
    const history = imported();
    history.attempts.pop();
    expect(() => history.check()).toThrow('nobody asked for entry');
  });

  test.each([1, 2, 3, 4])('whose entry %i says another amount', (index) => {
    const history = imported();
    const entry = history.entries[index];
    if (entry) history.entries[index] = { ...entry, credits: entry.credits + 1n };
    expect(() => history.check()).toThrow('credits is');
  });

  test('that was opened when it was imported', () => {
    const history = imported();
    const [first] = history.entries;
    first?.details.set('opened_at', new Date(OPENED_AT).toISOString());
    expect(() => history.check()).toThrow('details.opened_at');
  });

  test('whose answer shows more than was left', () => {
    const history = imported().read({ balance: undefined });
    expect(() => history.check()).toThrow('is right at no seq');
  });
});

describe('an import is refused', () => {
  const [first] = IMPORT.purchases;
  const [allowance] = IMPORT.grants;
  const month = { overage: 0, usage: [] };
  test.each<readonly [string, Partial<ImportSpec>, string]>([
    ['to come', { openedAgoMs: -1 }, 'INVALID_FIELD'],
    ['with a grant before its opening', { openedAgoMs: 2 * DAY }, 'INVALID_FIELD'],
    ['with two allowances of a month', { grants: [allowance!, allowance!] }, 'INVALID_FIELD'],
    [
      'with spending of this month from an allowance of the month before',
      {
        grants: [{ ...allowance!, agoMs: 31 * DAY, credits: 57, spent: 57, spentThisMonth: 57 }],
        purchases: [],
      },
      'INVALID_FIELD',
    ],
    [
      'with spending of this month from a pack that was over before',
      { grants: [], purchases: [{ ...first!, agoMs: 35 * DAY, spent: 57, spentThisMonth: 57 }] },
      'INVALID_FIELD',
    ],
    ['without its month', { month: undefined as never }, 'INVALID_FIELD'],
    [
      'with usage that does not add up',
      { month: { ...IMPORT.month!, overage: 6 } },
      'INVALID_FIELD',
    ],
    [
      'with usage of another month',
      { month: { ...IMPORT.month!, name: '2030-12' } },
      'MONTH_NOT_RUNNING',
    ],
    ['with more overage than the plan has', { month: { ...month, overage: 151 } }, 'INVALID_FIELD'],
    ['of a pack that is not sold', { purchases: [{ ...first!, pack: 'large' }] }, 'PACK_NOT_FOUND'],
    ['with a payment that paid twice', { purchases: [first!, first!] }, 'PAYMENT_REFERENCE_USED'],
  ])('%s', (_, change, reason) => {
    const now = OPENED_AT + MINUTE;
    const common = { accountId: 'account-0', requestId: 'request-0', notAfter: undefined };
    const request = importOf({ ...IMPORT, ...change }, common, now);
    const openedAt = request.openedAt?.getTime() ?? 0;
    const mistake = mistakeIn(
      request,
      { plan: planOf('postpaid'), openedAt, timeZones: null },
      now,
    );
    expect(mistake?.reason).toBe(reason);
  });
});
