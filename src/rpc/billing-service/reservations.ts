/**
 * Reservations: Reserve, Commit, Release, ExtendReservation, RaiseReservation, GetReservation and
 * ListReservations.
 */
import {
  CommitRequest,
  CommitResponse,
  ExtendReservationRequest,
  ExtendReservationResponse,
  type GetReservationRequest,
  type GetReservationResponse,
  type ListReservationsRequest,
  type ListReservationsResponse,
  RaiseReservationRequest,
  RaiseReservationResponse,
  ReleaseRequest,
  ReleaseResponse,
  ReserveRequest,
  ReserveResponse,
} from '../../gen/billing/v1/billing_service.ts';
import { OverCommitPolicy, Reservation, Reservation_State } from '../../gen/billing/v1/ledger.ts';
import { reservationNotFound } from '../../ledger/failures.ts';
import type { ReservationState } from '../../ledger/reservation.ts';
import { hidden, othersWork } from '../../policy/denials.ts';
import { findReservation, findReservations } from '../../queries/reservations.ts';
import { findShadowReservation } from '../../queries/shadow-decisions.ts';
import { ownerOf } from '../call/access.ts';
import { FieldChecker } from '../call/field-checker.ts';
import type { UnaryCall } from '../call/handlers.ts';
import { loadBook } from '../call/load-account.ts';
import { defineMutation } from '../call/mutation.ts';
import { decodePageToken, encodePageToken, SEQ_KEY, toPage } from '../call/pages.ts';
import { balanceMessage } from '../messages/balance.ts';
import { allocationMessage } from '../messages/grant.ts';
import { pricedUsageMessage } from '../messages/priced-usage.ts';
import { reservationMessage } from '../messages/reservation.ts';
import type { ServiceContext } from '../service-context.ts';
import { parseCommittedAmount, parseCriticality, parseRequestedAmount } from './usage-fields.ts';

const OVER_COMMIT_POLICIES = {
  [OverCommitPolicy.UNSPECIFIED]: 'REJECT',
  [OverCommitPolicy.REJECT]: 'REJECT',
  [OverCommitPolicy.CAP]: 'CAP',
  [OverCommitPolicy.DRAW]: 'DRAW',
  [OverCommitPolicy.TAKE]: 'TAKE',
} as const;

export const reserve = defineMutation(
  'Reserve',
  ReserveRequest,
  ReserveResponse,
  (request, check) => {
    const overCommitPolicy = OVER_COMMIT_POLICIES[request.overCommitPolicy];
    if (!overCommitPolicy)
      check.addViolation('over_commit_policy', 'must be REJECT, CAP, DRAW or TAKE');
    return {
      kind: 'Reserve',
      amount: parseRequestedAmount(request, check),
      ttlMs: check.ttlMs(request.ttl),
      overCommitPolicy,
      rateCardVersion: check.rateCardVersion(request.rateCardVersion),
      reference: check.text('reference', request.reference, 256),
      labels: check.labels('labels', request.labels),
      criticality: parseCriticality(request, check),
      usedAt: check.instant('used_at', request.usedAt),
    };
  },
  (outcome, book) => ({
    reservation: reservationMessage(outcome.reservation),
    balance: balanceMessage(book),
    entrySeq: outcome.entrySeq,
    lines: outcome.lines.map(pricedUsageMessage),
  }),
);

export const commit = defineMutation(
  'Commit',
  CommitRequest,
  CommitResponse,
  (request, check) => ({
    kind: 'Commit',
    reservationId: check.reservationId(request.reservationId),
    amount: parseCommittedAmount(request, check),
    final: request.final ?? true,
  }),
  (outcome, book) => ({
    reservation: reservationMessage(outcome.reservation),
    balance: balanceMessage(book),
    entrySeq: outcome.entrySeq,
    committed: outcome.committed,
    split: outcome.split.map(allocationMessage),
    lines: outcome.lines.map(pricedUsageMessage),
  }),
);

export const release = defineMutation(
  'Release',
  ReleaseRequest,
  ReleaseResponse,
  (request, check) => ({
    kind: 'Release',
    reservationId: check.reservationId(request.reservationId),
  }),
  (outcome, book) => ({
    reservation: reservationMessage(outcome.reservation),
    balance: balanceMessage(book),
    entrySeq: outcome.entrySeq,
    released: outcome.released,
  }),
);

export const extendReservation = defineMutation(
  'ExtendReservation',
  ExtendReservationRequest,
  ExtendReservationResponse,
  (request, check) => {
    const ttlMs = check.ttlMs(request.ttl);
    if (ttlMs === null) check.addViolation('ttl', 'is required');
    return {
      kind: 'ExtendReservation',
      reservationId: check.reservationId(request.reservationId),
      ttlMs: ttlMs ?? 0,
    };
  },
  ({ reservation, entrySeq }) => ({ reservation: reservationMessage(reservation), entrySeq }),
);

export const raiseReservation = defineMutation(
  'RaiseReservation',
  RaiseReservationRequest,
  RaiseReservationResponse,
  (request, check) => ({
    kind: 'RaiseReservation',
    reservationId: check.reservationId(request.reservationId),
    amount: parseRequestedAmount(request, check),
  }),
  (outcome, book) => ({
    reservation: reservationMessage(outcome.reservation),
    balance: balanceMessage(book),
    entrySeq: outcome.entrySeq,
    raised: outcome.raised,
    lines: outcome.lines.map(pricedUsageMessage),
  }),
);

export async function getReservation(
  context: ServiceContext,
  request: GetReservationRequest,
  { access }: UnaryCall,
): Promise<GetReservationResponse> {
  const check = new FieldChecker();
  const accountId = check.accountId(request.accountId);
  const reservationId = check.reservationId(request.reservationId);
  check.throwIfInvalid();
  const now = context.clock.now();
  const found =
    (await findReservation(context.em(), context.archive, accountId, reservationId, now)) ??
    (await findShadowReservation(context.em(), accountId, reservationId, now));
  const owner = ownerOf(access);
  if (!found) {
    await loadBook(context, accountId);
    throw reservationNotFound(accountId, reservationId);
  }
  if (owner !== null && found.caller !== owner) {
    const call = { caller: owner, method: 'GetReservation', accountId } as const;
    throw context.authorization.report(
      hidden(reservationNotFound(accountId, reservationId), othersWork(call)),
    );
  }
  return { reservation: reservationMessage(found) };
}

const STATES = new Map<Reservation_State, ReservationState>([
  [Reservation_State.ACTIVE, 'ACTIVE'],
  [Reservation_State.COMMITTED, 'COMMITTED'],
  [Reservation_State.RELEASED, 'RELEASED'],
  [Reservation_State.EXPIRED, 'EXPIRED'],
]);

export async function listReservations(
  context: ServiceContext,
  request: ListReservationsRequest,
  { access }: UnaryCall,
): Promise<ListReservationsResponse> {
  const check = new FieldChecker();
  const accountId = check.accountId(request.accountId);
  const pageSize = check.pageSize(request.pageSize);
  const states = check.values('states', request.states, STATES);
  check.throwIfInvalid();
  const list = ['reservations', accountId, ...states];
  const before = decodePageToken(list, request.pageToken, SEQ_KEY);
  const { account } = await loadBook(context, accountId);
  const page = await findReservations(context.em(), context.archive, {
    accountId,
    states,
    caller: ownerOf(access),
    now: context.clock.now(),
    beforeSeq: before === null ? account.seq + 1n : BigInt(before),
    limit: pageSize,
  });
  const { messages, nextPageToken } = toPage(
    page.reservations,
    pageSize,
    Reservation,
    reservationMessage,
    ({ entrySeq }) => encodePageToken(list, entrySeq),
  );
  const isCut = messages.length < page.reservations.length;
  return {
    reservations: messages,
    nextPageToken:
      isCut || page.nextBeforeSeq === null
        ? nextPageToken
        : encodePageToken(list, page.nextBeforeSeq),
  };
}
