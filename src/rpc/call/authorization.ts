/** Asks the policy whether a call may be made, and states denials in the log. */
import type { IncomingHttpHeaders } from 'node:http2';
import { tokenExpired } from '../../authentication/failures.ts';
import { Failure, type Reason } from '../../failure.ts';
import type { RequestedCommand } from '../../ledger/decide.ts';
import { invalidField } from '../../ledger/failures.ts';
import { authorize, denyOnBehalfOf, denyOperations } from '../../policy/decisions.ts';
import {
  callerNotKnown,
  type DeniedCall,
  HiddenDenial,
  operationNotAllowed,
} from '../../policy/denials.ts';
import type { Identity } from '../../policy/identity.ts';
import { isMethodName, type MethodName, type ServedMethod } from '../../policy/methods.ts';
import type { Permissions } from '../../policy/permissions.ts';
import type { Policy } from '../../policy/policy.ts';
import type { RateLimits } from '../../policy/rate-limits.ts';
import type { Usage } from '../../pricing/usage.ts';
import type { Access } from './access.ts';
import type { AuditLog } from './audit-log.ts';
import { shorten } from './shorten.ts';

/** The request metadata in which a caller says for whom it acts. */
const ON_BEHALF_OF_KEY = 'x-on-behalf-of';
const ON_BEHALF_OF = /^[\x21-\x7e]{0,128}$/;

/** Methods that a caller waits with whose credits come too fast. Work that runs may always be settled. */
const MOVING: ReadonlySet<MethodName> = new Set([
  'Reserve',
  'RaiseReservation',
  'Charge',
  'GrantCredits',
  'ImportAccount',
  'Refund',
]);

/** What an auditor wants to know of. Rates are none of it. */
const DENIALS: ReadonlySet<Reason> = new Set(['CALLER_NOT_ALLOWED', 'CALLER_LIMIT_REACHED']);

export type AuthorizationOptions = {
  readonly policy: Policy;
  readonly rates: RateLimits;
  readonly audit: AuditLog;
  /** In milliseconds. */
  readonly monotonic: () => number;
  /** The host's clock, by which tokens are verified, in epoch milliseconds. */
  readonly now: () => number;
};

export class Authorization {
  readonly #options: AuthorizationOptions;

  constructor(options: AuthorizationOptions) {
    this.#options = options;
  }

  /**
   * What the caller of a method may do, asked before anything of the call is decoded. `path` is such as
   * "/billing.v1.BillingService/Reserve".
   */
  enter(identity: Identity, path: string, headers: IncomingHttpHeaders): Access | Failure {
    const method = path.slice(path.lastIndexOf('/') + 1);
    const permissions = this.#options.policy.permissionsOf(identity);
    if (!isMethodName(method)) return this.#enterUnknown(identity, permissions, method);
    const allowed = authorize(permissions, identity, method, null);
    if (allowed instanceof Failure) return this.#denied(allowed);
    const onBehalfOf = headers[ON_BEHALF_OF_KEY] ?? '';
    if (typeof onBehalfOf !== 'string' || !ON_BEHALF_OF.test(onBehalfOf))
      return invalidField(
        ON_BEHALF_OF_KEY,
        'must be 1 to 128 printable ASCII characters without spaces',
      );
    const call = callOf(identity, method, null);
    const denied = onBehalfOf === '' ? null : denyOnBehalfOf(allowed, call, onBehalfOf);
    if (denied) return this.#denied(denied);
    const access = { identity, permissions: allowed, onBehalfOf };
    return this.admitMoving(access, method) ?? this.#admit(access, 1, 0) ?? access;
  }

  /** Counts the mutations of a Batch against the rate of its caller, in place of the call itself. */
  admitBatch(access: Access, mutations: number): Failure | null {
    return this.#admit(access, mutations, 1);
  }

  /** Refuses what moves credits where the caller's credits come too fast. */
  admitMoving({ identity, permissions }: Access, method: MethodName): Failure | null {
    const { creditsPerSecond } = permissions;
    if (creditsPerSecond === null || !MOVING.has(method)) return null;
    const { rates, monotonic } = this.#options;
    return rates.admitCredits(identity.caller, creditsPerSecond, monotonic());
  }

  /**
   * What the caller of an open stream may do by now, on the account of the stream; empty: it names none. A
   * Failure: it may not read it any more.
   */
  renew(access: Access, method: ServedMethod, accountId: string): Access | Failure {
    const { policy } = this.#options;
    const { until } = access.identity;
    if (until !== null && this.#options.now() > until) return tokenExpired();
    const permissions = policy.permissionsOf(access.identity);
    if (permissions === access.permissions) return access;
    const allowed = authorize(permissions, access.identity, method, accountId || null);
    return allowed instanceof Failure ? this.#denied(allowed) : { ...access, permissions: allowed };
  }

  /** Whether `denyAccount` would let it pass. Nothing is counted as denied. */
  allows({ identity, permissions }: Access, method: ServedMethod, accountId: string): boolean {
    return !(authorize(permissions, identity, method, accountId || null) instanceof Failure);
  }

  /** Denies a method or an account whose id is out of scope, before its request is checked. */
  denyAccount(
    { identity, permissions }: Access,
    method: ServedMethod,
    accountId: string,
  ): Failure | null {
    const allowed = authorize(permissions, identity, method, accountId || null);
    return allowed instanceof Failure ? this.#denied(allowed) : null;
  }

  /** Denies a mutation that names operations, or credits without any, that its caller may not use. */
  denyCommand(
    { identity, permissions }: Access,
    accountId: string,
    command: RequestedCommand,
  ): Failure | null {
    if (permissions.operations === null || !('amount' in command)) return null;
    const call = callOf(identity, command.kind, accountId);
    const { amount } = command;
    if (amount === 'all') return null;
    const denied =
      'usages' in amount
        ? denyOperations(permissions, call, operationsOf(amount.usages))
        : denyBareCredits(call, amount.credits);
    return denied && this.#denied(denied);
  }

  /** Denies a question about operations that the caller may not use. */
  denyUsages(
    { identity, permissions }: Access,
    method: MethodName,
    accountId: string,
    usages: readonly Usage[],
  ): Failure | null {
    const call = callOf(identity, method, accountId);
    const denied = denyOperations(permissions, call, operationsOf(usages));
    return denied && this.#denied(denied);
  }

  /** States a failure that was decided elsewhere, if it is a denial. */
  report<Answer extends Failure>(failure: Answer): Answer {
    if (failure instanceof HiddenDenial) this.#denied(failure.denied);
    else if (DENIALS.has(failure.reason)) this.#denied(failure);
    return failure;
  }

  /** Counts what a call has moved against the rate of its caller. */
  takeCredits({ identity, permissions }: Access, credits: bigint) {
    const { creditsPerSecond } = permissions;
    if (creditsPerSecond === null) return;
    const { rates, monotonic } = this.#options;
    rates.takeCredits(identity.caller, creditsPerSecond, monotonic(), credits);
  }

  /** A method that does not exist is answered as such, to callers that the policy knows. */
  #enterUnknown(
    identity: Identity,
    permissions: Permissions | null,
    method: string,
  ): Access | Failure {
    if (permissions) return { identity, permissions, onBehalfOf: '' };
    const call = callOf(identity, shorten(method), null);
    return this.#denied(callerNotKnown(call, identity.certificate));
  }

  /** `counted` of the requests were admitted before. */
  #admit({ identity, permissions }: Access, requests: number, counted: number): Failure | null {
    const { requestsPerSecond } = permissions;
    if (requestsPerSecond === null) return null;
    const { rates, monotonic } = this.#options;
    const { caller } = identity;
    return rates.admitRequest(caller, requestsPerSecond, monotonic(), requests, counted);
  }

  #denied(failure: Failure): Failure {
    this.#options.audit.denied(failure);
    return failure;
  }
}

const callOf = ({ caller }: Identity, method: string, accountId: string | null): DeniedCall => ({
  caller,
  method,
  accountId,
});

const operationsOf = (usages: readonly Usage[]): readonly string[] =>
  usages.map(({ operation }) => operation);

/** Credits without usages would pay for any operation. None at all are charged by a commit of a job that failed. */
const denyBareCredits = (call: DeniedCall, credits: bigint): Failure | null =>
  credits === 0n ? null : operationNotAllowed(call, 'none: credits without usages');
