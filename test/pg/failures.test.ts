/** Errors of PostgreSQL, of pg and of sockets, and what they mean for a request. */
import { describe, expect, test } from 'vitest';
import { constraintOf, isRetryable, toDatabaseFailure } from '../../src/pg/failures.ts';

const withCode = (code: string) => Object.assign(new Error('of the driver'), { code });
const wrapped = (cause: Error) => new Error('of the ORM', { cause });

describe('a lost race is run again', () => {
  test.each(['40001', '40P01', '55P03', '23505'])('%s', (code) => {
    expect(isRetryable(withCode(code))).toBe(true);
    expect(isRetryable(wrapped(withCode(code)))).toBe(true);
  });

  test.each(['23514', '08006', ''])('%s is none', (code) => {
    expect(isRetryable(withCode(code))).toBe(false);
  });
});

describe('DATABASE_UNAVAILABLE', () => {
  test.each([
    '08006',
    '57P01',
    '53100',
    '53200',
    '53300',
    '25006',
    '57014',
    '25P03',
    '25P04',
    '40001',
    'ECONNREFUSED',
    'EPIPE',
    'CERT_HAS_EXPIRED',
    'CERT_NOT_YET_VALID',
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    'SELF_SIGNED_CERT_IN_CHAIN',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
    'ERR_TLS_CERT_ALTNAME_INVALID',
    'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION',
  ])('%s', (code) => {
    expect(toDatabaseFailure(wrapped(withCode(code)))?.reason).toBe('DATABASE_UNAVAILABLE');
  });

  test.each([
    'Connection terminated unexpectedly',
    'timeout exceeded when trying to connect',
    'Client has encountered a connection error and is not queryable',
    'There was an error establishing an SSL connection',
  ])('%s', (message) => {
    expect(toDatabaseFailure(new Error(message))?.reason).toBe('DATABASE_UNAVAILABLE');
  });

  test.each([withCode('23514'), withCode('42601'), new TypeError('a bug'), 'text', null])(
    'is not the failure for %s',
    (error) => {
      expect(toDatabaseFailure(error)).toBeNull();
    },
  );
});

test('the violated constraint is found under what wraps the error', () => {
  const violation = Object.assign(withCode('23514'), { constraint: 'accounts_version_check' });
  expect(constraintOf(wrapped(violation))).toBe('accounts_version_check');
  expect(constraintOf(withCode('23514'))).toBe('');
});
