/** The tables of shadow mode: what accounts would have used, what was decided, and the jobs of that work. */
import type { JsonInteger } from '../../canonical.ts';
import type { Allocation } from '../../ledger/allocation/allocation.ts';
import type { Demand } from '../../ledger/allocation/waterfall.ts';
import type { EntryKind, Labels, Method } from '../../ledger/entry.ts';
import { contentJson, readContent, type StoredContent } from '../../ledger/entry-content.ts';
import type { OverCommitPolicy, ReservationState } from '../../ledger/reservation.ts';
import type { Refusal, ShadowDecision, ShadowReservation } from '../../ledger/shadow/shadow.ts';
import type { GrantUse, ShadowUse } from '../../ledger/shadow/shadow-use.ts';
import { bigint, bytea, code, instant, int, jsonText, text, uuid } from '../../pg/column.ts';
import { defineTable, type Values } from '../../pg/table.ts';
import { KIND_CODES, METHOD_CODES } from './codes.ts';
import { requestIdToBytes, requestIdToText } from './request-id.ts';

type StoredUse = {
  /** Grant, spent, reserved. */
  readonly grants: readonly (readonly [JsonInteger, JsonInteger, JsonInteger])[];
  /** Counter of a budget, and its credits. */
  readonly counters: readonly (readonly [string, JsonInteger])[];
  /** seq of the entry since which a budget counts, and of the newest decision before it. */
  readonly budgets?: readonly (readonly [JsonInteger, JsonInteger])[];
  readonly overage: JsonInteger;
  readonly overage_month: number;
  readonly overage_reserved: JsonInteger;
};

const useColumns = {
  accountId: text('key'),
  since: instant('updated', 'when the shadow mode began that it is of'),
  seq: bigint('updated', 'of the newest decision'),
  sinceSeq: bigint('updated', 'of the newest decision before that shadow mode'),
  used: jsonText<StoredUse>('updated', 'of grants, overage and budgets, in addition').from(
    ({
      grants,
      counters,
      budgets,
      overage,
      overageMonth,
      overageReserved,
    }: ShadowUse): StoredUse => ({
      grants: Array.from(grants, ([grantId, { spent, reserved }]) => [grantId, spent, reserved]),
      counters: [...counters],
      ...(budgets.size > 0 && { budgets: [...budgets] }),
      overage,
      overage_month: overageMonth,
      overage_reserved: overageReserved,
    }),
  ),
};

export const shadowUse = defineTable({
  name: 'shadow_use',
  comment: 'What accounts would have used in shadow mode, beside what their rows say.',
  columns: useColumns,
  toDomain: ({ used, ...values }: Values<typeof useColumns>): ShadowUse => ({
    ...values,
    grants: new Map(
      used.grants.map(([grantId, spent, reserved]): [bigint, GrantUse] => [
        BigInt(grantId),
        { spent: BigInt(spent), reserved: BigInt(reserved) },
      ]),
    ),
    counters: new Map(used.counters.map(([name, credits]) => [name, BigInt(credits)])),
    budgets: new Map(used.budgets?.map(([since, seq]) => [BigInt(since), BigInt(seq)])),
    overage: BigInt(used.overage),
    overageMonth: used.overage_month,
    overageReserved: BigInt(used.overage_reserved),
  }),
  privileges: 'select, insert, update',
  fillfactor: 70,
});

const NO_LABELS: Labels = {};

const decisionColumns = {
  accountId: text('key'),
  seq: bigint('key', '1000000000000001, … within the account, without gaps'),
  at: instant('inserted'),
  credits: bigint('inserted', 'what it is about: reserved, committed, …'),
  availableAfter: bigint('inserted', 'what would have been available after it'),
  refundedSeq: bigint('inserted', 'of a REFUND: the commit or charge').nullable(),
  planVersion: int('inserted', 'of the plan'),
  rateCardVersion: int('inserted', 'of the plan').nullable(),
  kind: code<EntryKind>(KIND_CODES)('inserted', 'a number, as of entries'),
  method: code<Method>(METHOD_CODES)('inserted', 'a number, as of entries; null: no request')
    .nullable()
    .from(({ request }: ShadowDecision) => request?.method ?? null),
  reservationId: uuid('inserted').nullable(),
  planId: text('inserted', 'whose terms and prices applied'),
  caller: text('inserted'),
  requestId: bytea('inserted', 'see request_id_to_text; null: no request')
    .as(requestIdToText, requestIdToBytes)
    .nullIs(''),
  traceId: uuid('inserted', 'W3C trace id')
    .as(
      (id) => id.replaceAll('-', ''),
      (id) => id,
    )
    .nullIs(''),
  content: jsonText<StoredContent>('inserted', 'moves, usages and more, as of entries').fromText(
    (decision: ShadowDecision) => contentJson(decision),
  ),
  fingerprint: bytea('inserted', 'with a method: hash of what the request asked for')
    .nullable()
    .from(({ request }: ShadowDecision) => request?.fingerprint ?? null),
  response: bytea('inserted', 'with a method: protobuf-encoded, packed')
    .nullable()
    .from(({ request }: ShadowDecision) => request?.response ?? null),
  reference: text('inserted', "the caller's name for the job; null: none").nullIs(''),
  labels: jsonText<Labels>('inserted', '{"name": "value"}; null: none')
    .nullable()
    .as(
      (stored) => stored ?? NO_LABELS,
      (labels) => (Object.keys(labels).length > 0 ? labels : null),
    ),
  refusal: jsonText<Refusal>(
    'inserted',
    'the reason and the values of the error that it would have been; null: allowed',
  ).nullable(),
};

type DecisionValues = Values<typeof decisionColumns>;

/** A decision as it is stored, without what only its writing needs. */
export type StoredShadowDecision = ReturnType<typeof toDecision>;

function toDecision({ content, fingerprint, response, method, ...values }: DecisionValues) {
  return {
    ...values,
    ...readContent(content, values.kind),
    request: method === null ? null : { method, fingerprint, response },
  };
}

export const shadowDecisions = defineTable({
  name: 'shadow_decisions',
  comment:
    'What was decided in shadow mode, and would have been entries. Rows are never changed. They move no credits.',
  columns: decisionColumns,
  toDomain: toDecision,
  checks: { shadow_decisions_seq_check: 'seq > 1000000000000000' },
  indexes: {
    shadow_decisions_request: {
      on: ['requestId', 'accountId', 'method'],
      where: 'method is not null',
      unique: true,
    },
    shadow_decisions_by_reservation: {
      on: ['reservationId'],
      where: 'reservation_id is not null',
    },
    shadow_decisions_by_refunded: {
      on: ['accountId', 'refundedSeq'],
      where: 'refunded_seq is not null',
    },
  },
  privileges: 'select, insert',
  unanalyzed: ['content', 'fingerprint', 'response', 'labels', 'refusal'],
});

type StoredAllocation = readonly [grantId: JsonInteger, credits: JsonInteger];
type StoredDemand = readonly [operation: string | null, credits: JsonInteger];

/** What changes of a job. */
type StoredJob = {
  readonly credits: JsonInteger;
  readonly committed: JsonInteger;
  readonly returned: JsonInteger;
  readonly allocations: readonly StoredAllocation[];
  readonly expired_allocations: readonly StoredAllocation[];
  readonly held_for: readonly StoredDemand[] | null;
  readonly held_by_operation: readonly StoredDemand[] | null;
  readonly ended_at: number | null;
  readonly ended_asking: string | null;
  readonly late: boolean;
};

/** What stays as it is. */
type StoredStart = {
  readonly entry_seq: JsonInteger;
  readonly created_at: number;
  /** When its work was done, where the caller said so. */
  readonly used_at?: number;
  readonly over_commit_policy: OverCommitPolicy;
  readonly plan_id: string;
  readonly rate_card_version: number;
  readonly caller: string;
  readonly reference: string;
  readonly labels: Labels;
  readonly is_refused: boolean;
};

const reservationColumns = {
  accountId: text('key'),
  reservationId: uuid('key'),
  state: text<ReservationState>(
    'updated',
    'ACTIVE until its account is used, even past expires_at',
  ),
  expiresAt: instant('updated'),
  job: jsonText<StoredJob>('updated', 'what it holds, and has committed').from(toStoredJob),
  start: jsonText<StoredStart>('inserted', 'how it was made').from(toStoredStart),
};

export const shadowReservations = defineTable({
  name: 'shadow_reservations',
  comment: 'Jobs that were reserved in shadow mode. They hold nothing of their account.',
  columns: reservationColumns,
  toDomain: toReservation,
  indexes: {
    shadow_reservations_active: { on: ['accountId', 'expiresAt'], where: "state = 'ACTIVE'" },
  },
  privileges: 'select, insert, update',
  unanalyzed: ['job', 'start'],
});

const fromAllocations = (allocations: readonly Allocation[]): readonly StoredAllocation[] =>
  allocations.map(({ grantId, credits }) => [grantId, credits]);

const toAllocations = (stored: readonly StoredAllocation[]): readonly Allocation[] =>
  stored.map(([grantId, credits]) => ({ grantId: BigInt(grantId), credits: BigInt(credits) }));

const fromDemands = (demands: readonly Demand[] | null): readonly StoredDemand[] | null =>
  demands?.map(({ operation, credits }) => [operation, credits]) ?? null;

const toDemands = (stored: readonly StoredDemand[] | null): readonly Demand[] | null =>
  stored?.map(([operation, credits]) => ({ operation, credits: BigInt(credits) })) ?? null;

function toStoredJob(reservation: ShadowReservation): StoredJob {
  return {
    credits: reservation.credits,
    committed: reservation.committed,
    returned: reservation.returned,
    allocations: fromAllocations(reservation.allocations),
    expired_allocations: fromAllocations(reservation.expiredAllocations),
    held_for: fromDemands(reservation.heldFor),
    held_by_operation: fromDemands(reservation.heldByOperation),
    ended_at: reservation.endedAt,
    ended_asking: reservation.endedAsking,
    late: reservation.late,
  };
}

function toStoredStart(reservation: ShadowReservation): StoredStart {
  return {
    entry_seq: reservation.entrySeq,
    created_at: reservation.createdAt,
    ...(reservation.usedAt !== null && { used_at: reservation.usedAt }),
    over_commit_policy: reservation.overCommitPolicy,
    plan_id: reservation.planId,
    rate_card_version: reservation.rateCardVersion,
    caller: reservation.caller,
    reference: reservation.reference,
    labels: reservation.labels,
    is_refused: reservation.isRefused,
  };
}

function toReservation({
  job,
  start,
  ...values
}: Values<typeof reservationColumns>): ShadowReservation {
  return {
    ...values,
    credits: BigInt(job.credits),
    committed: BigInt(job.committed),
    returned: BigInt(job.returned),
    allocations: toAllocations(job.allocations),
    expiredAllocations: toAllocations(job.expired_allocations),
    heldFor: toDemands(job.held_for),
    heldByOperation: toDemands(job.held_by_operation),
    endedAt: job.ended_at,
    endedAsking: job.ended_asking,
    late: job.late,
    entrySeq: BigInt(start.entry_seq),
    createdAt: start.created_at,
    usedAt: start.used_at ?? null,
    overCommitPolicy: start.over_commit_policy,
    planId: start.plan_id,
    rateCardVersion: start.rate_card_version,
    caller: start.caller,
    reference: start.reference,
    labels: start.labels,
    isRefused: start.is_refused,
  };
}
