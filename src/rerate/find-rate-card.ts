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
