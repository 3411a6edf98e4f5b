/** Costs as text: a table of the operations, growth and rows by table, and the comparisons. */
import { aligned } from '../aligned.ts';
import type { Compared } from './comparisons.ts';
import type { Cost } from './operation-cost.ts';
import type { CostResults } from './run.ts';
import { totalsOf } from './sizes.ts';
import { type Rows, sumOfRows } from './wal.ts';

export function report(results: CostResults): string {
  const { machine, versions, costs, comparisons, verify } = results;
  const writing = costs.filter(({ rows }) => sumOfRows(rows).inserted > 0.5);
  return [
    '',
    `${machine.cores} × ${machine.cpu}, load ${machine.loadBefore} before`,
    `Node ${versions['node']}, PostgreSQL ${versions['postgresql']}, commit ${results.commit}, ${results.extent} run of ${Math.round(results.seconds)} s`,
    ...section('Costs per operation', costTable(costs)),
    ...section(
      'Growth by table and index, bytes per operation',
      growthTable(withDoubling(writing)),
    ),
    ...section('Rows by table, inserted + updated', rowTable(writing)),
    ...pairLines(costs),
    ...comparisons.flatMap((one) => section(one.title, comparisonTable(one))),
    '',
    ...verify.map((result) => `verify: ${result}`),
    '',
  ].join('\n');
}

/** The pair's growth over a doubling has a column of its own. */
const withDoubling = (costs: readonly Cost[]): Pick<Cost, 'short' | 'growth'>[] =>
  costs.flatMap((one) =>
    one.doubling ? [one, { short: `${one.short} ×2`, growth: one.doubling }] : [one],
  );

const section = (title: string, lines: readonly string[]): string[] =>
  lines.length === 0 ? [] : ['', title, ...lines];

const HEAD = [
  ['', 'CPU µs:', '', '', 'WAL', 'without', 'SQL', '', 'rows', '', '', '', 'bytes', ''],
  [
    ...['', 'service', 'PostgreSQL', 'both', 'bytes', 'images', 'stmts', 'commits'],
    ...['inserted', 'updated', 'HOT', 'deleted', 'heap', 'index'],
  ],
];

function costTable(costs: readonly Cost[]): string[] {
  if (costs.length === 0) return [];
  return aligned([...HEAD, ...costs.map(costCells)]);
}

function costCells(cost: Cost): string[] {
  const { server, postgres } = cost.cpuMicros;
  const rows = sumOfRows(cost.rows);
  const { heap, index, lookup } = totalsOf(cost.growth);
  return [
    cost.title,
    ...[server, postgres, postgres && server + postgres].map(one),
    ...[cost.walBytes, cost.walBytesWithoutImages].map(whole),
    ...[cost.sqlStatements, cost.commits].map(three),
    ...[rows.inserted, rows.updated, rows.hot, rows.deleted].map(two),
    ...[heap, index + lookup].map(whole),
  ];
}

/** A row per table and index, a column per operation. */
export function growthTable(costs: readonly Pick<Cost, 'short' | 'growth'>[]): string[] {
  if (costs.length === 0) return [];
  const names = new Map(costs.flatMap(({ growth }) => growth.map((one) => [one.name, one])));
  const relations = [...names.values()].sort(
    (a, b) =>
      order(a.table, b.table) || order(KINDS[a.kind], KINDS[b.kind]) || order(a.name, b.name),
  );
  const line = (title: string, bytesOf: (growth: Cost['growth']) => number) => [
    title,
    ...costs.map(({ growth }) => whole(bytesOf(growth))),
  ];
  return aligned([
    ['', ...costs.map(({ short }) => short)],
    ...relations.map(({ name, kind }) =>
      line(
        kind === 'index' ? `  ${name}` : name,
        (growth) => growth.find((one) => one.name === name)?.bytes ?? 0,
      ),
    ),
    line('total without lookup indexes', (growth) => totalsOf(growth).withoutLookup),
    line('total with lookup indexes', (growth) => totalsOf(growth).all),
  ]);
}

const KINDS = { heap: 0, toast: 1, index: 2 } as const;
const order = <Value extends string | number>(a: Value, b: Value) => (a < b ? -1 : a > b ? 1 : 0);

/** Others are written from time to time, whatever the load. */
const isShown = ({ inserted, updated }: Rows) => inserted + updated >= 0.005;

function rowTable(costs: readonly Cost[]): string[] {
  if (costs.length === 0) return [];
  const written = costs.flatMap(({ rows }) => rows).filter(isShown);
  const tables = [...new Set(written.map(({ table }) => table))].sort();
  return aligned([
    ['', ...costs.map(({ short }) => short)],
    ...tables.map((table) => [
      table,
      ...costs.map(({ rows }) => {
        const found = rows.find((one) => one.table === table);
        return `${two(found?.inserted ?? 0)} + ${two(found?.updated ?? 0)}`;
      }),
    ]),
  ]);
}

function pairLines(costs: readonly Cost[]): string[] {
  const pair = costs.find(({ unit }) => unit === 'pair');
  if (!pair) return [];
  const line = (when: string, growth: Cost['growth']) => {
    const { withoutLookup, all } = totalsOf(growth);
    return `A pair takes ${whole(withoutLookup)} bytes without the lookup indexes, ${whole(all)} with them${when}`;
  };
  return [
    '',
    line('', pair.growth),
    ...(pair.doubling ? [line(', while the ledger doubles', pair.doubling)] : []),
  ];
}

function comparisonTable({ a, b, figures }: Compared): string[] {
  return aligned([
    ['', a, b, 'ratio', '95 % interval'],
    ...figures.map(({ name, a, b, ratio, low, high }) => [
      ...[name, two(a), two(b), three(ratio)],
      `${three(low)} to ${three(high)}`,
    ]),
  ]);
}

const one = (value: number | null) => (value === null ? '–' : value.toFixed(1));
const two = (value: number) => value.toFixed(2);
const three = (value: number) => value.toFixed(3);
const whole = (value: number) => Math.round(value).toLocaleString('en');
