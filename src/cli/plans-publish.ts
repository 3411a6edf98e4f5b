/** `plans publish`: makes plan files effective for all replicas. Nothing else changes prices. */

import { requireConfig } from '../config.ts';
import { findDatabase } from '../find-database.ts';
import { readPlanPaths } from '../plan-files.ts';
import type { PlanFile } from '../pricing/plan.ts';
import { isUnchanged, type PlanChange } from '../pricing/plan-change.ts';
import { formatFileError } from '../pricing/plan-file/file-error.ts';
import { command, exitWith } from './command.ts';
import { INVALID_FILE } from './exit-codes.ts';
import { planChangeLines } from './plan-changes.ts';

export const plansPublish = command('publish', {
  description:
    'Publishes plan files, by default those of PLANS_DIRECTORY, to the database: all or none. Lists what ' +
    'that changes. With --dry-run only lists it. Published plans without a file stay as they are.',
  examples: ['--dry-run', '', 'deploy/plans/verts.yaml'],
})
  .argument('[plan-file...]', 'files, or folders of them')
  .option('--dry-run', 'only list what would change', false)
  .action(
    exitWith(async (paths: readonly string[], { dryRun }: { readonly dryRun: boolean }) => {
      const config = requireConfig(process.env);
      const files = await readPlanPaths(paths.length > 0 ? paths : [config.PLANS_DIRECTORY]);
      if ('errors' in files) return refuse(files.errors.map(formatFileError));
      const { publishNow } = await import('../plan-publication.ts');
      const { UnpublishablePlans } = await import('../store/publish-plans.ts');
      const database = await findDatabase(config);
      try {
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
    }),
  );

/** What publishing would change. Throws UnpublishablePlans, as publishing would. */
async function compare(url: string, files: readonly PlanFile[]): Promise<readonly PlanChange[]> {
  const { compareNow } = await import('../plan-publication.ts');
  const { changes, errors } = await compareNow(url, files);
  if (errors.length > 0) {
    const { UnpublishablePlans } = await import('../store/publish-plans.ts');
    throw new UnpublishablePlans(errors);
  }
  return changes;
}

function refuse(lines: readonly string[]): number {
  for (const line of lines) process.stderr.write(`${line}\n`);
  process.stderr.write('nothing was published\n');
  return INVALID_FILE;
}

function print(changes: readonly PlanChange[], dryRun: boolean) {
  for (const line of changes.flatMap(planChangeLines)) process.stdout.write(`${line}\n`);
  const changed = changes.filter((change) => !isUnchanged(change)).length;
  if (changed === 0) process.stdout.write('nothing to publish\n');
  else if (dryRun) process.stdout.write(`dry run: ${changed} to publish, nothing was published\n`);
  else process.stdout.write(`published: ${changed}\n`);
}
