/** Which slots a move takes, and what becomes of the map. Pure. */
import type { CellMap } from '../cells/cell-map.ts';
import { SLOTS } from '../cells/slot.ts';
import { slotsOf } from '../cells/slot-ranges.ts';

const RANGE = /^(\d{1,4})(?:-(\d{1,4}))?$/;

/** Reads a list such as "0-2047, 3000". Text: what is wrong with it. */
export function parseSlots(text: string): readonly number[] | string {
  const slots = new Set<number>();
  for (const part of text.split(',')) {
    const [, first, last = first] = RANGE.exec(part.trim()) ?? [];
    if (first === undefined) return `"${part.trim()}" is none of such as 7 or 0-2047`;
    const [from, to] = [Number(first), Number(last)];
    if (from > to || to >= SLOTS) return `slots are 0 to ${SLOTS - 1}, the lower one first`;
    for (let slot = from; slot <= to; slot++) slots.add(slot);
  }
  return [...slots].sort((a, b) => a - b);
}

/** The last slots of a cell, as many as are this part of its own, at least one. */
export function shareOf(map: CellMap, name: string, percent: number): readonly number[] {
  const own = slotsOf(map, name);
  return own.slice(own.length - Math.max(1, Math.round((own.length * percent) / 100)));
}

/** The next version of the map, which gives the slots to a cell. */
export function mapAfter(map: CellMap, slots: readonly number[], to: string): CellMap {
  const taken = new Set(slots);
  return {
    version: map.version + 1,
    cells: map.cells.map((cell, slot) => (taken.has(slot) ? to : cell)),
  };
}

/** A bit for each slot, as PostgreSQL's get_bit numbers them. */
export function bitsOf(slots: readonly number[]): Buffer {
  const bits = Buffer.alloc(SLOTS / 8);
  for (const slot of slots) bits[slot >> 3] = (bits[slot >> 3] as number) | (1 << (slot & 7));
  return bits;
}

/** The slot of an id, in SQL. It is an expression, and no function: triggers ask for it with every row. */
export const slotSql = (id: string): string =>
  `('x' || left(encode(sha256(convert_to(${id}, 'UTF8')), 'hex'), 3))::bit(12)::int`;

/** Whether an id has one of these slots, in SQL. */
export const isInSlotsSql = (id: string, slots: readonly number[]): string =>
  `get_bit('\\x${bitsOf(slots).toString('hex')}'::bytea, ${slotSql(id)}) = 1`;
