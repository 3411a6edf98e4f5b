/** TraceCharge: the path of a charge, from any of its ids. */
import { Failure } from '../../failure.ts';
import {
  ChargeCandidate,
  ChargePath,
  type TraceChargeRequest,
  type TraceChargeResponse,
} from '../../gen/billing/v1/operator_service.ts';
import { findAccount } from '../../queries/accounts.ts';
import { findChargePath, firstAsked } from '../../queries/charge-path.ts';
import { type ChargeId, type FoundCharge, findCharges } from '../../queries/found-charges.ts';
import { ownerOf } from '../call/access.ts';
import { encodeMessage } from '../call/codec.ts';
import { ACCOUNT_ID, FieldChecker } from '../call/field-checker.ts';
import type { UnaryCall } from '../call/handlers.ts';
import { readInCell, readInCells } from '../call/in-cell.ts';
import { loadAccount } from '../call/load-account.ts';
import { decodePageToken, encodePageToken, PAGE_BYTES_MAX, toPage } from '../call/pages.ts';
import { candidateMessage, chargePathMessage } from '../messages/charge.ts';
import type { ServiceContext } from '../service-context.ts';

const PAGE_MAX = 100;
/** The time and place of a charge's first entry that has the id. */
const POSITION = /^\d{1,15} [1-9]\d{0,18} [\x21-\x7e]{1,128}$/;
/** Of these several charges of an account, or of several accounts, can have the same. */
const AMBIGUOUS: ReadonlySet<ChargeId['kind']> = new Set(['requestId', 'reference']);

export async function traceCharge(
  context: ServiceContext,
  request: TraceChargeRequest,
  { access }: UnaryCall,
): Promise<TraceChargeResponse> {
  const { accountId } = request;
  const { id, pageSize } = parseRequest(request);
  const list = ['charges', accountId, id.kind, id.value];
  const after = decodePageToken(list, request.pageToken, POSITION);
  const owner = ownerOf(access);
  const scope = access.permissions.accounts;
  const found = await readInCells(context, accountId, ({ em, archive }) =>
    findCharges(em(), archive, { id, accountId, scope, caller: owner }),
  );
  const charges = found.flatMap((one) => one.charges).sort(inOrder);
  const truncated = found.some((one) => one.truncated);
  if (charges.length === 0) throw await notFound(context, id, accountId);
  const page = charges.filter((found) => after === null || isAfter(found, after));
  const tokenOf = (found: FoundCharge) => encodePageToken(list, positionOf(found));
  if (charges.length > 1 && AMBIGUOUS.has(id.kind)) {
    const { messages: candidates, nextPageToken } = toPage(
      page,
      pageSize,
      ChargeCandidate,
      candidateMessage,
      tokenOf,
    );
    return { paths: [], candidates, nextPageToken, truncated };
  }
  const { paths, last } = await loadPaths(context, page.slice(0, pageSize), id, owner);
  const nextPageToken = last && last !== page.at(-1) ? tokenOf(last) : '';
  return { paths, candidates: [], nextPageToken, truncated };
}

/** The paths of the first of the charges, as many as one response can carry, and the last that was looked at. */
async function loadPaths(
  { cells, traceUrlTemplate }: ServiceContext,
  charges: readonly FoundCharge[],
  id: ChargeId,
  owner: string | null,
): Promise<{ readonly paths: ChargePath[]; readonly last: FoundCharge | null }> {
  const graceMs = async (accountId: string): Promise<number> => {
    const { em, clock, catalogue } = cells.of(accountId);
    const now = clock.now();
    const account = await findAccount(em(), accountId);
    const plan = account && (await catalogue.findPlan(account.planId, now));
    return plan?.planAt(now).terms.reservation.graceMs ?? 0;
  };
  const paths: ChargePath[] = [];
  let last: FoundCharge | null = null;
  let bytes = 0;
  for (const found of charges) {
    const cell = cells.of(found.key.accountId);
    const now = cell.clock.now();
    const path = await readInCell(cell, ({ em, archive }) =>
      findChargePath(em(), archive, found.key, now, graceMs),
    );
    const message = chargePathMessage(path, { id, now, urlTemplate: traceUrlTemplate });
    bytes += encodeMessage(ChargePath, message).length;
    if (bytes > PAGE_BYTES_MAX && paths.length > 0) break;
    last = found;
    // Who sees only own work does not see that of another, in which an own call had a part.
    if (owner === null || firstAsked(path.steps)?.entry.caller === owner) paths.push(message);
  }
  return { paths, last };
}

function parseRequest({ accountId, id, pageSize }: TraceChargeRequest) {
  const check = new FieldChecker();
  if (accountId) check.accountId(accountId);
  const size = Math.min(check.pageSize(pageSize), PAGE_MAX);
  const parsed = parseId(check, accountId, id);
  check.throwIfInvalid();
  return { id: parsed, pageSize: size };
}

/** Each id in the form in which it is stored. */
function parseId(check: FieldChecker, accountId: string, id: TraceChargeRequest['id']): ChargeId {
  switch (id?.$case) {
    case undefined:
      check.addViolation(
        'id',
        'is required: a trace, reservation, request, entry, reference or purchase',
      );
      return { kind: 'traceId', value: '' };
    case 'traceId':
      return { kind: 'traceId', value: check.traceId(id.value) };
    case 'reservationId':
      return { kind: 'reservationId', value: check.reservationId(id.value) };
    case 'purchaseId':
      return { kind: 'purchaseId', value: check.purchaseId(id.value) };
    case 'requestId':
      return { kind: 'requestId', value: check.requestId(id.value) };
    case 'reference':
      return { kind: 'reference', value: check.text('reference', id.value, 256, 1) };
    case 'entrySeq':
      if (id.value < 1n) check.addViolation('entry_seq', 'must be 1 or more');
      if (!ACCOUNT_ID.test(accountId))
        check.addViolation('account_id', 'is required with entry_seq');
      return { kind: 'seq', value: String(id.value) };
  }
}

const positionOf = ({ at, seq, key }: FoundCharge): string => `${at} ${seq} ${key.accountId}`;

/** Charges are in the order of the time of their first entries, then of their seqs and accounts. */
function inOrder(one: Place, other: Place): number {
  if (one.at !== other.at) return one.at - other.at;
  if (one.seq !== other.seq) return one.seq < other.seq ? -1 : 1;
  if (one.key.accountId === other.key.accountId) return 0;
  return one.key.accountId < other.key.accountId ? -1 : 1;
}

type Place = Pick<FoundCharge, 'at' | 'seq'> & { readonly key: { readonly accountId: string } };

function isAfter(found: FoundCharge, position: string): boolean {
  const [at = '', seq = '', accountId = ''] = position.split(' ');
  return inOrder(found, { at: Number(at), seq: BigInt(seq), key: { accountId } }) > 0;
}

const NAMES: Readonly<Record<ChargeId['kind'], string>> = {
  traceId: 'trace_id',
  reservationId: 'reservation_id',
  requestId: 'request_id',
  seq: 'entry_seq',
  reference: 'reference',
  purchaseId: 'purchase_id',
};

async function notFound(
  context: ServiceContext,
  { kind, value }: ChargeId,
  accountId: string,
): Promise<Failure> {
  if (accountId) await loadAccount(context, accountId);
  const name = NAMES[kind];
  const of = accountId ? ` of account ${accountId}` : '';
  return new Failure(
    'CHARGE_NOT_FOUND',
    `no entry${of} has the ${name} ${value}; a call that was refused wrote none`,
    { kind: name, id: value, ...(accountId && { account_id: accountId }) },
  );
}
