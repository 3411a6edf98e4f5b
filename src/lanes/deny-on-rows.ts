/** What a policy denies because of rows: the account's plan and labels, and who made a reservation. */
import type { Failure } from '../failure.ts';
import type { Book } from '../ledger/book.ts';
import type { Command, RequestedCommand } from '../ledger/decide.ts';
import { accountNotFound, entryNotFound, reservationNotFound } from '../ledger/failures.ts';
import type { Shadow } from '../ledger/shadow/shadow.ts';
import { isAccountInScope } from '../policy/account-scope.ts';
import { accountNotAllowed, type DeniedCall, hidden, othersWork } from '../policy/denials.ts';
import type { AccountScope } from '../policy/permissions.ts';
import type { Request } from './task.ts';

/**
 * The denial of a request; null if nothing denies it. What is forbidden is answered as what does not exist,
 * before anything else is looked at, so that callers learn nothing of it. `book` is null where the account
 * does not exist.
 */
export function denyOnRows(
  book: Book | null,
  request: Request,
  shadow: Shadow | null,
): Failure | null {
  const { permissions, command, origin, accountId } = request;
  if (permissions === null) return null;
  const { accounts, ownReservationsOnly } = permissions;
  const call = { caller: origin.caller, method: command.kind, accountId };
  if (accounts !== null) {
    const denied = denyAccount(book, command, call, accounts);
    if (denied) return denied;
  }
  return ownReservationsOnly && book ? denyOthersWork(book, shadow, command, call) : null;
}

/** Whether the caller may be told what its request id did before, by the caller `doneBy`. */
export function maySeeReplay(book: Book | null, request: Request, doneBy: string): boolean {
  const { permissions, origin } = request;
  if (permissions === null) return true;
  if (permissions.ownReservationsOnly && doneBy !== origin.caller) return false;
  // Of all commands only those that open an account are decided on an account that the caller may not use.
  return book === null || isAccountInScope(permissions.accounts, book.account);
}

function denyAccount(
  book: Book | null,
  command: RequestedCommand,
  call: DeniedCall & { readonly accountId: string },
  scope: AccountScope,
): Failure | null {
  const { accountId } = call;
  if (!opensAccount(command)) {
    if (!book) return accountNotFound(accountId);
    if (!isAccountInScope(scope, book.account))
      return hidden(accountNotFound(accountId), accountNotAllowed(call));
  }
  const changed = changedAccount(book, accountId, command);
  return !changed || isAccountInScope(scope, changed) ? null : accountNotAllowed(call);
}

/** The account as a command would leave it, as far as a scope looks at it; null if that stays as it is. */
function changedAccount(book: Book | null, accountId: string, command: RequestedCommand) {
  if (opensAccount(command)) return { accountId, planId: command.planId, labels: command.labels };
  if (!book) return null;
  const { planId, labels } = book.account;
  if (command.kind === 'MoveAccount') return { accountId, planId: command.planId, labels };
  if (command.kind === 'UpdateAccount' && command.labels)
    return { accountId, planId, labels: command.labels };
  return null;
}

/** Whether the command is about an account that does not exist yet. */
export const opensAccount = (
  command: Command,
): command is Extract<Command, { kind: 'OpenAccount' | 'ImportAccount' }> =>
  command.kind === 'OpenAccount' || command.kind === 'ImportAccount';

/** Denies commands on reservations and charges that other callers made. */
function denyOthersWork(
  book: Book,
  shadow: Shadow | null,
  command: RequestedCommand,
  call: DeniedCall,
): Failure | null {
  const { accountId } = book.account;
  if ('reservationId' in command) {
    const { reservationId } = command;
    const reservation =
      book.findReservation(reservationId) ?? shadow?.reservations.get(reservationId);
    return reservation && reservation.caller !== call.caller
      ? hidden(reservationNotFound(accountId, reservationId), othersWork(call))
      : null;
  }
  if (command.kind !== 'Refund') return null;
  const refunded = book.findRefundable(command.seq) ?? shadow?.refundables.get(command.seq);
  return refunded && refunded.caller !== call.caller
    ? hidden(entryNotFound(accountId, command.seq), othersWork(call))
    : null;
}
