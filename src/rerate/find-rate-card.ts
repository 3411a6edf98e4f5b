/** A version of a plan's rate card, whether or not it is in force. */
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { RateCard } from '../pricing/plan.ts';
import { rateCardFromJson } from '../pricing/plan-file/plan-json.ts';

/** Null: the plan never had it. */
export async function findRateCard(
  em: Em,
  planId: string,
  version: number,
): Promise<RateCard | null> {
  const [row] = await query<{ content: unknown }>(
    em,
    'select content from rate_cards where plan_id = $1 and version = $2',
    [planId, version],
  );
  return row ? rateCardFromJson(row.content, version) : null;
}

/** The newest version of each plan's rate card, by plan. The first of each is 1, and none is left out. */
export async function newestVersions(em: Em): Promise<ReadonlyMap<string, number>> {
  const rows = await query<{ plan_id: string; version: number }>(
    em,
    'select plan_id, max(version) as version from rate_cards group by plan_id order by plan_id collate "C"',
    [],
  );
  return new Map(rows.map(({ plan_id: planId, version }) => [planId, version]));
}
