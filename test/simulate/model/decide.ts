/** Decides one request on an account that is settled. A refusal has changed nothing. */
import { removeBudget, setBudget } from './budgets.ts';
import { offerPack, purchase, withdrawPack } from './buy.ts';
import { commit } from './commit.ts';
import { resumeAccount, suspendAccount, updateGrant, voidGrant } from './corrections.ts';
import type { Deciding } from './deciding.ts';
import { closeAccount, grantCredits, moveAccount, openAccount, updateAccount } from './govern.ts';
import { importAccount } from './import.ts';
import { updateLevels } from './levels.ts';
import { balanceOf } from './messages.ts';
import { charge, reserve } from './new-work.ts';
import { refund } from './refund.ts';
import { Refusal } from './refusal.ts';
import type { First, Request } from './requests.ts';
import { extend, raise, release } from './reservations.ts';
import { decideInShadow, isOfShadow, setShadowMode } from './shadow.ts';
import type { AccountState } from './state.ts';

/** The response of a request that has an effect now, or the refusal. */
export function decide(state: AccountState, request: Request, deciding: Deciding): First | Refusal {
  const { now, loadedAt } = deciding;
  state.posted = [];
  state.decided = [];
  const { notAfter } = request.value;
  if (notAfter && loadedAt > notAfter.getTime()) return new Refusal('REQUEST_EXPIRED');
  const exists = state.seq > 0n;
  const opens = request.$case === 'openAccount' || request.$case === 'importAccount';
  if (exists && opens) return new Refusal('ACCOUNT_EXISTS', { account_id: state.accountId });
  if (!exists && !opens) return new Refusal('ACCOUNT_NOT_FOUND');
  if (isOfShadow(state, request))
    return decideInShadow(state, request, deciding, (other) => apply(other, request, deciding));
  const response = apply(state, request, deciding);
  if (response instanceof Refusal) return response;
  if (!opens) updateLevels(state);
  // The levels of a response's balance are those after the command.
  return 'balance' in response ? { ...response, balance: balanceOf(state, now) } : response;
}

function apply(state: AccountState, request: Request, deciding: Deciding): First | Refusal {
  switch (request.$case) {
    case 'openAccount':
      return openAccount(state, request.value, deciding);
    case 'importAccount':
      return importAccount(state, request.value, deciding);
    case 'updateAccount':
      return updateAccount(state, request.value, deciding);
    case 'closeAccount':
      return closeAccount(state, deciding);
    case 'setShadowMode':
      return setShadowMode(state, request.value, deciding);
    case 'suspendAccount':
      return suspendAccount(state, request.value, deciding);
    case 'resumeAccount':
      return resumeAccount(state, request.value, deciding);
    case 'setBudget':
      return setBudget(state, request.value, deciding);
    case 'removeBudget':
      return removeBudget(state, request.value, deciding);
    case 'moveAccount':
      return moveAccount(state, request.value, deciding);
    case 'grantCredits':
      return grantCredits(state, request.value, deciding);
    case 'voidGrant':
      return voidGrant(state, request.value, deciding);
    case 'updateGrant':
      return updateGrant(state, request.value, deciding);
    case 'offerPack':
      return offerPack(state, request.value, deciding);
    case 'withdrawPack':
      return withdrawPack(state, request.value, deciding);
    case 'purchase':
      return purchase(state, request.value, deciding);
    case 'resolvePurchase':
      return new Refusal('PURCHASE_NOT_FOUND');
    case 'reserve':
      return reserve(state, request.value, deciding);
    case 'raiseReservation':
      return raise(state, request.value, deciding);
    case 'extendReservation':
      return extend(state, request.value, deciding);
    case 'commit':
      return commit(state, request.value, deciding);
    case 'release':
      return release(state, request.value, deciding);
    case 'charge':
      return charge(state, request.value, deciding);
    case 'refund':
      return refund(state, request.value, deciding);
  }
}
