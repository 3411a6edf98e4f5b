import { setMaxListeners } from 'node:events';
import { type ChannelCredentials, type ChannelOptions, Client } from '@grpc/grpc-js';
import { type Atomic, atomicBy, refusing } from './atomic.ts';
import { attemptOver } from './attempt.ts';
import { batched } from './batching/batched.ts';
import { callBy } from './call.ts';
import { channelCredentials, channelOptions, type TlsOptions, withCallerOf } from './channel.ts';
import { type FollowEventsOptions, type FollowedEvent, followEvents } from './follow-events.ts';
import { AccountServiceDefinition } from './gen/billing/v1/account_service.ts';
import { BillingServiceDefinition } from './gen/billing/v1/billing_service.ts';
import { EventServiceDefinition } from './gen/billing/v1/event_service.ts';
import type { Entry } from './gen/billing/v1/ledger.ts';
import { OperatorServiceDefinition } from './gen/billing/v1/operator_service.ts';
import { PlanServiceDefinition } from './gen/billing/v1/plan_service.ts';
import { StatementServiceDefinition } from './gen/billing/v1/statement_service.ts';
import { type HistoryOptions, history } from './history.ts';
import { type Meter, type MeterOptions, meter } from './meter/meter.ts';
import type { Job } from './reservation/job.ts';
import type { Journal } from './reservation/journal.ts';
import { type Recovery, recover } from './reservation/recover.ts';
import {
  type JobOutcome,
  type ReservationOptions,
  withReservation,
} from './reservation/with-reservation.ts';
import { ServiceClock } from './service-clock.ts';
import { type ServiceMethods, serviceMethods } from './services.ts';
import { streamOver } from './stream.ts';
import type { Token } from './token.ts';

export type ConnectOptions = {
  /**
   * Host and port, such as "billing:50051". Calls go to all addresses of the name in turn. Or a target of gRPC, such
   * as "ipv4:10.0.0.1:50051,10.0.0.2:50051".
   */
  readonly address: string;
  /** TLS; `true` trusts the CAs of Node. Default: none. */
  readonly tls?: TlsOptions | true;
  /** A bearer token. Without TLS it is sent to this machine only. */
  readonly token?: Token;
  /** Name of the calling service, for a service that authenticates nobody: one for development on loopback. */
  readonly caller?: string;
  /** Within which a call must end, in milliseconds, repeats included. Default 10,000; of `purchase` 30,000. */
  readonly timeoutMs?: number;
  /**
   * Whether a call whose outcome is not known, or that the service asks to repeat, is repeated until its deadline,
   * always with the same request id. Default true.
   */
  readonly retries?: boolean;
  /** Whether mutations that are made at the same time share calls. Default true. */
  readonly batching?: boolean;
  /** In place of `tls`. */
  readonly credentials?: ChannelCredentials;
  /** Options of the grpc-js channel. They count before those that the client sets. */
  readonly channel?: ChannelOptions;
};

/** A client of the service. One serves any number of calls at a time; open one per process. */
export type Scrip = {
  readonly billing: ServiceMethods<typeof BillingServiceDefinition>;
  readonly accounts: ServiceMethods<typeof AccountServiceDefinition>;
  readonly plans: ServiceMethods<typeof PlanServiceDefinition>;
  readonly statements: ServiceMethods<typeof StatementServiceDefinition>;
  readonly events: ServiceMethods<typeof EventServiceDefinition>;
  readonly operator: ServiceMethods<typeof OperatorServiceDefinition>;
  /**
   * Makes up to 100 mutations of one account, all or none. Resolves with their responses, in their order. Rejects with the
   * error of the mutation that was refused: its `mutationIndex` says which. It is one call, and shares it with no others.
   *
   *     const [granted, charged] = await scrip.atomic('acme', [
   *       { grantCredits: { credits: 100, category: Grant_Category.ADJUSTMENT, reason: 'a gift' } },
   *       { charge: { credits: 30 } },
   *     ]);
   */
  readonly atomic: Atomic;
  /**
   * The entries of an account in the order of their seqs, each once, whatever happens to the connection. Leave the
   * loop to end it.
   *
   *     for await (const entry of scrip.history('acme', { afterSeq, follow: true })) …
   */
  readonly history: (
    accountId: string,
    options?: HistoryOptions,
  ) => AsyncGenerator<Entry, void, void>;
  /**
   * Events in the order of their positions, each once, and with each the token to resume after it. It goes on with
   * new events unless `follow` is false.
   */
  readonly followEvents: (
    options?: FollowEventsOptions,
  ) => AsyncGenerator<FollowedEvent, void, void>;
  /**
   * Reserves, runs the work, and commits what it used; releases if it fails. Rejects with the error of Reserve, and
   * then the work has not run; with what the work threw, and then nothing but its parts is charged; or with
   * ChargeRefused.
   */
  readonly withReservation: <Result>(
    options: ReservationOptions,
    work: (job: Job) => Promise<Result> | Result,
  ) => Promise<JobOutcome<Result>>;
  /**
   * Finishes the jobs that a process left behind that died. Resolves when all are finished, or after `timeoutMs`
   * (default 60,000).
   */
  readonly recover: (
    journal: Journal,
    options?: { readonly timeoutMs?: number },
  ) => Promise<Recovery>;
  /**
   * Reserves an amount, and spends it without a call for each use: for work that is used thousands of times a
   * second. Resolves when the first reservation is made.
   *
   *     const tokens = await scrip.meter('acme', { operation: 'llm.generate', quantity: 'tokens', credits: 10_000 });
   *     if (tokens.tryUse(12)) …
   */
  readonly meter: (accountId: string, options: MeterOptions) => Promise<Meter>;
  /** The present time of the service, in milliseconds since 1970; of this machine until the first answer. */
  readonly now: () => number;
  /** Ends iterators, calls that would be repeated, and the connections once what is in flight has been answered. */
  readonly close: () => void;
};

/**
 * Makes a client. It connects with the first call.
 *
 *     const scrip = connect({ address: 'localhost:50051', caller: 'converter' });
 *     const scrip = connect({ address: 'billing:50051', tls: { caFile, certificateFile, keyFile } });
 *
 * Throws a TypeError if options contradict each other.
 */
export function connect(options: ConnectOptions): Scrip {
  const withCaller = withCallerOf(options);
  const client = new Client(
    options.address,
    channelCredentials(options),
    channelOptions(options.channel),
  );
  const clock = new ServiceClock();
  const closing = new AbortController();
  // Each meter and each job that is pending listens.
  setMaxListeners(0, closing.signal);
  const { timeoutMs, retries = true } = options;
  const alone = attemptOver(client, clock, withCaller);
  const attempt = (options.batching ?? true) ? batched(alone) : alone;
  const settings = { timeoutMs, retries, clock, closing: closing.signal };
  const call = callBy(attempt, settings);
  const stream = streamOver(client, withCaller);
  const billing = serviceMethods(BillingServiceDefinition, call, stream);
  const accounts = serviceMethods(AccountServiceDefinition, call, stream);
  const plans = serviceMethods(PlanServiceDefinition, call, stream);
  const events = serviceMethods(EventServiceDefinition, call, stream);
  const untilClosed = <Options extends { readonly signal?: AbortSignal }>(options: Options) => ({
    ...options,
    signal: options.signal ? AbortSignal.any([options.signal, closing.signal]) : closing.signal,
  });
  return {
    billing,
    accounts,
    plans,
    statements: serviceMethods(StatementServiceDefinition, call, stream),
    events,
    operator: serviceMethods(OperatorServiceDefinition, call, stream),
    atomic: atomicBy(callBy(refusing(alone), settings)),
    history: (accountId, options = {}) =>
      history(billing.streamHistory, accountId, untilClosed(options)),
    followEvents: (options = {}) => followEvents(events.streamEvents, untilClosed(options)),
    withReservation: (options, work) => withReservation(billing, options, work, closing.signal),
    recover: (journal, options) => recover(billing, journal, options, closing.signal),
    meter: (accountId, options) =>
      meter({ billing, accounts, plans }, accountId, options, closing.signal),
    now: () => clock.now(),
    close: () => {
      closing.abort(new Error('the client was closed'));
      client.close();
    },
  };
}
