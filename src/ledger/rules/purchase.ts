/** Purchase: a pack bought. One that was paid elsewhere grants its credits at once. */
import { Failure } from '../../failure.ts';
import { expiryOf } from '../../pricing/packs.ts';
import type { Book } from '../book.ts';
import type { Labels, Origin } from '../entry.ts';
import { DEFAULT_PRIORITY } from '../grant.ts';
import { beyondLimit } from '../limit.ts';
import type { Purchase } from '../purchase.ts';
import { accountClosed } from './account.ts';

export type BuyPack = {
  readonly kind: 'Purchase';
  readonly packId: string;
  readonly paymentReference: string;
  readonly labels: Labels;
};

export function buyPack(book: Book, command: BuyPack, origin: Origin) {
  if (book.account.state === 'CLOSED') return accountClosed(book);
  const pack = book.plan.packs.find(({ packId }) => packId === command.packId);
  if (!pack)
    return new Failure('PACK_NOT_FOUND', `plan ${book.plan.planId} has no pack ${command.packId}`, {
      pack_id: command.packId,
      plan_id: book.plan.planId,
    });
  const { paymentReference } = command;
  if (book.purchases.some((purchase) => purchase.paymentReference === paymentReference))
    return new Failure(
      'PAYMENT_REFERENCE_USED',
      `payment reference ${paymentReference} has already bought a pack for this account`,
      { payment_reference: paymentReference },
    );

  const tooMany = beyondLimit(book, pack.credits);
  if (tooMany) return tooMany;

  const purchaseId = book.newId();
  const grant = book.addGrant({
    amount: pack.credits,
    category: 'PAID',
    priority: DEFAULT_PRIORITY,
    effectiveAt: book.now,
    expiresAt: expiryOf(pack.validity, book.now),
    source: 'PURCHASE',
    sourceReference: purchaseId,
    state: 'OPEN',
  });
  const purchase: Purchase = {
    accountId: book.account.accountId,
    purchaseId,
    packId: pack.packId,
    credits: pack.credits,
    price: pack.price,
    state: 'PAID',
    paymentReference,
    grantId: grant.grantId,
    createdAt: book.now,
    paidAt: book.now,
  };
  book.purchases.push(purchase);
  book.changes.purchases.add(purchase);
  const entry = book.post(
    {
      kind: 'PURCHASE',
      moves: [{ from: 'issued', to: 'available', grantId: grant.grantId, credits: pack.credits }],
      credits: pack.credits,
      grantId: grant.grantId,
      reference: paymentReference,
      labels: command.labels,
    },
    origin,
  );
  book.announce(
    'purchase.completed',
    {
      purchase_id: purchaseId,
      pack_id: pack.packId,
      credits: pack.credits.toString(),
      payment_reference: paymentReference,
    },
    origin,
  );
  return { kind: 'Purchase', purchase, grant, entrySeq: entry.seq } as const;
}
