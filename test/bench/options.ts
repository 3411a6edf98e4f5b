/** The options of the command line. */
import { parseArgs } from 'node:util';

export type Options = {
  /** File for the results as JSON. */
  readonly json: string;
  /** Names of cases; these and the cases they need are measured. Empty: all. */
  readonly only: readonly string[];
  readonly extent: Extent;
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
  --json FILE   write the results there (default bench/latest.json)
  --only CASE   only this case and those it needs; may be repeated, or a list with commas
  --quick       every case but soak, growth and two processes, in under two minutes
  --full        grow the ledger to 10 million entries instead of 1 million
  --soak        also ten minutes of mixed load
  --profile     write a CPU profile of the server of each case to bench/`;

/** Throws if the command line is wrong. */
export function readOptions(args: readonly string[], defaultJson: string): Options | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      json: { type: 'string', default: defaultJson },
      only: { type: 'string', multiple: true, default: [] },
      quick: { type: 'boolean', default: false },
      full: { type: 'boolean', default: false },
      soak: { type: 'boolean', default: false },
      profile: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return 'help';
  if (values.quick && values.full) throw new Error('--quick and --full exclude each other');
  return {
    json: values.json,
    only: values.only.flatMap((list) => list.split(',')).filter(Boolean),
    extent: values.quick ? quick : values.full ? full : usual,
    soak: values.soak,
    profile: values.profile,
  };
}
