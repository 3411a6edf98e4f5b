import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { UNPUBLISHED } from '../../src/pricing/plan.ts';
import { parsePlanFile } from '../../src/pricing/plan-file/plan-file.ts';
import { planTermsFromJson, planTermsToJson } from '../../src/pricing/plan-file/plan-json.ts';
import { EVERYTHING, errorsIn, planIn, withReplaced } from './fixtures.ts';

describe('a valid plan file is parsed', () => {
  test('with its terms', () => {
    const { planId, terms, rateCard } = planIn(EVERYTHING);
    expect(planId).toBe('everything');
    expect(terms).toEqual({
      welcome: { credits: 30n, validity: { days: 30 } },
      allowance: { credits: 50n, every: 'month', rollover: 'none' },
      overage: { limit: 10_000n, rates: null },
      lowBalanceLevels: [{ credits: 40n }],
      pauseFloor: 15n,
      reservation: { ttlMs: 90_000, maxTtlMs: 7_200_000, graceMs: 0 },
      refundExpired: 'new_grant',
      payOwed: true,
      lateUsageMs: 3 * 24 * 3_600_000,
      expiringNoticeMs: 36 * 3_600_000,
      timeZone: null,
    });
    expect(rateCard.version).toBe(UNPUBLISHED);
    expect([...rateCard.operations.keys()]).toEqual([...rateCard.operations.keys()].toSorted());
  });

  test('with the service’s defaults for terms it leaves out', () => {
    const text = EVERYTHING.replace(/terms:.*packs:/s, 'terms: {}\npacks:');
    expect(planIn(text).terms).toEqual({
      welcome: null,
      allowance: null,
      overage: null,
      lowBalanceLevels: [{ credits: 500n }],
      pauseFloor: 0n,
      reservation: { ttlMs: 15 * 60_000, maxTtlMs: 24 * 3_600_000, graceMs: 5 * 60_000 },
      refundExpired: 'breakage',
      payOwed: false,
      lateUsageMs: 0,
      expiringNoticeMs: 7 * 24 * 3_600_000,
      timeZone: null,
    });
  });

  test.each([
    ['low_balance_levels: [500, 10%, 1]', [{ credits: 500n }, { percent: 10 }, { credits: 1n }]],
    ['low_balance_levels: []', []],
    ['low_balance_threshold: 7', [{ credits: 7n }]],
    ['low_balance_threshold: 0', []],
  ])('with the levels of %s, which survive being stored', (line, levels) => {
    const plan = planIn(EVERYTHING.replace('low_balance_threshold: 40', line));
    expect(plan.terms.lowBalanceLevels).toEqual(levels);
    expect(planTermsFromJson(planTermsToJson(plan)).terms.lowBalanceLevels).toEqual(levels);
  });

  test('and may declare a quantity that no price uses', () => {
    expect(planIn(EVERYTHING).rateCard.operations.get('job.free')?.quantities.size).toBe(1);
  });
});

describe('all errors of a file are reported at once', () => {
  test('in every part of it, also several errors of one part', () => {
    const told = errorsIn(`
plan_id: Not An Id
plan_id: twice
terms: { overage: { limit: -1 }, reservation: { ttl: 48h }, credit: 1 }
packs:
  - { pack_id: a, title: A, credits: 0, price: 1 usd, validity: never }
  - { pack_id: a, title: A, credits: 1, price: 1.001 USD, validity: 0 days, size: 1 }
operations:
  job.one:
    title: One
    billable: true
    quantities: { size: { title: Size, unit: one, min: 2, max: 9, default: 1 } }
    components:
      - { kind: flat, label: A, credits: 2.5, note: x }
      - { kind: per_unit, label: "", quantity: bytes, credits: -1 }
      - { kind: tier, label: A, quantity: size, steps: [{ up_to: 5, credits: 1.5 }, { up_to: 5, credits: 2 }] }
      - { kind: tier, label: A, note: x, quantity: size, steps: [{ up_to: 5, credits: 1 }] }
      - { kind: attribute, label: A, attribute: mode, credits: { a: 1 } }
      - { kind: cel, label: "", expression: "bytes + 1.5" }
  Job.Two: { title: Two, components: [{ kind: cel, label: A, expression: "1 +" }] }
`);
    const one = 'operations["job.one"].';
    const expected = [
      'line 3, column 1: duplicate key',
      'title: missing key',
      'terms.credit: unknown key',
      'terms.overage.limit: must not be negative',
      'terms.reservation.ttl: is longer than max_ttl',
      'packs[0].credits: must be a whole number',
      'packs[0].price: must be an amount',
      'packs[1].pack_id: is the same as that of packs[0]',
      'packs[1].price: has more than',
      'packs[1].validity: must be never',
      'packs[1].size: unknown key',
      `${one}quantities.size.default: is not between`,
      `${one}components[0].credits: must be a whole number`,
      `${one}components[0].note: unknown key`,
      `${one}components[1].label: must not be empty`,
      `${one}components[1].credits: must not be negative`,
      `${one}components[1].quantity: names bytes`,
      `${one}components[2].steps[0].credits: must be a whole number`,
      `${one}components[2].steps[1].up_to: overlaps`,
      `${one}components[3].note: unknown key`,
      `${one}components[4].default: missing key`,
      `${one}components[5].label: must not be empty`,
      `${one}components[5].expression: uses a decimal`,
      `${one}components[5].expression: names bytes`,
      'operations["Job.Two"]: must be words',
      'operations["Job.Two"].billable: missing key',
      'operations["Job.Two"].components[0].expression: is not a CEL expression',
    ];
    const missed = expected.filter((start) => !told.some((each) => each.startsWith(start)));
    expect(missed).toEqual([]);
    expect(told).toHaveLength(expected.length);
  });

  test('with the line of each', () => {
    const lineOf = (from: string, to: string) => {
      const parsed = parsePlanFile('test.yaml', withReplaced(from, to));
      return 'errors' in parsed ? parsed.errors.map(({ line, path }) => [line, path]) : [];
    };
    const lineWith = (text: string) =>
      EVERYTHING.split('\n').findIndex((line) => line.includes(text)) + 1;
    expect(lineOf('80.50 USD', '80.50 UDS')).toEqual([[lineWith('80.50 USD'), 'packs[1].price']]);
    expect(lineOf('plan_id: everything', 'plan_id: No')).toEqual([[2, 'plan_id']]);
    expect(lineOf('title: Everything a plan can say\n', '')).toEqual([[1, 'title']]);
    expect(lineOf('ttl: 90s', 'ttl: 3h')).toEqual([
      [lineWith('ttl: 90s'), 'terms.reservation.ttl'],
    ]);
    expect(lineOf(', validity: 12 months', '')).toEqual([
      [lineWith('pack_id: small'), 'packs[0].validity'],
    ]);
  });

  test('with the name of the file', () => {
    const parsed = parsePlanFile('deploy/plans/x.yaml', 'plan_id: x');
    const files = 'errors' in parsed ? parsed.errors.map(({ file }) => file) : [];
    expect(new Set(files)).toEqual(new Set(['deploy/plans/x.yaml']));
  });
});

describe('any text is a plan or has errors', () => {
  const isPlanOrErrors = (text: string) => {
    const parsed = parsePlanFile('any.yaml', text);
    expect('plan' in parsed || parsed.errors.length > 0).toBe(true);
  };

  test('random text', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), isPlanOrErrors));
  });

  test('a plan with a part removed or inserted anywhere', () => {
    const at = fc.nat(EVERYTHING.length);
    const piece = fc.constantFrom(
      '',
      '{',
      '- ',
      ': ',
      '*x',
      '&x ',
      '-1',
      '1.5',
      '"',
      '<<: ',
      '\n  a: ',
    );
    fc.assert(
      fc.property(at, fc.nat(40), piece, (from, length, put) => {
        isPlanOrErrors(EVERYTHING.slice(0, from) + put + EVERYTHING.slice(from + length));
      }),
    );
  });

  test('text nested deeper than the parser’s stack', () => {
    isPlanOrErrors('['.repeat(50_000));
    isPlanOrErrors(EVERYTHING.replace('pages + 9', `${'('.repeat(400)}pages${')'.repeat(400)}`));
  });
});
