/** The text that says what publishing changes. */
import { expect, test } from 'vitest';
import { planChangeLines } from '../../src/cli/plan-changes.ts';
import type { PlanFile } from '../../src/pricing/plan.ts';
import { findPlanChange } from '../../src/pricing/plan-change.ts';
import { PublishedPlan } from '../../src/pricing/published-plan.ts';
import { planIn } from '../pricing/fixtures.ts';

const pack = (packId: string, price: string) =>
  `  - { pack_id: ${packId}, title: Pack, credits: 10, price: ${price} USD, validity: never }`;

const plan = (packs: readonly string[], prices = 'fast: 1', terms = '{}') =>
  planIn(`
plan_id: metered
title: Metered
terms: ${terms}
packs:
${packs.join('\n')}
operations:
  job:
    title: Job
    billable: true
    attributes: { mode: { title: Mode } }
    components: [{ kind: attribute, label: Mode, attribute: mode, credits: { ${prices} }, default: 9 }]
`);

/** The lines of publishing one file after another. */
function linesOf(before: PlanFile, after: PlanFile): readonly string[] {
  const version = { version: 1, effectiveAt: 10, createdAt: 10, withdrawn: false, hash: '' };
  const rateCards = new Map([[1, { ...before.rateCard, version: 1 }]]);
  const revisions = { revision: 1, planVersion: 1, termsHash: '' };
  const published = new PublishedPlan('metered', revisions, before, [version], rateCards);
  const change = findPlanChange(after, published, 20);
  if ('missed' in change) throw new Error('missed');
  return planChangeLines(change);
}

const [A, B] = [pack('a', '1.00'), pack('b', '2.00')];

test.each<readonly [string, PlanFile, readonly string[]]>([
  ['nothing', plan([A, B]), ['metered: no change']],
  [
    'the order of the packs',
    plan([B, A]),
    ['metered:', '  terms and packs, at once', '    ~ packs: in another order'],
  ],
  [
    'a pack before the others, and one that is gone',
    plan([pack('first', '3.00'), A]),
    [
      'metered:',
      '  terms and packs, at once',
      '    - packs.b: {"title":"Pack","credits":"10","price":"2.00 USD","validity":"never"}',
      '    + packs.first: {"title":"Pack","credits":"10","price":"3.00 USD","validity":"never"}',
    ],
  ],
  [
    'a term that the file left out',
    plan([A, B], undefined, '{ pause_floor: 7 }'),
    ['metered:', '  terms and packs, at once', '    ~ terms.pause_floor: 0 -> 7'],
  ],
  [
    'a price under a name that every object has',
    plan([A, B], 'fast: 1, constructor: 2'),
    [
      'metered:',
      '  rate card 2, at once',
      '    + operations.job.components[0].credits.constructor: 2',
    ],
  ],
])('%s', (_, after, lines) => {
  expect(linesOf(plan([A, B]), after)).toEqual(lines);
});
