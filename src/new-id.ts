/** Ids that sort by time (UUIDs of version 7): what is written together stays together in the index. */
import { randomFillSync } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';

const BYTES_EACH = 16;
const BYTES = BYTES_EACH * 1_000;
let pool = new Uint8Array(0);
let used = 0;

/** Makes ids of one moment. */
export const newId = (now: number) => (): string => uuidv7({ msecs: now, random: random() });

/** Drawn for a thousand ids at once: drawn one by one they take ten times as long. */
function random(): Uint8Array {
  if (used === pool.length) {
    pool = randomFillSync(new Uint8Array(BYTES));
    used = 0;
  }
  used += BYTES_EACH;
  return pool.subarray(used - BYTES_EACH, used);
}
