/**
 * How cost grows with the number of entries, of accounts, and of grants per account. On a database of
 * its own, which is empty at first.
 */
import { accounts, grownAccounts, openAccounts } from './ledger.ts';
import type { Accounts, Load } from './load-spec.ts';
import { type Measured, measure } from './measure.ts';
import type { Extent } from './options.ts';
import type { Progress } from './progress.ts';
import { type CaseResult, medianOf } from './results.ts';
import type { BenchServer } from './servers.ts';
import type { Testbed } from './testbed.ts';

export async function measureGrowth(
  testbed: Testbed,
  extent: Extent,
  progress: Progress,
): Promise<CaseResult[]> {
  const service = await testbed.startServiceOn('grown');
  const pairs = async (name: string, title: string, of: Accounts) =>
    await repeat(testbed, extent, progress, service, name, title, of);
  const { spread } = accounts;
  const { many, granted } = grownAccounts;
  try {
    // Compiles the code; the ledger has a few thousand entries afterwards.
    await testbed.client.run(loadOf(service, spread, { warmUpMs: 0, durationMs: extent.preRunMs }));
    const empty = await pairs('pair_empty', 'Reserve then Commit, empty ledger', spread);
    progress.doing('growth', 'opening 100,000 accounts');
    await openAccounts(service.address, [many, granted]);
    const wide = await pairs('pair_100k_accounts', 'the same, 100,000 accounts', many);
    const deep = await pairs('pair_20_grants', 'the same, 20 grants an account', granted);
    await grow(testbed, extent, progress, service);
    const entries = extent.grownEntries.toLocaleString('en');
    const grown = await pairs('pair_grown', `the same, ${entries} entries`, spread);
    return [empty, wide, deep, grown];
  } finally {
    await testbed.stop(service);
  }
}

async function repeat(
  testbed: Testbed,
  extent: Extent,
  progress: Progress,
  service: BenchServer,
  name: string,
  title: string,
  of: Accounts,
): Promise<CaseResult> {
  const all: Measured[] = [];
  for (let round = 1; round <= extent.rounds; round++) {
    progress.doing(`growth, round ${round} of ${extent.rounds}`, title);
    const measured = await measure(testbed.processes(service), loadOf(service, of, extent));
    all.push(measured);
    progress.measured({ title, unit: 'pair' }, measured);
  }
  return { name, title, unit: 'pair', subject: 'service', rounds: all, median: medianOf(all) };
}

const loadOf = (
  { address }: BenchServer,
  of: Accounts,
  { warmUpMs, durationMs }: Pick<Load, 'warmUpMs' | 'durationMs'>,
): Load => ({
  operation: { kind: 'pair', accounts: of },
  addresses: [address],
  inFlight: 64,
  warmUpMs,
  durationMs,
});

/** Reserves and commits in batches until the ledger has `grownEntries`. */
async function grow(
  testbed: Testbed,
  { grownEntries }: Extent,
  progress: Progress,
  service: BenchServer,
) {
  progress.doing('growth', `writing ${grownEntries.toLocaleString('en')} entries`);
  const { operations, seconds } = await testbed.client.run({
    operation: { kind: 'batch', accounts: accounts.spread, size: 1_000, pairs: true },
    addresses: [service.address],
    inFlight: 4,
    warmUpMs: 0,
    durationMs: 2 ** 31 - 1,
    operationsMax: grownEntries,
  });
  progress.say(`grew by ${operations.toLocaleString('en')} entries in ${Math.round(seconds)} s`);
}
