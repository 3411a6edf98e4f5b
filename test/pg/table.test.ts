import { describe, expect, test } from 'vitest';
import { bulkDelete, bulkInsert, bulkUpdate, bulkUpsert } from '../../src/pg/bulk.ts';
import {
  bigint,
  boolean,
  code,
  hex,
  instant,
  int,
  json,
  jsonText,
  numeric,
  text,
} from '../../src/pg/column.ts';
import { defineTable, elementOf, type Row } from '../../src/pg/table.ts';

type Parcel = {
  readonly parcelId: string;
  readonly weight: bigint;
  readonly route: readonly string[];
  readonly postage: { readonly amount: string };
  readonly sentAt: number | null;
  readonly attempts: number;
  readonly depot: string;
};

const parcels = defineTable({
  name: 'parcels',
  comment: '',
  columns: {
    parcelId: text('key'),
    weight: bigint('inserted'),
    route: json<string>('inserted').as(
      (stored): readonly string[] => stored.split('>'),
      (route) => route.join('>'),
    ),
    postage: numeric(20, 9)('inserted').from((parcel: Parcel) => parcel.postage.amount),
    sentAt: instant('updated').nullable(),
    attempts: int('updated'),
    isHeavy: boolean('updated').computed((parcel: Parcel) => parcel.weight > 100n),
    depot: text('settings'),
  },
  toDomain: ({ postage, ...values }): Parcel => ({ ...values, postage: { amount: postage } }),
  privileges: '',
});

const parcel: Parcel = {
  parcelId: 'p',
  weight: 7n,
  route: ['a', 'b'],
  postage: { amount: '1.50' },
  sentAt: null,
  attempts: 2,
  depot: 'd',
};

const row = {
  parcel_id: 'p',
  weight: '7',
  route: 'a>b',
  postage: '1.50',
  sent_at: null,
  attempts: 2,
  depot: 'd',
} as unknown as Row;

test('a select list has the columns that are read, instants as epoch milliseconds', () => {
  expect(parcels.selectList).toBe(
    "parcel_id, weight, route, postage::text, round(date_part('epoch', sent_at) * 1000) as sent_at, attempts, depot",
  );
  expect(parcels.selectListOf('p')).toBe(
    "p.parcel_id, p.weight, p.route, p.postage::text, round(date_part('epoch', p.sent_at) * 1000) as sent_at, p.attempts, p.depot",
  );
});

test('a row becomes a domain object', () => {
  expect(parcels.read(row)).toEqual(parcel);
});

test('a few columns can be picked', () => {
  const { selectList, read } = parcels.pick('attempts', 'weight');
  expect(selectList).toBe('weight, attempts');
  expect(read(row)).toEqual({ attempts: 2, weight: 7n });
});

test('an insert writes every column, an update those of its group', () => {
  const [insert] = bulkInsert(parcels)([parcel]);
  expect(insert?.text).toContain(
    'insert into parcels (parcel_id, weight, route, postage, sent_at, attempts, is_heavy, depot)',
  );
  expect(insert?.parameters).toHaveLength(8);
  const [update] = bulkUpdate(parcels)([parcel]);
  expect(update?.text).toContain(
    'set sent_at = n.sent_at, attempts = n.attempts, is_heavy = n.is_heavy',
  );
  expect(update?.parameters).toHaveLength(4);
  const [settings] = bulkUpdate(parcels, 'settings')([parcel]);
  expect(settings?.text).toContain('set depot = n.depot');
});

test('an upsert updates the row that has the key', () => {
  const [upsert] = bulkUpsert(parcels)([parcel]);
  expect(upsert?.text).toContain(
    'on conflict (parcel_id) do update set sent_at = excluded.sent_at, attempts = excluded.attempts',
  );
});

test('a delete names rows by their keys', () => {
  const [statement] = bulkDelete<Pick<Parcel, 'parcelId'>>(parcels)([{ parcelId: 'p' }]);
  expect(statement?.text).toContain(
    'delete from parcels using (select unnest($1::text[]) as parcel_id) as n',
  );
  expect(statement?.text).toContain('where parcels.parcel_id = n.parcel_id');
  expect(statement?.parameters).toHaveLength(1);
});

test('nothing is sent for no rows', () => {
  expect(bulkInsert(parcels)([])).toEqual([]);
  expect(bulkDelete(parcels)([])).toEqual([]);
});

describe('a column in short form', () => {
  const columns = {
    key: text('key'),
    size: code<'SMALL' | 'LARGE'>({ SMALL: 1, LARGE: 2 })('inserted'),
    note: text('inserted').nullIs(''),
    pieces: bigint('inserted').nullIs(1n),
    trace: hex('inserted').nullIs(''),
    stops: jsonText<readonly string[]>('inserted'),
    first: text('inserted').nullable(),
  };
  const table = defineTable({ name: 'letters', comment: '', columns, privileges: '' });
  const written = (letter: object) =>
    table.columns.map((column) => {
      const element = elementOf<object>(column)(letter);
      return element instanceof Uint8Array ? Buffer.from(element).toString('hex') : element;
    });
  const stated = {
    key: 'k',
    size: 'LARGE',
    note: 'n',
    pieces: 3n,
    trace: '0aff',
    stops: ['a'],
    first: 'f',
  };
  const unstated = {
    key: 'k',
    size: 'SMALL',
    note: '',
    pieces: 1n,
    trace: '',
    stops: [],
    first: null,
  };

  test('is written as such', () => {
    expect(written(stated)).toEqual(['k', 2, 'n', 3n, '0aff', '["a"]', 'f']);
    expect(written(unstated)).toEqual(['k', 1, null, null, null, '[]', null]);
  });

  test('is read as its field', () => {
    const read = (row: object) => table.read(row as Row);
    const trace = Buffer.from('0aff', 'hex');
    const row = { key: 'k', size: 2, note: 'n', pieces: '3', trace, stops: ['a'], first: 'f' };
    expect(read(row)).toEqual(stated);
    const nothing = { note: null, pieces: null, trace: null, first: null };
    expect(read({ key: 'k', size: 1, stops: [], ...nothing })).toEqual(unstated);
    expect(() => read({ ...row, size: 3 })).toThrow('there is no name for the code 3');
  });

  test('may be null in SQL where its field is not', () => {
    const nullable = table.columns.filter(({ isNullable }) => isNullable);
    expect(nullable.map(({ name }) => name)).toEqual(['note', 'pieces', 'trace', 'first']);
  });
});
