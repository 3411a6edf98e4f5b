/** Follows what moves credits into the sums of roll-forwards. */
import { EntryFollower, type EntryFollowerOptions } from '../entry-follower.ts';
import { findUncounted } from '../queries/uncounted-accounts.ts';
import { countMovements } from './count.ts';

/** PostgreSQL counts so many in about a tenth of a second. */
const ENTRIES_MAX = 20_000;

export const rollForwardFollower = (
  options: Pick<EntryFollowerOptions, 'em' | 'log' | 'monotonic' | 'intervalMs'>,
): EntryFollower =>
  new EntryFollower({
    ...options,
    counted: 'movements of credits',
    count: countMovements,
    findUncounted: (em, after, limit) => findUncounted(em, 'roll_forward_positions', after, limit),
    entriesMax: ENTRIES_MAX,
  });
