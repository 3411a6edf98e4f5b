/** Ids that sort by time (UUIDs of version 7): rows that are written together stay together in an index. */
import { v7 as uuidv7 } from 'uuid';

/** Makes ids of one moment, given in epoch milliseconds. */
export const newId = (now: number) => (): string => uuidv7({ msecs: now });
