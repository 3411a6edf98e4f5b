/** Plan files for tests: the three deployed ones, and one that uses every feature of plan files. */

import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { mapOf } from '../../src/map-of.ts';
import type { PlanFile } from '../../src/pricing/plan.ts';
import { parsePlanFile } from '../../src/pricing/plan-file/plan-file.ts';
import type { Usage } from '../../src/pricing/usage.ts';

const PLANS = new URL('../../deploy/plans/', import.meta.url);

export function deployedPlan(planId: 'aspose-cloud' | 'perfectparser' | 'verts'): PlanFile {
  const file = `${planId}.yaml`;
  return planIn(readFileSync(new URL(file, PLANS), 'utf8'), file);
}

/** The plan of a text. Throws with every error if it is invalid. */
export function planIn(yamlText: string, file = 'test.yaml'): PlanFile {
  const parsed = parsePlanFile(file, yamlText);
  if ('plan' in parsed) return parsed.plan;
  const errors = parsed.errors.map(({ path, reason }) => `${path}: ${reason}`);
  throw new Error(`${file}:\n${errors.join('\n')}`);
}

/** The errors of a text as "path: reason"; none if it is valid. */
export function errorsIn(yamlText: string): readonly string[] {
  const parsed = parsePlanFile('test.yaml', yamlText);
  return 'plan' in parsed ? [] : parsed.errors.map(({ path, reason }) => `${path}: ${reason}`);
}

/** An invalid variant of EVERYTHING: its name, a text to replace, its replacement, and the expected error. */
export type InvalidPlanRow = readonly [name: string, from: string, to: string, error: string];

/** EVERYTHING with `from` replaced by `to`. */
export function withReplaced(from: string, to: string): string {
  expect(EVERYTHING).toContain(from);
  return EVERYTHING.replace(from, to);
}

/** Matches a list of errors of which one contains this text. */
export function containing(error: string): unknown {
  return expect.arrayContaining([expect.stringContaining(error)]);
}

export function usage(
  operation: string,
  quantities: Readonly<Record<string, bigint>> = {},
  attributes: Readonly<Record<string, string>> = {},
  count = 1n,
): Usage {
  return { operation, count, quantities: mapOf(quantities), attributes: mapOf(attributes) };
}

/** Every kind of component, overage, and every kind of default. */
export const EVERYTHING = `
plan_id: everything
title: Everything a plan can say
terms:
  welcome: { credits: 30, validity: 30 days }
  allowance: { credits: 50, every: month, rollover: none }
  overage: { limit: 10000 }
  low_balance_threshold: 40
  pause_floor: 15
  reservation: { ttl: 90s, max_ttl: 2h, grace: 0s }
  refund_expired: new_grant
  pay_owed: true
  late_usage: 3d
  expiring_notice: 36h
packs:
  - { pack_id: small, title: Small, credits: 100, price: 10 USD, validity: 12 months }
  - { pack_id: large, title: Large, credits: 1000, price: 80.50 USD, validity: never }
operations:
  job.flat:
    title: The same for all
    billable: true
    components:
      - { kind: flat, label: Base, credits: 7 }
  job.pages:
    title: By the page
    billable: true
    quantities:
      pages: { title: Pages, unit: page, min: 1, max: 500 }
    components:
      - { kind: flat, label: Base, credits: 2 }
      - { kind: per_unit, label: Pages, quantity: pages, credits: 3 }
  job.tier:
    title: By size
    billable: true
    quantities:
      size: { title: Size, unit: kilobyte, min: 1, max: 300, default: 10 }
    components:
      - kind: tier
        label: Size
        quantity: size
        steps:
          - { up_to: 10, credits: 0 }
          - { up_to: 100, credits: 4 }
          - { up_to: 300, credits: 9 }
  job.format:
    title: By format
    billable: true
    attributes:
      format: { title: Format, default: png }
      quality: { title: Quality, values: [draft, final] }
    components:
      - kind: attribute
        label: Format
        attribute: format
        credits: { png: 1, pdf: 6 }
        default: 4
      - kind: attribute
        label: Quality
        attribute: quality
        credits: { final: 2 }
        default: 0
  job.strict:
    title: By a listed format only
    billable: true
    attributes:
      format: { title: Format }
    components:
      - { kind: attribute, label: Format, attribute: format, credits: { png: 1 }, default: refuse }
  job.cel:
    title: By an expression
    billable: true
    quantities:
      pages: { title: Pages, unit: page, min: 1, max: 1000 }
    attributes:
      mode: { title: Mode, values: [fast, deep], default: fast }
    components:
      - kind: cel
        label: Pages in tens
        expression: '(pages + 9) / 10 * (mode == "deep" ? 3 : 1)'
  job.free:
    title: Costs nothing
    billable: false
    quantities:
      pages: { title: Pages, unit: page, min: 1, max: 1000, default: 1 }
`;
