/** The options of `npm run bench:compare`. */
import { parseArgs } from 'node:util';
import { type Case, cases } from '../cases.ts';
import type { Program } from '../servers.ts';

export type Options = {
  /** A: the folder of a checkout, a git ref, or null for this checkout. B is always this checkout. */
  readonly other: string | null;
  readonly cases: readonly Case[];
  /** Pairs of windows, one of A and one of B each, over all processes. */
  readonly windows: number;
  readonly seconds: number;
  /** Operations that each service gets before the first window. */
  readonly warmUpOperations: number;
  /** How often both services are started. Each start measures an equal share of the windows. */
  readonly processes: number;
  readonly a: Omit<Program, 'checkout'>;
  readonly b: Omit<Program, 'checkout'>;
  /** B has mutual TLS and a policy. */
  readonly mutualTls: boolean;
  /** Budgets of each account of B. */
  readonly budgets: number;
  /** B exports spans of every call to a collector that keeps nothing. */
  readonly collector: boolean;
  /** File for the figures of every window; null: none. */
  readonly json: string | null;
};

/** An interval of fewer is too wide to decide anything. */
const PROCESSES_MIN = 4;

/** As many as ledger.ts knows. */
const BUDGETS_MAX = 2;

/** Cases that load the service and need no figures of other cases. */
const COMPARABLE = cases.filter(
  ({ subject, needs, name }) => subject === 'service' && needs.length === 0 && name !== 'history',
);
const ALIASES: Readonly<Record<string, string>> = { pair: 'reserve_commit' };

export const USAGE = `npm run bench:compare -- [OTHER] [options]
  OTHER              A: the folder of another checkout, or a git ref. Default: this checkout.
                     B is always this checkout
  --case NAME        what is measured, default reserve; may be repeated, or a list with commas:
                     pair, ${COMPARABLE.map(({ name }) => name).join(', ')}
  --windows N        pairs of windows, default 24
  --seconds N        length of a window, default 2
  --warm-up N        operations before the first window of a process, default 60000: code is
                     compiled, and of 10,000 accounts taken at random nearly all are cached
  --processes N      start both services N times, default 6, at least 4: two processes of one
                     version differ by some percent
  --env-a NAME=VALUE, --env-b NAME=VALUE
                     an environment variable of A or B; may be repeated
  --node-a FLAGS, --node-b FLAGS
                     flags of Node in place of those of npm start, e.g. --node-b="" for none
  --mutual-tls       B has mutual TLS and a policy, A neither
  --budgets N        the accounts of B have a budget (1): each user, per day; or two: and each operation,
                     per month. No load exceeds them
  --collector        B exports spans of every call to a collector that keeps nothing
  --json FILE        write the figures of every window there`;

/** Throws if the command line is wrong. */
export function readOptions(args: readonly string[]): Options | 'help' {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      case: { type: 'string', multiple: true, default: ['reserve'] },
      windows: { type: 'string', default: '24' },
      seconds: { type: 'string', default: '2' },
      'warm-up': { type: 'string', default: '60000' },
      processes: { type: 'string', default: '6' },
      'env-a': { type: 'string', multiple: true, default: [] },
      'env-b': { type: 'string', multiple: true, default: [] },
      'node-a': { type: 'string' },
      'node-b': { type: 'string' },
      'mutual-tls': { type: 'boolean', default: false },
      budgets: { type: 'string', default: '0' },
      collector: { type: 'boolean', default: false },
      json: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return 'help';
  const [other = null, ...rest] = positionals;
  if (rest.length > 0) throw new Error(`one OTHER only, not ${positionals.join(' ')}`);
  return {
    other,
    cases: values.case.flatMap((list) => list.split(',')).map(caseNamed),
    windows: number('--windows', values.windows, PROCESSES_MIN),
    seconds: number('--seconds', values.seconds, 0.1),
    warmUpOperations: number('--warm-up', values['warm-up'], 1),
    processes: number('--processes', values.processes, PROCESSES_MIN),
    a: programOf(values['env-a'], values['node-a']),
    b: programOf(values['env-b'], values['node-b']),
    mutualTls: values['mutual-tls'],
    budgets: budgetsOf(values.budgets),
    collector: values.collector,
    json: values.json ?? null,
  };
}

function budgetsOf(text: string): number {
  const budgets = number('--budgets', text, 0);
  if (Number.isInteger(budgets) && budgets <= BUDGETS_MAX) return budgets;
  throw new Error(`--budgets must be a whole number, 0 to ${BUDGETS_MAX}`);
}

function caseNamed(name: string): Case {
  const found = COMPARABLE.find((one) => one.name === (ALIASES[name] ?? name));
  if (!found) throw new Error(`no case ${name}`);
  return found;
}

function number(option: string, text: string, min: number): number {
  const value = Number(text);
  if (!(value >= min)) throw new Error(`${option} must be a number of at least ${min}`);
  return value;
}

function programOf(variables: readonly string[], nodeFlags: string | undefined) {
  const env = Object.fromEntries(
    variables.map((variable) => {
      const at = variable.indexOf('=');
      if (at < 1) throw new Error(`${variable} is not NAME=VALUE`);
      return [variable.slice(0, at), variable.slice(at + 1)];
    }),
  );
  if (nodeFlags === undefined) return { env };
  return { env, nodeFlags: nodeFlags.split(' ').filter(Boolean) };
}
