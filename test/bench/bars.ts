/**
 * The ratios between cases that the benchmark must reach ("bars"). A ratio is the median of the rounds'
 * ratios, because both of its cases are measured within each round.
 */
import { median } from './median.ts';

/** One figure per round of a case; null if the case was not measured. */
export type RoundFigures = {
  readonly perSecond: (name: string) => readonly number[] | null;
  readonly p50Ms: (name: string) => readonly number[] | null;
  readonly p99Ms: (name: string) => readonly number[] | null;
  /** CPU time of the service and of PostgreSQL per operation. */
  readonly cpuMicros: (name: string) => readonly number[] | null;
};

export type Bar = {
  /** Key under `ratios` in the results. */
  readonly name: string;
  readonly what: string;
  readonly atLeast?: number;
  readonly atMost?: number;
  readonly value: number | null;
  /** The ratio of each round; empty if it was not measured. */
  readonly rounds: readonly number[];
  /** Null if it was not measured. */
  readonly met: boolean | null;
};

type Ratio = Pick<Bar, 'name' | 'what' | 'atLeast' | 'atMost'> & {
  /** The ratio of each round; null if it was not measured. */
  readonly of: (figures: RoundFigures) => readonly number[] | null;
};

const ratio =
  (figure: keyof RoundFigures) =>
  (numerator: string, denominator: string) =>
  (figures: RoundFigures): readonly number[] | null => {
    const [above, below] = [figures[figure](numerator), figures[figure](denominator)];
    return above && below && above.map((value, round) => value / (below[round] ?? 0));
  };
const throughput = ratio('perSecond');
const p50 = ratio('p50Ms');
const p99 = ratio('p99Ms');
const cpu = ratio('cpuMicros');

const RATIOS: readonly Ratio[] = [
  {
    name: 'reserve_vs_echo',
    what: 'Reserve, 64 in flight, 10,000 accounts / echo',
    atLeast: 0.45,
    of: throughput('reserve', 'echo'),
  },
  {
    name: 'hot_vs_spread',
    what: 'Reserve on one hot account / over 10,000 accounts',
    atLeast: 0.9,
    of: throughput('reserve_hot', 'reserve'),
  },
  {
    name: 'reserve_vs_textbook',
    what: 'Reserve, 64 in flight / textbook, both through gRPC',
    atLeast: 6,
    of: throughput('reserve', 'textbook'),
  },
  {
    name: 'batch_vs_textbook',
    what: 'Reserve in Batch of 1,000 / textbook',
    atLeast: 15,
    of: throughput('batch_1000', 'textbook'),
  },
  {
    name: 'batch_vs_handtuned',
    what: 'Reserve in Batch of 1,000 / hand-tuned',
    atLeast: 2.5,
    of: throughput('batch_1000', 'hand_tuned'),
  },
  {
    name: 'batch_hot_vs_handtuned_hot',
    what: 'the same, both on one hot account',
    atLeast: 5,
    of: throughput('batch_1000_hot', 'hand_tuned_hot'),
  },
  {
    name: 'commit_vs_reserve',
    what: 'Commit / Reserve',
    atLeast: 0.9,
    of: throughput('commit', 'reserve'),
  },
  {
    name: 'balance_vs_echo',
    what: 'GetBalance / echo',
    atLeast: 0.6,
    of: throughput('balance', 'echo_balance'),
  },
  {
    name: 'client_batching_p50_vs_single_p50',
    what: "p50 of one call at a time, the client's automatic batching / its single calls",
    atMost: 1.05,
    of: p50('client_batching_1', 'client_single_1'),
  },
  {
    name: 'client_batching_64_vs_single',
    what: "the client's automatic batching / its single calls, 64 in flight",
    atLeast: 1.3,
    of: throughput('client_batching_64', 'client_single_64'),
  },
  {
    name: 'client_batching_1000_vs_single',
    what: 'the same, 1,000 in flight',
    atLeast: 2,
    of: throughput('client_batching_1000', 'client_single_1000'),
  },
  {
    name: 'client_meter_per_second',
    what: "uses of the client's meter in a second, in one process",
    atLeast: 1_000_000,
    of: ({ perSecond }) => perSecond('client_meter'),
  },
  {
    name: 'p99_vs_echo_p99',
    what: 'p99 of Reserve at half load / p99 of echo at the same rate',
    atMost: 4,
    of: p99('reserve_at_half', 'echo_at_half'),
  },
  {
    name: 'grown_vs_empty',
    what: 'Reserve then Commit on a grown ledger / on an empty one',
    atLeast: 0.9,
    of: throughput('pair_grown', 'pair_empty'),
  },
  {
    name: 'history_vs_copy',
    what: 'StreamHistory / COPY of the same rows to stdout',
    atLeast: 0.1,
    of: throughput('history', 'copy'),
  },
  {
    name: 'two_processes_vs_one',
    what: 'two processes on one database / one, Batch load',
    atLeast: 1,
    of: throughput('two_processes', 'one_process'),
  },
  {
    name: 'two_cells_cpu_vs_one',
    what: 'CPU of service and PostgreSQL per Reserve, two cells on two servers / one, 64 in flight for each cell',
    atMost: 1.1,
    of: cpu('two_cells', 'one_cell'),
  },
];

/** Every bar, checked. `soak` has the ratio of memory, and whether memory stayed under its limit. */
export function checkBars(
  figures: RoundFigures,
  soak: { ratio: number; within: boolean } | null,
): Bar[] {
  const ratios = RATIOS.map(({ of, ...bar }) => checkBar(bar, of(figures)));
  const memory = checkBar(
    {
      name: 'soak_memory',
      what: 'memory after the soak / after its first minute, and under 300 MB',
      atMost: 1.1,
    },
    soak && [soak.ratio],
  );
  return [...ratios, soak?.within === false ? { ...memory, met: false } : memory];
}

function checkBar(bar: Omit<Ratio, 'of'>, rounds: readonly number[] | null): Bar {
  const { atLeast = 0, atMost = Number.POSITIVE_INFINITY } = bar;
  const value = rounds && median(rounds);
  const met = value === null ? null : value >= atLeast && value <= atMost;
  return { ...bar, value, rounds: rounds ?? [], met };
}
