/** The figures of a run, as its page shows them. */
import { describe, expect, test } from 'vitest';
import { tableOf } from '../charts/chart.ts';
import { htmlOf } from '../charts/page.ts';
import { checkBars, type RoundFigures } from './bars.ts';
import type { Measured } from './measure.ts';
import { pageOf } from './page.ts';
import { ratios } from './ratio-chart.ts';
import { type CaseResult, medianOf, type Results } from './results.ts';

const measured = (perSecond: number, serverMicros: number | null = 100): Measured => ({
  perSecond,
  latencyMs: { p50: 10, p90: 20, p99: 40, p999: 80, max: 90 },
  lagMs: null,
  cpuMicros: { server: serverMicros, postgres: 50, client: 30 },
  othersShare: 0.2,
  rssMb: serverMicros === null ? null : 200,
  loopDelayMs: null,
});

function result(
  name: string,
  unit: string,
  perSecond: readonly number[],
  subject = 'service',
): CaseResult {
  const rounds = perSecond.map((rate) => measured(rate, subject === 'copy' ? null : 100));
  return { name, title: `The case ${name}`, unit, subject, rounds, median: medianOf(rounds) };
}

const cases = [
  result('echo', 'call', [1_000, 900, 1_100], 'echo'),
  result('reserve', 'call', [500, 420, 600]),
  result('textbook', 'call', [100, 90, 110], 'textbook'),
  result('history', 'entry', [10_000, 8_000, 9_000]),
  result('copy', 'entry', [90_000, 80_000, 99_000], 'copy'),
  result('client_meter', 'use', [2_000_000, 2_500_000, 900_000]),
  result('pair_grown', 'pair', [300, 310, 290]),
];

const roundsOf = (name: string, of: (round: Measured) => number) =>
  cases.find((one) => one.name === name)?.rounds.map(of) ?? null;

const NOTHING: RoundFigures = {
  perSecond: () => null,
  p50Ms: () => null,
  p99Ms: () => null,
  cpuMicros: () => null,
};

const bars = checkBars(
  {
    perSecond: (name) => roundsOf(name, (round) => round.perSecond),
    p50Ms: (name) => roundsOf(name, (round) => round.latencyMs.p50),
    p99Ms: (name) => roundsOf(name, (round) => round.latencyMs.p99),
    cpuMicros: (name) => roundsOf(name, ({ cpuMicros }) => cpuMicros.server ?? 0),
  },
  { ratio: 1.05, within: false },
);

const results: Results = {
  startedAt: '2026-11-30T00:00:00.000Z',
  seconds: 61.4,
  commit: 'abc',
  extent: 'quick',
  machine: { cpu: 'A <CPU>', cores: 2, memoryGb: 4, system: 'Linux', loadBefore: 0.1 },
  versions: { node: '24' },
  durability: { fsync: 'on' },
  pools: { textbook: 8 },
  cases,
  soak: {
    perSecond: 100,
    measured: measured(100),
    samples: [5, 10].map((second) => ({ second, rssMb: 200, heapMb: 90, loopDelayMs: 1.25 })),
    memoryRatio: 1.05,
    memoryMaxMb: 310,
  },
  ratios: {},
  bars,
  verify: ['service: ok'],
};

const page = pageOf(results);
const rowsOf = (section: string) =>
  page.sections.find(({ title }) => title === section)?.charts ?? [];

describe('ratios', () => {
  const { rows, table } = ratios(bars);
  const row = (start: string) => rows.find(({ label }) => label.startsWith(start));

  test('are medians of the rounds', () => {
    expect(bars.find(({ name }) => name === 'reserve_vs_echo')).toMatchObject({
      rounds: [0.5, 420 / 900, 600 / 1_100],
      value: 0.5,
      met: true,
    });
  });

  test('are drawn as times of what is required, each with the least and the most of its rounds', () => {
    expect(row('Reserve, 64 in flight, 10,000 accounts / echo')).toEqual({
      label: 'Reserve, 64 in flight, 10,000 accounts / echo',
      figures: [0.5 / 0.45, null],
      noise: [420 / 900 / 0.45, 600 / 1_100 / 0.45],
      text: '0.50 (at least 0.45)',
    });
  });

  test('that must be small are drawn the other way round, and are missed where their limit is', () => {
    expect(row('memory after the soak')).toEqual({
      label: 'memory after the soak / after its first minute, and under 300 MB',
      figures: [null, 1.1 / 1.05],
      text: '1.05 (at most 1.1)',
    });
  });

  test('that were not measured are only in the table', () => {
    expect(row('Commit / Reserve')).toBeUndefined();
    expect(table?.rows).toContainEqual([
      'Commit / Reserve',
      '–',
      '–',
      'at least 0.9',
      'not measured',
    ]);
    expect(table?.rows).toContainEqual([
      "uses of the client's meter in a second, in one process",
      '2,000,000',
      '900,000 to 2,500,000',
      'at least 1,000,000',
      'met',
    ]);
    expect(table?.rows).toHaveLength(bars.length);
  });
});

test('throughput is drawn in groups, with the least and the most round', () => {
  expect(rowsOf('Throughput').map(({ title, rows }) => [title, rows.length])).toEqual([
    ['Single calls: operations per second', 3],
    ['Many mutations or entries a call: operations per second', 2],
    ['As the ledger grows: operations per second', 1],
  ]);
  const [single] = rowsOf('Throughput');
  expect(single && tableOf(single)).toEqual({
    head: ['', 'the service', 'a baseline', 'least to most'],
    rows: [
      ['The case echo', '–', '1,000', '900 to 1,100'],
      ['The case reserve', '500', '–', '420 to 600'],
      ['The case textbook', '–', '100', '90 to 110'],
    ],
  });
});

test('latency has every percentile of every case', () => {
  const [latency] = rowsOf('Latency');
  expect(latency?.rows).toHaveLength(cases.length);
  expect(latency?.rows[0]).toMatchObject({ figures: [10, 20, 40, 80], text: '10.0 and 40.0 ms' });
});

test('CPU time is by process; textbook would leave no room for others', () => {
  const [single, many] = rowsOf('CPU time per operation');
  expect(single?.rows.map(({ label }) => label)).toEqual(['The case echo', 'The case reserve']);
  expect(single?.rows[0]).toMatchObject({ figures: [100, 50, 30], noise: [180, 180] });
  expect(many?.rows.at(-1)).toMatchObject({ figures: [null, 50, 30] });
});

test('the last table has every case', () => {
  const { rows } = page.sections.at(-1)?.table ?? { rows: [] };
  expect(rows).toHaveLength(cases.length);
  expect(rows[1]).toEqual(
    ['The case reserve', '500 call', '500 · 420 · 600', '10.00', '20.00', '40.00', '80.00'].concat([
      '100',
      '50',
      '30',
      '20 %',
      '200',
      '–',
    ]),
  );
});

test('the page says what disturbed the run, and is written', () => {
  expect(page.about.at(-1)).toMatch(/^Mind that other processes used up to 20 %/);
  expect(htmlOf(page)).toContain('2 × A &lt;CPU&gt;');
});

test('a run of one case has a page', () => {
  const [echo] = cases;
  const one = {
    ...results,
    cases: echo ? [echo] : [],
    bars: checkBars(NOTHING, null),
    soak: null,
  };
  const headings = [...htmlOf(pageOf(one)).matchAll(/<h2[^>]*>([^<]*)/g)].map(([, text]) => text);
  expect(headings).toEqual(['Throughput', 'Latency', 'CPU time per operation', 'Every figure']);
});
