/**
 * Every failure that the ledger's rules return. Reason, message and metadata are part of the
 * service's contract: callers match on reasons and read the values from the metadata.
 */
import { Failure, type Reason } from '../failure.ts';
import { suggestion } from '../nearest-name.ts';
import { formatMoney } from '../pricing/money.ts';
import type { PackOffer } from '../pricing/packs.ts';
import { MAX_CREDITS, type Pack, type Plan } from '../pricing/plan.ts';
import type { Account, Suspension } from './account.ts';
import type { Book } from './book.ts';
import { type Budget, type BudgetCounter, capOf } from './budget.ts';
import { budgetPeriodAt } from './budget-period.ts';
import { buyablePacks, offersFor } from './custom-pack.ts';
import type { Grant, GrantState } from './grant.ts';
import { creditsOwedFirst } from './owed.ts';
import type { Zones } from './periods/period.ts';
import type { Purchase } from './purchase.ts';
import type { Reservation } from './reservation.ts';

/** A field of the request that is wrong in itself or for this account. `field` is its path. */
export const invalidField = (
  field: string,
  description: string,
  metadata: { readonly allowed?: bigint | string } = {},
): Failure =>
  new Failure('INVALID_FIELD', `${field} ${description}`, { field, ...metadata }, [
    { field, description },
  ]);

export const accountNotFound = (accountId: string): Failure =>
  new Failure('ACCOUNT_NOT_FOUND', `there is no account ${accountId}`, { account_id: accountId });

export const accountExists = (accountId: string): Failure =>
  new Failure('ACCOUNT_EXISTS', `account ${accountId} exists already`, { account_id: accountId });

/** A repetition of its import would have been answered before. */
export const accountNotImported = (accountId: string): Failure =>
  new Failure(
    'ACCOUNT_EXISTS',
    `account ${accountId} exists already: it was opened in another way, or imported with other content`,
    { account_id: accountId },
  );

export function accountClosed({ account, now }: Book): Failure {
  const { accountId, closedAt } = account;
  const at = new Date(closedAt ?? now).toISOString();
  return new Failure('ACCOUNT_CLOSED', `account ${accountId} is closed since ${at}`, {
    account_id: accountId,
    at,
  });
}

/** What the operator said is told to whoever is refused. */
export function accountSuspended({ accountId }: Account, { since, reason }: Suspension): Failure {
  const at = new Date(since).toISOString();
  return new Failure(
    'ACCOUNT_SUSPENDED',
    `account ${accountId} is suspended since ${at}: ${reason}`,
    {
      account_id: accountId,
      since: at,
      reason,
    },
  );
}

/** `requested` is what the call would add to what was used. */
export function budgetExceeded(
  zones: Zones,
  budget: Budget,
  { value, used, periodFrom }: BudgetCounter,
  requested: bigint,
): Failure {
  const { budgetId, label, period } = budget;
  const cap = (budget.enforcement === 'HARD' ? capOf(budget, value) : null) ?? MAX_CREDITS;
  const { until } = budgetPeriodAt(zones, period, periodFrom);
  const resetsAt = until === null ? null : new Date(until).toISOString();
  const what = label === null ? `operation ${value || '(none)'}` : `${label} ${value || '(none)'}`;
  return new Failure(
    'BUDGET_EXCEEDED',
    `budget ${budgetId} caps ${what} at ${cap} credits: ${used} are used, and ${requested} more were requested; ${resetsAt === null ? 'it never resets' : `it resets at ${resetsAt}`}`,
    {
      budget_id: budgetId,
      ...(label !== null && { label }),
      value,
      cap,
      used,
      requested,
      ...(resetsAt !== null && { resets_at: resetsAt }),
    },
  );
}

export const budgetNotFound = (accountId: string, budgetId: string): Failure =>
  new Failure('BUDGET_NOT_FOUND', `account ${accountId} has no budget ${budgetId}`, {
    budget_id: budgetId,
    account_id: accountId,
  });

export const accountNotClosed = (accountId: string): Failure =>
  new Failure(
    'ACCOUNT_NOT_CLOSED',
    `account ${accountId} is open: only the data of a closed account can be erased`,
    { account_id: accountId },
  );

/** `planIds` are those of all plans. */
export function planNotFound(planId: string, planIds: Iterable<string>): Failure {
  const { text, metadata } = suggestion(planId, planIds);
  return new Failure('PLAN_NOT_FOUND', `there is no plan ${planId}${text}`, {
    plan_id: planId,
    ...metadata,
  });
}

/** The account cannot move to a plan without overage while reservations hold overage. */
export const overageReserved = (
  { accountId, overageReserved: reserved }: Account,
  { planId }: Plan,
): Failure =>
  new Failure(
    'OVERAGE_RESERVED',
    `account ${accountId} has ${reserved} credits of overage reserved, and plan ${planId} has no overage: ` +
      'it can move once those reservations have ended',
    { account_id: accountId, plan_id: planId, reserved },
  );

/** `effectiveAt` is given for a version that exists and is not in force yet. */
export function rateCardVersionUnknown(
  planId: string,
  version: number,
  effectiveAt?: number,
): Failure {
  const metadata = { plan_id: planId, version };
  if (effectiveAt === undefined)
    return new Failure(
      'RATE_CARD_VERSION_UNKNOWN',
      `plan ${planId} has no rate card version ${version}`,
      metadata,
    );
  const at = new Date(effectiveAt).toISOString();
  return new Failure(
    'RATE_CARD_VERSION_UNKNOWN',
    `rate card version ${version} of plan ${planId} is not in force: it is dated ${at}`,
    { ...metadata, effective_at: at },
  );
}

/**
 * A failure that says more once all packs are known that the account can buy. A rule sees those of its plan;
 * the others are read for the few requests that fail so.
 */
export class PackFailure extends Failure {
  readonly offers: Offers | null;
  readonly #withPacks: (customPacks: readonly Pack[]) => PackFailure;

  constructor(
    failure: Failure,
    offers: Offers | null,
    withPacks: (customPacks: readonly Pack[]) => PackFailure,
  ) {
    super(failure.reason, failure.message, failure.metadata, failure.violations);
    this.offers = offers;
    this.#withPacks = withPacks;
  }

  withCustomPacks(customPacks: readonly Pack[]): PackFailure {
    return customPacks.length === 0 ? this : this.#withPacks(customPacks);
  }
}

/** What is missing, and the packs and custom amounts that would cover it, best first. */
export type Offers = {
  readonly required: bigint;
  readonly available: bigint;
  readonly shortfall: bigint;
  readonly packs: readonly PackOffer[];
};

/** `amounts`: ids of custom amounts, which can be named in place of a pack where something is bought. */
export const packNotFound = (
  { plan }: Book,
  packId: string,
  amounts: readonly string[] = [],
): PackFailure => packNotFoundOn(plan, packId, amounts, []);

/** A message stays short, whatever a plan offers. */
const PACKS_NAMED_MAX = 10;

/** `plan` is that of the decision: the book may be on another once all packs are known. */
function packNotFoundOn(
  plan: Plan,
  packId: string,
  amounts: readonly string[],
  customPacks: readonly Pack[],
): PackFailure {
  const { planId } = plan;
  const packIds = [...buyablePacks(plan, customPacks).map((pack) => pack.packId), ...amounts];
  const { text, metadata } = suggestion(packId, packIds);
  const others =
    packIds.length > 0 ? `; there are ${packIds.slice(0, PACKS_NAMED_MAX).join(', ')}` : '';
  const failure = new Failure(
    'PACK_NOT_FOUND',
    `plan ${planId} has no pack ${packId}, and the account is offered none of that name${text || others}`,
    { pack_id: packId, plan_id: planId, ...metadata },
  );
  return new PackFailure(failure, null, (custom) => packNotFoundOn(plan, packId, amounts, custom));
}

/** Of a pack that was bought elsewhere: packs that are offered to single accounts do not count. */
export function planLacksPack({ planId, packs, customAmounts }: Plan, packId: string): Failure {
  const { text, metadata } = suggestion(
    packId,
    [...packs, ...customAmounts].map((sold) => sold.packId),
  );
  return new Failure('PACK_NOT_FOUND', `plan ${planId} has no pack ${packId}${text}`, {
    pack_id: packId,
    plan_id: planId,
    ...metadata,
  });
}

export const packExists = (accountId: string, packId: string): Failure =>
  new Failure('PACK_EXISTS', `account ${accountId} can buy a pack ${packId} already`, {
    pack_id: packId,
    account_id: accountId,
  });

/** `before` is the reference as it was given first: it may differ in its form. */
export const paymentReferenceUsed = (reference: string, before: string): Failure =>
  new Failure(
    'PAYMENT_REFERENCE_USED',
    `payment reference ${reference} has already bought a pack for this account${reference === before ? '' : `, as ${before}`}`,
    { payment_reference: reference, used_as: before },
  );

export const purchaseNotFound = (accountId: string, purchaseId: string): Failure =>
  new Failure('PURCHASE_NOT_FOUND', `account ${accountId} has no purchase ${purchaseId}`, {
    purchase_id: purchaseId,
    account_id: accountId,
  });

/** There is nothing to decide: the payment does not differ from the order, or the decision was another. */
export const purchaseNotMismatched = ({ purchaseId, state }: Purchase): Failure =>
  new Failure(
    'PURCHASE_NOT_MISMATCHED',
    `purchase ${purchaseId} is ${state}: only a MISMATCHED one can be resolved`,
    { purchase_id: purchaseId, state },
  );

/** Its data are needed until it is over. */
export const purchaseUnsettled = ({ purchaseId, state }: Purchase): Failure =>
  new Failure(
    'PURCHASE_UNSETTLED',
    `purchase ${purchaseId} is ${state}: the account's data can be erased once it is settled`,
    { purchase_id: purchaseId, state },
  );

/**
 * No grant can pay `required`: OVERAGE_LIMIT_REACHED on a postpaid plan, INSUFFICIENT_CREDITS on any
 * other, with the packs and custom amounts that would cover the shortfall.
 */
export const insufficientCredits = (book: Book, required: bigint, available: bigint): PackFailure =>
  insufficientCreditsOn(book.plan, required, available, creditsOwedFirst(book), []);

/**
 * `plan` is that of the decision: the book may be on another once all packs are known. What is `owed` and paid
 * first is bought, too.
 */
function insufficientCreditsOn(
  plan: Plan,
  required: bigint,
  available: bigint,
  owed: bigint,
  customPacks: readonly Pack[],
): PackFailure {
  const shortfall = required - available;
  const packs = offersFor(plan, customPacks, shortfall + owed);
  const best = bestOffer(packs[0]);
  const limit = plan.terms.overage?.limit ?? 0n;
  const failure =
    limit > 0n
      ? new Failure(
          'OVERAGE_LIMIT_REACHED',
          `${required} credits are required, ${available} are left with the month's overage limit of ${limit}: ${shortfall} are missing${best.text}`,
          { required, available, shortfall, limit, ...best.metadata },
        )
      : new Failure(
          'INSUFFICIENT_CREDITS',
          `${required} credits are required, ${available} are available: ${shortfall} are missing${best.text}`,
          { required, available, shortfall, ...best.metadata },
        );
  const offers = { required, available, shortfall, packs };
  return new PackFailure(failure, offers, (custom) =>
    insufficientCreditsOn(plan, required, available, owed, custom),
  );
}

/** The end of a message that offers the best pack or custom amount, and its metadata. */
function bestOffer(offer: PackOffer | undefined) {
  if (!offer) return { text: '', metadata: {} };
  const { packId } = offer.pack;
  const { quantity, credits } = offer;
  const price = formatMoney(offer.price);
  const number = quantity === 1n ? '' : `${quantity} of `;
  const what =
    credits === null ? `${number}pack ${packId}` : `${credits} credits of custom amount ${packId}`;
  return {
    text: `; the best offer is ${what} for ${price}`,
    metadata: {
      best_pack: packId,
      best_quantity: quantity,
      best_price: price,
      ...(credits !== null && { best_credits: credits }),
    },
  };
}

export const pausedBelowFloor = (available: bigint, floor: bigint): Failure =>
  new Failure(
    'PAUSED_BELOW_FLOOR',
    `sheddable work is paused: ${available} credits are available, the floor is ${floor}`,
    { available, floor },
  );

export const reservationNotFound = (accountId: string, reservationId: string): Failure =>
  new Failure('RESERVATION_NOT_FOUND', `account ${accountId} has no reservation ${reservationId}`, {
    reservation_id: reservationId,
    account_id: accountId,
  });

/** The reservation has ended in another way than the one asked for; says how and when. */
export function reservationEnded(reservation: Reservation): Failure {
  const { reservationId, state, committed } = reservation;
  const at = new Date(reservation.endedAt ?? reservation.expiresAt).toISOString();
  return new Failure(
    `RESERVATION_${state}` as Reason,
    `reservation ${reservationId} is ${state} since ${at}, with ${committed} credits committed`,
    { reservation_id: reservationId, state, at, committed },
  );
}

/** Its data are needed until it is over. */
export function reservationActive({ reservationId, expiresAt }: Reservation): Failure {
  const at = new Date(expiresAt).toISOString();
  return new Failure(
    'RESERVATION_ACTIVE',
    `reservation ${reservationId} runs until ${at}: the account's data can be erased once it has ended`,
    { reservation_id: reservationId, expires_at: at },
  );
}

/** Usage of a month that has ended, or has not begun, would be billed in the wrong one. */
export const monthNotRunning = (month: string, running: string): Failure =>
  new Failure('MONTH_NOT_RUNNING', `${month} is not the running month, which is ${running}`, {
    month,
    running,
  });

/** The request arrived after the instant up to which its caller wanted it. */
export function requestExpired(notAfter: number, now: number): Failure {
  const metadata = {
    not_after: new Date(notAfter).toISOString(),
    now: new Date(now).toISOString(),
  };
  return new Failure(
    'REQUEST_EXPIRED',
    `the request was to take effect by ${metadata.not_after}, and it is ${metadata.now}; nothing was written`,
    metadata,
  );
}

/** Another account's grant is answered in the same way. */
export const grantNotFound = (accountId: string, grantId: bigint): Failure =>
  new Failure('GRANT_NOT_FOUND', `account ${accountId} has no grant ${grantId}`, {
    grant_id: grantId,
    account_id: accountId,
  });

/** Nothing is left of the grant. */
export const grantEnded = (grantId: bigint, state: GrantState): Failure =>
  new Failure('GRANT_ENDED', `grant ${grantId} is ${state}: nothing is left of it`, {
    grant_id: grantId,
    state,
  });

/** What reservations hold of the grant was reserved for operations that it would not pay for any more. */
export const grantReserved = ({ grantId, reserved }: Grant): Failure =>
  new Failure(
    'GRANT_RESERVED',
    `reservations hold ${reserved} credits of grant ${grantId}: until they have ended, operations can only be added`,
    { grant_id: grantId, reserved },
  );

/** More was to be voided than the grant has for it. */
export const exceedsGrant = (
  { grantId, reserved }: Grant,
  asked: bigint,
  allowed: bigint,
): Failure =>
  new Failure(
    'EXCEEDS_GRANT',
    `${asked} credits of grant ${grantId} were to be voided, and ${allowed} can be: reservations hold ${reserved}`,
    { grant_id: grantId, asked, allowed, reserved },
  );

export const exceedsReservation = (
  { reservationId }: Reservation,
  asked: bigint,
  allowed: bigint,
): Failure =>
  new Failure(
    'EXCEEDS_RESERVATION',
    `a commit of ${asked} credits exceeds the ${allowed} that the reservation holds for it`,
    { asked, allowed, reservation_id: reservationId },
  );

/** Usage of then can no longer be charged. `earliest`: what still can; null: the plan takes no late usage. */
export function lateUsageNotAllowed(
  planId: string,
  usedAt: number,
  earliest: number | null,
): Failure {
  const at = new Date(usedAt).toISOString();
  const limit = earliest === null ? null : new Date(earliest).toISOString();
  const why = limit === null ? `plan ${planId} takes no late usage` : `the earliest is ${limit}`;
  return new Failure(
    'LATE_USAGE_NOT_ALLOWED',
    `usage of ${at} cannot be charged any more: ${why}`,
    {
      field: 'used_at',
      used_at: at,
      plan_id: planId,
      ...(limit !== null && { earliest: limit }),
    },
    [{ field: 'used_at', description: why }],
  );
}

/** No commit or charge of the account has this seq, so there is nothing to refund. */
export const entryNotFound = (accountId: string, seq: bigint): Failure =>
  new Failure('ENTRY_NOT_FOUND', `account ${accountId} has no commit or charge with seq ${seq}`, {
    seq,
    account_id: accountId,
  });

/** The commit or charge has left the database. What it consumed is known only there, so nothing is given back of it. */
export const entryArchived = (accountId: string, seq: bigint, archivedSeq: bigint): Failure =>
  new Failure(
    'ENTRY_ARCHIVED',
    `entry ${seq} of account ${accountId} is archived, as are all up to ${archivedSeq}: it can no longer be refunded`,
    { seq, archived_seq: archivedSeq, account_id: accountId },
  );

export const requestArchived = (accountId: string, requestId: string, method: string): Failure =>
  new Failure(
    'REQUEST_ARCHIVED',
    `request id ${requestId} was used for ${method} before, and its entry is archived: nothing was done again`,
    { request_id: requestId, method, account_id: accountId },
  );

export const seqNotFound = (accountId: string, seq: bigint): Failure =>
  new Failure('ENTRY_NOT_FOUND', `account ${accountId} has no entry with seq ${seq}`, {
    seq,
    account_id: accountId,
  });

export const exceedsCommit = (seq: bigint, asked: bigint, allowed: bigint): Failure =>
  new Failure(
    'EXCEEDS_COMMIT',
    `a refund of ${asked} credits exceeds the ${allowed} that are left of entry ${seq}`,
    { asked, allowed, seq },
  );
