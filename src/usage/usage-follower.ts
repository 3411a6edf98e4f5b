/** Follows what is charged into the usage rollups. */
import { EntryFollower, type EntryFollowerOptions } from '../entry-follower.ts';
import { findUncounted } from '../queries/uncounted-accounts.ts';
import { rollUp } from './roll-up.ts';

/** Entries whose usage is in memory at the same time. */
const ENTRIES_MAX = 1_000;

export const usageFollower = (
  options: Pick<EntryFollowerOptions, 'em' | 'log' | 'monotonic' | 'intervalMs'>,
): EntryFollower =>
  new EntryFollower({
    ...options,
    counted: 'usage',
    count: rollUp,
    findUncounted: (em, after, limit) => findUncounted(em, 'usage_positions', after, limit),
    entriesMax: ENTRIES_MAX,
  });
