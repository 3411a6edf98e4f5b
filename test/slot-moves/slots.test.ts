/** Which slots a move takes. */
import fc from 'fast-check';
import { describe, expect, inject, test } from 'vitest';
import { evenSlots } from '../../src/cells/cell-map.ts';
import { slotOf } from '../../src/cells/slot.ts';
import { formatRanges, fromRanges, slotsOf, toRanges } from '../../src/cells/slot-ranges.ts';
import {
  ACCOUNT_TABLES,
  MOVING_TABLES,
  STAYING_TABLES,
} from '../../src/slot-moves/account-tables.ts';
import {
  isInSlotsSql,
  mapAfter,
  parseSlots,
  shareOf,
  slotSql,
} from '../../src/slot-moves/slots.ts';
import { createDatabase, execute } from '../postgres.ts';

const slots = fc
  .uniqueArray(fc.integer({ min: 0, max: 4_095 }), { minLength: 1, maxLength: 40 })
  .map((list) => list.sort((a, b) => a - b));

describe('a list of slots', () => {
  test.each([
    ['7', [7]],
    ['0-3', [0, 1, 2, 3]],
    ['5, 1-2,2', [1, 2, 5]],
    ['4095', [4_095]],
  ])('%s', (text, expected) => {
    expect(parseSlots(text)).toEqual(expected);
  });

  test.each(['', 'x', '1-', '-1', '3-1', '4096', '0-9999', '1;2'])('"%s" is refused', (text) => {
    expect(parseSlots(text)).toEqual(expect.any(String));
  });

  test('is written as ranges, and read again', () => {
    fc.assert(
      fc.property(slots, (given) => {
        expect(fromRanges(toRanges(given))).toEqual(given);
        expect(parseSlots(formatRanges(toRanges(given)))).toEqual(given);
      }),
    );
  });
});

test('the next map gives the slots to the other cell, and leaves all others', () => {
  const map = { version: 3, cells: evenSlots(['a', 'b']) };
  fc.assert(
    fc.property(slots, (given) => {
      const after = mapAfter(map, given, 'c');
      expect(after.version).toBe(4);
      expect(slotsOf(after, 'c')).toEqual(given);
      for (const [slot, cell] of after.cells.entries())
        if (!given.includes(slot)) expect(cell).toBe(map.cells[slot]);
    }),
  );
});

test('a share is the last slots of a cell, at least one', () => {
  const map = { version: 1, cells: evenSlots(['a', 'b']) };
  expect(toRanges(shareOf(map, 'a', 50))).toEqual([[1_024, 2_047]]);
  expect(shareOf(map, 'b', 100)).toHaveLength(2_048);
  expect(shareOf(mapAfter(map, slotsOf(map, 'a').slice(1), 'b'), 'a', 1)).toEqual([0]);
});

test('PostgreSQL finds the slots that the service finds', async () => {
  const url = await createDatabase(inject('postgresUrl'));
  const ids = ['acme', 'Acme', 'a', '0', '~', 'account-1', 'tenant:42/user@example.org'];
  const own = ids.slice(0, 3).map(slotOf);
  const rows = await execute(
    url,
    `select id, account_slot(id) as documented, ${slotSql('id')} as slot, ${isInSlotsSql('id', own)} as own
     from unnest(array['${ids.join("','")}']) as id`,
  );
  expect(rows).toEqual(
    ids.map((id) => ({
      id,
      documented: slotOf(id),
      slot: slotOf(id),
      own: own.includes(slotOf(id)),
    })),
  );
});

describe('every table', () => {
  test('moves with its accounts or stays, and the code says which', async () => {
    const url = await createDatabase(inject('postgresUrl'));
    const rows = await execute(
      url,
      `select table_name::text as name from information_schema.tables
       where table_schema = 'public' and table_type = 'BASE TABLE' order by 1`,
    );
    expect(rows.map(({ name }) => name)).toEqual(
      [...Object.keys(MOVING_TABLES), ...Object.keys(STAYING_TABLES)].sort(),
    );
  });

  test('that has accounts moves, but where events have their positions, and where entries are archived', async () => {
    const url = await createDatabase(inject('postgresUrl'));
    const rows = await execute(
      url,
      `select c.table_name::text as name from information_schema.columns c
       join information_schema.tables t using (table_schema, table_name)
       where table_schema = 'public' and table_type = 'BASE TABLE' and column_name = 'account_id'
         and c.table_name not in ('moved_events', 'archived_accounts', 'archived_requests')
       order by 1`,
    );
    expect(rows.map(({ name }) => name)).toEqual(ACCOUNT_TABLES.toSorted());
  });
});
