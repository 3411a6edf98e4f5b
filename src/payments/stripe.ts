/** The connection to Stripe, and the meaning of its errors. */
import Stripe from 'stripe';
import type { Config } from '../config.ts';
import { Failure } from '../failure.ts';
import type { Observers } from '../telemetry/observers.ts';
import type { Tracing } from '../telemetry/tracing.ts';
import { tracedHttpClient } from './traced-http-client.ts';

/** The client of Stripe's API. */
export type StripeClient = Stripe;

/** Null without a secret key: the service then works without checkout and top-ups. */
export function connectStripe(
  config: Config,
  tracing: Tracing,
  observers: Observers,
): Stripe | null {
  if (config.STRIPE_SECRET_KEY === undefined) return null;
  const base = config.STRIPE_API_BASE === undefined ? null : new URL(config.STRIPE_API_BASE);
  return new Stripe(config.STRIPE_SECRET_KEY, {
    timeout: config.STRIPE_TIMEOUT_MS,
    maxNetworkRetries: 1,
    telemetry: false,
    httpClient: tracedHttpClient(tracing, observers),
    ...(base && {
      protocol: base.protocol === 'http:' ? 'http' : 'https',
      host: base.hostname,
      ...(base.port && { port: base.port }),
    }),
  });
}

/**
 * The response, if it is an object of Stripe's. The client library also returns the JSON error page of a
 * proxy, which says nothing of any payment: that throws, as an error for which `isUnavailable` holds.
 */
export function assertStripeObject<Response extends { readonly id: string }>(
  response: Response,
): Response {
  if (typeof response.id === 'string') return response;
  throw new Stripe.errors.StripeAPIError({ message: 'not an object of Stripe', type: 'api_error' });
}

/** Stripe's code of why it refused a request; null where the error is of another kind. */
export function refusalCodeOf(error: unknown): string | null {
  if (error instanceof Stripe.errors.StripeCardError)
    return error.decline_code || error.code || 'card_declined';
  if (error instanceof Stripe.errors.StripeInvalidRequestError)
    return error.code || error.param || 'invalid_request';
  return null;
}

/**
 * Whether the error says nothing of the payment: Stripe cannot be reached or is too busy, or our key or
 * permissions are wrong.
 */
export const isUnavailable = (error: unknown): boolean =>
  error instanceof Stripe.errors.StripeError && refusalCodeOf(error) === null;

export const providerUnavailable = (): Failure =>
  new Failure(
    'PAYMENT_PROVIDER_UNAVAILABLE',
    'the payment provider cannot be reached; retry with the same request id',
  );
