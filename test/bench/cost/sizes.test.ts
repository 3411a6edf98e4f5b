import pg from 'pg';
import { expect, inject, test } from 'vitest';
import { createEmptyDatabase } from '../../postgres.ts';
import { growthOf, type Relation, readSizes, totalsOf } from './sizes.ts';

const heap = (name: string, bytes: number): Relation => ({
  table: name,
  name,
  kind: 'heap',
  bytes,
});
const index = (name: string, bytes: number): Relation => ({
  table: name.split('_')[0] as string,
  name,
  kind: 'index',
  bytes,
});

test('growth is the difference per operation; what kept its size is left out', () => {
  const before = [heap('entries', 8_192), heap('plans', 8_192), index('entries_pkey', 16_384)];
  const after = [heap('entries', 24_576), heap('plans', 8_192), index('entries_pkey', 20_480)];
  expect(growthOf(before, after, 4)).toEqual([
    heap('entries', 4_096),
    index('entries_pkey', 1_024),
  ]);
});

test('a relation that is new grew by its whole size', () => {
  expect(growthOf([], [index('entries_by_trace', 8_192)], 2)).toEqual([
    index('entries_by_trace', 4_096),
  ]);
});

test('the totals tell the lookup indexes of entries apart, and count TOAST as heap', () => {
  const toast: Relation = { table: 'entries', name: 'entries TOAST', kind: 'toast', bytes: 5 };
  const growth = [
    ...[heap('entries', 100), toast, index('entries_pkey', 20), index('requests_by_time', 8)],
    ...[index('entries_by_trace', 40), index('entries_by_reference', 2)],
  ];
  expect(totalsOf(growth)).toEqual({
    heap: 105,
    index: 28,
    lookup: 42,
    withoutLookup: 133,
    all: 175,
  });
});

test('sizes are those of tables, their indexes and their TOAST', async () => {
  const sql = new pg.Client(await createEmptyDatabase(inject('postgresUrl')));
  await sql.connect();
  try {
    await sql.query('create table notes (id int primary key, text text)');
    await sql.query('create table numbers (id int)');
    const page = 8_192;
    expect(await readSizes(sql)).toEqual([
      { table: 'notes', name: 'notes', kind: 'heap', bytes: 0 },
      { table: 'notes', name: 'notes TOAST', kind: 'toast', bytes: page },
      { table: 'notes', name: 'notes_pkey', kind: 'index', bytes: page },
      { table: 'numbers', name: 'numbers', kind: 'heap', bytes: 0 },
    ]);
    await sql.query("insert into notes values (1, 'short')");
    const [notes] = await readSizes(sql);
    expect(notes?.bytes).toBe(page);
  } finally {
    await sql.end();
  }
});
