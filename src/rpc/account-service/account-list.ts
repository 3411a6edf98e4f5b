/** ListAccounts. */
import { canonicalJson } from '../../canonical.ts';
import {
  Account_State,
  Account as AccountMessage,
  type ListAccountsRequest,
  type ListAccountsResponse,
} from '../../gen/billing/v1/account_service.ts';
import { type AccountFilter, findAccounts } from '../../queries/account-pages.ts';
import { compareIdsAs } from '../../queries/order-of-ids.ts';
import { ACCOUNT_ID, FieldChecker } from '../call/field-checker.ts';
import type { UnaryCall } from '../call/handlers.ts';
import { readInCell } from '../call/in-cell.ts';
import { mergedPage, toCellPage } from '../call/merged-pages.ts';
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
  const scoped = { ...filter, scope: access.permissions.accounts };
  const { messages, nextPageToken } = await mergedPage<AccountMessage, AccountMessage>(context, {
    list,
    accountId: '',
    pageToken: request.pageToken,
    pageSize,
    keyPattern: ACCOUNT_ID,
    read: async (cell, after) => {
      const { found, nextAfterId } = await findAccounts(
        cell.em(),
        scoped,
        after ?? '',
        pageSize + 1,
      );
      const rows = await Promise.all(
        found.map(async ({ account, available }) => ({
          ...(await accountInForce(cell, account)),
          available,
        })),
      );
      const page = toCellPage(rows, pageSize, keyOf);
      return { ...page, next: page.next ?? nextAfterId };
    },
    keyOf,
    order: { byKeys: (ids) => readInCell(context, ({ em }) => compareIdsAs(em(), ids)) },
    codec: AccountMessage,
    toMessage: (message) => message,
  });
  return { accounts: messages, nextPageToken };
}

const keyOf = ({ accountId }: AccountMessage): string => accountId;

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
    inShadowMode: request.inShadowMode,
  };
  check.throwIfInvalid();
  return { filter, pageSize };
}
