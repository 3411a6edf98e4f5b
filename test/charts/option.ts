/**
 * A chart as an option of ECharts. Colours are variables of the page's style sheet, so that one drawing
 * serves light and dark.
 */
import type { CustomSeriesOption } from 'echarts/charts';
import type { EChartsCoreOption } from 'echarts/core';
import {
  type Bars,
  type Chart,
  type Columns,
  type Dots,
  extentOf,
  type Lines,
  type Tone,
  textOf,
} from './chart.ts';

/** Labels stand left of their rows on a wide page, and above them on a narrow one. */
export type Layout = { readonly width: number; readonly labels: 'left' | 'above' };

export const WIDE: Layout = { width: 860, labels: 'left' };
export const NARROW: Layout = { width: 340, labels: 'above' };

export type Plan = { readonly option: EChartsCoreOption; readonly height: number };

const LABELS = 300;
const BAR = 12;
/** Room beside a drawing, e.g. for half of the last figure of a scale. */
const SIDE = 14;
const ROW = 28;
const TEXT_LINE = 14;
const AXIS = 28;
const COLUMNS = 240;
/** The width of a character in a wide font: nothing measures text here. */
const CHARACTER = 7;
/** More rows than this have no marks on their lines. */
const MARKED_MAX = 30;

/** The marks and the patterns of the series, so that colour is not all that tells them apart. */
const MARKS = ['circle', 'rect', 'triangle', 'diamond'];
const PATTERNS = ['solid', [7, 4], [2, 3], [10, 3, 2, 3]] as const;

const variable = (name: Tone | 'ink' | 'quiet' | 'line'): string => `var(--${name})`;
const TEXT = { color: variable('quiet'), fontFamily: 'inherit', fontSize: 12 };
const STILL = { silent: true, emphasis: { disabled: true } };

const compact = (figure: number): string =>
  figure.toLocaleString('en', { notation: 'compact', maximumFractionDigits: 2 });

export function plan(chart: Chart, layout: Layout): Plan {
  switch (chart.kind) {
    case 'bars':
    case 'dots':
      return rowsBelowEachOther(chart, layout);
    case 'columns':
    case 'lines':
      return rowsSideBySide(chart, layout);
  }
}

function rowsBelowEachOther(chart: Bars | Dots, { width, labels }: Layout): Plan {
  const { kind, rows, show } = chart;
  const isAbove = labels === 'above';
  const texts = rows.map((row) => textOf(row, show));
  const charactersMax = Math.floor((isAbove ? width - 2 * SIDE : LABELS - SIDE) / CHARACTER);
  const named = rows.map(({ label }, row) =>
    wrapped(isAbove ? `${label}: ${texts[row]}` : label, charactersMax),
  );
  const lines = Math.max(1, ...named.map((name) => name.split('\n').length));
  const row = isAbove ? ROW + lines * TEXT_LINE : Math.max(ROW, (lines + 0.5) * TEXT_LINE);
  const height = rows.length * row;
  // Labels above their rows stand out of the first one.
  const top = (kind === 'dots' && chart.against ? 20 : 0) + (isAbove ? (lines * TEXT_LINE) / 2 : 0);
  const scale = kind === 'dots' ? { type: 'log', logBase: chart.base } : { type: 'value', min: 0 };
  const place = isAbove
    ? { inside: true, margin: 0, verticalAlign: 'bottom', padding: [0, 0, BAR / 2 + 3, 0] }
    : {};
  const option = {
    animation: false,
    grid: {
      left: isAbove ? SIDE : LABELS,
      right: SIDE + (isAbove ? 0 : longest(texts) * CHARACTER),
      top,
      height,
      outerBoundsMode: 'none',
    },
    xAxis: {
      ...scale,
      splitNumber: isAbove ? 3 : 5,
      axisLabel: { ...TEXT, formatter: compact, hideOverlap: true },
      splitLine: { lineStyle: { color: variable('line') } },
    },
    yAxis: {
      type: 'category',
      inverse: true,
      data: named,
      axisLine: { show: false },
      axisTick: { show: false },
      axisLabel: {
        ...TEXT,
        ...place,
        color: variable('ink'),
        interval: 0,
        lineHeight: TEXT_LINE,
      },
      z: 3,
    },
    series: [
      extents(chart, isAbove ? [] : texts),
      ...(kind === 'bars' ? bars(chart) : dots(chart)),
    ],
  };
  return { option, height: top + height + AXIS };
}

const longest = (texts: readonly string[]): number =>
  Math.max(0, ...texts.map(({ length }) => length));

/** Breaks a text between words into lines of at most so many characters. */
export function wrapped(text: string, charactersMax: number): string {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1) ?? '';
    if (line !== '' && line.length + 1 + word.length > charactersMax) lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines.join('\n');
}

const bars = ({ series, rows }: Bars): readonly unknown[] =>
  series.map(({ name, tone }, at) => ({
    ...STILL,
    type: 'bar',
    name,
    stack: 'row',
    barWidth: BAR,
    itemStyle: { color: variable(tone) },
    data: rows.map(({ figures }) => figures[at] ?? null),
  }));

const dots = ({ series, rows, against }: Dots): readonly unknown[] =>
  series.map(({ name, tone }, at) => ({
    ...STILL,
    type: 'scatter',
    name,
    symbol: MARKS[at % MARKS.length],
    symbolSize: 9,
    itemStyle: { color: variable(tone) },
    data: rows.map(({ figures }, row) => [figures[at] ?? null, row]),
    ...(against && at === 0 ? { markLine: lineAt(against) } : {}),
  }));

const lineAt = ({ figure, name }: NonNullable<Dots['against']>) => ({
  ...STILL,
  symbol: 'none',
  lineStyle: { color: variable('ink'), type: [4, 3], width: 1 },
  label: { ...TEXT, color: variable('ink'), formatter: name, position: 'start' },
  data: [{ xAxis: figure }],
});

/** Of each row a line from its least to its most, and its text to the right of it. */
function extents({ kind, rows }: Bars | Dots, texts: readonly string[]): CustomSeriesOption {
  return {
    silent: true,
    type: 'custom',
    z: 4,
    // The scale must have room for all of them.
    encode: { x: [0, 1], y: 2 },
    data: rows.map((row, index) => [...extentOf(row, kind), index]),
    renderItem: (_, api) => {
      const [least, most, index] = [api.value(0), api.value(1), Number(api.value(2))] as const;
      const noise = rows[index]?.noise;
      const [left = 0, y = 0] = api.coord([noise?.[0] ?? least, index]);
      const [end = 0] = api.coord([noise?.[1] ?? most, index]);
      const [right = 0] = api.coord([most, index]);
      const line = (x1: number, y1: number, x2: number, y2: number) =>
        ({
          type: 'line',
          shape: { x1, y1, x2, y2 },
          style: { stroke: variable('ink'), fill: 'none', lineWidth: 1, opacity: noise ? 1 : 0.4 },
        }) as const;
      const ends = noise ? [left, end].map((x) => line(x, y - 4, x, y + 4)) : [];
      const lines = noise || kind === 'dots' ? [line(left, y, end, y), ...ends] : [];
      const style = { ...TEXT, fill: variable('ink'), verticalAlign: 'middle' } as const;
      return {
        type: 'group',
        children: [
          ...lines,
          { type: 'text', x: right + 9, y, style: { ...style, text: texts[index] ?? '' } },
        ],
      };
    },
  };
}

function rowsSideBySide(chart: Columns | Lines, { labels }: Layout): Plan {
  const { kind, rows } = chart;
  const option = {
    animation: false,
    grid: {
      left: labels === 'above' ? 44 : 56,
      right: 2 * SIDE,
      top: 10,
      height: COLUMNS,
      outerBoundsMode: 'none',
    },
    xAxis: {
      type: 'category',
      data: rows.map(({ label }) => label),
      boundaryGap: kind === 'columns',
      axisLine: { onZero: false, lineStyle: { color: variable('quiet') } },
      axisTick: { show: false },
      axisLabel: { ...TEXT, hideOverlap: true },
    },
    yAxis: {
      type: 'value',
      splitNumber: 4,
      axisLabel: { ...TEXT, formatter: compact },
      splitLine: { lineStyle: { color: variable('line') } },
    },
    series: kind === 'columns' ? columns(chart) : lines(chart),
  };
  return { option, height: COLUMNS + 10 + AXIS };
}

const columns = ({ series, rows }: Columns): readonly unknown[] =>
  series.map(({ name, tone }, at) => ({
    ...STILL,
    type: 'bar',
    name,
    stack: 'row',
    barMaxWidth: 32,
    itemStyle: { color: variable(tone) },
    data: rows.map(({ figures }) => figures[at] ?? null),
  }));

const lines = ({ series, rows }: Lines): readonly unknown[] =>
  series.map(({ name, tone }, at) => ({
    ...STILL,
    type: 'line',
    name,
    symbol: MARKS[at % MARKS.length],
    showSymbol: rows.length <= MARKED_MAX,
    symbolSize: 5,
    lineStyle: { color: variable(tone), width: 2, type: PATTERNS[at % PATTERNS.length] },
    itemStyle: { color: variable(tone) },
    data: rows.map(({ figures }) => figures[at] ?? null),
  }));
