/** What a policy denies because of rows: the account's plan and labels, and who made a reservation. */
import type { Failure } from '../failure.ts';
import type { Book } from '../ledger/book.ts';
import type { RequestedCommand } from '../ledger/decide.ts';
import { accountNotFound, entryNotFound, reservationNotFound } from '../ledger/failures.ts';
import { isAccountInScope } from '../policy/account-scope.ts';
import { accountNotAllowed } from '../policy/denials.ts';
import type { AccountScope } from '../policy/permissions.ts';
import type { Request } from './task.ts';

/**
 * The denial of a request; null if nothing denies it. What is forbidden is answered as what does not exist,
 * so that callers learn nothing of it. `book` is null where the account does not exist.
 */
export function denyOnRows(book: Book | null, request: Request): Failure | null {
  const { permissions, command, origin } = request;
  if (permissions === null) return null;
  const { accounts, ownReservationsOnly } = permissions;
  if (accounts !== null) {
    const denied = denyAccount(book, request, accounts);
    if (denied) return denied;
  }
  return ownReservationsOnly && book ? denyOthersWork(book, command, origin.caller) : null;
}

function denyAccount(
  book: Book | null,
  { accountId, command, origin }: Request,
  scope: AccountScope,
): Failure | null {
  if (book && !isAccountInScope(scope, book.account)) return accountNotFound(accountId);
  const changed = changedAccount(book, accountId, command);
  if (!changed || isAccountInScope(scope, changed)) return null;
  return accountNotAllowed({ caller: origin.caller, method: command.kind, accountId });
}

/** The account as a command would leave it, as far as a scope looks at it; null if that stays as it is. */
function changedAccount(book: Book | null, accountId: string, command: RequestedCommand) {
  if (command.kind === 'OpenAccount')
    return { accountId, planId: command.planId, labels: command.labels };
  if (!book) return null;
  const { planId, labels } = book.account;
  if (command.kind === 'MoveAccount') return { accountId, planId: command.planId, labels };
  if (command.kind === 'UpdateAccount' && command.labels)
    return { accountId, planId, labels: command.labels };
  return null;
}

/** Denies commands on reservations and charges that other callers made. */
function denyOthersWork(book: Book, command: RequestedCommand, caller: string): Failure | null {
  const { accountId } = book.account;
  if ('reservationId' in command) {
    const reservation = book.findReservation(command.reservationId);
    return reservation && reservation.caller !== caller
      ? reservationNotFound(accountId, command.reservationId)
      : null;
  }
  if (command.kind !== 'Refund') return null;
  const refunded = book.findRefundable(command.seq);
  return refunded && refunded.caller !== caller ? entryNotFound(accountId, command.seq) : null;
}
