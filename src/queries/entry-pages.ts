/** Which entries of some accounts are counted next, and what became of the accounts. */
import type { CountedAccounts } from '../entry-follower.ts';
import { min } from '../min.ts';

/** Up to which entry an account is counted. */
export type EntryPosition = { readonly accountId: string; readonly seq: bigint };

/** The next entries of an account: after < seq <= upTo. */
export type EntryPage = {
  readonly accountId: string;
  readonly after: bigint;
  readonly upTo: bigint;
};

/** `entries`: how many were passed. */
export type PassedEntries = CountedAccounts & { readonly entries: number };

/** Divides what may be read among the accounts. */
export function pagesOf<Position extends EntryPosition>(
  positions: readonly Position[],
  newest: ReadonlyMap<string, bigint>,
  entriesMax: number,
): readonly (Position & EntryPage)[] {
  let left = BigInt(entriesMax);
  return positions.map((position) => {
    const { accountId, seq: after } = position;
    const upTo = min(newest.get(accountId) ?? 0n, after + left);
    if (upTo > after) left -= upTo - after;
    return { ...position, after, upTo };
  });
}

/** Of accounts whose pages were counted. An account without a page is locked by somebody else. */
export function outcomeOf(
  accountIds: readonly string[],
  pages: readonly EntryPage[],
  newest: ReadonlyMap<string, bigint>,
): PassedEntries {
  const ours = new Set(pages.map(({ accountId }) => accountId));
  const isDone = ({ accountId, upTo }: EntryPage) => upTo >= (newest.get(accountId) ?? 0n);
  const idsOf = (some: readonly EntryPage[]) => some.map(({ accountId }) => accountId);
  return {
    done: idsOf(pages.filter(isDone)),
    unfinished: idsOf(pages.filter((page) => !isDone(page))),
    locked: accountIds.filter((accountId) => newest.has(accountId) && !ours.has(accountId)),
    entries: Number(pages.reduce((sum, { after, upTo }) => sum + upTo - after, 0n)),
  };
}
