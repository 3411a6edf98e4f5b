/**
 * The failures by which a policy denies. Their metadata says who called what, on which account, and in `limit`
 * which part of the policy denied it.
 */
import { Failure, RetryLater } from '../failure.ts';
import type { Rate } from './permissions.ts';

export type DeniedCall = {
  readonly caller: string;
  /** The name of the RPC; that of one that does not exist as the caller wrote it. */
  readonly method: string;
  /** Null where the call is about no account, or about several. */
  readonly accountId: string | null;
};

/** `certificate` carried the token of the caller; it is empty without one. */
export const callerNotKnown = (call: DeniedCall, certificate: string): Failure =>
  certificate === ''
    ? denial(call, 'caller', `no rule of the policy applies to ${call.caller}`)
    : denial(
        call,
        'certificate',
        `no rule of the policy applies to ${call.caller}, or none lets ${certificate} carry its tokens`,
        { certificate },
      );

export const methodNotAllowed = (call: DeniedCall): Failure =>
  denial(call, 'method', `${call.caller} may not call ${call.method}`);

export const accountNotAllowed = (call: DeniedCall): Failure =>
  denial(call, 'account', `${call.caller} may not use account ${call.accountId}`);

/** Of a reservation or charge that another caller made. */
export const othersWork = (call: DeniedCall): Failure =>
  denial(
    call,
    'own_reservations_only',
    `${call.caller} may not use the work of others on account ${call.accountId}`,
  );

/** A denial that its caller must not tell from what does not exist: only the log says what was denied. */
export class HiddenDenial extends Failure {
  readonly denied: Failure;

  constructor({ reason, message, metadata, violations }: Failure, denied: Failure) {
    super(reason, message, metadata, violations);
    this.denied = denied;
  }
}

/** `shown` is what the caller is told. */
export const hidden = (shown: Failure, denied: Failure): Failure => new HiddenDenial(shown, denied);

export const operationNotAllowed = (call: DeniedCall, operation: string): Failure =>
  denial(call, 'operation', `${call.caller} may not use the operation ${operation}`, { operation });

export const onBehalfOfNotAllowed = (call: DeniedCall, name: string): Failure =>
  denial(call, 'on_behalf_of', `${call.caller} may not act on behalf of ${name}`, {
    on_behalf_of: name,
  });

/** `limit` is the key of the policy file. */
export const rateLimited = (
  caller: string,
  limit: 'requests_per_second' | 'credits_per_second',
  { rate, burst }: Rate,
  retryAfterMs: number,
): Failure =>
  new RetryLater(
    'RATE_LIMITED',
    `${caller} may use ${rate} ${limit.replaceAll('_', ' ')}, and ${burst} at once; try again in ${retryAfterMs} ms`,
    { caller, limit, rate, burst },
    retryAfterMs,
  );

const denial = (
  { caller, method, accountId }: DeniedCall,
  limit: string,
  message: string,
  metadata: Readonly<Record<string, string>> = {},
): Failure =>
  new Failure('CALLER_NOT_ALLOWED', message, {
    caller,
    method,
    ...(accountId !== null && { account_id: accountId }),
    limit,
    ...metadata,
  });
