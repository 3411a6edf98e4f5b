import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatMoney } from '../../src/pricing/money.ts';
import { MAX_CREDITS } from '../../src/pricing/plan.ts';
import {
  type Json,
  planTermsFromJson,
  planTermsToJson,
  rateCardFromJson,
  rateCardToJson,
  sameRateCard,
} from '../../src/pricing/plan-file/plan-json.ts';
import { priceUsage } from '../../src/pricing/price.ts';
import { deployedPlan, EVERYTHING, planIn, usage } from './fixtures.ts';

const everything = planIn(EVERYTHING);
const plans = [
  ['everything', everything],
  ['aspose-cloud', deployedPlan('aspose-cloud')],
  ['perfectparser', deployedPlan('perfectparser')],
  ['verts', deployedPlan('verts')],
] as const;

/** Reorders the keys of every object, as PostgreSQL's jsonb does. */
function fromJsonb(json: Json): unknown {
  if (Array.isArray(json)) return json.map(fromJsonb);
  if (json === null || typeof json !== 'object') return json;
  const entries = Object.entries(json).toSorted(
    ([a], [b]) => b.length - a.length || (a < b ? 1 : -1),
  );
  return Object.fromEntries(entries.map(([key, value]) => [key, fromJsonb(value)]));
}

describe('a rate card is stored as JSON', () => {
  test.each(plans)('and %s is read back the same, with the given version', (_name, plan) => {
    const stored = fromJsonb(rateCardToJson(plan.rateCard));
    expect(rateCardFromJson(stored, 4)).toEqual({ ...plan.rateCard, version: 4 });
  });

  test.each(plans)('and the text of %s is the same after reading it back', (_name, plan) => {
    const stored = fromJsonb(rateCardToJson(plan.rateCard));
    const again = rateCardToJson(rateCardFromJson(stored, 1));
    expect(JSON.stringify(again)).toBe(JSON.stringify(rateCardToJson(plan.rateCard)));
  });

  test('and has the same prices after reading it back', () => {
    const card = rateCardFromJson(fromJsonb(rateCardToJson(everything.rateCard)), 1);
    const of = usage('job.cel', { pages: 21n }, { mode: 'deep' });
    expect(priceUsage(card, of, '')).toEqual(priceUsage(everything.rateCard, of, ''));
  });

  test('and keeps every digit of a price', () => {
    const text = EVERYTHING.replace('credits: 7 }', `credits: ${MAX_CREDITS} }`);
    const card = rateCardFromJson(fromJsonb(rateCardToJson(planIn(text).rateCard)), 1);
    expect(priceUsage(card, usage('job.flat'), '')).toMatchObject({ credits: MAX_CREDITS });
  });

  test('and invalid JSON is an error with its path', () => {
    const broken = { operations: { job: { title: 'Job', billable: 'yes' } } };
    expect(() => rateCardFromJson(broken, 1)).toThrow(
      'operations.job.billable: must be true or false',
    );
    expect(() => rateCardFromJson('{}', 1)).toThrow('(whole file): must be a mapping');
  });
});

describe('two rate cards are the same', () => {
  test('if only the order of keys, comments and layout differ', () => {
    const [head = '', operations = ''] = EVERYTHING.split('operations:\n');
    const blocks = operations.split(/^(?= {2}job)/m);
    const shuffled = fc.shuffledSubarray(blocks, { minLength: blocks.length });
    fc.assert(
      fc.property(shuffled, (order) => {
        const other = planIn(`${head}operations: # shuffled\n${order.join('')}`);
        expect(sameRateCard(other.rateCard, everything.rateCard)).toBe(true);
      }),
      { numRuns: 20 },
    );
  });

  test('if one was built in another order', () => {
    const { operations } = everything.rateCard;
    const reversed = new Map([...operations].toReversed());
    expect(sameRateCard({ version: 1, operations: reversed }, everything.rateCard)).toBe(true);
  });

  test('if only packs, terms and versions differ', () => {
    const other = planIn(
      EVERYTHING.replace('limit: 10000', 'limit: 1').replace('10 USD', '11 USD'),
    );
    expect(sameRateCard({ ...other.rateCard, version: 9 }, everything.rateCard)).toBe(true);
    expect(planTermsToJson(other)).not.toEqual(planTermsToJson(everything));
  });

  test.each([
    ['a price', 'credits: 7 }', 'credits: 8 }'],
    ['a title', 'title: By size', 'title: By its size'],
    ['a label', 'label: Size', 'label: The size'],
    ['a default', 'default: 10 }', 'default: 11 }'],
    ['a step', 'up_to: 100,', 'up_to: 101,'],
    ['an expression', 'pages + 9', 'pages + 8'],
    [
      'the number of components',
      '      - { kind: flat, label: Base, credits: 2 }\n      - { kind: per_unit,',
      '      - { kind: per_unit,',
    ],
  ])('but not if %s differs', (_name, from, to) => {
    expect(EVERYTHING).toContain(from);
    expect(sameRateCard(planIn(EVERYTHING.replace(from, to)).rateCard, everything.rateCard)).toBe(
      false,
    );
  });
});

describe('terms and packs are stored as JSON', () => {
  test.each(plans)('and those of %s are read back the same', (_name, plan) => {
    const { title, terms, packs, customAmounts } = plan;
    const stored = fromJsonb(planTermsToJson(plan));
    expect(planTermsFromJson(stored)).toEqual({ title, terms, packs, customAmounts });
    expect(JSON.stringify(planTermsToJson(planTermsFromJson(stored)))).toBe(
      JSON.stringify(planTermsToJson(plan)),
    );
  });

  test.each([
    ['every: month, rollover: none', { every: 'month', rollover: 'none' }],
    ['every: 1 month, rollover: all', { every: { months: 1 }, rollover: 'all' }],
    ['every: 30 days, rollover: { up_to: 75 }', { every: { days: 30 }, rollover: { upTo: 75n } }],
  ])('and an allowance of %s is read back the same', (written, read) => {
    const plan = planIn(EVERYTHING.replace('every: month, rollover: none', written));
    expect(plan.terms.allowance).toEqual({ credits: 50n, ...read });
    expect(planTermsFromJson(fromJsonb(planTermsToJson(plan))).terms).toEqual(plan.terms);
  });

  test.each(['5.00 UDS', '5.1234 ZZZ', '5.125 KWD', '0.01 USD', '99999999.00 USD'])(
    'and a price of %s, which no file may have any more, is still read from where it is stored',
    (price) => {
      const { packs, ...rest } = Object(planTermsToJson(everything));
      const stored = { ...rest, packs: [{ ...packs[0], price }] };
      const [pack] = planTermsFromJson(stored).packs;
      expect(formatMoney(pack?.price ?? expect.fail('no pack'))).toBe(price);
    },
  );

  test('and terms stored by an earlier version get the defaults of later fields', () => {
    const { refund_expired, expiring_notice, ...before } = Object(
      Object(planTermsToJson(everything)).terms,
    );
    expect([refund_expired, expiring_notice]).toEqual(['new_grant', '36h']);
    const stored = { ...Object(planTermsToJson(everything)), terms: before };
    expect(planTermsFromJson(stored).terms).toEqual({
      ...everything.terms,
      refundExpired: 'breakage',
      expiringNoticeMs: 7 * 86_400_000,
    });
  });

  test('and a time zone has its canonical name; without one the stored terms are those of before', () => {
    expect(Object(planTermsToJson(everything)).terms).not.toHaveProperty('time_zone');
    const zoned = planIn(EVERYTHING.replace('terms:', 'terms:\n  time_zone: asia/calcutta'));
    expect(zoned.terms.timeZone).toBe('Asia/Kolkata');
    expect(planTermsFromJson(planTermsToJson(zoned)).terms).toEqual(zoned.terms);
  });

  test('and late usage is stored where the plan takes it; without, the stored terms are those of before', () => {
    expect(Object(planTermsToJson(everything)).terms).toMatchObject({ late_usage: '3d' });
    const { terms } = Object(planTermsToJson(planIn(EVERYTHING.replace('  late_usage: 3d\n', ''))));
    expect(terms).not.toHaveProperty('late_usage');
    expect(planTermsFromJson(planTermsToJson(everything)).terms.lateUsageMs).toBe(259_200_000);
  });

  test('and equal durations and prices have equal text, however a file wrote them', () => {
    const other = EVERYTHING.replace('2h', '120m').replace('10 USD', '10.00 USD');
    expect(planTermsToJson(planIn(other))).toEqual(planTermsToJson(everything));
  });
});

test('terms that were stored with one threshold are read as one level', () => {
  const stored = (threshold: string) =>
    planTermsFromJson({ title: 'T', terms: { low_balance_threshold: threshold }, packs: [] });
  expect(stored('70').terms.lowBalanceLevels).toEqual([{ credits: 70n }]);
  expect(stored('0').terms.lowBalanceLevels).toEqual([]);
});
