/** A running sandbox on a database of its own, with its client. */

import { pino } from 'pino';
import { inject } from 'vitest';
import { oneDatabase } from '../../src/cells/installation.ts';
import { connect, type Scrip } from '../../src/client.ts';
import { requireConfig } from '../../src/config.ts';
import { publishNow } from '../../src/plan-publication.ts';
import { prepareSandbox } from '../../src/sandbox/mark.ts';
import { sandboxEnvironment } from '../../src/sandbox/start.ts';
import { type Service, startService } from '../../src/service.ts';
import { createEmptyDatabase } from '../postgres.ts';
import { plansOfDeploy } from '../service.ts';

export type TestSandbox = Scrip & {
  readonly service: Service;
  readonly databaseUrl: string;
  /** The sandbox's time, in epoch milliseconds. */
  readonly now: () => number;
  /** Moves its clock to an instant, in as many calls as it takes; resolves to what happened, by what. */
  readonly advanceTo: (until: number) => Promise<ReadonlyMap<string, HappenedOnce>>;
  readonly stop: () => Promise<void>;
};

type HappenedOnce = {
  readonly count: bigint;
  readonly accounts: bigint;
  readonly credits: bigint;
};

export const DAY = 86_400_000;

/** A new one, with the plans of deploy/. */
export async function createSandboxDatabase(): Promise<string> {
  const databaseUrl = await createEmptyDatabase(inject('postgresUrl'));
  await prepareSandbox(databaseUrl);
  await publishNow(databaseUrl, await plansOfDeploy(), 60_000);
  return databaseUrl;
}

export const startSandbox = async (
  databaseUrl?: string,
  env: Readonly<Record<string, string>> = {},
): Promise<TestSandbox> => {
  const url = databaseUrl ?? (await createSandboxDatabase());
  const config = requireConfig(
    sandboxEnvironment({
      PORT: '0',
      ADMIN_PORT: 'none',
      SANDBOX_PAYMENTS_PORT: '0',
      WAIT_MAX_MS: '600000',
      // Only moves of the clock do the work of the service.
      SWEEP_INTERVAL_MS: '3600000',
      TOP_UP_INTERVAL_MS: '3600000',
      PURCHASE_CHECK_INTERVAL_MS: '3600000',
      CLOCK_SAMPLE_INTERVAL_MS: '100',
      CLOCK_SKEW_MAX_MS: '60000',
      ...env,
    }),
  );
  const log = pino({ level: 'silent' });
  const service = await startService(config, oneDatabase(url), null, log, {}, true);
  const scrip = connect(`127.0.0.1:${service.port}`, { caller: 'test' });
  return {
    ...scrip,
    service,
    databaseUrl: url,
    now: () => service.sandbox?.now() ?? Number.NaN,
    async advanceTo(target) {
      const until = new Date(target);
      let moved = await scrip.sandbox.advanceClock({ until });
      const since = moved.fromTime;
      while (!moved.isReached) moved = await scrip.sandbox.advanceClock({ until, since });
      return new Map(
        moved.happenings.map(({ what, count, accounts, credits }) => [
          what,
          { count, accounts, credits },
        ]),
      );
    },
    async stop() {
      scrip.close();
      await service.stop();
    },
  };
};
