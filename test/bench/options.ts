/** The options of the command line. */
import { join } from 'node:path';
import { parseArgs } from 'node:util';

export type Options = {
  /** File for the results as JSON. */
  readonly json: string;
  /** Names of cases; these and the cases they need are measured. Empty: all. */
  readonly only: readonly string[];
  readonly extent: Extent;
  /** Measures the costs of operations instead of the cases. */
  readonly cost: boolean;
  readonly soak: boolean;
  readonly profile: boolean;
};

/** The length of the run and the size of the ledger. */
export type Extent = {
  readonly name: 'quick' | 'usual' | 'full';
  /** How long each case runs unmeasured before the rounds, so that its code is compiled; 0: not at all. */
  readonly preRunMs: number;
  readonly rounds: number;
  readonly warmUpMs: number;
  readonly durationMs: number;
  /** Parts of a round in which interleaved cases alternate. */
  readonly slices: number;
  /** Entries of the account whose history is streamed. */
  readonly historyEntries: number;
  /** Entries of the ledger for `grown_vs_empty`; 0: not measured. */
  readonly grownEntries: number;
  readonly soakMs: number;
};

const usual: Extent = {
  name: 'usual',
  preRunMs: 4_000,
  rounds: 3,
  warmUpMs: 1_000,
  durationMs: 5_000,
  slices: 5,
  historyEntries: 50_000,
  grownEntries: 1_000_000,
  soakMs: 10 * 60_000,
};
const quick: Extent = {
  ...usual,
  name: 'quick',
  preRunMs: 0,
  warmUpMs: 300,
  durationMs: 700,
  slices: 1,
  historyEntries: 10_000,
  grownEntries: 0,
};
const full: Extent = { ...usual, name: 'full', grownEntries: 10_000_000 };

export const USAGE = `npm run bench -- [options]
  --json FILE   write the results there (default bench/latest.json or bench/latest-cost.json)
  --only CASE   only this case and those it needs; may be repeated, or a list with commas
  --cost        costs per operation instead: CPU time, WAL, rows, space; --only NAME and --quick apply
  --quick       every case but soak, growth and two processes, in under two minutes
  --full        grow the ledger to 10 million entries instead of 1 million
  --soak        also ten minutes of mixed load
  --profile     write a CPU profile of the server of each case to bench/`;

/** Throws if the command line is wrong. */
export function readOptions(args: readonly string[], folder: string): Options | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      json: { type: 'string' },
      only: { type: 'string', multiple: true, default: [] },
      quick: { type: 'boolean', default: false },
      full: { type: 'boolean', default: false },
      cost: { type: 'boolean', default: false },
      soak: { type: 'boolean', default: false },
      profile: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return 'help';
  if (values.quick && values.full) throw new Error('--quick and --full exclude each other');
  if (values.cost && (values.full || values.soak || values.profile))
    throw new Error('--cost excludes --full, --soak and --profile');
  return {
    json: values.json ?? join(folder, values.cost ? 'latest-cost.json' : 'latest.json'),
    only: values.only.flatMap((list) => list.split(',')).filter(Boolean),
    extent: values.quick ? quick : values.full ? full : usual,
    cost: values.cost,
    soak: values.soak,
    profile: values.profile,
  };
}
