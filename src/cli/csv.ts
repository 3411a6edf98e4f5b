/** CSV for spreadsheets and other programs. */
import { stringify } from 'csv-stringify/sync';

const NUMBER = /^-?\d+(\.\d+)?$/;

/** RFC 4180. A text that a spreadsheet would read as a formula gets an apostrophe; a number below 0 is none. */
export const csvText = (rows: readonly (readonly (string | bigint)[])[]): string =>
  stringify(
    rows.map((row) => [...row]),
    {
      record_delimiter: 'windows',
      escape_formulas: true,
      cast: {
        bigint: (value) => ({ value: value.toString(), escape_formulas: false }),
        string: (value) => (NUMBER.test(value) ? { value, escape_formulas: false } : value),
      },
    },
  );
