/**
 * The TypeScript client of the service. It adds to the generated one: promises, requests with only
 * the fields that are needed, and errors that carry their reason.
 *
 *     const scrip = connect('localhost:50051', { caller: 'converter' });
 *     const scrip = connect('billing:50051', { tls: { ca, certificate, key } });
 *     const { reservation } = await scrip.billing.reserve({ accountId, requestId, usages });
 *
 * A request id belongs to a job and not to a call: make it once, and send it again with every retry.
 */
import {
  type CallOptions,
  type ChannelCredentials,
  Client,
  type ClientOptions,
  type ClientReadableStream,
  type ClientUnaryCall,
  credentials,
  Metadata,
  type MethodDefinition,
  type ServiceError,
} from '@grpc/grpc-js';
import * as accounts from './gen/billing/v1/account_service.ts';
import * as billing from './gen/billing/v1/billing_service.ts';
import * as budgets from './gen/billing/v1/budget.ts';
import { InsufficientCredits } from './gen/billing/v1/error_details.ts';
import * as events from './gen/billing/v1/event_service.ts';
import * as operators from './gen/billing/v1/operator_service.ts';
import * as plans from './gen/billing/v1/plan_service.ts';
import * as statements from './gen/billing/v1/statement_service.ts';
import { BadRequest, ErrorInfo } from './gen/google/rpc/error_details.ts';
import { Status } from './gen/google/rpc/status.ts';
import * as sandboxes from './gen/sandbox/v1/sandbox_service.ts';

export { mapOf } from './map-of.ts';

/** PEM. */
export type TlsOptions = {
  /** The CAs of the service. Default: those of the system. */
  readonly ca?: Buffer;
  /** The client's certificate and its key, for mutual TLS. */
  readonly certificate?: Buffer;
  readonly key?: Buffer;
};

export type ConnectOptions = {
  /** Name of the calling service, for a service that authenticates nobody: one for development on loopback. */
  readonly caller?: string;
  /** TLS. Default: none. */
  readonly tls?: TlsOptions;
  /** A bearer token, or what gives one for each call, such as a function that reads the file of a projected token. */
  readonly token?: string | (() => string | Promise<string>);
  /** In place of `tls`. */
  readonly credentials?: ChannelCredentials;
  readonly channel?: ClientOptions;
  /** Receives the trailers of every call. */
  readonly onTrailers?: (trailers: Metadata) => void;
};

/** Options of one call: those of grpc-js, such as `deadline`, and these. */
export type ScripCallOptions = CallOptions & {
  /** Additional request metadata, such as `traceparent`. */
  readonly metadata?: Metadata;
  /** Receives the trailers, such as `idempotent-replayed`. */
  readonly onTrailers?: (trailers: Metadata) => void;
};

/** An error that a call ended with, with what its google.rpc.Status says. */
export class ScripError extends Error {
  /** gRPC status code. */
  readonly code: number;
  /** Such as "INSUFFICIENT_CREDITS"; empty if the error does not come from the service. */
  readonly reason: string;
  /** Every dynamic value of the message. */
  readonly metadata: Readonly<Record<string, string>>;
  /** The bad fields of an INVALID_FIELD. */
  readonly violations: readonly { readonly field: string; readonly description: string }[];

  /** Of INSUFFICIENT_CREDITS and OVERAGE_LIMIT_REACHED: what is missing, and the packs to buy. */
  readonly insufficientCredits: InsufficientCredits | null;

  constructor(error: ServiceError) {
    super(error.details || error.message, { cause: error });
    this.name = 'ScripError';
    this.code = error.code;
    const { info, badRequest, insufficientCredits } = detailsOf(error.metadata);
    this.reason = info?.reason ?? '';
    this.metadata = Object.fromEntries(info?.metadata ?? []);
    this.violations = badRequest?.fieldViolations ?? [];
    this.insufficientCredits = insufficientCredits ?? null;
  }
}

function detailsOf(metadata: Metadata | undefined) {
  const [bytes] = metadata?.get('grpc-status-details-bin') ?? [];
  if (!Buffer.isBuffer(bytes)) return {};
  const { details } = Status.decode(bytes);
  const value = (type: string) =>
    details.find(({ typeUrl }) => typeUrl === `type.googleapis.com/${type}`)?.value;
  const info = value('google.rpc.ErrorInfo');
  const badRequest = value('google.rpc.BadRequest');
  const insufficientCredits = value('billing.v1.InsufficientCredits');
  return {
    info: info && ErrorInfo.decode(info),
    badRequest: badRequest && BadRequest.decode(badRequest),
    insufficientCredits: insufficientCredits && InsufficientCredits.decode(insufficientCredits),
  };
}

type Unary<Request, Response> = (request: Request, options?: ScripCallOptions) => Promise<Response>;

/** Adds the fields that a request leaves out: `fromPartial` of the generated message. */
type Complete<Partial, Request> = (partial: Partial) => Request;

/** Credentials of a channel with TLS, which alone can carry a token as gRPC means it. */
function tlsCredentials({ ca, certificate, key }: TlsOptions, token: ConnectOptions['token']) {
  const channel = credentials.createSsl(ca ?? null, key ?? null, certificate ?? null);
  if (token === undefined) return channel;
  const bearer = credentials.createFromMetadataGenerator((_, callback) => {
    withToken(new Metadata(), token).then(
      (metadata) => callback(null, metadata),
      (error: Error) => callback(error),
    );
  });
  return credentials.combineChannelCredentials(channel, bearer);
}

async function withToken(
  metadata: Metadata,
  token: NonNullable<ConnectOptions['token']>,
): Promise<Metadata> {
  const text = typeof token === 'string' ? token : await token();
  // grpc-js would repeat the token in its error.
  if (!/^[\x21-\x7e]+$/.test(text)) throw new Error('the token is not one word');
  metadata.set('authorization', `Bearer ${text}`);
  return metadata;
}

export function connect(address: string, options: ConnectOptions = {}) {
  const { caller, tls, token, onTrailers: onAnyTrailers } = options;
  const client = new Client(
    address,
    options.credentials ?? (tls ? tlsCredentials(tls, token) : credentials.createInsecure()),
    options.channel ?? {},
  );
  // Without TLS the token is metadata as any other.
  const plainToken = tls ? undefined : token;

  const withCaller = (callOptions: ScripCallOptions): Metadata | Promise<Metadata> => {
    const metadata = callOptions.metadata?.clone() ?? new Metadata();
    if (caller !== undefined) metadata.set('x-caller', caller);
    return plainToken === undefined ? metadata : withToken(metadata, plainToken);
  };

  const unary =
    <Partial, Request, Response>(
      { path, requestSerialize, responseDeserialize }: MethodDefinition<Request, Response>,
      complete: Complete<Partial, Request>,
    ): Unary<Partial, Response> =>
    (partial, callOptions = {}) => {
      const start = (metadata: Metadata): Promise<Response> =>
        new Promise((resolve, reject) => {
          const call: ClientUnaryCall = client.makeUnaryRequest(
            path,
            requestSerialize,
            responseDeserialize,
            complete(partial),
            metadata,
            callOptions,
            (error, response) => {
              if (error) reject(new ScripError(error));
              else resolve(response as Response);
            },
          );
          const { onTrailers } = callOptions;
          if (onTrailers) call.on('status', (status) => onTrailers(status.metadata));
          if (onAnyTrailers) call.on('status', (status) => onAnyTrailers(status.metadata));
        });
      const metadata = withCaller(callOptions);
      return metadata instanceof Promise ? metadata.then(start) : start(metadata);
    };

  /** Yields each message as it arrives. Leaving the loop early cancels the call. */
  async function* stream<Partial, Request, Response>(
    { path, requestSerialize, responseDeserialize }: MethodDefinition<Request, Response>,
    complete: Complete<Partial, Request>,
    partial: Partial,
    callOptions: ScripCallOptions,
  ): AsyncGenerator<Response, void, void> {
    const call: ClientReadableStream<Response> = client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      complete(partial),
      await withCaller(callOptions),
      callOptions,
    );
    if (onAnyTrailers) call.on('status', (status) => onAnyTrailers(status.metadata));
    try {
      yield* call;
    } catch (error) {
      throw new ScripError(error as ServiceError);
    } finally {
      call.cancel();
    }
  }

  const { BillingServiceService: b } = billing;
  const { AccountServiceService: a } = accounts;
  const { PlanServiceService: p } = plans;
  const { StatementServiceService: s } = statements;
  const { EventServiceService: e } = events;
  const { OperatorServiceService: o } = operators;
  const { SandboxServiceService: x } = sandboxes;
  return {
    billing: {
      estimate: unary(b.estimate, billing.EstimateRequest.fromPartial),
      reserve: unary(b.reserve, billing.ReserveRequest.fromPartial),
      commit: unary(b.commit, billing.CommitRequest.fromPartial),
      release: unary(b.release, billing.ReleaseRequest.fromPartial),
      charge: unary(b.charge, billing.ChargeRequest.fromPartial),
      extendReservation: unary(b.extendReservation, billing.ExtendReservationRequest.fromPartial),
      raiseReservation: unary(b.raiseReservation, billing.RaiseReservationRequest.fromPartial),
      getReservation: unary(b.getReservation, billing.GetReservationRequest.fromPartial),
      listReservations: unary(b.listReservations, billing.ListReservationsRequest.fromPartial),
      refund: unary(b.refund, billing.RefundRequest.fromPartial),
      purchase: unary(b.purchase, billing.PurchaseRequest.fromPartial),
      estimatePurchase: unary(b.estimatePurchase, billing.EstimatePurchaseRequest.fromPartial),
      getPurchase: unary(b.getPurchase, billing.GetPurchaseRequest.fromPartial),
      listPurchases: unary(b.listPurchases, billing.ListPurchasesRequest.fromPartial),
      getBalance: unary(b.getBalance, billing.GetBalanceRequest.fromPartial),
      getPastBalance: unary(b.getPastBalance, billing.GetPastBalanceRequest.fromPartial),
      listEntries: unary(b.listEntries, billing.ListEntriesRequest.fromPartial),
      batch: unary(b.batch, billing.BatchRequest.fromPartial),
      streamHistory: (
        request: Parameters<typeof billing.StreamHistoryRequest.fromPartial>[0],
        callOptions: ScripCallOptions = {},
      ) => stream(b.streamHistory, billing.StreamHistoryRequest.fromPartial, request, callOptions),
    },
    accounts: {
      openAccount: unary(a.openAccount, accounts.OpenAccountRequest.fromPartial),
      importAccount: unary(a.importAccount, accounts.ImportAccountRequest.fromPartial),
      sumImports: unary(a.sumImports, accounts.SumImportsRequest.fromPartial),
      getAccount: unary(a.getAccount, accounts.GetAccountRequest.fromPartial),
      listAccounts: unary(a.listAccounts, accounts.ListAccountsRequest.fromPartial),
      updateAccount: unary(a.updateAccount, accounts.UpdateAccountRequest.fromPartial),
      moveAccount: unary(a.moveAccount, accounts.MoveAccountRequest.fromPartial),
      closeAccount: unary(a.closeAccount, accounts.CloseAccountRequest.fromPartial),
      eraseAccountData: unary(a.eraseAccountData, accounts.EraseAccountDataRequest.fromPartial),
      suspendAccount: unary(a.suspendAccount, accounts.SuspendAccountRequest.fromPartial),
      resumeAccount: unary(a.resumeAccount, accounts.ResumeAccountRequest.fromPartial),
      setShadowMode: unary(a.setShadowMode, accounts.SetShadowModeRequest.fromPartial),
      listShadowDecisions: unary(
        a.listShadowDecisions,
        accounts.ListShadowDecisionsRequest.fromPartial,
      ),
      setBudget: unary(a.setBudget, budgets.SetBudgetRequest.fromPartial),
      removeBudget: unary(a.removeBudget, budgets.RemoveBudgetRequest.fromPartial),
      getBudgets: unary(a.getBudgets, budgets.GetBudgetsRequest.fromPartial),
      grantCredits: unary(a.grantCredits, accounts.GrantCreditsRequest.fromPartial),
      voidGrant: unary(a.voidGrant, accounts.VoidGrantRequest.fromPartial),
      updateGrant: unary(a.updateGrant, accounts.UpdateGrantRequest.fromPartial),
      listGrants: unary(a.listGrants, accounts.ListGrantsRequest.fromPartial),
      offerPack: unary(a.offerPack, accounts.OfferPackRequest.fromPartial),
      withdrawPack: unary(a.withdrawPack, accounts.WithdrawPackRequest.fromPartial),
      listPacks: unary(a.listPacks, accounts.ListPacksRequest.fromPartial),
      resolvePurchase: unary(a.resolvePurchase, accounts.ResolvePurchaseRequest.fromPartial),
    },
    plans: {
      listPlans: unary(p.listPlans, plans.ListPlansRequest.fromPartial),
      getPlan: unary(p.getPlan, plans.GetPlanRequest.fromPartial),
    },
    statements: {
      getStatement: unary(s.getStatement, statements.GetStatementRequest.fromPartial),
      listStatements: unary(s.listStatements, statements.ListStatementsRequest.fromPartial),
      exportStatements: (
        request: Parameters<typeof statements.ExportStatementsRequest.fromPartial>[0],
        callOptions: ScripCallOptions = {},
      ) =>
        stream(
          s.exportStatements,
          statements.ExportStatementsRequest.fromPartial,
          request,
          callOptions,
        ),
      getUsage: unary(s.getUsage, statements.GetUsageRequest.fromPartial),
      getRollForward: unary(s.getRollForward, statements.GetRollForwardRequest.fromPartial),
    },
    events: {
      streamEvents: (
        request: Parameters<typeof events.StreamEventsRequest.fromPartial>[0],
        callOptions: ScripCallOptions = {},
      ) => stream(e.streamEvents, events.StreamEventsRequest.fromPartial, request, callOptions),
      listDeliveries: unary(e.listDeliveries, events.ListDeliveriesRequest.fromPartial),
      replayDelivery: unary(e.replayDelivery, events.ReplayDeliveryRequest.fromPartial),
      replayDeadDeliveries: unary(
        e.replayDeadDeliveries,
        events.ReplayDeadDeliveriesRequest.fromPartial,
      ),
    },
    operator: {
      traceCharge: unary(o.traceCharge, operators.TraceChargeRequest.fromPartial),
      listStuckReservations: unary(
        o.listStuckReservations,
        operators.ListStuckReservationsRequest.fromPartial,
      ),
      listRefusals: unary(o.listRefusals, operators.ListRefusalsRequest.fromPartial),
    },
    /** Of a service that was started with --sandbox. */
    sandbox: {
      getClock: unary(x.getClock, sandboxes.GetClockRequest.fromPartial),
      advanceClock: unary(x.advanceClock, sandboxes.AdvanceClockRequest.fromPartial),
      actOnPayment: unary(x.actOnPayment, sandboxes.ActOnPaymentRequest.fromPartial),
      listPayments: unary(x.listPayments, sandboxes.ListPaymentsRequest.fromPartial),
    },
    /** The underlying grpc-js client, for the state of the channel and for other services. */
    channel: client,
    close: () => client.close(),
  };
}

export type Scrip = ReturnType<typeof connect>;
