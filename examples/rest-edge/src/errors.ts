/** Errors of Scrip as answers of HTTP. */
import {
  BudgetExceeded,
  InsufficientCredits,
  OverageLimitReached,
  type ScripError,
} from '@scrip/client';

export type HttpError = {
  readonly status: number;
  /** Seconds until a repeat may succeed. */
  readonly retryAfter?: number;
  readonly body: { readonly error: Readonly<Record<string, unknown>> };
};

/** Where the status code of gRPC does not say it. */
const STATUS_OF_REASON: Readonly<Record<string, number>> = {
  REQUEST_ID_REUSED: 409,
  INSUFFICIENT_CREDITS: 402,
  OVERAGE_LIMIT_REACHED: 402,
  PAUSED_BELOW_FLOOR: 402,
  BUDGET_EXCEEDED: 402,
  CHECKOUT_NOT_CONFIGURED: 503,
  OVERLOADED: 503,
};

const INVALID_ARGUMENT = 3;
const NOT_FOUND = 5;
const UNAVAILABLE = 14;

/** By the status code of gRPC. Any other is a fault of this service or of Scrip, and not of the customer. */
const STATUS_OF_CODE: Readonly<Record<number, number>> = {
  [INVALID_ARGUMENT]: 400,
  4: 504, // DEADLINE_EXCEEDED
  [NOT_FOUND]: 404,
  6: 409, // ALREADY_EXISTS
  8: 429, // RESOURCE_EXHAUSTED
  9: 409, // FAILED_PRECONDITION
  [UNAVAILABLE]: 503,
};

/** Without a RetryInfo. */
const DEFAULT_RETRY_MS = 1_000;

export function toHttpError(error: ScripError): HttpError {
  const status = STATUS_OF_REASON[error.reason] ?? STATUS_OF_CODE[error.code] ?? 500;
  if (status === 500) return internal();
  const retryMs = error.retryAfterMs ?? (status === 503 ? DEFAULT_RETRY_MS : undefined);
  return {
    status,
    ...(retryMs !== undefined && { retryAfter: Math.max(1, Math.ceil(retryMs / 1_000)) }),
    body: { error: { ...contentOf(error, status), ...shortfallOf(error), ...budgetOf(error) } },
  };
}

export const internal = (): HttpError => ({
  status: 500,
  body: { error: { code: 'internal', message: 'the request failed; it is not your fault' } },
});

const contentOf = ({ reason, message, violations, outcome }: ScripError, status: number) => ({
  code: reason.toLowerCase() || 'unavailable',
  // The words of a connection that fails are not for customers.
  message: status < 500 ? message : 'credits cannot be asked at present',
  ...(violations.length > 0 && { fields: violations.map(({ field }) => FIELDS[field] ?? field) }),
  // The same request with the same Idempotency-Key tells what became of it.
  ...(outcome === 'unknown' && { outcome }),
});

/** Fields of Scrip that have other names here. */
const FIELDS: Readonly<Record<string, string>> = { request_id: 'Idempotency-Key' };

function shortfallOf(error: ScripError) {
  if (!(error instanceof InsufficientCredits || error instanceof OverageLimitReached)) return {};
  return {
    required: error.required,
    available: error.available,
    shortfall: error.shortfall,
    packs: error.offers.map(({ pack, quantity }) => ({ pack_id: pack?.packId, quantity })),
  };
}

/** Which member is over which cap, and until when. */
function budgetOf(error: ScripError) {
  if (!(error instanceof BudgetExceeded)) return {};
  const { value, cap, used, requested, resetsAt } = error;
  return { budget: { value, cap, used, requested, resets_at: resetsAt } };
}
