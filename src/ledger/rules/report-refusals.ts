/**
 * ReportRefusals: reports requests of the account that were refused for lack of credits, after the fact.
 * The newest of them may ask for a top-up, if the account's owner wants that.
 */
import type { Reason } from '../../failure.ts';
import type { Book } from '../book.ts';
import type { Origin } from '../entry.ts';
import { requestTopUp } from '../top-up.ts';

export type ReportRefusals = {
  readonly kind: 'ReportRefusals';
  readonly reason: Reason;
  /** Of the newest refusal. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Refusals since the last report of this replica. */
  readonly count: number;
};

/** What an event takes over of a refusal. */
const AMOUNTS = ['required', 'available', 'shortfall', 'limit', 'floor'];

export function reportRefusals(
  book: Book,
  { reason, metadata, count }: ReportRefusals,
  origin: Origin,
) {
  const amounts = AMOUNTS.flatMap((name) => {
    const value = metadata[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  book.emitEvent(
    'charge.refused',
    { reason, count: String(count), ...Object.fromEntries(amounts) },
    origin,
  );
  // Work that is paused lacks no credits: it has no shortfall.
  const { shortfall } = metadata;
  if (shortfall) requestTopUp(book, BigInt(shortfall));
  return { kind: 'ReportRefusals' } as const;
}
