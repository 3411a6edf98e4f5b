/**
 * What the account's row keeps for later: its overage limit, and when something is due. The service computes them
 * from the plan and the entries; verify checks that they are possible, and that nothing is due later than it is.
 */
import type { Account } from '../ledger/account.ts';
import type { Entry } from '../ledger/entry.ts';
import type { Grant } from '../ledger/grant.ts';
import type { Report } from './findings.ts';
import { instant } from './instant.ts';
import { OVERAGE } from './moves.ts';
import type { Published } from './published.ts';
import { monthEnd, monthNamed } from './statement-tally.ts';

export class Schedule {
  readonly #published: Published;
  /** The end of the last month that is closed. */
  readonly #closedUntil: number;
  /** The plans it lived under, with the newest version of their terms that an entry names. */
  readonly #versions = new Map<string, number>();
  /** The end of the period of the newest allowance. */
  #periodEnd: number | null = null;
  #overageReserved = 0n;
  /** The most overage there ever was: a limit that is lowered never goes below what is used. */
  #mostUsed = 0n;
  /** The end of the first month with overage that is not closed. */
  #openMonth: number | null = null;

  constructor(published: Published, closedUntil: number | null) {
    this.#published = published;
    this.#closedUntil = closedUntil ?? Number.NEGATIVE_INFINITY;
  }

  /** Applies the account's next entry. */
  apply({ at, planId, planVersion, details, moves, overageAfter }: Entry) {
    this.#versions.set(planId, planVersion);
    const { period_end: periodEnd } = details;
    if (periodEnd !== undefined) this.#periodEnd = Date.parse(periodEnd);
    for (const { grantId, from, to, credits } of moves) {
      if (from === 'overage_reserved') this.#overageReserved -= credits;
      if (to === 'overage_reserved') this.#overageReserved += credits;
      const concernsOverage = grantId === OVERAGE && (from === 'consumed' || to === 'consumed');
      if (concernsOverage && at >= this.#closedUntil) this.#openMonth ??= monthEnd(monthNamed(at));
    }
    const used = overageAfter + this.#overageReserved;
    if (used > this.#mostUsed) this.#mostUsed = used;
  }

  finish(account: Account, report: Report) {
    this.#checkLimit(account, report);
    this.#checkAllowance(account, report);
    this.#checkStatement(account, report);
  }

  #checkLimit({ planId, overageLimit }: Account, report: Report) {
    const limits = this.#published.overageLimits(planId, this.#versions.get(planId) ?? 1);
    const isLimit = limits.includes(overageLimit);
    const isUsed = overageLimit <= this.#mostUsed && limits.some((limit) => limit < overageLimit);
    if (limits.length > 0 && !isLimit && !isUsed)
      report(`overage_limit is ${overageLimit}, the plan says ${limits.join(' or ')}`);
  }

  /** While the period of the newest allowance lasts, its end is when the next one is due. */
  #checkAllowance({ allowanceDueAt, lastAt }: Account, report: Report) {
    const periodEnd = this.#periodEnd;
    if (periodEnd === null || allowanceDueAt === periodEnd) return;
    const isOver = periodEnd <= lastAt && (allowanceDueAt === null || allowanceDueAt > lastAt);
    if (!isOver)
      report(
        `allowance_due_at is ${textOf(allowanceDueAt)}, its period ends at ${instant(periodEnd)}`,
      );
  }

  #checkStatement(account: Account, report: Report) {
    const { statementDueAt: dueAt, statementPlanId, planId, state, openedAt, lastAt } = account;
    const reportDue = (why: string) => report(`statement_due_at is ${textOf(dueAt)}, ${why}`);
    const version = this.#versions.get(planId) ?? 1;
    const isPostpaid = state === 'OPEN' && this.#published.hasOverage(planId, version);
    if (statementPlanId !== null && !this.#versions.has(statementPlanId))
      report(`statement_plan_id is ${statementPlanId}, it never lived under that plan`);
    if (this.#openMonth !== null && (dueAt === null || dueAt > this.#openMonth))
      reportDue(`overage is to be billed from ${instant(this.#openMonth)} on`);
    if (dueAt === null) {
      if (isPostpaid) reportDue('and the plan bills overage');
      return;
    }
    if (dueAt !== monthEnd(monthNamed(dueAt - 1))) reportDue('which is no end of a month');
    if (dueAt <= this.#closedUntil || dueAt <= openedAt) reportDue('that month is closed');
    if (!isPostpaid) return;
    if (dueAt > monthEnd(monthNamed(lastAt))) reportDue('that month has not begun');
    // A month that has ended is priced by the plan it ended under.
    if (lastAt < dueAt && statementPlanId !== planId)
      report(`statement_plan_id is ${statementPlanId ?? 'none'}, it lives under ${planId}`);
  }
}

const textOf = (at: number | null): string => (at === null ? 'never' : instant(at));

/** Nothing happens to the account before `due_at`: it may be too early, and is never too late. */
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
    else if (grant.remaining > 0n && !isOver) due.push(grant.expiresAt, grant.noticeAt);
  }
  for (const at of due)
    if (at !== null && (dueAt === null || dueAt > at))
      return report(`due_at is ${textOf(dueAt)}, something is due at ${instant(at)}`);
}
