/** Copies everything that was ever published from one ledger to another one that has no plans. */
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import { PUBLICATION_LOCK } from './publish-plans.ts';
import { planVersions } from './tables/plan-versions.ts';
import { plans } from './tables/plans.ts';
import { rateCards } from './tables/rate-cards.ts';

const TABLES = [plans, planVersions, rateCards];

async function hasPlans(em: Em): Promise<boolean> {
  return (await query(em, 'select from plans limit 1', [])).length > 0;
}

/** Rows are copied as they are: their hashes seal them. */
export async function copyPlans(from: Em, to: Em): Promise<void> {
  const contents: string[] = [];
  for (const { name } of TABLES) {
    const [row] = await query<{ rows: string }>(
      from,
      `select coalesce(json_agg(row_to_json(t)), '[]')::text as rows from ${name} t`,
      [],
    );
    contents.push(row?.rows ?? '[]');
  }
  await to.transactional(async (em) => {
    await query(em, 'select pg_advisory_xact_lock($1)', [PUBLICATION_LOCK]);
    if (await hasPlans(em)) return;
    for (const [index, { name }] of TABLES.entries())
      await query(
        em,
        `insert into ${name} select * from json_populate_recordset(null::${name}, $1::json)`,
        [contents[index]],
      );
  });
}

/** A line for each plan: its versions, by which accounts are priced. */
export async function publishedVersions(em: Em): Promise<readonly string[]> {
  const rows = await query<{ plan_id: string; version: number; rate_card: number }>(
    em,
    `select plan_id, version, (select max(version) from rate_cards r where r.plan_id = p.plan_id) as rate_card
     from plans p order by plan_id`,
    [],
  );
  return rows.map(
    ({ plan_id, version, rate_card }) => `${plan_id} version ${version}, rate card ${rate_card}`,
  );
}
