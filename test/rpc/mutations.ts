/** Every mutation with a request that succeeds, and one with other content under the same request id. */

import {
  CloseAccountRequest,
  EraseAccountDataRequest,
  GrantCreditsRequest,
  ImportAccountRequest,
  MoveAccountRequest,
  OfferPackRequest,
  OpenAccountRequest,
  ResolvePurchaseRequest,
  ResumeAccountRequest,
  SetShadowModeRequest,
  SuspendAccountRequest,
  UpdateAccountRequest,
  UpdateGrantRequest,
  VoidGrantRequest,
  WithdrawPackRequest,
} from '../../src/gen/billing/v1/account_service.ts';
import {
  ChargeRequest,
  CommitRequest,
  ExtendReservationRequest,
  PurchaseRequest,
  RaiseReservationRequest,
  RefundRequest,
  ReleaseRequest,
  ReserveRequest,
} from '../../src/gen/billing/v1/billing_service.ts';
import {
  BudgetPeriod,
  RemoveBudgetRequest,
  SetBudgetRequest,
} from '../../src/gen/billing/v1/budget.ts';
import { Grant_Category, Purchase_Resolution_Decision } from '../../src/gen/billing/v1/ledger.ts';
import { mapOf } from '../../src/map-of.ts';
import { openWithCredits, reserveCredits } from '../accounts.ts';
import { CHECKOUT, insertMismatched } from '../payments/given.ts';
import { requestId, type TestService } from '../service.ts';

/** Two encoded requests with the same request id and different content. */
export type RequestPair = {
  readonly accountId: string;
  readonly request: Uint8Array;
  readonly other: Uint8Array;
};

type Id = { readonly accountId: string; readonly requestId: string };

export type MutatingRpc = {
  readonly path: string;
  /** A pair of requests for a new account. */
  readonly pair: (service: TestService, requestId?: string) => Promise<RequestPair>;
};

type Codec<Message> = {
  encode(message: Message): { finish(): Uint8Array };
};

function rpc<Message>(
  path: string,
  codec: Codec<Message>,
  messages: (service: TestService, id: Id) => Promise<readonly [request: Message, other: Message]>,
): MutatingRpc {
  return {
    path: `/billing.v1.${path}`,
    async pair(service, id = requestId()) {
      const accountId = await openWithCredits(service, 100n);
      const [request, other] = await messages(service, { accountId, requestId: id });
      return {
        // OpenAccount names an account that does not exist yet.
        accountId: accountIdOf(request) ?? accountId,
        request: codec.encode(request).finish(),
        other: codec.encode(other).finish(),
      };
    },
  };
}

function accountIdOf(message: unknown): string | null {
  return typeof message === 'object' &&
    message !== null &&
    'accountId' in message &&
    typeof message.accountId === 'string'
    ? message.accountId
    : null;
}

export const mutatingRpcs: readonly MutatingRpc[] = [
  rpc('BillingService/Reserve', ReserveRequest, async (_, id) => [
    ReserveRequest.fromPartial({ ...id, credits: 10n, labels: mapOf({ a: '1', b: '2' }) }),
    ReserveRequest.fromPartial({ ...id, credits: 11n, labels: mapOf({ a: '1', b: '2' }) }),
  ]),
  rpc('BillingService/Commit', CommitRequest, async (service, id) => {
    const reservationId = await reserveCredits(service, id.accountId, 10n);
    return [
      CommitRequest.fromPartial({ ...id, reservationId, credits: 4n, final: false }),
      CommitRequest.fromPartial({ ...id, reservationId, credits: 5n, final: false }),
    ];
  }),
  rpc('BillingService/Release', ReleaseRequest, async (service, id) => [
    ReleaseRequest.fromPartial({
      ...id,
      reservationId: await reserveCredits(service, id.accountId, 10n),
    }),
    ReleaseRequest.fromPartial({
      ...id,
      reservationId: await reserveCredits(service, id.accountId, 10n),
    }),
  ]),
  rpc('BillingService/Charge', ChargeRequest, async (_, id) => [
    ChargeRequest.fromPartial({ ...id, credits: 10n }),
    ChargeRequest.fromPartial({ ...id, credits: 10n, reference: 'another job' }),
  ]),
  rpc('BillingService/ExtendReservation', ExtendReservationRequest, async (service, id) => {
    const reservationId = await reserveCredits(service, id.accountId, 10n);
    const ttl = (seconds: bigint) => ({ ttl: { seconds, nanos: 0 } });
    return [
      ExtendReservationRequest.fromPartial({ ...id, reservationId, ...ttl(3_600n) }),
      ExtendReservationRequest.fromPartial({ ...id, reservationId, ...ttl(7_200n) }),
    ];
  }),
  rpc('BillingService/RaiseReservation', RaiseReservationRequest, async (service, id) => {
    const reservationId = await reserveCredits(service, id.accountId, 10n);
    return [
      RaiseReservationRequest.fromPartial({ ...id, reservationId, credits: 4n }),
      RaiseReservationRequest.fromPartial({ ...id, reservationId, credits: 5n }),
    ];
  }),
  rpc('BillingService/Refund', RefundRequest, async (service, id) => {
    const charge = { accountId: id.accountId, requestId: requestId(), credits: 10n };
    const { entrySeq: seq } = await service.billing.charge(charge);
    return [
      RefundRequest.fromPartial({ ...id, seq, credits: 2n, reason: 'one' }),
      RefundRequest.fromPartial({ ...id, seq, credits: 2n, reason: 'two' }),
    ];
  }),
  rpc('BillingService/Purchase', PurchaseRequest, async (_, id) => {
    const payment = (value: string) => ({ payment: { $case: 'paymentReference' as const, value } });
    return [
      PurchaseRequest.fromPartial({ ...id, packId: 'starter', ...payment('order-1') }),
      PurchaseRequest.fromPartial({ ...id, packId: 'starter', ...payment('order-2') }),
    ];
  }),
  rpc('AccountService/GrantCredits', GrantCreditsRequest, async (_, id) => {
    const promotional = { ...id, category: Grant_Category.PROMOTIONAL, reason: 'a test' };
    return [
      GrantCreditsRequest.fromPartial({ ...promotional, credits: 5n }),
      GrantCreditsRequest.fromPartial({ ...promotional, credits: 6n }),
    ];
  }),
  rpc('AccountService/SuspendAccount', SuspendAccountRequest, async (_, id) => [
    SuspendAccountRequest.fromPartial({ ...id, reason: 'one' }),
    SuspendAccountRequest.fromPartial({ ...id, reason: 'two' }),
  ]),
  rpc('AccountService/ResumeAccount', ResumeAccountRequest, async ({ accounts }, id) => {
    await accounts.suspendAccount({ ...id, requestId: requestId(), reason: 'a test' });
    return [
      ResumeAccountRequest.fromPartial({ ...id, reason: 'one' }),
      ResumeAccountRequest.fromPartial({ ...id, reason: 'two' }),
    ];
  }),
  rpc('AccountService/SetShadowMode', SetShadowModeRequest, async (_, id) => [
    SetShadowModeRequest.fromPartial({ ...id, enabled: true, reason: 'one' }),
    SetShadowModeRequest.fromPartial({ ...id, enabled: true, reason: 'two' }),
  ]),
  rpc('AccountService/SetBudget', SetBudgetRequest, async (_, id) => {
    const budget = {
      budgetId: 'per-user',
      dimension: { $case: 'label', value: 'user' },
      period: BudgetPeriod.DAY,
    } as const;
    return [
      SetBudgetRequest.fromPartial({ ...id, budget: { ...budget, credits: 1n }, reason: 'a test' }),
      SetBudgetRequest.fromPartial({ ...id, budget: { ...budget, credits: 2n }, reason: 'a test' }),
    ];
  }),
  rpc('AccountService/RemoveBudget', RemoveBudgetRequest, async ({ accounts }, id) => {
    const dimension = { $case: 'operation', value: true } as const;
    for (const budgetId of ['one', 'two'])
      await accounts.setBudget({
        ...{ accountId: id.accountId, requestId: requestId(), reason: 'a test' },
        budget: { budgetId, dimension, period: BudgetPeriod.TOTAL },
      });
    return [
      RemoveBudgetRequest.fromPartial({ ...id, budgetId: 'one', reason: 'a test' }),
      RemoveBudgetRequest.fromPartial({ ...id, budgetId: 'two', reason: 'a test' }),
    ];
  }),
  rpc('AccountService/ImportAccount', ImportAccountRequest, async (_, id) => {
    const accountId = `${id.accountId}-imported`;
    const openedAt = new Date(0);
    const imported = { ...id, accountId, planId: 'perfectparser', openedAt, system: 'billing-v1' };
    return [
      ImportAccountRequest.fromPartial({ ...imported, labels: mapOf({ a: '1', b: '2' }) }),
      ImportAccountRequest.fromPartial({ ...imported, displayName: 'Another' }),
    ];
  }),
  rpc('AccountService/UpdateGrant', UpdateGrantRequest, async (_, id) => {
    const first = { ...id, grantId: 1n, reason: 'a test' };
    return [
      UpdateGrantRequest.fromPartial({ ...first, priority: 40 }),
      UpdateGrantRequest.fromPartial({ ...first, priority: 41 }),
    ];
  }),
  rpc('AccountService/VoidGrant', VoidGrantRequest, async (_, id) => {
    const first = { ...id, grantId: 1n, reason: 'a test' };
    return [
      VoidGrantRequest.fromPartial({ ...first, credits: 1n }),
      VoidGrantRequest.fromPartial({ ...first, credits: 2n }),
    ];
  }),
  rpc('AccountService/OpenAccount', OpenAccountRequest, async (_, id) => {
    const account = { ...id, accountId: requestId() };
    return [
      OpenAccountRequest.fromPartial({ ...account, planId: 'perfectparser' }),
      OpenAccountRequest.fromPartial({ ...account, planId: 'aspose-cloud' }),
    ];
  }),
  rpc('AccountService/OfferPack', OfferPackRequest, async (_, id) => {
    const pack = (amount: string) => ({
      pack: { packId: 'own', title: 'Own', credits: 5n, price: { currency: 'USD', amount } },
    });
    return [
      OfferPackRequest.fromPartial({ ...id, ...pack('1.00') }),
      OfferPackRequest.fromPartial({ ...id, ...pack('2.00') }),
    ];
  }),
  rpc('AccountService/WithdrawPack', WithdrawPackRequest, async ({ accounts }, id) => {
    for (const packId of ['one', 'two'])
      await accounts.offerPack({
        accountId: id.accountId,
        requestId: requestId(),
        pack: { packId, title: packId, credits: 5n, price: { currency: 'USD', amount: '1.00' } },
      });
    return [
      WithdrawPackRequest.fromPartial({ ...id, packId: 'one' }),
      WithdrawPackRequest.fromPartial({ ...id, packId: 'two' }),
    ];
  }),
  rpc('AccountService/ResolvePurchase', ResolvePurchaseRequest, async (service, id) => {
    const purchaseId = await insertMismatched(service, id.accountId);
    const decision = Purchase_Resolution_Decision.ACCEPTED;
    return [
      ResolvePurchaseRequest.fromPartial({ ...id, purchaseId, decision, reason: 'one' }),
      ResolvePurchaseRequest.fromPartial({ ...id, purchaseId, decision, reason: 'two' }),
    ];
  }),
  rpc('AccountService/UpdateAccount', UpdateAccountRequest, async (_, id) => [
    UpdateAccountRequest.fromPartial({ ...id, displayName: 'One' }),
    UpdateAccountRequest.fromPartial({ ...id, displayName: 'Two' }),
  ]),
  rpc('AccountService/MoveAccount', MoveAccountRequest, async (_, id) => [
    MoveAccountRequest.fromPartial({ ...id, planId: 'perfectparser', reason: 'a test' }),
    MoveAccountRequest.fromPartial({ ...id, planId: 'aspose-cloud', reason: 'a test' }),
  ]),
  rpc('AccountService/EraseAccountData', EraseAccountDataRequest, async ({ accounts }, id) => {
    await accounts.closeAccount({ accountId: id.accountId, requestId: requestId() });
    return [
      EraseAccountDataRequest.fromPartial({ ...id, reason: 'one' }),
      EraseAccountDataRequest.fromPartial({ ...id, reason: 'two' }),
    ];
  }),
];

/** CloseAccount has no content, so both requests are the same. */
export const closeAccount: MutatingRpc = rpc(
  'AccountService/CloseAccount',
  CloseAccountRequest,
  async (_, id) => [CloseAccountRequest.fromPartial(id), CloseAccountRequest.fromPartial(id)],
);

/** Needs a payment provider. */
export const checkout: MutatingRpc = rpc(
  'BillingService/Purchase',
  PurchaseRequest,
  async (_, id) => {
    const bought = { ...id, packId: 'starter', payment: CHECKOUT };
    return [
      PurchaseRequest.fromPartial(bought),
      PurchaseRequest.fromPartial({ ...bought, labels: mapOf({ shop: 'eu' }) }),
    ];
  },
);

export const rejectPurchase: MutatingRpc = rpc(
  'AccountService/ResolvePurchase',
  ResolvePurchaseRequest,
  async (service, id) => {
    const purchaseId = await insertMismatched(service, id.accountId);
    const { ACCEPTED, REJECTED } = Purchase_Resolution_Decision;
    const decided = { ...id, purchaseId, reason: 'why' };
    return [
      ResolvePurchaseRequest.fromPartial({ ...decided, decision: REJECTED }),
      ResolvePurchaseRequest.fromPartial({ ...decided, decision: ACCEPTED }),
    ];
  },
);
