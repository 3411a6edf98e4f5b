/**
 * Turns the functions that serve RPCs into handlers of grpc-js. A service lists its RPCs with
 * `handlersOf`; everything that all calls have in common happens here and in `ObservedCall`.
 */
import { constants, type ServerHttp2Stream } from 'node:http2';
import type { ServerUnaryCall, ServerWritableStream, sendUnaryData } from '@grpc/grpc-js';
import { Failure } from '../../failure.ts';
import { accountNotFound } from '../../ledger/failures.ts';
import { isAccountInScope, needsAccount } from '../../policy/account-scope.ts';
import { accountNotAllowed, hidden } from '../../policy/denials.ts';
import type { ServedMethod } from '../../policy/methods.ts';
import type { Permissions } from '../../policy/permissions.ts';
import { findAccount } from '../../queries/accounts.ts';
import type { CallRecord } from '../../telemetry/call-record.ts';
import type { ServiceContext, SharedContext } from '../service-context.ts';
import { type Access, accessOfStream, streamOf } from './access.ts';
import { callersSpan } from './callers-span.ts';
import { recordRefusal } from './early-refusal.ts';
import { ACCOUNT_ID } from './field-checker.ts';
import { readOfAccount, serveInCell } from './in-cell.ts';
import { type PreparedMutation, type PrepareMutation, submit } from './mutation.ts';
import { type CallContext, ObservedCall } from './observed-call.ts';
import type { Resume } from './open-streams.ts';
import { releaseReferencesOnClose } from './release-on-close.ts';
import { toAnswered } from './replay.ts';

/** A response to be sent. */
export type Answered<Response> = {
  /** The message, or its bytes if it is stored as it is sent. */
  readonly response: Response | Uint8Array;
  /** True: this is the first response to a request id that was used before. */
  readonly replayed?: boolean;
};

export type UnaryCall = {
  /** Who calls, and what is recorded of the call. */
  readonly record: CallRecord;
  readonly access: Access;
  /** True once the caller has cancelled, or its deadline has passed. */
  readonly isCancelled: () => boolean;
};

/**
 * Sends one message of a stream, as bytes; resolves when the reader can take more. `resume` says where to go on
 * after it. Throws the failure that ends a stream whose reader takes nothing.
 */
export type Write = (response: Uint8Array, resume?: Resume) => Promise<void>;

/** Builds the handlers of one service, such as "billing.v1.BillingService": one function per kind of RPC. */
export function handlersOf(shared: SharedContext, service: string) {
  /** A mutation that the lane of its account decides. `before` is done first; it throws its Failures. */
  const mutation = <Request, Response>(
    name: ServedMethod,
    prepare: PrepareMutation<Request>,
    before?: (
      context: ServiceContext,
      prepared: PreparedMutation,
      call: UnaryCall,
    ) => Promise<void>,
  ) =>
    submitting<Request, Response>(name, async (context, request, call) => {
      const prepared = prepare(request);
      if (prepared instanceof Failure) return prepared;
      await before?.(context, prepared, call);
      const answer = await submit(context, prepared, call);
      return answer instanceof Failure ? answer : toAnswered(answer);
    });

  /** An RPC that submits mutations to lanes by itself. */
  const submitting = <Request, Response>(
    name: ServedMethod,
    serve: (
      context: ServiceContext,
      request: Request,
      call: UnaryCall,
    ) => Promise<Answered<Response> | Failure>,
  ) =>
    unaryHandler(shared, service, name, (request: Request, call) =>
      serveInCell(shared, accountIdOf(request), (context) => serve(context, request, call)),
    );

  /** Any other RPC with one response. It throws its Failures. */
  const unary = <Request, Response>(
    name: ServedMethod,
    serve: (context: ServiceContext, request: Request, call: UnaryCall) => Promise<Response>,
  ) =>
    unaryHandler<Request, Response>(shared, service, name, async (request, call) => {
      const { admission } = shared;
      const inFlight = admission.enter(call.record.caller, null);
      try {
        const response = await readOfAccount(shared, accountIdOf(request), async (context) => {
          await checkScope(context, call.access, name, request);
          return await serve(context, request, call);
        });
        return { response };
      } finally {
        admission.leave(inFlight, !call.isCancelled());
      }
    });

  /**
   * An RPC that streams responses until it returns. It throws its Failures. `permitted` tells what the caller
   * may do now: a stream can be open for longer than a policy is in force, or an account in its scope.
   */
  const serverStream = <Request, Response>(
    name: ServedMethod,
    serve: (
      context: ServiceContext,
      request: Request,
      write: Write,
      cancelled: AbortSignal,
      permitted: () => Permissions,
      call: CallRecord,
    ) => Promise<void>,
  ) =>
    streamHandler<Request, Response>(
      shared,
      service,
      name,
      async (request, write, cancelled, opened, record) => {
        let access = opened;
        const accountId = accountIdOf(request);
        const permitted = () => {
          const renewed = shared.authorization.renew(access, name, accountId);
          if (renewed instanceof Failure) throw renewed;
          access = renewed;
          return access.permissions;
        };
        await serveInCell(shared, accountId, async (context) => {
          const checked: Write = async (response, resume) => {
            permitted();
            await checkScope(context, access, name, request);
            await write(response, resume);
          };
          await checkScope(context, access, name, request);
          await serve(context, request, checked, cancelled, permitted, record);
        });
      },
    );

  return { mutation, submitting, unary, serverStream };
}

export function unaryHandler<Request, Response>(
  context: CallContext,
  service: string,
  method: ServedMethod,
  serve: (request: Request, call: UnaryCall) => Promise<Answered<Response> | Failure>,
) {
  const fullName = `${service}/${method}`;
  return async (
    call: ServerUnaryCall<Request | Failure, Response>,
    respond: sendUnaryData<Response>,
  ) => {
    releaseReferencesOnClose(call);
    const stream = streamOf(call);
    const access = accessOfStream(stream);
    if (isRefused(context, call.request, access)) {
      const { error, failure } = context.overloadAnswer;
      const parent = callersSpan(call.metadata);
      recordRefusal(context, `/${fullName}`, access.identity, parent, failure);
      respond(error);
      return;
    }
    const observed = new ObservedCall(context, fullName, call.metadata, access, stream);
    const { record } = observed;
    try {
      const request = allowedRequest(context, access, method, call.request);
      observed.request = request as object;
      const answered = await serve(request, { record, access, isCancelled: () => call.cancelled });
      if (answered instanceof Failure) throw answered;
      observed.succeeded(answered.replayed);
      // Bytes are sent as they are: see `addService`.
      const trailers = context.answerTime.trailers(answered.replayed ?? false);
      respond(null, answered.response as Response, trailers);
    } catch (error) {
      respond(observed.failed(error));
    }
  };
}

/** Many calls can have been admitted before the first of them came here, where they are counted. */
function isRefused({ admission }: CallContext, request: unknown, { identity }: Access): boolean {
  if (request instanceof Failure && request.reason === 'OVERLOADED') return true;
  return !admission.admitsCaller(identity.caller, Number.POSITIVE_INFINITY);
}

function streamHandler<Request, Response>(
  context: CallContext,
  service: string,
  method: ServedMethod,
  serve: (
    request: Request,
    write: Write,
    cancelled: AbortSignal,
    access: Access,
    record: CallRecord,
  ) => Promise<void>,
) {
  const fullName = `${service}/${method}`;
  return async (call: ServerWritableStream<Request | Failure, Response>) => {
    const stream = streamOf(call);
    const access = accessOfStream(stream);
    const observed = new ObservedCall(context, fullName, call.metadata, access, stream);
    const { streams } = context;
    const cancelled = new AbortController();
    call.once('cancelled', () => cancelled.abort());
    const { signal } = cancelled;
    const write: Write = async (response, resume = {}) => {
      if (signal.aborted) return;
      await streams.waitForReader(response.length, writeTo(call, response, signal), resume);
    };
    let close = () => {};
    try {
      const request = allowedRequest(context, access, method, call.request);
      observed.request = request as object;
      close = streams.open(access.identity.caller, access.permissions.streamsMax);
      await serve(request, write, signal, access, observed.record);
      observed.succeeded();
      call.end();
    } catch (error) {
      call.emit('error', observed.failed(error));
      resetIfUnread(call);
    } finally {
      close();
    }
  };
}

/** The request, if it could be decoded and its account's id is allowed. Throws the failure otherwise. */
function allowedRequest<Request>(
  { authorization }: CallContext,
  access: Access,
  method: ServedMethod,
  decoded: Request | Failure,
): Request {
  if (decoded instanceof Failure) throw decoded;
  const denied = authorization.denyAccount(access, method, accountIdOf(decoded));
  if (denied) throw denied;
  return decoded;
}

/** Empty: it names none. */
function accountIdOf(request: unknown): string {
  const { accountId, of } = request as {
    readonly accountId?: string;
    readonly of?: { readonly $case: string; readonly value: string };
  };
  return accountId ?? (of?.$case === 'accountId' ? of.value : '');
}

/**
 * Answers what reads an account out of the caller's scope as if it did not exist. Mutations are checked in their
 * unit of work, and lists of many accounts by their queries.
 */
async function checkScope(
  { em, authorization }: ServiceContext,
  { permissions, identity }: Access,
  method: ServedMethod,
  request: unknown,
) {
  const { accounts: scope } = permissions;
  if (!needsAccount(scope)) return;
  const accountId = accountIdOf(request);
  // What is no id of an account is told so by the RPC.
  if (!ACCOUNT_ID.test(accountId)) return;
  const account = await findAccount(em(), accountId);
  if (!account) throw accountNotFound(accountId);
  if (isAccountInScope(scope, account)) return;
  const call = { caller: identity.caller, method, accountId };
  throw authorization.report(hidden(accountNotFound(accountId), accountNotAllowed(call)));
}

/**
 * Resolves when the message has been sent, or the call was cancelled. What `write` returns does not tell: the
 * stream of grpc-js takes 16 messages, however large, before it says that it is full.
 */
async function writeTo<Response>(
  call: ServerWritableStream<unknown, Response>,
  response: Uint8Array,
  cancelled: AbortSignal,
) {
  const { promise, resolve } = Promise.withResolvers<void>();
  const done = () => resolve();
  cancelled.addEventListener('abort', done);
  call.write(response as Response, done);
  await promise;
  cancelled.removeEventListener('abort', done);
}

/** How long a reader has for what it was sent before its stream failed, and for the status. */
const RESET_MS = 5_000;

/** A reader that takes nothing would keep what it was sent in memory for ever. */
function resetIfUnread(call: ServerWritableStream<unknown, unknown>) {
  const { stream } = (call as unknown as { call: { stream: ServerHttp2Stream } }).call;
  const timer = setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), RESET_MS).unref();
  stream.once('close', () => clearTimeout(timer));
}
