/**
 * The book of one account: what a unit of work loaded of it, the rules' only view of the world.
 * Rules check first and post last; a rule that returns a Failure has changed nothing.
 *
 * Nothing here does I/O. What must be written is collected in `changes`.
 */

import assert from 'node:assert/strict';
import type { Plan } from '../pricing/plan.ts';
import type { PublishedPlan } from '../pricing/published-plan.ts';
import type { Account } from './account.ts';
import { OVERAGE } from './allocation/allocation.ts';
import type { CustomPack } from './custom-pack.ts';
import type { Entry, EntryDraft, Move, Origin } from './entry.ts';
import type { EventDraft, EventType } from './event.ts';
import { expiryNoticeAt } from './expiry-notice.ts';
import {
  ALL_OPERATIONS,
  compareBurnOrder,
  currentGrantState,
  type Grant,
  isLimited,
} from './grant.ts';
import { monthStart } from './month.ts';
import type { Purchase } from './purchase.ts';
import { type RefundableEntry, toRefundableEntry } from './refundable.ts';
import type { Reservation } from './reservation.ts';
import { type Statement, scheduleStatementForOverage } from './statement.ts';

/** An entry before it has its place in the hash chain. */
export type UnsealedEntry = Omit<Entry, 'hash'>;

/** What a rule says of a grant it makes; the book adds the rest. Without operations it pays for all. */
export type GrantDraft = Omit<
  Grant,
  'accountId' | 'grantId' | 'createdAt' | 'remaining' | 'reserved' | 'operations' | 'noticeAt'
> &
  Partial<Pick<Grant, 'operations'>>;

/** One for all: of most nouns a book changes none, and a set of each makes garbage of a book. */
const NONE: ReadonlySet<never> = new Set<never>();

const and = <Noun>(nouns: ReadonlySet<Noun>, noun: Noun): ReadonlySet<Noun> =>
  nouns.size === 0 ? new Set([noun]) : (nouns as Set<Noun>).add(noun);

/** Nouns a unit of work made, and ones it loaded and changed. */
class Changes<Noun> {
  added: ReadonlySet<Noun> = NONE;
  changed: ReadonlySet<Noun> = NONE;

  add(noun: Noun) {
    this.added = and(this.added, noun);
  }

  markChanged(noun: Noun) {
    if (!this.added.has(noun)) this.changed = and(this.changed, noun);
  }
}

export type LoadedAccount = {
  readonly account: Account;
  /** The account's own plan, and every one that a loaded reservation or a waiting request names. */
  readonly plans: ReadonlyMap<string, PublishedPlan>;
  readonly grants: readonly Grant[];
  readonly reservations: readonly Reservation[];
  readonly purchases: readonly Purchase[];
  /** Packs offered to this account that a command names, withdrawn ones too. */
  readonly customPacks: readonly CustomPack[];
  readonly refundables: readonly RefundableEntry[];
  /** Expiry of the soonest active reservation that was not loaded, if the account was due. */
  readonly nextReservationExpiry: number | null;
};

export class Book {
  readonly account: Account;
  /** The plan the account lives under, as it is now. */
  plan: Plan;
  readonly plans: ReadonlyMap<string, PublishedPlan>;
  /** Grants that can still change, in burn order. */
  readonly grants: Grant[];
  /** Whether any of them is limited to operations; seldom, so draws are quicker where none is. */
  hasLimitedGrants: boolean;
  readonly reservations: Map<string, Reservation>;
  readonly purchases: Purchase[];
  readonly customPacks: CustomPack[];
  readonly refundables: Map<bigint, RefundableEntry>;
  readonly nextReservationExpiry: number | null;
  /** The one time of this unit of work, for this account. */
  readonly now: number;
  readonly newId: () => string;
  readonly changes = {
    /** What entries change of an account. */
    account: false,
    /** What its owner or an operator sets: its plan, name, labels, state. */
    settings: false,
    entries: [] as UnsealedEntry[],
    grants: new Changes<Grant>(),
    reservations: new Changes<Reservation>(),
    purchases: new Changes<Purchase>(),
    /** By name. */
    customPacks: new Map<string, CustomPack>(),
    refundables: new Changes<RefundableEntry>(),
    events: [] as EventDraft[],
    statements: [] as Statement[],
  };

  constructor(loaded: LoadedAccount, now: number, newId: () => string) {
    this.account = loaded.account;
    this.grants = [...loaded.grants].sort(compareBurnOrder);
    this.hasLimitedGrants = this.grants.some(isLimited);
    this.reservations = new Map(loaded.reservations.map((r) => [r.reservationId, r]));
    this.purchases = [...loaded.purchases];
    this.customPacks = [...loaded.customPacks];
    this.refundables = new Map(loaded.refundables.map((r) => [r.seq, r]));
    this.nextReservationExpiry = loaded.nextReservationExpiry;
    this.now = Math.max(now, loaded.account.lastAt);
    this.newId = newId;
    this.plans = loaded.plans;
    const plan = this.findPlan(this.account.planId);
    assert(plan, `account ${this.account.accountId} lives under plan ${this.account.planId}`);
    this.plan = plan;
  }

  /**
   * Whether the account's row must be written. Whatever changes of an account is seen by its row, also
   * what it does not say itself: those who have read it know by that that it is another.
   */
  get hasChanges(): boolean {
    const { account, settings, grants, reservations } = this.changes;
    return account || settings || grants.changed.size > 0 || reservations.changed.size > 0;
  }

  /** A plan as it is now; null if there is none of that id. */
  findPlan(planId: string): Plan | null {
    return this.plans.get(planId)?.planAt(this.now) ?? null;
  }

  getGrant(grantId: bigint): Grant {
    const grant = this.grants.find((candidate) => candidate.grantId === grantId);
    assert(grant, `grant ${grantId} of ${this.account.accountId} was not loaded`);
    return grant;
  }

  findReservation(reservationId: string): Reservation | null {
    return this.reservations.get(reservationId) ?? null;
  }

  findPurchase(purchaseId: string): Purchase | null {
    return this.purchases.find((purchase) => purchase.purchaseId === purchaseId) ?? null;
  }

  /** A commit or charge: one that was loaded, or one of this unit of work. */
  findRefundable(seq: bigint): RefundableEntry | null {
    const known = this.refundables.get(seq);
    if (known) return known;
    const entry = this.changes.entries.find((candidate) => candidate.seq === seq);
    if (!entry || (entry.kind !== 'COMMIT' && entry.kind !== 'CHARGE')) return null;
    const added = toRefundableEntry(entry, 0n);
    this.refundables.set(seq, added);
    return added;
  }

  addGrant(grant: GrantDraft) {
    this.account.grantCount += 1n;
    const added: Grant = {
      operations: ALL_OPERATIONS,
      ...grant,
      noticeAt: expiryNoticeAt(this.plan.terms, grant),
      accountId: this.account.accountId,
      grantId: this.account.grantCount,
      remaining: 0n,
      reserved: 0n,
      createdAt: this.now,
    };
    const place = this.grants.findIndex((other) => compareBurnOrder(added, other) < 0);
    this.grants.splice(place === -1 ? this.grants.length : place, 0, added);
    this.changes.grants.add(added);
    this.hasLimitedGrants ||= isLimited(added);
    this.scheduleSettling(added.state === 'SCHEDULED' ? added.effectiveAt : added.expiresAt);
    // Notice that is due at once is given when the command has been decided.
    if (added.noticeAt !== null && added.noticeAt > this.now) this.scheduleSettling(added.noticeAt);
    return added;
  }

  addReservation(reservation: Reservation) {
    this.reservations.set(reservation.reservationId, reservation);
    this.changes.reservations.add(reservation);
    this.scheduleSettling(reservation.expiresAt);
  }

  /** Something will happen to the account by itself at `at`: it must be looked at then. */
  scheduleSettling(at: number | null) {
    const { account } = this;
    if (at === null || (account.dueAt !== null && account.dueAt <= at)) return;
    account.dueAt = at;
    this.changes.account = true;
  }

  /** Tells those who listen, if what is decided is committed. */
  emitEvent(
    type: EventType,
    data: EventDraft['data'],
    { traceId, spanId }: Pick<Origin, 'traceId' | 'spanId'>,
  ) {
    const { account } = this;
    const { accountId } = account;
    account.eventCount += 1n;
    this.changes.account = true;
    const seq = account.eventCount;
    this.changes.events.push({ accountId, seq, type, at: this.now, data, traceId, spanId });
  }

  /** Applies the moves of a draft and makes it the account's newest entry. */
  post(draft: EntryDraft, origin: Origin): UnsealedEntry {
    const { account } = this;
    if (monthStart(this.now) !== monthStart(account.lastAt)) account.overage = 0n;
    const { overage } = account;
    for (const move of draft.moves) this.#apply(move);
    // A refund of an earlier month's overage leaves this month's count as it is.
    if (draft.refunded && monthStart(draft.refunded.at) !== monthStart(this.now))
      account.overage = overage;
    this.#assertSound();
    scheduleStatementForOverage(this, draft.moves);
    account.seq += 1n;
    account.lastAt = this.now;
    this.changes.account = true;
    const entry: UnsealedEntry = {
      accountId: account.accountId,
      seq: account.seq,
      kind: draft.kind,
      at: this.now,
      moves: draft.moves,
      credits: draft.credits,
      remainingAfter: account.remaining,
      reservedAfter: account.reserved + account.overageReserved,
      overageAfter: account.overage,
      reservationId: draft.reservationId ?? null,
      grantId: draft.grantId ?? null,
      refundedSeq: draft.refunded?.seq ?? null,
      usages: draft.usages ?? [],
      planId: draft.planId ?? null,
      previousPlanId: draft.previousPlanId ?? null,
      rateCardVersion: draft.rateCardVersion ?? null,
      late: draft.late ?? false,
      caller: origin.caller,
      requestId: origin.requestId,
      reference: draft.reference ?? '',
      labels: draft.labels ?? {},
      traceId: origin.traceId,
      spanId: origin.spanId,
    };
    this.changes.entries.push(entry);
    return entry;
  }

  #apply(move: Move) {
    assert(move.credits > 0n, 'a move moves credits');
    const grant = move.grantId === OVERAGE ? null : this.getGrant(move.grantId);
    this.#add(move.from, grant, -move.credits);
    this.#add(move.to, grant, move.credits);
    if (grant) {
      grant.state = currentGrantState(grant, this.now);
      this.changes.grants.markChanged(grant);
    }
  }

  #add(bucket: Move['from'], grant: Grant | null, credits: bigint) {
    const { account } = this;
    switch (bucket) {
      case 'available':
      case 'reserved': {
        assert(grant, `${bucket} is a bucket of a grant`);
        grant.remaining += credits;
        account.remaining += credits;
        if (bucket === 'reserved') {
          grant.reserved += credits;
          account.reserved += credits;
        }
        assert(grant.reserved >= 0n && grant.reserved <= grant.remaining, 'grant stays sound');
        assert(grant.remaining <= grant.amount, 'a grant never holds more than its amount');
        return;
      }
      case 'overage_reserved':
        account.overageReserved += credits;
        account.overage -= credits;
        return;
      case 'overage':
        account.overage -= credits;
        return;
      default:
        return; // issued, consumed and expired are sums nobody keeps: they follow from the entries
    }
  }

  #assertSound() {
    const { account } = this;
    assert(account.reserved >= 0n && account.reserved <= account.remaining, 'account stays sound');
    assert(account.overage >= 0n && account.overageReserved >= 0n, 'overage stays sound');
    assert(
      account.overage + account.overageReserved <= account.overageLimit,
      'overage stays within its limit',
    );
  }
}

/** Moves of the same kind for a list of allocations; overage has buckets of its own. */
export function toMoves(
  allocations: readonly { grantId: bigint; credits: bigint }[],
  from: 'available' | 'reserved' | 'consumed',
  to: 'available' | 'reserved' | 'consumed' | 'expired' | 'issued',
): Move[] {
  return allocations.map(({ grantId, credits }) =>
    grantId === OVERAGE
      ? { from: overageBucket(from), to: overageBucket(to), grantId, credits }
      : { from, to, grantId, credits },
  );
}

function overageBucket(bucket: 'available' | 'reserved' | 'consumed' | 'expired' | 'issued') {
  if (bucket === 'available') return 'overage' as const;
  if (bucket === 'reserved') return 'overage_reserved' as const;
  return bucket;
}
