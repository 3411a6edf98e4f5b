/** Whether a service may start on its cells, and which map cells without one get. */
import { describe, expect, test } from 'vitest';
import { agreeOnMap, type FoundCell, mapToRecord, olderMaps } from '../../src/cells/agreement.ts';
import { evenSlots, wholeSlots } from '../../src/cells/cell-map.ts';

const MAP = { version: 2, cells: evenSlots(['a', 'b']) };
const a: FoundCell = { name: 'a', recorded: { name: 'a', map: MAP } };
const b: FoundCell = { name: 'b', recorded: { name: 'b', map: MAP } };
const older: FoundCell = {
  name: 'b',
  recorded: { name: 'b', map: { version: 1, cells: wholeSlots('a') } },
};
const down: FoundCell = { name: 'b', unreachable: 'ECONNREFUSED' };

describe('a service with CELLS_FILE', () => {
  test.each([
    ['all cells have the same map', [a, b]],
    ['one of them cannot be reached', [a, down]],
    [
      'one of them has no slots yet',
      [a, b, { name: 'c', recorded: { name: 'c', map: MAP } } satisfies FoundCell],
    ],
    ['one of them has an older map', [a, older]],
  ])('starts where %s', (_, cells) => {
    expect(agreeOnMap(cells, true)).toEqual({ map: MAP });
  });

  test.each<[string, readonly FoundCell[], readonly string[]]>([
    ['no cell can be reached', [down], ['cannot use the database of cell b: ECONNREFUSED']],
    [
      'a cell has no map',
      [a, { name: 'b', recorded: null }],
      ['cell b has recorded no map: run scrip migrate'],
    ],
    [
      'a database is another cell',
      [{ name: 'a', recorded: { name: 'b', map: MAP } }, b],
      [
        'the database of cell a says that it is cell b: correct its URL, schema or name in CELLS_FILE',
      ],
    ],
    [
      'a cell has another map of the same version',
      [a, { name: 'b', recorded: { name: 'b', map: { ...MAP, cells: wholeSlots('b') } } }],
      ['cells b and a have different maps of version 2: run scrip cells list'],
    ],
    [
      'a cell with slots is not listed',
      [a],
      ['the map gives slots to cell b, which CELLS_FILE does not list: add it'],
    ],
  ])('does not start where %s', (_, cells, problems) => {
    expect(agreeOnMap(cells, true)).toEqual({ problems });
  });
});

test('cells with an older map are named to operators', () => {
  expect(olderMaps([a, b, down])).toEqual([]);
  expect(olderMaps([a, older])).toEqual([
    'cell b has version 1 of the map, and another cell has version 2: run scrip migrate',
  ]);
});

describe('a service with one database', () => {
  test('starts where nothing is recorded, or that it is the only cell', () => {
    const whole = wholeSlots('default');
    expect(agreeOnMap([{ name: 'default', recorded: null }], false)).toEqual({
      map: { version: 0, cells: whole },
    });
    const only = { name: 'a', map: { version: 3, cells: wholeSlots('a') } };
    expect(agreeOnMap([{ name: 'default', recorded: only }], false)).toEqual({
      map: { version: 3, cells: whole },
    });
  });

  test('does not start on one of several cells', () => {
    expect(agreeOnMap([{ name: 'default', recorded: { name: 'a', map: MAP } }], false)).toEqual({
      problems: [
        'the database is cell a, and its map has the cells a, b: list them in CELLS_FILE instead of DATABASE_URL',
      ],
    });
  });
});

describe('the map that is recorded', () => {
  const empty = (name: string) => ({ name, recorded: null, hasAccounts: false });
  const used = (name: string) => ({ name, recorded: null, hasAccounts: true });
  const mapped = (name: string) => ({ name, recorded: { name, map: MAP }, hasAccounts: true });

  test('divides the slots of new ledgers evenly', () => {
    const map = { version: 1, cells: evenSlots(['b', 'a']) };
    expect(mapToRecord([empty('b'), empty('a')])).toEqual({ map });
  });

  test('leaves every slot to the ledger that was there before', () => {
    const map = { version: 1, cells: wholeSlots('old') };
    expect(mapToRecord([empty('new'), used('old')])).toEqual({ map });
  });

  test('is the present one where there is one: a new cell has no slots', () => {
    expect(mapToRecord([mapped('a'), mapped('b'), empty('c')])).toEqual({ map: MAP });
  });

  test.each([
    [
      [used('a'), used('b')],
      'cells a and b have accounts and have recorded no map: only one of them can be the ledger that was there before',
    ],
    [
      [mapped('a'), mapped('b'), used('c')],
      'cell c has accounts and has recorded no map, and other cells have one: it belongs to another installation',
    ],
    [
      [{ ...mapped('a'), name: 'c' }, mapped('b')],
      'the database of cell c says that it is cell a: correct its URL, schema or name in CELLS_FILE',
    ],
  ])('is none where accounts could be lost (%#)', (ledgers, problem) => {
    expect(mapToRecord(ledgers)).toEqual({ problems: [problem] });
  });
});
