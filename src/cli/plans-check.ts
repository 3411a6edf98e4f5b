/** `plans check`: validates plan files as `plans publish` does. It needs no database. */

import { readFile, stat } from 'node:fs/promises';
import { requireConfig } from '../config.ts';
import { readPlanFiles } from '../plan-files.ts';
import type { PlanFile } from '../pricing/plan.ts';
import { type FileError, formatFileError } from '../pricing/plan-file/file-error.ts';
import { parsePlanFile } from '../pricing/plan-file/plan-file.ts';
import { command, exitWith } from './command.ts';
import { INVALID_FILE } from './exit-codes.ts';

export const plansCheck = command('check', {
  description: 'Lists every error in plan files, by default in those of PLANS_DIRECTORY.',
  examples: ['', 'deploy/plans/verts.yaml'],
})
  .argument('[plan-file...]', 'files, or folders of them')
  .action(
    exitWith(async (given: readonly string[]) => {
      const paths = given.length > 0 ? given : [requireConfig(process.env).PLANS_DIRECTORY];
      let invalid = false;
      for (const path of paths) {
        const { plans, errors } = await check(path);
        for (const { file, planId, rateCard, changes } of plans) {
          const counts = `operations: ${rateCard.operations.size}, changes: ${changes.length}`;
          process.stdout.write(`${file}: plan ${planId} is valid (${counts})\n`);
        }
        for (const error of errors) process.stdout.write(`${formatFileError(error)}\n`);
        invalid ||= errors.length > 0;
      }
      return invalid ? INVALID_FILE : 0;
    }),
  );

type Checked = {
  readonly plans: readonly PlanFile[];
  readonly errors: readonly FileError[];
};

async function check(path: string): Promise<Checked> {
  const none = { plans: [], errors: [] };
  if ((await stat(path)).isDirectory()) return { ...none, ...(await readPlanFiles(path)) };
  const parsed = parsePlanFile(path, await readFile(path, 'utf8'));
  return 'plan' in parsed ? { ...none, plans: [parsed.plan] } : { ...none, ...parsed };
}
