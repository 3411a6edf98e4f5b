/**
 * The TypeScript client: the generated one, with promises, requests of which only the needed fields
 * are given, and errors that carry their reason.
 *
 *     const scrip = connect('localhost:50051', { caller: 'converter' });
 *     const { reservation } = await scrip.billing.reserve({ accountId, requestId, usages });
 *
 * A request id belongs to a job, not to a call: make it once and keep it for every retry.
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
import * as events from './gen/billing/v1/event_service.ts';
import * as plans from './gen/billing/v1/plan_service.ts';
import * as statements from './gen/billing/v1/statement_service.ts';
import { BadRequest, ErrorInfo } from './gen/google/rpc/error_details.ts';
import { Status } from './gen/google/rpc/status.ts';

export type ConnectOptions = {
  /** Name of the calling service: it stands on every entry it causes. */
  readonly caller: string;
  /** Default: no TLS. */
  readonly credentials?: ChannelCredentials;
  readonly channel?: ClientOptions;
};

/** Options of one call, beside those of grpc-js (`deadline` among them). */
export type ScripCallOptions = CallOptions & {
  /** More request metadata, such as `traceparent`. */
  readonly metadata?: Metadata;
  /** Told the trailers: `idempotent-replayed` is in there. */
  readonly onTrailers?: (trailers: Metadata) => void;
};

/** An error of the service, with what its ErrorInfo says. */
export class ScripError extends Error {
  /** gRPC status code. */
  readonly code: number;
  /** What a program decides by, e.g. "INSUFFICIENT_CREDITS"; empty if the error is not the service's. */
  readonly reason: string;
  /** Every dynamic value of the message. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly violations: readonly { readonly field: string; readonly description: string }[];

  constructor(error: ServiceError) {
    super(error.details || error.message, { cause: error });
    this.name = 'ScripError';
    this.code = error.code;
    const { info, badRequest } = detailsOf(error.metadata);
    this.reason = info?.reason ?? '';
    this.metadata = info?.metadata ?? {};
    this.violations = badRequest?.fieldViolations ?? [];
  }
}

function detailsOf(metadata: Metadata | undefined) {
  const [bytes] = metadata?.get('grpc-status-details-bin') ?? [];
  if (!Buffer.isBuffer(bytes)) return {};
  const { details } = Status.decode(bytes);
  const value = (type: string) =>
    details.find(({ typeUrl }) => typeUrl.endsWith(`/google.rpc.${type}`))?.value;
  const info = value('ErrorInfo');
  const badRequest = value('BadRequest');
  return {
    info: info && ErrorInfo.decode(info),
    badRequest: badRequest && BadRequest.decode(badRequest),
  };
}

type Unary<Request, Response> = (request: Request, options?: ScripCallOptions) => Promise<Response>;

/** The request with all its fields, from the ones that were given. */
type Complete<Partial, Request> = (partial: Partial) => Request;

export function connect(address: string, options: ConnectOptions) {
  const client = new Client(
    address,
    options.credentials ?? credentials.createInsecure(),
    options.channel ?? {},
  );

  const withCaller = (callOptions: ScripCallOptions): Metadata => {
    const metadata = callOptions.metadata?.clone() ?? new Metadata();
    metadata.set('x-caller', options.caller);
    return metadata;
  };

  const unary =
    <Partial, Request, Response>(
      { path, requestSerialize, responseDeserialize }: MethodDefinition<Request, Response>,
      complete: Complete<Partial, Request>,
    ): Unary<Partial, Response> =>
    (partial, callOptions = {}) =>
      new Promise((resolve, reject) => {
        const call: ClientUnaryCall = client.makeUnaryRequest(
          path,
          requestSerialize,
          responseDeserialize,
          complete(partial),
          withCaller(callOptions),
          callOptions,
          (error, response) => {
            if (error) reject(new ScripError(error));
            else resolve(response as Response);
          },
        );
        const { onTrailers } = callOptions;
        if (onTrailers) call.on('status', ({ metadata }) => onTrailers(metadata));
      });

  /** Messages as they come; breaking out of the loop cancels the call. */
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
      withCaller(callOptions),
      callOptions,
    );
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
      getPurchase: unary(b.getPurchase, billing.GetPurchaseRequest.fromPartial),
      listPurchases: unary(b.listPurchases, billing.ListPurchasesRequest.fromPartial),
      getBalance: unary(b.getBalance, billing.GetBalanceRequest.fromPartial),
      batch: unary(b.batch, billing.BatchRequest.fromPartial),
      streamHistory: (
        request: Parameters<typeof billing.StreamHistoryRequest.fromPartial>[0],
        callOptions: ScripCallOptions = {},
      ) => stream(b.streamHistory, billing.StreamHistoryRequest.fromPartial, request, callOptions),
    },
    accounts: {
      openAccount: unary(a.openAccount, accounts.OpenAccountRequest.fromPartial),
      getAccount: unary(a.getAccount, accounts.GetAccountRequest.fromPartial),
      listAccounts: unary(a.listAccounts, accounts.ListAccountsRequest.fromPartial),
      updateAccount: unary(a.updateAccount, accounts.UpdateAccountRequest.fromPartial),
      moveAccount: unary(a.moveAccount, accounts.MoveAccountRequest.fromPartial),
      closeAccount: unary(a.closeAccount, accounts.CloseAccountRequest.fromPartial),
      grantCredits: unary(a.grantCredits, accounts.GrantCreditsRequest.fromPartial),
      listGrants: unary(a.listGrants, accounts.ListGrantsRequest.fromPartial),
      offerPack: unary(a.offerPack, accounts.OfferPackRequest.fromPartial),
      withdrawPack: unary(a.withdrawPack, accounts.WithdrawPackRequest.fromPartial),
      listPacks: unary(a.listPacks, accounts.ListPacksRequest.fromPartial),
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
    /** The grpc-js client below, for channel state and other services. */
    channel: client,
    close: () => client.close(),
  };
}

export type Scrip = ReturnType<typeof connect>;
