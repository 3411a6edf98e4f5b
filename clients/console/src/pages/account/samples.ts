/**
 * Entries for the chart of a history: all of them where they are few, otherwise samples at even distances of seq.
 * However long the history is, their number is bounded.
 */
import { readEntries } from '../../api.ts';
import type { Entry } from '../../messages.ts';

/** Of seqs, both included. */
export type Range = { readonly from: number; readonly to: number };

const SAMPLES = 64;
/** Of so many entries all are shown. */
const COMPLETE_MAX = 500;
/** Asked for at the same time. */
const AT_ONCE = 4;

export type Samples = {
  readonly entries: readonly Entry[];
  /** False: there are entries between them. */
  readonly isComplete: boolean;
};

/** The seqs to ask for: the first, the last, and evenly between them. */
export function sampledSeqs({ from, to }: Range, count = SAMPLES): readonly number[] {
  const steps = Math.min(count - 1, to - from);
  if (steps <= 0) return to >= from ? [from] : [];
  return Array.from({ length: steps + 1 }, (_, index) =>
    Math.round(from + ((to - from) * index) / steps),
  );
}

export async function readSamples(
  accountId: string,
  range: Range,
  signal: AbortSignal,
): Promise<Samples> {
  const { from, to } = range;
  const size = to - from + 1;
  if (size <= 0) return { entries: [], isComplete: true };
  if (size <= COMPLETE_MAX) {
    const entries = await readEntries(accountId, range, signal);
    return { entries: entries.toReversed(), isComplete: entries.length === size };
  }
  const seqs = sampledSeqs(range);
  const entries: Entry[] = [];
  let next = 0;
  const readSome = async () => {
    for (let at = next++; at < seqs.length; at = next++) {
      const seq = seqs[at] ?? from;
      entries.push(...(await readEntries(accountId, { from: seq, to: seq }, signal)));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, readSome));
  return { entries: entries.toSorted((a, b) => Number(a.seq) - Number(b.seq)), isComplete: false };
}
