/** What one call may do, and how a denial says which part of the policy denied it. */
import { describe, expect, test } from 'vitest';
import { Failure } from '../../src/failure.ts';
import { isAccountInScope, isIdInScope, needsAccount } from '../../src/policy/account-scope.ts';
import { authorize, denyOnBehalfOf, denyOperations } from '../../src/policy/decisions.ts';
import type { AccountScope } from '../../src/policy/permissions.ts';
import { certificate, permissions, token } from './fixtures.ts';

const caller = 'cn:renderer';
const call = { caller, method: 'Charge', accountId: 'cust-1' } as const;

const scope = (given: Partial<AccountScope>): AccountScope => ({
  prefixes: null,
  labels: null,
  plans: null,
  ...given,
});

describe('before the request is validated', () => {
  const renderer = permissions({
    methods: new Set(['Charge', 'ListPlans']),
    accounts: scope({ prefixes: ['cust-', 'trial-'] }),
  });

  test.each([
    ['an account of the scope', 'Charge', 'trial-7'],
    ['no account', 'ListPlans', null],
  ] as const)('%s is allowed', (_, method, accountId) => {
    expect(authorize(renderer, certificate(caller), method, accountId)).toBe(renderer);
  });

  test.each([
    [
      'a caller that nobody knows',
      null,
      certificate(caller),
      'Charge',
      'cust-1',
      `no rule of the policy applies to ${caller}`,
      { method: 'Charge', account_id: 'cust-1', limit: 'caller' },
    ],
    [
      'a token that its certificate may not carry',
      null,
      token('staff:anna', {}, caller),
      'ListPlans',
      null,
      `no rule of the policy applies to staff:anna, or none lets ${caller} carry its tokens`,
      { caller: 'staff:anna', method: 'ListPlans', limit: 'certificate', certificate: caller },
    ],
    [
      'a method',
      renderer,
      certificate(caller),
      'GrantCredits',
      'cust-1',
      `${caller} may not call GrantCredits`,
      { method: 'GrantCredits', account_id: 'cust-1', limit: 'method' },
    ],
    [
      'an account',
      renderer,
      certificate(caller),
      'Charge',
      'acme',
      `${caller} may not use account acme`,
      { method: 'Charge', account_id: 'acme', limit: 'account' },
    ],
  ] as const)('%s is denied', (_, given, identity, method, accountId, message, metadata) => {
    const denied = authorize(given, identity, method, accountId);
    expect(denied).toBeInstanceOf(Failure);
    expect(denied).toMatchObject({ reason: 'CALLER_NOT_ALLOWED', message });
    expect((denied as Failure).metadata).toEqual({ caller, ...metadata });
  });
});

describe('an account id', () => {
  test.each([
    ['without a scope', null, 'x', true],
    ['without prefixes', scope({ plans: ['verts'] }), 'x', true],
    ['with the prefix', scope({ prefixes: ['a-', 'b-'] }), 'b-1', true],
    ['that is the prefix', scope({ prefixes: ['a-'] }), 'a-', true],
    ['shorter than the prefix', scope({ prefixes: ['a-'] }), 'a', false],
    ['with the prefix elsewhere', scope({ prefixes: ['a-'] }), 'b-a-1', false],
    ['in letters of another case', scope({ prefixes: ['a-'] }), 'A-1', false],
  ] as const)('%s', (_, of, accountId, expected) => {
    expect(isIdInScope(of, accountId)).toBe(expected);
  });
});

describe('an account', () => {
  const account = { accountId: 'cust-1', planId: 'verts', labels: { team: 'media', tier: 'a' } };
  test.each([
    ['without a scope', null, true],
    ['of the prefix', scope({ prefixes: ['cust-'] }), true],
    ['of another prefix', scope({ prefixes: ['x'] }), false],
    ['of one of the plans', scope({ plans: ['other', 'verts'] }), true],
    ['of another plan', scope({ plans: ['other'] }), false],
    ['with the label', scope({ labels: { team: 'media' } }), true],
    ['with all labels', scope({ labels: { team: 'media', tier: 'a' } }), true],
    ['with one of two labels', scope({ labels: { team: 'media', tier: 'b' } }), false],
    ['without the label', scope({ labels: { region: 'eu' } }), false],
    ['with a label that every object has', scope({ labels: { constructor: 'x' } }), false],
    [
      'that meets two of three',
      scope({ prefixes: ['cust-'], plans: ['verts'], labels: { a: 'b' } }),
      false,
    ],
  ])('%s: %o', (_, of, expected) => {
    expect(isAccountInScope(of, account)).toBe(expected);
  });

  test.each([
    [null, false],
    [scope({ prefixes: ['a'] }), false],
    [scope({ plans: ['a'] }), true],
    [scope({ labels: { a: 'b' } }), true],
  ])('is needed to decide %o: %o', (of, expected) => {
    expect(needsAccount(of)).toBe(expected);
  });
});

describe('operations', () => {
  const some = permissions({ operations: ['image.*', 'file.convert'] });
  test.each([
    ['all are allowed', permissions(), ['anything'], null],
    ['none is named', some, [], null],
    ['each is allowed', some, ['image.resize', 'file.convert', 'image.'], null],
    ['one is not', some, ['image.resize', 'file.copy', 'video'], 'file.copy'],
    ['one only begins as an exact name', some, ['file.convert.all'], 'file.convert.all'],
    ['one lacks the point', some, ['images'], 'images'],
    ['"*" stands for all', permissions({ operations: ['*'] }), ['x'], null],
  ])('%s', (_, given, named, denied) => {
    const failure = denyOperations(given, call, named);
    if (denied === null) expect(failure).toBe(null);
    else
      expect(failure).toMatchObject({
        reason: 'CALLER_NOT_ALLOWED',
        message: `${caller} may not use the operation ${denied}`,
        metadata: {
          caller,
          method: 'Charge',
          account_id: 'cust-1',
          limit: 'operation',
          operation: denied,
        },
      });
  });
});

describe('acting on behalf of somebody', () => {
  test.each([
    [[], 'user:1', false],
    [['user:*'], 'user:1', true],
    [['user:*'], 'user:', true],
    [['user:*'], 'admin:1', false],
    [['user:1', 'user:2'], 'user:2', true],
    [['user:1'], 'user:11', false],
    [['*'], 'anybody', true],
  ])('%j allows %s: %s', (onBehalfOf, name, allowed) => {
    const denied = denyOnBehalfOf(permissions({ onBehalfOf }), call, name);
    if (allowed) expect(denied).toBe(null);
    else
      expect(denied?.metadata).toEqual({
        caller,
        method: 'Charge',
        account_id: 'cust-1',
        limit: 'on_behalf_of',
        on_behalf_of: name,
      });
  });
});
