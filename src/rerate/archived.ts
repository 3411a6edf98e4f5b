/** Whether charges that a filter chooses can be archived: then no correction of them is possible, and none is listed. */
import { millis } from '../pg/millis.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import { Conditions } from '../queries/conditions.ts';
import type { ChargeFilter } from './read-charges.ts';

/**
 * The time of the newest archived entry, of all accounts or of one, if the filter reaches back to it; null: everything that it chooses
 * is in the database. A rate card has priced nothing before it was published.
 */
export async function archivedWithin(
  em: Em,
  { planId, rateCardVersion, from }: ChargeFilter,
  accountId: string | null,
): Promise<number | null> {
  const where = new Conditions(['seq > 0'], []);
  if (accountId !== null) where.add((p) => `account_id = ${p}`, accountId);
  const [archived] = await query<{ at: number | null }>(
    em,
    `select ${millis('max(at)', 'at')} from archived_accounts where ${where}`,
    where.parameters,
  );
  const [version] = await query<{ at: number | null }>(
    em,
    `select ${millis('least(created_at, effective_at)', 'at')} from rate_cards where plan_id = $1 and version = $2`,
    [planId, rateCardVersion],
  );
  const since = Math.max(from ?? 0, version?.at ?? 0);
  const until = archived?.at ?? null;
  return until !== null && since <= until ? until : null;
}
