/** Asks the policy whether a call may be made, and states denials in the log. */
import type { IncomingHttpHeaders } from 'node:http2';
import { Failure } from '../../failure.ts';
import type { RequestedCommand } from '../../ledger/decide.ts';
import { invalidField } from '../../ledger/failures.ts';
import { authorize, denyOnBehalfOf, denyOperations } from '../../policy/decisions.ts';
import { type DeniedCall, operationNotAllowed } from '../../policy/denials.ts';
import type { Identity } from '../../policy/identity.ts';
import { isMethodName, type MethodName } from '../../policy/methods.ts';
import type { Policy } from '../../policy/policy.ts';
import type { RateLimits } from '../../policy/rate-limits.ts';
import type { Access } from './access.ts';
import type { AuditLog } from './audit-log.ts';

/** The request metadata in which a caller says for whom it acts. */
const ON_BEHALF_OF_KEY = 'x-on-behalf-of';
const NAME = /^[\x21-\x7e]{1,128}$/;

/** Methods that a caller waits with whose credits come too fast. Work that runs may always be settled. */
const MOVING: ReadonlySet<MethodName> = new Set([
  'Reserve',
  'RaiseReservation',
  'Charge',
  'GrantCredits',
  'Refund',
  'Batch',
]);

export type AuthorizationOptions = {
  readonly policy: Policy;
  readonly rates: RateLimits;
  readonly audit: AuditLog;
  /** A monotonic time in milliseconds. */
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
    const { policy } = this.#options;
    const name = path.slice(path.lastIndexOf('/') + 1);
    const permissions = policy.permissionsOf(identity);
    // A method that does not exist is answered as such, to callers that the policy knows.
    const method = isMethodName(name) ? name : null;
    if (method === null && permissions) return { identity, permissions, onBehalfOf: '' };
    const allowed = authorize(permissions, identity, method ?? ('_OTHER' as MethodName), null);
    if (allowed instanceof Failure) return this.#denied(allowed);
    const onBehalfOf = headers[ON_BEHALF_OF_KEY] ?? '';
    if (onBehalfOf !== '') {
      const denied = checkOnBehalfOf(onBehalfOf, (checked) =>
        denyOnBehalfOf(allowed, callOf(identity, name as MethodName, null), checked),
      );
      if (denied) return this.#denied(denied);
    }
    return (
      this.#admit(identity, allowed, 1, MOVING.has(name as MethodName)) ?? {
        identity,
        permissions: allowed,
        onBehalfOf: onBehalfOf as string,
      }
    );
  }

  /** Counts the mutations of a batch beyond the call itself against the rate of its caller. */
  admitBatch({ identity, permissions }: Access, mutations: number): Failure | null {
    return mutations > 1 ? this.#admit(identity, permissions, mutations - 1, false) : null;
  }

  /** Denies a method or an account whose id is out of scope, before its request is checked. */
  denyAccount(
    { identity, permissions }: Access,
    method: MethodName,
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
        ? denyOperations(
            permissions,
            call,
            amount.usages.map(({ operation }) => operation),
          )
        : denyBareCredits(call, amount.credits);
    return denied && this.#denied(denied);
  }

  /** States a denial that was decided elsewhere. */
  report(failure: Failure) {
    if (failure.reason === 'CALLER_NOT_ALLOWED') this.#denied(failure);
  }

  /** Counts what a call has moved against the rate of its caller. */
  takeCredits({ identity, permissions }: Access, credits: bigint) {
    const { rates } = this.#options;
    rates.takeCredits(identity.caller, permissions.creditsPerSecond, this.#options.now(), credits);
  }

  #admit(
    { caller }: Identity,
    { requestsPerSecond, creditsPerSecond }: Access['permissions'],
    requests: number,
    movesCredits: boolean,
  ): Failure | null {
    if (requestsPerSecond === null && creditsPerSecond === null) return null;
    const { rates } = this.#options;
    const at = this.#options.now();
    return (
      (movesCredits ? rates.admitCredits(caller, creditsPerSecond, at) : null) ??
      rates.admitRequest(caller, requestsPerSecond, at, requests)
    );
  }

  #denied(failure: Failure): Failure {
    this.#options.audit.denied(failure);
    return failure;
  }
}

const callOf = (
  { caller }: Identity,
  method: MethodName,
  accountId: string | null,
): DeniedCall => ({
  caller,
  method,
  accountId,
});

/** Credits without usages would pay for any operation. None at all are charged by a commit of a job that failed. */
const denyBareCredits = (call: DeniedCall, credits: bigint): Failure | null =>
  credits === 0n ? null : operationNotAllowed(call, 'none: credits without usages');

function checkOnBehalfOf(
  name: string | readonly string[],
  deny: (name: string) => Failure | null,
): Failure | null {
  return typeof name === 'string' && NAME.test(name)
    ? deny(name)
    : invalidField(ON_BEHALF_OF_KEY, 'must be 1 to 128 printable ASCII characters without spaces');
}
