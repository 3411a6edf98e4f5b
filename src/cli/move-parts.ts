/** What `cells split` and `cells move` share: slots are moved a part at a time, and each part says what it has cost. */
import type { CellMap } from '../cells/cell-map.ts';
import type { CellAddress } from '../cells/cells-file.ts';
import { formatRanges, type SlotRange, toRanges } from '../cells/slot-ranges.ts';
import { count, printLines, seconds } from './print.ts';

/** Slots of a part, unless the operator says otherwise. */
export const AT_ONCE = 256;

export type Plan = {
  readonly from: string;
  readonly to: string;
  readonly slots: readonly number[];
  /** The newest there is. */
  readonly map: CellMap;
  /** Slots of a part. */
  readonly atOnce: number;
};

export type MovedParts = {
  readonly accounts: number;
  /** Of the part that was stopped longest. */
  readonly longestStopMs: number;
};

/** Ends what earlier runs have left unfinished. Returns how many moves there were. */
export async function endUnfinished(cells: readonly CellAddress[]): Promise<number> {
  const { resolveMoves } = await import('../slot-moves/unfinished.ts');
  const resolved = await resolveMoves(cells);
  for (const { move, outcome } of resolved)
    printLines([
      `${slotsText(move.slots)}: the move from ${move.from} to ${move.to} was ${outcome}`,
    ]);
  return resolved.length;
}

/** The map of the cells. Throws where there are no such two cells, or they are not ready for a move. */
export async function readMap(
  cells: readonly CellAddress[],
  from: string,
  to: string,
): Promise<CellMap> {
  const { findInstallation } = await import('../cells/installation.ts');
  const { chooseCell } = await import('../find-database.ts');
  const { findDifferingPlans } = await import('../plan-publication.ts');
  for (const name of [from, to]) chooseCell(cells, name);
  const found = await findInstallation(cells, true);
  if ('problems' in found) throw new Error(found.problems.join('; '));
  const differing = await findDifferingPlans(cells);
  if (differing.length > 0) throw new Error(differing.join('; '));
  return found.installation.map;
}

/** Moves the slots, and prints what each part has cost. Nothing is archived meanwhile, nor between two parts. */
export async function moveParts(cells: readonly CellAddress[], plan: Plan): Promise<MovedParts> {
  const { chooseCell } = await import('../find-database.ts');
  const { lockOutArchiver, openSession } = await import('../slot-moves/session.ts');
  const { refuseArchived } = await import('../slot-moves/copy-accounts.ts');
  const source = await openSession(chooseCell(cells, plan.from));
  try {
    await lockOutArchiver(source, plan.from);
    // Before the first part moves, and not in the middle.
    await refuseArchived(source, plan.slots);
    return await movePartByPart(cells, plan);
  } finally {
    await source.end();
  }
}

async function movePartByPart(cells: readonly CellAddress[], plan: Plan): Promise<MovedParts> {
  const { slots, atOnce } = plan;
  let { map } = plan;
  const total = { accounts: 0, longestStopMs: 0 };
  for (let at = 0; at < slots.length; at += atOnce) {
    const moved = await movePart(cells, { ...plan, map }, slots.slice(at, at + atOnce));
    map = moved.map;
    total.accounts += moved.accounts;
    total.longestStopMs = Math.max(total.longestStopMs, moved.stopMs);
  }
  return total;
}

async function movePart(
  cells: readonly CellAddress[],
  { from, to, map }: Plan,
  slots: readonly number[],
) {
  const { moveSlots } = await import('../slot-moves/move-slots.ts');
  const name = slotsText(toRanges(slots));
  const moved = await moveSlots({ cells, from, to, slots, map });
  const { accounts, entries, copyMs, changed, stopMs, stopParts, replicas, silent } = moved;
  printLines([
    `${name}: ${count(accounts, 'account')} with ${count(entries, 'entry', 'entries')} copied in ${seconds(copyMs)}`,
    `${name}: stopped for ${Math.round(stopMs)} ms (${count(changed, 'account')} copied again, ${count(replicas, 'replica')}): ` +
      Object.entries(stopParts)
        .map(([part, ms]) => `${part} ${Math.round(ms)}`)
        .join(', '),
    ...(silent > 0
      ? [
          `${name}: ${count(silent, 'replica')} did not answer; the database refuses what they write`,
        ]
      : []),
    ...moved.uninformed.map(
      (cell) => `${name}: cell ${cell} cannot be reached; scrip migrate records the new map there`,
    ),
  ]);
  return moved;
}

export const slotsText = (ranges: readonly SlotRange[]): string => `slots ${formatRanges(ranges)}`;
