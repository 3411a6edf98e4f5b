/** No secret comes out of a service that cannot start, or of a command that fails. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { environment } from '../../src/config.ts';
import { SECRETS } from '../../src/secret-files.ts';
import { createAuthority, signServer } from '../authentication/authority.ts';
import { SECRET } from '../events/receiver.ts';
import { SECRET_KEY, WEBHOOK_SECRET } from '../payments/stripe-fake.ts';
import { createDatabase, createEmptyDatabase, execute } from '../postgres.ts';
import { PASSWORD, PlantedSecrets, withPassword } from './planted.ts';
import { startProgram, startService } from './replica.ts';

type Environment = Readonly<Record<string, string>>;

const TOKEN = 'planted-token-of-a-caller';

let secrets: PlantedSecrets;
/** Its user has the planted password, and the role of the service. */
let databaseUrl: string;
let emptyUrl: string;
/** Every secret there is, all of them right. */
let good: Environment;
let closedPort: number;
let privateKey: string;
let otherKeyFile: string;
beforeAll(async () => {
  secrets = await PlantedSecrets.create();
  secrets.plant('the token of a caller', TOKEN);
  const ownersUrl = await createDatabase(inject('postgresUrl'));
  const user = 'planted_at_start';
  await execute(
    ownersUrl,
    `create role ${user} login password '${PASSWORD}' in role scrip_runtime`,
  );
  databaseUrl = withPassword(ownersUrl, user);
  emptyUrl = withPassword(await createEmptyDatabase(inject('postgresUrl')), user);
  const authority = await createAuthority();
  const [pair, other] = await Promise.all([signServer(authority), signServer(authority)]);
  privateKey = secrets.plantKey('the key of the certificate', pair.key).toString();
  secrets.plantKey('the key of another certificate', other.key);
  otherKeyFile = await secrets.file('other.key', other.key);
  good = {
    DATABASE_URL: databaseUrl,
    STRIPE_SECRET_KEY: SECRET_KEY,
    STRIPE_WEBHOOK_SECRET: WEBHOOK_SECRET,
    STRIPE_WEBHOOK_PORT: '0',
    EVENTS_WEBHOOK_URL: 'http://127.0.0.1:1/',
    EVENTS_WEBHOOK_SECRET: SECRET,
    TLS_CERT_FILE: await secrets.file('server.pem', pair.certificate),
    TLS_KEY_FILE: await secrets.file('server.key', pair.key),
    LOG_LEVEL: 'trace',
  };
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  closedPort = (probe.address() as AddressInfo).port;
  probe.close();
  await once(probe, 'close');
});
afterAll(() => secrets.remove());

/** Database URLs that do not work, though a password is in each. */
const brokenUrls = (): readonly (readonly [string, string, string])[] => {
  const changed = (change: Partial<URL>) => Object.assign(new URL(databaseUrl), change).href;
  const written = new URL(databaseUrl).password;
  return [
    ['whose password is wrong', changed({ password: `${written}x` }), 'password authentication'],
    ['at which nobody listens', changed({ port: String(closedPort) }), 'ECONNREFUSED'],
    ['of a host that is not there', changed({ hostname: 'db.invalid' }), 'db.invalid'],
    ['of a database that is not there', changed({ pathname: '/nowhere' }), 'nowhere'],
    ['whose password is not escaped', databaseUrl.replace(written, PASSWORD.replace(' ', '')), ''],
    ['of a server without TLS', `${changed({ hostname: 'localhost' })}?sslmode=verify-full`, 'SSL'],
    ['of an address that no certificate names', `${databaseUrl}?sslmode=verify-full`, 'IP address'],
    ['of a CA that is not there', `${databaseUrl}?sslrootcert=/nowhere.pem`, '/nowhere.pem'],
    ['of a database without tables', emptyUrl, ''],
  ];
};

/** Expects that it fails and says something, without a secret. */
async function expectFailure(program: ReturnType<typeof startProgram>, said: string) {
  const { code, stdout, stderr } = await program.ended;
  expect(code, stdout).toBeGreaterThan(0);
  expect(stderr).toContain(said);
  secrets.expectNoneIn('stderr', stderr);
  secrets.expectNoneIn('stdout', `stdout: ${stdout}`);
}

test('the search finds what was planted', async () => {
  const found = () => secrets.expectNoneIn('a text', `url: ${databaseUrl}`);
  expect(found).toThrow('the password as it is in the URL');
  expect(() => secrets.expectNoneIn('a text', privateKey)).toThrow('the key of the certificate');
});

describe('a service that cannot start', () => {
  test('shows none where every variable has a value that it refuses', async () => {
    const value = secrets.plant('a value', 'planted-value-of-a-variable ');
    const env = Object.fromEntries(Object.keys(environment.shape).map((name) => [name, value]));
    await expectFailure(startService(env), 'DATABASE_URL must be');
  });

  test('shows none where a secret was given in place of the file with it', async () => {
    const env = Object.fromEntries(SECRETS.map((name) => [`${name}_FILE`, good[name] ?? '']));
    await expectFailure(startService(env), 'STRIPE_SECRET_KEY_FILE cannot be read: ENOENT');
  });

  test.each(['TLS_KEY_FILE', 'ANCHOR_KEY_FILE'])(
    'shows none where %s is a key and not the path of one',
    async (name) => {
      await expectFailure(startService({ ...good, [name]: privateKey }), name);
    },
  );

  test('shows none where the key is not that of the certificate, or no key', async () => {
    const nonsense = await secrets.file('nonsense.key', privateKey.slice(0, 100));
    for (const TLS_KEY_FILE of [otherKeyFile, nonsense])
      await expectFailure(startService({ ...good, TLS_KEY_FILE }), TLS_KEY_FILE);
  });

  test('shows none where the key of anchors is of another kind', async () => {
    const env = { ...good, ANCHOR_DIRECTORY: '/nowhere', ANCHOR_KEY_FILE: otherKeyFile };
    await expectFailure(startService(env), '');
  });

  test('shows none where no plan is published', async () => {
    await expectFailure(startService(good), 'no plan is published');
  });

  test('shows none whatever is wrong with the URL of its database', async () => {
    for (const [, url, said] of brokenUrls())
      await expectFailure(startService({ ...good, DATABASE_URL: url }), said);
  });
});

describe('a command that fails', () => {
  const COMMANDS: readonly (readonly [string, readonly string[]])[] = [
    ['migrate', ['src/migrate.ts']],
    ['verify', ['src/verify/main.ts']],
    ['plans publish', ['src/cli/main.ts', 'plans', 'publish']],
    ['clock status', ['src/cli/main.ts', 'clock', 'status']],
    ['purchases mismatched', ['src/cli/main.ts', 'purchases', 'mismatched']],
  ];

  test.each(COMMANDS)('shows none, whatever is wrong with the URL: %s', async (name, args) => {
    for (const [what, url, said] of brokenUrls()) {
      const saidBy =
        name === 'migrate' && what === 'of a database without tables' ? 'denied' : said;
      await expectFailure(startProgram(args, { ...good, DATABASE_URL: url }), saidBy);
    }
  });

  const RESOLVE = [
    'src/cli/main.ts',
    'purchases',
    'resolve',
    'a',
    'b',
    '--accept',
    '--reason',
    'x',
  ];

  test.each<[string, () => Promise<Environment>, string]>([
    [
      'calls nobody',
      async () => ({ SCRIP_TOKEN_FILE: await secrets.file('token', `${TOKEN}\n`) }),
      'ECONNREFUSED',
    ],
    [
      'has a token of two lines',
      async () => ({ SCRIP_TOKEN_FILE: await secrets.file('token', `${TOKEN}\n${TOKEN}`) }),
      'the token is not one word',
    ],
    [
      'has the token in place of the file',
      async () => ({ SCRIP_TOKEN_FILE: TOKEN }),
      'SCRIP_TOKEN_FILE cannot be read: ENOENT',
    ],
    [
      'has a key in place of the file',
      async () => ({
        SCRIP_CA_FILE: good['TLS_CERT_FILE'] ?? '',
        SCRIP_CERT_FILE: good['TLS_CERT_FILE'] ?? '',
        SCRIP_KEY_FILE: privateKey,
      }),
      'SCRIP_KEY_FILE cannot be read',
    ],
  ])('shows none where it %s', async (_, env, said) => {
    const SCRIP_ADDRESS = `127.0.0.1:${closedPort}`;
    await expectFailure(startProgram(RESOLVE, { ...good, SCRIP_ADDRESS, ...(await env()) }), said);
  });
});
