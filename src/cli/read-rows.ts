/** Rows of files that commands read: CSV with a heading, or a JSON object per line. One row of a file is in memory. */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { parse } from 'csv-parse';

export type CsvRow = { readonly line: number; readonly cells: Readonly<Record<string, string>> };

type Parsed = {
  readonly record: Readonly<Record<string, string>>;
  readonly info: { readonly lines: number };
};

export const isCsv = (path: string): boolean => /\.csv$/i.test(path);

/** Throws a CsvError where rows cannot be told apart. `onColumns` is told the heading before the first row. */
export async function* csvRows(
  path: string,
  onColumns: (names: readonly string[]) => void = () => {},
): AsyncGenerator<CsvRow, void, void> {
  const parser = parse({
    bom: true,
    info: true,
    skip_empty_lines: true,
    trim: true,
    columns: (names: readonly string[]) => {
      onColumns(names);
      return [...names];
    },
  });
  const file = createReadStream(path);
  file.on('error', (error) => parser.destroy(error));
  for await (const { record, info } of file.pipe(parser) as AsyncIterable<Parsed>)
    yield { line: info.lines, cells: record };
}

export type JsonRow = {
  readonly line: number;
  /** Null: the line is not one JSON object. */
  readonly value: Readonly<Record<string, unknown>> | null;
};

/** Empty lines are passed over. */
export async function* jsonRows(path: string): AsyncGenerator<JsonRow, void, void> {
  const lines = createInterface({ input: createReadStream(path, 'utf8'), crlfDelay: Infinity });
  let line = 0;
  for await (const text of lines) {
    line += 1;
    if (text.trim() !== '') yield { line, value: parseObject(text) };
  }
}

function parseObject(text: string): JsonRow['value'] {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? { ...value }
      : null;
  } catch {
    return null;
  }
}
