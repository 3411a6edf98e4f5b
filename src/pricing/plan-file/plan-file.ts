/** A plan file, from text to Plan, or to everything that is wrong with it. Pure: text comes in. */
import { z } from 'zod';
import { type PlanFile, UNPUBLISHED } from '../plan.ts';
import { changeErrors, changesSchema, priceChanges } from './changes.ts';
import { readOperationDraft } from './operation-draft.ts';
import { operationErrors } from './operation-rules.ts';
import { parseYaml } from './plan-yaml.ts';
import { operationsSchema } from './rate-card-schema.ts';
import { id, text, yamlIntegers } from './scalar-schemas.ts';
import { packsSchema, termsSchema } from './terms-schema.ts';
import {
  asMapping,
  formatPath,
  type Path,
  type ValidationError,
  validate,
} from './validation-error.ts';

/**
 * One error: the file, where in it (`operations["image.resize"].components[0].credits`, or line
 * and column where YAML itself is at fault), and what is wrong there.
 */
export type PlanFileError = {
  readonly file: string;
  readonly path: string;
  readonly reason: string;
};

export type ParsedPlanFile =
  | { readonly plan: PlanFile }
  | { readonly errors: readonly PlanFileError[] };

const planFile = z.strictObject({
  plan_id: id,
  title: text,
  terms: termsSchema(yamlIntegers),
  packs: packsSchema(yamlIntegers),
  operations: operationsSchema(yamlIntegers),
  changes: changesSchema(yamlIntegers),
});

/**
 * Reads a plan file. `file` is only repeated in the errors. The plan's rate card carries version
 * `UNPUBLISHED`. Of a file with errors all are told that can be told without guessing what a
 * broken part was meant to say; there is at least one. Never throws.
 */
export function parsePlanFile(file: string, yamlText: string): ParsedPlanFile {
  const { content, errors: yamlErrors } = parseYaml(yamlText);
  if (content === undefined) return { errors: inFile(file, yamlErrors) };
  const shape = validate(planFile, content);
  const treeErrors = [...('read' in shape ? [] : shape.errors), ...ruleErrors(content)];
  const told = treeErrors.map(({ path, reason }) => ({ path: formatPath(path), reason }));
  const errors = inFile(file, [...yamlErrors, ...told]);
  if (errors.length > 0 || !('read' in shape)) return { errors };
  const { plan_id: planId, title, terms, packs, operations, changes } = shape.read;
  const rateCard = { version: UNPUBLISHED, operations };
  const plan = { planId, title, terms, packs, rateCard };
  return { plan: { ...plan, file, changes: priceChanges(rateCard, changes) } };
}

function inFile(
  file: string,
  errors: readonly { readonly path: string; readonly reason: string }[],
): readonly PlanFileError[] {
  return errors.map(({ path, reason }) => ({ file, path, reason }));
}

function ruleErrors(content: unknown): readonly ValidationError[] {
  const { operations, changes } = asMapping(content);
  return [
    ...operationsErrors(operations, []),
    ...changeErrors(operations, changes, operationsErrors),
  ];
}

/** The rules that the operations of a section break; `at` is where the section's parent stands. */
function operationsErrors(operations: unknown, at: Path): readonly ValidationError[] {
  return Object.entries(asMapping(operations)).flatMap(([operation, value]) =>
    operationErrors(readOperationDraft(value)).map(({ path, reason }) => ({
      path: [...at, 'operations', operation, ...path],
      reason,
    })),
  );
}
