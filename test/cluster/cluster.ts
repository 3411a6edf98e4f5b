/** Two replicas on one database. */
import { inject } from 'vitest';
import { ScripError } from '../../src/client.ts';
import { createDatabase } from '../postgres.ts';
import { startTestService, type TestOptions, type TestService } from '../service.ts';

export type Cluster = {
  readonly a: TestService;
  readonly b: TestService;
  readonly replicas: readonly [TestService, TestService];
  readonly databaseUrl: string;
  /** Moves the clocks of both. */
  readonly advance: (ms: number) => void;
  readonly setNow: (ms: number) => void;
  /** Sweeps on both replicas at the same time. */
  readonly sweep: () => Promise<void>;
  readonly stop: () => Promise<void>;
};

export async function startCluster(options: TestOptions = {}): Promise<Cluster> {
  const databaseUrl = options.databaseUrl ?? (await createDatabase(inject('postgresUrl')));
  // At the same time, as in a rollout: both publish the plans.
  const [a, b] = await Promise.all([
    startTestService({ ...options, databaseUrl }),
    startTestService({ ...options, databaseUrl }),
  ]);
  const replicas = [a, b] as const;
  return {
    a,
    b,
    replicas,
    databaseUrl,
    advance(ms) {
      for (const replica of replicas) replica.advance(ms);
    },
    setNow(ms) {
      for (const replica of replicas) replica.setNow(ms);
    },
    async sweep() {
      await Promise.all(replicas.map(({ service }) => service.sweep()));
    },
    async stop() {
      await Promise.all(replicas.map((replica) => replica.stop()));
    },
  };
}

export type Outcome<Answer> =
  | { readonly answer: Answer; readonly reason: 'OK' }
  | { readonly answer: null; readonly reason: string; readonly error: ScripError };

/** The answer of a call, or the reason of its failure. */
export async function outcomeOf<Answer>(call: Promise<Answer>): Promise<Outcome<Answer>> {
  try {
    return { answer: await call, reason: 'OK' };
  } catch (error) {
    if (!(error instanceof ScripError)) throw error;
    return { answer: null, reason: error.reason || `gRPC code ${error.code}`, error };
  }
}

export async function outcomesOf<Answer>(calls: readonly Promise<Answer>[]) {
  return await Promise.all(calls.map(outcomeOf));
}

/** Counts the outcomes by reason. */
export function tally(outcomes: readonly { readonly reason: string }[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { reason } of outcomes) counts[reason] = (counts[reason] ?? 0) + 1;
  return counts;
}
