/** Plan files for the tests: the three real ones, and one that uses all a plan file can say. */
import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import type { PlanFile } from '../../src/pricing/plan.ts';
import { parsePlanFile } from '../../src/pricing/plan-file/plan-file.ts';
import type { Usage } from '../../src/pricing/usage.ts';

const PLANS = new URL('../../deploy/plans/', import.meta.url);

export function realPlan(planId: 'aspose-cloud' | 'perfectparser' | 'verts'): PlanFile {
  const file = `${planId}.yaml`;
  return planIn(readFileSync(new URL(file, PLANS), 'utf8'), file);
}

/** The plan a text says; throws with every error where it has any. */
export function planIn(yamlText: string, file = 'test.yaml'): PlanFile {
  const parsed = parsePlanFile(file, yamlText);
  if ('plan' in parsed) return parsed.plan;
  const told = parsed.errors.map(({ path, reason }) => `${path}: ${reason}`);
  throw new Error(`${file}:\n${told.join('\n')}`);
}

/** The errors of a text, as "path: reason"; none where it is a plan. */
export function mistakesIn(yamlText: string): readonly string[] {
  const parsed = parsePlanFile('test.yaml', yamlText);
  return 'plan' in parsed ? [] : parsed.errors.map(({ path, reason }) => `${path}: ${reason}`);
}

/** A rule broken in EVERYTHING: its name, a text of it, what to put there, the error told. */
export type MistakeRow = readonly [name: string, from: string, to: string, error: string];

/** EVERYTHING with one text in place of another, which must be there. */
export function changed(from: string, to: string): string {
  expect(EVERYTHING).toContain(from);
  return EVERYTHING.replace(from, to);
}

/** Matches errors of which one says this. */
export function told(error: string): unknown {
  return expect.arrayContaining([expect.stringContaining(error)]);
}

export function usage(
  operation: string,
  quantities: Readonly<Record<string, bigint>> = {},
  attributes: Readonly<Record<string, string>> = {},
  count = 1n,
): Usage {
  return { operation, count, quantities, attributes };
}

/** Every component kind, a postpaid line, and defaults of every sort. */
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
