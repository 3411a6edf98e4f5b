/**
 * One account's entries, replayed in the order of their seq on buckets that start empty: every
 * balance the entries and the account's row state is held against what the moves add up to.
 */
import type { Account } from '../ledger/account.ts';
import type { Entry, Move } from '../ledger/entry.ts';
import type { Grant } from '../ledger/grant.ts';
import { seal } from '../ledger/hash-chain.ts';
import { LimitedGrants } from './limited-grants.ts';
import { BucketSums, ENTRY_RULES, findMoveError, OVERAGE } from './moves.ts';
import { PlanHistory } from './plan-history.ts';
import { RefundGrants } from './refund-grants.ts';

export class Replay {
  readonly account: Account;
  readonly sums = new BucketSums();
  /** Grants that entries made. */
  grantCount = 0n;
  readonly #regrants: RefundGrants;
  readonly #limits: LimitedGrants;
  readonly #grants: ReadonlyMap<bigint, Grant>;
  /** A closed month ends its account's time, if no entry has. */
  readonly #closedUntil: number | null;
  readonly #report: (what: string) => void;
  /** Balances found wrong: from there on they stay wrong, and are told once. */
  readonly #told = new Set<string>();
  #seq = 0n;
  #at: number;
  #hash: Uint8Array = new Uint8Array();
  /** Usage of the month of `#at` that no grant covered. */
  #overage = 0n;
  /** When overage was used, by the seq of the entry that used it. */
  readonly #overageAt = new Map<bigint, number>();
  readonly #plans = new PlanHistory();

  constructor(
    account: Account,
    grants: ReadonlyMap<bigint, Grant>,
    closedUntil: number | null,
    report: (what: string) => void,
  ) {
    this.account = account;
    this.#grants = grants;
    this.#closedUntil = closedUntil;
    this.#report = report;
    this.#at = account.openedAt;
    this.#regrants = new RefundGrants(grants);
    this.#limits = new LimitedGrants(grants);
  }

  /** Credits of each grant that refunds issued again as another one. */
  get reissued(): ReadonlyMap<bigint, bigint> {
    return this.#regrants.reissued;
  }

  /** The account's next entry. */
  take(entry: Entry) {
    const report = (what: string) => this.#report(`entry ${entry.seq}: ${what}`);
    this.#takePlace(entry, report);
    this.#checkNames(entry, report);
    this.#checkCredits(entry, report);
    this.#plans.take(entry, report);
    if (entry.kind === 'GRANT' || entry.kind === 'PURCHASE') this.#checkNewGrant(entry, report);
    this.#applyMoves(entry, report);
    this.#regrants.take(entry, report);
    this.#limits.take(entry, report);
    this.#checkBalances(entry, report);
  }

  /** An entry that cannot be read: the ones after it are still held against each other. */
  skip(seq: bigint, hash: Uint8Array, why: string) {
    this.#report(`entry ${seq}: cannot be read: ${why}`);
    this.#seq = seq;
    this.#hash = hash;
  }

  /** After the last entry: the account's row. */
  close() {
    const { account } = this;
    const { total } = this.sums;
    this.#regrants.close(this.#report);
    if (account.seq !== this.#seq)
      this.#report(`seq is ${account.seq}, the newest entry is ${this.#seq}`);
    if (Buffer.compare(account.lastHash, this.#hash) !== 0)
      this.#report('last_hash is not the hash of the newest entry');
    const until = Math.max(this.#at, this.#closedUntil ?? this.#at);
    if (account.lastAt !== until)
      this.#report(
        `last_at is ${instant(account.lastAt)}, the newest entry is of ${instant(this.#at)}`,
      );
    const overage = sameMonth(until, this.#at) ? this.#overage : 0n;
    const agree = (name: string, stated: bigint, moved: bigint, by = 'the moves say') => {
      if (stated !== moved) this.#report(`${name} is ${stated}, ${by} ${moved}`);
    };
    agree('remaining', account.remaining, total.available + total.reserved);
    agree('reserved', account.reserved, total.reserved);
    agree('overage', account.overage, overage);
    agree('overage_reserved', account.overageReserved, total.overage_reserved);
    agree('grant_count', account.grantCount, this.grantCount, 'the entries say');
    this.#plans.close(account, this.#report);
  }

  /** Place in the sequence, in time and in the hash chain. */
  #takePlace(entry: Entry, report: (what: string) => void) {
    if (entry.seq !== this.#seq + 1n)
      report(this.#seq === 0n ? 'is the first' : `comes right after entry ${this.#seq}`);
    if (entry.at < this.#at) report(`its time ${instant(entry.at)} is before ${instant(this.#at)}`);
    const sealed = seal(entry, this.#hash);
    if (Buffer.compare(sealed.hash, entry.hash) !== 0)
      report('its hash is not that of what it says and the hash before it');
    if (!sameMonth(entry.at, this.#at)) this.#overage = 0n;
    this.#seq = entry.seq;
    this.#at = entry.at;
    // The stored one: only the entry that was changed is told, not all that follow.
    this.#hash = entry.hash;
  }

  #checkNames(entry: Entry, report: (what: string) => void) {
    const { kind, requestId } = entry;
    const { names, by } = ENTRY_RULES[kind];
    const expect = (what: string, must: boolean, given: boolean) => {
      if (must !== given) report(`a ${kind} ${must ? 'names' : 'does not name'} a ${what}`);
    };
    expect('grant', names === 'grant', entry.grantId !== null);
    expect('refunded entry', names === 'refunded entry', entry.refundedSeq !== null);
    if (kind !== 'REFUND')
      expect('reservation', names === 'reservation', entry.reservationId !== null);
    if (by !== 'either') expect('request', by === 'caller', requestId !== '');
    if (entry.late && kind !== 'COMMIT') report(`a ${kind} is not late`);
  }

  /** The credits it is about are what it moved, and what its usages cost. */
  #checkCredits(entry: Entry, report: (what: string) => void) {
    const { kind, moves, usages } = entry;
    const about = kind === 'COMMIT' ? moves.filter(({ to }) => to === 'consumed') : moves;
    const moved = creditsOf(about);
    const scheduled = kind === 'GRANT' && moves.length === 0;
    if (entry.credits !== moved && !scheduled)
      report(`credits are ${entry.credits}, the moves say ${moved}`);
    if (usages.length === 0) return;
    const priced = usages.reduce((sum, usage) => sum + usage.credits, 0n);
    // A commit is charged less than its usages cost where its reservation caps it.
    const fits = kind === 'COMMIT' ? entry.credits <= priced : entry.credits === priced;
    if (!fits) report(`credits are ${entry.credits}, the usages say ${priced}`);
    for (const { usage, unitCredits, credits } of usages)
      if (credits !== unitCredits * usage.count)
        report(
          `${usage.count} times ${unitCredits} credits of ${usage.operation} are not ${credits}`,
        );
  }

  /** Grants are made one after the other, by the entry that says their amount. */
  #checkNewGrant({ kind, grantId, credits, at, moves }: Entry, report: (what: string) => void) {
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
  }

  #applyMoves(entry: Entry, report: (what: string) => void) {
    let used = 0n;
    for (const move of entry.moves) {
      const wrong = findMoveError(entry.kind, move, entry.at, this.#grants.get(move.grantId));
      if (wrong) report(wrong);
      if (entry.grantId !== null && move.grantId !== entry.grantId)
        report(`is about grant ${entry.grantId} and moves credits of grant ${move.grantId}`);
      const consumed = this.sums.of(OVERAGE).consumed;
      const below = this.sums.add(move);
      if (below) report(below);
      if (entry.kind === 'CLAW_BACK') this.sums.addClawedBack(move.grantId, move.credits);
      if (entry.kind === 'REINSTATE') this.#reinstate(move, report);
      used += this.sums.of(OVERAGE).consumed - consumed;
    }
    if (used > 0n) this.#overageAt.set(entry.seq, entry.at);
    // A refund of an earlier month's overage leaves this month's count as it is.
    const of = entry.refundedSeq === null ? entry.at : this.#overageAt.get(entry.refundedSeq);
    if (of === undefined || sameMonth(of, entry.at)) this.#overage += used;
  }

  #reinstate({ grantId, credits }: Move, report: (what: string) => void) {
    const taken = this.sums.clawedBack(grantId);
    if (credits > taken)
      report(`gives ${credits} again of grant ${grantId}, ${taken} were taken back`);
    this.sums.addClawedBack(grantId, -credits);
  }

  #checkBalances(entry: Entry, report: (what: string) => void) {
    const { total } = this.sums;
    const agree = (name: string, stated: bigint, moved: bigint) => {
      if (stated === moved || this.#told.has(name)) return;
      this.#told.add(name);
      report(`${name} is ${stated}, the moves say ${moved}`);
    };
    agree('remaining_after', entry.remainingAfter, total.available + total.reserved);
    agree('reserved_after', entry.reservedAfter, total.reserved + total.overage_reserved);
    agree('overage_after', entry.overageAfter, this.#overage);
  }
}

const creditsOf = (moves: readonly Move[]): bigint =>
  moves.reduce((sum, { credits }) => sum + credits, 0n);

/** The calendar month, UTC. */
function sameMonth(a: number, b: number): boolean {
  const [one, other] = [new Date(a), new Date(b)];
  return (
    one.getUTCMonth() === other.getUTCMonth() && one.getUTCFullYear() === other.getUTCFullYear()
  );
}

export const instant = (at: number): string => new Date(at).toISOString();
