/** Purchases of accounts whose personal data were erased. */
import { canonicalJson } from '../canonical.ts';
import type { Row } from '../pg/table.ts';
import type { Erasure } from './erasure.ts';
import type { Report } from './findings.ts';

/** Empty where they have been erased; or null, of purchases that never had them. */
const ERASED_TEXTS = [
  'payment_reference',
  'success_url',
  'cancel_url',
  'customer_email',
  'checkout_url',
  'customer',
  'payment_method',
] as const;

/** The columns of a row that are not as an erasure leaves them. */
function keptIn(purchase: Row): readonly string[] {
  const columns: Readonly<Record<string, string | null>> = purchase;
  const kept = ERASED_TEXTS.filter((name) => (columns[name] ?? '') !== '');
  const key = columns['payment_reference'] === null ? null : columns['purchase_id'];
  return [
    ...kept,
    ...(canonicalJson(columns['labels']) === '{}' ? [] : ['labels']),
    // No two are the same, and nothing is left of what it was.
    ...(columns['payment_reference_key'] === key ? [] : ['payment_reference_key']),
  ];
}

/** An erasure changes all columns of a row at once. */
export const isErasedPurchase = (purchase: Row, { seq }: Erasure): boolean =>
  seq > 0n && keptIn(purchase).length === 0;

export function checkErasedPurchase(purchase: Row, { ended }: Erasure, report: Report) {
  if (!ended) return;
  for (const name of keptIn(purchase))
    report(`${name} is ${JSON.stringify(purchase[name])}, entry ${ended.seq} erased it`);
}

/** A purchase that was paid late, and otherwise than ordered, can be decided after an erasure. */
export function checkErasedReason(
  purchase: Row,
  deciding: Row | null,
  { ended }: Erasure,
  report: Report,
) {
  const reason: string | null = purchase['decision_reason'] ?? null;
  if (!ended || !reason || !deciding || BigInt(deciding['seq']!) > ended.seq) return;
  report(`decision_reason is ${JSON.stringify(reason)}, entry ${ended.seq} erased it`);
}
