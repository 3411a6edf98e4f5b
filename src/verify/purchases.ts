/**
 * Purchases and the entries that name them. A caller's purchase has the entry of its request, a CHECKOUT if it
 * is paid later. A paid purchase has made exactly one grant, by one PURCHASE entry; others have made none. A
 * payment that differs from the order has granted only what an operator accepted. What was clawed back and
 * reinstated is what the entries moved. No payment has paid for two.
 */
import { canonicalJson } from '../canonical.ts';
import type { Labels } from '../ledger/entry.ts';
import { millis } from '../pg/millis.ts';
import type { Row } from '../pg/table.ts';
import { METHOD_CODES } from '../store/tables/codes.ts';
import { requestIdToText } from '../store/tables/request-id.ts';
import { type AccountGroup, erasureOf, findAccount, grantsOf, groupRows } from './account-group.ts';
import { contentOf, kindOf, movesOf } from './entry-rows.ts';
import type { Report } from './findings.ts';
import { instant } from './instant.ts';
import { checkErasedPurchase, checkErasedReason, isErasedPurchase } from './purchase-erasure.ts';
import {
  checkPayer,
  checkPayment,
  checkReferenceKey,
  checkTerms,
  TERM_COLUMNS,
} from './purchase-terms.ts';
import type { InRange } from './snapshot.ts';

/** Purchases joined with the entries that name them. Either may be missing. */
const purchasesWithEntries = (inRange: InRange) => `
  select * from (
    select account_id, purchase_id, true as row_exists, state, grant_id, ${TERM_COLUMNS},
      success_url, cancel_url, checkout_url, caller, request_id, labels, decision, decided_by, decision_reason, credits_clawed_back,
      ${millis('created_at')}, ${millis('paid_at')}, ${millis('decided_at')},
      amount_refunded > 0 as refunded,
      amount_refunded >= amount_paid and amount_refunded > 0 as all_refunded,
      amount_paid is not null and (amount_paid, currency_paid) is distinct from (amount, currency) as differs
    from purchases where ${inRange('account_id')}
  ) p
  full join (
    select account_id, purchase_id, seq, kind, ${millis('at')}, entries.credits as entry_credits,
      entries.grant_id as entry_grant_id, entries.caller as entry_caller,
      entries.request_id as entry_request_id, entries.method as entry_method, reference, personal,
      erased_hash is not null as erased, content
    from entries where ${inRange('account_id')} and purchase_id is not null
  ) e using (account_id, purchase_id)
  order by account_id, purchase_id, seq`;

/** Payments of more than one paid purchase. */
const sharedPayments = (inRange: InRange) => `
  select account_id, payment_intent_id, count(*)::int as purchases from purchases
  where ${inRange('account_id')} and payment_intent_id is not null and state = 'PAID'
  group by account_id, payment_intent_id having count(*) > 1
  order by account_id, payment_intent_id`;

export async function checkPurchases(group: AccountGroup): Promise<void> {
  const rows = group.snapshot.rows(purchasesWithEntries);
  for await (const purchaseRows of groupRows(rows, 'purchase_id')) {
    const [first] = purchaseRows;
    if (!findAccount(group, first, 'purchases')) continue;
    if (first['row_exists']) checkPurchase(group, purchaseRows);
    else
      for (const row of purchaseRows)
        group.findings.add(
          row['account_id']!,
          `entry ${row['seq']}: there is no purchase ${row['purchase_id']}`,
        );
  }
  for await (const row of group.snapshot.rows(sharedPayments))
    if (findAccount(group, row, 'purchases'))
      group.findings.add(
        row['account_id']!,
        `payment ${row['payment_intent_id']}: it paid for ${row['purchases']} purchases`,
      );
}

function checkPurchase(group: AccountGroup, rows: readonly [Row, ...Row[]]) {
  const [purchase] = rows;
  const accountId: string = purchase['account_id']!;
  const erasure = erasureOf(group, accountId);
  const isErased = isErasedPurchase(purchase, erasure);
  const report = (what: string) =>
    group.findings.add(accountId, `purchase ${purchase['purchase_id']}: ${what}`);
  const of = (kind: string) => rows.filter((row) => kindOf(row['kind']) === kind);
  /** The entry of this kind; null unless the purchase should have one, and has. */
  const only = (kind: string, expected: boolean): Row | null => {
    const found = of(kind);
    if (found.length !== (expected ? 1 : 0))
      report(`it is ${stateOf(purchase)}, and has ${found.length} entries of ${kind}`);
    return expected ? (found[0] ?? null) : null;
  };
  const { state, method }: { readonly [name: string]: string } = purchase;
  const checkout = only('CHECKOUT', method !== 'REFERENCE');
  if (checkout) checkCheckout(purchase, checkout, isErased, report);
  const paid = only('PURCHASE', state === 'PAID');
  if (paid) checkPaid(group, purchase, paid, isErased, report);
  const rejected = only('REJECT_PURCHASE', state === 'REJECTED');
  if (rejected) checkResolution(purchase, rejected, isErased, report);
  checkErasedReason(purchase, rejected ?? paid, erasure, report);
  checkStated(purchase, rows, report);
  if (!isErased) checkReferenceKey(purchase, report);
  checkErasedPurchase(purchase, erasure, report);
  checkClawedBack(purchase, claimedBy([...of('CLAW_BACK'), ...of('REINSTATE')]), report);
  checkDecision(purchase, report);
}

const stateOf = (purchase: Row): string =>
  `${purchase['state']} and of method ${purchase['method']}`;

const comparing =
  (report: Report, by: string) =>
  (name: string, stated: unknown, other: unknown): void => {
    if (stated !== other) report(`${name} is ${stated}, ${by} says ${other}`);
  };

/** Whose request an entry is of: a method, or none for further entries and what the service does. */
function compareRequest(
  entry: Row,
  method: 'Purchase' | 'ResolvePurchase' | null,
  caller: string,
  compare: ReturnType<typeof comparing>,
) {
  compare('method', method && METHOD_CODES[method], entry['entry_method']);
  compare('caller', caller, entry['entry_caller']);
}

const requestIdOf = (entry: Row): string =>
  entry['entry_request_id'] === null ? '' : requestIdToText(entry['entry_request_id']!);

/** Entries that say in which state a purchase is, and how it was paid. */
const STATES: Readonly<Record<string, string | null>> = {
  PURCHASE: 'PAID',
  REJECT_PURCHASE: 'REJECTED',
  PAYMENT: null, // its details say it
};

/** The terms on all entries, and the state and payment on the newest that says them. */
function checkStated(purchase: Row, rows: readonly Row[], report: Report) {
  let state = 'PENDING';
  let payment: Parameters<typeof checkPayment>[1] = null;
  for (const row of rows) {
    const kind = kindOf(row['kind']);
    const details = kind && contentOf(row['content'], kind)?.details;
    if (!details) continue; // entries.ts reports it
    const stating = { name: `entry ${row['seq']}`, details };
    if (kind === 'CHECKOUT' || kind === 'PURCHASE') checkTerms(purchase, stating, report);
    if (kind === 'PURCHASE' || kind === 'PAYMENT') payment = stating;
    if (kind in STATES) state = STATES[kind] ?? details['state'] ?? state;
  }
  if (purchase['state'] !== state) report(`it is ${purchase['state']}, the entries say ${state}`);
  checkPayment(purchase, payment, report);
}

/** `isErased`: of the row. Its entry may have been erased as well, or before it. */
function checkCheckout(purchase: Row, entry: Row, isErased: boolean, report: Report) {
  const name = `entry ${entry['seq']}`;
  const compare = comparing(report, name);
  // A top-up is bought by the service.
  const isRequested = purchase['method'] === 'CHECKOUT';
  compareRequest(entry, isRequested ? 'Purchase' : null, purchase['caller']!, compare);
  compare('request_id', purchase['request_id'], requestIdOf(entry));
  compare('created_at', instant(purchase['created_at']!), instant(entry['at']!));
  if (isErased || entry['erased']) return;
  compareLabels(purchase, entry, compare);
  const { labels: _, ...personal } = personalOf(entry);
  checkPayer(purchase, name, personal as Labels, report);
}

function checkPaid(
  group: AccountGroup,
  purchase: Row,
  entry: Row,
  isErased: boolean,
  report: Report,
) {
  const compare = comparing(report, `entry ${entry['seq']}`);
  const paidBefore = contentOf(entry['content'], 'PURCHASE')?.details['paid_at'] ?? null;
  const paidAt = paidBefore ?? instant(entry['at']!);
  if (purchase['decision'] !== null) checkResolution(purchase, entry, isErased, report);
  else {
    // Credits that are paid later follow no request; those of an import its first entry.
    const isRequested = purchase['method'] === 'REFERENCE' && paidBefore === null;
    compareRequest(entry, isRequested ? 'Purchase' : null, purchase['caller']!, compare);
    compare('request_id', purchase['request_id'], requestIdOf(entry));
  }
  if (purchase['method'] === 'REFERENCE') {
    compare('created_at', instant(purchase['created_at']!), paidAt);
    checkPayer(purchase, `entry ${entry['seq']}`, {}, report);
  }
  if (!isErased && !entry['erased']) {
    const reference = purchase['payment_reference'] ?? purchase['purchase_id'];
    compare('payment_reference', reference, entry['reference']);
    compareLabels(purchase, entry, compare);
  }
  compare('credits', purchase['credits'], entry['entry_credits']);
  compare('grant_id', purchase['grant_id'], entry['entry_grant_id']);
  compare('paid_at', instant(purchase['paid_at']!), paidAt);
  const grantId = BigInt(purchase['grant_id'] ?? 0);
  const grant = grantsOf(group, purchase['account_id']!).get(grantId);
  if (grant)
    comparing(report, `grant ${grantId}`)(
      'purchase_id',
      purchase['purchase_id'],
      grant.sourceReference,
    );
}

/** The entry of an operator's decision. */
function checkResolution(purchase: Row, entry: Row, isErased: boolean, report: Report) {
  const compare = comparing(report, `entry ${entry['seq']}`);
  compareRequest(entry, 'ResolvePurchase', purchase['decided_by']!, compare);
  compare('decided_at', instant(purchase['decided_at']!), instant(entry['at']!));
  if (entry['erased'] || (isErased && purchase['decision_reason'] === '')) return;
  compare('decision_reason', purchase['decision_reason'], personalOf(entry)['reason']);
}

function compareLabels(purchase: Row, entry: Row, compare: ReturnType<typeof comparing>) {
  const labels = personalOf(entry)['labels'] ?? {};
  compare('labels', canonicalJson(purchase['labels']), canonicalJson(labels));
}

/** May be any JSON. */
const personalOf = (entry: Row): Readonly<Record<string, unknown>> => entry['personal'] ?? {};

/** A payment that differs from the order is MISMATCHED until an operator has decided. */
function checkDecision(row: Row, report: Report) {
  const [state, decision] = [row['state'], row['decision']];
  const expected = decision === null ? 'MISMATCHED' : decision === 'ACCEPTED' ? 'PAID' : 'REJECTED';
  if (row['differs'] && state !== expected)
    report(`its payment differs from its price, and it is ${state}, not ${expected}`);
  if (!row['differs'] && (decision !== null || state === 'MISMATCHED'))
    report(`it is ${state} (${decision ?? 'undecided'}), and its payment is its price`);
}

/** What entries took back from the grant, less what they reinstated, and what came to be owed. */
function claimedBy(rows: readonly Row[]) {
  let [taken, owed] = [0n, 0n];
  for (const { from, to, credits } of rows.flatMap(({ content }) => movesOf(content))) {
    if (from === 'available') taken += credits;
    if (from === 'issued' && to !== 'owed') taken -= credits;
    if (from === 'owed') owed += credits;
    if (to === 'owed') owed -= credits;
  }
  return { taken, owed };
}

/** Credits are claimed back only after a refund or dispute, and all of them if all the money is gone. */
function checkClawedBack(
  row: Row,
  moved: { readonly taken: bigint; readonly owed: bigint },
  report: Report,
) {
  const clawedBack = BigInt(row['credits_clawed_back']!);
  if (clawedBack !== moved.taken)
    report(`credits_clawed_back is ${clawedBack}, the entries took ${moved.taken} back`);
  const owed = BigInt(row['credits_owed']!);
  if (owed > moved.owed) report(`credits_owed is ${owed}, the entries say ${moved.owed} at most`);
  const claimed = clawedBack + BigInt(row['credits_unrecovered']!);
  const isDisputed = ['OPEN', 'LOST'].includes(row['dispute_state']!);
  if (claimed > 0n && !row['refunded'] && !isDisputed)
    report(`${claimed} credits were asked back, and no money was`);
  if (row['state'] !== 'PAID') return;
  if ((isDisputed || row['all_refunded']) && claimed !== BigInt(row['credits']!))
    report(`its money is gone, and ${claimed} of its ${row['credits']} credits were asked back`);
}
