/** The tables of docs/sizing.md: what a job costs, and what the model makes of it. */
import { ASSUMED, capacity, type JobCost, sizeFor } from './model.ts';

const RATES = [1_000, 10_000, 100_000];

const COSTS: readonly (readonly [key: keyof JobCost, title: string])[] = [
  ['serviceMicros', 'CPU of the service, µs'],
  ['postgresMicros', 'CPU of PostgreSQL, µs'],
  ['walBytes', 'WAL, bytes'],
  ['storedBytes', 'tables and indexes, bytes'],
];

export const costTable = (cost: JobCost): string =>
  markdown(
    ['of a job (Reserve and Commit)', 'measured'],
    COSTS.map(([key, title]) => [title, whole(cost[key])]),
  );

/** Reads such a table from a page. Throws where it is none. */
export function readCosts(page: string): JobCost {
  const cost = Object.fromEntries(
    COSTS.map(([key, title]) => {
      const [, text] = new RegExp(`^\\| ${title} \\| ([\\d,]+) \\|$`, 'm').exec(page) ?? [];
      if (text === undefined) throw new Error(`the page has no figure for: ${title}`);
      return [key, Number(text.replaceAll(',', ''))];
    }),
  );
  return cost as JobCost;
}

export function capacityTable(cost: JobCost): string {
  const { perReplica, perPostgresCore, perCell, limit } = capacity(cost);
  return markdown(
    ['takes, in the long run', 'jobs per second'],
    [
      ['a replica, which is one core', rounded(perReplica)],
      ['a core of PostgreSQL', rounded(perPostgresCore)],
      [`a cell of ${ASSUMED.coresOfCell} cores (its limit is ${limit})`, rounded(perCell)],
    ],
  );
}

export function sizeTable(cost: JobCost): string {
  const sizes = RATES.map((rate) => sizeFor(rate, cost));
  const row = (title: string, value: (size: (typeof sizes)[number]) => string) => [
    title,
    ...sizes.map(value),
  ];
  return markdown(
    ['jobs per second', ...RATES.map(whole)],
    [
      row('replicas, one core each', ({ replicas }) => whole(replicas)),
      row(`cells of ${ASSUMED.coresOfCell} cores`, ({ cells }) => whole(cells)),
      row('busy cores of PostgreSQL, all cells', ({ postgresCores }) => digits(postgresCores)),
      row('WAL, MB a second', ({ walMegabytesPerSecond }) => digits(walMegabytesPerSecond)),
      row('growth, GB a day', ({ gigabytesPerDay }) => digits(gigabytesPerDay)),
      row('growth, TB a year', ({ terabytesPerYear }) => digits(terabytesPerYear)),
      row(
        `days until ${ASSUMED.diskBytesOfCell / 1e12} TB in each cell are full`,
        ({ daysOfDisk }) => digits(daysOfDisk),
      ),
    ],
  );
}

const BEGIN = '<!-- npm run bench:sizing writes this -->\n';
const END = '<!-- until here -->\n';

/** The page with its tables made anew. `source` says what the costs were measured on. */
export function withTables(page: string, cost: JobCost, source: string): string {
  const [before, rest] = page.split(BEGIN);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined)
    throw new Error('docs/sizing.md lacks the marks of its tables');
  const parts = [source, costTable(cost), capacityTable(cost), sizeTable(cost)];
  return `${before}${BEGIN}\n${parts.map((part) => `${part.trimEnd()}\n\n`).join('')}${END}${after}`;
}

const markdown = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, ['---', ...head.slice(1).map(() => '---:')], ...rows]
    .map((cells) => `| ${cells.join(' | ')} |\n`)
    .join('');

const whole = (value: number): string => Math.round(value).toLocaleString('en');
/** Two significant digits: the model is no more exact. */
const rounded = (value: number): string => Number(value.toPrecision(2)).toLocaleString('en');
const digits = (value: number): string => (value >= 10 ? whole(value) : value.toPrecision(2));
