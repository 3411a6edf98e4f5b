/** Reads and validates plan files, named one by one or by their folder. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { PlanFile } from './pricing/plan.ts';
import type { FileError } from './pricing/plan-file/file-error.ts';
import { parsePlanFile } from './pricing/plan-file/plan-file.ts';

export type PlanFiles =
  | { readonly plans: readonly PlanFile[] }
  | { readonly errors: readonly FileError[] };

/** The plans of a folder in the order of their file names, or every error of every file. */
export async function readPlanFiles(directory: string): Promise<PlanFiles> {
  const listed = await listPlanFiles(directory);
  return 'errors' in listed ? listed : await readFiles(listed.files);
}

/** The plans of several files and folders, or every error of every file. Throws if a path does not exist. */
export async function readPlanPaths(paths: readonly string[]): Promise<PlanFiles> {
  const files: string[] = [];
  const errors: FileError[] = [];
  for (const path of paths) {
    const listed = (await stat(path)).isDirectory() ? await listPlanFiles(path) : { files: [path] };
    if ('errors' in listed) errors.push(...listed.errors);
    else files.push(...listed.files);
  }
  const read = await readFiles(files);
  if ('errors' in read) return { errors: [...errors, ...read.errors] };
  return errors.length > 0 ? { errors } : read;
}

async function listPlanFiles(
  directory: string,
): Promise<{ readonly files: readonly string[] } | { readonly errors: readonly FileError[] }> {
  const listed = await readdir(directory).catch(() => null);
  if (!listed) return oneError(directory, 'cannot be read: is PLANS_DIRECTORY right?');
  const files = listed.filter((file) => /\.ya?ml$/.test(file)).sort();
  if (files.length === 0) return oneError(directory, 'holds no plan file (*.yaml)');
  return { files: files.map((file) => join(directory, file)) };
}

async function readFiles(paths: readonly string[]): Promise<PlanFiles> {
  const plans: PlanFile[] = [];
  const errors: FileError[] = [];
  const fileOf = new Map<string, string>();
  for (const path of paths) {
    const parsed = parsePlanFile(path, await readFile(path, 'utf8'));
    if ('errors' in parsed) {
      errors.push(...parsed.errors);
      continue;
    }
    const { planId } = parsed.plan;
    const other = fileOf.get(planId);
    if (other) {
      const reason = `${planId} is in ${other} already`;
      errors.push({ file: path, line: null, path: 'plan_id', reason });
    }
    fileOf.set(planId, path);
    plans.push(parsed.plan);
  }
  return errors.length > 0 ? { errors } : { plans };
}

const oneError = (file: string, reason: string) => ({
  errors: [{ file, line: null, path: '', reason }],
});
