/** Requests and the entries that they make, by method, account and request id. */
import type { ShadowDecision } from '../../src/gen/billing/v1/account_service.ts';
import { type Entry, Entry_Kind } from '../../src/gen/billing/v1/ledger.ts';
import { textOf } from './compare.ts';
import type { Method, Request } from './model/requests.ts';
import { type Attempt, keyOf } from './observations.ts';

/** Entry kinds of mutations, by their method. */
const METHODS: Readonly<Partial<Record<Entry_Kind, Request['$case']>>> = {
  [Entry_Kind.OPEN_ACCOUNT]: 'openAccount',
  [Entry_Kind.UPDATE_ACCOUNT]: 'updateAccount',
  [Entry_Kind.CLOSE_ACCOUNT]: 'closeAccount',
  [Entry_Kind.PLAN_CHANGE]: 'moveAccount',
  [Entry_Kind.GRANT]: 'grantCredits',
  [Entry_Kind.VOID_GRANT]: 'voidGrant',
  [Entry_Kind.UPDATE_GRANT]: 'updateGrant',
  [Entry_Kind.SUSPEND_ACCOUNT]: 'suspendAccount',
  [Entry_Kind.RESUME_ACCOUNT]: 'resumeAccount',
  [Entry_Kind.SET_BUDGET]: 'setBudget',
  [Entry_Kind.REMOVE_BUDGET]: 'removeBudget',
  [Entry_Kind.OFFER_PACK]: 'offerPack',
  [Entry_Kind.WITHDRAW_PACK]: 'withdrawPack',
  [Entry_Kind.PURCHASE]: 'purchase',
  [Entry_Kind.CHECKOUT]: 'purchase',
  [Entry_Kind.RESERVE]: 'reserve',
  [Entry_Kind.RAISE]: 'raiseReservation',
  [Entry_Kind.EXTEND]: 'extendReservation',
  [Entry_Kind.COMMIT]: 'commit',
  [Entry_Kind.RELEASE]: 'release',
  [Entry_Kind.CHARGE]: 'charge',
  [Entry_Kind.REFUND]: 'refund',
};

export const keyOfRequest = ({ $case, value }: Request): string =>
  keyOf($case, value.accountId, value.requestId);

/** The first entry of an import says when the account was opened elsewhere. */
function methodOf({ kind, details }: Pick<Entry, 'kind' | 'details'>): Method | undefined {
  if (kind === Entry_Kind.OPEN_ACCOUNT && details.has('opened_at')) return 'importAccount';
  if (kind === Entry_Kind.UPDATE_ACCOUNT && details.has('shadow_mode')) return 'setShadowMode';
  return METHODS[kind];
}

/** The key of the request that a decision of shadow mode is of; empty: a job expired. */
export const keyOfDecision = ({ kind, accountId, requestId }: ShadowDecision): string => {
  const method = METHODS[kind];
  return method && requestId !== '' ? keyOf(method, accountId, requestId) : '';
};

/** The key of the request whose first entry it is; empty: nobody asks for such entries. */
export const keyOfEntry = (entry: Entry): string => {
  const { accountId, requestId } = entry;
  const method = methodOf(entry);
  return method && requestId !== '' ? keyOf(method, accountId, requestId) : '';
};

/** Whether it is the same atomic batch, which may have been sent several times. */
export const isSameBatch = (
  batch: readonly Request[],
  other: readonly Request[] | undefined,
): boolean => other !== undefined && batch.every((request, index) => request === other[index]);

/** A request without what is not part of its content. */
const bodies = new WeakMap<Request, string>();
export function bodyOf(request: Request): string {
  const known = bodies.get(request);
  if (known !== undefined) return known;
  const body = textOf({ ...request.value, notAfter: undefined });
  bodies.set(request, body);
  return body;
}

/** A purchase by checkout that got no session for 23 hours is over. Its request had made it. */
export const isOver = (outcome: Attempt['outcome']): boolean =>
  outcome.kind === 'refusal' && outcome.reason === 'CHECKOUT_FAILED';

/** Whether an expired allowance returns for late usage: the entry before that of the usage. */
export const returnsForUsage = (entry: Entry | undefined): boolean =>
  entry?.kind === Entry_Kind.REINSTATE && entry.usedAt !== undefined;
