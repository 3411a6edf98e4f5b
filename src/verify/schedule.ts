/**
 * What the account's row keeps for later: its overage limit, and when something is due. The service computes them
 * from the plan and the entries; verify checks that they are possible, and that nothing is due later than it is.
 */
import type { Account } from '../ledger/account.ts';
import type { Entry } from '../ledger/entry.ts';
import type { Grant } from '../ledger/grant.ts';
import { endOfPeriod, endOfPeriodFrom, type Opened } from './allowance-periods.ts';
import type { Report } from './findings.ts';
import { instant } from './instant.ts';
import { overageUsed } from './moves.ts';
import { isOfAnother } from './plan-history.ts';
import type { Published } from './published.ts';
import { intervalAt, monthEnd, monthNamed } from './zone-periods.ts';

/** The months of an account that have a statement. */
export type ClosedMonths = {
  /** The end of the last one. */
  readonly until: number;
  /** When it was closed. */
  readonly at: number;
};

/** A unit of work that reads a new version may have taken its time before that was published, but not long. */
const PUBLICATION_MAX_MS = 3_600_000;

/**
 * The account as what it was granted at an instant saw it. Before its first time zone, lengths in days and months are
 * counted from the opening to the millisecond. What is due comes before a change of the same millisecond.
 */
function asOpenedBefore({ openedAt, timeZones }: Opened, at: number): Opened {
  const known = timeZones?.filter((zone, index) => index === 0 || zone.at < at) ?? [];
  const isUtc = known.length === 1 && known[0]?.zone === 'UTC';
  return { openedAt, timeZones: isUtc || !timeZones ? null : known };
}

export class Schedule {
  readonly #published: Published;
  readonly #account: Account;
  /** The end of the month that is to be closed next: the newest end of a month by the time when that is due. */
  readonly #monthToClose: number | null;
  /** The end of the last month that is closed. */
  readonly #closedUntil: number;
  /** When it was closed. */
  readonly #closedAt: number;
  /** The plans it lived under, with the newest version of their terms that an entry names. */
  readonly #versions = new Map<string, number>();
  /** The end of the period of the newest allowance. */
  #periodEnd: number | null = null;
  /** When it came to its plan. Null: it was opened under it. */
  #movedAt: number | null = null;
  /** The version of that plan at that time. */
  #cameTo = 1;
  /** When it came to the first plan that ever had an allowance. Nothing was due before. Null: to none. */
  #allowedSince: number | null = null;
  #overageReserved = 0n;
  /** The most overage there ever was: a limit that is lowered never goes below what is used. */
  #mostUsed = 0n;
  /** The same where late usage adds to a month that is over, which counts together with what is reserved in the next. */
  #mostUsedLate = 0n;
  #mostOverage = 0n;
  /** What late usage has added to months that were over, by their end. */
  readonly #lateOverage = new Map<number, bigint>();
  #mostLateOverage = 0n;
  /** The end of the first month with overage that is not closed. */
  #openMonth: number | null = null;
  /** The last postpaid plan it lived under in the month to close. Null: none since a month was closed, or not known. */
  #pricedBy: string | null = null;

  constructor(published: Published, account: Account, closed: ClosedMonths | null) {
    this.#published = published;
    this.#account = account;
    const { statementDueAt, timeZones } = account;
    this.#monthToClose =
      statementDueAt === null ? null : intervalAt(timeZones, 'MONTH', statementDueAt).from;
    this.#closedUntil = closed?.until ?? Number.NEGATIVE_INFINITY;
    this.#closedAt = closed?.at ?? Number.NEGATIVE_INFINITY;
  }

  /** Applies the account's next entry. */
  apply(entry: Entry, report: Report) {
    const { at, planId, planVersion, details, moves, overageAfter } = entry;
    if (entry.kind === 'PLAN_CHANGE') this.#movedAt = at;
    if (entry.kind === 'PLAN_CHANGE' || entry.seq === 1n) {
      this.#cameTo = planVersion;
      if (this.#published.allowancePeriods(planId, 1).length > 0) this.#allowedSince ??= at;
    }
    this.#versions.set(planId, planVersion);
    this.#followPrices(entry);
    const { period_end: periodEnd } = details;
    if (periodEnd !== undefined) {
      this.#checkPeriod(entry, Date.parse(periodEnd), report);
      this.#periodEnd = Date.parse(periodEnd);
    }
    for (const move of moves) {
      const { from, to, credits } = move;
      if (from === 'overage_reserved') this.#overageReserved -= credits;
      if (to === 'overage_reserved') this.#overageReserved += credits;
      if (overageUsed(move) !== 0n && (entry.usedAt ?? at) >= this.#closedUntil)
        this.#openMonth ??= this.#endOfMonth(entry.usedAt ?? at);
      if (entry.usedAt !== null) this.#followLate(at, entry.usedAt, overageUsed(move));
    }
    const used = overageAfter + this.#overageReserved;
    if (used > this.#mostUsed) this.#mostUsed = used;
    if (overageAfter > this.#mostOverage) this.#mostOverage = overageAfter;
    const usedLate = this.#mostOverage + this.#mostLateOverage + this.#overageReserved;
    if (usedLate > this.#mostUsedLate) this.#mostUsedLate = usedLate;
  }

  /** Late overage of a month that was over is in the overage after no entry. */
  #followLate(at: number, usedAt: number, used: bigint) {
    const end = this.#endOfMonth(usedAt);
    if (used <= 0n || at < end) return;
    const late = (this.#lateOverage.get(end) ?? 0n) + used;
    this.#lateOverage.set(end, late);
    if (late > this.#mostLateOverage) this.#mostLateOverage = late;
  }

  /** The end of the month that contains `at`. */
  #endOfMonth(at: number): number {
    const { timeZones } = this.#account;
    return monthEnd(timeZones, monthNamed(timeZones, at));
  }

  finish(report: Report) {
    this.#checkLimit(this.#account, report);
    this.#checkAllowance(this.#account, report);
    this.#checkStatement(this.#account, report);
  }

  /** A month is priced by the last postpaid plan of an open account in it. Closing a month begins anew. */
  #followPrices(entry: Entry) {
    const { at, planId, planVersion } = entry;
    const { closedAt } = this.#account;
    const end = this.#monthToClose;
    if (isOfAnother(entry) || end === null || at >= end) return;
    if (at <= this.#closedAt || (closedAt !== null && at > closedAt)) return;
    const bills = this.#published.billsOverage(planId, planVersion);
    if (bills !== false) this.#pricedBy = bills ? planId : null;
  }

  #checkLimit({ planId, overageLimit }: Account, report: Report) {
    const limits = this.#published.overageLimits(planId, this.#versions.get(planId) ?? 1);
    const isLimit = limits.includes(overageLimit);
    const takesLate = this.#windows().some((window) => window > 0);
    const most = takesLate ? this.#mostUsedLate : this.#mostUsed;
    const isUsed = overageLimit <= most && limits.some((limit) => limit < overageLimit);
    if (limits.length > 0 && !isLimit && !isUsed)
      report(`overage_limit is ${overageLimit}, the plan says ${limits.join(' or ')}`);
  }

  /** What the service grants by itself is due, and for a period of the plan. */
  #checkPeriod(
    { requestId, planId, planVersion, details, at }: Entry,
    until: number,
    report: Report,
  ) {
    // Whoever opens or imports the account grants the first one.
    if (requestId !== '') return;
    const from = Date.parse(details['effective_at'] ?? '');
    const account = asOpenedBefore(this.#account, at);
    const why = from === this.#periodEnd ? null : this.#whyNotDue(planId, from);
    if (why !== null) report(`grants an allowance from ${instant(from)} on, ${why}`);
    const [every = ''] = this.#published.allowancePeriods(planId, planVersion);
    const end = endOfPeriodFrom(every, account, from);
    if (until !== end)
      report(`grants an allowance until ${instant(until)}, its period ends at ${instant(end)}`);
  }

  /** While the period of the newest allowance lasts, its end is when the next one is due. A closed account gets none. */
  #checkAllowance({ allowanceDueAt, planId, lastAt, closedAt }: Account, report: Report) {
    const periodEnd = this.#periodEnd;
    const reportDue = (why: string) =>
      report(`allowance_due_at is ${textOf(allowanceDueAt)}, ${why}`);
    if (allowanceDueAt === null) {
      if (this.#hasAllowance(planId)) reportDue('and the plan grants one every period');
    } else if (allowanceDueAt !== periodEnd) {
      const why = this.#whyNotDue(planId, allowanceDueAt);
      if (why !== null) reportDue(why);
    }
    if (periodEnd === null || allowanceDueAt === periodEnd) return;
    // Without an allowance the end of a period passes without an entry.
    const version = this.#versions.get(planId) ?? 1;
    const isSilent = this.#published.mayLackAllowance(planId, version);
    const until = isSilent ? periodEnd : (closedAt ?? lastAt);
    const isOver = periodEnd <= until && (allowanceDueAt === null || allowanceDueAt > until);
    if (!isOver) reportDue(`its period ends at ${instant(periodEnd)}`);
  }

  /** Whether the account's plan has had an allowance ever since the account came to it. */
  #hasAllowance(planId: string): boolean {
    return !this.#published.mayLackAllowance(planId, this.#cameTo);
  }

  /**
   * Why no allowance is due then; null: one may be. Where that is not the end of the newest allowance's period, it is
   * the end of the period in which the account came to its plan, or its plan to an allowance, which grants none of it.
   */
  #whyNotDue(planId: string, dueAt: number): string | null {
    const movedAt = this.#movedAt;
    const periodEnd = this.#periodEnd;
    if (movedAt !== null && dueAt <= movedAt) return `it moved to its plan at ${instant(movedAt)}`;
    if (periodEnd !== null && dueAt < periodEnd) return `its period ends at ${instant(periodEnd)}`;
    if (!this.#periodEnds(dueAt - 1).includes(dueAt)) return 'which is no end of a period';
    if (!this.#hasAllowance(planId)) {
      const since = this.#published.allowanceSince(planId, this.#cameTo);
      const isBefore = since !== null && dueAt <= since - PUBLICATION_MAX_MS;
      return isBefore ? `its plan has an allowance since ${instant(since)}` : null;
    }
    if (movedAt === null || (periodEnd !== null && periodEnd > movedAt))
      return `its period ends at ${textOf(periodEnd)}`;
    const ends = this.#periodEnds(movedAt);
    return ends.includes(dueAt) ? null : `it is due at ${ends.map(instant).join(' or ')}`;
  }

  /**
   * The ends of the periods that an instant is in, of every allowance that its plans ever had. Until an account of UTC
   * gets its first time zone, lengths in days and months are counted to the millisecond. What is due then stays.
   */
  #periodEnds(at: number): readonly number[] {
    const periods = [...this.#versions.keys()].flatMap((id) =>
      this.#published.allowancePeriods(id, 1),
    );
    const account = this.#account;
    const [first, second] = account.timeZones ?? [];
    const zonedAt = first?.zone === 'UTC' && second ? second.at : Number.NEGATIVE_INFINITY;
    const mayBeOlder = this.#allowedSince !== null && this.#allowedSince <= zonedAt;
    return [...new Set(periods)].flatMap((every) => [
      ...(at >= zonedAt ? [endOfPeriod(every, account, at)] : []),
      ...(mayBeOlder
        ? [endOfPeriod(every, { ...account, timeZones: null }, Math.min(at, zonedAt))]
        : []),
    ]);
  }

  #checkStatement(account: Account, report: Report) {
    const { statementDueAt: dueAt, statementPlanId, planId, state, openedAt, lastAt } = account;
    const reportDue = (why: string) => report(`statement_due_at is ${textOf(dueAt)}, ${why}`);
    const version = this.#versions.get(planId) ?? 1;
    const isPostpaid = state === 'OPEN' && this.#published.hasOverage(planId, version);
    if (statementPlanId !== null && !this.#versions.has(statementPlanId))
      report(`statement_plan_id is ${statementPlanId}, it never lived under that plan`);
    const end = this.#monthToClose;
    if (this.#openMonth !== null && (end === null || end > this.#openMonth))
      reportDue(`overage is to be billed from ${instant(this.#openMonth)} on`);
    if (dueAt === null || end === null) {
      if (isPostpaid) reportDue('and the plan bills overage');
      return;
    }
    if (dueAt !== end && !this.#windows().includes(dueAt - end))
      reportDue('which is no end of a month, nor so long after one as usage may be late');
    if (end <= this.#closedUntil || end <= openedAt) reportDue('that month is closed');
    if (this.#pricedBy !== null && statementPlanId !== this.#pricedBy)
      report(
        `statement_plan_id is ${statementPlanId ?? 'none'}, its month to close is priced by ${this.#pricedBy}`,
      );
    if (!isPostpaid) return;
    if (end > this.#endOfMonth(lastAt)) reportDue('that month has not begun');
    // A month that has ended is priced by the plan it ended under.
    if (this.#pricedBy === null && lastAt < end && statementPlanId !== planId)
      report(`statement_plan_id is ${statementPlanId ?? 'none'}, it lives under ${planId}`);
  }

  /** How late usage may ever have been under its plans. */
  #windows(): readonly number[] {
    return [...this.#versions.keys()].flatMap((planId) => this.#published.lateUsages(planId, 1));
  }
}

const textOf = (at: number | null): string => (at === null ? 'never' : instant(at));

/**
 * Nothing happens to the account before `due_at`: it may be too early, and is never too late. The expiry of a grant
 * that is reserved as a whole passes without an entry, so nothing tells whether it is still to come.
 */
export function checkDueAt(
  { dueAt, lastAt, state, allowanceDueAt }: Account,
  grants: ReadonlyMap<bigint, Grant>,
  /** Of its active reservations. */
  soonestExpiry: number | null,
  report: Report,
) {
  const due = [soonestExpiry, state === 'OPEN' ? allowanceDueAt : null];
  for (const grant of grants.values()) {
    const isOver = grant.expiresAt !== null && grant.expiresAt <= lastAt;
    if (grant.state === 'SCHEDULED') due.push(grant.effectiveAt);
    else if (grant.remaining > 0n && !isOver) {
      due.push(grant.noticeAt);
      if (grant.remaining > grant.reserved) due.push(grant.expiresAt);
    }
  }
  for (const at of due)
    if (at !== null && (dueAt === null || dueAt > at))
      return report(`due_at is ${textOf(dueAt)}, something is due at ${instant(at)}`);
}
