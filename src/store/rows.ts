/**
 * How rows read from the database become nouns of the ledger: the columns of each noun as SQL, and
 * the translation beside it. Instants are read as epoch milliseconds.
 */

import type { Account, AccountState } from '../ledger/account.ts';
import type { Allocation } from '../ledger/allocation/allocation.ts';
import type { Demand } from '../ledger/allocation/waterfall.ts';
import type { CustomPack } from '../ledger/custom-pack.ts';
import type { BucketKind, Entry, EntryKind, Labels, Move } from '../ledger/entry.ts';
import {
  ALL_OPERATIONS,
  type Grant,
  type GrantCategory,
  type GrantSource,
  type GrantState,
} from '../ledger/grant.ts';
import type { DisputeState, Purchase, PurchaseMethod, PurchaseState } from '../ledger/purchase.ts';
import type { OverCommitPolicy, Reservation, ReservationState } from '../ledger/reservation.ts';
import { trimZeros } from '../pricing/money.ts';
import type { Money, Validity } from '../pricing/plan.ts';
import { parseValidity } from '../pricing/plan-file/validity.ts';
import type { PricedUsage } from '../pricing/price.ts';
import { type StoredAutoTopUp, type StoredTopUps, toAutoTopUp, toTopUps } from './top-ups.ts';

/** A row as the driver gives it. What a column holds is said by the query that named it. */
export type Row = Readonly<Record<string, never>>;

/** SQL of an instant as epoch milliseconds (extract would count in numeric: five times the work). */
export const millis = (column: string, name = column): string =>
  `round(date_part('epoch', ${column}) * 1000) as ${name}`;

export const accountColumns = `account_id, plan_id, state, display_name, labels, low_balance_threshold,
  pause_floor, auto_top_up, top_ups, ${millis('top_up_due_at')}, ${millis('opened_at')},
  ${millis('closed_at')}, seq, grant_count, event_count, remaining, reserved, overage,
  overage_reserved, overage_limit, low_balance, ${millis('allowance_due_at')},
  ${millis('statement_due_at')}, statement_plan_id, ${millis('due_at')}, ${millis('last_at')},
  last_hash, version`;

export const toAccount = (row: Row): Account => ({
  accountId: row['account_id']!,
  planId: row['plan_id']!,
  state: row['state']! as AccountState,
  displayName: row['display_name']!,
  labels: row['labels']! as Labels,
  lowBalanceThreshold: optional(row['low_balance_threshold']!),
  pauseFloor: optional(row['pause_floor']!),
  autoTopUp: toAutoTopUp(row['auto_top_up']! as StoredAutoTopUp | null),
  topUps: toTopUps(row['top_ups']! as StoredTopUps | null),
  topUpDueAt: row['top_up_due_at']!,
  openedAt: row['opened_at']!,
  closedAt: row['closed_at']!,
  seq: BigInt(row['seq']!),
  grantCount: BigInt(row['grant_count']!),
  eventCount: BigInt(row['event_count']!),
  remaining: BigInt(row['remaining']!),
  reserved: BigInt(row['reserved']!),
  overage: BigInt(row['overage']!),
  overageReserved: BigInt(row['overage_reserved']!),
  overageLimit: BigInt(row['overage_limit']!),
  lowBalance: row['low_balance']!,
  allowanceDueAt: row['allowance_due_at']!,
  statementDueAt: row['statement_due_at']!,
  statementPlanId: row['statement_plan_id']!,
  dueAt: row['due_at']!,
  lastAt: row['last_at']!,
  lastHash: row['last_hash']!,
  version: BigInt(row['version']!),
});

export const grantColumns = `account_id, grant_id, amount, remaining, reserved, category, priority,
  ${millis('effective_at')}, ${millis('expires_at')}, source, source_reference, operations,
  ${millis('notice_at')}, state, ${millis('created_at')}`;

export const toGrant = (row: Row): Grant => ({
  accountId: row['account_id']!,
  grantId: BigInt(row['grant_id']!),
  amount: BigInt(row['amount']!),
  remaining: BigInt(row['remaining']!),
  reserved: BigInt(row['reserved']!),
  category: row['category']! as GrantCategory,
  priority: row['priority']!,
  effectiveAt: row['effective_at']!,
  expiresAt: row['expires_at']!,
  source: row['source']! as GrantSource,
  sourceReference: row['source_reference']!,
  operations: row['operations'] ?? ALL_OPERATIONS,
  noticeAt: row['notice_at']!,
  state: row['state']! as GrantState,
  createdAt: row['created_at']!,
});

export const reservationColumns = `account_id, reservation_id, state, credits, committed, returned,
  allocations, held_for, ${millis('expires_at')}, ${millis('created_at')}, ${millis('ended_at')},
  over_commit_policy, plan_id, rate_card_version, reference, labels, late`;

type StoredAllocation = readonly [grantId: number | string, credits: number | string];

const toAllocation = ([grantId, credits]: StoredAllocation): Allocation => ({
  grantId: BigInt(grantId),
  credits: BigInt(credits),
});

type StoredDemand = readonly [operation: string, credits: number | string];

const toDemand = ([operation, credits]: StoredDemand): Demand => ({
  operation,
  credits: BigInt(credits),
});

export const toReservation = (row: Row): Reservation => ({
  accountId: row['account_id']!,
  reservationId: row['reservation_id']!,
  state: row['state']! as ReservationState,
  credits: BigInt(row['credits']!),
  committed: BigInt(row['committed']!),
  returned: BigInt(row['returned']!),
  allocations: (row['allocations']! as StoredAllocation[]).map(toAllocation),
  heldFor: (row['held_for']! as StoredDemand[] | null)?.map(toDemand) ?? null,
  expiresAt: row['expires_at']!,
  createdAt: row['created_at']!,
  endedAt: row['ended_at']!,
  overCommitPolicy: row['over_commit_policy']! as OverCommitPolicy,
  planId: row['plan_id']!,
  rateCardVersion: row['rate_card_version']!,
  reference: row['reference']!,
  labels: row['labels']! as Labels,
  late: row['late']!,
});

export const purchaseColumns = `account_id, purchase_id, pack_id, title, credits, currency,
  amount::text, validity, method, state, payment_reference, caller, request_id, labels, success_url,
  cancel_url, customer_email, customer, payment_method, session_id, checkout_url,
  ${millis('session_expires_at')}, payment_intent_id, failure_code, grant_id,
  ${millis('created_at')}, ${millis('paid_at')}, amount_refunded::text, dispute_state,
  credits_clawed_back, credits_unrecovered, looks, ${millis('next_check_at')}`;

export const toPurchase = (row: Row): Purchase => ({
  accountId: row['account_id']!,
  purchaseId: row['purchase_id']!,
  packId: row['pack_id']!,
  title: row['title']!,
  credits: BigInt(row['credits']!),
  price: toMoney(row),
  validity: toValidity(row['validity']!),
  method: row['method']! as PurchaseMethod,
  state: row['state']! as PurchaseState,
  paymentReference: row['payment_reference']!,
  caller: row['caller']!,
  requestId: row['request_id']!,
  labels: row['labels']! as Labels,
  checkout:
    row['success_url'] === null
      ? null
      : {
          successUrl: row['success_url']!,
          cancelUrl: row['cancel_url']!,
          customerEmail: row['customer_email']!,
        },
  savedMethod:
    row['customer'] === null
      ? null
      : { customer: row['customer']!, paymentMethod: row['payment_method']! },
  session:
    row['session_id'] === null
      ? null
      : {
          sessionId: row['session_id']!,
          url: row['checkout_url']!,
          expiresAt: row['session_expires_at']!,
        },
  paymentIntentId: row['payment_intent_id']!,
  failureCode: row['failure_code']!,
  grantId: row['grant_id'] === null ? null : BigInt(row['grant_id']!),
  createdAt: row['created_at']!,
  paidAt: row['paid_at']!,
  amountRefunded: trimZeros({ currency: row['currency']!, amount: row['amount_refunded']! }).amount,
  disputeState: row['dispute_state']! as DisputeState,
  creditsClawedBack: BigInt(row['credits_clawed_back']!),
  creditsUnrecovered: BigInt(row['credits_unrecovered']!),
  syncVersion: row['looks']!,
  nextCheckAt: row['next_check_at']!,
});

/** The database pads amounts to 9 digits. */
const toMoney = (row: Row): Money =>
  trimZeros({ currency: row['currency']!, amount: row['amount']! });

/** Null, for ever, is stored as it is. */
function toValidity(stored: string | null): Validity {
  const validity = parseValidity(stored ?? 'never');
  if (validity === undefined) throw new Error(`stored validity ${stored} cannot be read`);
  return validity;
}

export const customPackColumns = `account_id, pack_id, title, credits, currency, amount::text,
  validity, ${millis('offered_at')}, offered_by, ${millis('withdrawn_at')}`;

export const toCustomPack = (row: Row): CustomPack => ({
  accountId: row['account_id']!,
  packId: row['pack_id']!,
  title: row['title']!,
  credits: BigInt(row['credits']!),
  price: toMoney(row),
  validity: toValidity(row['validity']!),
  offeredAt: row['offered_at']!,
  offeredBy: row['offered_by']!,
  withdrawnAt: row['withdrawn_at']!,
});

export type StoredMove = readonly [BucketKind, BucketKind, number | string, number | string];
type StoredUsage = {
  readonly operation: string;
  readonly count: number | string;
  readonly quantities: Readonly<Record<string, number | string>>;
  readonly attributes: Readonly<Record<string, string>>;
  readonly unit_credits: number | string;
  readonly credits: number | string;
  readonly billable: boolean;
};

export const entryColumns = `account_id, seq, kind, ${millis('at')}, moves, credits, remaining_after,
  reserved_after, overage_after, reservation_id, grant_id, refunded_seq, usages,
  rate_card_version, late, caller, request_id, reference, labels, trace_id, span_id, hash,
  plan_id, previous_plan_id`;

export const toMove = ([from, to, grantId, credits]: StoredMove): Move => ({
  from,
  to,
  grantId: BigInt(grantId),
  credits: BigInt(credits),
});

export const toUsage = (stored: StoredUsage): PricedUsage => ({
  usage: {
    operation: stored.operation,
    count: BigInt(stored.count),
    quantities: Object.fromEntries(
      Object.entries(stored.quantities).map(([name, value]) => [name, BigInt(value)]),
    ),
    attributes: stored.attributes,
  },
  unitCredits: BigInt(stored.unit_credits),
  credits: BigInt(stored.credits),
  billable: stored.billable,
  components: [],
});

const optional = (value: string | null): bigint | null => (value === null ? null : BigInt(value));

export const toEntry = (row: Row): Entry => ({
  accountId: row['account_id']!,
  seq: BigInt(row['seq']!),
  kind: row['kind']! as EntryKind,
  at: row['at']!,
  moves: (row['moves']! as StoredMove[]).map(toMove),
  credits: BigInt(row['credits']!),
  remainingAfter: BigInt(row['remaining_after']!),
  reservedAfter: BigInt(row['reserved_after']!),
  overageAfter: BigInt(row['overage_after']!),
  reservationId: row['reservation_id']!,
  grantId: optional(row['grant_id']!),
  refundedSeq: optional(row['refunded_seq']!),
  usages: (row['usages']! as StoredUsage[]).map(toUsage),
  rateCardVersion: row['rate_card_version']!,
  late: row['late']!,
  caller: row['caller']!,
  requestId: row['request_id']!,
  reference: row['reference']!,
  labels: row['labels']! as Labels,
  traceId: row['trace_id']!,
  spanId: row['span_id']!,
  hash: row['hash']!,
  planId: row['plan_id']!,
  previousPlanId: row['previous_plan_id']!,
});
