/**
 * A small table language, so that a test reads as a ledger. Each row is a unit of work: its time, the
 * command, what was written (or the failure), and the balance after it.
 *
 *     ['0s',  reserve(30n),     'RESERVE 30: g1>(g1) 30',                         '100 (30)'],
 *     ['1m',  commit('r1', 9n), 'COMMIT 9: (g1)>consumed 9, (g1)>g1 21',          '91'],
 *     ['2m',  release('r1'),    'RESERVATION_COMMITTED',                          '91'],
 *     ['3m',  close(),          'CLOSE_ACCOUNT',                                  '91'],
 *
 * The account is opened first; rows may begin with that themselves. g1 is the available bucket of grant 1,
 * (g1) its reserved bucket; overage and (overage) are those of the overage. Entries written by settling
 * come first, joined by " | ". A failure may be followed by its metadata: "EXCEEDS_RESERVATION: asked 31,
 * allowed 30". A balance is "remaining (reserved) overage n owes n", where parts that are 0 are omitted.
 * Reservations are r1, r2 …, purchases p1, p2 …
 */
import { expect } from 'vitest';
import { Failure } from '../../src/failure.ts';
import { balanceOf } from '../../src/ledger/balance.ts';
import type { Book } from '../../src/ledger/book.ts';
import type { Command } from '../../src/ledger/decide.ts';
import type { Entry, EntryKind, Move } from '../../src/ledger/entry.ts';
import { isOver } from '../../src/ledger/reservation.ts';
import type { Plan } from '../../src/pricing/plan.ts';
import { AccountStore, isOpening } from './account-store.ts';
import { Auditor } from './auditor.ts';
import { at, open } from './fixtures.ts';

/** A row without a command only settles the account. */
export type Row = readonly [at: string, command: Command | null, written: string, balance: string];

/** Runs the rows on a new account, one unit of work each, and compares the whole table at once. */
export function ledger(plan: Plan, rows: readonly Row[]): AccountStore {
  const first = rows[0]?.[1];
  const opening = first && isOpening(first) ? first : null;
  const store = new AccountStore(plan, at(rows[0]?.[0] ?? '0s'), opening ?? open());
  if (!opening) store.run(store.account.openedAt, open());
  continueLedger(store, rows);
  return store;
}

/** Runs more rows on the same account. */
export function continueLedger(store: AccountStore, rows: readonly Row[]) {
  const actual = rows.map(([when, command, written]) => {
    const before = store.entries.length;
    const { book, outcome } = store.run(at(when), command);
    const texts = store.entries.slice(before).map(entryText);
    if (outcome instanceof Failure) {
      const expected = written.split(' | ').at(-1) ?? '';
      texts.push(failureText(outcome, expected.includes(': ')));
    }
    return [when, command?.kind ?? '', texts.join(' | ') || 'nothing', balanceText(book)];
  });
  expect(actual).toEqual(
    rows.map(([when, command, ...row]) => [when, command?.kind ?? '', ...row]),
  );
  audit(store);
}

/** Has an auditor read every entry, and compare the stored objects with them. Reservations that ended are read from theirs. */
export function audit(store: AccountStore, limit = store.plan.terms.overage?.limit ?? 0n) {
  const auditor = new Auditor(limit);
  for (const entry of store.entries) auditor.addEntry(entry);
  auditor.checkStore(store);
  for (const reservation of store.reservations.values())
    if (isOver(reservation)) expect(store.fromEntries(reservation)).toEqual(reservation);
}

/** Kinds of entries that never move credits. */
const WITHOUT_CREDITS: ReadonlySet<EntryKind> = new Set([
  'OPEN_ACCOUNT',
  'UPDATE_ACCOUNT',
  'CLOSE_ACCOUNT',
  'ERASE_ACCOUNT_DATA',
  'SET_BUDGET',
  'REMOVE_BUDGET',
  'PLAN_CHANGE',
  'OFFER_PACK',
  'WITHDRAW_PACK',
  'CHECKOUT',
  'REJECT_PURCHASE',
  'PAYMENT',
  'EXTEND',
  'UPDATE_GRANT',
  'SUSPEND_ACCOUNT',
  'RESUME_ACCOUNT',
]);

export function entryText({ kind, credits, moves, late }: Entry): string {
  if (WITHOUT_CREDITS.has(kind) && credits === 0n && moves.length === 0) return kind;
  const text = `${late ? 'late ' : ''}${kind} ${credits}`;
  return moves.length > 0 ? `${text}: ${moves.map(moveText).join(', ')}` : text;
}

const moveText = ({ from, to, grantId, credits }: Move): string =>
  `${bucketText(from, grantId)}>${bucketText(to, grantId)} ${credits}`;

function bucketText(bucket: Move['from'], grantId: bigint): string {
  if (bucket === 'available') return `g${grantId}`;
  if (bucket === 'reserved') return `(g${grantId})`;
  return bucket === 'overage_reserved' ? '(overage)' : bucket;
}

function failureText({ reason, metadata }: Failure, withMetadata: boolean): string {
  const values = Object.entries(metadata).map(([key, value]) => `${key} ${value}`);
  return withMetadata ? `${reason}: ${values.join(', ')}` : reason;
}

function balanceText({ account, grants, plan, now }: Book): string {
  const { remaining, reserved, overage, owed } = balanceOf(account, grants, plan, now);
  const parts = [
    `${remaining}`,
    reserved > 0n && `(${reserved})`,
    overage > 0n && `overage ${overage}`,
    owed > 0n && `owes ${owed}`,
  ];
  return parts.filter(Boolean).join(' ');
}
