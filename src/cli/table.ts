/** Plain-text tables. */
import { styleText } from 'node:util';
import { visible } from '../visible-text.ts';

export type Column = { readonly title: string; readonly align?: 'left' | 'right' };

/** Lines of columns that are as wide as their widest cell. Columns without any text are left out. */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
): readonly string[] {
  const used = columns.flatMap((column, index) => {
    const cells = rows.map((row) => visible(row[index] ?? ''));
    return cells.some((cell) => cell !== '') ? [{ ...column, cells }] : [];
  });
  const padded = used.map(({ title, align = 'left', cells }) => {
    const all = [title, ...cells];
    const width = all.reduce((most, { length }) => Math.max(most, length), 0);
    return all.map((text) => (align === 'left' ? text.padEnd(width) : text.padStart(width)));
  });
  const [heading = '', ...lines] = [undefined, ...rows].map((_, row) =>
    padded
      .map((cells) => cells[row])
      .join('  ')
      .trimEnd(),
  );
  return [headingOf(heading), ...lines];
}

/** Stands out on a terminal, unless NO_COLOR is set. */
export const headingOf = (text: string): string =>
  styleText('bold', text, { stream: process.stdout });
