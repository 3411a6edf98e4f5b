/**
 * The textbook baseline, a process of its own: Reserve as the guides of ORMs write it. One transaction
 * per request: find and lock the account, find its grants, change and create entities, flush. It has the
 * entities, prices, hash chain and rows of the service, but no group commit and no bulk writes.
 */

import assert from 'node:assert/strict';
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from '@grpc/grpc-js';
import { type InferEntity, LockMode } from '@mikro-orm/core';
import { v7 as uuidv7 } from 'uuid';
import {
  BillingServiceService,
  ReserveRequest,
  ReserveResponse,
} from '../../src/gen/billing/v1/billing_service.ts';
import type { Balance } from '../../src/gen/billing/v1/ledger.ts';
import type { Allocation } from '../../src/ledger/allocation/allocation.ts';
import type { UnsealedEntry } from '../../src/ledger/entry.ts';
import { readContent, type StoredContent } from '../../src/ledger/entry-content.ts';
import { type SealedEntry, seal } from '../../src/ledger/hash-chain.ts';
import { toMoves } from '../../src/ledger/moves.ts';
import type { Reservation } from '../../src/ledger/reservation.ts';
import { newSalt } from '../../src/new-id.ts';
import { connect, type Em } from '../../src/pg/orm.ts';
import { readPlanFiles } from '../../src/plan-files.ts';
import type { Plan } from '../../src/pricing/plan.ts';
import { type PricedUsage, priceUsages } from '../../src/pricing/price.ts';
import { hexOf } from '../../src/pricing/publication-hash.ts';
import { fingerprint } from '../../src/rpc/call/fingerprint.ts';
import { pricedUsageMessage } from '../../src/rpc/messages/priced-usage.ts';
import { reservationMessage } from '../../src/rpc/messages/reservation.ts';
import { packResponse, unpackResponse } from '../../src/store/packed-response.ts';
import {
  KIND_CODES,
  METHOD_CODES,
  OVER_COMMIT_POLICY_CODES,
  RESERVATION_STATE_CODES,
} from '../../src/store/tables/codes.ts';
import { entities } from '../../src/store/tables/index.ts';
import { requestIdToBytes } from '../../src/store/tables/request-id.ts';

type Account = InferEntity<typeof entities.accounts>;
type Grant = InferEntity<typeof entities.grants>;
type EntryRow = InferEntity<typeof entities.entries>;

/** The plan files are published once: terms and rate cards have their first version. */
const VERSION = 1;

const files = await readPlanFiles(new URL('../../deploy/plans', import.meta.url).pathname);
assert('plans' in files);
const plans = new Map(files.plans.map((plan) => [plan.planId, plan]));

const usagesOf = ({ usages }: ReserveRequest) =>
  (usages?.items ?? []).map((usage) => ({ ...usage, count: usage.count ?? 1n }));

async function reserve(em: Em, request: ReserveRequest): Promise<Uint8Array> {
  const { accountId, requestId } = request;
  const account = await em.findOneOrFail(
    entities.accounts,
    { accountId },
    { lockMode: LockMode.PESSIMISTIC_WRITE },
  );
  const key = {
    accountId,
    requestId: Buffer.from(requestIdToBytes(requestId)),
    method: METHOD_CODES.Reserve,
  };
  const print = Buffer.from(fingerprint(ReserveRequest, request));
  const before = await em.findOne(entities.entries, key);
  if (before) {
    assert(before.fingerprint, 'personal data of the request was erased');
    assert(print.equals(before.fingerprint), 'the request id was used with other content');
    return responseOf(before);
  }
  const plan = plans.get(account.planId);
  assert(plan);
  const priced = priceUsages(plan.rateCard, usagesOf(request), 'usages');
  assert('lines' in priced);
  const grants = await em.find(
    entities.grants,
    { accountId, open: true },
    { orderBy: { priority: 'asc', expiresAt: 'asc nulls last', grantId: 'asc' } },
  );

  const now = Math.max(Date.now(), account.lastAt.getTime());
  const reservation: Reservation = {
    accountId,
    reservationId: uuidv7(),
    entrySeq: account.seq + 1n,
    state: 'ACTIVE',
    credits: priced.credits,
    committed: 0n,
    returned: 0n,
    allocations: draw(grants, priced.credits),
    expiredAllocations: [],
    heldFor: null,
    heldByOperation: null,
    expiresAt: now + Number(request.ttl?.seconds ?? 900n) * 1000,
    createdAt: now,
    usedAt: null,
    endedAt: null,
    endedAsking: null,
    caller: 'bench',
    overCommitPolicy: 'REJECT',
    planId: plan.planId,
    rateCardVersion: VERSION,
    reference: request.reference,
    labels: Object.fromEntries(request.labels),
    late: false,
  };
  account.seq += 1n;
  account.reserved += priced.credits;
  account.lastAt = new Date(now);
  account.version += 1n;
  if (!account.dueAt || account.dueAt.getTime() > reservation.expiresAt)
    account.dueAt = new Date(reservation.expiresAt);
  const response = ReserveResponse.encode({
    reservation: reservationMessage(reservation),
    balance: balanceOf(account, plan),
    entrySeq: account.seq,
    lines: priced.lines.map((line) => pricedUsageMessage(line)),
    replay: undefined,
  }).finish();

  em.create(entities.reservations, {
    accountId,
    reservationId: reservation.reservationId,
    entrySeq: reservation.entrySeq,
    state: RESERVATION_STATE_CODES.ACTIVE,
    overCommitPolicy: OVER_COMMIT_POLICY_CODES.REJECT,
    rateCardVersion: reservation.rateCardVersion,
    credits: reservation.credits,
    committed: 0n,
    returned: 0n,
    createdAt: new Date(now),
    expiresAt: new Date(reservation.expiresAt),
    late: false,
    planId: reservation.planId,
    allocations: reservation.allocations.map((a) => [Number(a.grantId), Number(a.credits)]),
    expiredAllocations: null,
    heldFor: null,
    caller: reservation.caller,
    reference: reservation.reference || null,
    labels: Object.keys(reservation.labels).length > 0 ? { ...reservation.labels } : null,
  });
  const entry = entryOf(account, reservation, requestId, priced.lines);
  const packed = packResponse(response, entry);
  entry.request = { method: 'Reserve', fingerprint: print, response: packed };
  const sealed = seal(entry, account.lastHash, newSalt);
  account.lastHash = Buffer.from(sealed.hash);
  createEntry(em, sealed, key, print, packed);
  return response;
}

/** The whole response of the entry that has it packed. */
function responseOf(row: EntryRow): Uint8Array {
  assert(row.response, 'personal data of the request was erased');
  return unpackResponse(row.response, {
    ...readContent(row.content as StoredContent, 'RESERVE'),
    accountId: row.accountId,
    reservationId: row.reservationId,
    reference: row.reference ?? '',
    planId: row.planId,
    at: row.at.getTime(),
  });
}

function draw(grants: readonly Grant[], credits: bigint): readonly Allocation[] {
  const allocations: Allocation[] = [];
  let missing = credits;
  for (const grant of grants) {
    const available = grant.state === 'SCHEDULED' ? 0n : grant.remaining - grant.reserved;
    const drawn = available < missing ? available : missing;
    if (drawn === 0n) continue;
    grant.reserved += drawn;
    allocations.push({ grantId: grant.grantId, credits: drawn });
    missing -= drawn;
  }
  assert(missing === 0n, 'the account has not enough credits');
  return allocations;
}

const entryOf = (
  account: Account,
  {
    reservationId,
    allocations,
    credits,
    reference,
    labels,
    planId,
    rateCardVersion,
    expiresAt,
  }: Reservation,
  requestId: string,
  usages: readonly PricedUsage[],
): UnsealedEntry => ({
  accountId: account.accountId,
  seq: account.seq,
  kind: 'RESERVE',
  at: account.lastAt.getTime(),
  moves: toMoves(allocations, 'available', 'reserved'),
  credits,
  remainingAfter: account.remaining,
  reservedAfter: account.reserved,
  overageAfter: account.overage,
  owedAfter: 0n,
  reservationId,
  purchaseId: null,
  grantId: null,
  refundedSeq: null,
  usages,
  planId,
  planVersion: VERSION,
  termsHash: termsHashes.get(planId) ?? '',
  previousPlanId: null,
  rateCardVersion,
  rateCardHash: rateCardHashes.get(planId) ?? '',
  usedAt: null,
  late: false,
  final: null,
  asked: null,
  expiresAt,
  overCommitPolicy: 'REJECT',
  details: {},
  sealedEvents: null,
  caller: 'bench',
  onBehalfOf: '',
  certificate: '',
  requestId,
  reference,
  labels,
  personal: {},
  request: null,
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: 'b7ad6b7169203331',
});

function createEntry(
  em: Em,
  entry: SealedEntry,
  key: { readonly requestId: Buffer; readonly method: number },
  fingerprint: Buffer,
  response: Uint8Array,
) {
  em.create(entities.entries, {
    accountId: entry.accountId,
    seq: entry.seq,
    at: new Date(entry.at),
    credits: entry.credits,
    remainingAfter: entry.remainingAfter,
    reservedAfter: entry.reservedAfter,
    overageAfter: entry.overageAfter || null,
    refundedSeq: null,
    grantId: null,
    planVersion: entry.planVersion,
    rateCardVersion: entry.rateCardVersion,
    kind: KIND_CODES[entry.kind],
    method: key.method,
    reservationId: entry.reservationId,
    purchaseId: null,
    planId: entry.planId,
    previousPlanId: null,
    caller: entry.caller,
    requestId: key.requestId,
    traceId: entry.traceId,
    spanId: Buffer.from(entry.spanId, 'hex'),
    content: JSON.parse(entry.contentJson),
    hash: Buffer.from(entry.hash),
    fingerprint,
    response: Buffer.from(response),
    reference: entry.reference || null,
    personal: entry.personalJson === null ? null : JSON.parse(entry.personalJson),
    salt: entry.salt && Buffer.from(entry.salt),
    erasedHash: null,
  });
}

function balanceOf(account: Account, { terms }: Plan): Balance {
  const available = account.remaining - account.reserved;
  const levels = terms.lowBalanceLevels.map((level) => {
    const threshold = 'credits' in level ? level.credits : 0n;
    return { threshold, low: account.remaining < threshold };
  });
  return {
    remaining: account.remaining,
    reserved: account.reserved,
    available,
    overage: account.overage,
    overageLimit: account.overageLimit,
    owed: 0n,
    lowBalance: levels.some(({ low }) => low),
    levels,
    pauseFloor: terms.pauseFloor,
    usable: account.remaining,
    limited: [],
    nextExpiry: undefined,
    nextAllowance: undefined,
    seq: account.seq,
    asOf: account.lastAt,
  };
}

const orm = await connect(
  process.env['DATABASE_URL'] ?? '',
  entities,
  Number(process.env['DATABASE_POOL_MAX']),
  35_000,
);
const byPlan = (rows: readonly { readonly planId: string; readonly hash: Buffer }[]) =>
  new Map(rows.map(({ planId, hash }) => [planId, hexOf(hash)]));
const em = orm.em.fork();
const termsHashes = byPlan(await em.find(entities.planVersions, { version: VERSION }));
const rateCardHashes = byPlan(await em.find(entities.rateCards, { version: VERSION }));
const definition = {
  ...BillingServiceService.reserve,
  responseSerialize: (response: Uint8Array) => Buffer.from(response),
};
// The options of src/rpc/server.ts.
const server = new Server({
  'grpc.enable_channelz': 0,
  'grpc.max_receive_message_length': 4 * 1024 * 1024,
});
server.addService(
  { reserve: definition },
  {
    reserve(call: ServerUnaryCall<ReserveRequest, Uint8Array>, respond: sendUnaryData<Uint8Array>) {
      orm.em
        .fork()
        .transactional((em) => reserve(em, call.request))
        .then(
          (response) => respond(null, response),
          (error: Error) => respond(error),
        );
    },
  },
);
server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  process.stdout.write(`${JSON.stringify({ msg: 'ready', port })}\n`);
});
