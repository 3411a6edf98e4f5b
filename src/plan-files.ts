/** Reads and validates the plan files of a folder. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PlanFile } from './pricing/plan.ts';
import { type PlanFileError, parsePlanFile } from './pricing/plan-file/plan-file.ts';

export type PlanFiles =
  | { readonly plans: readonly PlanFile[] }
  | { readonly errors: readonly PlanFileError[] };

/** The plans in the order of their file names, or every error of every file. */
export async function readPlanFiles(directory: string): Promise<PlanFiles> {
  const listed = await readdir(directory).catch(() => null);
  if (!listed) return oneError(directory, 'cannot be read: is PLANS_DIRECTORY right?');
  const files = listed.filter((file) => /\.ya?ml$/.test(file)).sort();
  if (files.length === 0) return oneError(directory, 'holds no plan file (*.yaml)');

  const plans: PlanFile[] = [];
  const errors: PlanFileError[] = [];
  const fileOf = new Map<string, string>();
  for (const file of files) {
    const path = join(directory, file);
    const parsed = parsePlanFile(path, await readFile(path, 'utf8'));
    if ('errors' in parsed) {
      errors.push(...parsed.errors);
      continue;
    }
    const { planId } = parsed.plan;
    const other = fileOf.get(planId);
    if (other)
      errors.push({
        file: path,
        line: null,
        path: 'plan_id',
        reason: `${planId} is in ${other} already`,
      });
    fileOf.set(planId, path);
    plans.push(parsed.plan);
  }
  return errors.length > 0 ? { errors } : { plans };
}

/** One line for people. */
export const formatPlanFileError = ({ file, line, path, reason }: PlanFileError): string =>
  [file, line && `line ${line}`, path, reason].filter(Boolean).join(': ');

const oneError = (file: string, reason: string): PlanFiles => ({
  errors: [{ file, line: null, path: '', reason }],
});
