/** The auto top-up setting of an account: off by default, switched on by its owner. */
import { canonicalJson } from '../canonical.ts';
import type { Failure } from '../failure.ts';
import type { Pack } from '../pricing/plan.ts';
import type { Account } from './account.ts';
import type { Book } from './book.ts';
import { findPack } from './custom-pack.ts';
import type { Trace } from './entry.ts';
import { invalidField, packNotFound } from './failures.ts';
import type { Purchase } from './purchase.ts';

/** What the owner states. */
export type AutoTopUpTerms = {
  /** The pack to buy: of the account's plan, or offered to the account. */
  readonly packId: string;
  /** Packs are bought while the usable credits are below this. */
  readonly threshold: bigint;
  /** Whether a refusal for lack of credits buys packs, too. */
  readonly onRefusal: boolean;
  /** Least time from the start of one top-up to the start of the next. */
  readonly coolDownMs: number;
  /**
   * Most packs that top-ups buy in a calendar month (UTC), declined ones excluded. It is a number and not
   * an amount of money, because the pack has one price and a number needs no currency.
   */
  readonly monthlyCap: number;
  /** The customer and the saved payment method, by their ids at the payment provider. */
  readonly customer: string;
  readonly paymentMethod: string;
};

export type AutoTopUp = AutoTopUpTerms & {
  /** Whether the pack was one offered to the account, and not one of the plan. */
  readonly isCustomPack: boolean;
  /** The pack as the owner agreed to it. Null for a setting of an earlier version. */
  readonly agreed: Pick<Pack, 'credits' | 'price'> | null;
};

/** The failure if the setting cannot work; null if it can. */
export function checkAutoTopUp(
  book: Book,
  { packId, threshold, monthlyCap }: AutoTopUpTerms,
): Failure | null {
  const pack = findPack(book, packId);
  if (!pack) return packNotFound(book, packId);
  const most = pack.credits * BigInt(monthlyCap);
  if (threshold <= most) return null;
  return invalidField(
    'auto_top_up.auto_top_up.threshold',
    `must be at most the ${most} credits of the month's cap of ${monthlyCap} packs ${packId}`,
    { allowed: most },
  );
}

/**
 * Null switches it off; the terms that it has already change nothing. A new payment method is tried without
 * waiting for the old one's back-off.
 */
export function setAutoTopUp(book: Book, terms: AutoTopUpTerms | null) {
  const { account } = book;
  const { autoTopUp: before, topUps } = account;
  const sameMethod =
    before?.customer === terms?.customer && before?.paymentMethod === terms?.paymentMethod;
  const autoTopUp = terms && {
    ...terms,
    isCustomPack: !packOfPlan(book, terms.packId),
    agreed: agreedPack(book, terms.packId),
  };
  if (canonicalJson(autoTopUp) === canonicalJson(before)) return;
  if (terms && !sameMethod && topUps) account.topUps = { ...topUps, failures: 0, retryAt: null };
  account.autoTopUp = autoTopUp;
  account.topUpDueAt = null; // `updateTopUpDueAt` computes it from the new setting.
}

/** No more of the pack than is stored: the setting would differ from the stored one. */
function agreedPack(book: Book, packId: string): AutoTopUp['agreed'] {
  const pack = findPack(book, packId);
  return pack && { credits: pack.credits, price: pack.price };
}

const packOfPlan = ({ plan }: Book, packId: string): Pack | undefined =>
  plan.packs.find((pack) => pack.packId === packId);

/**
 * Switches auto top-up off if the plan does not have its pack any more, or has another one under the same
 * id. The owner agreed to that pack, its credits and its price. Called after settling and each command.
 */
export function disableWithoutPack(book: Book, trace: Trace) {
  const { autoTopUp } = book.account;
  if (!autoTopUp) return;
  const pack = packOfPlan(book, autoTopUp.packId);
  if (pack && !isAsAgreed(autoTopUp, pack)) disable(book, autoTopUp, 'pack_changed', trace);
  if (!pack && !autoTopUp.isCustomPack) disable(book, autoTopUp, 'pack_removed', trace);
}

const isAsAgreed = ({ agreed }: AutoTopUp, { credits, price }: Pack): boolean =>
  agreed === null ||
  (agreed.credits === credits &&
    agreed.price.currency === price.currency &&
    agreed.price.amount === price.amount);

/** Switches auto top-up off if it buys this custom pack, which was just withdrawn. */
export function disableWithdrawn(book: Book, packId: string, trace: Trace) {
  const { autoTopUp } = book.account;
  if (autoTopUp?.isCustomPack && autoTopUp.packId === packId)
    disable(book, autoTopUp, 'pack_withdrawn', trace);
}

/** Switches auto top-up off after a payment that took another amount than ordered: people must look first. */
export function disableMismatched(book: Book, trace: Trace) {
  const { autoTopUp } = book.account;
  if (autoTopUp) disable(book, autoTopUp, 'payment_mismatched', trace);
}

function disable(
  book: Book,
  { packId }: AutoTopUp,
  reason: 'pack_removed' | 'pack_changed' | 'pack_withdrawn' | 'payment_mismatched',
  trace: Trace,
) {
  setAutoTopUp(book, null);
  book.changes.settings = true;
  book.emitEvent('top_up.disabled', { pack_id: packId, plan_id: book.plan.planId, reason }, trace);
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
