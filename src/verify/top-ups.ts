/**
 * Top-ups. The one in progress is the account's only pending purchase of its kind. The account's count for
 * its month is the number of packs bought by the top-ups of that month that did not fail.
 */
import { millis } from '../pg/millis.ts';
import type { Row } from '../pg/table.ts';
import { type AccountGroup, findAccount } from './account-group.ts';
import { instant } from './instant.ts';
import type { InRange } from './snapshot.ts';
import { intervalAt, monthNamed } from './zone-periods.ts';

const topUpPurchases = (inRange: InRange) => `
  select account_id, purchase_id, state, quantity, ${millis('created_at')} from purchases
  where ${inRange('account_id')} and method = 'TOP_UP'
  order by account_id, purchases.created_at, purchase_id`;

/** Money was taken, or may still be. */
const COUNTED = ['PENDING', 'PAID', 'MISMATCHED', 'REJECTED'];

export async function checkTopUps(group: AccountGroup): Promise<void> {
  const purchases = new Map<string, Row[]>();
  for await (const row of group.snapshot.rows(topUpPurchases)) {
    const account = findAccount(group, row, 'purchases');
    if (!account) continue;
    const own = purchases.get(account.accountId) ?? [];
    own.push(row);
    purchases.set(account.accountId, own);
  }
  for (const { accountId, topUps, timeZones } of group.accounts.values()) {
    const own = purchases.get(accountId) ?? [];
    const compare = (name: string, stated: unknown, found: unknown) => {
      if (stated !== found)
        group.findings.add(accountId, `top-ups: ${name} is ${stated}, the purchases say ${found}`);
    };
    const pending = own
      .filter((row) => row['state'] === 'PENDING')
      .map((row) => row['purchase_id']);
    compare('the one in progress', topUps?.purchaseId ?? 'none', pending.join(' and ') || 'none');
    compare('started_at', topUps?.startedAt ?? null, own.at(-1)?.['created_at'] ?? null);
    if (!topUps) continue;
    const started = topUps.startedAt ?? 0;
    const { from } = intervalAt(timeZones, 'MONTH', started);
    compare('month', instant(topUps.month), instant(from));
    const monthOf = (at: number) => monthNamed(timeZones, at);
    const month = monthOf(topUps.month);
    const counted = own.filter(
      (row) => COUNTED.includes(row['state']!) && monthOf(row['created_at']!) === month,
    );
    const packs = counted.reduce((sum, row) => sum + Number(row['quantity']), 0);
    compare(`count of ${month}`, topUps.count, packs);
  }
}
