/** The grants and purchases of an import: each makes a grant, by one entry that says what became of its credits. */
import { packOfAmount } from '../../pricing/custom-amount.ts';
import { expiryOf } from '../../pricing/packs.ts';
import type { Pack, Plan } from '../../pricing/plan.ts';
import { allowancePeriodAt, periodName } from '../allowance.ts';
import type { Book } from '../book.ts';
import type { Move, Origin } from '../entry.ts';
import { DEFAULT_PRIORITY, type Grant } from '../grant.ts';
import { grantDetails, instantText } from '../grant-details.ts';
import type { Purchase } from '../purchase.ts';
import { paymentDetails, purchaseTerms } from '../purchase-details.ts';
import { entryReference, newPurchase } from '../purchase-lifecycle.ts';
import type {
  ImportAccount,
  ImportedGrant,
  ImportedPurchase,
  ImportedSpending,
} from './import-account.ts';

export type Item = ImportedSpending & {
  readonly effectiveAt: number;
  readonly expiresAt: number | null;
  /** Makes its grant, and posts the entry that says so. */
  readonly post: (origin: Origin) => Grant;
};

/** Oldest first. An import must have been checked before one of them is posted. */
export const itemsOf = (book: Book, { grants, purchases }: ImportAccount): readonly Item[] =>
  [
    ...grants.map((grant) => grantItem(book, grant)),
    ...purchases.map((purchase) => purchaseItem(book, purchase)),
  ].toSorted((a, b) => a.effectiveAt - b.effectiveAt);

/** What can be spent of it. */
export const creditsLeft = ({ credits, spent, expiresAt }: Item, now: number): bigint =>
  expiresAt !== null && expiresAt <= now ? 0n : credits - spent;

/** What the running month uses is available up to then, also if it has expired since. */
function issuingMoves(item: Item, { grantId }: Grant, now: number): readonly Move[] {
  const { credits, spent, spentThisMonth } = item;
  const left = creditsLeft(item, now);
  const moves: readonly Move[] = [
    { from: 'issued', to: 'available', grantId, credits: left + spentThisMonth },
    { from: 'issued', to: 'consumed', grantId, credits: spent - spentThisMonth },
    { from: 'issued', to: 'expired', grantId, credits: credits - spent - left },
  ];
  return moves.filter((move) => move.credits > 0n);
}

function grantItem(book: Book, given: ImportedGrant): Item {
  const { source, category, priority, effectiveAt, operations, reference, credits } = given;
  const period = source === 'ALLOWANCE' ? periodAt(book, effectiveAt) : null;
  const expiresAt = grantExpiry(book, given);
  const item: Item = {
    ...given,
    expiresAt,
    post: (origin) => {
      const grant = book.addGrant({
        amount: credits,
        category,
        priority,
        effectiveAt,
        expiresAt,
        operations: operations.toSorted(),
        source,
        sourceReference: period?.name ?? reference,
        state: 'OPEN',
      });
      book.post(
        {
          kind: 'GRANT',
          moves: issuingMoves(item, grant, book.now),
          credits,
          grantId: grant.grantId,
          details: { ...grantDetails(grant), ...(period && { period_end: period.end }) },
          reference: grant.sourceReference,
        },
        origin,
      );
      return grant;
    },
  };
  return item;
}

/** When its credits expire; null: never. Of an allowance the plan says it. */
export function grantExpiry(book: Book, { source, effectiveAt, expiresAt }: ImportedGrant) {
  const period = source === 'ALLOWANCE' ? periodAt(book, effectiveAt) : null;
  return period ? period.expiresAt : expiresAt;
}

/** Of an allowance that was granted at `effectiveAt`; null if the plan gives none. */
function periodAt({ plan, account }: Book, effectiveAt: number) {
  const { allowance } = plan.terms;
  if (!allowance) return null;
  const period = allowancePeriodAt(account, allowance, effectiveAt);
  return {
    name: periodName(account, allowance, period),
    end: instantText(period.until),
    expiresAt: allowance.rollover === 'none' ? period.until : null,
  };
}

function purchaseItem(book: Book, given: ImportedPurchase): Item {
  const { credits, paidAt } = given;
  const expiresAt = purchaseExpiry(book, given);
  const item: Item = {
    ...given,
    effectiveAt: paidAt,
    expiresAt,
    post: (origin) => {
      const purchase = addPurchase(book, given, origin);
      const grant = book.addGrant({
        amount: credits,
        category: 'PAID',
        priority: DEFAULT_PRIORITY,
        effectiveAt: paidAt,
        expiresAt,
        source: 'PURCHASE',
        sourceReference: purchase.purchaseId,
        state: 'OPEN',
      });
      purchase.grantId = grant.grantId;
      book.post(
        {
          kind: 'PURCHASE',
          moves: issuingMoves(item, grant, book.now),
          credits,
          purchaseId: purchase.purchaseId,
          grantId: grant.grantId,
          details: {
            ...grantDetails(grant),
            ...purchaseTerms(purchase),
            ...paymentDetails(purchase),
            paid_at: instantText(paidAt),
          },
          reference: entryReference(purchase),
        },
        origin,
      );
      return grant;
    },
  };
  return item;
}

/** When its credits expire; null: never. */
export function purchaseExpiry({ plan }: Book, given: ImportedPurchase): number | null {
  const { paidAt, expiresAt } = given;
  if (expiresAt !== undefined) return expiresAt;
  return expiryOf(importedPack(plan, given)?.validity ?? null, paidAt);
}

/** A pack of the plan, or a custom amount of it. Null: the plan sells neither under the id. */
export function importedPack(
  { packs, customAmounts }: Plan,
  { packId, credits }: Pick<ImportedPurchase, 'packId' | 'credits'>,
): Pack | null {
  const amount = customAmounts.find((one) => one.packId === packId);
  if (amount) return packOfAmount(amount, credits);
  return packs.find((pack) => pack.packId === packId) ?? null;
}

/** A purchase that was paid elsewhere. Its subscribers were told there. */
function addPurchase(book: Book, given: ImportedPurchase, origin: Origin): Purchase {
  const { packId, quantity, credits, price, paidAt, paymentReference, paymentIntentId } = given;
  const pack = importedPack(book.plan, given);
  if (!pack) throw new Error(`pack ${packId} was not checked`);
  const payment = { method: 'REFERENCE', reference: paymentReference } as const;
  const purchase: Purchase = {
    ...newPurchase(book, pack, quantity, payment, {}, origin),
    credits,
    price,
    createdAt: paidAt,
    state: 'PAID',
    paidAt,
    nextCheckAt: null,
    // What is known of a payment is what its refunds are a share of.
    ...(paymentIntentId !== null && { paymentIntentId, amountPaid: price }),
  };
  book.purchases.push(purchase);
  book.changes.purchases.add(purchase);
  return purchase;
}
