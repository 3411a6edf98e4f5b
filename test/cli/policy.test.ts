/** `scrip policy check` and `policy explain`: they need a policy file and nothing else. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runScrip } from './run-scrip.ts';

let directory: string;
let valid: string;
let invalid: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'scrip-policy-'));
  valid = join(directory, 'valid.yaml');
  invalid = join(directory, 'invalid.yaml');
  await writeFile(valid, POLICY);
  await writeFile(invalid, POLICY.replace('[product-service]', '[product-servce]'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const POLICY = `
version: 1
issuers:
  - { name: staff, issuer: https://staff.test, audience: scrip, jwks: { file: /keys.json } }
callers:
  - id: spiffe://example.org/renderer
    roles: [product-service]
    accounts: { prefixes: [cust-] }
    carries_tokens_of: ['staff:*']
  - claim: { groups: support }
    issuer: staff
    roles: [support]
`;

const run = (...args: string[]) => runScrip(['policy', ...args], {});
const RENDERER = 'spiffe://example.org/renderer';
const misspelled = () =>
  `${invalid}: line 7: callers[0].roles[0]: there is no role product-servce; did you mean product-service?\n`;

describe('policy check', () => {
  test('says that a file is valid', async () => {
    const stdout = `${valid}: the policy is valid (callers: 2, token issuers: 1)\n`;
    expect(await run('check', valid)).toEqual({ exitCode: 0, stderr: '', stdout });
    const ofService = await runScrip(['policy', 'check'], { POLICY_FILE: valid });
    expect(ofService).toEqual({ exitCode: 0, stderr: '', stdout });
  });

  test('lists every error with its line', async () => {
    expect(await run('check', invalid)).toEqual({
      exitCode: 1,
      stderr: '',
      stdout: misspelled(),
    });
  });

  test.each([
    [
      [],
      'scrip: a policy file is needed, as argument or as POLICY_FILE; usage: scrip policy check',
    ],
    [['/nowhere/policy.yaml'], 'scrip: there is no file /nowhere/policy.yaml'],
  ])('of %j cannot run', async (args, message) => {
    const ran = await run('check', ...args);
    expect(ran).toMatchObject({ exitCode: 2, stdout: '' });
    expect(ran.stderr).toContain(message);
  });
});

describe('policy explain', () => {
  const explain = (...args: string[]) => run('explain', ...args, '--file', valid);

  test('says by which rule a call is allowed', async () => {
    expect(await explain(RENDERER, 'Reserve', 'cust-1')).toEqual({
      exitCode: 0,
      stderr: '',
      stdout: `allowed
  Rule 1 (line 6: ${RENDERER}) is the first that applies to ${RENDERER}.
  Reserve is allowed by the role product-service.
  Only accounts whose ids begin with cust-.
`,
    });
  });

  test('says by which rule a call is denied', async () => {
    expect(await explain(RENDERER, 'Reserve', 'acme')).toEqual({
      exitCode: 1,
      stderr: '',
      stdout: `denied
  Rule 1 (line 6: ${RENDERER}) is the first that applies to ${RENDERER}.
  Reserve is allowed by the role product-service.
  Account acme is denied: its id does not begin with cust-.
`,
    });
  });

  test('of a token, with its claims and the certificate that carries it', async () => {
    const args = ['staff:anna', 'GrantCredits', '--certificate', RENDERER];
    expect(await explain(...args)).toMatchObject({ exitCode: 1 });
    expect(await explain(...args, '--claims', '{"groups":["support"]}')).toEqual({
      exitCode: 0,
      stderr: '',
      stdout: `allowed
  Rule 1 (line 6: ${RENDERER}) lets ${RENDERER} carry tokens of staff:anna.
  Rule 2 (line 10: staff: groups=support) is the first that applies to staff:anna.
  GrantCredits is allowed by the role support.
`,
    });
  });

  test('lists the errors of a file that is invalid', async () => {
    expect(await run('explain', RENDERER, 'Reserve', '--file', invalid)).toEqual({
      exitCode: 1,
      stderr: misspelled(),
      stdout: '',
    });
  });

  test.each([
    [[], "missing required argument 'caller'"],
    [[RENDERER, 'Reserv'], 'there is no method Reserv; did you mean Reserve?'],
    [
      ['renderer', 'Reserve'],
      'no caller is named renderer: names begin with spiffe:, cn:, header:, staff:',
    ],
    [[RENDERER, 'Reserve', '--claims', '{}'], `${RENDERER} has no token`],
    [['staff:a', 'Reserve', '--claims', '[1]'], '--claims must be a JSON object'],
    [['staff:a', 'Reserve', '--claims', '{'], '--claims must be a JSON object'],
  ])('of %j cannot run: %s', async (args, message) => {
    const ran = await explain(...args);
    expect(ran).toMatchObject({ exitCode: 2, stdout: '' });
    expect(ran.stderr).toContain(message);
  });
});
