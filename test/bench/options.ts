/** What the command line asks for. */
import { parseArgs } from 'node:util';

export type Options = {
  /** Where the results go as JSON. */
  readonly json: string;
  /** Only these cases, and those they need; empty: all. */
  readonly only: readonly string[];
  readonly extent: Extent;
  readonly soak: boolean;
  readonly profile: boolean;
};

/** How long is measured, and how much the ledger grows. */
export type Extent = {
  readonly name: 'quick' | 'usual' | 'full';
  /** How long each case runs before the rounds, measured by nobody; 0: not at all. */
  readonly readyMs: number;
  readonly rounds: number;
  readonly warmUpMs: number;
  readonly durationMs: number;
  /** Cases that are compared share a round in so many turns. */
  readonly slices: number;
  /** Entries of the account whose history is streamed. */
  readonly historyEntries: number;
  /** Entries of the ledger that `grown_vs_empty` is measured on; 0: not measured. */
  readonly grownEntries: number;
  readonly soakMs: number;
};

const usual: Extent = {
  name: 'usual',
  readyMs: 4_000,
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
  readyMs: 0,
  warmUpMs: 300,
  durationMs: 700,
  slices: 1,
  historyEntries: 10_000,
  grownEntries: 0,
};
const full: Extent = { ...usual, name: 'full', grownEntries: 10_000_000 };

export const USAGE = `npm run bench -- [options]
  --json FILE   write the results there (default bench/latest.json)
  --only CASE   only this case and what it needs; may be repeated, or a list with commas
  --quick       every case but soak, growth and two processes, in under two minutes
  --full        grow the ledger to 10 million entries instead of 1 million
  --soak        ten minutes of mixed load, too
  --profile     leave a CPU profile of the server of each case in bench/`;

/** Throws where the command line cannot be understood. */
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
