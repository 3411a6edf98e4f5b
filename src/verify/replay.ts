/**
 * Replays one account's entries in the order of their seq, on buckets that start empty. Compares every
 * balance that the entries and the account's row state with the sums of the moves.
 */
import type { Account } from '../ledger/account.ts';
import type { Entry, Move, StoredEntry } from '../ledger/entry.ts';
import type { Grant } from '../ledger/grant.ts';
import type { Erasure } from './erasure.ts';
import { checkFields } from './fields.ts';
import type { Report } from './findings.ts';
import { GrantStates } from './grant-states.ts';
import { GrantTerms } from './grant-terms.ts';
import { Imports } from './imports.ts';
import { instant } from './instant.ts';
import { LateUsage, type Windows } from './late-usage.ts';
import { LimitedGrants } from './limited-grants.ts';
import { BucketSums, findMoveError, overageUsed } from './moves.ts';
import { PlanHistory } from './plan-history.ts';
import { RefundGrants } from './refund-grants.ts';
import { VoidedGrants } from './voided-grants.ts';
import { intervalAt, monthNamed } from './zone-periods.ts';

export class Replay {
  readonly account: Account;
  readonly sums = new BucketSums();
  /** Grants that entries made. */
  grantCount = 0n;
  readonly terms: GrantTerms;
  readonly states: GrantStates;
  readonly voided: VoidedGrants;
  readonly #refundGrants: RefundGrants;
  readonly #limitedGrants: LimitedGrants;
  readonly #imports: Imports;
  readonly #late: LateUsage;
  readonly #grants: ReadonlyMap<bigint, Grant>;
  /** The end of the last closed month: the account's time is not before it. */
  readonly #closedUntil: number | null;
  readonly #erasure: Erasure;
  readonly #report: Report;
  /** Balances that were reported. They stay wrong in later entries and are reported once. */
  readonly #reported = new Set<string>();
  #seq = 0n;
  #at: number;
  /** Overage of the month of `#at`. */
  #overage = 0n;
  /** Overage of the month before that. */
  #overageBefore = 0n;
  /** When entries used overage, by their seq. */
  readonly #overageAt = new Map<bigint, number>();
  readonly #plans = new PlanHistory();

  constructor(
    windows: Windows,
    account: Account,
    grants: ReadonlyMap<bigint, Grant>,
    closedUntil: number | null,
    erasure: Erasure,
    report: Report,
  ) {
    this.account = account;
    this.#grants = grants;
    this.#closedUntil = closedUntil;
    this.#erasure = erasure;
    this.#report = report;
    this.#at = account.openedAt;
    this.terms = new GrantTerms(grants);
    const { current } = this.terms;
    this.states = new GrantStates(current);
    this.voided = new VoidedGrants(current);
    this.#refundGrants = new RefundGrants(current, this.sums);
    this.#limitedGrants = new LimitedGrants(current);
    this.#imports = new Imports(current, this.sums);
    this.#late = new LateUsage(windows, account, grants);
  }

  /** Credits of each grant that refunds issued again as a new grant. */
  get reissued(): ReadonlyMap<bigint, bigint> {
    return this.#refundGrants.reissued;
  }

  /** Checks the account's next entry and applies its moves. */
  apply(entry: StoredEntry) {
    const report = (what: string) => this.#report(`entry ${entry.seq}: ${what}`);
    this.#checkPosition(entry, report);
    checkFields(entry, report);
    this.#checkCredits(entry, report);
    this.#plans.apply(entry, report);
    this.#late.apply(entry, report);
    if (entry.kind === 'GRANT' || entry.kind === 'PURCHASE') this.#checkNewGrant(entry, report);
    if (entry.kind === 'UPDATE_GRANT') this.#checkUpdate(entry, report);
    this.voided.apply(entry, report);
    this.#applyMoves(entry, report);
    this.#refundGrants.apply(entry, report);
    this.#limitedGrants.check(entry, report);
    this.#imports.apply(entry, report);
    this.#checkBalances(entry, report);
  }

  /** Passes over an entry that cannot be read. */
  skip(seq: bigint) {
    this.#seq = seq;
    this.#late.skip();
  }

  /** Compares the account's row with the replayed entries. */
  finish() {
    const { account } = this;
    const { total } = this.sums;
    this.#refundGrants.finish(this.#report);
    this.voided.finish(this.#report);
    this.terms.finish(this.#report);
    this.#imports.finish(this.#report);
    this.#late.finish(this.#report);
    if (account.seq !== this.#seq)
      this.#report(`seq is ${account.seq}, the newest entry is ${this.#seq}`);
    const until = Math.max(this.#at, this.#closedUntil ?? this.#at);
    if (account.lastAt !== until)
      this.#report(
        `last_at is ${instant(account.lastAt)}, the newest entry is of ${instant(this.#at)}`,
      );
    const overage = this.#isSameMonth(until, this.#at) ? this.#overage : 0n;
    const compare = (name: string, stated: bigint, computed: bigint, by = 'the moves say') => {
      if (stated !== computed) this.#report(`${name} is ${stated}, ${by} ${computed}`);
    };
    compare('remaining', account.remaining, total.available + total.reserved);
    compare('reserved', account.reserved, total.reserved);
    compare('overage', account.overage, overage);
    const { overageBefore } = account;
    const before = this.#isSameMonth(until, this.#at) ? this.#overageBefore : 0n;
    // It is kept only as long as late usage can add to it.
    if (overageBefore !== null) compare('overage_before', overageBefore, before);
    compare('overage_reserved', account.overageReserved, total.overage_reserved);
    compare('owed', account.owed, -total.owed);
    compare('grant_count', account.grantCount, this.grantCount, 'the entries say');
    this.#plans.finish(account, this.#report);
  }

  /** The entry's place in the sequence and in time. */
  #checkPosition(entry: Entry, report: Report) {
    if (entry.seq !== this.#seq + 1n)
      report(this.#seq === 0n ? 'is the first entry' : `comes right after entry ${this.#seq}`);
    if (entry.at < this.#at) report(`its time ${instant(entry.at)} is before ${instant(this.#at)}`);
    if (!this.#isSameMonth(entry.at, this.#at)) {
      const { from } = intervalAt(this.account.timeZones, 'MONTH', entry.at);
      this.#overageBefore = this.#isSameMonth(from - 1, this.#at) ? this.#overage : 0n;
      this.#overage = 0n;
    }
    this.#seq = entry.seq;
    this.#at = entry.at;
  }

  /** The entry's credits are what it moved and what its usages cost. */
  #checkCredits(entry: Entry, report: Report) {
    const { kind, moves, usages, grantId, at } = entry;
    const counted = kind === 'COMMIT' ? moves.filter(({ to }) => to === 'consumed') : moves;
    const moved = creditsOf(counted);
    const isScheduled =
      moves.length === 0 &&
      (kind === 'GRANT' ||
        (kind === 'VOID_GRANT' && (this.#grants.get(grantId ?? 0n)?.effectiveAt ?? at) > at));
    if (entry.credits !== moved && !isScheduled)
      report(`credits are ${entry.credits}, the moves say ${moved}`);
    if (usages.length === 0) return;
    const priced = usages.reduce((sum, usage) => sum + usage.credits, 0n);
    // The policy CAP charges less than the usages cost.
    const isCovered = kind === 'COMMIT' ? entry.credits <= priced : entry.credits === priced;
    if (!isCovered) report(`credits are ${entry.credits}, the usages say ${priced}`);
    for (const { usage, unitCredits } of usages)
      if (usage.count < 0n || unitCredits < 0n)
        report(`there are no ${usage.count} times ${unitCredits} credits of ${usage.operation}`);
  }

  /** An entry that makes a grant: the grant has the next number and the entry's amount and time. */
  #checkNewGrant(entry: StoredEntry, report: Report) {
    const { kind, grantId, credits, at, moves } = entry;
    this.grantCount += 1n;
    if (grantId !== this.grantCount)
      report(`makes grant ${grantId}, the next one is ${this.grantCount}`);
    const grant = this.#grants.get(grantId ?? 0n);
    if (!grant) return report(`there is no grant ${grantId}, which it made`);
    if (grant.amount !== credits)
      report(`makes a grant of ${credits}, grant ${grantId} is of ${grant.amount}`);
    if (grant.createdAt !== at)
      report(`made grant ${grantId}, which is of ${instant(grant.createdAt)}`);
    if ((grant.source === 'PURCHASE') !== (kind === 'PURCHASE'))
      report(`a ${kind} made grant ${grantId}, whose source is ${grant.source}`);
    if ((moves.length === 0) !== grant.effectiveAt > at)
      report(`grant ${grantId} is effective at ${instant(grant.effectiveAt)}`);
    const reference = entry.erasedHash === null ? entry.reference : null;
    this.terms.make(grant, { ...entry, reference }, this.#erasure, (what) =>
      this.#report(`grant ${grantId}: ${what}`),
    );
  }

  /** Only a grant with credits left, or one that is not effective yet, is changed. */
  #checkUpdate(entry: Entry, report: Report) {
    const grantId = entry.grantId ?? 0n;
    const state = this.states.of(grantId);
    const { expiresAt = null } = this.terms.current.get(grantId) ?? {};
    const isOver = expiresAt !== null && expiresAt <= entry.at;
    if (isOver || !['OPEN', 'SCHEDULED'].includes(state))
      report(`changes grant ${grantId}, which is ${isOver ? 'EXPIRED' : state}`);
    this.terms.update(entry, this.sums.of(grantId).reserved, report);
  }

  #applyMoves(entry: Entry, report: Report) {
    let used = 0n;
    if (entry.kind === 'VOID_GRANT') this.states.void(entry.grantId ?? 0n, this.voided);
    for (const move of entry.moves) {
      const grant = this.terms.current.get(move.grantId);
      const at = this.#late.timeOf(entry, move);
      const error = findMoveError(entry.kind, move, at, grant);
      if (error) report(error);
      const isOwed = move.from === 'owed' || move.to === 'owed';
      if (entry.grantId !== null && move.grantId !== entry.grantId && !isOwed)
        report(`is about grant ${entry.grantId} and moves credits of grant ${move.grantId}`);
      const overdraft = this.sums.add(move);
      if (overdraft) report(overdraft);
      this.states.apply(entry, move, this.sums);
      if (entry.kind === 'CLAW_BACK') this.sums.addClawedBack(move.grantId, move.credits);
      if (entry.kind === 'REINSTATE' && entry.usedAt === null) this.#reinstate(move, report);
      used += overageUsed(move);
    }
    const own = entry.usedAt ?? entry.at;
    if (used > 0n) this.#overageAt.set(entry.seq, own);
    // A refund of an earlier month's overage does not change this month's, nor does late usage of it.
    const usedAt = entry.refundedSeq === null ? own : this.#overageAt.get(entry.refundedSeq);
    if (usedAt === undefined || this.#isSameMonth(usedAt, entry.at)) this.#overage += used;
    else if (used > 0n) this.#overageBefore += used;
  }

  #isSameMonth(one: number, other: number): boolean {
    const { timeZones } = this.account;
    return monthNamed(timeZones, one) === monthNamed(timeZones, other);
  }

  #reinstate({ grantId, credits }: Move, report: Report) {
    const clawedBack = this.sums.clawedBack(grantId);
    if (credits > clawedBack)
      report(`gives ${credits} again of grant ${grantId}, ${clawedBack} were taken back`);
    this.sums.addClawedBack(grantId, -credits);
  }

  #checkBalances(entry: Entry, report: Report) {
    const { total } = this.sums;
    const compare = (name: string, stated: bigint, computed: bigint) => {
      if (stated === computed || this.#reported.has(name)) return;
      this.#reported.add(name);
      report(`${name} is ${stated}, the moves say ${computed}`);
    };
    compare('remaining_after', entry.remainingAfter, total.available + total.reserved);
    compare('reserved_after', entry.reservedAfter, total.reserved + total.overage_reserved);
    compare('overage_after', entry.overageAfter, this.#overage);
    compare('owed_after', entry.owedAfter, -total.owed);
  }
}

const creditsOf = (moves: readonly Move[]): bigint =>
  moves.reduce((sum, { credits }) => sum + credits, 0n);
