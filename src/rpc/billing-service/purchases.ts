/** Purchases of packs: Purchase, GetPurchase and ListPurchases. */
import { Failure } from '../../failure.ts';
import {
  type GetPurchaseRequest,
  type GetPurchaseResponse,
  type ListPurchasesRequest,
  type ListPurchasesResponse,
  PurchaseRequest,
  PurchaseResponse,
} from '../../gen/billing/v1/billing_service.ts';
import { Purchase_State, Purchase as PurchaseMessage } from '../../gen/billing/v1/ledger.ts';
import type { StoredResponse } from '../../lanes/task.ts';
import type { Book } from '../../ledger/book.ts';
import { purchaseNotFound } from '../../ledger/failures.ts';
import type { Purchase, PurchaseState } from '../../ledger/purchase.ts';
import type { Payments } from '../../payments/payments.ts';
import { findGrantsById } from '../../queries/grants.ts';
import { findPurchase, findPurchases } from '../../queries/purchases.ts';
import type { CallRecord } from '../../telemetry/call-record.ts';
import { within } from '../../telemetry/tracing.ts';
import { FieldChecker, UUID } from '../call/field-checker.ts';
import type { Answered, UnaryCall } from '../call/handlers.ts';
import { loadBook } from '../call/load-account.ts';
import { defineMutation, submit } from '../call/mutation.ts';
import { decodePageToken, encodePageToken, toPage } from '../call/pages.ts';
import { noPaymentProvider } from '../call/payment-provider.ts';
import { toAnswered, toResponse } from '../call/replay.ts';
import { balanceMessage } from '../messages/balance.ts';
import { grantMessage } from '../messages/grant.ts';
import { purchaseMessage } from '../messages/purchase.ts';
import type { ServiceContext } from '../service-context.ts';
import { parseCredits, parsePayment, parseQuantity } from './payment.ts';

export const purchaseMutation = defineMutation(
  'Purchase',
  PurchaseRequest,
  PurchaseResponse,
  (request, check) => ({
    kind: 'Purchase',
    packId: check.name('pack_id', request.packId),
    quantity: parseQuantity(request, check),
    credits: parseCredits(request, check),
    payment: parsePayment(request, check),
    labels: check.labels('labels', request.labels),
  }),
  (outcome, book) => ({
    purchase: purchaseMessage(outcome.purchase, outcome.grant),
    balance: balanceMessage(book),
    entrySeq: outcome.entrySeq,
    grant: outcome.grant ? grantMessage(outcome.grant, book.now) : undefined,
  }),
);

/**
 * A purchase by checkout is written and committed first; then the payment provider opens a session
 * for it. A repeated call finds the purchase, and opens the session or finds that too.
 */
export async function purchase(
  context: ServiceContext,
  request: PurchaseRequest,
  call: UnaryCall,
): Promise<Answered<PurchaseResponse> | Failure> {
  const prepared = purchaseMutation(request);
  if (prepared instanceof Failure) return prepared;
  const { payments } = context;
  const isCheckout = request.payment?.$case === 'checkout';
  if (isCheckout && !payments) return noPaymentProvider('pay with payment_reference');
  const answer = await submit(context, prepared, call);
  if (answer instanceof Failure) return answer;
  if (!isCheckout || !payments) return toAnswered(answer);
  return await withCheckoutUrl(payments, answer, call.record);
}

async function withCheckoutUrl(
  payments: Payments,
  answer: StoredResponse,
  call: CallRecord,
): Promise<Answered<PurchaseResponse> | Failure> {
  const stored = PurchaseResponse.decode(toResponse(answer));
  const { purchase } = stored;
  if (!purchase) throw new Error('a stored response has no purchase');
  const { accountId, purchaseId } = purchase;
  const checkoutUrl = await within(call, () => payments.open(accountId, purchaseId, call));
  if (checkoutUrl instanceof Failure) return checkoutUrl;
  return {
    response: { ...stored, purchase: { ...purchase, checkoutUrl } },
    replayed: stored.replay !== undefined,
  };
}

export async function getPurchase(
  context: ServiceContext,
  request: GetPurchaseRequest,
): Promise<GetPurchaseResponse> {
  const check = new FieldChecker();
  const accountId = check.accountId(request.accountId);
  const purchaseId = check.purchaseId(request.purchaseId);
  check.throwIfInvalid();
  const book = await loadBook(context, accountId);
  const found = await findPurchase(context.em(), accountId, purchaseId);
  if (!found) throw purchaseNotFound(accountId, purchaseId);
  const [purchase] = await toMessages(context, book, [found]);
  return { purchase };
}

const STATES = new Map<Purchase_State, PurchaseState>([
  [Purchase_State.PENDING, 'PENDING'],
  [Purchase_State.PAID, 'PAID'],
  [Purchase_State.FAILED, 'FAILED'],
  [Purchase_State.EXPIRED, 'EXPIRED'],
  [Purchase_State.MISMATCHED, 'MISMATCHED'],
  [Purchase_State.REJECTED, 'REJECTED'],
]);

export async function listPurchases(
  context: ServiceContext,
  request: ListPurchasesRequest,
): Promise<ListPurchasesResponse> {
  const check = new FieldChecker();
  const accountId = check.accountId(request.accountId);
  const pageSize = check.pageSize(request.pageSize);
  const states = check.values('states', request.states, STATES);
  check.throwIfInvalid();
  const list = ['purchases', accountId, ...states];
  const before = decodePageToken(list, request.pageToken, UUID);
  const book = await loadBook(context, accountId);
  const rows = await findPurchases(context.em(), accountId, states, before, pageSize + 1);
  const { messages, nextPageToken } = toPage(
    await toMessages(context, book, rows),
    pageSize,
    PurchaseMessage,
    (message) => message,
    ({ purchaseId }) => encodePageToken(list, purchaseId),
  );
  return { purchases: messages, nextPageToken };
}

/** Purchases with their grants as they are now: settled in the book if they are open, stored otherwise. */
async function toMessages(
  { em }: ServiceContext,
  book: Book,
  purchases: readonly Purchase[],
): Promise<PurchaseMessage[]> {
  const grants = new Map(book.grants.map((grant) => [grant.grantId, grant]));
  const missing = purchases.flatMap(({ grantId }) =>
    grantId === null || grants.has(grantId) ? [] : [grantId],
  );
  for (const grant of await findGrantsById(em(), book.account.accountId, missing))
    grants.set(grant.grantId, grant);
  return purchases.map((purchase) =>
    purchaseMessage(purchase, grants.get(purchase.grantId ?? 0n) ?? null),
  );
}
