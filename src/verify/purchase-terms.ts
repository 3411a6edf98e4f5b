/**
 * What entries state of a purchase: the terms on which it was bought, and its payment. The row has the same, those
 * of the payment as of the newest entry that states them.
 */
import type { Labels } from '../ledger/entry.ts';
import type { Row } from '../pg/table.ts';
import type { Report } from './findings.ts';
import { toNano } from './statement-price.ts';

/** Details of the entries CHECKOUT and PURCHASE. */
export const TERMS = [
  'pack_id',
  'title',
  'quantity',
  'credits',
  'amount',
  'currency',
  'validity',
  'method',
] as const;

/** Details of the entries PURCHASE and PAYMENT. What is not stated is not there. */
const PAYMENT = {
  failure_code: '',
  session_id: null,
  payment_intent_id: null,
  amount_paid: null,
  currency_paid: null,
  amount_refunded: '0',
  dispute_state: 'NONE',
  credits_unrecovered: '0',
  credits_owed: '0',
} as const;

export const PAYMENT_DETAILS = Object.keys(PAYMENT);

/** The columns that have them, for a query of purchases. */
export const TERM_COLUMNS = `pack_id, title, quantity::text, credits, amount::text, currency,
  coalesce(validity, 'never') as validity, method, failure_code, session_id, payment_intent_id,
  amount_paid::text, currency_paid, amount_refunded::text, dispute_state, credits_unrecovered,
  coalesce(credits_owed, 0) as credits_owed,
  customer_email, customer, payment_method, payment_reference, payment_reference_key`;

/** What an entry states, with its name in a message. */
type Stating = { readonly name: string; readonly details: Labels };

export function checkTerms(purchase: Row, { name, details }: Stating, report: Report) {
  for (const term of TERMS)
    if (!isSame(term, purchase[term], details[term]))
      report(`${term} is ${purchase[term]}, ${name} says ${details[term]}`);
}

/** Without an entry nothing was paid. Which checkout or payment is awaited is not stated before it has ended. */
export function checkPayment(purchase: Row, stating: Stating | null, report: Report) {
  for (const [name, absent] of Object.entries(PAYMENT)) {
    if (purchase['state'] === 'PENDING' && /_id$/.test(name)) continue;
    const said = stating?.details[name] ?? absent;
    if (!isSame(name, purchase[name], said))
      report(`${name} is ${purchase[name]}, ${stating?.name ?? 'no entry'} says ${said}`);
  }
}

/** Amounts are equal with more zeros. */
function isSame(name: string, stored: string | null | undefined, said: string | null | undefined) {
  if (typeof stored !== 'string' || typeof said !== 'string' || !name.startsWith('amount'))
    return stored === said;
  return toNano(stored) === toNano(said);
}

/** Who pays, which may be erased. */
export function checkPayer(purchase: Row, name: string, personal: Labels, report: Report) {
  for (const term of ['customer_email', 'customer', 'payment_method'])
    if ((purchase[term] ?? undefined) !== personal[term])
      report(`${term} is ${purchase[term]}, ${name} says ${personal[term]}`);
}

/** Characters that are not seen. */
const INVISIBLE = /[\p{White_Space}\p{Cf}\p{Default_Ignorable_Code_Point}]/gu;

/** What references of one payment have in common. Two purchases cannot have it. */
export function checkReferenceKey(purchase: Row, report: Report) {
  const columns: Readonly<Record<string, string | null>> = purchase;
  const reference = columns['payment_reference'] ?? null;
  const visible = reference?.normalize('NFKC').replace(INVISIBLE, '').toUpperCase().toLowerCase();
  const key = visible?.normalize('NFKC') ?? null;
  const stored: string | null = purchase['payment_reference_key'] ?? null;
  if (stored !== key) report(`payment_reference_key is ${stored}, its reference says ${key}`);
}
