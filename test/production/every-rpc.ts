/** One call of every RPC, in an order in which each of them succeeds. */

import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Scrip } from '../../src/client.ts';
import { AccountServiceService } from '../../src/gen/billing/v1/account_service.ts';
import { BillingServiceService } from '../../src/gen/billing/v1/billing_service.ts';
import { BudgetPeriod } from '../../src/gen/billing/v1/budget.ts';
import { EventServiceService } from '../../src/gen/billing/v1/event_service.ts';
import {
  Grant_Category,
  Purchase_Resolution_Decision,
  Purchase_State,
} from '../../src/gen/billing/v1/ledger.ts';
import { OperatorServiceService } from '../../src/gen/billing/v1/operator_service.ts';
import { PlanServiceService } from '../../src/gen/billing/v1/plan_service.ts';
import {
  ExportStatementsRequest_Format,
  StatementServiceService,
} from '../../src/gen/billing/v1/statement_service.ts';

/** The names of all RPCs. */
export const RPCS = [
  AccountServiceService,
  BillingServiceService,
  EventServiceService,
  OperatorServiceService,
  PlanServiceService,
  StatementServiceService,
].flatMap((service) => Object.keys(service));

const accountId = 'acme';
const packId = 'own';
const CHECKOUT = {
  $case: 'checkout' as const,
  value: { successUrl: 'https://shop.example/thanks', cancelUrl: 'https://shop.example/cart' },
};
const named = () => ({ accountId, requestId: randomUUID() });

/** Pays at the payment provider what a purchase by checkout did not ask for. */
export type PayOther = (purchaseId: string) => void;

/**
 * Calls every RPC. Each call that succeeds adds its name to `called`; the first that fails rejects.
 * Needs the plans `verts` and `aspose-cloud`, deliveries that become DEAD at once, and a payment provider.
 */
export async function callEveryRpc(scrip: Scrip, called: Set<string>, payOther: PayOther) {
  const recorded = recording(scrip, called);
  await callPlans(recorded);
  await callAccounts(recorded);
  await callBilling(recorded);
  await resolveMismatched(recorded, payOther);
  await callStatements(recorded);
  await callEvents(recorded);
  await callOperator(recorded);
  await recorded.accounts.closeAccount({ ...named(), accountId: 'moved' });
  const erased = { ...named(), accountId: 'moved', reason: 'a request' };
  await recorded.accounts.eraseAccountData(erased);
}

/** The same client; calls that succeed are recorded. */
function recording(scrip: Scrip, called: Set<string>): Scrip {
  const record = <Service extends object>(service: Service): Service =>
    new Proxy(service, {
      get(target, name: string) {
        const rpc = target[name as keyof Service] as (...args: unknown[]) => unknown;
        return (...args: unknown[]) => {
          const call = rpc(...args);
          if (call instanceof Promise)
            void call.then(
              () => called.add(name),
              () => {},
            );
          else called.add(name);
          return call;
        };
      },
    });
  const { billing, accounts, plans, statements, events, operator } = scrip;
  return {
    ...scrip,
    billing: record(billing),
    accounts: record(accounts),
    plans: record(plans),
    statements: record(statements),
    events: record(events),
    operator: record(operator),
  };
}

async function callPlans({ plans }: Scrip) {
  await plans.listPlans({});
  await plans.getPlan({ planId: 'verts' });
}

async function callAccounts({ accounts }: Scrip) {
  await accounts.openAccount({ ...named(), planId: 'verts' });
  await accounts.openAccount({ ...named(), accountId: 'moved', planId: 'perfectparser' });
  await accounts.moveAccount({
    reason: 'a test',
    ...named(),
    accountId: 'moved',
    planId: 'aspose-cloud',
  });
  const imported = { ...named(), accountId: 'imported', planId: 'verts', system: 'billing-v1' };
  await accounts.importAccount({ ...imported, openedAt: new Date(0) });
  await accounts.sumImports({ accountIds: ['imported'] });
  await accounts.getAccount({ accountId });
  await accounts.listAccounts({});
  await accounts.updateAccount({
    ...named(),
    lowBalanceLevels: { own: { levels: [{ credits: 100n }] } },
  });
  await accounts.grantCredits({
    reason: 'a test',
    ...named(),
    credits: 150n,
    category: Grant_Category.PAID,
  });
  await accounts.suspendAccount({ ...named(), reason: 'a test' });
  await accounts.resumeAccount({ ...named(), reason: 'a test' });
  await accounts.setShadowMode({ ...named(), enabled: true, reason: 'a test' });
  await accounts.listShadowDecisions({ accountId });
  await accounts.setShadowMode({ ...named(), enabled: false, reason: 'a test' });
  const budget = { budgetId: 'ops', dimension: { $case: 'operation', value: true } } as const;
  const terms = { ...budget, credits: 9_000n, period: BudgetPeriod.DAY };
  await accounts.setBudget({ ...named(), budget: terms, reason: 'a test' });
  await accounts.getBudgets({ accountId });
  await accounts.removeBudget({ ...named(), budgetId: 'ops', reason: 'a test' });
  await accounts.updateGrant({ ...named(), grantId: 1n, priority: 40, reason: 'a test' });
  await accounts.voidGrant({ ...named(), grantId: 1n, credits: 1n, reason: 'a test' });
  await accounts.listGrants({ accountId });
  const price = { currency: 'USD', amount: '1.00' };
  const pack = { packId, title: 'Own', credits: 1n, price };
  await accounts.offerPack({ ...named(), pack });
  await accounts.listPacks({ accountId });
}

async function callBilling({ billing, accounts }: Scrip) {
  const usages = { items: [{ operation: 'file.inspect' }] };
  await billing.estimate({ accountId, usages });
  const { reservation } = await billing.reserve({ ...named(), usages });
  const { reservationId = '' } = reservation ?? {};
  await billing.extendReservation({ ...named(), reservationId, ttl: { seconds: 60n } });
  await billing.raiseReservation({ ...named(), reservationId, usages });
  await billing.getReservation({ accountId, reservationId });
  await billing.listReservations({ accountId });
  await billing.commit({ ...named(), reservationId, all: true });
  const second = await billing.reserve({ ...named(), usages });
  await billing.release({
    ...named(),
    reservationId: second.reservation?.reservationId ?? '',
  });
  const payment = { $case: 'paymentReference', value: 'order-1' } as const;
  await billing.estimatePurchase({ accountId, packId });
  const { purchase } = await billing.purchase({ ...named(), packId, payment });
  await billing.getPurchase({ accountId, purchaseId: purchase?.purchaseId ?? '' });
  await billing.listPurchases({ accountId });
  await accounts.withdrawPack({ ...named(), packId });
  // Below the threshold: this writes an event.
  const { entrySeq: seq } = await billing.charge({ ...named(), credits: 60n });
  await billing.refund({ reason: 'a test', ...named(), seq, credits: 1n });
  await billing.batch({
    mutations: [{ mutation: { $case: 'charge', value: { ...named(), usages } } }],
  });
  await billing.getBalance({ accountId, includeGrants: true });
  await billing.getPastBalance({ accountId, point: { $case: 'seq', value: 1n } });
  await billing.listEntries({ accountId });
  for await (const { entries } of billing.streamHistory({ accountId })) if (entries.length) break;
}

async function resolveMismatched({ billing, accounts }: Scrip, payOther: PayOther) {
  const pack = { ...named(), packId: 'starter', payment: CHECKOUT };
  const { purchase } = await billing.purchase(pack);
  const purchaseId = purchase?.purchaseId ?? '';
  payOther(purchaseId);
  const states = [Purchase_State.MISMATCHED];
  while ((await billing.listPurchases({ accountId, states })).purchases.length === 0)
    await sleep(100);
  const decision = Purchase_Resolution_Decision.REJECTED;
  await accounts.resolvePurchase({ ...named(), purchaseId, decision, reason: 'a wrong coupon' });
}

async function callStatements({ statements, accounts }: Scrip) {
  const { account } = await accounts.getAccount({ accountId: 'moved' });
  const month = account?.openedAt?.toISOString().slice(0, 7) ?? '';
  await statements.getStatement({ accountId: 'moved', month });
  await statements.listStatements({ accountId: 'moved' });
  const format = ExportStatementsRequest_Format.CSV;
  for await (const _ of statements.exportStatements({
    of: { $case: 'planId', value: 'aspose-cloud' },
    fromMonth: month,
    format,
  }));
  await statements.getUsage({ of: { $case: 'accountId', value: 'moved' } });
  await statements.getRollForward({ month });
}

async function callEvents({ events }: Scrip) {
  for await (const message of events.streamEvents({ accountId, follow: true }))
    if (message.events.length > 0) break;
  const eventId = await waitForDelivery(events);
  await events.replayDelivery({ accountId, eventId });
  await events.replayDeadDeliveries({ accountId });
}

async function callOperator({ operator }: Scrip) {
  await operator.traceCharge({ accountId, id: { $case: 'entrySeq', value: 1n } });
  await operator.listStuckReservations({ accountId });
  await operator.listRefusals({ accountId });
}

async function waitForDelivery({ listDeliveries }: Scrip['events']): Promise<string> {
  for (;;) {
    const { deliveries } = await listDeliveries({ accountId });
    const [delivery] = deliveries;
    if (delivery?.event) return delivery.event.eventId;
    await sleep(100);
  }
}
