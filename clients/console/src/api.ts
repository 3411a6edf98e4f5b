/** What the page asks of the service: its methods as JSON, and who is signed in. */
import type * as accounts from './gen/billing/v1/account_service_pb.ts';
import type * as billing from './gen/billing/v1/billing_service_pb.ts';
import type * as events from './gen/billing/v1/event_service_pb.ts';
import type { EntryJson } from './gen/billing/v1/ledger_pb.ts';
import type * as operator from './gen/billing/v1/operator_service_pb.ts';
import type * as plans from './gen/billing/v1/plan_service_pb.ts';
import type * as statements from './gen/billing/v1/statement_service_pb.ts';

type Methods = {
  GetAccount: [accounts.GetAccountRequestJson, accounts.GetAccountResponseJson];
  ListAccounts: [accounts.ListAccountsRequestJson, accounts.ListAccountsResponseJson];
  ListGrants: [accounts.ListGrantsRequestJson, accounts.ListGrantsResponseJson];
  GrantCredits: [accounts.GrantCreditsRequestJson, accounts.GrantCreditsResponseJson];
  VoidGrant: [accounts.VoidGrantRequestJson, accounts.VoidGrantResponseJson];
  Estimate: [billing.EstimateRequestJson, billing.EstimateResponseJson];
  GetBalance: [billing.GetBalanceRequestJson, billing.GetBalanceResponseJson];
  ListEntries: [billing.ListEntriesRequestJson, billing.ListEntriesResponseJson];
  ListReservations: [billing.ListReservationsRequestJson, billing.ListReservationsResponseJson];
  GetReservation: [billing.GetReservationRequestJson, billing.GetReservationResponseJson];
  ListPurchases: [billing.ListPurchasesRequestJson, billing.ListPurchasesResponseJson];
  Refund: [billing.RefundRequestJson, billing.RefundResponseJson];
  Release: [billing.ReleaseRequestJson, billing.ReleaseResponseJson];
  ListDeliveries: [events.ListDeliveriesRequestJson, events.ListDeliveriesResponseJson];
  ReplayDelivery: [events.ReplayDeliveryRequestJson, events.ReplayDeliveryResponseJson];
  ReplayDeadDeliveries: [
    events.ReplayDeadDeliveriesRequestJson,
    events.ReplayDeadDeliveriesResponseJson,
  ];
  TraceCharge: [operator.TraceChargeRequestJson, operator.TraceChargeResponseJson];
  ListStuckReservations: [
    operator.ListStuckReservationsRequestJson,
    operator.ListStuckReservationsResponseJson,
  ];
  ListRefusals: [operator.ListRefusalsRequestJson, operator.ListRefusalsResponseJson];
  ListPlans: [plans.ListPlansRequestJson, plans.ListPlansResponseJson];
  GetPlan: [plans.GetPlanRequestJson, plans.GetPlanResponseJson];
  GetStatement: [statements.GetStatementRequestJson, statements.GetStatementResponseJson];
  ListStatements: [statements.ListStatementsRequestJson, statements.ListStatementsResponseJson];
};

export type MethodName = keyof Methods;

const SERVICES: Readonly<Record<MethodName | 'StreamHistory', string>> = {
  GetAccount: 'AccountService',
  ListAccounts: 'AccountService',
  ListGrants: 'AccountService',
  GrantCredits: 'AccountService',
  VoidGrant: 'AccountService',
  Estimate: 'BillingService',
  GetBalance: 'BillingService',
  ListEntries: 'BillingService',
  ListReservations: 'BillingService',
  GetReservation: 'BillingService',
  ListPurchases: 'BillingService',
  Refund: 'BillingService',
  Release: 'BillingService',
  StreamHistory: 'BillingService',
  ListDeliveries: 'EventService',
  ReplayDelivery: 'EventService',
  ReplayDeadDeliveries: 'EventService',
  TraceCharge: 'OperatorService',
  ListStuckReservations: 'OperatorService',
  ListRefusals: 'OperatorService',
  ListPlans: 'PlanService',
  GetPlan: 'PlanService',
  GetStatement: 'StatementService',
  ListStatements: 'StatementService',
};

export type Session = {
  readonly caller: string | null;
  readonly signedIn: boolean;
  readonly needsSignIn: boolean;
  readonly canAct: boolean;
  /** The methods that the person may call, of those that the console uses. */
  readonly methods: readonly string[];
  readonly sandbox: boolean;
  /** False: there is no policy, or no issuer of tokens. */
  readonly canSignIn: boolean;
  /** How many databases the accounts are divided among; null: not said before sign-in. */
  readonly cells: number | null;
  /** RFC 3339. Null: the clocks of the service disagree. */
  readonly serviceTime: string | null;
  readonly traceUrlTemplate: string | null;
  readonly version: string;
};

/** A call that failed: what the service says, or that it does not answer. */
export class ApiError extends Error {
  /** HTTP status; 0: there was no answer. */
  readonly status: number;
  readonly code: string;
  /** As in ErrorReason, without its prefix. Empty: there is none. */
  readonly reason: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly violations: readonly { readonly field: string; readonly description: string }[];

  constructor(status: number, answer: Partial<ErrorAnswer>) {
    super(answer.message ?? `the service answered with HTTP status ${status}`);
    this.status = status;
    this.code = answer.code ?? '';
    this.reason = answer.reason ?? '';
    this.metadata = answer.metadata ?? {};
    this.violations = answer.violations ?? [];
  }
}

type ErrorAnswer = Pick<ApiError, 'code' | 'reason' | 'message' | 'metadata' | 'violations'>;

const API = '/console/api';

async function ask(path: string, init: RequestInit, reason = ''): Promise<unknown> {
  let response: Response;
  try {
    response = await fetch(`${API}${path}`, {
      ...init,
      headers: {
        'content-type': 'application/json',
        'x-scrip-console': '1',
        ...(reason && { 'x-scrip-reason': encodeURIComponent(reason) }),
      },
    });
  } catch (error) {
    if ((error as Error).name === 'AbortError') throw error;
    throw new ApiError(0, { message: 'the service does not answer' });
  }
  const answer = await response.json().catch(() => null);
  if (!response.ok) throw new ApiError(response.status, answer?.error ?? {});
  return answer;
}

export const readSession = async (): Promise<Session> =>
  (await ask('/session', { method: 'GET' })) as Session;

export const signIn = (token: string): Promise<unknown> =>
  ask('/session', { method: 'POST', body: JSON.stringify({ token }) });

export const signOut = (): Promise<unknown> => ask('/session', { method: 'DELETE' });

export const readLive = async (signal: AbortSignal): Promise<LiveFigures> =>
  (await ask('/live', { method: 'GET', signal })) as LiveFigures;

/** A cell, as the replica that serves the page sees it. */
export type CellState = {
  readonly name: string;
  readonly isReachable: boolean;
  readonly slots: number;
};

export const readCells = async (signal: AbortSignal): Promise<readonly CellState[]> =>
  ((await ask('/cells', { method: 'GET', signal })) as { cells: readonly CellState[] }).cells;

/** The name of the cell that an account belongs to. */
export const readCellOf = async (accountId: string, signal: AbortSignal): Promise<string> => {
  const query = new URLSearchParams({ account: accountId });
  return ((await ask(`/cell?${query}`, { method: 'GET', signal })) as { cell: string }).cell;
};

const pathOf = (method: MethodName | 'StreamHistory'): string =>
  `/rpc/billing.v1.${SERVICES[method]}/${method}`;

export const call = async <M extends MethodName>(
  method: M,
  request: Methods[M][0],
  signal?: AbortSignal,
): Promise<Methods[M][1]> =>
  (await ask(pathOf(method), {
    method: 'POST',
    body: JSON.stringify(request),
    ...(signal && { signal }),
  })) as Methods[M][1];

/** An action whose request has no field for its reason: the service logs the reason. */
export const act = async <M extends MethodName>(
  method: M,
  request: Methods[M][0],
  reason: string,
): Promise<Methods[M][1]> =>
  (await ask(
    pathOf(method),
    { method: 'POST', body: JSON.stringify(request) },
    reason,
  )) as Methods[M][1];

/** The entries from <= seq <= to, newest first; of very large ones only the newest. */
export async function readEntries(
  accountId: string,
  { from, to }: { readonly from: number; readonly to: number },
  signal: AbortSignal,
): Promise<readonly EntryJson[]> {
  const request = { accountId, beforeSeq: String(to + 1), pageSize: to - from + 1 };
  return (await call('ListEntries', request, signal)).entries ?? [];
}

/** Entries that a message of the history can have. */
export const ENTRIES_PER_MESSAGE = 500;

/** The first entries after a seq: at most `entries`, of the seqs that one message can be about. */
export async function readHistory(
  request: billing.StreamHistoryRequestJson,
  entries: number,
  signal: AbortSignal,
): Promise<readonly EntryJson[]> {
  const messages = (await ask(`${pathOf('StreamHistory')}?messages=1&rows=${entries}`, {
    method: 'POST',
    body: JSON.stringify(request),
    signal,
  })) as readonly billing.StreamHistoryResponseJson[];
  return messages.flatMap((message) => message.entries ?? []).slice(0, entries);
}

export type CallFigures = {
  readonly perSecond: number;
  readonly failedPerSecond: number;
  /** Null: no call has ended. */
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
};

/** Figures of the replica that serves the page. Null stands for what is not known. */
export type LiveFigures = {
  /** The time that rates are of; 0: there are none yet. */
  readonly windowMs: number;
  readonly calls: CallFigures;
  readonly methods: readonly (CallFigures & { readonly method: string })[];
  readonly refusals: readonly {
    readonly reason: string;
    readonly count: number;
    readonly perSecond: number;
  }[];
  readonly queue: number | null;
  readonly pool: {
    readonly used: number | null;
    readonly idle: number | null;
    readonly max: number | null;
    readonly waiting: number | null;
  };
  readonly eventLoop: { readonly utilization: number | null; readonly delayP99Ms: number | null };
  readonly clockOffsetMs: number | null;
  readonly reservations: { readonly active: number | null; readonly oldestAgeMs: number | null };
  readonly sweepLagMs: number | null;
  readonly eventsAgeMs: number | null;
  readonly deliveries: { readonly pending: number | null; readonly dead: number | null };
  readonly pendingPurchases: number | null;
  readonly verify: { readonly disagreements: number | null; readonly lastSuccessAt: string | null };
};
