/** Charge: reserves and commits in one entry, for work that is done. */
import { Failure } from '../../failure.ts';
import type { Book } from '../book.ts';
import { applyCounts } from '../budget-counts.ts';
import type { Origin } from '../entry.ts';
import { toMoves } from '../moves.ts';
import { refuseNewWork } from '../suspension.ts';
import { beginWork, type NewWork } from './new-work.ts';

export type Charge = NewWork & { readonly kind: 'Charge' };

export function charge(book: Book, command: Charge, origin: Origin) {
  const refused = refuseNewWork(book);
  if (refused) return refused;
  const work = beginWork(book, command, origin, { holds: false });
  if (work instanceof Failure) return work;
  const { priced, rateCard, counts, split } = work;

  const entry = book.post(
    {
      kind: 'CHARGE',
      moves: toMoves(split, 'available', 'consumed'),
      credits: priced.credits,
      usages: priced.lines,
      usedAt: command.usedAt,
      ...rateCard,
      reference: command.reference,
      labels: command.labels,
    },
    origin,
  );
  applyCounts(book, counts, origin);
  return {
    kind: 'Charge',
    credits: priced.credits,
    split,
    entrySeq: entry.seq,
    lines: priced.lines,
  } as const;
}
