/**
 * One call of each method that a policy can allow, on an account that has something for each of them. A new
 * method without a row does not compile.
 */
import { Metadata, type MethodDefinition } from '@grpc/grpc-js';
import { ScripError } from '../../src/client.ts';
import * as accounts from '../../src/gen/billing/v1/account_service.ts';
import * as billing from '../../src/gen/billing/v1/billing_service.ts';
import * as budgets from '../../src/gen/billing/v1/budget.ts';
import * as events from '../../src/gen/billing/v1/event_service.ts';
import { Grant_Category, Purchase_Resolution_Decision } from '../../src/gen/billing/v1/ledger.ts';
import * as operators from '../../src/gen/billing/v1/operator_service.ts';
import * as plans from '../../src/gen/billing/v1/plan_service.ts';
import * as statements from '../../src/gen/billing/v1/statement_service.ts';
import {
  ServerReflectionRequest,
  ServerReflectionService,
} from '../../src/gen/grpc/reflection/v1/reflection.ts';
import type { MethodName } from '../../src/policy/methods.ts';
import { INSPECT, openWithCredits, reserveCredits } from '../accounts.ts';
import { insertMismatched } from '../payments/given.ts';
import { decodeDetails, errorOf, type RpcError } from '../rpc-error.ts';
import { requestId, type TestService } from '../service.ts';

/** What calls name. */
export type Given = {
  readonly accountId: string;
  readonly requestId: string;
  readonly reservationId: string;
  /** Of a charge of 10 credits. */
  readonly seq: bigint;
  /** Paid, but not what it cost. */
  readonly purchaseId: string;
  readonly packId: string;
};

/** A new account of the plan verts that has something for each call. Its caller is the service's client. */
export async function givenAccount(service: TestService): Promise<Given> {
  const accountId = await openWithCredits(service, 100n);
  const id = () => ({ accountId, requestId: requestId() });
  const packId = 'own';
  const price = { currency: 'USD', amount: '1.00' };
  await service.accounts.offerPack({ ...id(), pack: { packId, title: 'Own', credits: 1n, price } });
  const budget = { ...BUDGET, budgetId: 'given' };
  await service.accounts.setBudget({ ...id(), budget, reason: 'a test' });
  const { entrySeq } = await service.billing.charge({ ...id(), credits: 10n });
  return {
    ...id(),
    reservationId: await reserveCredits(service, accountId, 10n),
    seq: entrySeq,
    purchaseId: await insertMismatched(service, accountId),
    packId,
  };
}

type Row = {
  readonly path: string;
  readonly encode: (given: Given) => Uint8Array;
  /** Whether the call names the account. */
  readonly namesAccount: boolean;
  /** As a member of a Batch; null where it cannot be one. */
  readonly toMember: ((given: Given) => billing.Mutation) | null;
  /** How the call ends where it is allowed: OK, or a reason. */
  readonly allowed: string;
};

type Codec<Request, Partial> = {
  encode(message: Request): { finish(): Uint8Array };
  fromPartial(partial: Partial): Request;
};

function row<Request, Partial>(
  { path }: MethodDefinition<never, never> | { readonly path: string },
  codec: Codec<Request, Partial>,
  toRequest: (given: Given) => Partial,
  more: { readonly allowed?: string; readonly member?: string } = {},
): Row {
  const { member, allowed = 'OK' } = more;
  const toMessage = (given: Given) => codec.fromPartial(toRequest(given));
  return {
    path,
    encode: (given) => codec.encode(toMessage(given)).finish(),
    namesAccount:
      path !== PATH_OF_BATCH &&
      JSON.stringify(toRequest(SAMPLE), bigints).includes(SAMPLE.accountId),
    toMember: member
      ? (given) =>
          ({
            mutation: { $case: member, value: toMessage(given) },
            traceparent: '',
          }) as billing.Mutation
      : null,
    allowed,
  };
}

const bigints = (_: string, value: unknown) => (typeof value === 'bigint' ? `${value}` : value);

const { BillingServiceService: b } = billing;
const { AccountServiceService: a } = accounts;
const { PlanServiceService: p } = plans;
const { StatementServiceService: s } = statements;
const { EventServiceService: e } = events;
const { OperatorServiceService: o } = operators;
const PATH_OF_BATCH = b.batch.path;
const SAMPLE: Given = {
  accountId: 'the account',
  requestId: requestId(),
  reservationId: requestId(),
  seq: 1n,
  purchaseId: requestId(),
  packId: 'own',
};

const idOf = ({ accountId, requestId }: Given) => ({ accountId, requestId });
const usages = { items: [INSPECT] };
const BUDGET: budgets.Budget = {
  budgetId: 'a',
  dimension: { $case: 'label', value: 'user' },
  value: undefined,
  credits: 1_000n,
  period: budgets.BudgetPeriod.DAY,
  enforcement: budgets.BudgetEnforcement.HARD,
  exceptions: [],
};
const ttl = { seconds: 3_600n, nanos: 0 };
const MONTH = new Date().toISOString().slice(0, 7);

export const EVERY_CALL: Readonly<Record<MethodName, Row>> = {
  Estimate: row(b.estimate, billing.EstimateRequest, ({ accountId }) => ({ accountId, usages })),
  Reserve: row(b.reserve, billing.ReserveRequest, (given) => ({ ...idOf(given), usages }), {
    member: 'reserve',
  }),
  Commit: row(
    b.commit,
    billing.CommitRequest,
    (given) => ({ ...idOf(given), reservationId: given.reservationId, credits: 4n, final: false }),
    { member: 'commit' },
  ),
  Release: row(
    b.release,
    billing.ReleaseRequest,
    (given) => ({ ...idOf(given), reservationId: given.reservationId }),
    { member: 'release' },
  ),
  Charge: row(b.charge, billing.ChargeRequest, (given) => ({ ...idOf(given), usages }), {
    member: 'charge',
  }),
  ExtendReservation: row(
    b.extendReservation,
    billing.ExtendReservationRequest,
    (given) => ({ ...idOf(given), reservationId: given.reservationId, ttl }),
    { member: 'extendReservation' },
  ),
  RaiseReservation: row(
    b.raiseReservation,
    billing.RaiseReservationRequest,
    (given) => ({ ...idOf(given), reservationId: given.reservationId, usages }),
    { member: 'raiseReservation' },
  ),
  Refund: row(
    b.refund,
    billing.RefundRequest,
    (given) => ({ ...idOf(given), seq: given.seq, credits: 2n, reason: 'a test' }),
    { member: 'refund' },
  ),
  Purchase: row(
    b.purchase,
    billing.PurchaseRequest,
    (given) => ({
      ...idOf(given),
      packId: 'starter',
      payment: { $case: 'paymentReference' as const, value: given.requestId },
    }),
    { member: 'purchase' },
  ),
  Batch: row(b.batch, billing.BatchRequest, (given) => ({
    mutations: [
      { mutation: { $case: 'charge' as const, value: { ...idOf(given), usages } } },
      { mutation: { $case: 'closeAccount' as const, value: idOf(given) } },
    ],
  })),
  GetReservation: row(b.getReservation, billing.GetReservationRequest, (given) => ({
    accountId: given.accountId,
    reservationId: given.reservationId,
  })),
  ListReservations: row(b.listReservations, billing.ListReservationsRequest, ({ accountId }) => ({
    accountId,
  })),
  EstimatePurchase: row(b.estimatePurchase, billing.EstimatePurchaseRequest, ({ accountId }) => ({
    accountId,
    packId: 'starter',
  })),
  GetPurchase: row(b.getPurchase, billing.GetPurchaseRequest, ({ accountId, purchaseId }) => ({
    accountId,
    purchaseId,
  })),
  ListPurchases: row(b.listPurchases, billing.ListPurchasesRequest, ({ accountId }) => ({
    accountId,
  })),
  GetBalance: row(b.getBalance, billing.GetBalanceRequest, ({ accountId }) => ({ accountId })),
  GetPastBalance: row(b.getPastBalance, billing.GetPastBalanceRequest, ({ accountId, seq }) => ({
    accountId,
    point: { $case: 'seq' as const, value: seq },
  })),
  ListEntries: row(b.listEntries, billing.ListEntriesRequest, ({ accountId }) => ({ accountId })),
  StreamHistory: row(b.streamHistory, billing.StreamHistoryRequest, ({ accountId }) => ({
    accountId,
  })),
  OpenAccount: row(
    a.openAccount,
    accounts.OpenAccountRequest,
    // Another account: the one that is given is open.
    (given) => ({ ...idOf(given), accountId: `${given.accountId}-2`, planId: 'perfectparser' }),
    { member: 'openAccount' },
  ),
  ImportAccount: row(
    a.importAccount,
    accounts.ImportAccountRequest,
    ({ accountId }) => ({
      accountId: `${accountId}-imported`,
      requestId: requestId(),
      planId: 'verts',
      openedAt: new Date(0),
      system: 'a-test',
    }),
    { member: 'importAccount' },
  ),
  SumImports: row(a.sumImports, accounts.SumImportsRequest, ({ accountId }) => ({
    accountIds: [accountId],
  })),
  GetAccount: row(a.getAccount, accounts.GetAccountRequest, ({ accountId }) => ({ accountId })),
  ListAccounts: row(a.listAccounts, accounts.ListAccountsRequest, () => ({})),
  UpdateAccount: row(
    a.updateAccount,
    accounts.UpdateAccountRequest,
    (given) => ({ ...idOf(given), displayName: 'Another' }),
    { member: 'updateAccount' },
  ),
  MoveAccount: row(
    a.moveAccount,
    accounts.MoveAccountRequest,
    (given) => ({ ...idOf(given), planId: 'perfectparser', reason: 'a test' }),
    { member: 'moveAccount' },
  ),
  CloseAccount: row(a.closeAccount, accounts.CloseAccountRequest, idOf, {
    member: 'closeAccount',
  }),
  SuspendAccount: row(
    a.suspendAccount,
    accounts.SuspendAccountRequest,
    (given) => ({ ...idOf(given), reason: 'a test' }),
    { member: 'suspendAccount' },
  ),
  ResumeAccount: row(
    a.resumeAccount,
    accounts.ResumeAccountRequest,
    (given) => ({ ...idOf(given), reason: 'a test' }),
    { member: 'resumeAccount' },
  ),
  SetShadowMode: row(a.setShadowMode, accounts.SetShadowModeRequest, (given) => ({
    ...idOf(given),
    enabled: true,
    reason: 'a test',
  })),
  ListShadowDecisions: row(
    a.listShadowDecisions,
    accounts.ListShadowDecisionsRequest,
    ({ accountId }) => ({ accountId }),
  ),
  SetBudget: row(
    a.setBudget,
    budgets.SetBudgetRequest,
    (given) => ({ ...idOf(given), budget: BUDGET, reason: 'a test' }),
    { member: 'setBudget' },
  ),
  RemoveBudget: row(
    a.removeBudget,
    budgets.RemoveBudgetRequest,
    (given) => ({ ...idOf(given), budgetId: 'given', reason: 'a test' }),
    { member: 'removeBudget' },
  ),
  GetBudgets: row(a.getBudgets, budgets.GetBudgetsRequest, ({ accountId }) => ({ accountId })),
  EraseAccountData: row(
    a.eraseAccountData,
    accounts.EraseAccountDataRequest,
    (given) => ({ ...idOf(given), reason: 'a test' }),
    { allowed: 'ACCOUNT_NOT_CLOSED' },
  ),
  GrantCredits: row(
    a.grantCredits,
    accounts.GrantCreditsRequest,
    (given) => ({
      ...idOf(given),
      credits: 5n,
      category: Grant_Category.PROMOTIONAL,
      reason: 'a test',
    }),
    { member: 'grantCredits' },
  ),
  // Every account has welcome credits, of which little is voided.
  VoidGrant: row(
    a.voidGrant,
    accounts.VoidGrantRequest,
    (given) => ({ ...idOf(given), grantId: 1n, credits: 1n, reason: 'a test' }),
    { member: 'voidGrant' },
  ),
  UpdateGrant: row(
    a.updateGrant,
    accounts.UpdateGrantRequest,
    (given) => ({ ...idOf(given), grantId: 1n, priority: 40, reason: 'a test' }),
    { member: 'updateGrant' },
  ),
  ListGrants: row(a.listGrants, accounts.ListGrantsRequest, ({ accountId }) => ({ accountId })),
  OfferPack: row(a.offerPack, accounts.OfferPackRequest, (given) => ({
    ...idOf(given),
    pack: {
      packId: 'another',
      title: 'Another',
      credits: 1n,
      price: { currency: 'USD', amount: '1.00' },
    },
  })),
  WithdrawPack: row(a.withdrawPack, accounts.WithdrawPackRequest, (given) => ({
    ...idOf(given),
    packId: given.packId,
  })),
  ListPacks: row(a.listPacks, accounts.ListPacksRequest, ({ accountId }) => ({ accountId })),
  ResolvePurchase: row(a.resolvePurchase, accounts.ResolvePurchaseRequest, (given) => ({
    ...idOf(given),
    purchaseId: given.purchaseId,
    decision: Purchase_Resolution_Decision.ACCEPTED,
    reason: 'a test',
  })),
  ListPlans: row(p.listPlans, plans.ListPlansRequest, () => ({})),
  GetPlan: row(p.getPlan, plans.GetPlanRequest, () => ({ planId: 'verts' })),
  GetStatement: row(s.getStatement, statements.GetStatementRequest, ({ accountId }) => ({
    accountId,
    month: MONTH,
  })),
  ListStatements: row(s.listStatements, statements.ListStatementsRequest, ({ accountId }) => ({
    accountId,
  })),
  ExportStatements: row(s.exportStatements, statements.ExportStatementsRequest, (given) => ({
    of: { $case: 'accountId' as const, value: given.accountId },
    fromMonth: MONTH,
    format: statements.ExportStatementsRequest_Format.CSV,
  })),
  GetUsage: row(s.getUsage, statements.GetUsageRequest, ({ accountId }) => ({
    of: { $case: 'accountId' as const, value: accountId },
  })),
  GetRollForward: row(s.getRollForward, statements.GetRollForwardRequest, () => ({ month: MONTH })),
  StreamEvents: row(e.streamEvents, events.StreamEventsRequest, ({ accountId }) => ({ accountId })),
  ListDeliveries: row(e.listDeliveries, events.ListDeliveriesRequest, ({ accountId }) => ({
    accountId,
  })),
  ReplayDelivery: row(
    e.replayDelivery,
    events.ReplayDeliveryRequest,
    ({ accountId, requestId }) => ({ accountId, eventId: requestId }),
    { allowed: 'DELIVERY_NOT_FOUND' },
  ),
  ReplayDeadDeliveries: row(
    e.replayDeadDeliveries,
    events.ReplayDeadDeliveriesRequest,
    ({ accountId }) => ({ accountId }),
  ),
  TraceCharge: row(o.traceCharge, operators.TraceChargeRequest, ({ accountId, seq }) => ({
    accountId,
    id: { $case: 'entrySeq' as const, value: seq },
  })),
  ListStuckReservations: row(
    o.listStuckReservations,
    operators.ListStuckReservationsRequest,
    ({ accountId }) => ({ accountId }),
  ),
  ListRefusals: row(o.listRefusals, operators.ListRefusalsRequest, ({ accountId }) => ({
    accountId,
  })),
  ServerReflectionInfo: row(
    ServerReflectionService.serverReflectionInfo,
    ServerReflectionRequest,
    () => ({ messageRequest: { $case: 'listServices' as const, value: '' } }),
  ),
};

export const METHOD_NAMES = Object.keys(EVERY_CALL) as readonly MethodName[];

/** Those whose requests name an account. */
export const CALLS_ON_ACCOUNTS = METHOD_NAMES.filter((name) => EVERY_CALL[name].namesAccount);

/** Those that a Batch may carry. */
export const BATCH_MEMBERS = METHOD_NAMES.filter((name) => EVERY_CALL[name].toMember !== null);

/** How a call ended. */
export type Ended = 'OK' | RpcError;

export const reasonOf = (ended: Ended): string => (ended === 'OK' ? 'OK' : ended.reason);

/** Calls a path with bytes, and reads what it answers to the end. A unary call is a stream of one message. */
export async function callAs(
  { channel }: Pick<TestService, 'channel'>,
  caller: string,
  path: string,
  request: Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ readonly ended: Ended; readonly messages: readonly Buffer[] }> {
  const metadata = new Metadata();
  metadata.set('x-caller', caller);
  for (const [key, value] of Object.entries(headers)) metadata.set(key, value);
  const identity = (bytes: Buffer): Buffer => bytes;
  const call = channel.makeServerStreamRequest(
    path,
    identity,
    identity,
    Buffer.from(request),
    metadata,
  );
  const messages: Buffer[] = [];
  const done = new Promise<void>((resolve, reject) => {
    call.on('data', (message: Buffer) => messages.push(message));
    call.on('error', (error) => reject(new ScripError(error as never)));
    call.on('end', resolve);
  });
  const failed = await done.then(
    () => false,
    () => true,
  );
  return { ended: failed ? await errorOf(done) : 'OK', messages };
}

/** Calls a method as a caller. */
export const callMethod = async (
  service: Pick<TestService, 'channel'>,
  caller: string,
  method: MethodName,
  given: Given,
): Promise<Ended> => {
  const { path, encode } = EVERY_CALL[method];
  return (await callAs(service, caller, path, encode(given))).ended;
};

/** Calls a mutation as the only member of a Batch. */
export async function callInBatch(
  service: Pick<TestService, 'channel'>,
  caller: string,
  method: MethodName,
  given: Given,
): Promise<Ended> {
  const member = EVERY_CALL[method].toMember?.(given);
  if (!member) throw new Error(`${method} cannot be in a Batch`);
  const request = billing.BatchRequest.encode({ mutations: [member], atomic: false }).finish();
  const { ended, messages } = await callAs(service, caller, PATH_OF_BATCH, request);
  const [bytes] = messages;
  if (ended !== 'OK' || !bytes) return ended;
  const [result] = billing.BatchResponse.decode(bytes).results;
  if (result?.result?.$case !== 'error') return 'OK';
  const { code, message, details } = result.result.value;
  return { code, message, ...decodeDetails(details) };
}
