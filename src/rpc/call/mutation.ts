/** A mutation: how its request becomes a command, and how what the command did becomes its response. */
import type { Failure } from '../../failure.ts';
import { balanceOf } from '../../ledger/balance.ts';
import type { Book } from '../../ledger/book.ts';
import type { Command, Outcome } from '../../ledger/decide.ts';
import { balanceMessage } from '../messages/ledger.ts';
import { type Codec, encode } from './encode.ts';
import { Check } from './field-checker.ts';
import { fingerprint } from './fingerprint.ts';

type Addressed = { accountId: string; requestId: string };

/** A request that has been checked, ready for a lane. */
export type Prepared = {
  readonly accountId: string;
  readonly requestId: string;
  readonly command: Command;
  readonly fingerprint: Uint8Array;
  readonly encodeResponse: (outcome: Outcome, book: Book) => Uint8Array;
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
  const encodeResponse = (outcome: Outcome, book: Book) =>
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
        encodeResponse,
      }
    );
  };
}

/** The balance that a response ends in. */
export const balance = (book: Book) =>
  balanceMessage(balanceOf(book.account, book.grants, book.plan.terms, book.now));
