/** `plans list`: the plans of the database, with the rate cards in force and those to come. */
import type { PublishedPlan } from '../pricing/published-plan.ts';
import { command, exitWith } from './command.ts';
import { withDatabase } from './database.ts';

export const plansList = command('list', {
  description:
    'Lists the plans of the database with their number of accounts and their rate card versions.',
  examples: [''],
}).action(
  exitWith(() =>
    withDatabase('service', async (em) => {
      const { readDatabaseTime } = await import('../clock/clock-records.ts');
      const { query } = await import('../pg/query.ts');
      const { Catalogue } = await import('../store/catalogue.ts');
      const now = await readDatabaseTime(em());
      for (const plan of await new Catalogue(em).findPlans(now)) {
        const [row] = await query<{ accounts: string }>(
          em(),
          'select count(*) as accounts from accounts where plan_id = $1',
          [plan.planId],
        );
        process.stdout.write(`${lineOf(plan, row?.accounts ?? '0', now)}\n`);
      }
      return 0;
    }),
  ),
);

function lineOf(plan: PublishedPlan, accounts: string, now: number): string {
  const upcoming = plan
    .upcomingAt(now)
    .map(({ version, effectiveAt }) => `${version} from ${new Date(effectiveAt).toISOString()}`);
  const versions = [`${plan.versionAt(now)} in force`, ...upcoming].join(', ');
  return `${plan.planId}: ${plan.terms.title}; accounts ${accounts}; rate card version ${versions}`;
}
