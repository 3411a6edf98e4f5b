/**
 * Adds up the entries of one account and month, a stretch at a time: what it keeps is as large as the
 * operations, grants and running reservations of the month, not as its entries.
 */

import assert from 'node:assert/strict';
import { OVERAGE } from '../ledger/allocation/allocation.ts';
import type { GrantCategory } from '../ledger/grant.ts';
import { formatMonth } from '../ledger/month.ts';
import type { MonthUsage, OperationUsage } from '../ledger/statement.ts';
import { type AttributedUsage, Attributions, type UsageEntry } from './attributions.ts';

/** What a stretch of entries refers to, and the tally does not know. */
export type Lookups = {
  /** Reservations made before the stretch that it commits without naming usages. */
  readonly reservationIds: readonly string[];
  readonly refundedSeqs: readonly bigint[];
  readonly grantIds: readonly bigint[];
};

/** A charge or commit that was refunded. */
export type RefundedEntry = {
  readonly at: number;
  /** What it was used for; only asked for entries of the month itself. */
  readonly used: readonly AttributedUsage[];
};

export type LookupResults = {
  /** Every earlier RESERVE and COMMIT of the reservations wanted, in the order of their seq. */
  readonly earlier: readonly UsageEntry[];
  readonly refunded: ReadonlyMap<bigint, RefundedEntry>;
  readonly categories: ReadonlyMap<bigint, GrantCategory>;
};

export class MonthTally {
  /** The month's entries come after this seq. */
  readonly #afterSeq: bigint;
  readonly #attributions = new Attributions();
  readonly #operations = new Map<string, OperationUsage>();
  readonly #categories = new Map<bigint, GrantCategory>();
  readonly #creditsUsed = new Map<GrantCategory, bigint>();
  /** Refunds so far of entries that are refunded in part. */
  readonly #refunds = new Map<bigint, bigint>();
  readonly #refundedEarlier = new Map<string, bigint>();
  #overage = 0n;

  constructor(afterSeq: bigint) {
    this.#afterSeq = afterSeq;
  }

  /** What must be looked up before these entries, the next ones, are taken. */
  lookupsFor(entries: readonly UsageEntry[]): Lookups {
    const reservations = new Set<string>();
    const reservedHere = new Set<string>();
    const refunded = new Set<bigint>();
    const grants = new Set<bigint>();
    for (const { kind, reservationId, refundedSeq, usages, moves } of entries) {
      if (kind === 'RESERVE' && reservationId) reservedHere.add(reservationId);
      if (kind === 'COMMIT' && reservationId && usages.length === 0)
        if (!reservedHere.has(reservationId) && !this.#attributions.hasReservation(reservationId))
          reservations.add(reservationId);
      if (refundedSeq !== null) refunded.add(refundedSeq);
      for (const { from, to, grantId } of moves)
        if ((from === 'consumed' || to === 'consumed') && !this.#categories.has(grantId))
          grants.add(grantId);
    }
    grants.delete(OVERAGE);
    return {
      reservationIds: [...reservations],
      refundedSeqs: [...refunded],
      grantIds: [...grants],
    };
  }

  addEntries(entries: readonly UsageEntry[], known: LookupResults) {
    for (const [grantId, category] of known.categories) this.#categories.set(grantId, category);
    for (const entry of known.earlier) this.#attributions.attribute(entry);
    for (const entry of entries) {
      const used = this.#attributions.attribute(entry);
      if (entry.kind === 'REFUND') this.#refund(entry, known);
      else this.#use(entry, used);
    }
    this.#attributions.forgetEnded();
  }

  result(): MonthUsage {
    const last = (operation: string) => (operation === '' ? '\uffff' : operation);
    return {
      usage: [...this.#operations.values()].sort((a, b) =>
        last(a.operation) < last(b.operation) ? -1 : 1,
      ),
      creditsUsed: new Map([...this.#creditsUsed].filter(([, credits]) => credits > 0n)),
      overage: this.#overage,
      refundedEarlier: this.#refundedEarlier,
    };
  }

  #use(entry: UsageEntry, used: readonly AttributedUsage[]) {
    for (const { operation, count, credits } of used)
      this.#add(operation, { count, credits, refunded: 0n });
    for (const { to, grantId, credits } of entry.moves)
      if (to === 'consumed') this.#consume(grantId, credits);
  }

  #refund({ seq, refundedSeq, moves }: UsageEntry, { refunded }: LookupResults) {
    assert(refundedSeq !== null, `entry ${seq} refunds none`);
    const original = refunded.get(refundedSeq);
    assert(original, `entry ${refundedSeq}, which entry ${seq} refunds, was not looked up`);
    const given = moves.filter(({ from }) => from === 'consumed');
    if (refundedSeq <= this.#afterSeq) {
      const month = formatMonth(original.at);
      for (const { grantId, credits } of given)
        if (grantId === OVERAGE)
          this.#refundedEarlier.set(month, (this.#refundedEarlier.get(month) ?? 0n) + credits);
      return;
    }
    for (const { grantId, credits } of given) this.#consume(grantId, -credits);
    const credits = given.reduce((sum, move) => sum + move.credits, 0n);
    this.#takeOff(refundedSeq, original.used, credits);
  }

  /** From the last operation backwards, after what was refunded of the entry before. */
  #takeOff(seq: bigint, used: readonly AttributedUsage[], credits: bigint) {
    let skip = this.#refunds.get(seq) ?? 0n;
    const refunded = skip + credits;
    let left = credits;
    for (const { operation, credits: all } of used.toReversed()) {
      const skipped = all < skip ? all : skip;
      const off = all - skipped < left ? all - skipped : left;
      skip -= skipped;
      left -= off;
      this.#add(operation, { count: 0n, credits: -off, refunded: off });
    }
    const whole = used.reduce((sum, one) => sum + one.credits, 0n);
    if (refunded < whole) this.#refunds.set(seq, refunded);
    else this.#refunds.delete(seq);
  }

  #add(operation: string, { count, credits, refunded }: Omit<OperationUsage, 'operation'>) {
    if (operation === '' && credits === 0n && refunded === 0n) return;
    const before = this.#operations.get(operation);
    this.#operations.set(operation, {
      operation,
      count: (before?.count ?? 0n) + count,
      credits: (before?.credits ?? 0n) + credits,
      refunded: (before?.refunded ?? 0n) + refunded,
    });
  }

  #consume(grantId: bigint, credits: bigint) {
    if (grantId === OVERAGE) {
      this.#overage += credits;
      return;
    }
    const category = this.#categories.get(grantId);
    assert(category, `the category of grant ${grantId} was not looked up`);
    this.#creditsUsed.set(category, (this.#creditsUsed.get(category) ?? 0n) + credits);
  }
}

/** What some entries of reservations were used for, by the seq of each; all are shown in order. */
export function attributeEntries(
  entries: readonly UsageEntry[],
): ReadonlyMap<bigint, readonly AttributedUsage[]> {
  const attributions = new Attributions();
  return new Map(entries.map((entry) => [entry.seq, attributions.attribute(entry)]));
}
