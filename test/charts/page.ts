/**
 * Charts and tables as one HTML page that needs nothing else: no script, no request; light and dark; each chart
 * drawn for a wide and for a narrow screen, with a table of its figures.
 */
import { type Chart, type Table, tableOf } from './chart.ts';
import { NARROW, WIDE } from './option.ts';
import { svg } from './svg.ts';

export type Page = {
  readonly title: string;
  /** What was run, where and when; a paragraph each. */
  readonly about: readonly string[];
  /** Charts without rows are left out, and sections that have nothing else. */
  readonly sections: readonly Section[];
  readonly notes: readonly string[];
};

export type Section = {
  readonly title: string;
  readonly charts: readonly Chart[];
  /** A table without a chart. */
  readonly table?: Table;
};

export const escaped = (text: string): string =>
  text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');

const STYLE = `
  :root { color-scheme: light dark;
    --paper: #fff; --ink: #1b1f24; --quiet: #5b6470; --line: #d9dee5;
    --blue: #1f6fb5; --orange: #cf6208; --green: #22845a; --purple: #7a4fa3; --red: #b3261e }
  @media (prefers-color-scheme: dark) { :root {
    --paper: #12161b; --ink: #e8ecf1; --quiet: #a3adb9; --line: #2c343e;
    --blue: #6db1f0; --orange: #f2a04a; --green: #5cc795; --purple: #c29bea; --red: #ff8a80 } }
  * { box-sizing: border-box }
  body { margin: 0 auto; max-width: 60rem; padding: 1.5rem 1rem 4rem; background: var(--paper); color: var(--ink);
    font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: break-word }
  h1 { font-size: 1.6rem; margin: 0 0 .5rem }
  h2 { font-size: 1.25rem; margin: 3rem 0 0; padding-top: .75rem; border-top: 1px solid var(--line) }
  h3 { font-size: 1rem; margin: 1.5rem 0 0 }
  p { margin: .25rem 0; max-width: 45rem }
  a { color: var(--blue) }
  .quiet { color: var(--quiet); font-size: .875rem }
  nav ul, .legend { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; list-style: none; margin: .75rem 0; padding: 0 }
  .legend { font-size: .875rem }
  .legend i { display: inline-block; width: .75em; height: .75em; margin-right: .4em; border-radius: 2px }
  figure { margin: 0 }
  svg { display: block; width: 100%; height: auto; font-family: inherit }
  .narrow { display: none }
  @media (max-width: 44rem) { .wide { display: none } .narrow { display: block } }
  details { margin: .5rem 0 0 }
  summary { cursor: pointer; color: var(--quiet); font-size: .875rem; padding: .25rem 0 }
  .scroll { overflow: auto; max-height: 32rem }
  :focus-visible { outline: 2px solid var(--blue); outline-offset: 2px }
  table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums }
  th, td { text-align: right; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: top;
    font-weight: 400; white-space: nowrap }
  thead th { color: var(--quiet) }
  tbody th, thead th:first-child { text-align: left; white-space: normal; min-width: 11rem }`;

export function htmlOf({ title, about, sections, notes }: Page): string {
  const shown = sections
    .map((section) => ({
      ...section,
      charts: section.charts.filter(({ rows }) => rows.length > 0),
    }))
    .filter(({ charts, table }) => charts.length > 0 || table);
  const links = shown.map(
    (section, index) => `<li><a href="#part-${index}">${escaped(section.title)}</a>`,
  );
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escaped(title)}</title>
<style>${STYLE}
</style>
<main>
<h1>${escaped(title)}</h1>
${about.map(quiet).join('\n')}
<nav aria-label="Parts of this page"><ul>${links.join('')}</ul></nav>
${shown.map(sectionHtml).join('\n')}
${notes.map(quiet).join('\n')}
</main>
</html>
`;
}

const quiet = (text: string): string => `<p class="quiet">${escaped(text)}</p>`;

function sectionHtml({ title, charts, table }: Section, index: number): string {
  const parts = [...charts.map(figure), ...(table ? [tableHtml(title, table)] : [])];
  return `<section aria-labelledby="part-${index}">
<h2 id="part-${index}">${escaped(title)}</h2>
${parts.join('\n')}
</section>`;
}

function figure(chart: Chart): string {
  const { title, about } = chart;
  const label = escaped(`${title}. The table below has the figures.`);
  return `<figure>
<figcaption><h3>${escaped(title)}</h3>${quiet(about)}</figcaption>
${legend(chart)}
<div class="wide">${svg(chart, WIDE, label)}</div>
<div class="narrow">${svg(chart, NARROW, label)}</div>
<details><summary>Figures: ${escaped(title)}</summary>${tableHtml(title, tableOf(chart))}</details>
</figure>`;
}

/** Of the series that have figures; one alone is what the title says. */
function legend({ series, rows }: Chart): string {
  const present = series.filter((_, at) => rows.some(({ figures }) => figures[at] != null));
  if (present.length < 2) return '';
  const items = present.map(
    ({ name, tone }) => `<li><i style="background: var(--${tone})"></i>${escaped(name)}`,
  );
  return `<ul class="legend">${items.join('')}</ul>`;
}

/** A table that scrolls by itself, also by the keyboard. */
function tableHtml(title: string, { head, rows }: Table): string {
  const headings = head.map((cell) => `<th scope="col">${escaped(cell)}`);
  const lines = rows.map(([heading = '', ...cells]) => {
    const others = cells.map((cell) => `<td>${escaped(cell)}`);
    return `<tr><th scope="row">${escaped(heading)}${others.join('')}`;
  });
  return `<div class="scroll" tabindex="0" role="region" aria-label="Figures: ${escaped(title)}">
<table><thead><tr>${headings.join('')}<tbody>${lines.join('\n')}</table></div>`;
}
