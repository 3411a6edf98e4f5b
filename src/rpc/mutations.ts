/**
 * Every mutation: how its request becomes a command, and how what the command did becomes its
 * response. The keys are those of the services' methods and of Batch's mutations.
 */
import type { Failure } from '../failure.ts';
import {
  CloseAccountRequest,
  CloseAccountResponse,
  GrantCreditsRequest,
  GrantCreditsResponse,
  MoveAccountRequest,
  MoveAccountResponse,
  OpenAccountRequest,
  OpenAccountResponse,
  type OwnLimit,
  UpdateAccountRequest,
  UpdateAccountResponse,
} from '../gen/billing/v1/account_service.ts';
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
} from '../gen/billing/v1/billing_service.ts';
import { Criticality, Grant_Category, OverCommitPolicy } from '../gen/billing/v1/ledger.ts';
import type { Usage as UsageMessage } from '../gen/billing/v1/pricing.ts';
import type { Asked } from '../ledger/asked.ts';
import { balanceOf } from '../ledger/balance.ts';
import type { Book } from '../ledger/book.ts';
import type { Command, Outcome } from '../ledger/decide.ts';
import { DEFAULT_PRIORITY } from '../ledger/grant.ts';
import { Check } from './check.ts';
import { payment } from './checkout-fields.ts';
import { type Codec, encode } from './encode.ts';
import { fingerprint } from './fingerprint.ts';
import {
  accountMessage,
  allocationMessage,
  balanceMessage,
  grantMessage,
  lineMessage,
  purchaseMessage,
  reservationMessage,
} from './messages.ts';
import { autoTopUpOf } from './top-up-fields.ts';

type Addressed = { accountId: string; requestId: string };

/** A request that has been checked, ready for a lane. */
export type Prepared = {
  readonly accountId: string;
  readonly requestId: string;
  readonly command: Command;
  readonly fingerprint: Uint8Array;
  readonly respond: (outcome: Outcome, book: Book) => Uint8Array;
};

/** Prepares a request of one kind; fails with INVALID_FIELD and every violation. */
export type Prepare<Request> = (request: Request) => Prepared | Failure;

export function mutation<Kind extends Command['kind'], Request extends Addressed, Response>(
  _kind: Kind,
  request: Codec<Request>,
  response: Codec<Response>,
  toCommand: (request: Request, check: Check) => Extract<Command, { kind: Kind }>,
  toResponse: (outcome: Outcome<Kind>, book: Book) => Response,
): Prepare<Request> {
  const respond = (outcome: Outcome, book: Book) =>
    encode(response, toResponse(outcome as Outcome<Kind>, book));
  return (message) => {
    const check = new Check();
    const accountId = check.accountId(message.accountId);
    const requestId = check.requestId(message.requestId);
    const command = toCommand(message, check);
    return (
      check.failure() ?? {
        accountId,
        requestId,
        command,
        fingerprint: fingerprint(request, message),
        respond,
      }
    );
  };
}

const balance = (book: Book) =>
  balanceMessage(balanceOf(book.account, book.grants, book.plan.terms, book.now));

const account = (book: Book) => accountMessage(book.account, book.plan.terms);

const lines = (outcome: { lines: Outcome<'Reserve'>['lines'] }) =>
  outcome.lines.map((line) => lineMessage(line));

/** Usages or credits, one of them. */
function asked(
  request: { usages: UsageMessage[]; credits?: bigint | undefined },
  check: Check,
): Asked {
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

/** The change of a limit that an account can have of its own; nothing where it stays as it is. */
const ownLimit = <Field extends string>(
  field: Field,
  name: string,
  limit: OwnLimit | undefined,
  check: Check,
): { readonly [name in Field]?: bigint | null } => {
  if (!limit) return {};
  const { credits } = limit;
  const own = credits === undefined ? null : check.credits(`${name}.credits`, credits);
  return { [field]: own } as { [name in Field]?: bigint | null };
};

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

const CATEGORIES: Partial<Record<Grant_Category, 'PAID' | 'PROMOTIONAL' | 'ADJUSTMENT'>> = {
  [Grant_Category.PAID]: 'PAID',
  [Grant_Category.PROMOTIONAL]: 'PROMOTIONAL',
  [Grant_Category.ADJUSTMENT]: 'ADJUSTMENT',
};

const grantCredits = mutation(
  'GrantCredits',
  GrantCreditsRequest,
  GrantCreditsResponse,
  (request, check) => {
    const category = CATEGORIES[request.category];
    if (!category) check.refuse('category', 'must be PAID, PROMOTIONAL or ADJUSTMENT');
    const priority = request.priority ?? DEFAULT_PRIORITY;
    if (priority < 0 || priority > 100) check.refuse('priority', 'must be 0 to 100');
    return {
      kind: 'GrantCredits',
      credits: check.credits('credits', request.credits, 1n),
      category: category ?? 'ADJUSTMENT',
      priority,
      effectiveAt: check.instant('effective_at', request.effectiveAt),
      expiresAt: check.instant('expires_at', request.expiresAt),
      operations: check.operations('operations', request.operations),
      reference: check.text('reference', request.reference, 256),
      labels: check.labels('labels', request.labels),
    };
  },
  (outcome, book) => ({
    grant: grantMessage(outcome.grant, book.now),
    balance: balance(book),
    entrySeq: outcome.entrySeq,
  }),
);

const openAccount = mutation(
  'OpenAccount',
  OpenAccountRequest,
  OpenAccountResponse,
  (request, check) => ({
    kind: 'OpenAccount',
    planId: check.name('plan_id', request.planId),
    displayName: check.text('display_name', request.displayName, 256),
    labels: check.labels('labels', request.labels),
  }),
  (_, book) => ({ account: account(book), balance: balance(book) }),
);

const updateAccount = mutation(
  'UpdateAccount',
  UpdateAccountRequest,
  UpdateAccountResponse,
  (request, check) => ({
    kind: 'UpdateAccount',
    displayName:
      request.displayName === undefined
        ? null
        : check.text('display_name', request.displayName, 256),
    labels: request.labels ? check.labels('labels.labels', request.labels.labels) : null,
    ...ownLimit('lowBalanceThreshold', 'low_balance_threshold', request.lowBalanceThreshold, check),
    ...ownLimit('pauseFloor', 'pause_floor', request.pauseFloor, check),
    ...(request.autoTopUp && {
      autoTopUp: request.autoTopUp.autoTopUp
        ? autoTopUpOf(request.autoTopUp.autoTopUp, check)
        : null,
    }),
  }),
  (_, book) => ({ account: account(book) }),
);

const moveAccount = mutation(
  'MoveAccount',
  MoveAccountRequest,
  MoveAccountResponse,
  (request, check) => ({
    kind: 'MoveAccount',
    planId: check.name('plan_id', request.planId),
    reference: check.text('reference', request.reference, 256),
    labels: check.labels('labels', request.labels),
  }),
  (outcome, book) => ({
    account: accountMessage(book.account, book.plan.terms),
    balance: balance(book),
    entrySeq: outcome.entrySeq,
  }),
);

const closeAccount = mutation(
  'CloseAccount',
  CloseAccountRequest,
  CloseAccountResponse,
  () => ({ kind: 'CloseAccount' }),
  (_, book) => ({ account: account(book), balance: balance(book) }),
);

export const mutations = {
  reserve,
  commit,
  release,
  charge,
  extendReservation,
  raiseReservation,
  refund,
  purchase,
  grantCredits,
  openAccount,
  updateAccount,
  moveAccount,
  closeAccount,
};
