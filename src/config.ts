/** The environment, read once: every limit and timeout with its unit. */
import { join } from 'node:path';
import { z } from 'zod';

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

const flag = (fallback: boolean) =>
  z
    .enum(['true', 'false'], { error: 'must be true or false' })
    .default(fallback ? 'true' : 'false')
    .transform((text) => text === 'true');

const SECRET = /^(whsec_)?(?<base64>[A-Za-z0-9+/]+={0,2})$/;

const secrets = z.string().transform((text, context) => {
  const all = text.trim().split(/ +/);
  const sizes = all.map(
    (one) => Buffer.from(SECRET.exec(one)?.groups?.['base64'] ?? '', 'base64').length,
  );
  if (sizes.every((bytes) => bytes >= 24 && bytes <= 64)) return all;
  context.addIssue({
    code: 'custom',
    message: 'must be whsec_ and 24 to 64 bytes in base64, or several of them',
  });
  return z.NEVER;
});

const environment = z.object({
  /** Address to listen on. */
  HOST: z.string().min(1).default('0.0.0.0'),
  /** Port to listen on; 0 takes a free one. */
  PORT: integer(0, 65_535, 50_051),
  /** PostgreSQL to use. Unset: a real one of its own, in DATA_DIRECTORY. */
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\/\S+$/, 'must be a postgres:// URL')
    .optional(),
  /** Where the embedded PostgreSQL keeps its files. */
  DATA_DIRECTORY: z.string().min(1).default(join(root, '.data')),
  /** Where the plan files are. */
  PLANS_DIRECTORY: z.string().min(1).default(join(root, 'deploy/plans')),
  /** Database connections at most. */
  DATABASE_POOL_MAX: integer(2, 200, 10),
  /** How long a statement may go unanswered before its connection is given up as lost. */
  DATABASE_TIMEOUT_MS: integer(100, 600_000, 35_000),
  /**
   * Lanes that accounts hash to. What waits is shared among them: more lanes make smaller units of
   * work, each with the same cost of its own.
   */
  LANES: integer(1, 64, 1),
  /**
   * Units of work that a lane has under way at once at most, on different accounts: they keep more of
   * PostgreSQL's and Node's cores at work. On two cores, batches of 1,000 make 5,660 reserves a second
   * with one and 7,990 with two, 64 single calls in flight 2,280 and 2,520.
   */
  UNITS_MAX: integer(1, 64, 2),
  /**
   * Books kept between units of work at most, some 1 KB each; 0: each unit of work reads its own. A unit
   * that has to read one account waits for the database as if it had to read all: it is little use to
   * keep some of those that are busy.
   */
  ACCOUNT_CACHE_MAX: integer(0, 1_000_000, 20_000),
  /** Requests in one unit of work at most. */
  GROUP_MAX: integer(1, 10_000, 1_000),
  /** Requests waiting in one lane at most; more are refused with OVERLOADED. */
  QUEUE_MAX: integer(1, 1_000_000, 10_000),
  /** How often expired reservations and grants and due allowances are looked for. */
  SWEEP_INTERVAL_MS: integer(10, 3_600_000, 5_000),
  /** Accounts swept at once at most. */
  SWEEP_ACCOUNTS_MAX: integer(1, 10_000, 200),
  /** How often followers of a history look for entries written by other replicas. */
  HISTORY_POLL_MS: integer(10, 1_000, 250),
  /** How often events are looked for that other replicas left, and deliveries that are due. */
  EVENTS_POLL_MS: integer(10, 1_000, 250),
  /** Where events are delivered to by HTTP POST. Unset: nowhere. */
  EVENTS_WEBHOOK_URL: z
    .url({ protocol: /^https?$/, error: 'must be an http:// or https:// URL' })
    .refine((url) => !URL.canParse(url) || new URL(url).username === '', 'must not name a user')
    .optional(),
  /**
   * What deliveries are signed with: `whsec_` and 24 to 64 bytes in base64. Several, separated by
   * spaces, all sign, while receivers change from one to the next. Required with EVENTS_WEBHOOK_URL.
   */
  EVENTS_WEBHOOK_SECRET: secrets.optional(),
  /** `source` of the CloudEvents that are delivered: names this installation to their receivers. */
  EVENTS_SOURCE: z
    .string()
    .regex(/^[\x21-\x7e]{1,256}$/, 'must be a URI reference of 1 to 256 characters')
    .default('urn:scrip'),
  /** How long the endpoint may take for one delivery. */
  EVENTS_WEBHOOK_TIMEOUT_MS: integer(100, 60_000, 10_000),
  /** Deliveries that a replica has under way at once at most. */
  EVENTS_WEBHOOK_CONCURRENCY: integer(1, 256, 8),
  /** Failed attempts after which a delivery is DEAD; with the default backoff, most of a day. */
  EVENTS_WEBHOOK_ATTEMPTS_MAX: integer(1, 100, 15),
  /** Delay before the second attempt; it doubles with each, up to 12 hours. */
  EVENTS_WEBHOOK_BACKOFF_MS: integer(10, 3_600_000, 5_000),
  /** How long a stopping replica finishes what it accepted before it cuts connections. */
  SHUTDOWN_GRACE_MS: integer(0, 600_000, 10_000),
  /** Secret or restricted key of the Stripe account. Unset: there is no checkout. */
  STRIPE_SECRET_KEY: z
    .string()
    .regex(/^[\x21-\x7e]+$/, 'must be one word')
    .optional(),
  /** Where Stripe's API is, for tests and proxies. Unset: Stripe's own. */
  STRIPE_API_BASE: z
    .string()
    .regex(/^https?:\/\/[^/\s]+\/?$/, 'must be an http or https URL without a path')
    .optional(),
  /** How long a call of Stripe may take; it is tried twice. */
  STRIPE_TIMEOUT_MS: integer(100, 60_000, 10_000),
  /** Signing secret of the webhook endpoint; two, separated by a comma, while it is rolled. Unset: no webhooks. */
  STRIPE_WEBHOOK_SECRET: z
    .string()
    .regex(/^[\x21-\x7e]+$/, 'must be one word')
    .optional(),
  /** Port to listen on for webhooks, at HOST; 0 takes a free one. */
  STRIPE_WEBHOOK_PORT: integer(0, 65_535, 8_080),
  /** How old the signature of a webhook may be, in seconds. */
  STRIPE_WEBHOOK_TOLERANCE_S: integer(1, 86_400, 300),
  /** How long a purchase is left to its caller and to webhooks before we look at it by ourselves. */
  PURCHASE_CHECK_AFTER_MS: integer(0, 86_400_000, 600_000),
  /** How often pending purchases that are due for a look are searched for. */
  PURCHASE_CHECK_INTERVAL_MS: integer(10, 3_600_000, 30_000),
  /** Pending purchases looked at in one batch at most. */
  PURCHASE_CHECK_MAX: integer(1, 1_000, 50),
  /** How often accounts whose auto top-up is due are searched for. */
  TOP_UP_INTERVAL_MS: integer(10, 3_600_000, 5_000),
  /** Accounts that are topped up in one batch at most. */
  TOP_UP_MAX: integer(1, 1_000, 50),
  /** Whether to offer gRPC server reflection. */
  REFLECTION: flag(true),
  LOG_LEVEL: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], {
      error: 'must be fatal, error, warn, info, debug, trace or silent',
    })
    .default('info'),
});

const complete = environment
  .refine((config) => !config.EVENTS_WEBHOOK_URL || config.EVENTS_WEBHOOK_SECRET, {
    path: ['EVENTS_WEBHOOK_SECRET'],
    error: 'is required with EVENTS_WEBHOOK_URL',
  })
  .refine((config) => !config.STRIPE_WEBHOOK_SECRET || config.STRIPE_SECRET_KEY, {
    path: ['STRIPE_WEBHOOK_SECRET'],
    error: 'needs STRIPE_SECRET_KEY beside it',
  });

export type Config = Readonly<z.infer<typeof environment>>;

/** The configuration, or every problem with it, one line each. */
export function readConfig(
  env: Readonly<Record<string, string | undefined>>,
): { readonly config: Config } | { readonly problems: readonly string[] } {
  // An empty variable is as good as none: compose files and CI leave them behind.
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const { success, data, error } = complete.safeParse(given);
  if (success) return { config: Object.freeze(data) };
  return { problems: error.issues.map(({ path, message }) => `${path.join('.')} ${message}`) };
}
