/**
 * A table: on a phone each row is a card, with the title of each column before its value. The roles say that it is a
 * table even where it looks like cards: browsers forget that with another `display`.
 */
import type { ComponentChildren } from 'preact';

export type Column<Row> = {
  readonly title: ComponentChildren;
  /** The title as text, for cards; of a column whose title is no text. */
  readonly name?: string;
  readonly isNumber?: boolean;
  readonly cell: (row: Row) => ComponentChildren;
  /** Left out if no row has it; a card leaves it out if its row has it not. */
  readonly isUsed?: (row: Row) => boolean;
  /** The column that names the row: the head of its card. */
  readonly isHead?: boolean;
};

const classOf = (...names: readonly (string | false | undefined)[]): string =>
  names.filter(Boolean).join(' ');

export function Table<Row>({
  caption,
  columns,
  rows,
  keyOf,
  rowClass,
  isDense = false,
}: {
  /** What the table shows, for those who do not see it. */
  readonly caption: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly keyOf: (row: Row) => string;
  readonly rowClass?: (row: Row) => string;
  /** Its cards are lines of text, not a line for each column: for long lists. */
  readonly isDense?: boolean;
}) {
  const used = columns.filter(({ isUsed }) => !isUsed || rows.some(isUsed));
  return (
    <table class={isDense ? 'table is-dense' : 'table'} role="table">
      <caption class="unseen">{caption}</caption>
      <thead role="rowgroup">
        <tr role="row">
          {used.map(({ title, isNumber }, index) => (
            <th key={index} scope="col" role="columnheader" class={isNumber ? 'number' : undefined}>
              {title}
            </th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {rows.map((row) => (
          <tr key={keyOf(row)} role="row" class={rowClass?.(row)}>
            {used.map(({ title, name, isNumber, isHead, isUsed, cell }, index) => {
              const attributes = {
                key: index,
                class: classOf(
                  isNumber && 'number',
                  isHead && 'head',
                  isUsed?.(row) === false && 'unused',
                ),
                'data-title': name ?? (typeof title === 'string' ? title : ''),
              };
              const content = <div class="cell">{cell(row)}</div>;
              return isHead ? (
                <th scope="row" role="rowheader" {...attributes}>
                  {content}
                </th>
              ) : (
                <td role="cell" {...attributes}>
                  {content}
                </td>
              );
            })}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
