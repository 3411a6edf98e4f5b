import { describe, expect, test } from 'vitest';
import type { MonthUsage, Statement } from '../../src/ledger/statement.ts';
import type { OverageRates } from '../../src/pricing/overage.ts';
import { billMonth } from '../../src/statements/bill.ts';

const rates = (unitPrice: string, currency = 'USD'): OverageRates => ({
  mode: 'graduated',
  currency,
  tiers: [{ upTo: null, unitPrice }],
});

const used = (overage: bigint, refundedEarlier: readonly (readonly [string, bigint])[] = []) =>
  ({
    usage: [],
    creditsUsed: new Map(),
    overage,
    owed: 0n,
    owedPaid: 0n,
    refundedEarlier: new Map(refundedEarlier),
  }) satisfies MonthUsage;

const closed = (
  month: string,
  overage: bigint,
  of: OverageRates | null,
  adjustments: Statement['adjustments'] = [],
): Statement => ({
  ...used(overage),
  ...billMonth(used(overage), of, []),
  adjustments,
  accountId: 'acme',
  month,
  planId: 'test',
  closedAt: 0,
  afterSeq: 0n,
  lastSeq: 0n,
});

describe('adjustments', () => {
  test('of one month add up exactly over later months, at the rates it was billed with', () => {
    const january = closed('2031-01', 3n, rates('0.335')); // 1.005: 1.00
    const months: Statement[] = [january];
    const amounts = ['2031-02', '2031-03', '2031-04'].map((month) => {
      const { adjustments } = billMonth(used(0n, [['2031-01', 1n]]), rates('99'), months);
      months.push(closed(month, 0n, rates('99'), adjustments));
      return adjustments[0]?.amount?.amount;
    });
    expect(amounts).toEqual(['-0.33', '-0.33', '-0.34']);
  });

  test('in another currency have a total of their own', () => {
    const months = [
      closed('2031-01', 5n, rates('1', 'EUR')),
      closed('2031-02', 5n, rates('100', 'JPY')),
      closed('2031-03', 5n, rates('2')),
    ];
    const refunded = ['2031-01', '2031-02', '2031-03'].map((month) => [month, 1n] as const);
    expect(billMonth(used(3n, refunded), rates('0.5'), months)).toMatchObject({
      adjustments: [
        { month: '2031-01', amount: { currency: 'EUR', amount: '-1.00' } },
        { month: '2031-02', amount: { currency: 'JPY', amount: '-100' } },
        { month: '2031-03', amount: { currency: 'USD', amount: '-2.00' } },
      ],
      total: { currency: 'USD', amount: '-0.50' },
      otherTotals: [
        { currency: 'EUR', amount: '-1.00' },
        { currency: 'JPY', amount: '-100' },
      ],
    });
    expect(billMonth(used(3n, refunded), null, months)).toMatchObject({ lines: [], total: null });
  });

  test('of a month that was not billed have no amount', () => {
    const refunded = [
      ['2030-12', 2n],
      ['2031-01', 1n],
    ] as const;
    const months = [closed('2031-01', 5n, null)];
    expect(billMonth(used(0n, refunded), rates('1'), months)).toMatchObject({
      adjustments: [
        { month: '2030-12', credits: 2n, amount: null },
        { month: '2031-01', credits: 1n, amount: null },
      ],
      total: { amount: '0.00' },
    });
  });
});
