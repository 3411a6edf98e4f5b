/**
 * Accounts: OpenAccount, GetAccount, UpdateAccount, MoveAccount, CloseAccount, SuspendAccount and ResumeAccount.
 * ListAccounts is in account-list.ts.
 */
import {
  type Account as AccountMessage,
  CloseAccountRequest,
  CloseAccountResponse,
  type GetAccountRequest,
  type GetAccountResponse,
  MoveAccountRequest,
  MoveAccountResponse,
  OpenAccountRequest,
  OpenAccountResponse,
  type OwnLimit,
  ResumeAccountRequest,
  ResumeAccountResponse,
  RunningWork,
  SuspendAccountRequest,
  SuspendAccountResponse,
  UpdateAccountRequest,
  UpdateAccountResponse,
} from '../../gen/billing/v1/account_service.ts';
import type { Account } from '../../ledger/account.ts';
import type { Book } from '../../ledger/book.ts';
import { FieldChecker } from '../call/field-checker.ts';
import { loadAccount } from '../call/load-account.ts';
import { defineMutation } from '../call/mutation.ts';
import { accountMessage } from '../messages/account.ts';
import { balanceMessage } from '../messages/balance.ts';
import type { ServiceContext } from '../service-context.ts';
import { parseAutoTopUp } from './auto-top-up.ts';
import { parseLevels } from './low-balance-levels.ts';
import { parseTimeZone } from './time-zone.ts';

export const openAccount = defineMutation(
  'OpenAccount',
  OpenAccountRequest,
  OpenAccountResponse,
  (request, check) => ({
    kind: 'OpenAccount',
    planId: check.name('plan_id', request.planId),
    displayName: check.text('display_name', request.displayName, 256),
    labels: check.labels('labels', request.labels),
    timeZone: parseTimeZone(request.timeZone, check),
  }),
  ({ entrySeq }, book) => ({
    account: accountOf(book),
    balance: balanceMessage(book),
    entrySeq,
  }),
);

export const updateAccount = defineMutation(
  'UpdateAccount',
  UpdateAccountRequest,
  UpdateAccountResponse,
  (request, check) => ({
    kind: 'UpdateAccount',
    ...newTimeZone(request.timeZone, check),
    displayName:
      request.displayName === undefined
        ? null
        : check.text('display_name', request.displayName, 256),
    labels: request.labels ? check.labels('labels.labels', request.labels.labels) : null,
    ...(request.lowBalanceLevels && {
      lowBalanceLevels: parseLevels(request.lowBalanceLevels, check),
    }),
    ...(request.pauseFloor && {
      pauseFloor: parseLimit('pause_floor', request.pauseFloor, check),
    }),
    ...(request.autoTopUp && {
      autoTopUp: request.autoTopUp.autoTopUp
        ? parseAutoTopUp(request.autoTopUp.autoTopUp, check)
        : null,
    }),
  }),
  ({ entrySeq }, book) => ({ account: accountOf(book), entrySeq }),
);

/** Without a name the zone stays as it is. */
function newTimeZone(name: string, check: FieldChecker) {
  const timeZone = parseTimeZone(name, check);
  return timeZone === null ? {} : { timeZone };
}

/** In credits; null: the account has no limit of its own. */
const parseLimit = (field: string, { credits }: OwnLimit, check: FieldChecker): bigint | null =>
  credits === undefined ? null : check.credits(`${field}.credits`, credits);

export const moveAccount = defineMutation(
  'MoveAccount',
  MoveAccountRequest,
  MoveAccountResponse,
  (request, check) => ({
    kind: 'MoveAccount',
    planId: check.name('plan_id', request.planId),
    reference: check.text('reference', request.reference, 256),
    labels: check.labels('labels', request.labels),
    reason: check.reason(request.reason),
  }),
  (outcome, book) => ({
    account: accountOf(book),
    balance: balanceMessage(book),
    entrySeq: outcome.entrySeq,
  }),
);

export const closeAccount = defineMutation(
  'CloseAccount',
  CloseAccountRequest,
  CloseAccountResponse,
  () => ({ kind: 'CloseAccount' }),
  ({ entrySeq }, book) => ({
    account: accountOf(book),
    balance: balanceMessage(book),
    entrySeq,
  }),
);

export const suspendAccount = defineMutation(
  'SuspendAccount',
  SuspendAccountRequest,
  SuspendAccountResponse,
  (request, check) => {
    const { running } = request;
    if (running < RunningWork.UNSPECIFIED || running > RunningWork.STOP)
      check.addViolation('running', 'must be CONTINUE or STOP');
    return {
      kind: 'SuspendAccount',
      running: running === RunningWork.STOP ? 'STOP' : 'CONTINUE',
      reason: check.reason(request.reason),
    };
  },
  ({ entrySeq }, book) => ({ account: accountOf(book), entrySeq }),
);

export const resumeAccount = defineMutation(
  'ResumeAccount',
  ResumeAccountRequest,
  ResumeAccountResponse,
  (request, check) => ({ kind: 'ResumeAccount', reason: check.reason(request.reason) }),
  ({ entrySeq }, book) => ({ account: accountOf(book), entrySeq }),
);

export async function getAccount(
  context: ServiceContext,
  request: GetAccountRequest,
): Promise<GetAccountResponse> {
  const check = new FieldChecker();
  const accountId = check.accountId(request.accountId);
  check.throwIfInvalid();
  const account = await loadAccount(context, accountId);
  return { account: await accountInForce(context, account) };
}

/** The account with the terms of the plan it lives under now. */
export async function accountInForce(
  { catalogue, clock }: ServiceContext,
  account: Account,
): Promise<AccountMessage> {
  const { accountId, planId } = account;
  const published = await catalogue.findPlan(planId, clock.now());
  if (!published) throw new Error(`account ${accountId} has no plan ${planId}`);
  return accountMessage(account, published.terms.terms);
}

const accountOf = ({ account, plan }: Book): AccountMessage => accountMessage(account, plan.terms);
