/** OfferPack and WithdrawPack: packs offered to one account. */
import type { Pack } from '../../pricing/plan.ts';
import { disableWithdrawn } from '../auto-top-up.ts';
import type { Book } from '../book.ts';
import { type CustomPack, findPack } from '../custom-pack.ts';
import type { Origin } from '../entry.ts';
import { accountClosed, packExists, packNotFound } from '../failures.ts';

export type OfferPack = { readonly kind: 'OfferPack'; readonly pack: Pack };

export type WithdrawPack = { readonly kind: 'WithdrawPack'; readonly packId: string };

export function offerPack(book: Book, { pack }: OfferPack, { caller }: Origin) {
  if (book.account.state === 'CLOSED') return accountClosed(book);
  const { packId } = pack;
  if (findPack(book, packId)) return packExists(book.account.accountId, packId);
  const offered: CustomPack = {
    ...pack,
    accountId: book.account.accountId,
    offeredAt: book.now,
    offeredBy: caller,
    withdrawnAt: null,
  };
  // A withdrawn pack of this id is replaced.
  const index = book.customPacks.findIndex((other) => other.packId === packId);
  book.customPacks.splice(index === -1 ? book.customPacks.length : index, 1, offered);
  book.changes.customPacks.set(packId, offered);
  return { kind: 'OfferPack', pack: offered } as const;
}

export function withdrawPack(book: Book, { packId }: WithdrawPack, origin: Origin) {
  const pack = book.customPacks.find((candidate) => candidate.packId === packId);
  if (!pack) return packNotFound(book, packId);
  if (pack.withdrawnAt === null) {
    pack.withdrawnAt = book.now;
    book.changes.customPacks.set(packId, pack);
    disableWithdrawn(book, packId, origin);
  }
  return { kind: 'WithdrawPack', pack } as const;
}
