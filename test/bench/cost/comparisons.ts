/** How costs grow: with the grants of an account, and with the size of a Batch. In alternating windows. */
import { type Ratio, ratioOfPairs } from '../compare/interval.ts';
import { costAccounts, type Group, openAccounts } from '../ledger.ts';
import type { Accounts, Load } from '../load-spec.ts';
import { type CostBench, type Counted, runCounted } from './bench.ts';
import { countedLoad, loadOfCase } from './operations.ts';

type Side = { readonly title: string; readonly load: Pick<Load, 'operation' | 'inFlight'> };

export type Comparison = {
  readonly name: string;
  readonly title: string;
  /** The accounts that only it uses. */
  readonly accounts: readonly Group[];
  readonly a: Side;
  readonly b: Side;
  /** Operations in a window. */
  readonly operations: number;
};

const pairs = (of: Accounts): Side['load'] => ({
  operation: { kind: 'pair', accounts: of },
  inFlight: 64,
});
const charges = (of: Accounts): Side['load'] => ({
  operation: { kind: 'charge', accounts: of },
  inFlight: 1,
});
const { granted1, granted20, single1, single2000 } = costAccounts;

export const comparisons: readonly Comparison[] = [
  {
    name: 'grants_20',
    title: 'Reserve then Commit, 1,000 accounts',
    accounts: [granted1, granted20],
    a: { title: '1 grant', load: pairs(granted1) },
    b: { title: '20 grants', load: pairs(granted20) },
    operations: 3_000,
  },
  {
    name: 'grants_2000',
    title: 'Charge, one account, one after the other',
    accounts: [single2000],
    a: { title: '1 grant', load: charges(single1) },
    b: { title: '2,000 grants', load: charges(single2000) },
    operations: 300,
  },
  {
    name: 'batch_size',
    title: 'Reserve in Batch',
    accounts: [],
    a: { title: 'of 100', load: loadOfCase('batch_100') },
    b: { title: 'of 1,000', load: loadOfCase('batch_1000') },
    operations: 10_000,
  },
];

const FIGURES = {
  'per second': ({ perSecond }: Counted) => perSecond,
  'p50 ms': ({ p50Ms }: Counted) => p50Ms,
  'service CPU µs': ({ cpuMicros }: Counted) => cpuMicros.server,
  'PostgreSQL CPU µs': ({ cpuMicros }: Counted) => cpuMicros.postgres,
} as const;

export type Compared = Pick<Comparison, 'name' | 'title'> & {
  readonly a: string;
  readonly b: string;
  readonly figures: readonly ComparedFigure[];
};

/** Geometric means of A and of B, and B / A. */
export type ComparedFigure = Ratio & {
  readonly name: string;
  readonly a: number;
  readonly b: number;
};

export type Windows = {
  readonly windows: number;
  /** Operations of a window, as a share of the usual number. */
  readonly windowShare: number;
};

export async function compare(
  bench: CostBench,
  { name, title, accounts, a, b, operations }: Comparison,
  { windows, windowShare }: Windows,
): Promise<Compared> {
  const { address } = bench.service;
  await openAccounts(address, accounts);
  await bench.sql.query('vacuum analyze');
  const run = (side: Side) =>
    runCounted(bench, countedLoad(side.load, address, operations * windowShare));
  // Unmeasured: accounts are read for the first time.
  for (const side of [a, b]) await run(side);
  const measured: (readonly [Counted, Counted])[] = [];
  for (let window = 0; window < windows; window++)
    if (window % 2 === 0) measured.push([await run(a), await run(b)]);
    else {
      const first = await run(b);
      measured.push([await run(a), first]);
    }
  return { name, title, a: a.title, b: b.title, figures: figuresOf(measured) };
}

function figuresOf(measured: readonly (readonly [Counted, Counted])[]): ComparedFigure[] {
  return Object.entries(FIGURES).flatMap(([name, of]) => {
    const values = measured.flatMap(([one, other]) => {
      const [a, b] = [of(one), of(other)];
      return a === null || b === null ? [] : [[a, b] as const];
    });
    if (values.length === 0) return [];
    return {
      name,
      a: geometricMean(values.map(([a]) => a)),
      b: geometricMean(values.map(([, b]) => b)),
      ...ratioOfPairs(values.map((pair) => [pair])),
    };
  });
}

const geometricMean = (values: readonly number[]): number =>
  Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
