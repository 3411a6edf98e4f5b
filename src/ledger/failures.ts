/**
 * Every failure that the ledger's rules return. Reason, message and metadata are part of the
 * service's contract: callers match on reasons and read the values from the metadata.
 */
import { Failure, type Reason } from '../failure.ts';
import { coveringPacks } from '../pricing/packs.ts';
import type { Plan } from '../pricing/plan.ts';
import type { Account } from './account.ts';
import type { Book } from './book.ts';
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

export function accountClosed({ account, now }: Book): Failure {
  const { accountId, closedAt } = account;
  const at = new Date(closedAt ?? now).toISOString();
  return new Failure('ACCOUNT_CLOSED', `account ${accountId} is closed since ${at}`, {
    account_id: accountId,
    at,
  });
}

export const planNotFound = (planId: string): Failure =>
  new Failure('PLAN_NOT_FOUND', `there is no plan ${planId}`, { plan_id: planId });

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

export const packNotFound = ({ plan: { planId } }: Book, packId: string): Failure =>
  new Failure(
    'PACK_NOT_FOUND',
    `plan ${planId} has no pack ${packId}, and the account is offered none of that name`,
    { pack_id: packId, plan_id: planId },
  );

export const packExists = (accountId: string, packId: string): Failure =>
  new Failure('PACK_EXISTS', `account ${accountId} can buy a pack ${packId} already`, {
    pack_id: packId,
    account_id: accountId,
  });

export const paymentReferenceUsed = (reference: string): Failure =>
  new Failure(
    'PAYMENT_REFERENCE_USED',
    `payment reference ${reference} has already bought a pack for this account`,
    { payment_reference: reference },
  );

export const purchaseNotFound = (accountId: string, purchaseId: string): Failure =>
  new Failure('PURCHASE_NOT_FOUND', `account ${accountId} has no purchase ${purchaseId}`, {
    purchase_id: purchaseId,
    account_id: accountId,
  });

/**
 * No grant can pay `required`: OVERAGE_LIMIT_REACHED on a postpaid plan, INSUFFICIENT_CREDITS with
 * the packs that would cover the shortfall on any other.
 */
export function insufficientCredits({ plan }: Book, required: bigint, available: bigint): Failure {
  const shortfall = required - available;
  const limit = plan.terms.overage?.limit ?? 0n;
  if (limit > 0n)
    return new Failure(
      'OVERAGE_LIMIT_REACHED',
      `${required} credits are required, ${available} are left with the month's overage limit of ${limit}`,
      { required, available, shortfall, limit },
    );
  const packs = coveringPacks(plan.packs, shortfall)
    .map(({ pack, quantity }) => (quantity === 1n ? pack.packId : `${pack.packId} x${quantity}`))
    .join(', ');
  return new Failure(
    'INSUFFICIENT_CREDITS',
    `${required} credits are required, ${available} are available: ${shortfall} are missing${packs && `; packs that would cover it: ${packs}`}`,
    { required, available, shortfall, packs },
  );
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
  const { reservationId, state } = reservation;
  const at = new Date(reservation.endedAt ?? reservation.expiresAt).toISOString();
  return new Failure(
    `RESERVATION_${state}` as Reason,
    `reservation ${reservationId} is ${state} since ${at}`,
    { reservation_id: reservationId, state, at },
  );
}

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

/** No commit or charge of the account has this seq, so there is nothing to refund. */
export const entryNotFound = (accountId: string, seq: bigint): Failure =>
  new Failure('ENTRY_NOT_FOUND', `account ${accountId} has no commit or charge with seq ${seq}`, {
    seq,
    account_id: accountId,
  });

export const exceedsCommit = (seq: bigint, asked: bigint, allowed: bigint): Failure =>
  new Failure(
    'EXCEEDS_COMMIT',
    `a refund of ${asked} credits exceeds the ${allowed} that are left of entry ${seq}`,
    { asked, allowed, seq },
  );
