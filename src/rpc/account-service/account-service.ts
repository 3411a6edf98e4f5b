/** AccountService: its RPCs, each with the function that serves it. */
import type { AccountServiceServer } from '../../gen/billing/v1/account_service.ts';
import { handlersOf, type UnaryCall } from '../call/handlers.ts';
import type { PreparedMutation } from '../call/mutation.ts';
import type { ServiceContext, SharedContext } from '../service-context.ts';
import { listAccounts } from './account-list.ts';
import {
  closeAccount,
  getAccount,
  moveAccount,
  openAccount,
  resumeAccount,
  suspendAccount,
  updateAccount,
} from './accounts.ts';
import { getBudgets, removeBudget, setBudget } from './budgets.ts';
import { eraseAccountData } from './erase-account-data.ts';
import { grantCredits, listGrants, updateGrant, voidGrant } from './grants.ts';
import { importAccount, sumImports } from './imports.ts';
import { listPacks, offerPack, withdrawPack } from './packs.ts';
import { resolvePurchase } from './resolve-purchase.ts';
import { listShadowDecisions, setShadowMode } from './shadow-mode.ts';

export function accountService(context: SharedContext): AccountServiceServer {
  const { mutation, submitting, unary } = handlersOf(context, 'billing.v1.AccountService');
  // A month that has ended is priced by the plan of its end: it gets its statement before that plan is left.
  const closeStatements = (
    { statementCloser }: ServiceContext,
    { accountId }: PreparedMutation,
    { record }: UnaryCall,
  ) => statementCloser.close(accountId, record);
  return {
    openAccount: mutation('OpenAccount', openAccount),
    importAccount: mutation('ImportAccount', importAccount),
    sumImports: unary('SumImports', sumImports),
    getAccount: unary('GetAccount', getAccount),
    listAccounts: unary('ListAccounts', listAccounts),
    updateAccount: mutation('UpdateAccount', updateAccount),
    moveAccount: mutation('MoveAccount', moveAccount, closeStatements),
    closeAccount: mutation('CloseAccount', closeAccount, closeStatements),
    suspendAccount: mutation('SuspendAccount', suspendAccount),
    resumeAccount: mutation('ResumeAccount', resumeAccount),
    setShadowMode: mutation('SetShadowMode', setShadowMode),
    listShadowDecisions: unary('ListShadowDecisions', listShadowDecisions),
    setBudget: mutation('SetBudget', setBudget),
    removeBudget: mutation('RemoveBudget', removeBudget),
    getBudgets: unary('GetBudgets', getBudgets),
    eraseAccountData: submitting('EraseAccountData', eraseAccountData),
    grantCredits: mutation('GrantCredits', grantCredits),
    voidGrant: mutation('VoidGrant', voidGrant),
    updateGrant: mutation('UpdateGrant', updateGrant),
    listGrants: unary('ListGrants', listGrants),
    offerPack: mutation('OfferPack', offerPack),
    withdrawPack: mutation('WithdrawPack', withdrawPack),
    listPacks: unary('ListPacks', listPacks),
    resolvePurchase: mutation('ResolvePurchase', resolvePurchase),
  };
}
