/** Loads plans and their rate cards. */
import { millis } from '../pg/millis.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { RateCard } from '../pricing/plan.ts';
import { planTermsFromJson, rateCardFromJson } from '../pricing/plan-file/plan-json.ts';
import { hexOf } from '../pricing/publication-hash.ts';
import { PublishedPlan } from '../pricing/published-plan.ts';

type PlanVersionRow = {
  readonly revision: number;
  readonly plan_version: number;
  readonly terms: unknown;
  readonly withdrawn: boolean;
  readonly version: number;
  readonly effective_at: number;
  readonly created_at: number;
  readonly terms_hash: Buffer;
  readonly hash: Buffer;
};

/** A plan, which must exist. `rateCards` are those of its rate cards that were loaded before. */
export async function loadPlan(
  em: Em,
  planId: string,
  rateCards: Map<number, RateCard> = new Map(),
): Promise<PublishedPlan> {
  const rows = await query<PlanVersionRow>(
    em,
    `select p.revision, p.version as plan_version, v.terms, v.hash as terms_hash, r.hash,
       p.withdrawn @> to_jsonb(r.version) as withdrawn, r.version,
       ${millis('r.effective_at', 'effective_at')}, ${millis('r.created_at', 'created_at')}
     from plans p
     join plan_versions v on v.plan_id = p.plan_id and v.version = p.version
     join rate_cards r on r.plan_id = p.plan_id
     where p.plan_id = $1 order by r.version`,
    [planId],
  );
  const [first] = rows;
  if (!first) throw new Error(`there is no plan ${planId}`);
  const versions = rows.map(({ version, effective_at, created_at, withdrawn, hash }) => ({
    version,
    effectiveAt: effective_at,
    createdAt: created_at,
    withdrawn,
    hash: hexOf(hash),
  }));
  const terms = planTermsFromJson(first.terms);
  const { revision, plan_version: planVersion } = first;
  const publication = { revision, planVersion, termsHash: hexOf(first.terms_hash) };
  return new PublishedPlan(planId, publication, terms, versions, rateCards);
}

/** Loads a version of a plan's rate card and adds it to the plan. Null if the plan never had it. */
export async function loadRateCard(
  em: Em,
  plan: PublishedPlan,
  version: number,
): Promise<RateCard | null> {
  const [row] = await query<{ content: unknown }>(
    em,
    'select content from rate_cards where plan_id = $1 and version = $2',
    [plan.planId, version],
  );
  if (!row) return null;
  const rateCard = rateCardFromJson(row.content, version);
  plan.addRateCard(rateCard);
  return rateCard;
}
