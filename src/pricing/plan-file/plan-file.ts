/** Parses and validates a plan file. Pure: the text is an argument. */
import { z } from 'zod';
import { type PlanFile, UNPUBLISHED } from '../plan.ts';
import { changeErrors, changesSchema, priceChanges } from './changes.ts';
import { customAmountsSchema } from './custom-amount-schema.ts';
import { type FileError, locateErrors } from './file-error.ts';
import { readOperationDraft } from './operation-draft.ts';
import { operationErrors } from './operation-rules.ts';
import { parseYaml } from './plan-yaml.ts';
import { priceErrors } from './price-rules.ts';
import { operationsSchema } from './rate-card-schema.ts';
import { id, text, yamlIntegers } from './scalar-schemas.ts';
import { packsSchema, termsSchema } from './terms-schema.ts';
import { asMapping, type Path, type ValidationError, validate } from './validation-error.ts';

export type ParsedPlanFile =
  | { readonly plan: PlanFile }
  | { readonly errors: readonly FileError[] };

/** docs/reference/plan-file.md is made of it. */
export const planFile = z.strictObject({
  plan_id: id.describe('Id of the plan: accounts name it. No two files have the same.'),
  title: text.describe('For people to read.'),
  terms: termsSchema(yamlIntegers).describe('What accounts are given, and what they may do.'),
  packs: packsSchema(yamlIntegers).describe('Credits that can be bought.'),
  custom_amounts: customAmountsSchema(yamlIntegers)
    .default([])
    .describe('Credits that can be bought in any number, at rates per credit. Left out: none.'),
  operations: operationsSchema(yamlIntegers).describe(
    'What can be charged, and what it costs, by name. At least one. An operation that is not here is refused.',
  ),
  changes: changesSchema(yamlIntegers).describe(
    'New prices from a date on, in the order of their dates.',
  ),
});

/**
 * Parses a plan file. `file` is its name for error messages. The plan's rate card has the version
 * `UNPUBLISHED`. An invalid file gives at least one error, and every error that can be found without
 * guessing what an invalid part means. Never throws.
 */
export function parsePlanFile(file: string, yamlText: string): ParsedPlanFile {
  const yaml = parseYaml(yamlText);
  const { content } = yaml;
  if (content === undefined) return { errors: locateErrors(file, yaml, []) };
  const shape = validate(planFile, content);
  const contentErrors = [...('value' in shape ? [] : shape.errors), ...ruleErrors(content)];
  const errors = locateErrors(file, yaml, contentErrors);
  if (errors.length > 0 || !('value' in shape)) return { errors };
  const { plan_id: planId, title, terms, packs, operations, changes } = shape.value;
  const { custom_amounts: customAmounts } = shape.value;
  const rateCard = { version: UNPUBLISHED, operations };
  const plan = { planId, planVersion: UNPUBLISHED, title, terms, packs, customAmounts, rateCard };
  return { plan: { ...plan, file, changes: priceChanges(rateCard, changes) } };
}

function ruleErrors(content: unknown): readonly ValidationError[] {
  const { operations, changes } = asMapping(content);
  return [
    ...priceErrors(content),
    ...operationsErrors(operations, []),
    ...changeErrors(operations, changes, operationsErrors),
  ];
}

/** Errors of an `operations` section, whose parent is at `at`. */
function operationsErrors(operations: unknown, at: Path): readonly ValidationError[] {
  return Object.entries(asMapping(operations)).flatMap(([operation, value]) =>
    operationErrors(readOperationDraft(value)).map(({ path, reason }) => ({
      path: [...at, 'operations', operation, ...path],
      reason,
    })),
  );
}
