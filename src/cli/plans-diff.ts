/** `plans diff`: how the prices and terms of two plan files differ, or those of files and of what is published. */
import { requireConfig } from '../config.ts';
import { findCells } from '../find-database.ts';
import { readPlanPaths } from '../plan-files.ts';
import type { PlanFile } from '../pricing/plan.ts';
import { isUnchanged } from '../pricing/plan-change.ts';
import { formatFileError } from '../pricing/plan-file/file-error.ts';
import { command, exitWith } from './command.ts';
import { DIFFERENT, INVALID_FILE } from './exit-codes.ts';
import { fileChangeLines, planChangeLines } from './plan-changes.ts';
import { printLines } from './print.ts';

export const plansDiff = command('diff', {
  description:
    'Lists how a plan file differs from what is published, or from another file. Changes nothing. Exits with 1 if they ' +
    'differ, or a file is invalid.',
  examples: ['deploy/plans/verts.yaml', 'deploy/plans/verts.yaml next.yaml'],
})
  .argument('<plan-file>')
  .argument('[other]', 'with it, no database is needed')
  .action(
    exitWith(async (path: string, other: string | undefined) => {
      const read = await readOneByOne(other === undefined ? [path] : [path, other]);
      if ('errors' in read) {
        for (const error of read.errors) process.stderr.write(`${error}\n`);
        return INVALID_FILE;
      }
      const [first, second] = read.plans;
      if (first && second) {
        const lines = fileChangeLines(first, second);
        printLines(lines.length > 0 ? lines : ['no difference']);
        return lines.length > 0 ? DIFFERENT : 0;
      }
      return await comparePublished(read.plans);
    }),
  );

/** Two files may be of the same plan. */
async function readOneByOne(paths: readonly string[]) {
  const all = await Promise.all(paths.map((path) => readPlanPaths([path])));
  const errors = all.flatMap((one) => ('errors' in one ? one.errors.map(formatFileError) : []));
  return errors.length > 0
    ? { errors }
    : { plans: all.flatMap((one) => ('plans' in one ? one.plans : [])) };
}

async function comparePublished(plans: readonly PlanFile[]): Promise<number> {
  const { compareNow } = await import('../plan-publication.ts');
  const { cells, close } = await findCells(requireConfig(process.env));
  try {
    // Every cell has the same plans.
    const { changes, errors } = await compareNow(cells[0]?.url ?? '', plans);
    printLines([...changes.flatMap(planChangeLines), ...errors]);
    return errors.length > 0 || !changes.every(isUnchanged) ? DIFFERENT : 0;
  } finally {
    await close();
  }
}
