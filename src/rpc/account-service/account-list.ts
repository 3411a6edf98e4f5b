/** ListAccounts. */
import { canonicalJson } from '../../canonical.ts';
import {
  Account_State,
  Account as AccountMessage,
  type ListAccountsRequest,
  type ListAccountsResponse,
} from '../../gen/billing/v1/account_service.ts';
import { type AccountFilter, findAccounts } from '../../queries/account-pages.ts';
import { ACCOUNT_ID, FieldChecker } from '../call/field-checker.ts';
import type { UnaryCall } from '../call/handlers.ts';
import { decodePageToken, encodePageToken, toPage } from '../call/pages.ts';
import type { ServiceContext } from '../service-context.ts';
import { accountInForce } from './accounts.ts';

const STATES: ReadonlyMap<Account_State, AccountFilter['state']> = new Map([
  [Account_State.UNSPECIFIED, null],
  [Account_State.OPEN, 'OPEN'],
  [Account_State.CLOSED, 'CLOSED'],
  [Account_State.SUSPENDED, 'SUSPENDED'],
]);

export async function listAccounts(
  context: ServiceContext,
  request: ListAccountsRequest,
  { access }: UnaryCall,
): Promise<ListAccountsResponse> {
  const { filter, pageSize } = parseRequest(request);
  const list = ['accounts', canonicalJson(filter)];
  const tokenOf = (accountId: string) => encodePageToken(list, accountId);
  const { found, nextAfterId } = await findAccounts(
    context.em(),
    { ...filter, scope: access.permissions.accounts },
    decodePageToken(list, request.pageToken, ACCOUNT_ID) ?? '',
    pageSize + 1,
  );
  const { messages, nextPageToken } = toPage(
    await Promise.all(
      found.map(async ({ account, available }) => ({
        ...(await accountInForce(context, account)),
        available,
      })),
    ),
    pageSize,
    AccountMessage,
    (message) => message,
    ({ accountId }) => tokenOf(accountId),
  );
  return {
    accounts: messages,
    nextPageToken: nextPageToken || (nextAfterId === null ? '' : tokenOf(nextAfterId)),
  };
}

function parseRequest(request: ListAccountsRequest) {
  const { planId, availableAtMost } = request;
  const check = new FieldChecker();
  const pageSize = check.pageSize(request.pageSize);
  if (planId !== '') check.name('plan_id', planId);
  const state = STATES.get(request.state);
  if (state === undefined) check.addViolation('state', 'must be OPEN, SUSPENDED or CLOSED');
  const filter = {
    planId,
    state: state ?? null,
    labels: check.labels('labels', request.labels),
    labelKeys: check.labelKeys(request.labelKeys),
    availableAtMost: availableAtMost ?? null,
  };
  check.throwIfInvalid();
  return { filter, pageSize };
}
