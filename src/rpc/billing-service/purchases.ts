/** Purchases: buying a pack, at a checkout if need be, and what became of what was bought. */
import { Failure } from '../../failure.ts';
import { type PurchaseRequest, PurchaseResponse } from '../../gen/billing/v1/billing_service.ts';
import {
  Purchase_State,
  Purchase as PurchaseCodec,
  type Purchase as PurchaseMessage,
} from '../../gen/billing/v1/ledger.ts';
import type { StoredResponse } from '../../lanes/task.ts';
import type { Book } from '../../ledger/book.ts';
import { accountNotFound, purchaseNotFound } from '../../ledger/failures.ts';
import type { Purchase, PurchaseState } from '../../ledger/purchase.ts';
import type { Payments } from '../../payments/payments.ts';
import { loadGrants, loadPurchases } from '../../store/load.ts';
import { listPurchases } from '../../store/purchases.ts';
import { Check, UUID } from '../call/field-checker.ts';
import { type Answered, type Caller, unary } from '../call/handler.ts';
import { cutPage, keyOfPageToken, pageToken } from '../call/pages.ts';
import { purchaseMessage } from '../messages/ledger.ts';
import { type ServiceContext, submit } from '../service-context.ts';
import { billingMutations } from './reservations.ts';

/**
 * A checkout takes two steps: the purchase is written and committed, then the provider opens a session
 * for it. A repeated call finds the first step done, and does or finds the second.
 */
export function purchaseHandler(context: ServiceContext, method: string) {
  return unary(
    context,
    method,
    async (
      request: PurchaseRequest,
      caller,
      call,
    ): Promise<Answered<PurchaseResponse> | Failure> => {
      const prepared = billingMutations.purchase(request);
      if (prepared instanceof Failure) return prepared;
      const { payments } = context;
      const isCheckout = request.payment?.$case === 'checkout';
      if (isCheckout && !payments) return CHECKOUT_NOT_CONFIGURED;
      const answer = await submit(context, prepared, caller, () => call.cancelled);
      if (answer instanceof Failure || !isCheckout || !payments) return answer;
      return await withUrl(payments, answer, caller);
    },
  );
}

const CHECKOUT_NOT_CONFIGURED = new Failure(
  'CHECKOUT_NOT_CONFIGURED',
  'this service has no key of a payment provider: pay with payment_reference',
);

async function withUrl(
  payments: Payments,
  { response, replayed }: StoredResponse,
  { traceId, spanId }: Caller,
): Promise<Answered<PurchaseResponse> | Failure> {
  const stored = PurchaseResponse.decode(response);
  const { purchase } = stored;
  if (!purchase) throw new Error('a stored response has no purchase');
  const { accountId, purchaseId } = purchase;
  const checkoutUrl = await payments.open(accountId, purchaseId, { traceId, spanId });
  if (checkoutUrl instanceof Failure) return checkoutUrl;
  return {
    response: { ...stored, purchase: { ...purchase, checkoutUrl } },
    replayed,
  };
}

export function getPurchaseHandler(context: ServiceContext, method: string) {
  return unary(
    context,
    method,
    async (request: { readonly accountId: string; readonly purchaseId: string }) => {
      const check = new Check();
      const accountId = check.accountId(request.accountId);
      if (!UUID.test(request.purchaseId))
        check.refuse('purchase_id', 'must be the UUID that Purchase answered');
      check.pass();
      const purchaseId = request.purchaseId.toLowerCase();
      const book = await context.snapshots.read(accountId);
      if (!book) return accountNotFound(accountId);
      const found = await loadPurchases(context.em(), [{ accountId, key: purchaseId }]);
      const [purchase] = await messagesOf(context, book, found);
      return purchase ? { response: { purchase } } : purchaseNotFound(accountId, purchaseId);
    },
  );
}

const STATES = new Map<Purchase_State, PurchaseState>([
  [Purchase_State.PENDING, 'PENDING'],
  [Purchase_State.PAID, 'PAID'],
  [Purchase_State.FAILED, 'FAILED'],
  [Purchase_State.EXPIRED, 'EXPIRED'],
]);

type ListRequest = {
  readonly accountId: string;
  readonly states: readonly Purchase_State[];
  readonly pageSize: number;
  readonly pageToken: string;
};

export function listPurchasesHandler(context: ServiceContext, method: string) {
  return unary(context, method, async (request: ListRequest) => {
    const check = new Check();
    const accountId = check.accountId(request.accountId);
    const limit = check.pageSize(request.pageSize);
    const states = request.states.flatMap((state) => STATES.get(state) ?? []);
    if (states.length < request.states.length) check.refuse('states', 'must be known states');
    check.pass();
    const list = ['purchases', accountId, ...states];
    const before = keyOfPageToken(list, request.pageToken, UUID);
    const book = await context.snapshots.read(accountId);
    if (!book) return accountNotFound(accountId);
    const found = await listPurchases(context.em(), accountId, states, before, limit + 1);
    const { messages, nextPageToken } = cutPage(
      await messagesOf(context, book, found),
      limit,
      PurchaseCodec,
      (message) => message,
      ({ purchaseId }) => pageToken(list, purchaseId),
    );
    return { response: { purchases: messages, nextPageToken } };
  });
}

/** Purchases with what is left of their grants: what can still change as it is now, settled or not. */
async function messagesOf(
  { em }: ServiceContext,
  book: Book,
  purchases: readonly Purchase[],
): Promise<PurchaseMessage[]> {
  const current = new Map(book.grants.map((grant) => [grant.grantId, grant]));
  const others = purchases.flatMap(({ accountId, grantId }) =>
    grantId === null || current.has(grantId) ? [] : [{ accountId, key: grantId }],
  );
  for (const grant of await loadGrants(em(), others)) current.set(grant.grantId, grant);
  return purchases.map((purchase) =>
    purchaseMessage(purchase, current.get(purchase.grantId ?? 0n) ?? null),
  );
}
