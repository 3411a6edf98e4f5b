/** `plans publish`: makes plan files effective for all replicas. Nothing else changes prices. */
import { parseArgs } from 'node:util';
import { requireConfig } from '../config.ts';
import { findDatabase } from '../find-database.ts';
import { readPlanPaths } from '../plan-files.ts';
import { compareNow, publishNow } from '../plan-publication.ts';
import type { PlanFile } from '../pricing/plan.ts';
import { isUnchanged, type PlanChange } from '../pricing/plan-change.ts';
import { formatFileError } from '../pricing/plan-file/file-error.ts';
import { UnpublishablePlans } from '../store/publish-plans.ts';
import { type Command, INVALID_PLAN_FILE } from './command.ts';
import { planChangeLines } from './plan-changes.ts';

export const plansPublish: Command = {
  usage: '[--dry-run] [<plan-file or folder> …]',
  description:
    'Publishes plan files, by default those of PLANS_DIRECTORY, to the database: all or none. Lists what ' +
    'that changes. With --dry-run only lists it. Published plans without a file stay as they are.',
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { 'dry-run': { type: 'boolean', default: false } },
    });
    const config = requireConfig(process.env);
    const files = await readPlanPaths(
      positionals.length > 0 ? positionals : [config.PLANS_DIRECTORY],
    );
    if ('errors' in files) return refuse(files.errors.map(formatFileError));
    const database = await findDatabase(config);
    try {
      const dryRun = values['dry-run'];
      const changes = dryRun
        ? await compare(database.url, files.plans)
        : await publishNow(database.url, files.plans, config.CLOCK_SKEW_MAX_MS);
      print(changes, dryRun);
    } catch (error) {
      if (error instanceof UnpublishablePlans) return refuse(error.lines);
      throw error;
    } finally {
      await database.close();
    }
    return 0;
  },
};

/** What publishing would change. Throws UnpublishablePlans, as publishing would. */
async function compare(url: string, files: readonly PlanFile[]): Promise<readonly PlanChange[]> {
  const { changes, errors } = await compareNow(url, files);
  if (errors.length > 0) throw new UnpublishablePlans(errors);
  return changes;
}

function refuse(lines: readonly string[]): number {
  for (const line of lines) process.stderr.write(`${line}\n`);
  process.stderr.write('nothing was published\n');
  return INVALID_PLAN_FILE;
}

function print(changes: readonly PlanChange[], dryRun: boolean) {
  for (const line of changes.flatMap(planChangeLines)) process.stdout.write(`${line}\n`);
  const changed = changes.filter((change) => !isUnchanged(change)).length;
  if (changed === 0) process.stdout.write('nothing to publish\n');
  else if (dryRun) process.stdout.write(`dry run: ${changed} to publish, nothing was published\n`);
  else process.stdout.write(`published: ${changed}\n`);
}
