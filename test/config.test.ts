/** The environment variables: defaults, limits, and the problems that are reported. */
import { describe, expect, test } from 'vitest';
import { type Config, environment, readConfig } from '../src/config.ts';
import { snippet } from './docs/snippets.ts';

function configOf(env: Readonly<Record<string, string | undefined>>): Config {
  const read = readConfig(env);
  if ('problems' in read) throw new Error(read.problems.join('; '));
  return read.config;
}

function problemsOf(env: Readonly<Record<string, string>>): readonly string[] {
  const read = readConfig(env);
  return 'problems' in read ? read.problems : [];
}

const root = new URL('..', import.meta.url).pathname;

const SECRET_PROBLEM = 'must be whsec_ and 24 to 64 bytes in base64, or several of them';

describe('the configuration', () => {
  test('of an empty environment is the defaults', () => {
    expect(configOf({})).toEqual({
      HOST: '127.0.0.1',
      PORT: 50_051,
      TLS_CLIENT_CERTIFICATE: 'required',
      TLS_MIN_VERSION: 'TLSv1.3',
      TLS_RELOAD_INTERVAL_MS: 10_000,
      POLICY_RELOAD_INTERVAL_MS: 10_000,
      INSECURE: false,
      DATA_DIRECTORY: `${root}.data`,
      PLANS_DIRECTORY: `${root}deploy/plans`,
      DATABASE_POOL_MAX: 10,
      DATABASE_TIMEOUT_MS: 35_000,
      DATABASE_PROBE_INTERVAL_MS: 2_000,
      LANES: 1,
      UNITS_MAX: 2,
      ACCOUNT_CACHE_MAX: 20_000,
      GROUP_MAX: 128,
      QUEUE_MAX: 10_000,
      WAIT_MAX_MS: 500,
      STREAMS_MAX: 2_000,
      STREAMS_PER_CALLER_MAX: 500,
      STREAM_STALL_MS: 120_000,
      STREAM_BUFFERED_BYTES_MAX: 32_000_000,
      CLOCK_SAMPLE_INTERVAL_MS: 1_000,
      CLOCK_SKEW_MAX_MS: 2_000,
      CLOCK_SETTLE_MS: 600_000,
      REFUSALS_INTERVAL_MS: 1_000,
      SWEEP_INTERVAL_MS: 5_000,
      SWEEP_ACCOUNTS_MAX: 200,
      USAGE_INTERVAL_MS: 10_000,
      HISTORY_POLL_MS: 250,
      EVENTS_POLL_MS: 250,
      EVENTS_SOURCE: 'urn:scrip',
      EVENTS_WEBHOOK_TIMEOUT_MS: 10_000,
      EVENTS_WEBHOOK_CONCURRENCY: 8,
      EVENTS_WEBHOOK_ATTEMPTS_MAX: 15,
      EVENTS_WEBHOOK_BACKOFF_MS: 5_000,
      SHUTDOWN_GRACE_MS: 10_000,
      CONNECTION_AGE_MAX_MS: 0,
      ANCHOR_INTERVAL_MS: 86_400_000,
      STRIPE_TIMEOUT_MS: 10_000,
      SANDBOX_PAYMENTS_PORT: 12_111,
      STRIPE_WEBHOOK_HOST: '127.0.0.1',
      STRIPE_WEBHOOK_PORT: 8_080,
      STRIPE_WEBHOOK_TOLERANCE_S: 300,
      PURCHASE_CHECK_AFTER_MS: 600_000,
      PURCHASE_CHECK_INTERVAL_MS: 30_000,
      PURCHASE_CHECK_MAX: 50,
      TOP_UP_INTERVAL_MS: 5_000,
      TOP_UP_MAX: 50,
      ADMIN_HOST: '127.0.0.1',
      ADMIN_PORT: 9_464,
      LEDGER_GAUGES_INTERVAL_MS: 15_000,
      CONSOLE: true,
      REFLECTION: true,
      LOG_LEVEL: 'info',
    });
  });

  test('treats an empty variable as unset', () => {
    const empty = { PORT: '', DATABASE_URL: '', LOG_LEVEL: '', HOST: '', REFLECTION: '' };
    expect(configOf(empty)).toEqual(configOf({}));
  });

  test('ignores other variables', () => {
    expect(configOf({ PATH: '/bin', PORTS: 'x' })).toEqual(configOf({}));
  });

  test('is frozen', () => {
    expect(Object.isFrozen(configOf({}))).toBe(true);
  });

  test.each<[string, string, unknown]>([
    ['HOST', '127.0.0.2', '127.0.0.2'],
    ['HOST', 'localhost', 'localhost'],
    ['HOST', '::1', '::1'],
    ['TLS_MIN_VERSION', 'TLSv1.2', 'TLSv1.2'],
    ['TLS_CLIENT_CERTIFICATE', 'optional', 'optional'],
    ['POLICY_FILE', '/etc/scrip/policy.yaml', '/etc/scrip/policy.yaml'],
    ['INSECURE', 'true', true],
    ['PORT', '0', 0],
    ['PORT', '65535', 65_535],
    ['DATABASE_URL', 'postgres://me@db:5432/scrip', 'postgres://me@db:5432/scrip'],
    ['DATABASE_URL', 'postgresql://db/scrip', 'postgresql://db/scrip'],
    ['DATA_DIRECTORY', '/var/lib/scrip', '/var/lib/scrip'],
    ['PLANS_DIRECTORY', '/etc/scrip', '/etc/scrip'],
    ['DATABASE_POOL_MAX', '2', 2],
    ['LANES', '64', 64],
    ['ACCOUNT_CACHE_MAX', '0', 0],
    ['ACCOUNT_CACHE_MAX', '1000000', 1_000_000],
    ['UNITS_MAX', '1', 1],
    ['UNITS_MAX', '64', 64],
    ['GROUP_MAX', '1', 1],
    ['QUEUE_MAX', '1000000', 1_000_000],
    ['REFLECTION', 'false', false],
    ['CLOCK_SAMPLE_INTERVAL_MS', '10', 10],
    ['CLOCK_SKEW_MAX_MS', '60000', 60_000],
    ['CLOCK_SETTLE_MS', '0', 0],
    ['SWEEP_INTERVAL_MS', '10', 10],
    ['SWEEP_ACCOUNTS_MAX', '10000', 10_000],
    ['HISTORY_POLL_MS', '1000', 1_000],
    ['SHUTDOWN_GRACE_MS', '0', 0],
    ['STRIPE_SECRET_KEY', 'sk_test_1', 'sk_test_1'],
    ['STRIPE_API_BASE', 'http://127.0.0.1:12111', 'http://127.0.0.1:12111'],
    ['STRIPE_TIMEOUT_MS', '100', 100],
    ['STRIPE_WEBHOOK_HOST', '0.0.0.0', '0.0.0.0'],
    ['STRIPE_WEBHOOK_PORT', '0', 0],
    ['STRIPE_WEBHOOK_TOLERANCE_S', '1', 1],
    ['PURCHASE_CHECK_AFTER_MS', '0', 0],
    ['PURCHASE_CHECK_INTERVAL_MS', '10', 10],
    ['PURCHASE_CHECK_MAX', '1000', 1_000],
    ['TOP_UP_INTERVAL_MS', '10', 10],
    ['TOP_UP_MAX', '1000', 1_000],
    ['ADMIN_HOST', '0.0.0.0', '0.0.0.0'],
    ['ADMIN_PORT', '0', 0],
    ['ADMIN_PORT', 'none', null],
    ['LEDGER_GAUGES_INTERVAL_MS', '10', 10],
    ['LOG_LEVEL', 'silent', 'silent'],
  ])('accepts %s=%s', (name, text, value) => {
    expect(configOf({ [name]: text })).toEqual({ ...configOf({}), [name]: value });
  });

  test.each([
    ['PORT', '65536', 'must be a whole number, 0 to 65535'],
    ['PORT', '-1', 'must be a whole number, 0 to 65535'],
    ['PORT', '80.5', 'must be a whole number, 0 to 65535'],
    ['PORT', '1e3', 'must be a whole number, 0 to 65535'],
    ['PORT', '0x50', 'must be a whole number, 0 to 65535'],
    ['PORT', ' 80', 'must be a whole number, 0 to 65535'],
    ['PORT', 'grpc', 'must be a whole number, 0 to 65535'],
    ['TLS_MIN_VERSION', 'TLSv1.1', 'must be TLSv1.2 or TLSv1.3'],
    ['TLS_CLIENT_CERTIFICATE', 'none', 'must be required or optional'],
    ['TLS_RELOAD_INTERVAL_MS', '9', 'must be a whole number, 10 to 86400000'],
    ['INSECURE', '1', 'must be true or false'],
    ['DATABASE_URL', 'db:5432', 'must be a postgres:// URL'],
    ['DATABASE_URL', 'mysql://db/scrip', 'must be a postgres:// URL'],
    ['DATABASE_URL', 'postgres://', 'must be a postgres:// URL'],
    ['DATABASE_POOL_MAX', '1', 'must be a whole number, 2 to 200'],
    ['DATABASE_POOL_MAX', '201', 'must be a whole number, 2 to 200'],
    ['LANES', '0', 'must be a whole number, 1 to 64'],
    ['ACCOUNT_CACHE_MAX', '-1', 'must be a whole number, 0 to 1000000'],
    ['UNITS_MAX', '0', 'must be a whole number, 1 to 64'],
    ['UNITS_MAX', '65', 'must be a whole number, 1 to 64'],
    ['LANES', '65', 'must be a whole number, 1 to 64'],
    ['GROUP_MAX', '0', 'must be a whole number, 1 to 10000'],
    ['QUEUE_MAX', '0', 'must be a whole number, 1 to 1000000'],
    ['REFLECTION', 'yes', 'must be true or false'],
    ['REFLECTION', 'TRUE', 'must be true or false'],
    ['CLOCK_SAMPLE_INTERVAL_MS', '9', 'must be a whole number, 10 to 3600000'],
    ['CLOCK_SKEW_MAX_MS', '9', 'must be a whole number, 10 to 60000'],
    ['CLOCK_SETTLE_MS', '86400001', 'must be a whole number, 0 to 86400000'],
    ['SWEEP_INTERVAL_MS', '9', 'must be a whole number, 10 to 3600000'],
    ['SWEEP_ACCOUNTS_MAX', '0', 'must be a whole number, 1 to 10000'],
    ['HISTORY_POLL_MS', '1001', 'must be a whole number, 10 to 1000'],
    ['EVENTS_POLL_MS', '9', 'must be a whole number, 10 to 1000'],
    ['EVENTS_WEBHOOK_SECRET', 'short', SECRET_PROBLEM],
    ['EVENTS_WEBHOOK_SECRET', `whsec_${'x'.repeat(31)}`, SECRET_PROBLEM],
    ['EVENTS_WEBHOOK_SECRET', `whsec_${'x'.repeat(88)}`, SECRET_PROBLEM],
    ['EVENTS_WEBHOOK_SECRET', `whsec_${'x'.repeat(32)} 7`, SECRET_PROBLEM],
    ['EVENTS_WEBHOOK_SECRET', `whsec_${'*'.repeat(32)}`, SECRET_PROBLEM],
    ['EVENTS_SOURCE', 'two words', 'must be a URI reference of 1 to 256 characters'],
    ['EVENTS_WEBHOOK_TIMEOUT_MS', '99', 'must be a whole number, 100 to 60000'],
    ['EVENTS_WEBHOOK_CONCURRENCY', '0', 'must be a whole number, 1 to 256'],
    ['EVENTS_WEBHOOK_ATTEMPTS_MAX', '0', 'must be a whole number, 1 to 100'],
    ['EVENTS_WEBHOOK_BACKOFF_MS', '9', 'must be a whole number, 10 to 3600000'],
    ['SHUTDOWN_GRACE_MS', '600001', 'must be a whole number, 0 to 600000'],
    ['STRIPE_SECRET_KEY', 'two words', 'must be one word'],
    ['STRIPE_API_BASE', 'stripe:80', 'must be an http or https URL without a path'],
    ['STRIPE_API_BASE', 'https://api/v1', 'must be an http or https URL without a path'],
    ['STRIPE_TIMEOUT_MS', '99', 'must be a whole number, 100 to 60000'],
    ['STRIPE_WEBHOOK_PORT', '65536', 'must be a whole number, 0 to 65535'],
    ['STRIPE_WEBHOOK_TOLERANCE_S', '0', 'must be a whole number, 1 to 86400'],
    ['PURCHASE_CHECK_AFTER_MS', '-1', 'must be a whole number, 0 to 86400000'],
    ['PURCHASE_CHECK_INTERVAL_MS', '9', 'must be a whole number, 10 to 3600000'],
    ['PURCHASE_CHECK_MAX', '0', 'must be a whole number, 1 to 1000'],
    ['TOP_UP_INTERVAL_MS', '9', 'must be a whole number, 10 to 3600000'],
    ['TOP_UP_MAX', '0', 'must be a whole number, 1 to 1000'],
    ['ADMIN_PORT', '65536', 'must be a whole number, 0 to 65535, or none'],
    ['ADMIN_PORT', 'off', 'must be a whole number, 0 to 65535, or none'],
    ['LEDGER_GAUGES_INTERVAL_MS', '9', 'must be a whole number, 10 to 3600000'],
    ['LOG_LEVEL', 'loud', 'must be fatal, error, warn, info, debug, trace or silent'],
  ])('refuses %s=%s', (name, text, problem) => {
    expect(problemsOf({ [name]: text })).toEqual([`${name} ${problem}`]);
  });

  const NO_TLS =
    'TLS_CERT_FILE is required, because HOST is no loopback address; INSECURE=true does without TLS';
  const NO_POLICY = 'POLICY_FILE is required, because HOST is no loopback address';

  test.each(['0.0.0.0', '::', '10.0.0.7', 'billing.internal', '128.0.0.1', '127.0.0.1.example'])(
    'refuses to listen on %s without TLS or a policy',
    (HOST) => {
      const tls = { TLS_CERT_FILE: 'cert.pem', TLS_KEY_FILE: 'key.pem' };
      const policy = { POLICY_FILE: 'policy.yaml' };
      expect(problemsOf({ HOST })).toEqual([NO_TLS, NO_POLICY]);
      expect(problemsOf({ HOST, ...policy })).toEqual([NO_TLS]);
      expect(problemsOf({ HOST, ...tls })).toEqual([NO_POLICY]);
      expect(problemsOf({ HOST, INSECURE: 'true' })).toEqual([NO_POLICY]);
      expect(configOf({ HOST, ...tls, ...policy })).toMatchObject({ HOST });
      expect(configOf({ HOST, INSECURE: 'true', ...policy })).toMatchObject({ HOST });
    },
  );

  test('requires the files of TLS together', () => {
    expect(problemsOf({ TLS_CERT_FILE: 'cert.pem' })).toEqual([
      'TLS_KEY_FILE is required with TLS_CERT_FILE',
    ]);
    expect(problemsOf({ TLS_KEY_FILE: 'key.pem' })).toEqual([
      'TLS_CERT_FILE is required with TLS_KEY_FILE',
    ]);
    expect(problemsOf({ TLS_CLIENT_CA_FILE: 'ca.pem' })).toEqual([
      'TLS_CLIENT_CA_FILE needs TLS_CERT_FILE beside it',
    ]);
  });

  test.each([
    'postgres://10.0.0.7/scrip?sslmode=verify-full',
    'postgres://me:pass@[fd00::7]:5432/scrip?sslmode=require',
    'postgres://10.0.0.7/scrip?sslmode=verify-full&uselibpqcompat=true',
    'postgres://10.0.0.7/scrip?ssl=true',
    'postgres://db/scrip?host=10.0.0.7&sslmode=verify-full',
  ])('refuses to verify the certificate of an address: %s', (DATABASE_URL) => {
    expect(problemsOf({ DATABASE_URL })).toEqual([
      'DATABASE_URL must name the host: no certificate is compared with an IP address',
    ]);
  });

  test.each([
    'postgres://10.0.0.7/scrip',
    'postgres://10.0.0.7/scrip?sslmode=disable',
    'postgres://10.0.0.7/scrip?sslmode=no-verify',
    'postgres://10.0.0.7/scrip?sslmode=require&uselibpqcompat=true',
    'postgres://db.example.org/scrip?sslmode=verify-full&sslrootcert=/etc/scrip/ca.pem',
    ...snippet('docs/operations.md', 'DATABASE_URL=').split("'").slice(1, 2),
  ])('takes %s', (DATABASE_URL) => {
    expect(configOf({ DATABASE_URL })).toMatchObject({ DATABASE_URL });
  });

  test.each(['TLS_CERT_FILE', 'TLS_KEY_FILE', 'TLS_CLIENT_CA_FILE', 'ANCHOR_KEY_FILE'])(
    'refuses the content of a file as %s',
    (name) => {
      const pem = '-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----\n';
      expect(problemsOf({ [name]: pem })).toContain(
        `${name} must be the path of a file, not its content`,
      );
    },
  );

  test.each(Object.keys(environment.shape))('repeats no value of %s in its problems', (name) => {
    const value = 'planted value';
    expect(problemsOf({ [name]: value }).join()).not.toContain(value);
  });

  test('requires the API key for webhooks', () => {
    const STRIPE_WEBHOOK_SECRET = 'whsec_1';
    expect(problemsOf({ STRIPE_WEBHOOK_SECRET })).toEqual([
      'STRIPE_WEBHOOK_SECRET needs STRIPE_SECRET_KEY beside it',
    ]);
    const both = { STRIPE_WEBHOOK_SECRET, STRIPE_SECRET_KEY: 'sk_test_1' };
    expect(configOf(both)).toMatchObject(both);
  });

  test.each(['whsec_1,', ',whsec_1', ',', 'whsec_1,,whsec_2', 'whsec_1, whsec_2'])(
    'refuses the secrets "%s" of webhooks',
    (STRIPE_WEBHOOK_SECRET) => {
      expect(problemsOf({ STRIPE_WEBHOOK_SECRET, STRIPE_SECRET_KEY: 'sk_test_1' })).toEqual([
        'STRIPE_WEBHOOK_SECRET must be one word, or several separated by commas',
      ]);
    },
  );

  test.each([
    ['ftp://example.com', 'must be an http:// or https:// URL'],
    ['example.com/hooks', 'must be an http:// or https:// URL'],
    ['https://user:secret@example.com', 'must not name a user'],
  ])('refuses to deliver events to %s', (url, problem) => {
    const env = { EVENTS_WEBHOOK_URL: url, EVENTS_WEBHOOK_SECRET: 'x'.repeat(32) };
    expect(problemsOf(env)).toEqual([`EVENTS_WEBHOOK_URL ${problem}`]);
  });

  test('requires a signing secret for deliveries, and accepts several', () => {
    const EVENTS_WEBHOOK_URL = 'https://example.com/hooks?of=scrip';
    expect(problemsOf({ EVENTS_WEBHOOK_URL })).toEqual([
      'EVENTS_WEBHOOK_SECRET is required with EVENTS_WEBHOOK_URL',
    ]);
    const two = [`whsec_${'a'.repeat(32)}`, 'b'.repeat(86)];
    expect(configOf({ EVENTS_WEBHOOK_URL, EVENTS_WEBHOOK_SECRET: two.join(' ') })).toMatchObject({
      EVENTS_WEBHOOK_URL,
      EVENTS_WEBHOOK_SECRET: two,
    });
  });

  test('reports every problem at once', () => {
    expect(problemsOf({ PORT: 'x', LANES: '0', REFLECTION: 'maybe', HOST: 'here' })).toEqual([
      'PORT must be a whole number, 0 to 65535',
      'LANES must be a whole number, 1 to 64',
      'REFLECTION must be true or false',
    ]);
  });
});
