/** OpenAccount, UpdateAccount and CloseAccount. */

import { canonicalJson } from '../../canonical.ts';
import { type LowBalanceLevel, levelName } from '../../pricing/low-balance-level.ts';
import { expiryOf } from '../../pricing/packs.ts';
import type { Plan } from '../../pricing/plan.ts';
import type { Account } from '../account.ts';
import { allowancePeriodAt, grantAllowance } from '../allowance.ts';
import { type AutoTopUpTerms, checkAutoTopUp, setAutoTopUp } from '../auto-top-up.ts';
import type { Book } from '../book.ts';
import type { Labels, Origin } from '../entry.ts';
import { accountClosed } from '../failures.ts';
import { DEFAULT_PRIORITY } from '../grant.ts';
import { grantDetails } from '../grant-details.ts';
import { checkZone, openedInZone, setZone, timeZoneOf } from '../periods/account-zone.ts';
import { updateStatementDueAt } from '../statement-closing.ts';

export type OpenAccount = {
  readonly kind: 'OpenAccount';
  readonly planId: string;
  readonly displayName: string;
  readonly labels: Labels;
  /** Canonical; null: the plan's. */
  readonly timeZone: string | null;
};

export type UpdateAccount = {
  readonly kind: 'UpdateAccount';
  /** Null: unchanged. */
  readonly displayName: string | null;
  /** Null: unchanged. */
  readonly labels: Labels | null;
  /** Canonical; undefined: unchanged. */
  readonly timeZone?: string;
  /** The account's own limits. Null: the plan's apply again; undefined: unchanged. */
  readonly lowBalanceLevels?: readonly LowBalanceLevel[] | null;
  readonly pauseFloor?: bigint | null;
  /** Null: switched off; undefined: unchanged. */
  readonly autoTopUp?: AutoTopUpTerms | null;
};

export type CloseAccount = { readonly kind: 'CloseAccount' };

/** The account that an OpenAccount or ImportAccount command creates, before its rule has run. */
export function newAccount(
  accountId: string,
  command: Pick<OpenAccount, 'displayName' | 'labels' | 'timeZone'>,
  plan: Plan,
  now: number,
): Account {
  const { allowance, timeZone } = plan.terms;
  const opened = { openedAt: now, timeZones: openedInZone(command.timeZone, timeZone, now) };
  return {
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
    ...opened,
    closedAt: null,
    suspension: null,
    shadow: null,
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
    overageBefore: null,
    overageReserved: 0n,
    overageLimit: plan.terms.overage?.limit ?? 0n,
    owed: 0n,
    allowanceDueAt: allowance ? allowancePeriodAt(opened, allowance, now).from : null,
    statementDueAt: null,
    statementPlanId: null,
    hasLimitedGrants: false,
    dueAt: null,
    callerDays: null,
    lastAt: now,
    lastHash: new Uint8Array(),
    version: 1n,
  };
}

/** Grants a new account what its plan gives: the welcome credits, and this period's allowance in full. */
export function openAccount(book: Book, origin: Origin) {
  const { welcome, allowance } = book.plan.terms;
  book.changes.account = true;
  updateStatementDueAt(book);
  const entry = book.post(
    {
      kind: 'OPEN_ACCOUNT',
      details: openingZone(book.account),
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

/** How its first entry says the zone of an account, if it is not UTC. */
export const openingZone = (account: Account): Labels =>
  account.timeZones === null ? {} : { time_zone: timeZoneOf(account) };

/** A name may be that of a person. */
export const displayName = (name: string) =>
  name === '' ? {} : { personal: { display_name: name } };

export function updateAccount(book: Book, command: UpdateAccount, origin: Origin) {
  const { account } = book;
  if (account.state === 'CLOSED') return accountClosed(book);
  const { autoTopUp, timeZone } = command;
  const failure =
    (autoTopUp ? checkAutoTopUp(book, autoTopUp) : null) ??
    (timeZone === undefined ? null : checkZone(account, timeZone));
  if (failure) return failure;
  const before = settingsOf(account);
  account.displayName = command.displayName ?? account.displayName;
  account.labels = command.labels ?? account.labels;
  const { lowBalanceLevels, pauseFloor } = command;
  if (lowBalanceLevels !== undefined) account.lowBalanceLevels = lowBalanceLevels;
  if (pauseFloor !== undefined) account.pauseFloor = pauseFloor;
  if (autoTopUp !== undefined) setAutoTopUp(book, autoTopUp);
  if (timeZone !== undefined) setZone(account, timeZone, book.now);
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
  time_zone: timeZoneOf(account),
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
