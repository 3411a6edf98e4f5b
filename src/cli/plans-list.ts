/** `plans list`: the plans of the database, with the rate cards in force and those to come. */
import { parseArgs } from 'node:util';
import { readDatabaseTime } from '../clock/clock-records.ts';
import { requireConfig } from '../config.ts';
import { findDatabase } from '../find-database.ts';
import { connect } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { PublishedPlan } from '../pricing/published-plan.ts';
import { Catalogue } from '../store/catalogue.ts';
import { entities } from '../store/tables/index.ts';
import type { Command } from './command.ts';

export const plansList: Command = {
  usage: '',
  description:
    'Lists the plans of the database with their number of accounts and their rate card versions.',
  async run(args) {
    parseArgs({ args });
    const config = requireConfig(process.env);
    const database = await findDatabase(config);
    try {
      const orm = await connect(database.url, entities, 1, config.DATABASE_TIMEOUT_MS);
      try {
        const em = orm.em.fork();
        const now = await readDatabaseTime(em);
        for (const plan of await new Catalogue(() => em).findPlans(now)) {
          const [row] = await query<{ accounts: string }>(
            em,
            'select count(*) as accounts from accounts where plan_id = $1',
            [plan.planId],
          );
          process.stdout.write(`${lineOf(plan, row?.accounts ?? '0', now)}\n`);
        }
      } finally {
        await orm.close();
      }
    } finally {
      await database.close();
    }
    return 0;
  },
};

function lineOf(plan: PublishedPlan, accounts: string, now: number): string {
  const upcoming = plan
    .upcomingAt(now)
    .map(({ version, effectiveAt }) => `${version} from ${new Date(effectiveAt).toISOString()}`);
  const versions = [`${plan.versionAt(now)} in force`, ...upcoming].join(', ');
  return `${plan.planId}: ${plan.terms.title}; accounts ${accounts}; rate card version ${versions}`;
}
