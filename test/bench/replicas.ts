/** Two service processes on one database compared with one, under the same load of batches. */
import { BATCHES_IN_FLIGHT } from './cases.ts';
import { accounts } from './ledger.ts';
import type { Load } from './load-spec.ts';
import { type Measured, measure } from './measure.ts';
import type { Extent } from './options.ts';
import type { Progress } from './progress.ts';
import { type CaseResult, medianOf } from './results.ts';
import type { BenchServer } from './servers.ts';
import type { Testbed } from './testbed.ts';

/** So many mutations at once wait longer than a service lets calls wait, above all before it is warm. */
const PATIENT = { WAIT_MAX_MS: '10000' };

export async function measureReplicas(
  testbed: Testbed,
  { preRunMs, rounds, warmUpMs, durationMs }: Extent,
  progress: Progress,
): Promise<CaseResult[]> {
  const one = await testbed.startServiceOn('replicas', PATIENT);
  const other = await testbed.startServiceOn('replicas', PATIENT);
  const of = (name: string, title: string, servers: readonly BenchServer[]) => ({
    name,
    title,
    unit: 'mutation' as const,
    servers,
    all: [] as Measured[],
  });
  const setups = [
    of('one_process', 'Batch of 1,000, one process', [one]),
    of('two_processes', 'Batch of 1,000, two processes', [one, other]),
  ];
  const loadOf = (
    servers: readonly BenchServer[],
    timing: Pick<Load, 'warmUpMs' | 'durationMs'>,
  ) => ({
    operation: { kind: 'batch' as const, accounts: accounts.spread, size: 1_000 },
    addresses: servers.map(({ address }) => address),
    // The same total for one process and for two.
    inFlight: 2 * BATCHES_IN_FLIGHT,
    ...timing,
  });
  try {
    await testbed.client.run(loadOf([one, other], { warmUpMs: 0, durationMs: 2 * preRunMs }));
    for (let round = 1; round <= rounds; round++)
      for (const { title, unit, servers, all } of setups) {
        const load = loadOf(servers, { warmUpMs, durationMs: durationMs * 1.5 });
        progress.doing(`replicas, round ${round} of ${rounds}`, title);
        const measured = await measure(testbed.processes(...servers), load);
        all.push(measured);
        progress.measured({ title, unit }, measured);
      }
  } finally {
    await Promise.all([testbed.stop(one), testbed.stop(other)]);
  }
  return setups.map(({ name, title, unit, all }) => ({
    name,
    title,
    unit,
    subject: 'service',
    rounds: all,
    median: medianOf(all),
  }));
}
