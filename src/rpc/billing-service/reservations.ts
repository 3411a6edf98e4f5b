/** The mutations of BillingService, by its methods. */
import {
  ChargeRequest,
  ChargeResponse,
  CommitRequest,
  CommitResponse,
  ExtendReservationRequest,
  ExtendReservationResponse,
  PurchaseRequest,
  PurchaseResponse,
  RaiseReservationRequest,
  RaiseReservationResponse,
  RefundRequest,
  RefundResponse,
  ReleaseRequest,
  ReleaseResponse,
  ReserveRequest,
  ReserveResponse,
} from '../../gen/billing/v1/billing_service.ts';
import { Criticality, OverCommitPolicy } from '../../gen/billing/v1/ledger.ts';
import type { Usage as UsageMessage } from '../../gen/billing/v1/pricing.ts';
import type { Outcome } from '../../ledger/decide.ts';
import type { UsagesOrCredits } from '../../ledger/usages-or-credits.ts';
import type { Check } from '../call/field-checker.ts';
import { balance, mutation } from '../call/mutation.ts';
import {
  allocationMessage,
  grantMessage,
  lineMessage,
  purchaseMessage,
  reservationMessage,
} from '../messages/ledger.ts';
import { payment } from './payment-fields.ts';

const lines = (outcome: { lines: Outcome<'Reserve'>['lines'] }) =>
  outcome.lines.map((line) => lineMessage(line));

/** Usages or credits, one of them. */
function asked(
  request: { usages: UsageMessage[]; credits?: bigint | undefined },
  check: Check,
): UsagesOrCredits {
  const { usages, credits } = request;
  if (usages.length > 0 === (credits !== undefined))
    check.refuse('usages', 'give usages or credits, one of them');
  return credits === undefined
    ? { usages: check.usages(usages, 0) }
    : { credits: check.credits('credits', credits) };
}

const POLICIES = {
  [OverCommitPolicy.UNSPECIFIED]: 'REJECT',
  [OverCommitPolicy.REJECT]: 'REJECT',
  [OverCommitPolicy.CAP]: 'CAP',
  [OverCommitPolicy.DRAW]: 'DRAW',
} as const;

const CRITICALITIES = {
  [Criticality.UNSPECIFIED]: 'CRITICAL',
  [Criticality.CRITICAL]: 'CRITICAL',
  [Criticality.SHEDDABLE]: 'SHEDDABLE',
} as const;

function criticality(request: { criticality: Criticality }, check: Check) {
  const known = CRITICALITIES[request.criticality];
  if (!known) check.refuse('criticality', 'must be CRITICAL or SHEDDABLE');
  return known;
}

const reserve = mutation(
  'Reserve',
  ReserveRequest,
  ReserveResponse,
  (request, check) => {
    const overCommitPolicy = POLICIES[request.overCommitPolicy];
    if (!overCommitPolicy) check.refuse('over_commit_policy', 'must be REJECT, CAP or DRAW');
    return {
      kind: 'Reserve',
      asked: asked(request, check),
      ttlMs: check.ttlMs(request.ttl),
      overCommitPolicy,
      rateCardVersion: check.rateCardVersion(request.rateCardVersion),
      reference: check.text('reference', request.reference, 256),
      labels: check.labels('labels', request.labels),
      criticality: criticality(request, check),
    };
  },
  (outcome, book) => ({
    reservation: reservationMessage(outcome.reservation),
    balance: balance(book),
    entrySeq: outcome.entrySeq,
    lines: lines(outcome),
  }),
);

const commit = mutation(
  'Commit',
  CommitRequest,
  CommitResponse,
  (request, check) => ({
    kind: 'Commit',
    reservationId: check.reservationId(request.reservationId),
    asked:
      request.usages.length === 0 && request.credits === undefined ? null : asked(request, check),
    final: request.final ?? true,
  }),
  (outcome, book) => ({
    reservation: reservationMessage(outcome.reservation),
    balance: balance(book),
    entrySeq: outcome.entrySeq,
    committed: outcome.committed,
    split: outcome.split.map(allocationMessage),
    lines: lines(outcome),
  }),
);

const release = mutation(
  'Release',
  ReleaseRequest,
  ReleaseResponse,
  (request, check) => ({
    kind: 'Release',
    reservationId: check.reservationId(request.reservationId),
  }),
  (outcome, book) => ({
    reservation: reservationMessage(outcome.reservation),
    balance: balance(book),
    entrySeq: outcome.entrySeq,
    released: outcome.released,
  }),
);

const charge = mutation(
  'Charge',
  ChargeRequest,
  ChargeResponse,
  (request, check) => ({
    kind: 'Charge',
    asked: asked(request, check),
    rateCardVersion: check.rateCardVersion(request.rateCardVersion),
    reference: check.text('reference', request.reference, 256),
    labels: check.labels('labels', request.labels),
    criticality: criticality(request, check),
  }),
  (outcome, book) => ({
    credits: outcome.credits,
    balance: balance(book),
    entrySeq: outcome.entrySeq,
    split: outcome.split.map(allocationMessage),
    lines: lines(outcome),
  }),
);

const extendReservation = mutation(
  'ExtendReservation',
  ExtendReservationRequest,
  ExtendReservationResponse,
  (request, check) => {
    const ttlMs = check.ttlMs(request.ttl);
    if (ttlMs === null) check.refuse('ttl', 'is required');
    return {
      kind: 'ExtendReservation',
      reservationId: check.reservationId(request.reservationId),
      ttlMs: ttlMs ?? 0,
    };
  },
  (outcome) => ({ reservation: reservationMessage(outcome.reservation) }),
);

const raiseReservation = mutation(
  'RaiseReservation',
  RaiseReservationRequest,
  RaiseReservationResponse,
  (request, check) => ({
    kind: 'RaiseReservation',
    reservationId: check.reservationId(request.reservationId),
    asked: asked(request, check),
  }),
  (outcome, book) => ({
    reservation: reservationMessage(outcome.reservation),
    balance: balance(book),
    entrySeq: outcome.entrySeq,
    raised: outcome.raised,
    lines: lines(outcome),
  }),
);

const refund = mutation(
  'Refund',
  RefundRequest,
  RefundResponse,
  (request, check) => {
    if (request.seq <= 0n) check.refuse('seq', 'must be the entry_seq of a commit or charge');
    return {
      kind: 'Refund',
      seq: request.seq,
      credits: request.credits === undefined ? null : check.credits('credits', request.credits, 1n),
      reference: check.text('reference', request.reference, 256),
      labels: check.labels('labels', request.labels),
    };
  },
  (outcome, book) => ({
    refunded: outcome.refunded,
    balance: balance(book),
    entrySeq: outcome.entrySeq,
    split: outcome.split.map(allocationMessage),
    expired: outcome.expired,
    newGrants: outcome.newGrants.map((grant) => grantMessage(grant, book.now)),
  }),
);

const purchase = mutation(
  'Purchase',
  PurchaseRequest,
  PurchaseResponse,
  (request, check) => ({
    kind: 'Purchase',
    packId: check.name('pack_id', request.packId),
    payment: payment(request, check),
    labels: check.labels('labels', request.labels),
  }),
  (outcome, book) => ({
    purchase: purchaseMessage(outcome.purchase, outcome.grant),
    balance: balance(book),
    entrySeq: outcome.entrySeq,
    grant: outcome.grant ? grantMessage(outcome.grant, book.now) : undefined,
  }),
);

export const billingMutations = {
  reserve,
  commit,
  release,
  charge,
  extendReservation,
  raiseReservation,
  refund,
  purchase,
};
