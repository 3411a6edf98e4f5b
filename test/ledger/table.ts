/**
 * A tiny table language, so that a test reads as a ledger: one row per unit of work, with the moment
 * it happens, the command, what was written (or why nothing was), and the balance after it.
 *
 *     ['0s',  reserve(30n),     'RESERVE 30: g1>(g1) 30',                         '100 (30)'],
 *     ['1m',  commit('r1', 9n), 'COMMIT 9: (g1)>consumed 9, (g1)>g1 21',          '91'],
 *     ['2m',  release('r1'),    'RESERVATION_COMMITTED',                          '91'],
 *
 * g1 is what is available of grant 1 and (g1) what is reserved of it; (overage) is the postpaid line's
 * reserved part. Entries that the account wrote by itself come first, joined by " | ". A failure may go
 * on with metadata: "EXCEEDS_RESERVATION: asked 31, allowed 30". A balance is
 * "remaining (reserved) overage n", without what is 0. Reservations are r1, r2 …
 */
import { expect } from 'vitest';
import { Failure } from '../../src/failure.ts';
import { balanceOf } from '../../src/ledger/balance.ts';
import type { Book } from '../../src/ledger/book.ts';
import type { Command } from '../../src/ledger/decide.ts';
import type { Entry, Move } from '../../src/ledger/entry.ts';
import type { Plan } from '../../src/pricing/plan.ts';
import { Auditor } from './auditor.ts';
import { at, open } from './fixtures.ts';
import { Shelf } from './shelf.ts';

/** A row without a command only lets the account settle. */
export type Row = readonly [at: string, command: Command | null, written: string, balance: string];

/** Plays the rows on a new account, one unit of work each, and compares the whole table at once. */
export function ledger(plan: Plan, rows: readonly Row[]): Shelf {
  const first = rows[0]?.[1];
  const shelf = new Shelf(plan, at(rows[0]?.[0] ?? '0s'));
  if (first?.kind !== 'OpenAccount') shelf.work(shelf.account.openedAt, open());
  play(shelf, rows);
  return shelf;
}

/** Goes on with more rows. */
export function play(shelf: Shelf, rows: readonly Row[]) {
  const played = rows.map(([when, command, written]) => {
    const before = shelf.entries.length;
    const { book, outcome } = shelf.work(at(when), command);
    const texts = shelf.entries.slice(before).map(entryText);
    if (outcome instanceof Failure) {
      const expected = written.split(' | ').at(-1) ?? '';
      texts.push(failureText(outcome, expected.includes(': ')));
    }
    return [when, command?.kind ?? '', texts.join(' | ') || 'nothing', balanceText(book)];
  });
  expect(played).toEqual(
    rows.map(([when, command, ...row]) => [when, command?.kind ?? '', ...row]),
  );
  audit(shelf);
}

/** Has an auditor read every entry of the shelf, and compare its nouns with them. */
export function audit(shelf: Shelf, limit = shelf.plan.terms.overage?.limit ?? 0n) {
  const auditor = new Auditor(limit);
  for (const entry of shelf.entries) auditor.see(entry);
  auditor.agreeWith(shelf);
}

export const entryText = ({ kind, credits, moves, late }: Entry): string =>
  `${late ? 'late ' : ''}${kind} ${credits}${moves.length > 0 ? `: ${moves.map(moveText).join(', ')}` : ''}`;

const moveText = ({ from, to, grantId, credits }: Move): string =>
  `${bucketText(from, grantId)}>${bucketText(to, grantId)} ${credits}`;

function bucketText(bucket: Move['from'], grantId: bigint): string {
  if (bucket === 'available') return `g${grantId}`;
  if (bucket === 'reserved') return `(g${grantId})`;
  return bucket === 'overage_reserved' ? '(overage)' : bucket;
}

function failureText({ reason, metadata }: Failure, withMetadata: boolean): string {
  const told = Object.entries(metadata).map(([key, value]) => `${key} ${value}`);
  return withMetadata ? `${reason}: ${told.join(', ')}` : reason;
}

function balanceText({ account, grants, plan, now }: Book): string {
  const { remaining, reserved, overage } = balanceOf(account, grants, plan.terms, now);
  const parts = [
    `${remaining}`,
    reserved > 0n && `(${reserved})`,
    overage > 0n && `overage ${overage}`,
  ];
  return parts.filter(Boolean).join(' ');
}
