/** The policy of a running service: read again when its file changes, kept when the file is broken. */
import { mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Logger, pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { InvalidPolicy, PolicySource } from '../../src/policy/policy-source.ts';
import { certificate, ISSUERS } from './fixtures.ts';

/** Longer than any test: files are read when a test says so. */
const NEVER_MS = 3_600_000;

let directory: string;
let file: string;
let lines: Record<string, unknown>[];
let log: Logger;
let source: PolicySource | null;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'scrip-policy-'));
  file = join(directory, 'policy.yaml');
  lines = [];
  log = pino({ base: null, timestamp: false }, { write: (line) => lines.push(JSON.parse(line)) });
  source = null;
});
afterEach(async () => {
  await source?.stop();
  await rm(directory, { recursive: true, force: true });
});

async function open(text: string, given: Partial<Parameters<typeof PolicySource.open>[0]> = {}) {
  await writeFile(file, text);
  source = await PolicySource.open({ file, log, intervalMs: NEVER_MS, ...given });
  return source;
}

const callers = (...rules: string[]) => `${ISSUERS}callers:\n${rules.join('\n')}\n`;
const A = '  - { id: cn:a, roles: [product-service] }';
const B = '  - { id: cn:b, roles: [observer] }';
const ADMINS = '  - { claim: { groups: admins }, issuer: staff, roles: [billing-admin] }';

const mayReserve = (caller: string) =>
  source?.permissionsOf(certificate(caller))?.methods.has('Reserve') ?? false;

const INFO = 30;
const ERROR = 50;
const changed = (given: object) => ({
  level: INFO,
  msg: 'policy changed',
  file,
  added: [],
  removed: [],
  changed: [],
  reordered: false,
  ...given,
});

describe('a changed file', () => {
  test('is in force after it was read', async () => {
    await open(callers(A));
    expect([mayReserve('cn:a'), mayReserve('cn:b')]).toEqual([true, false]);
    await writeFile(file, callers(B.replace('observer', 'product-service')));
    expect([mayReserve('cn:a'), mayReserve('cn:b')]).toEqual([true, false]);
    await source?.reload();
    expect([mayReserve('cn:a'), mayReserve('cn:b')]).toEqual([false, true]);
    expect(lines).toEqual([changed({ added: ['cn:b'], removed: ['cn:a'] })]);
  });

  test('is read by itself', async () => {
    await open(callers(A), { intervalMs: 5 });
    // As Kubernetes replaces a mounted file.
    await writeFile(join(directory, 'next.yaml'), callers(B));
    await symlink(join(directory, 'next.yaml'), join(directory, 'link'));
    await rename(join(directory, 'link'), file);
    await expect.poll(() => mayReserve('cn:a'), { timeout: 60_000 }).toBe(false);
  });

  test.each<readonly [string, string, object]>([
    [
      'a role of its own that a caller has',
      callers(A, B, ADMINS)
        .replace('callers:', 'roles: { x: { methods: [Charge] } }\ncallers:')
        .replace('[observer]', '[observer, x]'),
      { changed: ['cn:b'] },
    ],
    ['another order', callers(B, A, ADMINS), { reordered: true }],
    [
      'one before the others',
      callers('  - { id: cn:c, roles: [] }', A, B, ADMINS),
      { added: ['cn:c'] },
    ],
    [
      'the keys of an issuer',
      callers(A, B, ADMINS).replace('/keys.json', '/other.json'),
      { changed: ['issuer cluster'] },
    ],
    [
      'a limit, the tokens it carries, and who is gone',
      callers(
        "  - { id: cn:a, roles: [product-service], carries_tokens_of: ['staff:*'] }",
        ADMINS.replace('roles:', 'credits: { per_day: 5 }, roles:'),
      ),
      { removed: ['cn:b'], changed: ['cn:a', 'staff: groups=admins'] },
    ],
  ])('is logged with what has changed: %s', async (_, text, given) => {
    await open(callers(A, B, ADMINS));
    await writeFile(file, text);
    await source?.reload();
    expect(lines).toEqual([changed(given)]);
  });

  test('that says the same is no change', async () => {
    await open(callers(A, B));
    await writeFile(
      file,
      `# why\n${callers(A, B).replace('[product-service]', '[ product-service ]')}`,
    );
    await source?.reload();
    expect(source?.current.ruleOf(certificate('cn:a'))?.line).toBe(8);
    expect(lines).toEqual([]);
  });
});

describe('a broken file', () => {
  test('changes nothing, and is reported once with lines and reasons', async () => {
    await open(callers(A));
    const before = source?.current;
    await writeFile(file, callers(A, B.replace('observer', 'obsever')));
    for (const _ of ['first', 'again']) await source?.reload();
    expect(source?.current).toBe(before);
    expect(lines).toEqual([
      {
        level: ERROR,
        msg: 'the policy file is invalid: the policy before it stays in force',
        file,
        errors: [
          `${file}: line 8: callers[1].roles[0]: there is no role obsever; did you mean observer?`,
        ],
      },
    ]);
  });

  test('is reported again with another error, and when it is valid again', async () => {
    await open(callers(A));
    await rm(file);
    for (const _ of ['first', 'again']) await source?.reload();
    await writeFile(file, 'version: 1');
    await source?.reload();
    await writeFile(file, callers(A));
    await source?.reload();
    await source?.reload();
    expect(lines.map(({ level, errors, msg }) => [level, errors ?? msg])).toEqual([
      [ERROR, [expect.stringMatching(/policy\.yaml: cannot be read: ENOENT/)]],
      [ERROR, [`${file}: line 1: callers: missing key`]],
      [INFO, 'the policy file is valid again'],
    ]);
    expect(mayReserve('cn:a')).toBe(true);
  });

  test.each([
    ['version: 1', 'line 1: callers: missing key'],
    ['{', 'is not YAML'],
  ])('%s: no service starts with it', async (text, reason) => {
    const opened = await open(text).catch((error: unknown) => error);
    expect(opened).toBeInstanceOf(InvalidPolicy);
    expect((opened as InvalidPolicy).lines[0]).toContain(reason);
  });

  test('no service starts without it', async () => {
    const opening = PolicySource.open({ file, log, intervalMs: NEVER_MS });
    await expect(opening).rejects.toThrow('cannot be read: ENOENT');
  });
});

test('the issuers are those of the file that is in force', async () => {
  const seen: (readonly string[])[] = [];
  await open(callers(A), {
    prepare: async ({ file: { issuers } }) => {
      seen.push(issuers.map(({ audience }) => audience));
    },
  });
  expect(source?.issuers.map(({ name }) => name)).toEqual(['cluster', 'staff']);
  await writeFile(file, callers(A).replaceAll('audience: scrip', 'audience: other'));
  await source?.reload();
  expect(seen).toEqual([['other', 'other']]);
});
