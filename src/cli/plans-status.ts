/** `plans status`: whether the plan files are what is published. */
import { parseArgs } from 'node:util';
import { requireConfig } from '../config.ts';
import { findDatabase } from '../find-database.ts';
import { readPlanPaths } from '../plan-files.ts';
import { compareNow } from '../plan-publication.ts';
import { isUnchanged, type PlanChange } from '../pricing/plan-change.ts';
import { formatFileError } from '../pricing/plan-file/file-error.ts';
import { type Command, INVALID_PLAN_FILE } from './command.ts';

/** Exit code where files and published plans differ. */
const DIFFERENT = 1;

export const plansStatus: Command = {
  usage: '[<plan-file or folder> …]',
  description:
    'Says of each plan whether its file, by default that of PLANS_DIRECTORY, is what is published. ' +
    'Replicas work with what is published. Exits with 1 if a file differs or is invalid.',
  async run(args) {
    const { positionals } = parseArgs({ args, allowPositionals: true });
    const config = requireConfig(process.env);
    const files = await readPlanPaths(
      positionals.length > 0 ? positionals : [config.PLANS_DIRECTORY],
    );
    if ('errors' in files) {
      for (const error of files.errors) process.stdout.write(`${formatFileError(error)}\n`);
      return INVALID_PLAN_FILE;
    }
    const database = await findDatabase(config);
    try {
      const { changes, errors, withoutFile } = await compareNow(database.url, files.plans);
      const lines = [...changes.map(statusLine), ...errors, ...withoutFile.map(withoutFileLine)];
      for (const line of lines) process.stdout.write(`${line}\n`);
      return errors.length > 0 || !changes.every(isUnchanged) ? DIFFERENT : 0;
    } finally {
      await database.close();
    }
  },
};

function statusLine(change: PlanChange): string {
  const { file, published } = change;
  if (!published) return `${file.planId}: not published`;
  return isUnchanged(change)
    ? `${file.planId}: the file is published`
    : `${file.planId}: the file differs from what is published; plans publish --dry-run shows how`;
}

const withoutFileLine = (planId: string): string => `${planId}: published, without a file`;
