/** Formats the lines of a scenario as a plain-text table. */
import type { Line } from './step.ts';

type Column = {
  readonly title: string;
  readonly align: 'left' | 'right';
  readonly cell: (line: Line, index: number) => string;
};

const COLUMNS: readonly Column[] = [
  { title: 'step', align: 'right', cell: (_, index) => String(index + 1) },
  { title: 'operation', align: 'left', cell: ({ operation }) => operation },
  { title: 'credits', align: 'right', cell: ({ credits }) => formatCredits(credits) },
  { title: 'available', align: 'right', cell: ({ available }) => formatCredits(available) },
  { title: 'note', align: 'left', cell: ({ note }) => note },
];

const formatCredits = (credits: bigint): string => credits.toLocaleString('en');

/** The table with its column titles, a row per line. */
export function formatTable(lines: readonly Line[]): string {
  const columns = COLUMNS.map(({ title, align, cell }) => {
    const cells = [title, ...lines.map(cell)];
    const width = Math.max(...cells.map((text) => text.length));
    return cells.map((text) => (align === 'left' ? text.padEnd(width) : text.padStart(width)));
  });
  const rows = [...lines.keys(), lines.length].map((row) =>
    columns
      .map((cells) => cells[row])
      .join('  ')
      .trimEnd(),
  );
  return rows.join('\n');
}
