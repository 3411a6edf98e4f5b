/** Whether the cells of the configuration are those of the recorded map. Pure: what was read is an argument. */

import { type CellMap, cellsOfMap, evenSlots, isSameMap, wholeSlots } from './cell-map.ts';
import type { CellAddress } from './cells-file.ts';

/** What a cell's database has recorded. */
export type RecordedCell = { readonly name: string; readonly map: CellMap };

/** What was found in the database of a cell. */
export type FoundCell =
  | {
      readonly name: string;
      /** Null: nothing is recorded. */
      readonly recorded: RecordedCell | null;
    }
  /** It cannot be reached. */
  | { readonly name: string; readonly unreachable: string };

export type Agreement = { readonly map: CellMap } | { readonly problems: readonly string[] };

/** The map of an installation of one database, which records nothing. */
export const onlyMap = (cells: readonly Pick<CellAddress, 'name'>[]): CellMap => ({
  version: 0,
  cells: wholeSlots(cells[0]?.name ?? ''),
});

/** The map by which a service works on these cells, or why it must not start. */
export function agreeOnMap(cells: readonly FoundCell[], hasFile: boolean): Agreement {
  const reached = cells.flatMap((cell) => ('recorded' in cell ? [cell] : []));
  if (reached.length === 0)
    return { problems: cells.map((cell) => unreachableText(cell, hasFile)) };
  if (!hasFile) return agreeOnOne(reached[0] as Reached);
  const problems = [...reached.flatMap(problemsOfCell)];
  const recorded = reached.flatMap(({ recorded }) => recorded ?? []);
  const newest = recorded.toSorted((a, b) => b.map.version - a.map.version)[0];
  if (!newest || problems.length > 0) return { problems };
  // An older one is that of a cell which was not reached when slots were moved.
  for (const { name, map } of recorded)
    if (map.version === newest.map.version && !isSameMap(map, newest.map))
      problems.push(
        `cells ${name} and ${newest.name} have different maps of version ${map.version}: run scrip cells list`,
      );
  const missing = cellsOfMap(newest.map).filter(
    (name) => !cells.some((cell) => cell.name === name),
  );
  for (const name of missing)
    problems.push(`the map gives slots to cell ${name}, which CELLS_FILE does not list: add it`);
  return problems.length > 0 ? { problems } : { map: newest.map };
}

/** What differs between the recorded maps although a service can work with it: cells that have an older one. */
export function olderMaps(cells: readonly FoundCell[]): readonly string[] {
  const recorded = cells.flatMap((cell) => ('recorded' in cell ? (cell.recorded ?? []) : []));
  const newest = Math.max(0, ...recorded.map(({ map }) => map.version));
  return recorded
    .filter(({ map }) => map.version < newest)
    .map(
      ({ name, map }) =>
        `cell ${name} has version ${map.version} of the map, and another cell has version ${newest}: run scrip migrate`,
    );
}

type Reached = Extract<FoundCell, { recorded: unknown }>;

const unreachableText = (cell: FoundCell, hasFile: boolean): string => {
  const database = hasFile ? `cell ${cell.name}` : 'DATABASE_URL';
  const why = 'unreachable' in cell ? cell.unreachable : '';
  return `cannot use the database of ${database}: ${why}`;
};

/** Why the database of a cell is not that cell, or none yet. */
export function problemsOfCell({ name, recorded }: Reached): readonly string[] {
  if (!recorded) return [`cell ${name} has recorded no map: run scrip migrate`];
  if (recorded.name === name) return [];
  return [
    `the database of cell ${name} says that it is cell ${recorded.name}: correct its URL, schema or name in CELLS_FILE`,
  ];
}

/** Without CELLS_FILE. */
function agreeOnOne({ name, recorded }: Reached): Agreement {
  if (!recorded) return { map: onlyMap([{ name }]) };
  const cells = cellsOfMap(recorded.map);
  if (cells.length === 1 && cells[0] === recorded.name)
    return { map: { ...recorded.map, cells: wholeSlots(name) } };
  return {
    problems: [
      `the database is cell ${recorded.name}, and its map has the cells ${cells.join(', ')}: list them in CELLS_FILE ` +
        'instead of DATABASE_URL',
    ],
  };
}

export type FoundLedger = {
  readonly name: string;
  readonly recorded: RecordedCell | null;
  /** Whether there is any account in it. */
  readonly hasAccounts: boolean;
};

/**
 * The map that cells without one are to record: the present one or, where there is none yet, the first. A ledger that
 * was there before has every slot; slots of new ledgers are divided evenly.
 */
export function mapToRecord(ledgers: readonly FoundLedger[]): Agreement {
  const wrong = ledgers.flatMap((ledger) =>
    ledger.recorded ? problemsOfCell({ ...ledger, recorded: ledger.recorded }) : [],
  );
  if (wrong.length > 0) return { problems: wrong };
  const newest = ledgers
    .flatMap(({ recorded }) => recorded?.map ?? [])
    .toSorted((a, b) => b.version - a.version)[0];
  const used = ledgers.filter(({ recorded, hasAccounts }) => hasAccounts && !recorded);
  if (newest && used.length > 0)
    return {
      problems: used.map(
        ({ name }) =>
          `cell ${name} has accounts and has recorded no map, and other cells have one: it belongs to another installation`,
      ),
    };
  if (newest) return { map: newest };
  if (used.length > 1)
    return {
      problems: [
        `cells ${used.map(({ name }) => name).join(' and ')} have accounts and have recorded no map: only one of them can ` +
          'be the ledger that was there before',
      ],
    };
  const names = ledgers.map(({ name }) => name);
  const cells = used[0] ? wholeSlots(used[0].name) : evenSlots(names);
  return { map: { version: 1, cells } };
}
