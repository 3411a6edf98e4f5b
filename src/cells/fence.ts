/** How a database refuses a write to the slots of another cell: see src/slot-moves/guard.ts. */
import { constraintOf } from '../pg/failures.ts';

/** What the triggers raise. Whoever knows nothing of it takes it for a database that cannot be used. */
export const SLOT_MOVED = { code: '55000', constraint: 'slot_of_other_cell' } as const;

/** Whether a unit of work was refused because one of its accounts is in another cell, or is being moved there. */
export const isSlotMoved = (error: unknown): boolean =>
  constraintOf(error) === SLOT_MOVED.constraint;
