/** What an auditor looks for in the log: denied calls, and what operators did. Each is one line. */
import type { Logger } from 'pino';
import type { Failure } from '../../failure.ts';
import type { Method } from '../../ledger/entry.ts';
import { TokenBucket } from '../../policy/token-bucket.ts';

/** Denials that are logged: an attacker cannot fill the log. */
const DENIALS = { rate: 20, burst: 200 };

/** Mutations that operators make by hand, and that change rights or give credits away. */
export const ADMINISTRATIVE: ReadonlySet<Method> = new Set([
  'ImportAccount',
  'UpdateAccount',
  'CloseAccount',
  'SuspendAccount',
  'ResumeAccount',
  'SetShadowMode',
  'SetBudget',
  'RemoveBudget',
  'EraseAccountData',
  'MoveAccount',
  'GrantCredits',
  'VoidGrant',
  'UpdateGrant',
  'Refund',
  'OfferPack',
  'WithdrawPack',
  'ResolvePurchase',
]);

type Actor = {
  readonly caller: string;
  readonly onBehalfOf: string;
  readonly certificate: string;
  readonly traceId: string;
};

export type Action = Actor & {
  readonly method: string;
  /** Empty: of several accounts. */
  readonly accountId: string;
  readonly requestId?: string;
  readonly reason?: string;
};

/** Who acts, by the record of the call. */
export const actorOf = ({ caller, onBehalfOf, certificate, traceId }: Actor): Actor => ({
  caller,
  onBehalfOf,
  certificate,
  traceId,
});

export class AuditLog {
  readonly #log: Logger;
  readonly #monotonic: () => number;
  readonly #denials: TokenBucket;
  #suppressed = 0;

  /** `monotonic` gives a monotonic time in milliseconds. */
  constructor(log: Logger, monotonic: () => number) {
    this.#log = log;
    this.#monotonic = monotonic;
    this.#denials = new TokenBucket(DENIALS, this.#monotonic());
  }

  /** A call that the policy denied. Where its caller is not known, `call` says what else is. */
  denied({ reason, metadata, message }: Failure, call: Readonly<Record<string, string>> = {}) {
    const now = this.#monotonic();
    if (this.#denials.waitMs(1n, now) > 0) {
      this.#suppressed += 1;
      return;
    }
    this.#denials.take(1n, now);
    const suppressed = this.#suppressed > 0 && { suppressed: this.#suppressed };
    this.#suppressed = 0;
    this.#log.info({ ...metadata, ...call, reason, ...suppressed, detail: message }, 'denied');
  }

  /** An administrative action that took effect. */
  acted({
    method,
    caller,
    onBehalfOf,
    certificate,
    traceId,
    accountId,
    requestId,
    reason,
  }: Action) {
    this.#log.info(
      {
        method,
        caller,
        ...(onBehalfOf && { on_behalf_of: onBehalfOf }),
        ...(certificate && { certificate }),
        ...(accountId && { account_id: accountId }),
        ...(requestId && { request_id: requestId }),
        ...(reason && { reason }),
        trace_id: traceId,
      },
      'administrative action',
    );
  }
}
