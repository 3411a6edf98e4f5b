/**
 * The book: the in-memory aggregate of one account. It holds what a unit of work loaded of the account,
 * is all that the rules see, and collects in `changes` what must be written. Nothing here does I/O.
 *
 * Rules check first and post last: a rule that returns a Failure has changed nothing.
 */
import assert from 'node:assert/strict';
import type { Plan } from '../pricing/plan.ts';
import type { PublishedPlan } from '../pricing/published-plan.ts';
import type { Account } from './account.ts';
import { applyMoves, assertInvariants } from './apply-moves.ts';
import {
  type BudgetCounter,
  type BudgetCounterKey,
  type BudgetCounters,
  counterName,
} from './budget.ts';
import type { LimitedCaller } from './caller-limits.ts';
import type { CustomPack } from './custom-pack.ts';
import type {
  EntryDraft,
  Labels,
  Move,
  Origin,
  StoredTrace,
  Trace,
  UnsealedEntry,
} from './entry.ts';
import type { EventDraft, EventType } from './event.ts';
import { noteExpired, returnsForLateUsage } from './expired-allowances.ts';
import { expiryNoticeAt } from './expiry-notice.ts';
import { ALL_OPERATIONS, compareBurnOrder, type Grant, isLimited } from './grant.ts';
import { beginMonth, countWhenUsed } from './month-overage.ts';
import { payOwed, tellOfOwed } from './owed.ts';
import { isSameMonth } from './periods/period.ts';
import type { PlanLeft } from './plans-left.ts';
import type { Purchase } from './purchase.ts';
import { type RefundableEntry, startOf, toRefundableEntry } from './refundable.ts';
import type { Reservation } from './reservation.ts';
import type { Statement } from './statement.ts';
import { scheduleStatementForOverage } from './statement-closing.ts';

/** A grant as a rule states it; the book adds the rest. Without operations it is not limited. */
export type GrantDraft = Omit<
  Grant,
  | 'accountId'
  | 'grantId'
  | 'createdAt'
  | 'remaining'
  | 'reserved'
  | 'voided'
  | 'voidOnReturn'
  | 'expired'
  | 'operations'
  | 'noticeAt'
  | 'stranded'
> &
  Partial<Pick<Grant, 'operations'>>;

/** Shared by all books: most sets of changes stay empty. */
const EMPTY: ReadonlySet<never> = new Set<never>();

const withItem = <Item>(items: ReadonlySet<Item>, item: Item): ReadonlySet<Item> =>
  items.size === 0 ? new Set([item]) : (items as Set<Item>).add(item);

/** What a unit of work added, and what it loaded and changed. */
export class Changes<Item> {
  added: ReadonlySet<Item> = EMPTY;
  changed: ReadonlySet<Item> = EMPTY;

  add(item: Item) {
    this.added = withItem(this.added, item);
  }

  /** Does nothing for an item that was added: it will be written anyway. */
  markChanged(item: Item) {
    if (!this.added.has(item)) this.changed = withItem(this.changed, item);
  }

  /** The same changes, of the copies of the items. */
  copy(copyOf: (item: Item) => Item): Changes<Item> {
    const copy = new Changes<Item>();
    copy.added = copySet(this.added, copyOf);
    copy.changed = copySet(this.changed, copyOf);
    return copy;
  }
}

export const copySet = <Item>(
  items: ReadonlySet<Item>,
  copyOf: (item: Item) => Item,
): ReadonlySet<Item> => (items.size === 0 ? items : new Set(Array.from(items, copyOf)));

/** What a unit of work loads of an account. */
export type LoadedAccount = {
  readonly account: Account;
  /** The account's own plan, and every plan that a loaded reservation or a queued request names. */
  readonly plans: ReadonlyMap<string, PublishedPlan>;
  /**
   * The grants that burn first, up to `loadedUpTo`, and those that loaded reservations, refunds and purchases
   * concern. All open grants, if the account is due or has limited ones.
   */
  readonly grants: readonly Grant[];
  /** The last grant in burn order before which no spendable one is missing. Null: none is missing. */
  readonly loadedUpTo: Grant | null;
  readonly reservations: readonly Reservation[];
  readonly purchases: readonly Purchase[];
  /** Packs offered to this account that a command names, including withdrawn ones. */
  readonly customPacks: readonly CustomPack[];
  readonly refundables: readonly RefundableEntry[];
  /**
   * Every counter that a command or settling may change; one that has no row yet has used 0. Null: the account
   * has no budgets.
   */
  readonly budgetCounters: BudgetCounters | null;
  /** The soonest expiry of the active reservations that were not loaded; null if the account was not due. */
  readonly nextReservationExpiry: number | null;
  /**
   * The plans that the account has left since its newest statement, the newest first. Read to close a month, and where
   * `isClosingBehind`.
   */
  readonly plansLeft: readonly PlanLeft[];
  /** When the first entry was recorded, or the newest archived one: see `checkUsedAt`. Null: no command charges late usage. */
  readonly usageSince: number | null;
};

/** A rule needs grants that were not loaded. It has changed nothing; it can run again with more. */
export class MoreGrantsNeeded extends Error {}

export class Book {
  readonly account: Account;
  /** The plan the account lives under, with the rate card in force at `now`. */
  plan: Plan;
  readonly plans: ReadonlyMap<string, PublishedPlan>;
  /** In burn order. Spendable grants after `loadedUpTo` may be missing. */
  readonly grants: Grant[];
  loadedUpTo: Grant | null;
  /** Whether any of the grants is limited. Few accounts have such a grant, and allocation is simpler without. */
  hasLimitedGrants: boolean;
  readonly reservations: Map<string, Reservation>;
  readonly purchases: Purchase[];
  readonly customPacks: CustomPack[];
  readonly refundables: Map<bigint, RefundableEntry>;
  /** Those that were loaded, and those of budgets that were set since. Null: none. */
  budgetCounters: BudgetCounters | null;
  /** seq of the newest entry when the account was loaded. */
  loadedSeq: bigint;
  readonly nextReservationExpiry: number | null;
  readonly plansLeft: readonly PlanLeft[];
  readonly usageSince: number | null;
  /** The time of the unit of work, and never earlier than the account's `lastAt`. */
  readonly now: number;
  readonly newId: () => string;
  /** What was remaining when low balance was looked at last: see `updateLowBalance`. */
  remainingSeen: bigint;
  /** The caller of the command that is decided, if its credits are limited. */
  limitedCaller: LimitedCaller | null = null;
  /** What the command that is decided moves, as `checkCallerLimits` was told. */
  creditsMoved = 0n;
  readonly changes = {
    /** Whether columns that entries, events and settling change must be written. */
    account: false,
    /** Whether other columns must be written: plan, name, labels, state, top-ups, statements due. */
    settings: false,
    entries: [] as UnsealedEntry[],
    grants: new Changes<Grant>(),
    /** Of the changed grants, those of which other columns must be written, too: terms, and what was voided. */
    grantTerms: EMPTY as ReadonlySet<Grant>,
    reservations: new Changes<Reservation>(),
    purchases: new Changes<Purchase>(),
    /** By pack id: of several changes of one pack the last is written. */
    customPacks: new Map<string, CustomPack>(),
    refundables: new Changes<RefundableEntry>(),
    budgetCounters: EMPTY as ReadonlySet<BudgetCounter>,
    events: [] as EventDraft[],
    statements: [] as Statement[],
  };

  constructor(loaded: LoadedAccount, now: number, newId: () => string) {
    this.account = loaded.account;
    this.grants = [...loaded.grants].sort(compareBurnOrder);
    this.loadedUpTo = loaded.loadedUpTo;
    this.hasLimitedGrants = this.grants.some(isLimited);
    this.reservations = new Map(loaded.reservations.map((r) => [r.reservationId, r]));
    this.purchases = [...loaded.purchases];
    this.customPacks = [...loaded.customPacks];
    this.refundables = new Map(loaded.refundables.map((r) => [r.seq, r]));
    this.budgetCounters = loaded.budgetCounters;
    this.loadedSeq = loaded.account.seq;
    this.nextReservationExpiry = loaded.nextReservationExpiry;
    this.plansLeft = loaded.plansLeft;
    this.usageSince = loaded.usageSince;
    this.now = Math.max(now, loaded.account.lastAt);
    this.newId = newId;
    this.remainingSeen = loaded.account.remaining;
    this.plans = loaded.plans;
    const plan = this.findPlan(this.account.planId);
    assert(plan, `account ${this.account.accountId} lives under plan ${this.account.planId}`);
    this.plan = plan;
  }

  /**
   * Whether the account's row must be written. A change of a grant or reservation counts as well: any
   * change of the account increments the row version, so that stale caches are detected.
   */
  get hasChanges(): boolean {
    const { account, settings, grants, reservations } = this.changes;
    return account || settings || grants.changed.size > 0 || reservations.changed.size > 0;
  }

  /** The plan with the rate card in force at `now`; null if it does not exist. */
  findPlan(planId: string): Plan | null {
    return this.plans.get(planId)?.planAt(this.now) ?? null;
  }

  /** The grants that can pay, in burn order. Throws MoreGrantsNeeded where one may be missing. */
  *spendingOrder(): Generator<Grant, void, void> {
    const { loadedUpTo } = this;
    for (const grant of this.grants) {
      if (loadedUpTo && compareBurnOrder(grant, loadedUpTo) > 0) break;
      yield grant;
    }
    if (loadedUpTo) throw new MoreGrantsNeeded();
  }

  /** Throws if the grant was not loaded: that is a bug. */
  getGrant(grantId: bigint): Grant {
    const grant = this.findGrant(grantId);
    assert(grant, `grant ${grantId} of ${this.account.accountId} was not loaded`);
    return grant;
  }

  findGrant(grantId: bigint): Grant | null {
    return this.grants.find((candidate) => candidate.grantId === grantId) ?? null;
  }

  /** What few calls change of a grant has changed. */
  markGrantTerms(grant: Grant) {
    const { changes } = this;
    changes.grants.markChanged(grant);
    if (!changes.grants.added.has(grant)) changes.grantTerms = withItem(changes.grantTerms, grant);
  }

  findReservation(reservationId: string): Reservation | null {
    return this.reservations.get(reservationId) ?? null;
  }

  findPurchase(purchaseId: string): Purchase | null {
    return this.purchases.find((purchase) => purchase.purchaseId === purchaseId) ?? null;
  }

  /** A commit or charge that was loaded or made in this unit of work. */
  findRefundable(seq: bigint): RefundableEntry | null {
    const known = this.refundables.get(seq);
    if (known) return known;
    const entry = this.changes.entries.find((candidate) => candidate.seq === seq);
    if (!entry || (entry.kind !== 'COMMIT' && entry.kind !== 'CHARGE')) return null;
    const added = toRefundableEntry(entry, 0n);
    const reservation = this.findReservation(entry.reservationId ?? '');
    if (reservation) added.start = startOf(reservation);
    this.refundables.set(seq, added);
    return added;
  }

  /** Throws if the counter was not loaded: that is a bug. */
  budgetCounter(key: BudgetCounterKey): BudgetCounter {
    const name = counterName(key);
    const known = this.budgetCounters?.get(name);
    if (known) return known;
    const { accountId } = this.account;
    // A budget of this unit of work has counted nothing before.
    assert(
      key.since > this.loadedSeq,
      `a counter of budget ${key.since} of ${accountId} was not loaded`,
    );
    const counter = { accountId, ...key, used: 0n, reportedCap: null };
    this.budgetCounters ??= new Map();
    this.budgetCounters.set(name, counter);
    return counter;
  }

  markCounter(counter: BudgetCounter) {
    this.changes.budgetCounters = withItem(this.changes.budgetCounters, counter);
  }

  /** Adds a grant without credits: the entry that issues them is posted next. */
  addGrant(grant: GrantDraft): Grant {
    this.account.grantCount += 1n;
    const added: Grant = {
      operations: ALL_OPERATIONS,
      ...grant,
      noticeAt: expiryNoticeAt(this.plan.terms, grant),
      accountId: this.account.accountId,
      grantId: this.account.grantCount,
      remaining: 0n,
      reserved: 0n,
      voided: 0n,
      voidOnReturn: 0n,
      expired: 0n,
      stranded: false,
      createdAt: this.now,
    };
    this.#insertInBurnOrder(added);
    this.changes.grants.add(added);
    if (added.state === 'SCHEDULED') this.account.scheduled += added.amount;
    this.#noteLimit(added);
    this.scheduleSettling(added.state === 'SCHEDULED' ? added.effectiveAt : added.expiresAt);
    // A notice that is due already is given once the command has been decided.
    if (added.noticeAt !== null && added.noticeAt > this.now) this.scheduleSettling(added.noticeAt);
    return added;
  }

  #insertInBurnOrder(grant: Grant) {
    const index = this.grants.findIndex((other) => compareBurnOrder(grant, other) < 0);
    this.grants.splice(index === -1 ? this.grants.length : index, 0, grant);
  }

  #noteLimit(grant: Grant) {
    if (!isLimited(grant)) return;
    this.hasLimitedGrants = true;
    this.account.hasLimitedGrants = true;
  }

  /** Changes terms of a grant, which takes its new place in the burn order. */
  changeTerms(grant: Grant, terms: Pick<Grant, 'priority' | 'expiresAt' | 'operations'>) {
    // The place up to which grants were loaded stays where it was.
    if (this.loadedUpTo?.grantId === grant.grantId) this.loadedUpTo = { ...this.loadedUpTo };
    this.grants.splice(this.grants.indexOf(grant), 1);
    Object.assign(grant, terms);
    this.#insertInBurnOrder(grant);
    this.#noteLimit(grant);
    this.markGrantTerms(grant);
  }

  addReservation(reservation: Reservation) {
    this.reservations.set(reservation.reservationId, reservation);
    this.changes.reservations.add(reservation);
    this.scheduleSettling(reservation.expiresAt);
  }

  /** Makes the account due at `at`, unless it is due earlier. Null changes nothing. */
  scheduleSettling(at: number | null) {
    const { account } = this;
    if (at === null || (account.dueAt !== null && account.dueAt <= at)) return;
    account.dueAt = at;
    this.changes.account = true;
  }

  /** Adds an event, which is written and delivered only if the transaction commits. */
  emitEvent(type: EventType, data: EventDraft['data'], { traceId, spanId, sampled }: Trace) {
    const { account } = this;
    const { accountId } = account;
    account.eventCount += 1n;
    this.changes.account = true;
    const seq = account.eventCount;
    const trace = { traceId, spanId, sampled };
    this.changes.events.push({ accountId, seq, type, at: this.now, data, ...trace });
  }

  /** Applies the moves of a draft and appends it as the account's newest entry. What they bring may pay what is owed. */
  post(draft: EntryDraft, origin: Origin): UnsealedEntry {
    const { account } = this;
    const { timeZones } = account;
    if (!isSameMonth(timeZones, this.now, account.lastAt)) beginMonth(this);
    const { overage, owed } = account;
    const { moves = NO_MOVES, usedAt = null } = draft;
    applyMoves(this, moves);
    // A refund of an earlier month's overage leaves this month's count as it is.
    if (draft.refunded && !isSameMonth(timeZones, this.now, draft.refunded.at))
      account.overage = overage;
    else if (usedAt !== null) countWhenUsed(this, usedAt, overage);
    assertInvariants(account);
    scheduleStatementForOverage(this, moves);
    account.seq += 1n;
    account.lastAt = this.now;
    this.changes.account = true;
    const planId = draft.planId ?? account.planId;
    const plan = this.plans.get(planId);
    assert(plan, `plan ${planId} of account ${account.accountId} was not loaded`);
    if (plan.terms.terms.lateUsageMs > 0) noteExpired(this, moves);
    const entry = toEntry(account, draft, plan, origin);
    this.changes.entries.push(entry);
    if (account.owed !== owed) tellOfOwed(this, entry, account.owed - owed, origin);
    // What returns for late usage is spent by the next entry.
    if (account.owed > 0n && !returnsForLateUsage(entry)) payOwed(this, moves, origin);
    return entry;
  }
}

/** What OpenTelemetry gives where tracing is switched off. */
const NO_TRACE_ID = '0'.repeat(32);
const NO_TRACE: StoredTrace = { traceId: '', spanId: '' };
const NO_MOVES: readonly Move[] = [];
const NO_LABELS: Labels = {};

/** The entry of a draft, as the newest one of the account. */
const toEntry = (
  account: Account,
  draft: EntryDraft,
  plan: PublishedPlan,
  origin: Origin,
): UnsealedEntry => ({
  accountId: account.accountId,
  seq: account.seq,
  kind: draft.kind,
  at: account.lastAt,
  moves: draft.moves ?? NO_MOVES,
  credits: draft.credits ?? 0n,
  remainingAfter: account.remaining,
  reservedAfter: account.reserved + account.overageReserved,
  overageAfter: account.overage,
  owedAfter: account.owed,
  reservationId: draft.reservationId ?? null,
  purchaseId: draft.purchaseId ?? null,
  grantId: draft.grantId ?? null,
  refundedSeq: draft.refunded?.seq ?? null,
  usages: draft.usages ?? [],
  planId: plan.planId,
  planVersion: plan.planVersion,
  termsHash: plan.termsHash,
  previousPlanId: draft.previousPlanId ?? null,
  rateCardVersion: draft.rateCardVersion ?? null,
  rateCardHash: draft.rateCardVersion === undefined ? '' : plan.rateCardHash(draft.rateCardVersion),
  usedAt: draft.usedAt ?? null,
  late: draft.late ?? false,
  final: draft.final ?? null,
  asked: draft.asked ?? null,
  expiresAt: draft.expiresAt ?? null,
  overCommitPolicy: draft.overCommitPolicy ?? null,
  details: draft.details ?? NO_LABELS,
  sealedEvents: null,
  caller: origin.caller,
  requestId: origin.requestId,
  onBehalfOf: origin.onBehalfOf,
  certificate: origin.certificate,
  reference: draft.reference ?? '',
  labels: draft.labels ?? NO_LABELS,
  personal: draft.personal ?? NO_LABELS,
  ...(origin.traceId === NO_TRACE_ID
    ? NO_TRACE
    : { traceId: origin.traceId, spanId: origin.spanId }),
  request: null,
});
