/** Charge: reserve and commit in one, for work that is done. */
import { Failure } from '../../failure.ts';
import { type Book, movesOf } from '../book.ts';
import { draw } from '../draw.ts';
import type { Labels, Origin } from '../entry.ts';
import { accountClosed } from '../failures.ts';
import { priceUsagesOrCredits, rateCardAsked, type UsagesOrCredits } from '../usages-or-credits.ts';
import { type Criticality, checkPauseFloor } from './pause.ts';

export type Charge = {
  readonly kind: 'Charge';
  readonly asked: UsagesOrCredits;
  /** Null: the version in force. */
  readonly rateCardVersion: number | null;
  readonly reference: string;
  readonly labels: Labels;
  readonly criticality: Criticality;
};

export function charge(book: Book, command: Charge, origin: Origin) {
  if (book.account.state === 'CLOSED') return accountClosed(book);
  const paused = checkPauseFloor(book, command.criticality);
  if (paused) return paused;
  const rateCard = rateCardAsked(book, command.rateCardVersion);
  if (rateCard instanceof Failure) return rateCard;
  const priced = priceUsagesOrCredits(book, command.asked, rateCard);
  if (priced instanceof Failure) return priced;
  const split = draw(book, priced.credits, priced.lines);
  if (split instanceof Failure) return split;

  const entry = book.post(
    {
      kind: 'CHARGE',
      moves: movesOf(split, 'available', 'consumed'),
      credits: priced.credits,
      usages: priced.lines,
      ...rateCard,
      reference: command.reference,
      labels: command.labels,
    },
    origin,
  );
  return {
    kind: 'Charge',
    credits: priced.credits,
    split,
    entrySeq: entry.seq,
    lines: priced.lines,
  } as const;
}
