/** `plans status`: whether the plan files are what is published. */

import { requireConfig } from '../config.ts';
import { findCells } from '../find-database.ts';
import { readPlanPaths } from '../plan-files.ts';
import { isUnchanged, type PlanChange } from '../pricing/plan-change.ts';
import { formatFileError } from '../pricing/plan-file/file-error.ts';
import { command, exitWith } from './command.ts';
import { inEachCell } from './each-cell.ts';
import { DIFFERENT, INVALID_FILE } from './exit-codes.ts';

export const plansStatus = command('status', {
  description:
    'Says of each plan whether its file, by default that of PLANS_DIRECTORY, is what is published. ' +
    'Replicas work with what is published. Exits with 1 if a file differs or is invalid.',
  examples: [''],
})
  .argument('[plan-file...]', 'files, or folders of them')
  .action(
    exitWith(async (paths: readonly string[]) => {
      const config = requireConfig(process.env);
      const files = await readPlanPaths(paths.length > 0 ? paths : [config.PLANS_DIRECTORY]);
      if ('errors' in files) {
        for (const error of files.errors) process.stdout.write(`${formatFileError(error)}\n`);
        return INVALID_FILE;
      }
      const { compareNow } = await import('../plan-publication.ts');
      const { cells, close } = await findCells(config);
      try {
        return await inEachCell(cells, cells.length === 1, async ({ url }, name) => {
          const { changes, errors, withoutFile } = await compareNow(url, files.plans);
          const all = [...changes.map(statusLine), ...errors, ...withoutFile.map(withoutFileLine)];
          const prefix = name === null ? '' : `cell ${name}: `;
          for (const line of all) process.stdout.write(`${prefix}${line}\n`);
          return errors.length > 0 || !changes.every(isUnchanged) ? DIFFERENT : 0;
        });
      } finally {
        await close();
      }
    }),
  );

function statusLine(change: PlanChange): string {
  const { file, published } = change;
  if (!published) return `${file.planId}: not published`;
  return isUnchanged(change)
    ? `${file.planId}: the file is published`
    : `${file.planId}: the file differs from what is published; plans publish --dry-run shows how`;
}

const withoutFileLine = (planId: string): string => `${planId}: published, without a file`;
