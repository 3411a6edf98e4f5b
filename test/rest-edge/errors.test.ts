/** How the REST edge answers each reason of Scrip. */
import { status } from '@grpc/grpc-js';
import { describe, expect, test } from 'vitest';
import { REASONS, type Reason } from '../../clients/typescript/src/gen/reasons.ts';
import { type ErrorContent, ScripError } from '../../clients/typescript/src/scrip-error.ts';
import { toHttpError } from '../../examples/rest-edge/src/errors.ts';

const contentOf = (reason: Reason, content: Partial<ErrorContent> = {}): ErrorContent => ({
  code: status[REASONS[reason].code],
  reason,
  message: 'what Scrip says',
  metadata: {},
  violations: [],
  retryAfterMs: undefined,
  outcome: 'none',
  cause: undefined,
  ...content,
});

const answerTo = (reason: Reason, content: Partial<ErrorContent> = {}) =>
  toHttpError(new REASONS[reason].error(contentOf(reason, content)));

const FROM_METADATA: Partial<ErrorContent> = {
  metadata: { required: '100', available: '20', shortfall: '80', limit: '10', floor: '30' },
};

test.each<[Reason, number]>([
  ['INVALID_FIELD', 400],
  ['UNKNOWN_OPERATION', 400],
  ['REQUEST_ID_REUSED', 409],
  ['INSUFFICIENT_CREDITS', 402],
  ['OVERAGE_LIMIT_REACHED', 402],
  ['PAUSED_BELOW_FLOOR', 402],
  ['ACCOUNT_NOT_FOUND', 404],
  ['PACK_NOT_FOUND', 404],
  ['PAYMENT_REFERENCE_USED', 409],
  ['CALLER_LIMIT_REACHED', 429],
  ['CHECKOUT_NOT_CONFIGURED', 503],
  ['OVERLOADED', 503],
  ['DATABASE_UNAVAILABLE', 503],
  ['PAYMENT_PROVIDER_UNAVAILABLE', 503],
  ['SHUTTING_DOWN', 503],
  ['INTERNAL', 500],
  ['CALLER_UNKNOWN', 500],
  ['CALLER_NOT_ALLOWED', 500],
])('%s is %i', (reason, expected) => {
  expect(answerTo(reason, FROM_METADATA).status).toBe(expected);
});

test('a lack of credits names what is missing and what to buy', () => {
  const pack = { packId: 'starter' };
  const offers = [{ pack, quantity: 1n }] as unknown as NonNullable<ErrorContent['offers']>;
  expect(answerTo('INSUFFICIENT_CREDITS', { ...FROM_METADATA, offers }).body.error).toEqual({
    code: 'insufficient_credits',
    message: 'what Scrip says',
    required: 100n,
    available: 20n,
    shortfall: 80n,
    packs: [{ pack_id: 'starter', quantity: 1n }],
  });
});

describe('Retry-After', () => {
  test.each<[Reason, number | undefined, number | undefined]>([
    ['OVERLOADED', 1_200, 2],
    ['OVERLOADED', 3, 1],
    ['SHUTTING_DOWN', undefined, 1],
    ['PACK_NOT_FOUND', undefined, undefined],
  ])('of %s after %s milliseconds is %s', (reason, retryAfterMs, seconds) => {
    expect(answerTo(reason, { ...FROM_METADATA, retryAfterMs }).retryAfter).toBe(seconds);
  });

  test('RATE_LIMITED says when to repeat', () => {
    const { status, retryAfter } = answerTo('RATE_LIMITED', {
      metadata: { rate: '1', burst: '1' },
      retryAfterMs: 2_500,
    });
    expect({ status, retryAfter }).toEqual({ status: 429, retryAfter: 3 });
  });
});

test('a lost connection is 503, and says nothing of hosts', () => {
  const lost = contentOf('SHUTTING_DOWN', { reason: '', message: 'connect ECONNREFUSED 10.0.0.7' });
  const { status, body } = toHttpError(new ScripError({ ...lost, outcome: 'unknown' }));
  expect({ status, ...body.error }).toEqual({
    status: 503,
    code: 'unavailable',
    message: 'credits cannot be asked at present',
    outcome: 'unknown',
  });
});

test('what is no fault of the customer shows nothing', () => {
  expect(JSON.stringify(answerTo('CALLER_NOT_ALLOWED').body)).not.toContain('Scrip');
});

test('a bad request id is a bad Idempotency-Key', () => {
  const violations = [{ field: 'request_id', description: 'is too long' }];
  const { error } = answerTo('INVALID_FIELD', {
    metadata: { field: 'request_id' },
    violations,
  }).body;
  expect(error).toMatchObject({ fields: ['Idempotency-Key'] });
});
