/** Signing in with a token, and out. Both answer with a cookie. */
import type { IncomingMessage } from 'node:http';
import type { JsonObject } from '@bufbuild/protobuf';
import type { Logger } from 'pino';
import type { Authenticator } from '../authentication/authenticator.ts';
import { Failure } from '../failure.ts';
import type { Policy } from '../policy/policy.ts';
import type { AuditLog } from '../rpc/call/audit-log.ts';
import { ConsoleError } from './console-error.ts';
import { sessionCookie, sessionIdOf } from './session-cookie.ts';
import type { Sessions } from './sessions.ts';

export type SignInOptions = {
  readonly authenticator: Authenticator;
  /** Null: there is none. */
  readonly policy: Policy | null;
  readonly sessions: Sessions;
  readonly audit: AuditLog;
  readonly log: Logger;
  /** The host's clock, in epoch milliseconds. */
  readonly host: () => number;
};

/** In place of a method, in the line of log of a token that is refused. */
const METHOD = 'console/sign-in';

export class SignIn {
  readonly #options: SignInOptions;

  constructor(options: SignInOptions) {
    this.#options = options;
  }

  /** Whether any token is accepted. */
  get isPossible(): boolean {
    const { policy, authenticator } = this.#options;
    return policy !== null && authenticator.takesTokens;
  }

  /** The cookie of a new session. Rejects with a ConsoleError if the token is not accepted. */
  async signIn(request: IncomingMessage, { token: given }: JsonObject): Promise<string> {
    const { policy, authenticator, sessions, log, host } = this.#options;
    const token = typeof given === 'string' ? given.trim() : '';
    if (token === '') throw ConsoleError.own('CONSOLE_JSON', 'token must be a text');
    if (policy === null)
      throw ConsoleError.own('CONSOLE_NO_POLICY', 'nobody can sign in without a policy');
    const identity = await authenticator.authenticateToken(token);
    if (identity instanceof Failure) throw this.#refused(request, identity);
    // Another id than the browser had: nobody can have chosen it.
    this.#end(request);
    const { caller, until } = identity;
    const session = sessions.open(token, caller, until ?? 0);
    log.info({ caller }, 'signed in to the console');
    const seconds = Math.max(1, Math.floor((session.until - host()) / 1_000));
    return sessionCookie(request, session.id, seconds);
  }

  /** The cookie that takes the place of that of the session. */
  signOut(request: IncomingMessage): string {
    this.#end(request);
    return sessionCookie(request, '', 0);
  }

  #end(request: IncomingMessage) {
    const id = sessionIdOf(request);
    if (id !== null) this.#options.sessions.close(id);
  }

  #refused({ socket }: IncomingMessage, failure: Failure): ConsoleError {
    const peer = socket.remoteAddress ?? '';
    if (failure.reason === 'CALLER_UNKNOWN')
      this.#options.audit.denied(failure, { method: METHOD, peer });
    return ConsoleError.ofFailure(failure);
  }
}
