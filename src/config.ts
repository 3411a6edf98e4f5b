/**
 * The service's configuration: environment variables, checked once at start. A name ends in its unit
 * (`_MS`, `_S`); `_MAX` is an upper limit. docs/configuration.md lists them, and a test compares.
 */
import { join } from 'node:path';
import { z } from 'zod';
import { verifiesAddress } from './database-host.ts';
import { isLoopback } from './loopback.ts';
import { readSecretFiles } from './secret-files.ts';

/** The folder of package.json, above `src/` and `dist/`. */
const root = join(import.meta.dirname, '..');

const integer = (min: number, max: number, fallback: number) =>
  z
    .string()
    .default(String(fallback))
    .transform((text, context) => {
      const value = Number(text);
      if (/^\d+$/.test(text) && value >= min && value <= max) return value;
      context.addIssue({ code: 'custom', message: `must be a whole number, ${min} to ${max}` });
      return z.NEVER;
    });

/** A port, or null for none: an empty variable counts as unset. */
const portOrNone = (fallback: number) =>
  z
    .string()
    .default(String(fallback))
    .transform((text, context) => {
      if (text === 'none') return null;
      const value = Number(text);
      if (/^\d+$/.test(text) && value <= 65_535) return value;
      context.addIssue({ code: 'custom', message: 'must be a whole number, 0 to 65535, or none' });
      return z.NEVER;
    });

const flag = (fallback: boolean) =>
  z
    .enum(['true', 'false'], { error: 'must be true or false' })
    .default(fallback ? 'true' : 'false')
    .transform((text) => text === 'true');

/** Origins as browsers send them, separated by commas. */
const origins = z.string().transform((text, context) => {
  const all = text.split(',').map((origin) => origin.trim());
  const isOrigin = (origin: string) =>
    /^https?:/.test(origin) && URL.canParse(origin) && new URL(origin).origin === origin;
  if (all.every(isOrigin)) return all;
  context.addIssue({
    code: 'custom',
    message: 'must be origins such as https://scrip.example.org, separated by commas',
  });
  return z.NEVER;
});

/** A signing secret after Standard Webhooks; the prefix may be left out. */
const SECRET = /^(whsec_)?(?<base64>[A-Za-z0-9+/]+={0,2})$/;

const secrets = z.string().transform((text, context) => {
  const all = text.trim().split(/ +/);
  const sizes = all.map(
    (secret) => Buffer.from(SECRET.exec(secret)?.groups?.['base64'] ?? '', 'base64').length,
  );
  if (sizes.every((bytes) => bytes >= 24 && bytes <= 64)) return all;
  context.addIssue({
    code: 'custom',
    message: 'must be whsec_ and 24 to 64 bytes in base64, or several of them',
  });
  return z.NEVER;
});

/** Where the content was given instead, what reads the file would show it in its error. */
const pemFile = z
  .string()
  .min(1)
  .refine((path) => !path.includes('-----BEGIN'), 'must be the path of a file, not its content')
  .optional();

export const environment = z.object({
  /** Address to listen on. Others than those of loopback need TLS_CERT_FILE and POLICY_FILE. */
  HOST: z.string().min(1).default('127.0.0.1'),
  /** Port to listen on; 0 chooses a free one. */
  PORT: integer(0, 65_535, 50_051),
  /** PEM file of the certificate of the gRPC port, with those between it and its root. Unset: no TLS. */
  TLS_CERT_FILE: pemFile,
  /** PEM file of the certificate's private key. Required with TLS_CERT_FILE. */
  TLS_KEY_FILE: pemFile,
  /** PEM file of the CAs that sign the certificates of clients. Unset: clients are not asked for any. */
  TLS_CLIENT_CA_FILE: pemFile,
  /** Whether a connection without a valid client certificate is refused, or served if calls have a token. */
  TLS_CLIENT_CERTIFICATE: z
    .enum(['required', 'optional'], { error: 'must be required or optional' })
    .default('required'),
  /** Oldest version of TLS that is spoken. */
  TLS_MIN_VERSION: z
    .enum(['TLSv1.2', 'TLSv1.3'], { error: 'must be TLSv1.2 or TLSv1.3' })
    .default('TLSv1.3'),
  /** Interval at which these files, and files of token keys, are read again. */
  TLS_RELOAD_INTERVAL_MS: integer(10, 86_400_000, 10_000),
  /** Allows to listen without TLS on any address: where TLS ends in front of the service. */
  INSECURE: flag(false),
  /** The policy: who may call what. Unset: everything is allowed, on loopback only. */
  POLICY_FILE: z.string().min(1).optional(),
  /** Interval at which it is read again. */
  POLICY_RELOAD_INTERVAL_MS: integer(10, 86_400_000, 10_000),
  /** The PostgreSQL database. Unset: the embedded PostgreSQL in DATA_DIRECTORY. */
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\/\S+$/, 'must be a postgres:// URL')
    .refine(
      (url) => !verifiesAddress(url),
      'must name the host: no certificate is compared with an IP address',
    )
    .optional(),
  /** YAML file of the cells, instead of DATABASE_URL: docs/cells.md. Unset: there is one. */
  CELLS_FILE: z.string().min(1).optional(),
  /** Directory of the embedded PostgreSQL. */
  DATA_DIRECTORY: z.string().min(1).default(join(root, '.data')),
  /** Directory of the plan files. A start publishes them to the embedded database, and to no other. */
  PLANS_DIRECTORY: z.string().min(1).default(join(root, 'deploy/plans')),
  /** Database connections per replica. */
  DATABASE_POOL_MAX: integer(2, 200, 10),
  /** A connection that has not answered an SQL statement for this long is closed as lost. */
  DATABASE_TIMEOUT_MS: integer(100, 600_000, 35_000),
  /** Interval at which a replica asks the database whether it answers. After three failures it is not ready. */
  DATABASE_PROBE_INTERVAL_MS: integer(10, 3_600_000, 2_000),
  /**
   * Lanes; an account's hash chooses its lane. More lanes divide the queue into smaller units of work,
   * and each unit of work has a fixed cost.
   */
  LANES: integer(1, 64, 1),
  /**
   * Concurrent units of work of a lane, on different accounts. With two, the service decides one while
   * PostgreSQL writes the other.
   */
  UNITS_MAX: integer(1, 64, 2),
  /**
   * Accounts in the account cache, about 1.6 KB each; 0 turns the cache off. A unit of work has to read
   * when one of its accounts is not cached, so a cache smaller than the set of busy accounts saves little.
   */
  ACCOUNT_CACHE_MAX: integer(0, 1_000_000, 20_000),
  /** Requests in one unit of work. The account cache serves units of up to 128 accounts. */
  GROUP_MAX: integer(1, 10_000, 128),
  /** Mutations and reads that wait or are served at the same time; more are refused with OVERLOADED. */
  QUEUE_MAX: integer(1, 1_000_000, 10_000),
  /**
   * How long a call may wait. While calls wait for half of it, others are refused with OVERLOADED, those of the
   * callers and accounts with the most calls first.
   */
  WAIT_MAX_MS: integer(10, 3_600_000, 500),
  /** Open streams of a replica, and of one caller; more are refused with OVERLOADED. */
  STREAMS_MAX: integer(1, 100_000, 2_000),
  STREAMS_PER_CALLER_MAX: integer(1, 100_000, 500),
  /** How long the reader of a stream may leave a message unread before the stream is ended. */
  STREAM_STALL_MS: integer(10, 86_400_000, 120_000),
  /** Bytes that wait for the readers of all streams. Beyond, the streams whose readers are slowest are ended. */
  STREAM_BUFFERED_BYTES_MAX: integer(1_000_000, 1_000_000_000, 32_000_000),
  /** Interval at which a replica compares its clocks with the database's. */
  CLOCK_SAMPLE_INTERVAL_MS: integer(10, 3_600_000, 1_000),
  /**
   * The largest difference between the clocks of the database and the host, and the trusted time, with
   * which they agree. A larger one stops what cannot be undone.
   */
  CLOCK_SKEW_MAX_MS: integer(10, 60_000, 2_000),
  /** How long clocks that have disagreed must agree before what cannot be undone goes on. */
  CLOCK_SETTLE_MS: integer(0, 86_400_000, 600_000),
  /** Interval at which the sweeper settles due accounts and closes statements. */
  SWEEP_INTERVAL_MS: integer(10, 3_600_000, 5_000),
  /** Accounts that the sweeper settles in one batch. */
  SWEEP_ACCOUNTS_MAX: integer(1, 10_000, 200),
  /** Interval at which a replica writes the events of refusals that it has collected. */
  REFUSALS_INTERVAL_MS: integer(10, 3_600_000, 1_000),
  /** Interval at which a replica counts what was charged into the rollups of usage reports. */
  USAGE_INTERVAL_MS: integer(10, 3_600_000, 10_000),
  /** Interval at which followers of a history look for entries that other replicas wrote. */
  HISTORY_POLL_MS: integer(10, 1_000, 250),
  /** Interval at which a replica looks for events that other replicas wrote, and for due deliveries. */
  EVENTS_POLL_MS: integer(10, 1_000, 250),
  /** URL to which events are delivered by HTTP POST. Unset: events are not delivered. */
  EVENTS_WEBHOOK_URL: z
    .url({ protocol: /^https?$/, error: 'must be an http:// or https:// URL' })
    .refine((url) => !URL.canParse(url) || new URL(url).username === '', 'must not name a user')
    .optional(),
  /**
   * Signing secret of deliveries: `whsec_` and 24 to 64 bytes in base64. While it is rotated, several,
   * separated by spaces: each of them signs. Required with EVENTS_WEBHOOK_URL.
   */
  EVENTS_WEBHOOK_SECRET: secrets.optional(),
  /** `source` of the CloudEvents: tells receivers which installation sent them. */
  EVENTS_SOURCE: z
    .string()
    .regex(/^[\x21-\x7e]{1,256}$/, 'must be a URI reference of 1 to 256 characters')
    .default('urn:scrip'),
  /** Timeout of one delivery. */
  EVENTS_WEBHOOK_TIMEOUT_MS: integer(100, 60_000, 10_000),
  /** Concurrent deliveries of a replica. */
  EVENTS_WEBHOOK_CONCURRENCY: integer(1, 256, 8),
  /** Failed attempts after which a delivery is DEAD. With the default backoff that takes most of a day. */
  EVENTS_WEBHOOK_ATTEMPTS_MAX: integer(1, 100, 15),
  /** Delay before the second attempt. It doubles with each further attempt, up to 12 hours. */
  EVENTS_WEBHOOK_BACKOFF_MS: integer(10, 3_600_000, 5_000),
  /**
   * Directory of the archive: `scrip archive` writes files there, and replicas and audits read archived entries from them.
   * Unset: entries that are archived cannot be read.
   */
  ARCHIVE_DIRECTORY: z.string().min(1).optional(),
  /** Directory for anchors, which this replica then writes: see docs/backup.md. Unset: it writes none. */
  ANCHOR_DIRECTORY: z.string().min(1).optional(),
  /** PEM file of the Ed25519 key that signs them. Required with ANCHOR_DIRECTORY. */
  ANCHOR_KEY_FILE: pemFile,
  /** Interval at which anchors are written. */
  ANCHOR_INTERVAL_MS: integer(1_000, 604_800_000, 86_400_000),
  /** How long a stopping replica waits for the calls it accepted before it closes their connections. */
  SHUTDOWN_GRACE_MS: integer(0, 600_000, 10_000),
  /**
   * Age at which a connection takes no more calls, so that its client connects anew, and finds replicas that were
   * added. 0: none.
   */
  CONNECTION_AGE_MAX_MS: integer(0, 86_400_000, 0),
  /** Secret or restricted API key of the Stripe account. Unset: no checkout. */
  STRIPE_SECRET_KEY: z
    .string()
    .regex(/^[\x21-\x7e]+$/, 'must be one word')
    .optional(),
  /** Base URL of Stripe's API, for tests and proxies. Unset: Stripe's own. */
  STRIPE_API_BASE: z
    .string()
    .regex(/^https?:\/\/[^/\s]+\/?$/, 'must be an http or https URL without a path')
    .optional(),
  /** Timeout of a call of Stripe's API. A call is tried twice. */
  STRIPE_TIMEOUT_MS: integer(100, 60_000, 10_000),
  /**
   * Signing secret of the webhook endpoint; several, separated by commas, while it is rotated. Unset: no webhooks.
   * None may be empty: everybody knows that one.
   */
  STRIPE_WEBHOOK_SECRET: z
    .string()
    .regex(/^[^\s,]+(,[^\s,]+)*$/, 'must be one word, or several separated by commas')
    .optional(),
  /** Address for Stripe's webhooks: other machines reach them only if it is set. */
  STRIPE_WEBHOOK_HOST: z.string().min(1).default('127.0.0.1'),
  /** Port for Stripe's webhooks; 0 chooses a free one. */
  STRIPE_WEBHOOK_PORT: integer(0, 65_535, 8_080),
  /** Maximum age of a webhook's signature. */
  STRIPE_WEBHOOK_TOLERANCE_S: integer(1, 86_400, 300),
  /** Port of a sandbox for its test payment provider: its checkout page. 0 chooses a free one. */
  SANDBOX_PAYMENTS_PORT: integer(0, 65_535, 12_111),
  /** Age at which the reconciler begins to ask Stripe about a pending purchase. */
  PURCHASE_CHECK_AFTER_MS: integer(0, 86_400_000, 600_000),
  /** Interval at which the reconciler looks for pending purchases that are due. */
  PURCHASE_CHECK_INTERVAL_MS: integer(10, 3_600_000, 30_000),
  /** Pending purchases that the reconciler checks in one batch. */
  PURCHASE_CHECK_MAX: integer(1, 1_000, 50),
  /** Interval at which a replica looks for accounts whose top-up is due. */
  TOP_UP_INTERVAL_MS: integer(10, 3_600_000, 5_000),
  /** Accounts that are topped up in one batch. */
  TOP_UP_MAX: integer(1, 1_000, 50),
  /** Address for metrics and probes over HTTP: other machines reach them only if it is set. */
  ADMIN_HOST: z.string().min(1).default('127.0.0.1'),
  /** Port for them; 0 chooses a free one. "none": there is none, and metrics go by OTLP only. */
  ADMIN_PORT: portOrNone(9_464),
  /** Interval at which a replica asks the database for the metrics that only it knows. */
  LEDGER_GAUGES_INTERVAL_MS: integer(10, 3_600_000, 15_000),
  /** Whether the admin port has the web console. */
  CONSOLE: flag(true),
  /** Origins at which a proxy offers the web console. Unset: none does. */
  CONSOLE_ORIGINS: origins.optional(),
  /** Where a trace can be seen: a URL with {trace_id} and, if wanted, {span_id}. Unset: traces have no links. */
  TRACE_URL_TEMPLATE: z
    .string()
    .regex(/^https?:\/\/\S*\{trace_id\}\S*$/, 'must be an http or https URL with {trace_id} in it')
    .optional(),
  /** Whether the server offers gRPC reflection. */
  REFLECTION: flag(true),
  /** Least severe level that is logged; `debug` logs a line per call. */
  LOG_LEVEL: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], {
      error: 'must be fatal, error, warn, info, debug, trace or silent',
    })
    .default('info'),
});

const complete = environment
  .refine((config) => !config.TLS_CERT_FILE || config.TLS_KEY_FILE, {
    path: ['TLS_KEY_FILE'],
    error: 'is required with TLS_CERT_FILE',
  })
  .refine((config) => !config.TLS_KEY_FILE || config.TLS_CERT_FILE, {
    path: ['TLS_CERT_FILE'],
    error: 'is required with TLS_KEY_FILE',
  })
  .refine((config) => !config.TLS_CLIENT_CA_FILE || config.TLS_CERT_FILE, {
    path: ['TLS_CLIENT_CA_FILE'],
    error: 'needs TLS_CERT_FILE beside it',
  })
  .refine((config) => isLoopback(config.HOST) || config.TLS_CERT_FILE || config.INSECURE, {
    path: ['TLS_CERT_FILE'],
    error: 'is required, because HOST is no loopback address; INSECURE=true does without TLS',
  })
  .refine((config) => isLoopback(config.HOST) || config.POLICY_FILE, {
    path: ['POLICY_FILE'],
    error: 'is required, because HOST is no loopback address',
  })
  .refine((config) => !config.CELLS_FILE || !config.DATABASE_URL, {
    path: ['CELLS_FILE'],
    error: 'names the databases of all cells: unset DATABASE_URL',
  })
  .refine((config) => !config.EVENTS_WEBHOOK_URL || config.EVENTS_WEBHOOK_SECRET, {
    path: ['EVENTS_WEBHOOK_SECRET'],
    error: 'is required with EVENTS_WEBHOOK_URL',
  })
  .refine((config) => !config.ANCHOR_DIRECTORY || config.ANCHOR_KEY_FILE, {
    path: ['ANCHOR_KEY_FILE'],
    error: 'is required with ANCHOR_DIRECTORY',
  })
  .refine((config) => !config.STRIPE_WEBHOOK_SECRET || config.STRIPE_SECRET_KEY, {
    path: ['STRIPE_WEBHOOK_SECRET'],
    error: 'needs STRIPE_SECRET_KEY beside it',
  });

type Environment = Readonly<Record<string, string | undefined>>;

export type Config = Readonly<z.infer<typeof environment>>;

/** The configuration of the process. Throws with every problem in one line. */
export function requireConfig(env: Environment): Config {
  const read = readConfig(env);
  if ('problems' in read) throw new Error(read.problems.join('; '));
  return read.config;
}

/** The configuration, or every problem with it, one line each. An empty variable counts as unset. */
export function readConfig(
  env: Environment,
): { readonly config: Config } | { readonly problems: readonly string[] } {
  const { env: whole, problems } = readSecretFiles(env);
  const given = Object.fromEntries(Object.entries(whole).filter(([, value]) => value !== ''));
  const { success, data, error } = complete.safeParse(given);
  if (success && problems.length === 0) return { config: Object.freeze(data) };
  const issues = error?.issues ?? [];
  return {
    problems: [...problems, ...issues.map(({ path, message }) => `${path.join('.')} ${message}`)],
  };
}
