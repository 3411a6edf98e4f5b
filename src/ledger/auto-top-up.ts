/** The auto top-up setting of an account: off by default, switched on by its owner. */
import type { Failure } from '../failure.ts';
import type { Account } from './account.ts';
import type { Book } from './book.ts';
import { findPack } from './custom-pack.ts';
import { invalidField, packNotFound } from './failures.ts';
import type { Purchase } from './purchase.ts';

export type AutoTopUp = {
  /** The pack to buy: of the account's plan, or offered to the account. */
  readonly packId: string;
  /** A pack is bought while available is below this. */
  readonly threshold: bigint;
  /** Least time from the start of one top-up to the start of the next. */
  readonly coolDownMs: number;
  /**
   * Most top-ups in a calendar month (UTC), declined ones excluded. It is a number and not an amount of
   * money, because the pack has one price and a number needs no currency.
   */
  readonly monthlyCap: number;
  /** The customer and the saved payment method, by their ids at the payment provider. */
  readonly customer: string;
  readonly paymentMethod: string;
};

/** The failure if the setting cannot work; null if it can. */
export function checkAutoTopUp(book: Book, { packId, threshold }: AutoTopUp): Failure | null {
  const pack = findPack(book, packId);
  if (!pack) return packNotFound(book, packId);
  if (threshold <= pack.credits) return null;
  return invalidField(
    'auto_top_up.auto_top_up.threshold',
    `must be at most the ${pack.credits} credits of pack ${packId}: one top-up must suffice`,
    { allowed: pack.credits },
  );
}

/** Null switches it off. A new payment method is tried without waiting for the old one's back-off. */
export function setAutoTopUp({ account }: Book, setting: AutoTopUp | null) {
  const { autoTopUp: before, topUps } = account;
  const sameMethod =
    before?.customer === setting?.customer && before?.paymentMethod === setting?.paymentMethod;
  if (setting && !sameMethod && topUps) account.topUps = { ...topUps, failures: 0, retryAt: null };
  account.autoTopUp = setting;
  account.topUpDueAt = null; // `updateTopUpDueAt` computes it from the new setting.
}

/**
 * Whether a top-up's purchase still is what the setting asks for: this pack, paid with this payment
 * method. If it is not, nothing is charged for it any more.
 */
export const isStillWanted = (
  { state, autoTopUp }: Pick<Account, 'state' | 'autoTopUp'>,
  { packId, savedMethod }: Pick<Purchase, 'packId' | 'savedMethod'>,
): boolean =>
  state === 'OPEN' &&
  autoTopUp !== null &&
  autoTopUp.packId === packId &&
  autoTopUp.customer === savedMethod?.customer &&
  autoTopUp.paymentMethod === savedMethod.paymentMethod;
