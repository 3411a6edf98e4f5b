/** Reads and validates the plan files of a folder. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FiledPlan } from './pricing/plan.ts';
import { type PlanMistake, parsePlanFile } from './pricing/plan-file/plan-file.ts';

export type PlanFiles =
  | { readonly plans: readonly FiledPlan[] }
  | { readonly mistakes: readonly PlanMistake[] };

/** The plans in the order of their file names, or every mistake of every file. */
export async function readPlanFiles(directory: string): Promise<PlanFiles> {
  const listed = await readdir(directory).catch(() => null);
  if (!listed) return oneMistake(directory, 'cannot be read: is PLANS_DIRECTORY right?');
  const files = listed.filter((file) => /\.ya?ml$/.test(file)).sort();
  if (files.length === 0) return oneMistake(directory, 'holds no plan file (*.yaml)');

  const plans: FiledPlan[] = [];
  const mistakes: PlanMistake[] = [];
  const fileOf = new Map<string, string>();
  for (const file of files) {
    const path = join(directory, file);
    const parsed = parsePlanFile(path, await readFile(path, 'utf8'));
    if ('mistakes' in parsed) {
      mistakes.push(...parsed.mistakes);
      continue;
    }
    const { planId } = parsed.plan;
    const other = fileOf.get(planId);
    if (other)
      mistakes.push({ file: path, path: 'plan', reason: `${planId} is in ${other} already` });
    fileOf.set(planId, path);
    plans.push(parsed.plan);
  }
  return mistakes.length > 0 ? { mistakes } : { plans };
}

/** One line for people. */
export const mistakeText = ({ file, path, reason }: PlanMistake): string =>
  [file, path, reason].filter(Boolean).join(': ');

const oneMistake = (file: string, reason: string): PlanFiles => ({
  mistakes: [{ file, path: '', reason }],
});
