/** OpenAccount, UpdateAccount and CloseAccount. */

import type { LowBalanceLevel } from '../../pricing/low-balance-level.ts';
import { expiryOf } from '../../pricing/packs.ts';
import type { Plan } from '../../pricing/plan.ts';
import type { Account } from '../account.ts';
import { grantAllowance, periodOf } from '../allowance.ts';
import { type AutoTopUpTerms, checkAutoTopUp, setAutoTopUp } from '../auto-top-up.ts';
import type { Book } from '../book.ts';
import type { Labels, Origin } from '../entry.ts';
import { accountClosed } from '../failures.ts';
import { DEFAULT_PRIORITY } from '../grant.ts';
import { updateStatementDueAt } from '../statement-closing.ts';

export type OpenAccount = {
  readonly kind: 'OpenAccount';
  readonly planId: string;
  readonly displayName: string;
  readonly labels: Labels;
};

export type UpdateAccount = {
  readonly kind: 'UpdateAccount';
  /** Null: unchanged. */
  readonly displayName: string | null;
  /** Null: unchanged. */
  readonly labels: Labels | null;
  /** The account's own limits. Null: the plan's apply again; undefined: unchanged. */
  readonly lowBalanceLevels?: readonly LowBalanceLevel[] | null;
  readonly pauseFloor?: bigint | null;
  /** Null: switched off; undefined: unchanged. */
  readonly autoTopUp?: AutoTopUpTerms | null;
};

export type CloseAccount = { readonly kind: 'CloseAccount' };

/** The account that an OpenAccount command creates, before the rule `openAccount` has run. */
export const newAccount = (
  accountId: string,
  command: OpenAccount,
  plan: Plan,
  now: number,
): Account => ({
  accountId,
  planId: plan.planId,
  state: 'OPEN',
  displayName: command.displayName,
  labels: command.labels,
  lowBalanceLevels: null,
  pauseFloor: null,
  lowLevels: null,
  autoTopUp: null,
  topUps: null,
  topUpDueAt: null,
  openedAt: now,
  closedAt: null,
  seq: 0n,
  grantCount: 0n,
  eventCount: 0n,
  remaining: 0n,
  reserved: 0n,
  overage: 0n,
  overageReserved: 0n,
  overageLimit: plan.terms.overage?.limit ?? 0n,
  allowanceDueAt: plan.terms.allowance ? periodOf(plan.terms.allowance.every, now, now).from : null,
  statementDueAt: null,
  statementPlanId: null,
  dueAt: null,
  lastAt: now,
  lastHash: new Uint8Array(),
  version: 1n,
});

/** Grants a new account what its plan gives: the welcome credits, and this period's allowance in full. */
export function openAccount(book: Book, origin: Origin) {
  const { welcome, allowance } = book.plan.terms;
  book.changes.account = true;
  updateStatementDueAt(book);
  if (welcome) {
    const grant = book.addGrant({
      amount: welcome.credits,
      category: 'PROMOTIONAL',
      priority: DEFAULT_PRIORITY,
      effectiveAt: book.now,
      expiresAt: expiryOf(welcome.validity, book.now),
      source: 'WELCOME',
      sourceReference: '',
      state: 'OPEN',
    });
    book.post(
      {
        kind: 'GRANT',
        moves: [{ from: 'issued', to: 'available', grantId: grant.grantId, credits: grant.amount }],
        credits: grant.amount,
        grantId: grant.grantId,
        labels: book.account.labels,
      },
      origin,
    );
  }
  if (allowance) grantAllowance(book, allowance, origin);
  // An account that is opened below a level reports it with the first change of its balance.
  book.remainingSeen = book.account.remaining;
  return { kind: 'OpenAccount' } as const;
}

export function updateAccount(book: Book, command: UpdateAccount) {
  const { account } = book;
  if (account.state === 'CLOSED') return accountClosed(book);
  const { autoTopUp } = command;
  const failure = autoTopUp ? checkAutoTopUp(book, autoTopUp) : null;
  if (failure) return failure;
  account.displayName = command.displayName ?? account.displayName;
  account.labels = command.labels ?? account.labels;
  const { lowBalanceLevels, pauseFloor } = command;
  if (lowBalanceLevels !== undefined) {
    account.lowBalanceLevels = lowBalanceLevels;
    account.lowLevels ??= [];
  }
  if (pauseFloor !== undefined) account.pauseFloor = pauseFloor;
  if (autoTopUp !== undefined) setAutoTopUp(book, autoTopUp);
  book.changes.settings = true;
  return { kind: 'UpdateAccount' } as const;
}

export function closeAccount(book: Book) {
  const { account } = book;
  if (account.state === 'OPEN') {
    account.state = 'CLOSED';
    account.closedAt = book.now;
    book.changes.settings = true;
  }
  return { kind: 'CloseAccount' } as const;
}
