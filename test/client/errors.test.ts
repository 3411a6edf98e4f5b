/** Each reason has an error class, with the values of its metadata as fields. */
import { readFileSync } from 'node:fs';
import { status } from '@grpc/grpc-js';
import { describe, expect, test } from 'vitest';
import { toScripError } from '../../clients/typescript/src/errors.ts';
import { REASONS, type ReasonOfTable } from '../../clients/typescript/src/gen/reasons.ts';
import {
  AccountClosed,
  InsufficientCredits,
  InvalidField,
  RateCardVersionUnknown,
  ScripError,
  UnknownOperation,
} from '../../clients/typescript/src/index.ts';
import { Failure, type Reason, RetryLater } from '../../src/failure.ts';
import { detailsOf, statusCodeOf } from '../../src/rpc/call/status.ts';
import { documentedErrors } from '../rpc/error-contract.ts';

const DOCS = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8');
const table = REASONS as Readonly<Record<string, ReasonOfTable>>;

const errorOf = (failure: Failure) =>
  toScripError({
    code: statusCodeOf(failure.reason),
    message: failure.message,
    details: detailsOf(failure).map((detail) => ({ ...detail, value: Buffer.from(detail.value) })),
  });

test('there is a class for each reason, and for no other', () => {
  const documented = documentedErrors().map(({ reason }) => reason);
  expect(Object.keys(table)).toEqual(documented);
  const { reasons } = JSON.parse(
    readFileSync(new URL('../../src/gen/reasons.json', import.meta.url), 'utf8'),
  );
  expect(reasons.map(({ reason }: { readonly reason: string }) => reason)).toEqual(documented);
});

describe.each(Object.keys(table))('%s', (reason) => {
  const error = errorOf(new Failure(reason as Reason, 'why'));

  test('is an instance of its class, with the status that the service sends', () => {
    expect(error).toBeInstanceOf(table[reason]?.error);
    expect(error).toBeInstanceOf(ScripError);
    expect(error).toMatchObject({
      reason,
      message: 'why',
      code: statusCodeOf(error.reason as Reason),
    });
    expect(status[error.code]).toBe(table[reason]?.code);
  });

  test('has a field for each key of its metadata in docs/errors.md', () => {
    const [, listed = ''] =
      new RegExp(`^\\| \\w+ \\| \`${reason}\` \\|.*\\|(.*)\\|$`, 'm').exec(DOCS) ?? [];
    const keys = [...listed.matchAll(/`(\w+)`/g)].map(([, key = '']) => key);
    const names = keys
      .filter((key) => !/^best_|^retry_after_ms$/.test(key))
      .map((key) => key.replace(/_(\w)/g, (_, letter) => letter.toUpperCase()))
      .map((name) => (name === 'code' ? 'providerCode' : name));
    for (const name of names) expect(Object.keys(error)).toContain(name);
  });
});

test('values have their types', () => {
  const at = '2026-11-30T10:00:00.123Z';
  const metadata = { required: 10n, available: 4n, shortfall: 6n };
  expect(errorOf(new Failure('INSUFFICIENT_CREDITS', '', metadata))).toMatchObject({
    ...metadata,
    offers: [],
    bestOffer: undefined,
  });
  expect(errorOf(new Failure('ACCOUNT_CLOSED', '', { account_id: 'a', at }))).toMatchObject({
    accountId: 'a',
    at: new Date(at),
  });
  expect(errorOf(new RetryLater('OVERLOADED', '', { queue: 5, limit: 64 }, 1_500))).toMatchObject({
    queue: 5,
    limit: 64,
    retryAfterMs: 1_500,
  });
});

test('values that are not always there are undefined', () => {
  const unknown = errorOf(new Failure('UNKNOWN_OPERATION', '', { operation: 'x' }));
  expect(unknown).toBeInstanceOf(UnknownOperation);
  expect(unknown).toMatchObject({ operation: 'x', nearest: undefined });
  const version = errorOf(new Failure('RATE_CARD_VERSION_UNKNOWN', '', { version: 3n }));
  expect(version).toBeInstanceOf(RateCardVersionUnknown);
  expect(version).toMatchObject({ version: 3n, effectiveAt: undefined });
});

test('bad fields are listed', () => {
  const violation = { field: 'credits', description: 'must be 0 or more' };
  const error = errorOf(new Failure('INVALID_FIELD', '', { field: 'credits' }, [violation]));
  expect(error).toBeInstanceOf(InvalidField);
  expect(error.violations).toEqual([violation]);
});

test('a value that cannot be read does not hide the error', () => {
  const metadata = { required: 'many', available: '', shortfall: '1' };
  const error = errorOf(new Failure('INSUFFICIENT_CREDITS', '', metadata));
  expect(error).toBeInstanceOf(InsufficientCredits);
  expect(error).toMatchObject({ required: 0n, available: 0n, shortfall: 1n, metadata });
  const closed = errorOf(new Failure('ACCOUNT_CLOSED', '', { account_id: 'a' }));
  expect(closed).toBeInstanceOf(AccountClosed);
});

test('a reason of a later version is a ScripError with that reason', () => {
  const details = detailsOf(new Failure('LATER_REASON' as Reason, '', { some: 'value' }));
  const error = toScripError({
    code: status.FAILED_PRECONDITION,
    message: 'why',
    details: details.map((detail) => ({ ...detail, value: Buffer.from(detail.value) })),
  });
  expect(error.constructor).toBe(ScripError);
  expect(error).toMatchObject({ reason: 'LATER_REASON', metadata: { some: 'value' } });
});
