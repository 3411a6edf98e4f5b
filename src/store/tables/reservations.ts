/** The table of reservations. */
import type { JsonInteger } from '../../canonical.ts';
import type { Allocation } from '../../ledger/allocation/allocation.ts';
import type { Demand } from '../../ledger/allocation/waterfall.ts';
import type { Labels } from '../../ledger/entry.ts';
import type { OverCommitPolicy, Reservation } from '../../ledger/reservation.ts';
import { bigint, boolean, code, instant, int, jsonText, text, uuid } from '../../pg/column.ts';
import { defineTable, type Values } from '../../pg/table.ts';
import { OVER_COMMIT_POLICY_CODES, RESERVATION_STATE_CODES } from './codes.ts';

type StoredAllocation = readonly [grantId: JsonInteger, credits: JsonInteger];
type StoredDemand = readonly [operation: string | null, credits: JsonInteger];

const NO_ALLOCATIONS: readonly Allocation[] = [];
const NO_LABELS: Labels = {};

const columns = {
  accountId: text('key'),
  reservationId: uuid('key', 'ordered by time'),
  state: code<'ACTIVE' | 'EXPIRED'>(RESERVATION_STATE_CODES)(
    'updated',
    'ACTIVE (1) until the account is settled, even past expires_at; EXPIRED (4)',
  ),
  overCommitPolicy: code<OverCommitPolicy>(OVER_COMMIT_POLICY_CODES)(
    'inserted',
    'of a commit of more than was reserved: REJECT (1), CAP (2), DRAW (3), TAKE (4)',
  ),
  rateCardVersion: int('inserted'),
  entrySeq: bigint('inserted', 'of the entry that made it'),
  credits: bigint('updated', 'reserved, at first and by raising it since'),
  committed: bigint('updated'),
  returned: bigint('updated', 'given back to the grants'),
  createdAt: instant('inserted'),
  expiresAt: instant('updated'),
  late: boolean('updated', 'committed after it had expired, within the grace period'),
  planId: text('inserted', 'the plan whose rate card prices every commit'),
  allocations: jsonText<readonly StoredAllocation[]>(
    'updated',
    '[[grant, credits], …] still held, in burn order; grant 0 is overage',
  ).as(toAllocations, fromAllocations),
  expiredAllocations: jsonText<readonly StoredAllocation[]>(
    'updated',
    '[[grant, credits], …] given back by its expiry and not committed late; null: none',
  )
    .nullable()
    .as(
      (stored) => (stored ? toAllocations(stored) : NO_ALLOCATIONS),
      (allocations) => (allocations.length > 0 ? fromAllocations(allocations) : null),
    ),
  heldFor: jsonText<readonly StoredDemand[]>(
    'updated',
    '[[operation, credits], …] where limited grants are held; else null',
  )
    .as(toDemands, fromDemands)
    .nullable(),
  heldByOperation: jsonText<readonly StoredDemand[]>(
    'updated',
    '[[operation, credits], …] not committed, where a budget counts operations; else null',
  )
    .as(toDemands, fromDemands)
    .nullable(),
  usedAt: instant(
    'inserted',
    'when its work was done; null: commits count when they are made',
  ).nullable(),
  caller: text('inserted', 'who reserved'),
  reference: text('inserted', "the caller's name for the job; null: none").nullIs(''),
  labels: jsonText<Labels>('inserted', '{"name": "value"}; null: none')
    .nullable()
    .as(
      (stored) => stored ?? NO_LABELS,
      (labels) => (Object.keys(labels).length > 0 ? labels : null),
    ),
};

/** A reservation that has a row. */
export type StoredReservation = Reservation & { state: 'ACTIVE' | 'EXPIRED' };

export const reservations = defineTable({
  name: 'reservations',
  comment:
    'Credits set aside from named grants for running jobs. A row is deleted when its reservation is ' +
    'committed or released: from then on its entries say what it was.',
  columns,
  toDomain: (values: Values<typeof columns>): StoredReservation => ({
    ...values,
    endedAt: values.state === 'EXPIRED' ? values.expiresAt : null,
    endedAsking: null,
  }),
  checks: {
    reservations_state_check: [
      `state in (${Object.values(RESERVATION_STATE_CODES).join(', ')})`,
      `(state = ${RESERVATION_STATE_CODES.ACTIVE} or allocations::text = '[]')`,
    ],
    reservations_policy_check: `over_commit_policy in (${Object.values(OVER_COMMIT_POLICY_CODES).join(', ')})`,
    reservations_credits_check: ['credits >= 0', 'committed >= 0', 'returned >= 0'],
    reservations_whole_check: `committed + returned <= credits or over_commit_policy in (${OVER_COMMIT_POLICY_CODES.DRAW}, ${OVER_COMMIT_POLICY_CODES.TAKE})`,
  },
  indexes: {
    reservations_active: {
      on: ['accountId', 'expiresAt'],
      where: `state = ${RESERVATION_STATE_CODES.ACTIVE}`,
    },
    reservations_by_age: { on: ['state', 'createdAt', 'reservationId'] },
  },
  privileges: 'select, insert, update, delete',
  unanalyzed: ['allocations', 'expiredAllocations', 'heldFor', 'heldByOperation', 'labels'],
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
