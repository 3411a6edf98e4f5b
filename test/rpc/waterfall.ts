/** A plan with two operations, and usages and allocations, for tests of grants that pay in burn order. */

import type { Usage } from '../../src/gen/billing/v1/pricing.ts';
import { mapOf } from '../../src/map-of.ts';
import type { PlanFile } from '../../src/pricing/plan.ts';
import { planIn } from '../pricing/fixtures.ts';

/** `doc.convert` and `doc.scan` cost 1 credit per page. `terms` are more terms as YAML, indented by two. */
export const waterfallPlan = (planId: string, terms = ''): PlanFile =>
  planIn(`
plan_id: ${planId}
title: ${planId}
terms:
  low_balance_threshold: 0
${terms}
packs:
  - { pack_id: small, title: Small, credits: 20, price: 5.00 USD, validity: 12 months }
operations:
  doc.convert:
    title: Convert
    billable: true
    quantities: { pages: { title: Pages, unit: page, min: 1, max: 500 } }
    components:
      - { kind: per_unit, label: Pages, quantity: pages, credits: 1 }
  doc.scan:
    title: Scan
    billable: true
    quantities: { pages: { title: Pages, unit: page, min: 1, max: 500 } }
    components:
      - { kind: per_unit, label: Pages, quantity: pages, credits: 1 }
`);

const usage = (operation: string, pages: bigint): Usage => ({
  operation,
  quantities: mapOf({ pages }),
  attributes: new Map(),
  count: 1n,
});

/** Costs `pages` credits. */
export const convert = (pages: bigint): Usage => usage('doc.convert', pages);
export const scan = (pages: bigint): Usage => usage('doc.scan', pages);

export const fromGrant = (grantId: bigint, credits: bigint) => ({
  source: { $case: 'grantId', value: grantId },
  credits,
});
export const fromOverage = (credits: bigint) => ({
  source: { $case: 'overage', value: true },
  credits,
});
