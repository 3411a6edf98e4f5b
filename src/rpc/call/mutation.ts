/**
 * A mutation is defined by two functions: how its request becomes a command, and how the outcome of
 * the command becomes its response. A lane decides the command and stores the encoded response.
 */
import { Failure } from '../../failure.ts';
import type { StoredResponse } from '../../lanes/task.ts';
import type { Book } from '../../ledger/book.ts';
import type { Command, Outcome } from '../../ledger/decide.ts';
import { PackFailure } from '../../ledger/failures.ts';
import type { Pack } from '../../pricing/plan.ts';
import { findCustomPacks } from '../../queries/purchases.ts';
import type { ServiceContext } from '../service-context.ts';
import type { Codec } from './codec.ts';
import { FieldChecker } from './field-checker.ts';
import { fingerprint } from './fingerprint.ts';
import type { Caller } from './observed-call.ts';
import { checkPaymentProvider } from './payment-provider.ts';

/** A request that has been checked, ready for the lane of its account. */
export type PreparedMutation = {
  readonly accountId: string;
  readonly requestId: string;
  readonly command: Command;
  readonly fingerprint: Uint8Array;
  /** Encodes the response, right after the command was decided on the account's book. */
  readonly encodeResponse: (outcome: Outcome, book: Book) => Uint8Array;
};

/** Checks a request. Returns INVALID_FIELD, with all violations, if it must not go to a lane. */
export type PrepareMutation<Request> = (request: Request) => PreparedMutation | Failure;

/** `_kind` names the command, so that the types of command and outcome follow from it. */
export function defineMutation<
  Kind extends Command['kind'],
  Request extends { accountId: string; requestId: string },
  Response,
>(
  _kind: Kind,
  request: Codec<Request>,
  response: Codec<Response>,
  toCommand: (request: Request, check: FieldChecker) => Extract<Command, { kind: Kind }>,
  toResponse: (outcome: Outcome<Kind>, book: Book) => Response,
): PrepareMutation<Request> {
  const encodeResponse = (outcome: Outcome, book: Book) =>
    response.encode(toResponse(outcome as Outcome<Kind>, book)).finish();
  return (message) => {
    const check = new FieldChecker();
    const accountId = check.accountId(message.accountId);
    const requestId = check.requestId(message.requestId);
    const command = toCommand(message, check);
    return (
      check.failure() ?? {
        accountId,
        requestId,
        command,
        fingerprint: fingerprint(request, message),
        encodeResponse,
      }
    );
  };
}

/** The packs offered to an account alone. */
export type FindCustomPacks = (accountId: string) => Promise<readonly Pack[]>;

/** Hands a mutation to the lane of its account, and resolves when that has answered. */
export async function submit(
  context: ServiceContext,
  { accountId, requestId, command, fingerprint, encodeResponse }: PreparedMutation,
  caller: Caller,
  isCancelled: () => boolean,
  customPacksOf: FindCustomPacks = (id) => findCustomPacks(context.em(), id),
): Promise<StoredResponse | Failure> {
  const answer = await context.lanes.submit({
    type: 'request',
    accountId,
    command,
    origin: { ...caller, requestId },
    fingerprint,
    encodeResponse,
    isAbandoned: isCancelled,
    blockedBy: checkPaymentProvider(context, command),
  });
  if (!(answer instanceof Failure)) return answer;
  context.refusals.record(accountId, answer, caller);
  if (!(answer instanceof PackFailure)) return answer;
  // A unit of work does not read them: it would do so for the requests that succeed, too.
  return answer.withCustomPacks(await customPacksOf(accountId));
}
