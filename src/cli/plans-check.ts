/** `scrip plans check`: validates plan files as the service does when it starts, without a database. */
import { readFile, stat } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { readPlanFiles } from '../plan-files.ts';
import type { FiledPlan } from '../pricing/plan.ts';
import { type PlanMistake, parsePlanFile } from '../pricing/plan-file/plan-file.ts';
import { type Command, configOfEnvironment, MISTAKEN, mistakeText } from './command.ts';

export const plansCheck: Command = {
  usage: '[<plan-file or folder> …]',
  says: 'Tells every mistake in plan files; those of PLANS_DIRECTORY where none is named.',
  async run(args) {
    const { positionals } = parseArgs({ args, allowPositionals: true });
    const paths = positionals.length > 0 ? positionals : [configOfEnvironment().PLANS_DIRECTORY];
    let mistaken = false;
    for (const path of paths) {
      const { plans, mistakes } = await check(path);
      for (const { file, planId, rateCard, changes } of plans) {
        const counted = `operations: ${rateCard.operations.size}, changes: ${changes.length}`;
        process.stdout.write(`${file}: plan ${planId} is sound (${counted})\n`);
      }
      for (const mistake of mistakes) process.stdout.write(`${mistakeText(mistake)}\n`);
      mistaken ||= mistakes.length > 0;
    }
    return mistaken ? MISTAKEN : 0;
  },
};

type Checked = {
  readonly plans: readonly FiledPlan[];
  readonly mistakes: readonly PlanMistake[];
};

async function check(path: string): Promise<Checked> {
  const none = { plans: [], mistakes: [] };
  if ((await stat(path)).isDirectory()) return { ...none, ...(await readPlanFiles(path)) };
  const parsed = parsePlanFile(path, await readFile(path, 'utf8'));
  return 'plan' in parsed ? { ...none, plans: [parsed.plan] } : { ...none, ...parsed };
}
