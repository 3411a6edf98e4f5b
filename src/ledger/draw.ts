/** Takes credits from an account in burn order, and says what is missing where they do not suffice. */
import { Failure } from '../failure.ts';
import { coveringPacks } from '../pricing/packs.ts';
import { overageOf } from './account.ts';
import type { Book } from './book.ts';
import { type Grant, grantAvailable, hasExpired } from './grant.ts';
import { type Allocation, OVERAGE } from './reservation.ts';

/** Credits of a grant that can be taken now: effective, not expired, not set aside. */
const spendable = (grant: Grant, now: number): bigint =>
  grant.state === 'SCHEDULED' || hasExpired(grant, now) ? 0n : grantAvailable(grant);

export type Headroom = {
  /** What grants can give now. */
  readonly grants: bigint;
  /** What the postpaid line can give now. */
  readonly overage: bigint;
};

export function headroom({ account, grants, plan, now }: Book): Headroom {
  const limit = plan.terms.overage?.limit ?? 0n;
  const overage = limit - overageOf(account, now) - account.overageReserved;
  return {
    grants: grants.reduce((sum, grant) => sum + spendable(grant, now), 0n),
    overage: overage > 0n ? overage : 0n,
  };
}

/**
 * Chooses where `credits` come from, in burn order, overage last. Changes nothing.
 * Fails with INSUFFICIENT_CREDITS, or OVERAGE_LIMIT_REACHED on a postpaid plan.
 */
export function draw(book: Book, credits: bigint): readonly Allocation[] | Failure {
  const allocations: Allocation[] = [];
  let missing = credits;
  for (const grant of book.grants) {
    if (missing === 0n) break;
    const here = spendable(grant, book.now);
    const take = here < missing ? here : missing;
    if (take === 0n) continue;
    allocations.push({ grantId: grant.grantId, credits: take });
    missing -= take;
  }
  if (missing === 0n) return allocations;
  const room = headroom(book);
  if (missing > room.overage) return shortage(book, credits, room);
  allocations.push({ grantId: OVERAGE, credits: missing });
  return allocations;
}

function shortage(book: Book, required: bigint, room: Headroom): Failure {
  const available = room.grants + room.overage;
  const shortfall = required - available;
  const limit = book.plan.terms.overage?.limit ?? 0n;
  if (limit > 0n)
    return new Failure(
      'OVERAGE_LIMIT_REACHED',
      `${required} credits are required, ${available} are left with the month's overage limit of ${limit}`,
      { required, available, shortfall, limit },
    );
  const packs = coveringPacks(book.plan.packs, shortfall)
    .map(({ pack, quantity }) => (quantity === 1n ? pack.packId : `${pack.packId} x${quantity}`))
    .join(', ');
  return new Failure(
    'INSUFFICIENT_CREDITS',
    `${required} credits are required, ${available} are available: ${shortfall} are missing${packs && `; packs that would cover it: ${packs}`}`,
    { required, available, shortfall, packs },
  );
}
