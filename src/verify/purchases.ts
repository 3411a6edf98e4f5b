/**
 * Purchases. A paid purchase has made exactly one grant, by one PURCHASE entry; others have made none. No
 * payment has paid for two. A payment that differs from the order has granted only what an operator
 * accepted. What was clawed back and reinstated is what the entries moved. Every call of Purchase has made
 * one purchase.
 */
import { millis } from '../pg/millis.ts';
import type { Row } from '../pg/table.ts';
import { type AccountGroup, findAccount, grantsOf } from './account-group.ts';
import type { Report } from './findings.ts';
import { instant } from './replay.ts';
import type { InRange } from './snapshot.ts';

/** Purchases joined with the entries that made their grants. Either may be missing. */
const purchases = (inRange: InRange) => `
  select account_id, grant_id, p.purchase_id, p.state, p.credits, p.reference as stated_reference,
    p.paid_at, p.caller as stated_caller, p.request_id as stated_request, p.clawed_back, p.decision,
    p.unrecovered, p.amount_refunded > 0 as refunded,
    p.amount_refunded >= p.amount_paid and p.amount_refunded > 0 as all_refunded,
    p.amount_paid is not null and (p.amount_paid, p.currency_paid) is distinct from (p.amount, p.currency) as differs,
    p.dispute_state, e.seq, e.credits as entry_credits, e.reference, e.at, e.caller, e.request_id,
    coalesce(t.claw_backs, 0) as claw_backs
  from (
    select account_id, grant_id, purchase_id, state, credits, amount, currency, amount_paid,
      currency_paid, amount_refunded, dispute_state, decision,
      coalesce(payment_reference, purchase_id::text) as reference, ${millis('paid_at')},
      coalesce(decided_by, caller) as caller, request_id, credits_clawed_back as clawed_back, credits_unrecovered as unrecovered
    from purchases where ${inRange('account_id')}
  ) p
  full join (
    select account_id, grant_id, seq, credits, reference, ${millis('at')}, caller, request_id
    from entries where ${inRange('account_id')} and kind = 'PURCHASE'
  ) e using (account_id, grant_id)
  full join (
    select account_id, grant_id, sum(case kind when 'CLAW_BACK' then credits else -credits end) as claw_backs
    from entries where ${inRange('account_id')} and kind in ('CLAW_BACK', 'REINSTATE')
    group by account_id, grant_id
  ) t using (account_id, grant_id)
  order by account_id, grant_id, p.purchase_id, e.seq`;

/** Payments of more than one paid purchase. */
const sharedPayments = (inRange: InRange) => `
  select account_id, payment_intent_id, count(*)::int as purchases from purchases
  where ${inRange('account_id')} and payment_intent_id is not null and state = 'PAID'
  group by account_id, payment_intent_id having count(*) > 1
  order by account_id, payment_intent_id`;

/** Calls of Purchase that did not make exactly one purchase, and purchases without a call. */
const unmatchedRequests = (inRange: InRange) => `
  select account_id, request_id, coalesce(p.purchases, 0)::int as purchases, r.is_stored
  from (
    select account_id, request_id, count(*) as purchases from purchases
    where ${inRange('account_id')} and method <> 'TOP_UP' group by account_id, request_id
  ) p
  full join (
    select account_id, request_id, true as is_stored from requests
    where ${inRange('account_id')} and method = 'Purchase'
  ) r using (account_id, request_id)
  where is_stored is null or coalesce(p.purchases, 0) <> 1
  order by account_id, request_id`;

export async function checkPurchases(group: AccountGroup): Promise<void> {
  let before: Row | null = null;
  for await (const row of group.snapshot.rows(purchases)) {
    if (!findAccount(group, row, 'purchases')) continue;
    checkPurchase(group, row);
    if (row['grant_id'] !== null && isSameGrant(row, before))
      group.findings.add(
        row['account_id']!,
        `grant ${row['grant_id']}: more than one purchase or PURCHASE made it`,
      );
    before = row;
  }
  for await (const row of group.snapshot.rows(sharedPayments))
    if (findAccount(group, row, 'purchases'))
      group.findings.add(
        row['account_id']!,
        `payment ${row['payment_intent_id']}: it paid for ${row['purchases']} purchases`,
      );
  for await (const row of group.snapshot.rows(unmatchedRequests))
    if (findAccount(group, row, 'purchases'))
      group.findings.add(row['account_id']!, requestMessage(row));
}

function requestMessage(row: Row): string {
  const name = `request ${row['request_id']} of Purchase`;
  if (row['is_stored'] === null) return `there is no ${name}, which made a purchase`;
  return `${name}: it made ${row['purchases']} purchases`;
}

const isSameGrant = (row: Row, before: Row | null): boolean =>
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
  checkClawedBack(row, report);
  checkDecision(row, report);
  if (row['state'] !== 'PAID') return;
  if (row['seq'] === null) return report('it is paid, and no entry granted its credits');
  const compare = (name: string, stated: unknown, other: unknown, by = `entry ${row['seq']}`) => {
    if (stated !== other) report(`${name} is ${stated}, ${by} says ${other}`);
  };
  compare('credits', BigInt(row['credits']!), BigInt(row['entry_credits']!));
  compare('payment_reference', row['stated_reference'], row['reference']);
  compare('caller', row['stated_caller'], row['caller']);
  // The entry of an accepted payment is of the request that accepted it: see requests.ts.
  if (row['decision'] === null) compare('request_id', row['stated_request'], row['request_id']);
  compare('paid_at', instant(row['paid_at']!), instant(row['at']!));
  const grantId = BigInt(row['grant_id']!);
  const grant = grantsOf(group, accountId).get(grantId);
  if (grant) compare('purchase_id', purchaseId, grant.sourceReference, `grant ${grantId}`);
}

/** A payment that differs from the order is MISMATCHED until an operator has decided. */
function checkDecision(row: Row, report: Report) {
  const [state, decision] = [row['state'], row['decision']];
  const expected = decision === null ? 'MISMATCHED' : decision === 'ACCEPTED' ? 'PAID' : 'REJECTED';
  if (row['differs'] && state !== expected)
    report(`its payment differs from its price, and it is ${state}, not ${expected}`);
  if (!row['differs'] && (decision !== null || state === 'MISMATCHED'))
    report(`it is ${state} (${decision ?? 'undecided'}), and its payment is its price`);
}

/** Credits are claimed back only after a refund or dispute, and all of them if all the money is gone. */
function checkClawedBack(row: Row, report: Report) {
  const [clawedBack, moved] = [BigInt(row['clawed_back']!), BigInt(row['claw_backs']!)];
  if (clawedBack !== moved)
    report(`credits_clawed_back is ${clawedBack}, the entries took ${moved} back`);
  const claimed = clawedBack + BigInt(row['unrecovered']!);
  const isDisputed = ['OPEN', 'LOST'].includes(row['dispute_state']!);
  if (claimed > 0n && !row['refunded'] && !isDisputed)
    report(`${claimed} credits were asked back, and no money was`);
  if (row['state'] !== 'PAID') return;
  if ((isDisputed || row['all_refunded']) && claimed !== BigInt(row['credits']!))
    report(`its money is gone, and ${claimed} of its ${row['credits']} credits were asked back`);
}
