/** OfferPack and WithdrawPack: packs offered to one account. */
import type { Pack } from '../../pricing/plan.ts';
import { formatValidity } from '../../pricing/plan-file/validity.ts';
import { disableWithdrawn } from '../auto-top-up.ts';
import type { Book } from '../book.ts';
import { type CustomPack, findPack } from '../custom-pack.ts';
import type { Labels, Origin } from '../entry.ts';
import { accountClosed, packExists, packNotFound } from '../failures.ts';

export type OfferPack = { readonly kind: 'OfferPack'; readonly pack: Pack };

export type WithdrawPack = { readonly kind: 'WithdrawPack'; readonly packId: string };

export function offerPack(book: Book, { pack }: OfferPack, origin: Origin) {
  if (book.account.state === 'CLOSED') return accountClosed(book);
  const { packId } = pack;
  const isAmount = book.plan.customAmounts.some((amount) => amount.packId === packId);
  if (isAmount || findPack(book, packId)) return packExists(book.account.accountId, packId);
  const offered: CustomPack = {
    ...pack,
    accountId: book.account.accountId,
    offeredAt: book.now,
    offeredBy: origin.caller,
    withdrawnAt: null,
  };
  // A withdrawn pack of this id is replaced.
  const index = book.customPacks.findIndex((other) => other.packId === packId);
  book.customPacks.splice(index === -1 ? book.customPacks.length : index, 1, offered);
  book.changes.customPacks.set(packId, offered);
  const entry = book.post({ kind: 'OFFER_PACK', details: packDetails(pack) }, origin);
  return { kind: 'OfferPack', pack: offered, entrySeq: entry.seq } as const;
}

const packDetails = ({ packId, title, credits, price, validity }: Pack): Labels => ({
  pack_id: packId,
  title,
  credits: credits.toString(),
  amount: price.amount,
  currency: price.currency,
  validity: formatValidity(validity),
});

export function withdrawPack(book: Book, { packId }: WithdrawPack, origin: Origin) {
  const pack = book.customPacks.find((candidate) => candidate.packId === packId);
  if (!pack) return packNotFound(book, packId);
  if (pack.withdrawnAt !== null) return { kind: 'WithdrawPack', pack, entrySeq: 0n } as const;
  pack.withdrawnAt = book.now;
  book.changes.customPacks.set(packId, pack);
  disableWithdrawn(book, packId, origin);
  const entry = book.post({ kind: 'WITHDRAW_PACK', details: { pack_id: packId } }, origin);
  return { kind: 'WithdrawPack', pack, entrySeq: entry.seq } as const;
}
