/** Charts as inline SVG: horizontal bars with their values, and lines over time. */

export type Series = { readonly name: string; readonly colour: string };
export type BarRow = { readonly label: string; readonly values: readonly (number | null)[] };

const WIDTH = 900;
const LABEL = 290;
const VALUE = 90;
const BAR = 14;
const GAP = 8;

export const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

type Scale = 'linear' | 'log';

/** A group of bars per row: below each other, or end to end if `stacked`. */
export function barChart(
  series: readonly Series[],
  rows: readonly BarRow[],
  { scale = 'linear', stacked = false, show }: BarOptions,
): string {
  const lines = stacked ? 1 : series.length;
  const rowHeight = lines * BAR + GAP;
  const lengthOf = lengths(rows, scale, stacked);
  const body = rows.flatMap(({ label, values }, index) => {
    const y = index * rowHeight;
    const middle = y + (lines * BAR) / 2 + 4;
    const text = `<text x="${LABEL - 8}" y="${middle}" text-anchor="end">${escaped(label)}</text>`;
    return [text, ...(stacked ? stack(values, y) : sideBySide(values, y))];
  });
  const height = rows.length * rowHeight;
  return `${legend(series)}<svg viewBox="0 0 ${WIDTH} ${height}" role="img">${body.join('')}</svg>`;

  function sideBySide(values: BarRow['values'], y: number): string[] {
    return values.flatMap((value, at) => {
      if (value === null) return [];
      const top = y + at * BAR;
      return [
        rectangle(LABEL, top, lengthOf(value), series[at]?.colour ?? ''),
        `<text x="${LABEL + lengthOf(value) + 6}" y="${top + BAR - 3}">${show(value)}</text>`,
      ];
    });
  }

  function stack(values: BarRow['values'], y: number): string[] {
    let x = LABEL;
    const parts = values.map((value, at) => {
      const length = lengthOf(value ?? 0);
      const drawn = rectangle(x, y, length, series[at]?.colour ?? '');
      x += length;
      return drawn;
    });
    const sum = values
      .filter((value) => value !== null)
      .map(show)
      .join(' + ');
    return [...parts, `<text x="${x + 6}" y="${y + BAR - 3}">${sum}</text>`];
  }
}

type BarOptions = {
  readonly scale?: Scale;
  readonly stacked?: boolean;
  readonly show: (value: number) => string;
};

function lengths(rows: readonly BarRow[], scale: Scale, stacked: boolean) {
  const sum = (values: BarRow['values']) => values.reduce<number>((a, b) => a + (b ?? 0), 0);
  const totals = rows.flatMap(({ values }) =>
    stacked ? [sum(values)] : values.filter((value) => value !== null),
  );
  const room = WIDTH - LABEL - (stacked ? 2 * VALUE : VALUE);
  const most = Math.max(...totals, Number.MIN_VALUE);
  if (scale === 'linear') return (value: number) => (value / most) * room;
  const least = Math.min(...totals.filter((value) => value > 0)) / 2;
  const decades = Math.log(most / least);
  return (value: number) => (value <= least ? 0 : (Math.log(value / least) / decades) * room);
}

const rectangle = (x: number, y: number, length: number, colour: string): string =>
  `<rect x="${x.toFixed(1)}" y="${y}" width="${length.toFixed(1)}" height="${BAR - 2}" fill="${colour}"/>`;

const legend = (series: readonly Series[]): string =>
  series.length < 2
    ? ''
    : `<p class="legend">${series
        .map(
          ({ name, colour }) => `<span><i style="background:${colour}"></i>${escaped(name)}</span>`,
        )
        .join('')}</p>`;

/** A line over time, from zero. */
export function lineChart(
  points: readonly (readonly [second: number, value: number])[],
  unit: string,
  colour: string,
): string {
  const height = 160;
  const right = points.at(-1)?.[0] ?? 1;
  const top = Math.max(...points.map(([, value]) => value), 1) * 1.1;
  const place = ([second, value]: readonly [number, number]) =>
    `${(60 + (second / right) * (WIDTH - 70)).toFixed(1)},${(height - (value / top) * height).toFixed(1)}`;
  const marks = [0.25, 0.5, 0.75, 1].map((share) => {
    const y = height - (share / 1.1) * height;
    return (
      `<line x1="60" x2="${WIDTH}" y1="${y}" y2="${y}" class="grid"/>` +
      `<text x="54" y="${y + 4}" text-anchor="end">${((top / 1.1) * share).toFixed(0)}</text>`
    );
  });
  return (
    `<svg viewBox="0 -6 ${WIDTH} ${height + 24}" role="img">${marks.join('')}` +
    `<polyline fill="none" stroke="${colour}" stroke-width="1.5" points="${points.map(place).join(' ')}"/>` +
    `<text x="60" y="${height + 14}">0 s</text>` +
    `<text x="${WIDTH}" y="${height + 14}" text-anchor="end">${right} s, in ${escaped(unit)}</text></svg>`
  );
}
