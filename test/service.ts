/** A running service on a database of its own, with its client and a clock that tests can set. */

import { randomUUID } from 'node:crypto';
import { pino } from 'pino';
import { inject, onTestFailed } from 'vitest';
import { type Installation, oneDatabase } from '../src/cells/installation.ts';
import { type ConnectOptions, connect, type Scrip } from '../src/client.ts';
import type { TimeSources } from '../src/clock/replica-clock.ts';
import { type Config, readConfig } from '../src/config.ts';
import { readPlanFiles } from '../src/plan-files.ts';
import { publishAt } from '../src/plan-publication.ts';
import type { TokenIssuer } from '../src/policy/token-issuer.ts';
import type { PlanFile } from '../src/pricing/plan.ts';
import { type Service, startService } from '../src/service.ts';
import { writeAllowAllPolicy } from './allow-all-policy.ts';
import { createDatabase, urlOfService } from './postgres.ts';
import { sourcesOf } from './time-sources.ts';

export type TestService = Scrip & {
  readonly service: Service;
  readonly databaseUrl: string;
  /** The present time of the service: real time, or `frozenAt`, plus what `advance` added. */
  readonly now: () => number;
  /** Moves the clock of the service forward. */
  readonly advance: (ms: number) => void;
  /** Sets the clock of the service. */
  readonly setNow: (ms: number) => void;
  /** Opens an account and returns its id. */
  readonly open: (planId: string) => Promise<string>;
  readonly stop: () => Promise<void>;
};

export type TestOptions = {
  readonly databaseUrl?: string;
  /** Several cells, whose plans are published. Default: one, of `databaseUrl`. */
  readonly installation?: Installation;
  /** Published before the service starts, and the plan files of the service. Default: those of deploy/. */
  readonly plans?: readonly PlanFile[];
  /** Publishes nothing: the service only has the plan files. */
  readonly publishesNothing?: boolean;
  readonly env?: Partial<Record<keyof Config, string>>;
  readonly log?: pino.Logger;
  /** The clock of the service stands still at this time; only `advance` and `setNow` move it. */
  readonly frozenAt?: number;
  /** Clocks that may disagree. By default all show the present time of the service. */
  readonly sources?: TimeSources;
  /** Issuers of bearer tokens, in a policy that allows everything. Default: no policy. */
  readonly tokenIssuers?: readonly TokenIssuer[];
  /** How its own client calls. Default: as "test", without TLS. */
  readonly client?: ConnectOptions;
};

export const requestId = (): string => randomUUID();

export async function plansOfDeploy(): Promise<readonly PlanFile[]> {
  const files = await readPlanFiles(new URL('../deploy/plans', import.meta.url).pathname);
  if ('errors' in files) throw new Error(JSON.stringify(files.errors));
  return files.plans;
}

export async function startTestService(options: TestOptions = {}): Promise<TestService> {
  const databaseUrl = options.databaseUrl ?? (await createDatabase(inject('postgresUrl')));
  const policy = options.tokenIssuers && (await writeAllowAllPolicy(options.tokenIssuers));
  const read = readConfig({
    ...(policy && { POLICY_FILE: policy.file }),
    HOST: '127.0.0.1',
    PORT: '0',
    // Tests of metrics ask for a port.
    ADMIN_PORT: 'none',
    // Tests call sweep() and reportRefusals().
    SWEEP_INTERVAL_MS: '3600000',
    // Tests call compareClocks().
    CLOCK_SAMPLE_INTERVAL_MS: '3600000',
    REFUSALS_INTERVAL_MS: '3600000',
    // Tests call countUsage().
    USAGE_INTERVAL_MS: '3600000',
    HISTORY_POLL_MS: '50',
    // Tests call probeDatabase().
    DATABASE_PROBE_INTERVAL_MS: '3600000',
    SHUTDOWN_GRACE_MS: '2000',
    // A busy machine is no overload.
    WAIT_MAX_MS: '600000',
    ...options.env,
  });
  if ('problems' in read) throw new Error(read.problems.join('; '));
  let offset = 0;
  const realNow = () => options.frozenAt ?? Date.now();
  const now = () => realNow() + offset;
  const plans = options.plans ?? (await plansOfDeploy());
  if (!options.publishesNothing && !options.installation)
    await publishAt(databaseUrl, plans, now());
  const service = await startService(
    read.config,
    options.installation ?? installationOf(urlOfService(databaseUrl, inject('poolerUrl'))),
    plans,
    options.log ?? pino({ level: 'silent' }),
    options.sources ?? sourcesOf(now),
  );
  const host = options.client?.tls ? 'localhost' : '127.0.0.1';
  const scrip = connect(`${host}:${service.port}`, options.client ?? { caller: 'test' });
  return {
    ...scrip,
    service,
    databaseUrl,
    now,
    advance: (ms) => {
      offset += ms;
    },
    setNow: (ms) => {
      offset = ms - realNow();
    },
    async open(planId) {
      const accountId = `acct-${randomUUID()}`;
      await scrip.accounts.openAccount({ accountId, requestId: requestId(), planId });
      return accountId;
    },
    async stop() {
      scrip.close();
      await service.stop();
      await policy?.remove();
    },
  };
}

/** One cell: the database, or the schema of the cluster that `npm run test:citus` has made for the test. */
function installationOf(url: string): Installation {
  const one = oneDatabase(url);
  const [, citusSchema] = /search_path=(scrip_test_\w+)/.exec(decodeURIComponent(url)) ?? [];
  return citusSchema ? { ...one, cells: one.cells.map((cell) => ({ ...cell, citusSchema })) } : one;
}

/** Prints the URL of the database if the test fails. */
export function showDatabaseOnFailure(databaseUrl: string) {
  onTestFailed(() => {
    process.stderr.write(`database of the failed test: ${databaseUrl}\n`);
  });
}
