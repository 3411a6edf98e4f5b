/** The sentences of `policy explain`. */
import { expect, test } from 'vitest';
import { explain } from '../../src/policy/explain.ts';
import type { Identity } from '../../src/policy/identity.ts';
import type { MethodName } from '../../src/policy/methods.ts';
import { certificate, ISSUERS, policyIn, token } from './fixtures.ts';

const policy = policyIn(`${ISSUERS}
callers:
  - id: cn:renderer
    roles: [product-service, observer]
    accounts: { prefixes: [cust-, trial-], labels: { team: media }, plans: [verts] }
    operations: [image.*]
    own_reservations_only: true
    credits: { per_call: 500, per_day: 100000, per_account_and_day: 5000 }
    requests_per_second: { rate: 200, burst: 400 }
    credits_per_second: { rate: 1000, burst: 5000 }
    streams: 10
    on_behalf_of: ['user:*', admin]
  - id: cn:gateway
    roles: []
    carries_tokens_of: ['staff:*']
  - claim: { groups: support }
    issuer: staff
    roles: [support]
  - prefix: 'staff:'
    roles: [observer]
`);

test.each<readonly [string, Identity, MethodName, string | null, boolean, readonly string[]]>([
  [
    'every limit',
    certificate('cn:renderer'),
    'Reserve',
    'cust-1',
    true,
    [
      'Rule 1 (line 8: cn:renderer) is the first that applies to cn:renderer.',
      'Reserve is allowed by the role product-service.',
      'Only accounts whose ids begin with cust- or trial-.',
      'Only accounts with the labels team=media.',
      'Only accounts of the plan verts.',
      'Only these operations: image.*.',
      'Only reservations that it made itself.',
      'At most 500 credits per call.',
      'At most 100000 credits per UTC day on all accounts.',
      'At most 5000 credits per UTC day on each account.',
      'At most 200 requests per second on each replica, in bursts of up to 400.',
      'At most 1000 credits per second on each replica, in bursts of up to 5000.',
      'At most 10 open streams on each replica.',
      'It may act on behalf of user:* and admin.',
    ],
  ],
  [
    'an account that is denied by its id',
    certificate('cn:renderer'),
    'Reserve',
    'acme',
    false,
    [
      'Rule 1 (line 8: cn:renderer) is the first that applies to cn:renderer.',
      'Reserve is allowed by the role product-service.',
      'Account acme is denied: its id does not begin with cust- or trial-.',
    ],
  ],
  [
    'a method that is denied',
    certificate('cn:renderer'),
    'GrantCredits',
    'cust-1',
    false,
    [
      'Rule 1 (line 8: cn:renderer) is the first that applies to cn:renderer.',
      'GrantCredits is denied: cn:renderer has the role product-service and observer, and only support or billing-admin allows it.',
    ],
  ],
  [
    'a caller without roles',
    certificate('cn:gateway'),
    'Reserve',
    null,
    false,
    [
      'Rule 2 (line 18: cn:gateway) is the first that applies to cn:gateway.',
      'Reserve is denied: cn:gateway has no role, and only product-service allows it.',
    ],
  ],
  [
    'a caller that nobody knows',
    certificate('cn:x'),
    'Reserve',
    null,
    false,
    ['No rule applies to cn:x: it may do nothing.'],
  ],
  [
    'a token without its claims',
    token('staff:anna'),
    'GetBalance',
    'a',
    true,
    [
      'Rule 4 (line 24: staff:*) is the first that applies to staff:anna.',
      'Rule 3 (line 21: staff: groups=support) comes first if the token has that claim.',
      'GetBalance is allowed by the role observer.',
    ],
  ],
  [
    'a token that a certificate carries',
    token('staff:anna', { groups: ['support'] }, 'cn:gateway'),
    'GrantCredits',
    'a',
    true,
    [
      'Rule 2 (line 18: cn:gateway) lets cn:gateway carry tokens of staff:anna.',
      'Rule 3 (line 21: staff: groups=support) is the first that applies to staff:anna.',
      'GrantCredits is allowed by the role support.',
    ],
  ],
  [
    'a token that its certificate may not carry',
    token('cluster:a', {}, 'cn:gateway'),
    'GetBalance',
    'a',
    false,
    [
      'Rule 2 (line 18: cn:gateway) lets cn:gateway carry tokens of staff:*, and not those of cluster:a.',
    ],
  ],
  [
    'a certificate that carries no tokens',
    token('staff:anna', {}, 'cn:renderer'),
    'GetBalance',
    'a',
    false,
    ['Rule 1 (line 8: cn:renderer) lets cn:renderer carry no tokens, and not those of staff:anna.'],
  ],
  [
    'a certificate that nobody knows',
    token('staff:anna', {}, 'cn:x'),
    'GetBalance',
    'a',
    false,
    ['No rule applies to cn:x: it may not carry tokens.'],
  ],
])('%s', (_, identity, method, accountId, allowed, sentences) => {
  expect(explain(policy, identity, method, accountId)).toEqual({ allowed, sentences });
});

test('says what the policy does, for every caller and method', () => {
  const callers = [
    certificate('cn:renderer'),
    certificate('cn:gateway'),
    certificate('cn:x'),
    token('staff:a', {}, 'cn:gateway'),
    token('staff:a', { groups: 'support' }),
    token('cluster:a', {}, 'cn:gateway'),
  ];
  for (const identity of callers)
    for (const method of ['Reserve', 'GrantCredits', 'GetBalance'] as const)
      expect(explain(policy, identity, method, null).allowed).toBe(
        policy.permissionsOf(identity)?.methods.has(method) ?? false,
      );
});
