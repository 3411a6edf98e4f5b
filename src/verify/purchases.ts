/**
 * Every paid purchase has made exactly one grant, by one PURCHASE entry, and any other none; no payment
 * has paid for two. What was taken back of it, and given again, is what its entries moved; and every
 * call of Purchase has made one purchase.
 */
import { millis } from '../pg/millis.ts';
import type { Row } from '../pg/table.ts';
import { type AccountGroup, accountOf, grantsOf } from './account-group.ts';
import { instant } from './replay.ts';
import type { InRange } from './snapshot.ts';

/** Each purchase beside the entry that made its grant. Neither has to be there. */
const purchases = (inRange: InRange) => `
  select account_id, grant_id, p.purchase_id, p.state, p.credits, p.reference as stated_reference,
    p.paid_at, p.caller as stated_caller, p.request_id as stated_request, p.clawed_back,
    p.unrecovered, p.amount_refunded > 0 as refunded, p.amount_refunded >= p.amount and p.amount > 0 as all_refunded,
    p.dispute_state, e.seq, e.credits as entry_credits, e.reference, e.at, e.caller, e.request_id,
    coalesce(t.taken_back, 0) as taken_back
  from (
    select account_id, grant_id, purchase_id, state, credits, amount, amount_refunded, dispute_state,
      coalesce(payment_reference, purchase_id::text) as reference, ${millis('paid_at')}, caller,
      request_id, credits_clawed_back as clawed_back, credits_unrecovered as unrecovered
    from purchases where ${inRange('account_id')}
  ) p
  full join (
    select account_id, grant_id, seq, credits, reference, ${millis('at')}, caller, request_id
    from entries where ${inRange('account_id')} and kind = 'PURCHASE'
  ) e using (account_id, grant_id)
  full join (
    select account_id, grant_id, sum(case kind when 'CLAW_BACK' then credits else -credits end) as taken_back
    from entries where ${inRange('account_id')} and kind in ('CLAW_BACK', 'REINSTATE')
    group by account_id, grant_id
  ) t using (account_id, grant_id)
  order by account_id, grant_id, p.purchase_id, e.seq`;

/** Payments that more than one paid purchase goes by. */
const sharedPayments = (inRange: InRange) => `
  select account_id, payment_intent_id, count(*)::int as purchases from purchases
  where ${inRange('account_id')} and payment_intent_id is not null and state = 'PAID'
  group by account_id, payment_intent_id having count(*) > 1
  order by account_id, payment_intent_id`;

/** Calls of Purchase that did not make one purchase, and purchases that no call made. */
const strayRequests = (inRange: InRange) => `
  select account_id, request_id, coalesce(p.purchases, 0)::int as purchases, r.known
  from (
    select account_id, request_id, count(*) as purchases from purchases
    where ${inRange('account_id')} and method <> 'TOP_UP' group by account_id, request_id
  ) p
  full join (
    select account_id, request_id, true as known from requests
    where ${inRange('account_id')} and method = 'Purchase'
  ) r using (account_id, request_id)
  where known is null or coalesce(p.purchases, 0) <> 1
  order by account_id, request_id`;

export async function checkPurchases(group: AccountGroup): Promise<void> {
  let before: Row | null = null;
  for await (const row of group.snapshot.rows(purchases)) {
    if (!accountOf(group, row, 'purchases')) continue;
    checkPurchase(group, row);
    if (row['grant_id'] !== null && isOfTheSameGrant(row, before))
      group.findings.add(
        row['account_id']!,
        `grant ${row['grant_id']}: more than one purchase or PURCHASE made it`,
      );
    before = row;
  }
  for await (const row of group.snapshot.rows(sharedPayments))
    if (accountOf(group, row, 'purchases'))
      group.findings.add(
        row['account_id']!,
        `payment ${row['payment_intent_id']}: it paid for ${row['purchases']} purchases`,
      );
  for await (const row of group.snapshot.rows(strayRequests))
    if (accountOf(group, row, 'purchases')) group.findings.add(row['account_id']!, strayed(row));
}

function strayed(row: Row): string {
  const name = `request ${row['request_id']} of Purchase`;
  if (row['known'] === null) return `there is no ${name}, which made a purchase`;
  return `${name}: it made ${row['purchases']} purchases`;
}

const isOfTheSameGrant = (row: Row, before: Row | null): boolean =>
  before?.['account_id'] === row['account_id'] && before?.['grant_id'] === row['grant_id'];

function checkPurchase(group: AccountGroup, row: Row) {
  const accountId: string = row['account_id']!;
  const purchaseId: string | null = row['purchase_id']!;
  if (purchaseId === null)
    return group.findings.add(
      accountId,
      row['seq'] === null
        ? `grant ${row['grant_id']}: credits were taken back, and there is no purchase of it`
        : `entry ${row['seq']}: there is no purchase of grant ${row['grant_id']}`,
    );
  const report = (what: string) => group.findings.add(accountId, `purchase ${purchaseId}: ${what}`);
  checkTakenBack(row, report);
  if (row['state'] !== 'PAID') return;
  if (row['seq'] === null) return report('it is paid, and no entry granted its credits');
  const agree = (name: string, stated: unknown, said: unknown, where = `entry ${row['seq']}`) => {
    if (stated !== said) report(`${name} is ${stated}, ${where} says ${said}`);
  };
  agree('credits', BigInt(row['credits']!), BigInt(row['entry_credits']!));
  agree('payment_reference', row['stated_reference'], row['reference']);
  agree('caller', row['stated_caller'], row['caller']);
  agree('request_id', row['stated_request'], row['request_id']);
  agree('paid_at', instant(row['paid_at']!), instant(row['at']!));
  const grantId = BigInt(row['grant_id']!);
  const grant = grantsOf(group, accountId).get(grantId);
  if (grant) agree('purchase_id', purchaseId, grant.sourceReference, `grant ${grantId}`);
}

/** What was taken back, and what was to be: nothing without a refund or dispute, all of it with a whole one. */
function checkTakenBack(row: Row, report: (what: string) => void) {
  const [clawedBack, moved] = [BigInt(row['clawed_back']!), BigInt(row['taken_back']!)];
  if (clawedBack !== moved)
    report(`credits_clawed_back is ${clawedBack}, the entries took ${moved} back`);
  const askedBack = clawedBack + BigInt(row['unrecovered']!);
  const withheld = ['OPEN', 'LOST'].includes(row['dispute_state']!);
  if (askedBack > 0n && !row['refunded'] && !withheld)
    report(`${askedBack} credits were asked back, and no money was`);
  if ((withheld || row['all_refunded']) && askedBack !== BigInt(row['credits']!))
    report(`its money is gone, and ${askedBack} of its ${row['credits']} credits were asked back`);
}
