/** A plan file, from text to Plan, or to everything that is wrong with it. Pure: text comes in. */
import { z } from 'zod';
import { type FiledPlan, UNPUBLISHED } from '../plan.ts';
import { changeMistakes, changesSchema, priceChanges } from './changes.ts';
import { id, text, yamlIntegers } from './leaf-schema.ts';
import { type Mistake, mapping, type Path, pathText, readShape } from './mistake.ts';
import { draftOf } from './operation-draft.ts';
import { operationMistakes } from './operation-rules.ts';
import { readYaml } from './plan-yaml.ts';
import { operationsSchema } from './rate-card-schema.ts';
import { packsSchema, termsSchema } from './terms-schema.ts';

/**
 * One mistake: the file, where in it (`operations["image.resize"].components[0].credits`, or line
 * and column where YAML itself is at fault), and what is wrong there.
 */
export type PlanMistake = {
  readonly file: string;
  readonly path: string;
  readonly reason: string;
};

export type ParsedPlanFile =
  | { readonly plan: FiledPlan }
  | { readonly mistakes: readonly PlanMistake[] };

const planFile = z.strictObject({
  plan_id: id,
  title: text,
  terms: termsSchema(yamlIntegers),
  packs: packsSchema(yamlIntegers),
  operations: operationsSchema(yamlIntegers),
  changes: changesSchema(yamlIntegers),
});

/**
 * Reads a plan file. `file` is only repeated in the mistakes. The plan's rate card carries version
 * `UNPUBLISHED`. Of a file with mistakes all are told that can be told without guessing what a
 * broken part was meant to say; there is at least one. Never throws.
 */
export function parsePlanFile(file: string, yamlText: string): ParsedPlanFile {
  const { content, mistakes: yamlMistakes } = readYaml(yamlText);
  if (content === undefined) return { mistakes: inFile(file, yamlMistakes) };
  const shape = readShape(planFile, content);
  const treeMistakes = [...('read' in shape ? [] : shape.mistakes), ...ruleMistakes(content)];
  const told = treeMistakes.map(({ path, reason }) => ({ path: pathText(path), reason }));
  const mistakes = inFile(file, [...yamlMistakes, ...told]);
  if (mistakes.length > 0 || !('read' in shape)) return { mistakes };
  const { plan_id: planId, title, terms, packs, operations, changes } = shape.read;
  const rateCard = { version: UNPUBLISHED, operations };
  const plan = { planId, title, terms, packs, rateCard };
  return { plan: { ...plan, file, changes: priceChanges(rateCard, changes) } };
}

function inFile(
  file: string,
  mistakes: readonly { readonly path: string; readonly reason: string }[],
): readonly PlanMistake[] {
  return mistakes.map(({ path, reason }) => ({ file, path, reason }));
}

function ruleMistakes(content: unknown): readonly Mistake[] {
  const { operations, changes } = mapping(content);
  return [
    ...operationsMistakes(operations, []),
    ...changeMistakes(operations, changes, operationsMistakes),
  ];
}

/** The rules that the operations of a section break; `at` is where the section's parent stands. */
function operationsMistakes(operations: unknown, at: Path): readonly Mistake[] {
  return Object.entries(mapping(operations)).flatMap(([operation, value]) =>
    operationMistakes(draftOf(value)).map(({ path, reason }) => ({
      path: [...at, 'operations', operation, ...path],
      reason,
    })),
  );
}
