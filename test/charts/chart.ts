/** Charts as data. A drawing and a table are made of the same rows. */

/** A colour of the page's style sheet, which has each for light and for dark. */
export type Tone = 'blue' | 'orange' | 'green' | 'purple' | 'red';

export type Series = { readonly name: string; readonly tone: Tone };

export type Row = {
  readonly label: string;
  /** One figure for each series; null: none. */
  readonly figures: readonly (number | null)[];
  /** The least and the most of repeated measurements: of the figure, or of the sum of several. */
  readonly noise?: readonly [least: number, most: number];
  /** Shown beside the figures, instead of the figures themselves. */
  readonly text?: string;
};

type Common = {
  readonly title: string;
  /** What is shown and how to read it, in a sentence or two. */
  readonly about: string;
  readonly series: readonly Series[];
  readonly rows: readonly Row[];
  /** A figure as the chart and its table show it. */
  readonly show: (figure: number) => string;
  /** Instead of a table of the rows. */
  readonly table?: Table;
};

/** One horizontal bar for each row; figures of several series are laid end to end. */
export type Bars = Common & { readonly kind: 'bars' };

/** One line for each row with a mark for each figure, on a logarithmic scale. */
export type Dots = Common & {
  readonly kind: 'dots';
  /** The scale has a mark at each power of it. */
  readonly base: 2 | 10;
  /** A figure to compare with, drawn through all rows. */
  readonly against?: { readonly figure: number; readonly name: string };
};

/** One column for each row; figures are piled up, those below zero downwards. */
export type Columns = Common & { readonly kind: 'columns' };

/** One line for each series, through its figures of all rows. */
export type Lines = Common & { readonly kind: 'lines' };

export type Chart = Bars | Dots | Columns | Lines;

export type Table = {
  readonly head: readonly string[];
  /** The first cell of a row is its heading. */
  readonly rows: readonly (readonly string[])[];
};

/** Every figure of a chart, and how far measurements were apart where they were repeated. */
export function tableOf({ series, rows, show, table }: Chart): Table {
  if (table) return table;
  const isRepeated = rows.some(({ noise }) => noise);
  const shown = (figure: number | null | undefined) => (figure == null ? '–' : show(figure));
  const apart = ({ noise }: Row) => (noise ? noise.map(show).join(' to ') : '–');
  return {
    head: ['', ...series.map(({ name }) => name), ...(isRepeated ? ['least to most'] : [])],
    rows: rows.map((row) => [
      row.label,
      ...series.map((_, at) => shown(row.figures[at])),
      ...(isRepeated ? [apart(row)] : []),
    ]),
  };
}

/** What a drawing says beside a row. */
export const textOf = ({ text, figures }: Row, show: Chart['show']): string =>
  text ?? figures.flatMap((figure) => (figure === null ? [] : [show(figure)])).join(' + ');

/** From the least to the most that a drawing marks in a row. */
export function extentOf({ figures, noise }: Row, kind: Chart['kind']): readonly [number, number] {
  const present = figures.filter((figure) => figure !== null);
  const marked = kind === 'bars' ? [present.reduce((sum, figure) => sum + figure, 0)] : present;
  const all = [...marked, ...(noise ?? [])];
  return all.length === 0 ? [0, 0] : [Math.min(...all), Math.max(...all)];
}
