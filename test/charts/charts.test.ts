/** A chart's drawings and its table are made of the same rows; a page of them needs nothing else. */
import { describe, expect, test } from 'vitest';
import {
  type Bars,
  type Chart,
  type Dots,
  extentOf,
  type Lines,
  tableOf,
  textOf,
} from './chart.ts';
import { NARROW, plan, WIDE, wrapped } from './option.ts';
import { htmlOf, type Page } from './page.ts';
import { svg } from './svg.ts';

const show = (figure: number) => `${figure} ms`;

const bars: Bars = {
  kind: 'bars',
  title: 'CPU & more',
  about: 'By process.',
  series: [
    { name: 'service', tone: 'blue' },
    { name: 'client', tone: 'orange' },
  ],
  rows: [
    { label: 'Reserve <hot>', figures: [3, 4], noise: [5, 9] },
    { label: 'COPY', figures: [null, 2] },
  ],
  show,
};
const dots: Dots = { ...bars, kind: 'dots', base: 2, against: { figure: 1, name: 'required' } };
const months = ['2028-01', '2028-02', '2028-03'];
const lines: Lines = {
  ...bars,
  kind: 'lines',
  rows: months.map((label, at) => ({ label, figures: [at, -at] })),
};
const charts: readonly Chart[] = [bars, dots, { ...lines, kind: 'columns' }, lines];

describe('the table', () => {
  test('has every figure, and how far measurements were apart', () => {
    expect(tableOf(bars)).toEqual({
      head: ['', 'service', 'client', 'least to most'],
      rows: [
        ['Reserve <hot>', '3 ms', '4 ms', '5 ms to 9 ms'],
        ['COPY', '–', '2 ms', '–'],
      ],
    });
  });

  test('has no such column where nothing was repeated', () => {
    expect(tableOf(lines).head).toEqual(['', 'service', 'client']);
  });

  test('can be another one', () => {
    const table = { head: ['', 'required'], rows: [['COPY', 'at least 2']] };
    expect(tableOf({ ...bars, table })).toBe(table);
  });
});

test.each([
  ['bars', [3, 4], undefined, [7, 7]],
  ['bars', [3, 4], [5, 9], [5, 9]],
  ['bars', [null, null], undefined, [0, 0]],
  ['dots', [3, 4], undefined, [3, 4]],
  ['dots', [3, null], [2, 5], [2, 5]],
  ['dots', [null, null], undefined, [0, 0]],
] as const)('a row of %s with %j and noise %j', (kind, figures, noise, extent) => {
  expect(extentOf({ label: '', figures, ...(noise ? { noise } : {}) }, kind)).toEqual(extent);
});

test.each([
  [{ label: '', figures: [3, 4] }, '3 ms + 4 ms'],
  [{ label: '', figures: [null, 2] }, '2 ms'],
  [{ label: '', figures: [3, 4], text: '3 and 4' }, '3 and 4'],
])('%j says %s', (row, text) => {
  expect(textOf(row, show)).toBe(text);
});

test.each([
  ['Reserve then Commit', 12, 'Reserve then\nCommit'],
  ['Reserve then Commit', 11, 'Reserve\nthen Commit'],
  ['Reserve', 3, 'Reserve'],
  ['', 3, ''],
])('%j in lines of %d characters', (text, characters, expected) => {
  expect(wrapped(text, characters)).toBe(expected);
});

describe.each(charts)('$kind', (chart) => {
  test.each([
    ['wide', WIDE],
    ['narrow', NARROW],
  ])('drawn %s: it fits, and has every label', (_, layout) => {
    const drawn = svg(chart, layout, 'all of it');
    const { height } = plan(chart, layout);
    expect(drawn).toMatch(
      `<svg viewBox="0 0 ${layout.width} ${height}" role="img" aria-label="all of it">`,
    );
    for (const { label } of chart.rows)
      expect(drawn.replaceAll('&lt;', '<').replaceAll('&gt;', '>')).toContain(label);
  });

  test('its colours are those of the page', () => {
    const drawn = svg(chart, WIDE, '');
    for (const { tone } of chart.series) expect(drawn).toContain(`"var(--${tone})"`);
    // What only cuts others off is not seen.
    const seen = drawn.replace(/<defs[\s\S]*?<\/defs>/g, '');
    const others = [...seen.matchAll(/(?:fill|stroke)="([^"]*)"/g)].flatMap(([, colour]) => colour);
    expect(others.filter((colour) => !/^(none|var\(--\w+\))$/.test(colour ?? ''))).toEqual([]);
  });

  test('the same chart is the same drawing', () => {
    // Without numbers of elements, which go on from drawing to drawing.
    const drawn = () => svg(chart, WIDE, '').replace(/zr\d+-/g, '');
    expect(drawn()).toBe(drawn());
  });
});

describe('a narrow drawing', () => {
  test('has labels and texts above the rows', () => {
    const drawn = svg(bars, NARROW, '');
    expect(drawn).toContain('COPY: 2 ms');
    expect(svg(bars, WIDE, '')).not.toContain('COPY: 2 ms');
    expect(plan(bars, NARROW).height).toBeGreaterThan(plan(bars, WIDE).height);
  });

  test('is higher for labels of several lines', () => {
    const rows = bars.rows.map((row) => ({ ...row, label: `${row.label} ${'word '.repeat(20)}` }));
    expect(plan({ ...bars, rows }, NARROW).height).toBeGreaterThan(plan(bars, NARROW).height);
  });
});

describe('the page', () => {
  const page: Page = {
    title: 'Bench <main>',
    about: ['2 cores & 4 GB'],
    sections: [
      { title: 'Charts', charts },
      { title: 'Nothing', charts: [{ ...bars, rows: [] }] },
      { title: 'All', charts: [], table: { head: ['', 'p50'], rows: [['Reserve <hot>', '2 ms']] } },
    ],
    notes: ['verify: ok'],
  };
  const html = htmlOf(page);

  test('needs nothing else, and allows nothing else', () => {
    expect(html).toContain(`content="default-src 'none'; style-src 'unsafe-inline'"`);
    expect(html).not.toMatch(
      /<script|<link|<img|<iframe|<image|\bsrc=|url\((?!#)|@import|\bon\w+=/,
    );
    const links = [...html.matchAll(/href="([^"]*)"/g)].map(([, link]) => link);
    expect(links).toEqual(['#part-0', '#part-1']);
  });

  test('has both drawings of each chart, and under them its table', () => {
    const parts = html.split('<figure>').slice(1);
    expect(parts).toHaveLength(charts.length);
    for (const [at, chart] of charts.entries())
      expect(parts[at]).toMatch(
        new RegExp(
          `<div class="wide"><svg [\\s\\S]*<div class="narrow"><svg [\\s\\S]*<details>[\\s\\S]*` +
            `(<th scope="row">[\\s\\S]*){${chart.rows.length}}`,
        ),
      );
  });

  test('names every drawing and every table', () => {
    expect(html.match(/<svg [^>]*role="img" aria-label="[^"]+\."/g)).toHaveLength(
      2 * charts.length,
    );
    const tables = html.match(/<table>/g)?.length;
    expect(html.match(/role="region" aria-label="[^"]+"/g)).toHaveLength(tables ?? 0);
  });

  test('leaves out what is empty', () => {
    expect(html).not.toContain('Nothing');
  });

  test('has no text as markup', () => {
    expect(html).not.toMatch(/<hot>|<main>(?!\n)|& more|& 4/);
    expect(html).toContain('<h1>Bench &lt;main&gt;</h1>');
    expect(html).toContain('<th scope="row">Reserve &lt;hot&gt;');
  });

  test.each(['light', 'dark'])('has every colour for %s', (scheme) => {
    const [light = '', dark = ''] = html.split('prefers-color-scheme: dark');
    for (const [, name] of html.matchAll(/var\(--(\w+)\)/g))
      expect(scheme === 'dark' ? dark : light).toContain(`--${name}: #`);
  });
});
