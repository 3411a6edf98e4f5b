/**
 * A page of a history, newest first, as a window of seqs. With a filter, windows are looked through towards the
 * beginning, a bounded number at a time.
 */
import { ENTRIES_PER_MESSAGE, readEntries, readHistory } from '../../api.ts';
import type { Entry } from '../../messages.ts';

export type EntryFilter = {
  /** "KIND_CHARGE"; empty: all. */
  readonly kind: string;
  readonly operation: string;
  readonly reference: string;
};

export type EntryPage = {
  /** Newest first. */
  readonly entries: readonly Entry[];
  /** Everything above this seq was looked at: the next page begins there. 0: nothing is left. */
  readonly lookedDownTo: number;
};

export const PAGE_SIZE = 100;
/** Windows of one page: of a filter that excludes nearly everything, 10,000 entries are looked through. */
const WINDOWS = 20;

/** Entries up to a seq that match the filter. */
export async function readEntryPage(
  accountId: string,
  upTo: number,
  filter: EntryFilter,
  signal: AbortSignal,
): Promise<EntryPage> {
  const isFiltered = Object.values(filter).some((value) => value !== '');
  if (isFiltered) return await readFiltered(accountId, upTo, filter, signal);
  const from = Math.max(1, upTo - PAGE_SIZE + 1);
  const entries = await readEntries(accountId, { from, to: upTo }, signal);
  return { entries, lookedDownTo: Number(entries.at(-1)?.seq ?? from) - 1 };
}

async function readFiltered(
  accountId: string,
  upTo: number,
  filter: EntryFilter,
  signal: AbortSignal,
): Promise<EntryPage> {
  const size = ENTRIES_PER_MESSAGE;
  const request = {
    accountId,
    operation: filter.operation,
    reference: filter.reference,
    ...(filter.kind && { kinds: [filter.kind as NonNullable<Entry['kind']>] }),
  };
  const found: Entry[] = [];
  let above = upTo;
  for (let window = 0; window < WINDOWS && above > 0; window++) {
    const after = Math.max(0, above - size);
    const entries = await readHistory(
      { ...request, afterSeq: String(after) },
      above - after,
      signal,
    );
    const newestFirst = entries.filter(({ seq }) => Number(seq) <= above).toReversed();
    const room = PAGE_SIZE - found.length;
    found.push(...newestFirst.slice(0, room));
    above = newestFirst.length > room ? Number(found.at(-1)?.seq ?? 1) - 1 : after;
    if (found.length >= PAGE_SIZE) break;
  }
  return { entries: found, lookedDownTo: above };
}
