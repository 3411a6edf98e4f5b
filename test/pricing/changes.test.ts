/** The `changes` of a plan file: dated changes of its prices. */
import { describe, expect, test } from 'vitest';
import { rateCardAt } from '../../src/pricing/plan.ts';
import { priceUsage } from '../../src/pricing/price.ts';
import { EVERYTHING, errorsIn, planIn, usage } from './fixtures.ts';

const flat = (credits: number) => `
      job.flat:
        title: The same for all
        billable: true
        components:
          - { kind: flat, label: Base, credits: ${credits} }
`;
const withChanges = (changes: string) => `${EVERYTHING}changes:\n${changes}`;
const at = (text: string) => Date.parse(text);

const CHANGES = withChanges(`
  - from: 2027-01-01
    operations: ${flat(9)}
  - from: 2027-06-30T22:00:00.500Z
    operations:
      job.new:
        title: New
        billable: false
    ends: [job.strict, job.tier]
  - from: 2028-01-01T00:00:00Z
    operations: ${flat(11)}
`);

describe('the changes of a plan file', () => {
  const plan = planIn(CHANGES);

  test('start at instants in UTC; a date means its first moment', () => {
    expect(plan.changes.map(({ from }) => new Date(from).toISOString())).toEqual([
      '2027-01-01T00:00:00.000Z',
      '2027-06-30T22:00:00.500Z',
      '2028-01-01T00:00:00.000Z',
    ]);
  });

  test.each([
    ['2026-12-31T23:59:59.999Z', 7n],
    ['2027-01-01T00:00:00.000Z', 9n],
    ['2027-12-31T23:59:59.999Z', 9n],
    ['2028-01-01T00:00:00.000Z', 11n],
    ['2100-01-01T00:00:00.000Z', 11n],
  ])('price a usage at %s with %d credits', (instant, credits) => {
    expect(priceUsage(rateCardAt(plan, at(instant)), usage('job.flat'), '')).toMatchObject({
      credits,
    });
  });

  test('do not affect operations that they do not name', () => {
    const names = (instant: string) => [...rateCardAt(plan, at(instant)).operations.keys()];
    const first = [...plan.rateCard.operations.keys()];
    expect(names('2027-02-01')).toEqual(first);
    const then = first.filter((name) => name !== 'job.strict' && name !== 'job.tier');
    expect(names('2027-07-01')).toEqual([...then, 'job.new'].toSorted());
    expect(names('2028-02-01')).toEqual([...then, 'job.new'].toSorted());
    const pages = usage('job.pages', { pages: 2n });
    for (const { rateCard } of plan.changes)
      expect(priceUsage(rateCard, pages, '')).toEqual(priceUsage(plan.rateCard, pages, ''));
  });

  test('can add an operation that an earlier change has ended', () => {
    const text = withChanges(`
  - { from: 2027-01-01, ends: [job.flat] }
  - from: 2027-02-01
    operations: ${flat(8)}`);
    const back = planIn(text);
    expect(back.changes.map(({ rateCard }) => rateCard.operations.has('job.flat'))).toEqual([
      false,
      true,
    ]);
  });

  test('are empty if the file has none', () => {
    expect(planIn(EVERYTHING).changes).toEqual([]);
    expect(planIn(`${EVERYTHING}changes: []\n`).changes).toEqual([]);
  });
});

const NO_INSTANT =
  'must be a date such as 2027-01-01 or an instant such as 2027-01-01T12:00:00Z, in UTC';

describe('an error in changes has its path', () => {
  test.each([
    ['not a list', '  from: 2027-01-01', 'changes: must be a list'],
    ['no date', `  - operations: ${flat(9)}`, 'changes[0].from: missing key'],
    ...[
      '2027-02-29',
      '2027-13-01',
      '2027-01-01T24:00:00Z',
      '2027-01-01T00:00:00',
      '2027-01-01T00:00:00+01:00',
      '2027-01-01 00:00:00Z',
      'tomorrow',
      '20270101',
    ].map((from) => [
      `the date ${from}`,
      `  - { from: ${from}, ends: [job.flat] }`,
      `changes[0].from: ${NO_INSTANT}`,
    ]),
    [
      'a change without content',
      '  - from: 2027-01-01',
      'changes[0]: changes nothing: it has neither operations nor ends',
    ],
    [
      'an unknown key',
      '  - { from: 2027-01-01, ends: [job.flat], terms: {} }',
      'changes[0].terms: unknown key',
    ],
    [
      'two changes at one instant',
      '  - { from: 2027-01-01, ends: [job.flat] }\n  - { from: 2027-01-01T00:00:00Z, ends: [job.cel] }',
      'changes[1].from: is the same instant as that of changes[0]',
    ],
    [
      'dates that do not ascend',
      '  - { from: 2027-01-01, ends: [job.flat] }\n  - { from: 2026-12-31, ends: [job.cel] }',
      'changes[1].from: is before that of changes[0]: dates must ascend',
    ],
    [
      'the end of an unknown operation',
      '  - { from: 2027-01-01, ends: [job.gone] }',
      'changes[0].ends[0]: ends job.gone, which is not an operation at that date',
    ],
    [
      'the end of an operation that has ended',
      '  - { from: 2027-01-01, ends: [job.flat] }\n  - { from: 2027-02-01, ends: [job.flat] }',
      'changes[1].ends[0]: ends job.flat, which is not an operation at that date',
    ],
    [
      'the same end twice',
      '  - { from: 2027-01-01, ends: [job.flat, job.flat] }',
      'changes[0].ends[1]: names job.flat twice',
    ],
    [
      'an operation that is priced and ended by the same change',
      `  - from: 2027-01-01\n    ends: [job.flat]\n    operations: ${flat(9)}`,
      'changes[0].ends[0]: ends job.flat, which the same change prices',
    ],
    [
      'no operation left',
      '  - { from: 2027-01-01, ends: [job.flat, job.pages, job.tier, job.format, job.strict, job.cel, job.free] }',
      'changes[0].ends: leaves the plan without an operation',
    ],
    [
      'an operation of the wrong shape',
      '  - { from: 2027-01-01, operations: { job.flat: { billable: false } } }',
      'changes[0].operations["job.flat"].title: missing key',
    ],
    [
      'an operation that breaks a rule',
      '  - { from: 2027-01-01, operations: { job.flat: { title: Flat, billable: true } } }',
      'changes[0].operations["job.flat"].components: leaves a billable operation without a price',
    ],
  ])('%s', (_, changes, error) => {
    expect(errorsIn(withChanges(`${changes}\n`))).toEqual([error]);
  });

  test('errors in changes are reported together with those of other parts', () => {
    const text = withChanges(
      '  - { from: 2027-01-01, ends: [job.gone] }\n  - { from: 2026-01-01, ends: [job.cel, x.y] }\n',
    ).replace('title: By size', 'title: ""');
    expect(errorsIn(text)).toEqual([
      'operations["job.tier"].title: must not be empty',
      'changes[0].ends[0]: ends job.gone, which is not an operation at that date',
      'changes[1].from: is before that of changes[0]: dates must ascend',
      'changes[1].ends[1]: ends x.y, which is not an operation at that date',
    ]);
  });
});
