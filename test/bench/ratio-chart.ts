/** The ratios that must be reached, on one scale: each divided by what it must be. */
import type { Dots } from '../charts/chart.ts';
import type { Bar } from './bars.ts';

export function ratios(bars: readonly Bar[]): Dots {
  return {
    kind: 'dots',
    base: 2,
    title: 'How many times each ratio is what it must be',
    about:
      'Right of the line a ratio is reached. What must be small is shown the other way round, so that right is always better.',
    series: [
      { name: 'met', tone: 'green' },
      { name: 'not met', tone: 'red' },
    ],
    against: { figure: 1, name: 'required' },
    rows: bars.flatMap((bar) => {
      const { value, rounds, what, met } = bar;
      if (value === null) return [];
      const times = timesOf(bar, value);
      const noise = extent(rounds.map((round) => timesOf(bar, round)));
      return {
        label: what,
        figures: met ? [times, null] : [null, times],
        text: `${figure(value)} (${requiredOf(bar)})`,
        ...(rounds.length > 1 ? { noise } : {}),
      };
    }),
    show: figure,
    table: {
      head: ['', 'measured', 'least to most', 'required', ''],
      rows: bars.map((bar) => [
        bar.what,
        bar.value === null ? '–' : figure(bar.value),
        bar.rounds.length > 1 ? extent(bar.rounds).map(figure).join(' to ') : '–',
        requiredOf(bar),
        bar.met === null ? 'not measured' : bar.met ? 'met' : 'not met',
      ]),
    },
  };
}

/** How many times a ratio reaches what is required; of one that must be small, the reverse. */
const timesOf = ({ atLeast, atMost = 0 }: Bar, ratio: number): number =>
  atLeast === undefined ? atMost / ratio : ratio / atLeast;

const requiredOf = ({ atLeast, atMost }: Bar): string =>
  atLeast === undefined ? `at most ${atMost}` : `at least ${atLeast.toLocaleString('en')}`;

const figure = (value: number): string => {
  const digits = value < 1_000 ? 2 : 0;
  return value.toLocaleString('en', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
};

const extent = (values: readonly number[]): readonly [number, number] => [
  Math.min(...values),
  Math.max(...values),
];
