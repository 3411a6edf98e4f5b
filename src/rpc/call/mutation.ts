/**
 * A mutation is defined by two functions: how its request becomes a command, and how the outcome of
 * the command becomes its response. A lane decides the command and stores the encoded response.
 */

import { type Giving, isGiving } from '../../day-quotas.ts';
import { Failure } from '../../failure.ts';
import type { Lanes } from '../../lanes/lanes.ts';
import type { Request, StoredResponse } from '../../lanes/task.ts';
import type { Book } from '../../ledger/book.ts';
import type { Outcome, RequestedCommand } from '../../ledger/decide.ts';
import type { Origin } from '../../ledger/entry.ts';
import { PackFailure } from '../../ledger/failures.ts';
import type { CallRecord } from '../../telemetry/call-record.ts';
import type { ServiceContext } from '../service-context.ts';
import { ADMINISTRATIVE, actorOf } from './audit-log.ts';
import { type Codec, encodeMessage } from './codec.ts';
import { FieldChecker } from './field-checker.ts';
import { fingerprint } from './fingerprint.ts';
import type { UnaryCall } from './handlers.ts';
import { checkPaymentProvider } from './payment-provider.ts';

/** A request that has been checked, ready for the lane of its account. */
export type PreparedMutation = {
  readonly accountId: string;
  readonly requestId: string;
  readonly command: RequestedCommand;
  readonly fingerprint: Uint8Array;
  /** In epoch milliseconds; null: no limit. */
  readonly notAfter: number | null;
  /** Encodes the response, right after the command was decided on the account's book. */
  readonly encodeResponse: (outcome: Outcome, book: Book) => Uint8Array;
};

/** Checks a request. Returns INVALID_FIELD, with all violations, if it must not go to a lane. */
export type PrepareMutation<Request> = (request: Request) => PreparedMutation | Failure;

/** `_kind` names the command, so that the types of command and outcome follow from it. */
export function defineMutation<
  Kind extends RequestedCommand['kind'],
  Request extends { accountId: string; requestId: string; notAfter?: Date | undefined },
  Response,
>(
  _kind: Kind,
  request: Codec<Request>,
  response: Codec<Response>,
  toCommand: (request: Request, check: FieldChecker) => Extract<RequestedCommand, { kind: Kind }>,
  /** `replay` is appended to a repeated response, and not part of the first. */
  toResponse: (outcome: Outcome<Kind>, book: Book) => Omit<Response, 'replay'>,
): PrepareMutation<Request> {
  const encodeResponse = (outcome: Outcome, book: Book) =>
    encodeMessage(response, toResponse(outcome as Outcome<Kind>, book) as Response);
  return (message) => {
    const check = new FieldChecker();
    const accountId = check.accountId(message.accountId);
    const requestId = check.requestId(message.requestId);
    const notAfter = check.instant('not_after', message.notAfter);
    const command = toCommand(message, check);
    return (
      check.failure() ?? {
        accountId,
        requestId,
        command,
        fingerprint: fingerprint(request, message),
        notAfter,
        encodeResponse,
      }
    );
  };
}

/** Takes a request, and resolves when it was decided. */
export type Taking = Pick<Lanes, 'submit'>;

/** Hands a mutation to the lane of its account, and resolves when that has answered. */
export async function submit(
  context: ServiceContext,
  prepared: PreparedMutation,
  call: UnaryCall,
  lanes: Taking = context.lanes,
): Promise<StoredResponse | Failure> {
  const { access, record } = call;
  const { accountId, command } = prepared;
  record.accountId = accountId;
  record.requestId = prepared.requestId;
  record.mutation = command.kind;
  const denied = context.authorization.denyCommand(access, accountId, command);
  if (denied) return denied;
  const perDay = access.permissions.creditLimits?.perDay ?? null;
  if (perDay === null) return await decide(context, prepared, call, lanes);
  if (isGiving(command)) return await give(context, prepared, call, lanes, command, perDay);
  const dayTally = context.dayQuotas.tally(record.caller);
  const answer = await decide(context, prepared, call, lanes, { dayTally });
  if (hadNoEffect(answer)) dayTally.giveBack();
  return answer;
}

/** Claims what is given from the caller's quota before it is decided. */
async function give(
  context: ServiceContext,
  prepared: PreparedMutation,
  call: UnaryCall,
  lanes: Taking,
  command: Giving,
  perDay: bigint,
): Promise<StoredResponse | Failure> {
  const { dayQuotas } = context;
  const claim = await dayQuotas.claim(call.record.caller, perDay, prepared.accountId, command);
  if (claim instanceof Failure)
    return await decide(context, prepared, call, lanes, { blockedBy: claim });
  const answer = await decide(context, prepared, call, lanes);
  if (hadNoEffect(answer)) await dayQuotas.giveBack(claim);
  return answer;
}

/** Of an outcome that is not known, such as a connection lost during the commit, nothing is given back. */
const hadNoEffect = (answer: StoredResponse | Failure): boolean =>
  answer instanceof Failure
    ? !['DATABASE_UNAVAILABLE', 'INTERNAL'].includes(answer.reason)
    : answer.creditsMoved === 0n;

type OfDay = Partial<Pick<Request, 'blockedBy' | 'dayTally'>>;

/** `blockedBy`: the limit that the caller has reached. A replay is answered all the same. */
async function decide(
  context: ServiceContext,
  { requestId, ...prepared }: PreparedMutation,
  { record, access, isCancelled }: UnaryCall,
  lanes: Taking,
  { blockedBy = null, dayTally = null }: OfDay = {},
): Promise<StoredResponse | Failure> {
  const { admission, authorization, audit } = context;
  const { accountId, command } = prepared;
  const inFlight = admission.enter(record.caller, accountId);
  const answer = await lanes.submit({
    type: 'request',
    ...prepared,
    origin: originOf(record, requestId),
    call: record,
    permissions: access.permissions,
    isAbandoned: isCancelled,
    dayTally,
    blockedBy: blockedBy ?? checkPaymentProvider(context, command),
  });
  admission.leave(inFlight, !isCancelled());
  if (answer instanceof Failure) {
    authorization.report(answer);
    return await describe(context, accountId, answer, record);
  }
  authorization.takeCredits(access, answer.creditsMoved);
  const { kind: method } = command;
  if (answer.firstAnsweredAt === null && ADMINISTRATIVE.has(method)) {
    const reason = 'reason' in command ? command.reason : '';
    audit.acted({ ...actorOf(record), method, accountId, requestId, reason });
  }
  return answer;
}

/** As entries have it. */
const originOf = (
  { caller, onBehalfOf, certificate, traceId, spanId, sampled }: CallRecord,
  requestId: string,
): Origin => ({ caller, requestId, onBehalfOf, certificate, traceId, spanId, sampled });

/** The failure, with packs that would help where credits are missing. */
async function describe(
  { refusals, customPacks }: ServiceContext,
  accountId: string,
  failure: Failure,
  call: CallRecord,
): Promise<Failure> {
  refusals.record(accountId, failure, call);
  if (!(failure instanceof PackFailure)) return failure;
  // A unit of work does not read them: it would do so for the requests that succeed, too.
  return failure.withCustomPacks(await customPacks.find(accountId));
}
