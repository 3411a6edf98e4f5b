/** Tables of any size, of whatever text. */
import { expect, test } from 'vitest';
import { table } from '../../src/cli/table.ts';

const COLUMNS = [{ title: 'seq', align: 'right' }, { title: 'name' }] as const;

test('columns are as wide as their widest cell', () => {
  expect(
    table(COLUMNS, [
      ['1', 'a'],
      ['1000', 'bc'],
    ]),
  ).toEqual([' seq  name', '   1  a', '1000  bc']);
});

test('a row is one line, whatever its text', () => {
  expect(table(COLUMNS, [['1', 'a\nb\u001b[2J\u2028\u{e0001}é日']])[1]).toBe(
    '  1  a\\u{a}b\\u{1b}[2J\\u{2028}\\u{e0001}é日',
  );
});

test('a table can have as many rows as anybody asks for', () => {
  const rows = Array.from({ length: 300_000 }, (_, index) => [`${index}`, 'x']);
  expect(table(COLUMNS, rows)).toHaveLength(rows.length + 1);
});
