/** Profiles name services, with what is shown to them. */
import '../../src/telemetry/sdk.ts';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { readProfile } from '../../src/cli/profile.ts';
import { startTestService, type TestService } from '../service.ts';
import { capture } from './in-process.ts';

let scrip: TestService;
let home: string;
let file: string;

beforeAll(async () => {
  scrip = await startTestService();
  home = await mkdtemp(join(tmpdir(), 'scrip-profile-'));
  file = join(home, 'scrip/config.yaml');
  await mkdir(join(home, 'scrip'));
});
afterAll(async () => {
  await scrip.stop();
  await rm(home, { recursive: true });
});

const write = (text: string) => writeFile(file, text);

beforeEach(() =>
  write(`default: here
profiles:
  here: { address: "127.0.0.1:${scrip.service.port}", caller: anna }
  nowhere: { address: "127.0.0.1:1" }
  staging:
    address: billing.example:50051
    ca: staging/ca.pem
    cert: /etc/cert.pem
    key: /etc/key.pem
    token_file: token
`),
);

const environment = () => ({ XDG_CONFIG_HOME: home });

test('names the files beside it', () => {
  expect(readProfile('staging', environment())).toEqual({
    address: 'billing.example:50051',
    caller: undefined,
    environment: {
      SCRIP_CA_FILE: join(home, 'scrip/staging/ca.pem'),
      SCRIP_CERT_FILE: '/etc/cert.pem',
      SCRIP_KEY_FILE: '/etc/key.pem',
      SCRIP_TOKEN_FILE: join(home, 'scrip/token'),
    },
  });
});

test.each([
  ['profile: x', 'line 1: profile: unknown key'],
  ['profiles:\n  a: { adress: x }', 'line 2: profiles.a.adress: unknown key'],
  ['profiles: {}', 'there is no profile staging in '],
  ['profiles:\n  stagin: { address: x }', '; did you mean stagin?'],
  ['[', 'is not YAML'],
])('%j is refused, with the line', async (text, message) => {
  await write(text);
  expect(() => readProfile('staging', environment())).toThrow(message);
});

test('without a file there is no default, and none that is named', () => {
  const none = { XDG_CONFIG_HOME: join(home, 'none') };
  expect(readProfile(undefined, none)).toBe(null);
  expect(() => readProfile('staging', none)).toThrow(
    `there is no profile staging: ${join(home, 'none/scrip/config.yaml')} does not exist`,
  );
});

describe('which service is called', () => {
  const codeOf = async (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
    (await capture(['account', 'list', ...args], { ...environment(), ...env })).exitCode;
  /** It has no accounts. */
  const ANSWERS = 1;
  const NOBODY = 3;

  test.each<[readonly string[], Readonly<Record<string, string>>, number]>([
    [[], {}, ANSWERS],
    [['--profile', 'nowhere'], {}, NOBODY],
    [[], { SCRIP_PROFILE: 'nowhere' }, NOBODY],
    [['--profile', 'here'], { SCRIP_PROFILE: 'nowhere' }, ANSWERS],
    [['--profile', 'here'], { SCRIP_ADDRESS: '127.0.0.1:1' }, ANSWERS],
    [[], { SCRIP_ADDRESS: '127.0.0.1:1' }, NOBODY],
    [['--address', '127.0.0.1:1'], {}, NOBODY],
    [['--address', '127.0.0.1:1', '--profile', 'here'], {}, NOBODY],
  ])('%j with %o', async (args, env, code) => expect(await codeOf(args, env)).toBe(code));

  test('what the environment shows is not shown to the service of a profile', async () => {
    expect(await codeOf([], { SCRIP_TOKEN_FILE: '/nowhere/token' })).toBe(ANSWERS);
  });
});

test('the caller is that of the profile, unless one is named', async () => {
  const callerOf = async (accountId: string, ...args: readonly string[]) => {
    const open = ['account', 'open', accountId, '--plan', 'verts', ...args];
    expect(await capture(open, environment())).toMatchObject({ exitCode: 0 });
    for await (const { entries } of scrip.billing.streamHistory({ accountId }))
      return entries[0]?.caller;
  };
  expect(await callerOf('one')).toBe('anna');
  expect(await callerOf('two', '--caller', 'bert')).toBe('bert');
});
