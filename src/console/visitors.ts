/** Who looks at the console, and what they may do: the caller of a token, or without a policy anybody on this host. */
import type { IncomingMessage } from 'node:http';
import { Metadata } from '@grpc/grpc-js';
import type { Authenticator } from '../authentication/authenticator.ts';
import { Failure } from '../failure.ts';
import type { Identity } from '../policy/identity.ts';
import type { MethodName } from '../policy/methods.ts';
import type { Policy } from '../policy/policy.ts';
import { ConsoleError } from './console-error.ts';
import { isAction, OFFERED } from './offered-methods.ts';
import { sessionIdOf } from './session-cookie.ts';
import type { Session, Sessions } from './sessions.ts';

/** The name of those who have not signed in, where the service believes callers who name themselves. */
const ANYBODY = 'console';

export type Visitor = {
  readonly caller: string;
  readonly signedIn: boolean;
  /** Those that the console offers and the policy allows, on some accounts at least. */
  readonly methods: readonly MethodName[];
  /** What the visitor's calls show of them. */
  readonly metadata: Metadata;
};

export type VisitorOptions = {
  readonly authenticator: Authenticator;
  /** Null: there is none. */
  readonly policy: Policy | null;
  /** Whether no other machine can reach the admin port. */
  readonly isLocal: boolean;
  readonly sessions: Sessions;
};

export class Visitors {
  readonly #options: VisitorOptions;

  constructor(options: VisitorOptions) {
    this.#options = options;
  }

  /** Whether nobody can read without signing in. */
  get needsSignIn(): boolean {
    const { policy, isLocal, authenticator } = this.#options;
    return policy !== null || !isLocal || !authenticator.takesHeader;
  }

  /** Null: nobody is known. A session whose token is not valid any more has ended then. */
  async find(request: IncomingMessage): Promise<Visitor | null> {
    const { policy, sessions } = this.#options;
    if (!this.needsSignIn) return anybody();
    const id = sessionIdOf(request);
    const session = id === null ? null : sessions.find(id);
    if (id === null || session === null || policy === null) return null;
    const identity = await this.#options.authenticator.authenticateToken(session.token);
    if (!(identity instanceof Failure)) return this.#person(session, identity);
    if (identity.reason !== 'CALLER_UNKNOWN') throw ConsoleError.ofFailure(identity);
    sessions.close(id);
    return null;
  }

  /** Rejects with a ConsoleError if nobody is known. */
  async require(request: IncomingMessage): Promise<Visitor> {
    const visitor = await this.find(request);
    if (visitor) return visitor;
    throw ConsoleError.own('CONSOLE_SIGN_IN', 'nobody has signed in, or the token has expired');
  }

  #person({ token }: Session, identity: Identity): Visitor {
    const permissions = this.#options.policy?.permissionsOf(identity);
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${token}`);
    return {
      caller: identity.caller,
      signedIn: true,
      methods: OFFERED.filter((method) => permissions?.methods.has(method)),
      metadata,
    };
  }
}

function anybody(): Visitor {
  const metadata = new Metadata();
  metadata.set('x-caller', ANYBODY);
  const methods = OFFERED.filter((method) => !isAction(method));
  return { caller: ANYBODY, signedIn: false, methods, metadata };
}
