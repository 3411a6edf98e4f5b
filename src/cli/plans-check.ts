/** `scrip plans check`: validates plan files as the service does when it starts, without a database. */
import { readFile, stat } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { readPlanFiles } from '../plan-files.ts';
import type { PlanFile } from '../pricing/plan.ts';
import { type PlanFileError, parsePlanFile } from '../pricing/plan-file/plan-file.ts';
import {
  type Command,
  configOfEnvironment,
  formatPlanFileError,
  INVALID_PLAN_FILE,
} from './command.ts';

export const plansCheck: Command = {
  usage: '[<plan-file or folder> …]',
  says: 'Prints every error in plan files; those of PLANS_DIRECTORY where none is named.',
  async run(args) {
    const { positionals } = parseArgs({ args, allowPositionals: true });
    const paths = positionals.length > 0 ? positionals : [configOfEnvironment().PLANS_DIRECTORY];
    let mistaken = false;
    for (const path of paths) {
      const { plans, errors } = await check(path);
      for (const { file, planId, rateCard, changes } of plans) {
        const counted = `operations: ${rateCard.operations.size}, changes: ${changes.length}`;
        process.stdout.write(`${file}: plan ${planId} is sound (${counted})\n`);
      }
      for (const error of errors) process.stdout.write(`${formatPlanFileError(error)}\n`);
      mistaken ||= errors.length > 0;
    }
    return mistaken ? INVALID_PLAN_FILE : 0;
  },
};

type Checked = {
  readonly plans: readonly PlanFile[];
  readonly errors: readonly PlanFileError[];
};

async function check(path: string): Promise<Checked> {
  const none = { plans: [], errors: [] };
  if ((await stat(path)).isDirectory()) return { ...none, ...(await readPlanFiles(path)) };
  const parsed = parsePlanFile(path, await readFile(path, 'utf8'));
  return 'plan' in parsed ? { ...none, plans: [parsed.plan] } : { ...none, ...parsed };
}
