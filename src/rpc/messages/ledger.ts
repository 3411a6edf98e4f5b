/** Nouns of the ledger as messages of the protos. */
import {
  Account_State,
  type Account as AccountMessage,
} from '../../gen/billing/v1/account_service.ts';
import {
  type Allocation as AllocationMessage,
  type Balance as BalanceMessage,
  Bucket_Kind,
  Entry_Kind,
  type Entry as EntryMessage,
  Grant_Category,
  Grant_Source,
  Grant_State,
  type Grant as GrantMessage,
  type Move as MoveMessage,
  OverCommitPolicy,
  Purchase_DisputeState,
  Purchase_Method,
  Purchase_State,
  type Purchase as PurchaseMessage,
  Reservation_State,
  type Reservation as ReservationMessage,
} from '../../gen/billing/v1/ledger.ts';
import type { PricedUsage as PricedUsageMessage } from '../../gen/billing/v1/pricing.ts';
import type { Account, Balance } from '../../ledger/account.ts';
import type { BucketKind, Entry, Move } from '../../ledger/entry.ts';
import { type Grant, stateOf } from '../../ledger/grant.ts';
import { lowBalanceThreshold, pauseFloor } from '../../ledger/limits-in-force.ts';
import type { Purchase } from '../../ledger/purchase.ts';
import { type Allocation, heldBy, OVERAGE, type Reservation } from '../../ledger/reservation.ts';
import { splitOf } from '../../ledger/split.ts';
import { divideMoney, shortest } from '../../pricing/money.ts';
import type { Terms } from '../../pricing/plan.ts';
import type { PricedUsage } from '../../pricing/price.ts';
import { autoTopUpMessage } from '../account-service/auto-top-up.ts';

const instant = (ms: number | null): Date | undefined => (ms === null ? undefined : new Date(ms));

export const balanceMessage = (balance: Balance): BalanceMessage => ({
  ...balance,
  nextExpiry: balance.nextExpiry
    ? {
        expiresAt: new Date(balance.nextExpiry.expiresAt),
        credits: balance.nextExpiry.credits,
      }
    : undefined,
  nextAllowance: balance.nextAllowance
    ? {
        dueAt: new Date(balance.nextAllowance.dueAt),
        credits: balance.nextAllowance.credits,
      }
    : undefined,
  asOf: new Date(balance.asOf),
});

export const grantMessage = (grant: Grant, now: number): GrantMessage => ({
  grantId: grant.grantId,
  amount: grant.amount,
  remaining: grant.remaining,
  reserved: grant.reserved,
  category: Grant_Category[grant.category],
  priority: grant.priority,
  effectiveAt: new Date(grant.effectiveAt),
  expiresAt: instant(grant.expiresAt),
  source: Grant_Source[grant.source],
  sourceReference: grant.sourceReference,
  state: Grant_State[stateOf(grant, now)],
  createdAt: new Date(grant.createdAt),
  operations: [...grant.operations],
});

export const allocationMessage = ({ grantId, credits }: Allocation): AllocationMessage => ({
  source:
    grantId === OVERAGE ? { $case: 'overage', value: true } : { $case: 'grantId', value: grantId },
  credits,
});

export const reservationMessage = (reservation: Reservation): ReservationMessage => ({
  accountId: reservation.accountId,
  reservationId: reservation.reservationId,
  state: Reservation_State[reservation.state],
  credits: reservation.credits,
  held: heldBy(reservation),
  committed: reservation.committed,
  returned: reservation.returned,
  allocations: reservation.allocations.map(allocationMessage),
  expiresAt: new Date(reservation.expiresAt),
  createdAt: new Date(reservation.createdAt),
  endedAt: instant(reservation.endedAt),
  overCommitPolicy: OverCommitPolicy[reservation.overCommitPolicy],
  rateCardVersion: BigInt(reservation.rateCardVersion),
  reference: reservation.reference,
  labels: reservation.labels,
  late: reservation.late,
  planId: reservation.planId,
});

/** A priced usage; `components` only where an estimate shows how the price came about. */
export const lineMessage = (line: PricedUsage, withComponents = false): PricedUsageMessage => ({
  usage: {
    operation: line.usage.operation,
    quantities: line.usage.quantities,
    attributes: line.usage.attributes,
    count: line.usage.count,
  },
  unitCredits: line.unitCredits,
  credits: line.credits,
  billable: line.billable,
  components: withComponents ? [...line.components] : [],
});

/** `grant` is the one it made, as it is now. */
export const purchaseMessage = (purchase: Purchase, grant: Grant | null): PurchaseMessage => ({
  purchaseId: purchase.purchaseId,
  accountId: purchase.accountId,
  packId: purchase.packId,
  credits: purchase.credits,
  price: purchase.price,
  state: Purchase_State[purchase.state],
  paymentReference: purchase.paymentReference ?? '',
  grantId: purchase.grantId ?? 0n,
  createdAt: new Date(purchase.createdAt),
  paidAt: instant(purchase.paidAt),
  method: Purchase_Method[purchase.method],
  checkoutUrl: purchase.state === 'PENDING' ? (purchase.session?.url ?? '') : '',
  remaining: grant?.remaining ?? 0n,
  expiresAt: instant(grant?.expiresAt ?? null),
  pricePerCredit: divideMoney(purchase.price, purchase.credits),
  amountRefunded: shortest({ ...purchase.price, amount: purchase.amountRefunded }),
  creditsClawedBack: purchase.creditsClawedBack,
  creditsUnrecovered: purchase.creditsUnrecovered,
  disputeState: Purchase_DisputeState[purchase.disputeState],
  failureCode: purchase.failureCode,
  title: purchase.title,
  labels: purchase.labels,
});

/** `terms` are those of its plan, which hold where it has no limits of its own. */
export const accountMessage = (account: Account, terms: Terms): AccountMessage => ({
  accountId: account.accountId,
  planId: account.planId,
  state: Account_State[account.state],
  displayName: account.displayName,
  labels: account.labels,
  openedAt: new Date(account.openedAt),
  closedAt: instant(account.closedAt),
  lowBalanceThreshold: lowBalanceThreshold(account, terms),
  pauseFloor: pauseFloor(account, terms),
  ownLowBalanceThreshold: account.lowBalanceThreshold ?? undefined,
  ownPauseFloor: account.pauseFloor ?? undefined,
  autoTopUp: account.autoTopUp ? autoTopUpMessage(account.autoTopUp) : undefined,
  topUpDueAt: instant(account.topUpDueAt),
  topUpPurchaseId: account.topUps?.purchaseId ?? '',
});

const BUCKETS: Readonly<Record<BucketKind, Bucket_Kind>> = {
  issued: Bucket_Kind.ISSUED,
  available: Bucket_Kind.GRANT_AVAILABLE,
  reserved: Bucket_Kind.GRANT_RESERVED,
  overage: Bucket_Kind.OVERAGE,
  overage_reserved: Bucket_Kind.OVERAGE_RESERVED,
  consumed: Bucket_Kind.CONSUMED,
  expired: Bucket_Kind.EXPIRED,
};

const bucketMessage = (bucket: BucketKind, grantId: bigint) => ({
  kind: BUCKETS[bucket],
  grantId: bucket === 'available' || bucket === 'reserved' ? grantId : 0n,
});

const moveMessage = ({ from, to, grantId, credits }: Move): MoveMessage => ({
  from: bucketMessage(from, grantId),
  to: bucketMessage(to, grantId),
  credits,
});

export const entryMessage = (entry: Entry): EntryMessage => ({
  accountId: entry.accountId,
  seq: entry.seq,
  kind: Entry_Kind[entry.kind],
  at: new Date(entry.at),
  moves: entry.moves.map(moveMessage),
  credits: entry.credits,
  remainingAfter: entry.remainingAfter,
  reservedAfter: entry.reservedAfter,
  overageAfter: entry.overageAfter,
  reservationId: entry.reservationId ?? '',
  grantId: entry.grantId ?? 0n,
  refundedSeq: entry.refundedSeq ?? 0n,
  usages: entry.usages.map((line) => lineMessage(line)),
  rateCardVersion: BigInt(entry.rateCardVersion ?? 0),
  late: entry.late,
  caller: entry.caller,
  requestId: entry.requestId,
  reference: entry.reference,
  labels: entry.labels,
  traceId: entry.traceId,
  spanId: entry.spanId,
  hash: Buffer.from(entry.hash),
  planId: entry.planId ?? '',
  previousPlanId: entry.previousPlanId ?? '',
  split: splitOf(entry.moves).map(allocationMessage),
});
