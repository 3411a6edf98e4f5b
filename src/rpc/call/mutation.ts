/**
 * A mutation is defined by two functions: how its request becomes a command, and how the outcome of
 * the command becomes its response. A lane decides the command and stores the encoded response.
 */
import { Failure } from '../../failure.ts';
import type { StoredResponse } from '../../lanes/task.ts';
import type { Book } from '../../ledger/book.ts';
import type { Outcome, RequestedCommand } from '../../ledger/decide.ts';
import { PackFailure } from '../../ledger/failures.ts';
import type { ServiceContext } from '../service-context.ts';
import { type Codec, encodeMessage } from './codec.ts';
import { FieldChecker } from './field-checker.ts';
import { fingerprint } from './fingerprint.ts';
import type { Caller } from './observed-call.ts';
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

/** Hands a mutation to the lane of its account, and resolves when that has answered. */
export async function submit(
  context: ServiceContext,
  { requestId, ...prepared }: PreparedMutation,
  caller: Caller,
  isCancelled: () => boolean,
): Promise<StoredResponse | Failure> {
  const { lanes, admission } = context;
  const inFlight = admission.enter(caller.caller, prepared.accountId);
  const answer = await lanes.submit({
    type: 'request',
    ...prepared,
    origin: { ...caller, requestId },
    isAbandoned: isCancelled,
    blockedBy: checkPaymentProvider(context, prepared.command),
  });
  admission.leave(inFlight, !isCancelled());
  if (!(answer instanceof Failure)) return answer;
  context.refusals.record(prepared.accountId, answer, caller);
  if (!(answer instanceof PackFailure)) return answer;
  // A unit of work does not read them: it would do so for the requests that succeed, too.
  return answer.withCustomPacks(await context.customPacks.find(prepared.accountId));
}
