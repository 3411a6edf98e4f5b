/** What a start with --sandbox changes of the configuration, and what it refuses. */
import { join } from 'node:path';
import type { Config } from '../config.ts';
import { isLoopback } from '../loopback.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** The folder of package.json. */
const root = join(import.meta.dirname, '../..');

/**
 * A database of its own, its webhooks on any port, as nobody else sends any, and events that say where they come
 * from.
 */
export const sandboxEnvironment = (env: Environment): Environment => ({
  ...env,
  DATA_DIRECTORY: env['DATA_DIRECTORY'] || join(root, '.data-sandbox'),
  EVENTS_SOURCE: env['EVENTS_SOURCE'] || 'urn:scrip:sandbox',
  STRIPE_WEBHOOK_HOST: '127.0.0.1',
  STRIPE_WEBHOOK_PORT: env['STRIPE_WEBHOOK_PORT'] || '0',
});

/** A line for each. */
export function sandboxProblems(config: Config): readonly string[] {
  const { HOST, ADMIN_HOST, CELLS_FILE, STRIPE_SECRET_KEY, STRIPE_API_BASE } = config;
  const hosts = Object.entries({ HOST, ADMIN_HOST }).filter(([, host]) => !isLoopback(host));
  return [
    ...hosts.map(
      ([name]) => `${name} must be an address of loopback: a sandbox is for one machine`,
    ),
    ...(CELLS_FILE ? ['CELLS_FILE must not be set: a sandbox has one database'] : []),
    ...(STRIPE_SECRET_KEY || STRIPE_API_BASE
      ? [
          'STRIPE_SECRET_KEY and STRIPE_API_BASE must not be set: a sandbox has a payment provider of its own',
        ]
      : []),
  ];
}
