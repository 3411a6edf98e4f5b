/** The connection to Stripe, and what its errors mean. */
import Stripe from 'stripe';
import type { Config } from '../config.ts';
import { Failure } from '../failure.ts';

/** Null without a key: then there is no checkout, and everything else works. */
export function connectStripe(config: Config): Stripe | null {
  if (config.STRIPE_SECRET_KEY === undefined) return null;
  const base = config.STRIPE_API_BASE === undefined ? null : new URL(config.STRIPE_API_BASE);
  return new Stripe(config.STRIPE_SECRET_KEY, {
    timeout: config.STRIPE_TIMEOUT_MS,
    maxNetworkRetries: 1,
    telemetry: false,
    ...(base && {
      protocol: base.protocol === 'http:' ? 'http' : 'https',
      host: base.hostname,
      ...(base.port && { port: base.port }),
    }),
  });
}

/**
 * What Stripe answered. An error page in JSON, of a proxy on the way, passes for an answer with the
 * package: it says nothing of any payment.
 */
export function answered<Answer extends { readonly id: string }>(answer: Answer): Answer {
  if (typeof answer.id === 'string') return answer;
  throw new Stripe.errors.StripeAPIError({ message: 'no answer of Stripe', type: 'api_error' });
}

/** What Stripe said no to, in its own words; null where the error is of another kind. */
export function refusalOf(error: unknown): string | null {
  if (error instanceof Stripe.errors.StripeCardError)
    return error.decline_code || error.code || 'card_declined';
  if (error instanceof Stripe.errors.StripeInvalidRequestError)
    return error.code || error.param || 'invalid_request';
  return null;
}

/** Whether it says nothing of the payment: away, too busy, or our key or permissions are wrong. */
export const isUnavailable = (error: unknown): boolean =>
  error instanceof Stripe.errors.StripeError && refusalOf(error) === null;

export const providerUnavailable = (): Failure =>
  new Failure(
    'PAYMENT_PROVIDER_UNAVAILABLE',
    'the payment provider cannot be reached; retry with the same request id',
  );
