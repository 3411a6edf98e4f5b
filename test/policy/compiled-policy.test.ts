/** Which rule applies to a caller: the first that matches, and nobody's where none does. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ALLOW_ALL } from '../../src/policy/allow-all.ts';
import { authorize } from '../../src/policy/decisions.ts';
import type { AuthenticationMethod, Identity } from '../../src/policy/identity.ts';
import { METHOD_NAMES } from '../../src/policy/roles.ts';
import { certificate, header, ISSUERS, policyIn, token } from './fixtures.ts';

const policy = policyIn(`${ISSUERS}
callers:
  - id: spiffe://example.org/media/renderer
    roles: [product-service]
  - prefix: spiffe://example.org/media/
    roles: [observer]
  - id: cn:renderer
    roles: [operator]
  - id: header:anna
    roles: [support]
  - claim: { groups: admins, level: high }
    issuer: staff
    roles: [billing-admin]
  - claim: { groups: admins }
    issuer: staff
    roles: [support]
  - prefix: 'cluster:system:serviceaccount:media:'
    roles: [product-service]
  - id: staff:anna
    roles: [payments]
  - claim: { verified: true, tier: 2 }
    issuer: cluster
    roles: [observer]
  - id: spiffe://example.org/gateway
    roles: []
    carries_tokens_of: ['staff:*', 'cluster:system:serviceaccount:media:renderer']
`);

const ruleOf = (identity: Identity) => policy.ruleOf(identity)?.index ?? null;

describe('the first rule that applies to a caller', () => {
  test.each<readonly [string, Identity, number | null]>([
    ['is that of its id', certificate('spiffe://example.org/media/renderer'), 0],
    ['may be that of a prefix', certificate('spiffe://example.org/media/player'), 1],
    ['is none: it only resembles an id', certificate('spiffe://example.org/gateway/a'), null],
    ['is none: another trust domain', certificate('spiffe://example.org.evil.net/media/a'), null],
    [
      'is none: letters of another case',
      certificate('spiffe://example.org/media/renderer'.toUpperCase()),
      null,
    ],
    ['is that of a common name', certificate('cn:renderer'), 2],
    ['is that of x-caller', header('anna'), 3],
    ['is none: x-caller names itself as policies do', header('header:anna'), null],
    ['is none: x-caller names no certificate', header('cn:renderer'), null],
    ['is none: a token names no certificate', token('cn:renderer'), null],
    ['is none: a certificate names no token', certificate('staff:anna'), null],
    ['is that of all claims', token('staff:b', { groups: 'admins', level: 'high' }), 4],
    ['is that of a claim in a list', token('staff:b', { groups: ['users', 'admins'] }), 5],
    ['is that of a claim above its id', token('staff:anna', { groups: ['admins'] }), 5],
    ['is that of its id, with other claims', token('staff:anna', { groups: ['adm', 'ins'] }), 7],
    [
      'is none: a claim that only contains the text',
      token('staff:b', { groups: 'admins,x' }),
      null,
    ],
    ['is none: a claim of another type', token('staff:b', { groups: { admins: true } }), null],
    ['is none: a claim of another issuer', token('cluster:b', { groups: 'admins' }), null],
    ['is that of a namespace', token('cluster:system:serviceaccount:media:x'), 6],
    ['is none: another namespace', token('cluster:system:serviceaccount:mediations:x'), null],
    ['is that of a flag and a number', token('cluster:b', { verified: true, tier: [1, 2] }), 8],
    ['is none: text instead of a flag', token('cluster:b', { verified: 'true', tier: 2 }), null],
    ['is none: no name', certificate(''), null],
  ])('%s', (_, identity, index) => {
    expect(ruleOf(identity)).toBe(index);
    const permissions = index === null ? null : policy.file.rules[index]?.permissions;
    // A second time: certificates are kept.
    for (const _ of ['first', 'again']) expect(policy.permissionsOf(identity)).toBe(permissions);
  });
});

describe('a token on a connection with a certificate', () => {
  const GATEWAY = 'spiffe://example.org/gateway';
  test.each<readonly [string, Identity, number | null]>([
    ['has the permissions of the token', token('staff:anna', {}, GATEWAY), 7],
    ['also by its claims', token('staff:b', { groups: 'admins' }, GATEWAY), 5],
    ['by the exact name', token('cluster:system:serviceaccount:media:renderer', {}, GATEWAY), 6],
    ['is denied: not this one', token('cluster:system:serviceaccount:media:x', {}, GATEWAY), null],
    ['is denied: a certificate that carries none', token('staff:anna', {}, 'cn:renderer'), null],
    ['is denied: an unknown certificate', token('staff:anna', {}, 'cn:x'), null],
    ['is denied: nobody knows the token’s caller', token('staff:b', {}, GATEWAY), null],
  ])('%s', (_, identity, index) => {
    const permissions = index === null ? null : policy.file.rules[index]?.permissions;
    expect(policy.permissionsOf(identity)).toBe(permissions);
  });

  test('does not have those of the certificate', () => {
    expect(policy.permissionsOf(certificate(GATEWAY))?.methods.size).toBe(0);
    expect(
      policy.permissionsOf(token('cluster:x', {}, 'spiffe://example.org/media/renderer')),
    ).toBe(null);
  });
});

test('more certificates than are kept have their permissions', () => {
  for (let number = 0; number < 20_001; number += 1) {
    const known = number % 2 === 0;
    const caller = certificate(`spiffe://example.org/${known ? 'media' : 'other'}/${number}`);
    expect(policy.permissionsOf(caller)).toBe(known ? policy.file.rules[1]?.permissions : null);
  }
});

test('a caller that no rule names is never allowed anything', () => {
  const method = fc.constantFrom<AuthenticationMethod>('CERTIFICATE', 'TOKEN', 'HEADER');
  const name = fc.oneof(
    fc.string(),
    fc
      .tuple(
        fc.constantFrom('spiffe://example.org/', 'cn:', 'header:', 'staff:', 'cluster:', ''),
        fc.constantFrom('media', 'renderer', 'anna', 'gateway', 'system:serviceaccount:media', '*'),
        fc.string({ maxLength: 3 }),
      )
      .map((parts) => parts.join('')),
  );
  const claims = fc.dictionary(
    fc.constantFrom('groups', 'level', 'sub', '__proto__'),
    fc.oneof(fc.constantFrom('admin', 'high', ''), fc.array(fc.string(), { maxLength: 2 })),
  );
  const identities = fc.record({
    caller: name,
    method,
    certificate: fc.oneof(fc.constant(''), name),
    claims,
    until: fc.constant(null),
  });
  // Written anew: which callers the rules above name.
  const isNamed = ({ caller, method }: Identity) =>
    (method === 'CERTIFICATE' &&
      (caller.startsWith('spiffe://example.org/media/') ||
        ['cn:renderer', 'spiffe://example.org/gateway'].includes(caller))) ||
    (method === 'HEADER' && caller === 'anna') ||
    (method === 'TOKEN' &&
      (caller === 'staff:anna' || caller.startsWith('cluster:system:serviceaccount:media:')));
  fc.assert(
    fc.property(identities, fc.constantFrom(...METHOD_NAMES), (identity, called) => {
      fc.pre(!isNamed(identity));
      const permissions = policy.permissionsOf(identity);
      expect(permissions).toBe(null);
      expect(authorize(permissions, identity, called, null)).toMatchObject({
        reason: 'CALLER_NOT_ALLOWED',
      });
    }),
    { numRuns: 1_000 },
  );
});

test('without a policy everybody may call everything', () => {
  const permissions = ALLOW_ALL.permissionsOf(header('x'));
  for (const method of METHOD_NAMES)
    expect(authorize(permissions, header('x'), method, 'a')).toBe(permissions);
  expect(permissions).toMatchObject({ accounts: null, creditLimits: null, onBehalfOf: ['*'] });
});
