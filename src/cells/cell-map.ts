/** The map of slots to cells. Every cell's database has it, so that a replica knows it while some of them are down. */
import { z } from 'zod';
import { SLOTS } from './slot.ts';
import { type SlotRange, slotsOf, toRanges } from './slot-ranges.ts';

export type CellMap = {
  /** 1, 2, 3 …: every change of the map makes a new version. */
  readonly version: number;
  /** The cell of each slot. */
  readonly cells: readonly string[];
};

/** As it is stored: the slots of each cell. */
export type StoredSlots = Readonly<Record<string, readonly SlotRange[]>>;

/** The slots, divided into as many parts as there are cells, which differ by one slot at most. */
export const evenSlots = (names: readonly string[]): readonly string[] =>
  Array.from(
    { length: SLOTS },
    (_, slot) => names[Math.floor((slot * names.length) / SLOTS)] as string,
  );

/** A map that gives every slot to one cell. */
export const wholeSlots = (name: string): readonly string[] => evenSlots([name]);

/** The names of the cells that have slots, in the order of their first ones. */
export const cellsOfMap = ({ cells }: CellMap): readonly string[] => [...new Set(cells)];

/** The ranges of the slots of a cell, in their order. */
export const rangesOf = (map: Pick<CellMap, 'cells'>, name: string): readonly SlotRange[] =>
  toRanges(slotsOf(map, name));

export const storedSlots = (map: Pick<CellMap, 'cells'>): StoredSlots =>
  Object.fromEntries([...new Set(map.cells)].sort().map((name) => [name, rangesOf(map, name)]));

const storedForm = z.record(z.string(), z.array(z.tuple([z.number(), z.number()])));

/** Reads stored slots, which may be any JSON. Text: what is wrong with them, such as a slot that no cell has, or two of them. */
export function readSlots(given: unknown): readonly string[] | string {
  const { success, data: stored } = storedForm.safeParse(given);
  if (!success) return 'its slots are not the first and last of ranges by cell';
  const cells: (string | undefined)[] = Array.from({ length: SLOTS });
  for (const [name, ranges] of Object.entries(stored))
    for (const [first, last] of ranges) {
      if (!isSlot(first) || !isSlot(last) || first > last)
        return `the slots ${first} to ${last} of cell ${name} are none of 0 to ${SLOTS - 1}`;
      for (let slot = first; slot <= last; slot++) {
        const other = cells[slot];
        if (other !== undefined) return `slot ${slot} belongs to cells ${other} and ${name}`;
        cells[slot] = name;
      }
    }
  const missing = cells.indexOf(undefined);
  return missing === -1 ? (cells as string[]) : `slot ${missing} belongs to no cell`;
}

const isSlot = (slot: number): boolean => Number.isInteger(slot) && slot >= 0 && slot < SLOTS;

export const isSameMap = (one: CellMap, other: CellMap): boolean =>
  one.version === other.version && one.cells.every((cell, slot) => cell === other.cells[slot]);
