/** Offering a pack to one account, and withdrawing it. */
import type { Pack } from '../../pricing/plan.ts';
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
  // One that was withdrawn makes room for the new one.
  const place = book.customPacks.findIndex((other) => other.packId === packId);
  book.customPacks.splice(place === -1 ? book.customPacks.length : place, 1, offered);
  keep(book, offered);
  return { kind: 'OfferPack', pack: offered } as const;
}

export function withdrawPack(book: Book, { packId }: WithdrawPack) {
  const pack = book.customPacks.find((candidate) => candidate.packId === packId);
  if (!pack) return packNotFound(book, packId);
  if (pack.withdrawnAt === null) {
    pack.withdrawnAt = book.now;
    keep(book, pack);
  }
  return { kind: 'WithdrawPack', pack } as const;
}

/** One unit of work can offer, withdraw and offer again: the last of a name is the one to write. */
function keep({ changes }: Book, pack: CustomPack) {
  changes.customPacks.set(pack.packId, pack);
}
