/** AccountService: opening, changing and closing accounts, and grants by hand. */
import {
  Account as AccountMessage,
  type AccountServiceServer,
} from '../../gen/billing/v1/account_service.ts';
import { Grant } from '../../gen/billing/v1/ledger.ts';
import type { Account } from '../../ledger/account.ts';
import { accountNotFound } from '../../ledger/failures.ts';
import type { Terms } from '../../pricing/plan.ts';
import { listAccounts, listGrants } from '../../queries/lists.ts';
import { loadAccounts } from '../../store/load.ts';
import { ACCOUNT_ID, Check } from '../call/field-checker.ts';
import { unary } from '../call/handler.ts';
import { cutPage, keyOfPageToken, pageToken } from '../call/pages.ts';
import { accountMessage, grantMessage } from '../messages/ledger.ts';
import { mutationHandler, type ServiceContext } from '../service-context.ts';
import { accountMutations } from './accounts.ts';
import { listPacksHandler, offerPack, withdrawPack } from './packs.ts';

const service = 'billing.v1.AccountService';
const GRANT_ID = /^[1-9]\d{0,17}$/;

export function accountService(context: ServiceContext): AccountServiceServer {
  return {
    openAccount: mutationHandler(context, `${service}/OpenAccount`, accountMutations.openAccount),
    updateAccount: mutationHandler(
      context,
      `${service}/UpdateAccount`,
      accountMutations.updateAccount,
    ),
    moveAccount: mutationHandler(context, `${service}/MoveAccount`, accountMutations.moveAccount),
    closeAccount: mutationHandler(
      context,
      `${service}/CloseAccount`,
      accountMutations.closeAccount,
    ),
    grantCredits: mutationHandler(
      context,
      `${service}/GrantCredits`,
      accountMutations.grantCredits,
    ),

    offerPack: mutationHandler(context, `${service}/OfferPack`, offerPack),
    withdrawPack: mutationHandler(context, `${service}/WithdrawPack`, withdrawPack),
    listPacks: listPacksHandler(context, `${service}/ListPacks`),

    getAccount: unary(context, `${service}/GetAccount`, async (request) => {
      const check = new Check();
      const accountId = check.accountId(request.accountId);
      check.pass();
      const [account] = await loadAccounts(context.em(), [accountId]);
      if (!account) return accountNotFound(accountId);
      const terms = await termsOf(context, account);
      return { response: { account: accountMessage(account, terms) } };
    }),

    listAccounts: unary(context, `${service}/ListAccounts`, async (request) => {
      const check = new Check();
      const limit = check.pageSize(request.pageSize);
      if (request.planId !== '') check.name('plan_id', request.planId);
      check.pass();
      const list = ['accounts', request.planId];
      const after = keyOfPageToken(list, request.pageToken, ACCOUNT_ID) ?? '';
      const accounts = await listAccounts(context.em(), request.planId, after, limit + 1);
      const found = await Promise.all(
        accounts.map(async (account) => ({ account, terms: await termsOf(context, account) })),
      );
      const { messages, nextPageToken } = cutPage(
        found,
        limit,
        AccountMessage,
        ({ account, terms }) => accountMessage(account, terms),
        ({ account }) => pageToken(list, account.accountId),
      );
      return { response: { accounts: messages, nextPageToken } };
    }),

    listGrants: unary(context, `${service}/ListGrants`, async (request) => {
      const check = new Check();
      const accountId = check.accountId(request.accountId);
      const limit = check.pageSize(request.pageSize);
      check.pass();
      const list = ['grants', accountId];
      const before = keyOfPageToken(list, request.pageToken, GRANT_ID);
      const book = await context.snapshots.read(accountId);
      if (!book) return accountNotFound(accountId);
      // What can still change is shown as it is now, settled or not.
      const current = new Map(book.grants.map((grant) => [grant.grantId, grant]));
      const found = await listGrants(
        context.em(),
        accountId,
        before === null ? null : BigInt(before),
        limit + 1,
      );
      const { messages, nextPageToken } = cutPage(
        found,
        limit,
        Grant,
        (grant) => grantMessage(current.get(grant.grantId) ?? grant, book.now),
        ({ grantId }) => pageToken(list, grantId),
      );
      return { response: { grants: messages, nextPageToken } };
    }),
  };
}

/** The terms of the plan an account lives under. */
async function termsOf(
  { catalogue, clock }: ServiceContext,
  { accountId, planId }: Account,
): Promise<Terms> {
  const published = await catalogue.find(planId, clock());
  if (!published) throw new Error(`account ${accountId} has no plan ${planId}`);
  return published.terms.terms;
}
