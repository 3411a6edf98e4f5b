import { expect, test } from 'vitest';
import { bulkInsert, bulkUpdate, bulkUpsert } from '../../src/pg/bulk.ts';
import { bigint, boolean, instant, int, json, numeric, text } from '../../src/pg/column.ts';
import { defineTable, type Row } from '../../src/pg/table.ts';

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
    attempts: int('updated').named('tries'),
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
  tries: 2,
  depot: 'd',
} as unknown as Row;

test('a select list has the columns that are read, instants as epoch milliseconds', () => {
  expect(parcels.selectList).toBe(
    "parcel_id, weight, route, postage::text, round(date_part('epoch', sent_at) * 1000) as sent_at, tries, depot",
  );
  expect(parcels.selectListOf('p')).toBe(
    "p.parcel_id, p.weight, p.route, p.postage::text, round(date_part('epoch', p.sent_at) * 1000) as sent_at, p.tries, p.depot",
  );
});

test('a row becomes a domain object', () => {
  expect(parcels.read(row)).toEqual(parcel);
});

test('a few columns can be picked', () => {
  const { selectList, read } = parcels.pick('attempts', 'weight');
  expect(selectList).toBe('weight, tries');
  expect(read(row)).toEqual({ attempts: 2, weight: 7n });
});

test('an insert writes every column, an update those of its group', () => {
  const [insert] = bulkInsert(parcels)([parcel]);
  expect(insert?.text).toContain(
    'insert into parcels (parcel_id, weight, route, postage, sent_at, tries, is_heavy, depot)',
  );
  expect(insert?.parameters).toHaveLength(8);
  const [update] = bulkUpdate(parcels)([parcel]);
  expect(update?.text).toContain('set sent_at = n.sent_at, tries = n.tries, is_heavy = n.is_heavy');
  expect(update?.parameters).toHaveLength(4);
  const [settings] = bulkUpdate(parcels, 'settings')([parcel]);
  expect(settings?.text).toContain('set depot = n.depot');
});

test('an upsert updates the row that has the key', () => {
  const [upsert] = bulkUpsert(parcels)([parcel]);
  expect(upsert?.text).toContain(
    'on conflict (parcel_id) do update set sent_at = excluded.sent_at, tries = excluded.tries',
  );
});

test('nothing is sent for no rows', () => {
  expect(bulkInsert(parcels)([])).toEqual([]);
});
