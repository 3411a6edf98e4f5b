import { describe, expect, test } from 'vitest';
import { Failure } from '../../src/failure.ts';
import type { ImportAccount } from '../../src/ledger/import/import-account.ts';
import { AccountStore } from './account-store.ts';
import {
  allowance,
  at,
  charge,
  importAccount,
  importedGrant,
  importedPurchase,
  pack,
  paid,
  plan,
  postpaid,
  purchase,
  syncPurchase,
} from './fixtures.ts';
import { ledger } from './table.ts';

const PACKS = [pack('small', 100n, '10.00'), pack('large', 1_000n, '50.00')];
const YEAR = { month: '2026-01', usage: [], overage: 0n };

describe('an import', () => {
  test('opens the account with its date, and says where it comes from', () => {
    const command = importAccount({
      displayName: 'Acme',
      labels: { team: 'a' },
      reference: 'customer 17',
    });
    const store = ledger(plan({ welcome: { credits: 20n, validity: null } }), [
      ['0s', command, 'OPEN_ACCOUNT | IMPORT 0', '0'],
    ]);
    expect(store.account).toMatchObject({
      openedAt: at('2025-01-10'),
      lastAt: at('0s'),
      displayName: 'Acme',
    });
    expect(store.entries).toMatchObject([
      {
        details: { opened_at: '2025-01-10T00:00:00.000Z' },
        labels: { team: 'a' },
        personal: { display_name: 'Acme' },
      },
      {
        details: { system: 'billing-v1', file: 'accounts.jsonl' },
        reference: 'customer 17',
      },
    ]);
  });

  test.each([
    // Half past ten in the evening of the 9th in New York; its midnight is at 4 o'clock in UTC.
    ['America/New_York', '2025-07-10T02:30:00Z', '2025-07-09T04:00:00Z'],
    // The 11th in Kiritimati. A date alone is the first moment of its day in UTC.
    ['Pacific/Kiritimati', '2025-07-10T15:00:00Z', '2025-07-10T00:00:00Z'],
  ])('in %s, an account opened at %s has grants from %s on', (timeZone, openedAt, earliest) => {
    const imported = (effectiveAt: number) => {
      const grants = [importedGrant(7n, { effectiveAt })];
      const command = importAccount({ timeZone, openedAt: at(openedAt), grants });
      return new AccountStore(plan({}), at('0s'), command).run(at('0s'), command).outcome;
    };
    expect(imported(at(earliest) - 1)).toMatchObject({ reason: 'INVALID_FIELD' });
    expect(imported(at(earliest))).not.toBeInstanceOf(Failure);
  });

  test('of credits that were bought by the credit is of a custom amount', () => {
    const tiers = [{ upTo: null, unitPrice: '0.02' }];
    const rates = { mode: 'volume' as const, currency: 'USD', tiers };
    const amount = { packId: 'credits', title: 'credit', min: 100n, max: 900n, rates };
    const sold = plan({}, PACKS, [{ ...amount, validity: null }]);
    const purchases = [importedPurchase('credits', 150n)];
    const store = ledger(sold, [
      [
        '0s',
        importAccount({ purchases }),
        'OPEN_ACCOUNT | PURCHASE 150: issued>g1 150 | IMPORT 0',
        '150',
      ],
    ]);
    expect(store.purchases).toMatchObject([{ title: '150 × credit', credits: 150n }]);
    expect(store.grants.get(1n)).toMatchObject({ amount: 150n, expiresAt: null });
  });

  test('moves what was spent, what had expired and what the month has used, oldest first', () => {
    const grants = [
      importedGrant(50n, { spent: 10n, effectiveAt: at('2025-08-01') }),
      importedGrant(20n, {
        source: 'WELCOME',
        spent: 15n,
        effectiveAt: at('2025-01-10'),
        expiresAt: at('2025-02-10'),
      }),
    ];
    const purchases = [importedPurchase('small', 100n, { spent: 40n, spentThisMonth: 30n })];
    const command = importAccount({ grants, purchases, month: YEAR });
    const store = ledger(plan({}, PACKS), [
      [
        '0s',
        command,
        'OPEN_ACCOUNT | GRANT 20: issued>consumed 15, issued>expired 5 | ' +
          'PURCHASE 100: issued>g2 90, issued>consumed 10 | GRANT 50: issued>g3 40, issued>consumed 10 | ' +
          'IMPORT 30: g2>consumed 30',
        '100',
      ],
      ['1s', charge(70n), 'CHARGE 70: g2>consumed 60, g3>consumed 10', '30'],
    ]);
    expect([...store.grants.values()].map(({ state }) => state)).toEqual([
      'EXPIRED',
      'SPENT',
      'OPEN',
    ]);
    // A pack is valid from the day it was bought.
    expect(store.grants.get(2n)).toMatchObject({
      effectiveAt: at('2025-07-01'),
      expiresAt: at('2026-07-01'),
      source: 'PURCHASE',
      category: 'PAID',
    });
  });

  test('uses a grant that expired within the month', () => {
    const expired = importedGrant(50n, {
      spent: 45n,
      spentThisMonth: 30n,
      expiresAt: at('2026-01-05'),
    });
    const command = importAccount({ grants: [expired], month: YEAR });
    ledger(plan(), [
      [
        '0s',
        command,
        'OPEN_ACCOUNT | GRANT 50: issued>g1 30, issued>consumed 15, issued>expired 5 | IMPORT 30: g1>consumed 30',
        '0',
      ],
      ['1s', null, 'nothing', '0'],
    ]);
  });

  test.each([
    [null, '2026-01-01T00:00:00Z'],
    ['America/New_York', '2026-01-01T05:00:00Z'],
    ['Pacific/Kiritimati', '2025-12-31T10:00:00Z'],
  ])('in %s, uses a grant in the month if it expired after %s', (timeZone, turn) => {
    const imported = (expiresAt: number) => {
      const grants = [importedGrant(50n, { spent: 45n, spentThisMonth: 30n, expiresAt })];
      const command = importAccount({ timeZone, grants, month: YEAR });
      return new AccountStore(plan({}), at('0s'), command).run(at('0s'), command).outcome;
    };
    expect(imported(at(turn))).toMatchObject({ reason: 'INVALID_FIELD' });
    expect(imported(at(turn) + 1)).not.toBeInstanceOf(Failure);
  });

  test('tells nobody of what was bought long ago, and crosses no level', () => {
    const purchases = [importedPurchase('small', 100n, { spent: 95n })];
    const store = ledger(plan({ lowBalanceLevels: [{ credits: 50n }] }, PACKS), [
      [
        '0s',
        importAccount({ purchases }),
        'OPEN_ACCOUNT | PURCHASE 100: issued>g1 5, issued>consumed 95 | IMPORT 0',
        '5',
      ],
    ]);
    expect(store.events).toEqual([]);
    ledger(plan({}, PACKS), [
      ['0s', importAccount({ purchases }), expect.any(String) as string, '5'],
      ['1s', purchase('small', 'INVOICE-small'), 'PAYMENT_REFERENCE_USED', '5'],
    ]);
  });

  test('takes back credits of a payment that the provider knows', () => {
    const purchases = [importedPurchase('small', 100n, { spent: 20n, paymentIntentId: 'pi_1' })];
    const store = ledger(plan({}, PACKS), [
      ['0s', importAccount({ purchases }), expect.any(String) as string, '80'],
    ]);
    const [bought] = store.purchases;
    expect(bought).toMatchObject({
      state: 'PAID',
      method: 'REFERENCE',
      createdAt: at('2025-07-01'),
      paidAt: at('2025-07-01'),
      amountPaid: { currency: 'USD', amount: '10.00' },
    });
    const refunded = paid(500n);
    store.run(at('1s'), syncPurchase('p1', 0, refunded));
    expect(store.account.remaining).toBe(30n);
    expect(store.entries.at(-2)).toMatchObject({ kind: 'CLAW_BACK', credits: 50n });
  });
});

describe('what a plan gives', () => {
  const monthly = plan({ ...allowance(50n), welcome: { credits: 20n, validity: null } });
  const ofMonth = (from: string, spent: bigint) =>
    importedGrant(50n, {
      source: 'ALLOWANCE',
      category: 'ALLOWANCE',
      effectiveAt: at(from),
      spent,
    });

  test('is not granted a second time: neither welcome credits nor the allowance of the month', () => {
    const grants = [ofMonth('2026-01-01', 12n)];
    ledger(monthly, [
      [
        '0s',
        importAccount({ grants }),
        'OPEN_ACCOUNT | GRANT 50: issued>g1 38, issued>consumed 12 | IMPORT 0',
        '38',
      ],
      ['1d', null, 'nothing', '38'],
      ['2026-02-01', null, 'GRANT_EXPIRED 38: g1>expired 38 | GRANT 50: issued>g2 50', '50'],
      ['2026-03-01', null, 'GRANT_EXPIRED 50: g2>expired 50 | GRANT 50: issued>g3 50', '50'],
    ]);
  });

  test('comes at the next period also where the file has no allowance of this one', () => {
    ledger(monthly, [
      ['0s', importAccount(), 'OPEN_ACCOUNT | IMPORT 0', '0'],
      ['1d', null, 'nothing', '0'],
      ['2026-02-01', null, 'GRANT 50: issued>g1 50', '50'],
    ]);
  });

  test('comes by the original schedule: periods are counted from the opening', () => {
    const every = plan(allowance(50n, { every: { months: 1 }, rollover: { upTo: 60n } }));
    const grants = [
      // Opened on the 20th, the running period began on 20 December.
      importedGrant(50n, {
        source: 'ALLOWANCE',
        category: 'ALLOWANCE',
        effectiveAt: at('2025-12-20'),
        spent: 5n,
      }),
    ];
    const store = ledger(every, [
      [
        '0s',
        importAccount({ openedAt: at('2025-06-20'), grants }),
        'OPEN_ACCOUNT | GRANT 50: issued>g1 45, issued>consumed 5 | IMPORT 0',
        '45',
      ],
      ['2026-01-19T23:59:59.999Z', null, 'nothing', '45'],
      ['2026-01-20', null, 'GRANT 50: issued>g2 50', '95'],
    ]);
    expect(store.grants.get(1n)).toMatchObject({ expiresAt: null });
  });

  test('an allowance of an earlier month is history', () => {
    const grants = [ofMonth('2025-12-01', 12n), ofMonth('2026-01-01', 0n)];
    ledger(monthly, [
      [
        '0s',
        importAccount({ grants }),
        'OPEN_ACCOUNT | GRANT 50: issued>consumed 12, issued>expired 38 | GRANT 50: issued>g2 50 | IMPORT 0',
        '50',
      ],
      ['2026-02-01', null, 'GRANT_EXPIRED 50: g2>expired 50 | GRANT 50: issued>g3 50', '50'],
    ]);
  });
});

describe('the running month', () => {
  const month = (overage: bigint, usage: NonNullable<ImportAccount['month']>['usage'] = []) => ({
    month: '2026-01',
    overage,
    usage,
  });

  test('has its overage, which counts until the month ends', () => {
    const store = ledger(plan(postpaid(100n)), [
      [
        '0s',
        importAccount({ month: month(70n) }),
        'OPEN_ACCOUNT | IMPORT 70: overage>consumed 70',
        '0 overage 70',
      ],
      ['1s', charge(31n), 'OVERAGE_LIMIT_REACHED', '0 overage 70'],
      ['2s', charge(30n), 'CHARGE 30: overage>consumed 30', '0 overage 100'],
      ['2026-02-01', charge(31n), 'CHARGE 31: overage>consumed 31', '0 overage 31'],
    ]);
    expect(store.account).toMatchObject({ statementDueAt: at('2026-02-01') });
  });

  test('has its usage, in counts and credits that need not divide', () => {
    const usage = [
      { operation: 'a', count: 7n, credits: 17n },
      { operation: 'b', count: 3n, credits: 3n },
      { operation: 'c', count: 4n, credits: 0n },
    ];
    const store = ledger(plan(postpaid(100n)), [
      [
        '0s',
        importAccount({ month: month(20n, usage) }),
        'OPEN_ACCOUNT | IMPORT 20: overage>consumed 20',
        '0 overage 20',
      ],
    ]);
    expect(
      store.entries
        .at(-1)
        ?.usages.map(({ usage: { operation, count }, unitCredits }) => [
          operation,
          count,
          unitCredits,
        ]),
    ).toEqual([
      ['a', 4n, 2n],
      ['a', 3n, 3n],
      ['b', 3n, 1n],
      ['c', 4n, 0n],
    ]);
  });
});

describe('a mistake', () => {
  const terms = plan({ ...allowance(50n), ...postpaid(100n) }, PACKS);
  const month = { month: '2026-01', overage: 0n, usage: [] };
  const ofPlan = { source: 'ALLOWANCE', category: 'ALLOWANCE' } as const;
  const january = { ...ofPlan, effectiveAt: at('2026-01-01') };
  const SPENT = { spent: 3n, spentThisMonth: 1n };

  test.each<readonly [string, Partial<ImportAccount>, string, string]>([
    ['an opening to come', { openedAt: at('1s') }, 'INVALID_FIELD', 'opened_at is in the future'],
    [
      'a grant to come',
      { grants: [importedGrant(1n, { effectiveAt: at('1s') })] },
      'INVALID_FIELD',
      'grants[0].effective_at is in the future',
    ],
    [
      'a grant before the opening',
      { grants: [importedGrant(1n, { effectiveAt: at('2025-01-09T23:59:59Z') })] },
      'INVALID_FIELD',
      'grants[0].effective_at is before the account was opened',
    ],
    [
      'an end before the beginning',
      { grants: [importedGrant(1n, { expiresAt: at('2025-07-01') })] },
      'INVALID_FIELD',
      'grants[0].expires_at must be after effective_at',
    ],
    [
      'more spent than granted',
      { grants: [importedGrant(10n, { spent: 11n })] },
      'INVALID_FIELD',
      'grants[0].spent is 11, more than the 10 credits granted',
    ],
    [
      'more spent in the month than at all',
      { grants: [importedGrant(10n, { spent: 3n, spentThisMonth: 4n })], month },
      'INVALID_FIELD',
      'grants[0].spent_this_month is 4, more than the 3',
    ],
    [
      'spending of this month of a grant that was over before',
      { grants: [importedGrant(10n, { ...SPENT, expiresAt: at('2026-01-01') })], month },
      'INVALID_FIELD',
      'grants[0].spent_this_month must be 0: it expired at 2026-01-01T00:00:00.000Z, and the running month began at 2026-01-01T00:00:00.000Z',
    ],
    [
      'spending of this month of an allowance of the month before',
      {
        grants: [importedGrant(50n, { ...ofPlan, ...SPENT, effectiveAt: at('2025-12-01') })],
        month,
      },
      'INVALID_FIELD',
      'grants[0].spent_this_month must be 0: it expired at 2026-01-01T00:00:00.000Z',
    ],
    [
      'spending of this month of a purchase that was over before',
      {
        purchases: [
          importedPurchase('small', 10n, { ...SPENT, expiresAt: at('2025-12-31T23:59:59.999Z') }),
        ],
        month,
      },
      'INVALID_FIELD',
      'purchases[0].spent_this_month must be 0: it expired at 2025-12-31T23:59:59.999Z',
    ],
    [
      'spending of this month of a pack that was valid for a year',
      {
        openedAt: at('2024-01-01'),
        purchases: [importedPurchase('small', 10n, { ...SPENT, paidAt: at('2024-12-31') })],
        month,
      },
      'INVALID_FIELD',
      'purchases[0].spent_this_month must be 0: it expired at 2025-12-31T00:00:00.000Z',
    ],
    [
      'an operation that there is not',
      { grants: [importedGrant(10n, { operations: ['page.extrakt'] })] },
      'UNKNOWN_OPERATION',
      'did you mean page.extract?',
    ],
    [
      'two welcomes',
      {
        grants: [
          importedGrant(1n, { source: 'WELCOME' }),
          importedGrant(1n, { source: 'WELCOME' }),
        ],
      },
      'INVALID_FIELD',
      'grants[1].source was granted before, by grants[0]',
    ],
    [
      'two allowances of a month',
      { grants: [importedGrant(50n, january), importedGrant(50n, january)] },
      'INVALID_FIELD',
      'grants[1].source was granted before, by grants[0]',
    ],
    [
      'an allowance within its period',
      { grants: [importedGrant(50n, { ...ofPlan, effectiveAt: at('2026-01-02') })] },
      'INVALID_FIELD',
      'must be the first moment of a period, such as 2026-01-01T00:00:00.000Z',
    ],
    [
      'an allowance with an end of its own',
      { grants: [importedGrant(50n, { ...january, expiresAt: at('2026-03-01') })] },
      'INVALID_FIELD',
      'grants[0].expires_at follows from the plan',
    ],
    [
      'a pack that there is not',
      { purchases: [importedPurchase('smal', 100n)] },
      'PACK_NOT_FOUND',
      'purchases[0].pack_id: plan test has no pack smal',
    ],
    [
      'a purchase to come',
      { purchases: [importedPurchase('small', 100n, { paidAt: at('1s') })] },
      'INVALID_FIELD',
      'purchases[0].paid_at is in the future',
    ],
    [
      'one payment of two purchases',
      {
        purchases: [
          importedPurchase('small', 100n, { paymentReference: 'Order 7' }),
          importedPurchase('large', 100n, { paymentReference: 'ORDER7' }),
        ],
      },
      'PAYMENT_REFERENCE_USED',
      'payment reference ORDER7 has already bought a pack for this account, as Order 7',
    ],
    [
      'one payment intent of two purchases',
      {
        purchases: ['small', 'large'].map((packId) =>
          importedPurchase(packId, 100n, { paymentIntentId: 'pi_1' }),
        ),
      },
      'INVALID_FIELD',
      'purchases[1].payment_intent_id has paid for purchases[0]',
    ],
    [
      'usage of no month',
      { grants: [importedGrant(10n, { spent: 3n, spentThisMonth: 3n })] },
      'INVALID_FIELD',
      'month is required',
    ],
    [
      'usage of a month that has ended',
      { month: { ...month, month: '2025-12', overage: 5n } },
      'MONTH_NOT_RUNNING',
      '2025-12 is not the running month, which is 2026-01',
    ],
    [
      'overage beyond the limit',
      { month: { ...month, overage: 101n } },
      'INVALID_FIELD',
      'month.overage is 101, the limit of plan test is 100',
    ],
    [
      'usage that does not add up',
      { month: { ...month, overage: 5n, usage: [{ operation: 'a', count: 1n, credits: 4n }] } },
      'INVALID_FIELD',
      'month.usage comes to 4 credits; grants, purchases and overage say that 5 were used',
    ],
    [
      'more than an account can hold',
      {
        grants: [1, 2].map(() => importedGrant(9_000_000_000_000_000_000n)),
      },
      'INVALID_FIELD',
      'must leave the account at most',
    ],
    [
      'more than sums of grants can be, though it is spent',
      {
        grants: [1, 2, 3].map(() =>
          importedGrant(9_000_000_000_000_000_000n, { spent: 8_999_999_999_999_999_999n }),
        ),
      },
      'INVALID_FIELD',
      'must leave the account at most',
    ],
  ])('%s', (_, change, reason, message) => {
    const failure = failureOf(change);
    expect(failure.reason).toBe(reason);
    expect(failure.message).toContain(message);
  });

  test('a file of the month before says so, and not of each grant of that month', () => {
    const december = { ...ofPlan, ...SPENT, effectiveAt: at('2025-12-01') };
    const failure = failureOf({
      grants: [importedGrant(50n, december)],
      month: { ...month, month: '2025-12' },
    });
    expect(failure.reason).toBe('MONTH_NOT_RUNNING');
    expect(failure.violations.map(({ field }) => field)).toEqual(['month.month']);
  });

  test('overage and an allowance that the plan does not have', () => {
    const failure = failureOf(
      { grants: [importedGrant(50n, january)], month: { ...month, overage: 1n } },
      plan(),
    );
    expect(failure.violations).toMatchObject([
      {
        field: 'grants[0].source',
        description: 'plan test gives no allowance: import it as PROMOTIONAL',
      },
      { field: 'month.overage', description: 'must be 0: plan test bills no overage' },
    ]);
  });

  test('of several, the reason is that of the first, and all are named', () => {
    const { reason, violations, metadata } = failureOf({
      purchases: [
        importedPurchase('other', 10n, { spent: 11n }),
        importedPurchase('small', 10n, { paidAt: at('1s') }),
      ],
    });
    expect(reason).toBe('PACK_NOT_FOUND');
    expect(violations.map((one) => [one.field, one.reason])).toEqual([
      ['purchases[0].pack_id', 'PACK_NOT_FOUND'],
      ['purchases[0].spent', 'INVALID_FIELD'],
      ['purchases[1].paid_at', 'INVALID_FIELD'],
    ]);
    expect(metadata).toMatchObject({ pack_id: 'other', field: 'purchases[0].pack_id' });
  });

  /** Nothing has changed by it. */
  function failureOf(change: Partial<ImportAccount>, under = terms): Failure {
    const command = importAccount(change);
    const store = new AccountStore(under, at('0s'), command);
    const { book, outcome } = store.run(at('0s'), command);
    if (!(outcome instanceof Failure)) return expect.fail('it was imported');
    expect(book.hasChanges).toBe(false);
    expect(store.entries).toEqual([]);
    return outcome;
  }
});
