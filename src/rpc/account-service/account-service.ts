/** AccountService: its RPCs, each with the function that serves it. */
import type { AccountServiceServer } from '../../gen/billing/v1/account_service.ts';
import { handlersOf } from '../call/handlers.ts';
import type { ServiceContext } from '../service-context.ts';
import {
  closeAccount,
  getAccount,
  listAccounts,
  moveAccount,
  openAccount,
  updateAccount,
} from './accounts.ts';
import { grantCredits, listGrants } from './grants.ts';
import { listPacks, offerPack, withdrawPack } from './packs.ts';
import { resolvePurchase } from './resolve-purchase.ts';

export function accountService(context: ServiceContext): AccountServiceServer {
  const { mutation, unary } = handlersOf(context, 'billing.v1.AccountService');
  return {
    openAccount: mutation('OpenAccount', openAccount),
    getAccount: unary('GetAccount', getAccount),
    listAccounts: unary('ListAccounts', listAccounts),
    updateAccount: mutation('UpdateAccount', updateAccount),
    moveAccount: mutation('MoveAccount', moveAccount),
    closeAccount: mutation('CloseAccount', closeAccount),
    grantCredits: mutation('GrantCredits', grantCredits),
    listGrants: unary('ListGrants', listGrants),
    offerPack: mutation('OfferPack', offerPack),
    withdrawPack: mutation('WithdrawPack', withdrawPack),
    listPacks: unary('ListPacks', listPacks),
    resolvePurchase: mutation('ResolvePurchase', resolvePurchase),
  };
}
