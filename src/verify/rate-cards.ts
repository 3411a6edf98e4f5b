/**
 * The terms and rate cards that entries name exist. What is reserved or charged is priced on a rate card that
 * was in force at that time.
 */
import { millis } from '../pg/millis.ts';
import { kindCodes } from '../store/tables/codes.ts';
import { type AccountGroup, findAccount } from './account-group.ts';
import { instant } from './instant.ts';
import type { InRange } from './snapshot.ts';

/** Returns only mismatches. The first version of a rate card also prices everything before it. */
const mismatches = (inRange: InRange) => `
  select * from (
    select e.account_id, e.seq, e.plan_id, e.plan_version, e.rate_card_version,
      ${millis('r.effective_at', 'effective_at')},
      v.version is null as no_terms,
      e.rate_card_version is not null and r.version is null as no_card,
      e.kind in (${kindCodes('RESERVE', 'CHARGE')}) and r.effective_at > e.at and r.effective_at > (
        select min(f.effective_at) from rate_cards f where f.plan_id = e.plan_id) as too_early
    from entries e
    left join plan_versions v on v.plan_id = e.plan_id and v.version = e.plan_version
    left join rate_cards r on r.plan_id = e.plan_id and r.version = e.rate_card_version
    where ${inRange('e.account_id')}
  ) found
  where no_terms or no_card or too_early
  order by account_id, seq`;

export async function checkRateCards(group: AccountGroup): Promise<void> {
  for await (const row of group.snapshot.rows(mismatches)) {
    if (!findAccount(group, row, 'entries')) continue;
    const report = (what: string) =>
      group.findings.add(row['account_id']!, `entry ${row['seq']}: ${what}`);
    const card = `is priced on rate card ${row['rate_card_version']} of plan ${row['plan_id']}`;
    if (row['no_terms'])
      report(`has version ${row['plan_version']} of plan ${row['plan_id']}, which does not exist`);
    if (row['no_card']) report(`${card}, which does not exist`);
    if (row['too_early'])
      report(`${card}, which is in force from ${instant(row['effective_at']!)}`);
  }
}
