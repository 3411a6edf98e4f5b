/** Moves slots, and is killed when a step begins: node killed-at.ts STEP SLOTS, with CELLS_FILE. */
import { findInstallation } from '../../src/cells/installation.ts';
import { moveSlots } from '../../src/slot-moves/move-slots.ts';
import { parseSlots } from '../../src/slot-moves/slots.ts';
import { cellsOf } from '../cells/installation.ts';

const [, , step, slots = ''] = process.argv;
const cells = cellsOf(process.env['CELLS_FILE'] ?? '');
const found = await findInstallation(cells, true);
if ('problems' in found) throw new Error(found.problems.join('; '));
await moveSlots({
  ...{ cells, from: 'old', to: 'new', slots: parseSlots(slots) as readonly number[] },
  map: found.installation.map,
  onStep(begun) {
    if (begun === step) process.kill(process.pid, 'SIGKILL');
  },
});
