/** Policy files: what a valid one says, and the line and reason of every error. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parsePolicyFile } from '../../src/policy/policy-file.ts';
import { errorsIn, policyFileIn } from './fixtures.ts';

const EVERYTHING = `version: 1
issuers:
  - name: cluster
    issuer: https://kubernetes.default.svc
    audience: scrip
    jwks: { file: /etc/scrip/jwks.json }
    caller_claim: email
    required_claims: { kind: access }
    clock_tolerance: 1m
    algorithms: [ES256]
roles:
  renderer: { extends: [product-service], without: [Charge] }
  opener:
    extends: [renderer]
    methods: [OpenAccount]
callers:
  - id: spiffe://example.org/renderer
    roles: [renderer, observer]
    accounts: { prefixes: [cust-], labels: { team: media }, plans: [verts] }
    operations: [image.*, file.convert]
    own_reservations_only: true
    credits: { per_call: 500, per_day: 100000, per_account_and_day: 5000 }
    requests_per_second: { rate: 200, burst: 400 }
    credits_per_second: { rate: 1000 }
    streams: 10
    on_behalf_of: ['user:*']
    carries_tokens_of: ['cluster:*']
  - prefix: cn:team-
    roles: []
  - claim: { groups: billing-support }
    issuer: cluster
    roles: [opener]
`;

describe('a valid file', () => {
  const { issuers, roles, rules } = policyFileIn(EVERYTHING);

  test('names its issuers', () => {
    expect(issuers).toEqual([
      {
        name: 'cluster',
        issuer: 'https://kubernetes.default.svc',
        audience: 'scrip',
        jwks: { file: '/etc/scrip/jwks.json' },
        callerClaim: 'email',
        requiredClaims: { kind: 'access' },
        clockToleranceMs: 60_000,
        algorithms: ['ES256'],
      },
    ]);
  });

  test('gives each caller all that its rule says, with the line of the rule', () => {
    expect(rules[0]).toEqual({
      index: 0,
      line: 17,
      selector: { kind: 'id', id: 'spiffe://example.org/renderer', method: 'CERTIFICATE' },
      roles: ['renderer', 'observer'],
      permissions: {
        methods: new Set([...(roles.get('renderer') ?? []), ...(roles.get('observer') ?? [])]),
        accounts: { prefixes: ['cust-'], labels: { team: 'media' }, plans: ['verts'] },
        operations: ['image.*', 'file.convert'],
        ownReservationsOnly: true,
        creditLimits: { perCall: 500n, perDay: 100_000n, perAccountAndDay: 5_000n },
        requestsPerSecond: { rate: 200, burst: 400 },
        creditsPerSecond: { rate: 1_000, burst: 1_000 },
        streamsMax: 10,
        onBehalfOf: ['user:*'],
      },
      carriesTokensOf: ['cluster:*'],
    });
  });

  test('limits a caller by nothing that it leaves out', () => {
    expect(rules[2]).toMatchObject({
      line: 30,
      selector: { kind: 'claims', issuer: 'cluster', claims: { groups: 'billing-support' } },
      permissions: {
        accounts: null,
        operations: null,
        ownReservationsOnly: false,
        creditLimits: null,
        requestsPerSecond: null,
        creditsPerSecond: null,
        streamsMax: null,
        onBehalfOf: [],
      },
      carriesTokensOf: [],
    });
  });

  test('has roles of its own, from those above them', () => {
    const product = roles.get('product-service') ?? new Set();
    const renderer = [...product].filter((method) => method !== 'Charge');
    expect(roles.get('renderer')).toEqual(new Set(renderer));
    expect(roles.get('opener')).toEqual(new Set([...renderer, 'OpenAccount']));
    expect(rules[1]?.permissions.methods.size).toBe(0);
  });

  test('has defaults for what an issuer leaves out', () => {
    const text = EVERYTHING.replace(/ {4}caller_claim[\s\S]*(?=roles:\n {2}renderer)/, '');
    expect(policyFileIn(text).issuers[0]).toMatchObject({
      callerClaim: 'sub',
      requiredClaims: {},
      clockToleranceMs: 30_000,
      algorithms: ['RS256', 'ES256', 'EdDSA'],
    });
  });
});

describe('an error', () => {
  const ID = 'id: spiffe://example.org/renderer';
  const CLAIM = 'claim: { groups: billing-support }';
  test.each<readonly [name: string, from: string, to: string, error: string]>([
    ['another version', 'version: 1', 'version: 2', '1: version: must be 1'],
    ['a file without callers', 'callers:', 'caller:', '16: caller: unknown key'],
    ['an unknown key', 'streams:', 'stream:', '25: callers[0].stream: unknown key'],
    ['a key given twice', 'streams: 10', 'roles: []', 'null: line 25, column 5: duplicate key'],
    ['an alias', '[ES256]', '*all', 'null: line 10, column 17: uses an alias; write the value out'],

    // Issuers
    [
      'a name of another method',
      'name: cluster',
      'name: spiffe',
      '3: issuers[0].name: must not be cn, spiffe or header: callers of other methods begin so',
    ],
    [
      'a name that is none',
      'name: cluster',
      'name: Cluster',
      '3: issuers[0].name: must be 1 to 32 of a-z, 0-9 and -, beginning with a letter',
    ],
    [
      'an issuer without keys',
      '{ file: /etc/scrip/jwks.json }',
      '{}',
      '6: issuers[0].jwks: must have either file or url',
    ],
    [
      'keys over plain HTTP',
      'file: /etc/scrip/jwks.json',
      'url: http://keys.test',
      '6: issuers[0].jwks.url: must be https://: keys that can be changed on the way let anyone issue tokens',
    ],
    [
      'keys at no URL',
      'file: /etc/scrip/jwks.json',
      'url: keys',
      '6: issuers[0].jwks.url: must be an https:// URL',
    ],
    [
      'a password in the URL of keys',
      'file: /etc/scrip/jwks.json',
      "url: 'https://me:secret@keys.example.org/jwks'",
      '6: issuers[0].jwks.url: must not name a user',
    ],
    ['a relative path', '/etc/scrip', 'etc', '6: issuers[0].jwks.file: must be an absolute path'],
    [
      'a clock that nobody has',
      'tolerance: 1m',
      'tolerance: 1h',
      '9: issuers[0].clock_tolerance: must not be longer than 5m',
    ],
    [
      'a shared secret',
      '[ES256]',
      '[HS256]',
      '10: issuers[0].algorithms[0]: must be RS256 or RS384 or',
    ],
    ['the algorithm none', '[ES256]', '[none]', '10: issuers[0].algorithms[0]: must be RS256 or'],
    ['no algorithm', '[ES256]', '[]', '10: issuers[0].algorithms: must not be empty'],
    [
      'an issuer twice',
      'roles:\n  renderer:',
      '  - { name: cluster, issuer: x, audience: y, jwks: { file: /z } }\nroles:\n  renderer:',
      '11: issuers[1].name: is the same as that of issuers[0]',
    ],
    [
      'tokens of two issuers',
      'roles:\n  renderer:',
      '  - { name: a, issuer: https://kubernetes.default.svc, audience: scrip, jwks: { file: /z } }\nroles:\n  renderer:',
      '11: issuers[1].audience: is the same as that of issuers[0], with its issuer',
    ],

    // Roles
    ['a built-in role', '  opener:', '  support:', '13: roles.support: is a built-in role'],
    [
      'an unknown role to extend',
      'extends: [product-service]',
      'extends: [product-servce]',
      '12: roles.renderer.extends[0]: there is no role product-servce above; did you mean product-service?',
    ],
    [
      'a role that extends itself',
      'extends: [renderer]',
      'extends: [opener]',
      '14: roles.opener.extends[0]: there is no role opener above',
    ],
    [
      'an unknown method',
      'methods: [OpenAccount]',
      'methods: [OpenAcount]',
      '15: roles.opener.methods[0]: there is no method OpenAcount; did you mean OpenAccount?',
    ],
    [
      'an unknown method to leave out',
      'without: [Charge]',
      'without: [Charges]',
      '12: roles.renderer.without[0]: there is no method Charges; did you mean Charge?',
    ],
    [
      'a method left out that was not in it',
      'without: [Charge]',
      'without: [GrantCredits]',
      '12: roles.renderer.without[0]: GrantCredits is not allowed by it anyway',
    ],
    [
      'a role that allows nothing',
      'extends: [renderer]\n    methods: [OpenAccount]',
      'extends: []',
      '13: roles.opener: allows no method',
    ],

    // Callers
    [
      'two ways to name callers',
      ID,
      `${ID}\n    prefix: cn:a`,
      '17: callers[0]: must have exactly one of',
    ],
    [
      'no way to name callers',
      'prefix: cn:team-',
      'streams: 1',
      '28: callers[1]: must have exactly one of',
    ],
    [
      'a name of no method',
      ID,
      'id: renderer',
      '17: callers[0].id: must begin with spiffe:, cn: or header:, or with the name of an issuer and a colon (cluster:)',
    ],
    [
      'a name of no issuer',
      ID,
      'id: claster:a',
      '17: callers[0].id: must begin with spiffe:, cn: or header:, or',
    ],
    [
      'a pattern as an id',
      ID,
      "id: 'cn:*'",
      '17: callers[0].id: must be printable ASCII without spaces, and without *',
    ],
    [
      'the beginning of a trust domain',
      ID,
      'prefix: spiffe://example.org',
      '17: callers[0].prefix: must begin with spiffe://, a whole trust domain and /',
    ],
    [
      'a claim of nobody',
      'issuer: cluster\n    roles',
      'roles',
      '30: callers[2].issuer: missing key: who says this claim?',
    ],
    [
      'a claim of an unknown issuer',
      'issuer: cluster\n    roles',
      'issuer: claster\n    roles',
      '31: callers[2].issuer: there is no issuer claster; did you mean cluster?',
    ],
    [
      'an issuer without a claim',
      ID,
      `${ID}\n    issuer: cluster`,
      '18: callers[0].issuer: is only for claims: the name of a caller begins with it',
    ],
    ['an empty claim', CLAIM, 'claim: {}', '30: callers[2].claim: must not be empty'],
    [
      'a claim that is a list',
      CLAIM,
      'claim: { groups: [a, b] }',
      '30: callers[2].claim.groups: must be text, a whole number, true or false',
    ],
    [
      'a claim that any mapping is',
      CLAIM,
      'claim: { groups: {} }',
      '30: callers[2].claim.groups: must not be empty',
    ],
    ['a caller without roles', '    roles: []\n', '', '28: callers[1].roles: missing key'],
    [
      'an unknown role',
      'roles: [renderer, observer]',
      'roles: [renderer, observers]',
      '18: callers[0].roles[1]: there is no role observers; did you mean observer?',
    ],

    // Rules that never apply
    [
      'a caller twice',
      'prefix: cn:team-',
      ID,
      '28: callers[1].id: is the same as that of callers[0]',
    ],
    [
      'a caller after a prefix that covers it',
      `${CLAIM}\n    issuer: cluster`,
      'id: cn:team-a',
      '30: callers[2].id: is never used: callers[1], cn:team-*, comes first; put it above',
    ],
    [
      'a prefix after one that covers it',
      `${CLAIM}\n    issuer: cluster`,
      'prefix: cn:team-a',
      '30: callers[2].prefix: is never used: callers[1], cn:team-*, comes first; put it above',
    ],
    [
      'a claim after all callers of its issuer',
      'prefix: cn:team-',
      "prefix: 'cluster:'",
      '30: callers[2].claim: is never used: callers[1], cluster:*, comes first; put it above',
    ],
    [
      'a claim and more after the claim',
      'prefix: cn:team-\n    roles: []',
      'claim: { groups: billing-support }\n    issuer: cluster\n    roles: []\n  - claim: { groups: billing-support, level: high }\n    issuer: cluster\n    roles: []',
      '31: callers[2].claim: is never used: callers[1], cluster: groups=billing-support, comes first; put it above',
    ],

    // Limits
    ['a limit without a value', 'streams: 10', 'streams:', '25: callers[0].streams: must be'],
    [
      'a pattern of accounts',
      '[cust-]',
      "['cust-*']",
      '19: callers[0].accounts.prefixes[0]: must be 1 to 128 printable ASCII characters without spaces, and without *',
    ],
    ['no accounts', '[cust-]', '[]', '19: callers[0].accounts.prefixes: must not be empty'],
    [
      'a scope that limits nothing',
      '{ prefixes: [cust-], labels: { team: media }, plans: [verts] }',
      '{ labels: {} }',
      '19: callers[0].accounts: must have prefixes, labels or plans',
    ],
    [
      'an operation that is none',
      'image.*',
      'Image*x',
      '20: callers[0].operations[0]: must be the name of an operation, or the beginning of names and *, such as image.*',
    ],
    [
      'a flag that is text',
      'own_reservations_only: true',
      'own_reservations_only: yes',
      '21: callers[0].own_reservations_only: must be true or false',
    ],
    [
      'a limit of nothing',
      'per_call: 500',
      'per_call: 0',
      '22: callers[0].credits.per_call: must be a whole number from 1 to',
    ],
    [
      'a limit above a wider one',
      'per_call: 500,',
      'per_call: 5001,',
      '22: callers[0].credits.per_call: is more than per_account_and_day',
    ],
    [
      'a limit of an account above that of all',
      'per_day: 100000',
      'per_day: 4000',
      '22: callers[0].credits.per_account_and_day: is more than per_day',
    ],
    [
      'credits without a limit',
      '{ per_call: 500, per_day: 100000, per_account_and_day: 5000 }',
      '{}',
      '22: callers[0].credits: must have per_call, per_day or per_account_and_day',
    ],
    [
      'a rate of nothing',
      'rate: 200',
      'rate: 0',
      '23: callers[0].requests_per_second.rate: must be a whole number from 1 to 1000000000',
    ],
    [
      'a rate that is no whole number',
      'rate: 1000',
      'rate: 0.5',
      '24: callers[0].credits_per_second.rate: must be a whole number',
    ],
    [
      'a pattern within a name',
      'user:*',
      'user:*:a',
      '26: callers[0].on_behalf_of[0]: must be printable',
    ],
    [
      'carrying the tokens of no issuer',
      'cluster:*',
      'claster:*',
      '27: callers[0].carries_tokens_of[0]: must begin with the name of an issuer and a colon',
    ],
    [
      'a token that carries tokens',
      ID,
      'id: cluster:gateway',
      '27: callers[0].carries_tokens_of: is only for certificates',
    ],
  ])('%s', (_, from, to, error) => {
    expect(EVERYTHING).toContain(from);
    const errors = errorsIn(EVERYTHING.replace(from, to));
    expect(errors).toEqual(expect.arrayContaining([expect.stringContaining(error)]));
  });

  test('does not hide the others', () => {
    const text = EVERYTHING.replace('[Charge]', '[Charges]')
      .replace('[opener]', '[openr]')
      .replace('per_call: 500', 'per_call: 500000');
    expect(errorsIn(text).map((error) => error.split(':')[0])).toEqual(['12', '22', '32']);
  });

  test.each(['', '# only a comment', 'null', '[]', 'text', '7'])('%o is not a mapping', (text) => {
    expect(errorsIn(text)).toEqual(['1: (whole file): must be a mapping']);
  });
});

describe('any text is a policy or has errors', () => {
  const isPolicyOrErrors = (text: string) => {
    const parsed = parsePolicyFile('policy.yaml', text);
    expect('policy' in parsed || parsed.errors.length > 0).toBe(true);
  };

  test('random text', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), isPolicyOrErrors));
  });

  test('a policy with a part removed or inserted anywhere', () => {
    const place = fc.nat(EVERYTHING.length);
    const edits = fc.tuple(
      place,
      fc.nat(12),
      fc.constantFrom('', ' ', '-', ': ', '{', '[]', '&a '),
    );
    fc.assert(
      fc.property(edits, ([at, length, inserted]) =>
        isPolicyOrErrors(EVERYTHING.slice(0, at) + inserted + EVERYTHING.slice(at + length)),
      ),
    );
  });
});
