/** The table of reservations. */
import type { Allocation } from '../../ledger/allocation/allocation.ts';
import type { Demand } from '../../ledger/allocation/waterfall.ts';
import type { Labels } from '../../ledger/entry.ts';
import {
  heldCredits,
  type OverCommitPolicy,
  type ReservationState,
} from '../../ledger/reservation.ts';
import {
  bigint,
  boolean,
  instant,
  int,
  type JsonInteger,
  json,
  text,
  uuid,
} from '../../pg/column.ts';
import { defineTable } from '../../pg/table.ts';

type StoredAllocation = readonly [grantId: JsonInteger, credits: JsonInteger];
type StoredDemand = readonly [operation: string | null, credits: JsonInteger];

export const reservations = defineTable({
  name: 'reservations',
  comment: 'Credits set aside from named grants for running jobs.',
  columns: {
    accountId: text('key'),
    reservationId: uuid('key', 'ordered by time'),
    state: text<ReservationState>(
      'updated',
      'ACTIVE until the account is settled, even past expires_at',
    ),
    credits: bigint('updated', 'reserved, at first and by raising it since'),
    held: bigint('updated', 'sum of the allocations').computed(heldCredits),
    committed: bigint('updated'),
    returned: bigint('updated', 'given back to the grants'),
    allocations: json<readonly StoredAllocation[]>(
      'updated',
      '[[grant, credits], …] still held, in burn order; grant 0 is overage',
    ).as(toAllocations, fromAllocations),
    expiredAllocations: json<readonly StoredAllocation[]>(
      'updated',
      '[[grant, credits], …] given back by its expiry and not committed late; else []',
    ).as(toAllocations, fromAllocations),
    heldFor: json<readonly StoredDemand[]>(
      'updated',
      '[[operation, credits], …] where limited grants are held; else null',
    )
      .as(toDemands, fromDemands)
      .nullable(),
    expiresAt: instant('updated'),
    createdAt: instant('inserted'),
    endedAt: instant('updated').nullable(),
    endedAsking: text(
      'updated',
      'what the commit that ended it asked for: credits, or a hash of its usages',
    ).nullable(),
    overCommitPolicy: text<OverCommitPolicy>('inserted', 'of a commit of more than was reserved'),
    planId: text('inserted', 'the plan whose rate card prices every commit'),
    rateCardVersion: int('inserted'),
    reference: text('inserted', "the caller's name for the job"),
    labels: json<Labels>('inserted', '{"name": "value"}'),
    late: boolean('updated', 'committed after it had expired, within the grace period'),
  },
  checks: {
    reservations_state_check: "state in ('ACTIVE', 'COMMITTED', 'RELEASED', 'EXPIRED')",
    reservations_credits_check: ['credits >= 0', 'held >= 0', 'committed >= 0', 'returned >= 0'],
    reservations_policy_check: "over_commit_policy in ('REJECT', 'CAP', 'DRAW')",
    reservations_whole_check:
      "held + committed + returned = credits or over_commit_policy = 'DRAW'",
    reservations_end_check: [
      "(state = 'ACTIVE') = (ended_at is null)",
      "(state = 'ACTIVE' or held = 0)",
    ],
  },
  indexes: {
    reservations_active: { on: ['accountId', 'expiresAt'], where: "state = 'ACTIVE'" },
  },
  privileges: 'select, insert, update',
});

function toAllocations(stored: readonly StoredAllocation[]): readonly Allocation[] {
  return stored.map(([grantId, credits]) => ({
    grantId: BigInt(grantId),
    credits: BigInt(credits),
  }));
}

function fromAllocations(allocations: readonly Allocation[]): readonly StoredAllocation[] {
  return allocations.map(({ grantId, credits }) => [grantId, credits]);
}

function toDemands(stored: readonly StoredDemand[]): readonly Demand[] {
  return stored.map(([operation, credits]) => ({ operation, credits: BigInt(credits) }));
}

function fromDemands(demands: readonly Demand[]): readonly StoredDemand[] {
  return demands.map(({ operation, credits }) => [operation, credits]);
}
