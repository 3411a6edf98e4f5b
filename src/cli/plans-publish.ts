/** `plans publish`: makes plan files effective for all replicas. Nothing else changes prices. */

import type { CellAddress } from '../cells/cells-file.ts';
import { requireConfig } from '../config.ts';
import { findCells } from '../find-database.ts';
import { readPlanPaths } from '../plan-files.ts';
import type { Publication } from '../plan-publication.ts';
import type { PlanFile } from '../pricing/plan.ts';
import { isUnchanged } from '../pricing/plan-change.ts';
import { formatFileError } from '../pricing/plan-file/file-error.ts';
import { command, exitWith } from './command.ts';
import { INVALID_FILE } from './exit-codes.ts';
import { planChangeLines } from './plan-changes.ts';

export const plansPublish = command('publish', {
  description:
    'Publishes plan files, by default those of PLANS_DIRECTORY, to the database, or to every cell: all or none. Lists what ' +
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
      const { publishInCells } = await import('../plan-publication.ts');
      const { UnpublishablePlans } = await import('../store/publish-plans.ts');
      const { cells, close } = await findCells(config);
      try {
        const publication = dryRun
          ? await compare(cells, files.plans)
          : await publishInCells(cells, files.plans, config.CLOCK_SKEW_MAX_MS);
        print(publication, dryRun);
      } catch (error) {
        if (error instanceof UnpublishablePlans) return refuse(error.lines);
        throw error;
      } finally {
        await close();
      }
      return 0;
    }),
  );

/** What publishing would change. Throws UnpublishablePlans, as publishing would. */
async function compare(
  cells: readonly CellAddress[],
  files: readonly PlanFile[],
): Promise<Publication> {
  const { compareNow, findNewCells } = await import('../plan-publication.ts');
  const compared = await Promise.all(cells.map(({ url }) => compareNow(url, files)));
  const errors = [...new Set(compared.flatMap((one) => one.errors))];
  // A new cell gets what the others have: what is to be published is what changes in them.
  const { changes = [] } =
    compared.find((one) => one.changes.some(({ published }) => published)) ?? compared[0] ?? {};
  if (errors.length > 0) {
    const { UnpublishablePlans } = await import('../store/publish-plans.ts');
    throw new UnpublishablePlans(errors);
  }
  return { changes, newCells: await findNewCells(cells) };
}

function refuse(lines: readonly string[]): number {
  for (const line of lines) process.stderr.write(`${line}\n`);
  process.stderr.write('nothing was published\n');
  return INVALID_FILE;
}

function print({ changes, newCells }: Publication, dryRun: boolean) {
  for (const { cell, plans } of newCells)
    for (const plan of plans) process.stdout.write(`cell ${cell} gets ${plan}\n`);
  for (const line of changes.flatMap(planChangeLines)) process.stdout.write(`${line}\n`);
  const changed = changes.filter((change) => !isUnchanged(change)).length;
  if (changed === 0 && newCells.length === 0) process.stdout.write('nothing to publish\n');
  else if (dryRun)
    process.stdout.write(
      `dry run: ${changed > 0 ? `${changed} to publish, ` : ''}nothing was published\n`,
    );
  else if (changed > 0) process.stdout.write(`published: ${changed}\n`);
}
