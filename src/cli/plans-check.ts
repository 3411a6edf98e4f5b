/** `plans check`: validates plan files as `plans publish` does. It needs no database. */
import { readFile, stat } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { requireConfig } from '../config.ts';
import { readPlanFiles } from '../plan-files.ts';
import type { PlanFile } from '../pricing/plan.ts';
import { type FileError, formatFileError } from '../pricing/plan-file/file-error.ts';
import { parsePlanFile } from '../pricing/plan-file/plan-file.ts';
import { type Command, INVALID_PLAN_FILE } from './command.ts';

export const plansCheck: Command = {
  usage: '[<plan-file or folder> …]',
  description: 'Lists every error in plan files, by default in those of PLANS_DIRECTORY.',
  async run(args) {
    const { positionals } = parseArgs({ args, allowPositionals: true });
    const paths =
      positionals.length > 0 ? positionals : [requireConfig(process.env).PLANS_DIRECTORY];
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
    return invalid ? INVALID_PLAN_FILE : 0;
  },
};

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
