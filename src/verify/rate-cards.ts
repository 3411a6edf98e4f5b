/** Reserves and charges are priced on a rate card that exists and was in force at that time. */
import { millis } from '../pg/millis.ts';
import { type AccountGroup, findAccount } from './account-group.ts';
import { instant } from './replay.ts';
import type { InRange } from './snapshot.ts';

/** Returns only mismatches. The first version of a plan also prices everything before it. */
const mismatches = (inRange: InRange) => `
  select e.account_id, e.seq, e.plan_id, e.rate_card_version, ${millis('e.at', 'at')},
    ${millis('r.effective_at', 'effective_at')}
  from entries e
  left join rate_cards r on r.plan_id = e.plan_id and r.version = e.rate_card_version
  where ${inRange('e.account_id')} and e.kind in ('RESERVE', 'CHARGE') and e.plan_id is not null
    and (r.version is null or r.effective_at > e.at and r.effective_at > (
      select min(f.effective_at) from rate_cards f where f.plan_id = e.plan_id))
  order by e.account_id, e.seq`;

export async function checkRateCards(group: AccountGroup): Promise<void> {
  for await (const row of group.snapshot.rows(mismatches)) {
    if (!findAccount(group, row, 'entries')) continue;
    const card = `rate card ${row['rate_card_version']} of plan ${row['plan_id']}`;
    const why =
      row['effective_at'] === null
        ? 'which does not exist'
        : `which is in force from ${instant(row['effective_at']!)}`;
    group.findings.add(row['account_id']!, `entry ${row['seq']}: is priced on ${card}, ${why}`);
  }
}
