/** OpenAccount, UpdateAccount and CloseAccount. */

import { canonicalJson } from '../../canonical.ts';
import { type LowBalanceLevel, levelName } from '../../pricing/low-balance-level.ts';
import { expiryOf } from '../../pricing/packs.ts';
import type { Plan } from '../../pricing/plan.ts';
import type { Account } from '../account.ts';
import { grantAllowance, periodOf } from '../allowance.ts';
import { type AutoTopUpTerms, checkAutoTopUp, setAutoTopUp } from '../auto-top-up.ts';
import type { Book } from '../book.ts';
import type { Labels, Origin } from '../entry.ts';
import { accountClosed } from '../failures.ts';
import { DEFAULT_PRIORITY } from '../grant.ts';
import { grantDetails } from '../grant-details.ts';
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

/** The account that an OpenAccount or ImportAccount command creates, before its rule has run. */
export const newAccount = (
  accountId: string,
  command: Pick<OpenAccount, 'displayName' | 'labels'>,
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
  suspension: null,
  budgets: null,
  archivedSeq: null,
  seq: 0n,
  grantCount: 0n,
  eventCount: 0n,
  eventsHash: null,
  remaining: 0n,
  reserved: 0n,
  granted: 0n,
  scheduled: 0n,
  overage: 0n,
  overageReserved: 0n,
  overageLimit: plan.terms.overage?.limit ?? 0n,
  allowanceDueAt: plan.terms.allowance ? periodOf(plan.terms.allowance.every, now, now).from : null,
  statementDueAt: null,
  statementPlanId: null,
  hasLimitedGrants: false,
  dueAt: null,
  callerDays: null,
  lastAt: now,
  lastHash: new Uint8Array(),
  version: 1n,
});

/** Grants a new account what its plan gives: the welcome credits, and this period's allowance in full. */
export function openAccount(book: Book, origin: Origin) {
  const { welcome, allowance } = book.plan.terms;
  book.changes.account = true;
  updateStatementDueAt(book);
  const entry = book.post(
    {
      kind: 'OPEN_ACCOUNT',
      labels: book.account.labels,
      ...displayName(book.account.displayName),
    },
    origin,
  );
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
        details: grantDetails(grant),
        labels: book.account.labels,
      },
      origin,
    );
  }
  if (allowance) grantAllowance(book, allowance, origin);
  // An account that is opened below a level reports it with the first change of its balance.
  book.remainingSeen = book.account.remaining;
  return { kind: 'OpenAccount', entrySeq: entry.seq } as const;
}

/** A name may be that of a person. */
export const displayName = (name: string) =>
  name === '' ? {} : { personal: { display_name: name } };

export function updateAccount(book: Book, command: UpdateAccount, origin: Origin) {
  const { account } = book;
  if (account.state === 'CLOSED') return accountClosed(book);
  const { autoTopUp } = command;
  const failure = autoTopUp ? checkAutoTopUp(book, autoTopUp) : null;
  if (failure) return failure;
  const before = settingsOf(account);
  account.displayName = command.displayName ?? account.displayName;
  account.labels = command.labels ?? account.labels;
  const { lowBalanceLevels, pauseFloor } = command;
  if (lowBalanceLevels !== undefined) account.lowBalanceLevels = lowBalanceLevels;
  if (pauseFloor !== undefined) account.pauseFloor = pauseFloor;
  if (autoTopUp !== undefined) setAutoTopUp(book, autoTopUp);
  const changed = Object.fromEntries(
    Object.entries(settingsOf(account)).filter(([name, text]) => text !== before[name]),
  );
  if (Object.keys(changed).length === 0) return { kind: 'UpdateAccount', entrySeq: 0n } as const;
  if ('low_balance_levels' in changed) account.lowLevels ??= [];
  book.changes.settings = true;
  const entry = book.post({ kind: 'UPDATE_ACCOUNT', ...settingsDraft(account, changed) }, origin);
  return { kind: 'UpdateAccount', entrySeq: entry.seq } as const;
}

type Settings = Readonly<Record<string, string>>;

/** The settings of an account by name, as texts. */
const settingsOf = (account: Account): Settings => ({
  display_name: account.displayName,
  labels: canonicalJson(account.labels),
  low_balance_levels: account.lowBalanceLevels?.map(levelName).join(',') ?? 'plan',
  pause_floor: account.pauseFloor?.toString() ?? 'plan',
  auto_top_up: account.autoTopUp ? canonicalJson(account.autoTopUp) : 'off',
});

/** How an entry states settings that have changed: those that are about a person can be erased. */
function settingsDraft({ labels }: Account, { labels: changed, ...others }: Settings) {
  const { display_name, auto_top_up, ...details } = others;
  const isLabelled = changed !== undefined;
  return {
    details: { ...details, ...(isLabelled && { labels: `${Object.keys(labels).length}` }) },
    ...(isLabelled && { labels }),
    personal: {
      ...(display_name !== undefined && { display_name }),
      // It names the customer at the payment provider.
      ...(auto_top_up !== undefined && { auto_top_up }),
    },
  };
}

export function closeAccount(book: Book, origin: Origin) {
  const { account } = book;
  if (account.state === 'CLOSED') return { kind: 'CloseAccount', entrySeq: 0n } as const;
  account.state = 'CLOSED';
  account.closedAt = book.now;
  book.changes.settings = true;
  const entry = book.post({ kind: 'CLOSE_ACCOUNT' }, origin);
  return { kind: 'CloseAccount', entrySeq: entry.seq } as const;
}
