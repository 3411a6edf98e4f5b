/**
 * The web console: its page, and what the page asks. It is served on the admin port under /console/. What it shows
 * and does are calls of gRPC that its visitor makes: docs/console.md.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { JsonValue, Message } from '@bufbuild/protobuf';
import type { Logger } from 'pino';
import type { Authenticator } from '../authentication/authenticator.ts';
import type { CellRouter } from '../cells/cell-router.ts';
import type { Clock } from '../clock/clock.ts';
import { Failure } from '../failure.ts';
import type { MethodName } from '../policy/methods.ts';
import type { Policy } from '../policy/policy.ts';
import type { AuditLog } from '../rpc/call/audit-log.ts';
import { readDescriptors } from '../rpc/descriptors.ts';
import { VERSION } from '../telemetry/version.ts';
import { logReason, reasonOf } from './action-reason.ts';
import { readJson } from './body.ts';
import { Bridge, type First } from './bridge.ts';
import { ConsoleError } from './console-error.ts';
import type { LiveFigures } from './live-figures.ts';
import {
  fieldOf,
  findOffered,
  isAction,
  type OfferedMethod,
  type OfferedMethods,
} from './offered-methods.ts';
import { type PageFiles, readPageFiles } from './page-files.ts';
import { Replier } from './reply.ts';
import { checkHost, checkOrigin } from './request-checks.ts';
import { Sessions } from './sessions.ts';
import { SignIn } from './sign-in.ts';
import { type Visitor, Visitors } from './visitors.ts';

export type WebConsoleOptions = {
  /** Path of the Unix socket of the gRPC server. */
  readonly socket: string;
  /** The directory of the page's files. */
  readonly pageDirectory: string;
  readonly authenticator: Authenticator;
  /** Null: there is none. */
  readonly policy: Policy | null;
  readonly audit: AuditLog;
  /** Whether no other machine can reach the admin port. */
  readonly isLocal: boolean;
  /** Origins of proxies in front of the admin port. */
  readonly origins: readonly string[];
  /** Null: nothing is measured. */
  readonly live: (() => Promise<LiveFigures>) | null;
  readonly cells: Pick<CellRouter<unknown>, 'names' | 'nameOf' | 'states'>;
  readonly clock: Clock;
  /** The host's clock, by which tokens are checked, in epoch milliseconds. */
  readonly host: () => number;
  readonly traceUrlTemplate: string | undefined;
  readonly sandbox: boolean;
  readonly log: Logger;
};

export const PATH = '/console/';
const API = '/console/api/';
const ASSETS = '/console/assets/';
const RPC = 'rpc/';

/** Requests of the page that are answered at the same time. */
const REQUESTS_MAX = 32;
const BUSY_RETRY_MS = 500;

/** Messages of a stream: of a history 500 entries each, at most. */
const MESSAGES = { default: 1, max: 20 };
const ROWS = { default: 500, max: 500 };

/** Whether the console answers requests of this path. */
export const isConsolePath = (path: string): boolean =>
  path === '/' || path === '/console' || path.startsWith(PATH);

export class WebConsole {
  readonly #options: WebConsoleOptions;
  readonly #bridge: Bridge;
  readonly #methods: OfferedMethods;
  readonly #signing: SignIn;
  readonly #visitors: Visitors;
  readonly #files: PageFiles | null;
  #requests = 0;

  static async open(options: WebConsoleOptions): Promise<WebConsole> {
    return new WebConsole(options, await readPageFiles(options.pageDirectory));
  }

  private constructor(options: WebConsoleOptions, files: PageFiles | null) {
    const { socket, host } = options;
    const descriptors = readDescriptors(false);
    this.#options = options;
    this.#files = files;
    this.#bridge = new Bridge(socket, descriptors);
    this.#methods = findOffered(descriptors);
    const sessions = new Sessions(host);
    this.#signing = new SignIn({ ...options, sessions });
    this.#visitors = new Visitors({ ...options, sessions });
  }

  /** Answers a request whose path is the console's. Never rejects. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const reply = new Replier(request, response);
    const { method = '', headers } = request;
    const [path = ''] = (request.url ?? '').split('?');
    try {
      checkHost({ method, headers }, this.#options.origins);
      if (path.startsWith(API)) await this.#api(request, reply, path.slice(API.length));
      else this.#page(method, path, reply);
    } catch (error) {
      if (!(error instanceof ConsoleError)) this.#options.log.error({ err: error }, 'bug');
      if (response.headersSent) return;
      reply.error(error instanceof ConsoleError ? error : INTERNAL);
    }
  }

  /** Ends the connection to the gRPC server. */
  close() {
    this.#bridge.close();
  }

  #page(method: string, path: string, reply: Replier) {
    if (method !== 'GET' && method !== 'HEAD') reply.text(405, 'GET only');
    else if (!path.startsWith(PATH)) reply.redirect(PATH);
    else if (this.#files === null) reply.text(503, NOT_BUILT);
    else if (path.startsWith(ASSETS)) {
      const file = this.#files.assets.get(path.slice(ASSETS.length));
      if (file) reply.file(file, true);
      else reply.text(404, 'not found');
    } else reply.file(this.#files.index, false);
  }

  async #api(request: IncomingMessage, reply: Replier, name: string) {
    const { method = '', headers } = request;
    checkOrigin({ method, headers }, this.#options.origins);
    const route = `${method} ${name.startsWith(RPC) ? RPC : name}`;
    switch (route) {
      case 'GET session':
        return reply.json(200, this.#sessionOf(await this.#visitors.find(request)));
      case 'POST session':
        return reply.json(200, {}, { 'set-cookie': await this.#signIn(request) });
      case 'DELETE session':
        return reply.json(200, {}, { 'set-cookie': this.#signing.signOut(request) });
      case 'GET live':
        return reply.json(200, await this.#live(request));
      case 'GET cells':
        return reply.json(200, await this.#cells(request));
      case 'GET cell':
        return reply.json(200, await this.#cellOf(request));
      case `POST ${RPC}`:
        return reply.json(200, await this.#call(request, name.slice(RPC.length)));
      default:
        throw ['session', 'live', 'cells', 'cell', RPC].some((path) => route.endsWith(` ${path}`))
          ? ConsoleError.own('CONSOLE_METHOD', 'the path has no such method')
          : ConsoleError.own('CONSOLE_PATH', 'there is nothing at this path');
    }
  }

  /** Works for a request that has been received: whoever sends slowly takes no place. */
  async #admit<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#requests >= REQUESTS_MAX)
      throw ConsoleError.own('CONSOLE_BUSY', 'the console is busy', BUSY_RETRY_MS);
    this.#requests += 1;
    try {
      return await work();
    } finally {
      this.#requests -= 1;
    }
  }

  #sessionOf(visitor: Visitor | null) {
    const { clock, traceUrlTemplate, sandbox } = this.#options;
    const { needsSignIn } = this.#visitors;
    const methods = visitor?.methods ?? [];
    return {
      caller: visitor?.caller ?? null,
      signedIn: visitor?.signedIn ?? false,
      needsSignIn,
      /** False: no issuer of tokens is configured, or there is no policy. */
      canSignIn: this.#signing.isPossible,
      canAct: methods.some(isAction),
      methods,
      sandbox,
      cells: visitor ? this.#options.cells.names.length : null,
      serviceTime: clock.isReliable ? new Date(clock.now()).toISOString() : null,
      traceUrlTemplate: visitor ? (traceUrlTemplate ?? null) : null,
      version: VERSION,
    };
  }

  async #signIn(request: IncomingMessage): Promise<string> {
    const body = await readJson(request);
    return await this.#admit(() => this.#signing.signIn(request, body));
  }

  async #live(request: IncomingMessage): Promise<LiveFigures> {
    await this.#requireMethod(request, 'ListRefusals', 'the figures of the service are');
    const { live } = this.#options;
    if (live === null) throw ConsoleError.own('CONSOLE_PATH', 'nothing is measured');
    return await this.#admit(live);
  }

  /** What this replica knows of the cells. */
  async #cells(request: IncomingMessage) {
    await this.#requireMethod(request, 'ListRefusals', 'the cells are');
    return { cells: this.#options.cells.states() };
  }

  /** The cell that an account belongs to, whether there is such an account or not. */
  async #cellOf(request: IncomingMessage) {
    await this.#requireMethod(request, 'GetAccount', 'the cell of an account is');
    const [, search = ''] = (request.url ?? '').split('?');
    const account = new URLSearchParams(search).get('account') ?? '';
    return { cell: this.#options.cells.nameOf(account) };
  }

  /** Throws unless the visitor may call a method of gRPC that shows as much. */
  async #requireMethod(request: IncomingMessage, method: MethodName, what: string) {
    const { methods } = await this.#visitors.require(request);
    if (methods.includes(method)) return;
    const message = `${what} for those who may call ${method}`;
    throw ConsoleError.ofFailure(new Failure('CALLER_NOT_ALLOWED', message));
  }

  async #call(request: IncomingMessage, path: string) {
    const method = this.#methods.get(path);
    if (!method) throw ConsoleError.own('CONSOLE_PATH', 'the console offers no such method');
    const visitor = await this.#visitors.require(request);
    const json = await readJson(request);
    const message = this.#bridge.read(method, json);
    if (fieldOf(message, 'follow') === true)
      throw ConsoleError.own('CONSOLE_JSON', 'the console follows no stream');
    const call = () =>
      this.#admit(() => this.#bridge.call(method, message, visitor.metadata, firstOf(request)));
    return isAction(method.name)
      ? await this.#act(request, method, message, visitor, call)
      : await call();
  }

  /** An action takes a person who has signed in, and a reason. */
  async #act(
    request: IncomingMessage,
    method: OfferedMethod,
    message: Message,
    { caller, signedIn }: Visitor,
    call: () => Promise<JsonValue>,
  ): Promise<JsonValue> {
    if (!signedIn)
      throw ConsoleError.own('CONSOLE_NO_POLICY', 'without a policy the console only reads');
    const reason = reasonOf(request, method);
    const log = (status: string) => {
      if (reason !== null) logReason(this.#options.log, caller, method, message, reason, status);
    };
    try {
      const answer = await call();
      log('OK');
      return answer;
    } catch (error) {
      // Also where nobody knows whether it took effect.
      log(error instanceof ConsoleError ? error.body.code : 'UNKNOWN');
      throw error;
    }
  }
}

const NOT_BUILT = 'the console is not built: run npm run build:console';
const INTERNAL = new ConsoleError(500, {
  code: 'INTERNAL',
  reason: 'INTERNAL',
  message: 'internal error',
  metadata: {},
  violations: [],
  retryAfterMs: null,
});

function firstOf({ url = '' }: IncomingMessage): First {
  const [, search = ''] = url.split('?');
  const query = new URLSearchParams(search);
  const of = (name: string, { default: otherwise, max }: typeof MESSAGES) => {
    const asked = Number(query.get(name) ?? otherwise);
    return Number.isInteger(asked) ? Math.min(Math.max(asked, 1), max) : otherwise;
  };
  return { messages: of('messages', MESSAGES), rows: of('rows', ROWS) };
}
