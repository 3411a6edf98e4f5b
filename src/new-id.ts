/** Ids that sort by time (UUIDs of version 7): rows that are written together stay together in an index. */
import { randomFillSync } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';

const BYTES = 16;
/** Random bytes of many ids: one call of the generator for each id costs 4 % of a reserve. */
const pool = new Uint8Array(BYTES * 256);
let used = pool.length;

/** Makes ids of one moment, given in epoch milliseconds. */
export const newId = (now: number) => (): string => uuidv7({ msecs: now, random: randomBytes() });

/** Random bytes that are hashed with personal data. */
export const newSalt = (): Uint8Array => randomBytes().slice(0, SALT_BYTES);

const SALT_BYTES = 12;

function randomBytes(): Uint8Array {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += BYTES;
  return pool.subarray(used - BYTES, used);
}
