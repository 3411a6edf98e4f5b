/** Decides commands: the only entry to the rules. */
import { Failure } from '../failure.ts';
import { disableWithoutPack } from './auto-top-up.ts';
import type { Book } from './book.ts';
import { countForCaller, type LimitedCaller } from './caller-limits.ts';
import type { Method, Origin } from './entry.ts';
import { emitNoticesOfNewGrants } from './expiry-notice.ts';
import type { ImportAccount } from './import/import-account.ts';
import { updateLowBalance } from './low-balance.ts';
import {
  type CloseAccount,
  closeAccount,
  type OpenAccount,
  openAccount,
  type UpdateAccount,
  updateAccount,
} from './rules/account.ts';
import { type BuyPack, buyPack } from './rules/buy-pack.ts';
import { type Charge, charge } from './rules/charge.ts';
import { type Checkpoint, checkpoint } from './rules/checkpoint.ts';
import { type Commit, commit } from './rules/commit.ts';
import { type OfferPack, offerPack, type WithdrawPack, withdrawPack } from './rules/custom-pack.ts';
import { type EraseAccountData, eraseAccountData } from './rules/erase-account-data.ts';
import { type ExtendReservation, extendReservation } from './rules/extend-reservation.ts';
import { type GrantCredits, grantCredits } from './rules/grant-credits.ts';
import { importAccount } from './rules/import-account.ts';
import { type MoveAccount, moveAccount } from './rules/move-account.ts';
import { type RaiseReservation, raiseReservation } from './rules/raise-reservation.ts';
import { type Refund, refund } from './rules/refund.ts';
import { type Release, release } from './rules/release.ts';
import { type ReportRefusals, reportRefusals } from './rules/report-refusals.ts';
import { type Reserve, reserve } from './rules/reserve.ts';
import { type ResolvePurchase, resolvePurchase } from './rules/resolve-purchase.ts';
import { type RemoveBudget, removeBudget, type SetBudget, setBudget } from './rules/set-budget.ts';
import { type SetShadowMode, setShadowMode } from './rules/set-shadow-mode.ts';
import {
  type ResumeAccount,
  resumeAccount,
  type SuspendAccount,
  suspendAccount,
} from './rules/suspend-account.ts';
import { type SyncPurchase, syncPurchase } from './rules/sync-purchase.ts';
import { type EndTopUp, endTopUp, type StartTopUp, startTopUp } from './rules/top-up.ts';
import { type UpdateGrant, updateGrant } from './rules/update-grant.ts';
import { type VoidGrant, voidGrant } from './rules/void-grant.ts';
import { updateTopUpDueAt } from './top-up.ts';
import { updateStranded } from './usable-credits.ts';

export type Command =
  | Reserve
  | Commit
  | Release
  | Charge
  | ExtendReservation
  | RaiseReservation
  | Refund
  | BuyPack
  | SyncPurchase
  | ResolvePurchase
  | OfferPack
  | WithdrawPack
  | GrantCredits
  | VoidGrant
  | UpdateGrant
  | OpenAccount
  | ImportAccount
  | UpdateAccount
  | MoveAccount
  | CloseAccount
  | SuspendAccount
  | ResumeAccount
  | SetBudget
  | RemoveBudget
  | SetShadowMode
  | EraseAccountData
  | StartTopUp
  | EndTopUp
  | ReportRefusals
  | Checkpoint;

/** What a caller can ask for: its kind names the method. */
export type RequestedCommand = Extract<Command, { kind: Method }>;

/** Whether nothing of the command is written, whatever its outcome. */
export const isTrial = (command: Command): boolean =>
  command.kind === 'ImportAccount' && command.validateOnly;

/** What a rule did, to be encoded as a response. */
export type Outcome<Kind extends Command['kind'] = Command['kind']> = Extract<
  Exclude<ReturnType<typeof decide>, Failure>,
  { kind: Kind }
>;

/**
 * Decides a command on the book of its account, and collects the changes in the book. If it returns a
 * Failure, nothing has changed. The same arguments always give the same result.
 */
export function decide(
  book: Book,
  command: Command,
  origin: Origin,
  limitedCaller: LimitedCaller | null = null,
) {
  book.limitedCaller = limitedCaller;
  book.creditsMoved = 0n;
  const outcome = applyRule(book, command, origin);
  if (!(outcome instanceof Failure)) {
    countForCaller(book);
    emitNoticesOfNewGrants(book, origin);
    updateStranded(book, origin);
    if (mayCrossLevels(book)) updateLowBalance(book, origin);
    disableWithoutPack(book, origin);
    updateTopUpDueAt(book);
  }
  return outcome;
}

/** Most commands only set credits aside: what is unspent has not changed since settling. */
const mayCrossLevels = ({ account, remainingSeen, changes }: Book): boolean =>
  account.remaining !== remainingSeen || changes.settings;

function applyRule(book: Book, command: Command, origin: Origin) {
  switch (command.kind) {
    case 'Reserve':
      return reserve(book, command, origin);
    case 'Commit':
      return commit(book, command, origin);
    case 'Release':
      return release(book, command, origin);
    case 'Charge':
      return charge(book, command, origin);
    case 'ExtendReservation':
      return extendReservation(book, command, origin);
    case 'RaiseReservation':
      return raiseReservation(book, command, origin);
    case 'Refund':
      return refund(book, command, origin);
    case 'Purchase':
      return buyPack(book, command, origin);
    case 'SyncPurchase':
      return syncPurchase(book, command, origin);
    case 'ResolvePurchase':
      return resolvePurchase(book, command, origin);
    case 'OfferPack':
      return offerPack(book, command, origin);
    case 'WithdrawPack':
      return withdrawPack(book, command, origin);
    case 'GrantCredits':
      return grantCredits(book, command, origin);
    case 'VoidGrant':
      return voidGrant(book, command, origin);
    case 'UpdateGrant':
      return updateGrant(book, command, origin);
    case 'OpenAccount':
      return openAccount(book, origin);
    case 'ImportAccount':
      return importAccount(book, command, origin);
    case 'UpdateAccount':
      return updateAccount(book, command, origin);
    case 'MoveAccount':
      return moveAccount(book, command, origin);
    case 'CloseAccount':
      return closeAccount(book, origin);
    case 'SuspendAccount':
      return suspendAccount(book, command, origin);
    case 'ResumeAccount':
      return resumeAccount(book, command, origin);
    case 'SetBudget':
      return setBudget(book, command, origin);
    case 'RemoveBudget':
      return removeBudget(book, command, origin);
    case 'SetShadowMode':
      return setShadowMode(book, command, origin);
    case 'EraseAccountData':
      return eraseAccountData(book, command, origin);
    case 'StartTopUp':
      return startTopUp(book, origin);
    case 'EndTopUp':
      return endTopUp(book, command, origin);
    case 'ReportRefusals':
      return reportRefusals(book, command, origin);
    case 'Checkpoint':
      return checkpoint(book, command, origin);
  }
}
