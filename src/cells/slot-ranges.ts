/** The slots of a cell, and slots as ranges. Pure, and without imports: commands load it when they start. */

/** The first and the last of slots that follow each other. */
export type SlotRange = readonly [first: number, last: number];

/** The slots of a cell. */
export const slotsOf = (
  { cells }: { readonly cells: readonly string[] },
  name: string,
): readonly number[] => cells.flatMap((cell, slot) => (cell === name ? [slot] : []));

/** Slots that follow each other, as ranges. */
export function toRanges(slots: readonly number[]): readonly SlotRange[] {
  const ranges: [number, number][] = [];
  for (const slot of slots) {
    const last = ranges.at(-1);
    if (last && last[1] === slot - 1) last[1] = slot;
    else ranges.push([slot, slot]);
  }
  return ranges;
}

export const fromRanges = (ranges: readonly SlotRange[]): readonly number[] =>
  ranges.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, i) => first + i));

/** Such as "0-2047, 3000". */
export const formatRanges = (ranges: readonly SlotRange[]): string =>
  ranges.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(', ');
