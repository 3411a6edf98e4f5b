/**
 * Adds up the entries of one account and month, page by page. Its memory grows with the operations,
 * grants and open reservations of the month, and not with the number of entries.
 */
import assert from 'node:assert/strict';
import { type Move, NO_GRANT } from '../ledger/entry.ts';
import type { GrantCategory } from '../ledger/grant.ts';
import type { MonthUsage, OperationUsage } from '../ledger/statement.ts';
import {
  type AttributedUsage,
  Attributions,
  refundedParts,
  type UsageEntry,
} from './attributions.ts';

/** What a page of entries refers to and the tally does not know yet. */
export type Lookups = {
  /** Reservations made before the page that it commits without usages. */
  readonly reservationIds: readonly string[];
  readonly refundedSeqs: readonly bigint[];
  readonly grantIds: readonly bigint[];
};

/** A charge or commit that was refunded. */
export type RefundedEntry = {
  /** When its usage counts. */
  readonly at: number;
  /** The usages it was attributed to. Needed only for entries of the month itself. */
  readonly used: readonly AttributedUsage[];
};

export type LookupResults = {
  /** Every earlier RESERVE and COMMIT of the reservations looked up, in the order of their seq. */
  readonly earlier: readonly UsageEntry[];
  readonly refunded: ReadonlyMap<bigint, RefundedEntry>;
  readonly categories: ReadonlyMap<bigint, GrantCategory>;
};

/** A month, and its entries: those with afterSeq < seq <= lastSeq, but for late usage of another month. */
export type CountedMonth = {
  readonly name: string;
  readonly afterSeq: bigint;
  readonly lastSeq: bigint;
};

export class MonthTally {
  readonly #month: CountedMonth;
  /** The name of the account's month of an instant. */
  readonly #monthOf: (at: number) => string;
  readonly #attributions = new Attributions();
  readonly #operations = new Map<string, OperationUsage>();
  readonly #categories = new Map<bigint, GrantCategory>();
  readonly #creditsUsed = new Map<GrantCategory, bigint>();
  /** Refunded credits by the seq of the refunded entry, for entries that are refunded in part. */
  readonly #refunds = new Map<bigint, bigint>();
  readonly #refundedEarlier = new Map<string, bigint>();
  #overage = 0n;
  #owed = 0n;
  #owedPaid = 0n;

  constructor(month: CountedMonth, monthOf: (at: number) => string) {
    this.#month = month;
    this.#monthOf = monthOf;
  }

  /** What must be looked up before the next page of entries is added. */
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
    grants.delete(NO_GRANT);
    return {
      reservationIds: [...reservations],
      refundedSeqs: [...refunded],
      grantIds: [...grants],
    };
  }

  /** Adds the next page of entries. */
  addEntries(entries: readonly UsageEntry[], found: LookupResults) {
    for (const [grantId, category] of found.categories) this.#categories.set(grantId, category);
    for (const entry of found.earlier) this.#attributions.attribute(entry);
    for (const entry of entries) {
      const used = this.#attributions.attribute(entry);
      if (!this.#isOfMonth(entry)) continue;
      if (entry.kind === 'REFUND') this.#addRefund(entry, found);
      else this.#addUsage(entry, used);
    }
    this.#attributions.forgetEnded();
  }

  /** Late usage belongs to the month in which it happened. Entries after the month can be of it. */
  #isOfMonth({ seq, usedAt }: UsageEntry): boolean {
    const { name, afterSeq, lastSeq } = this.#month;
    return usedAt === null ? seq > afterSeq && seq <= lastSeq : this.#monthOf(usedAt) === name;
  }

  result(): MonthUsage {
    const sortKey = ({ operation }: OperationUsage) => (operation === '' ? '\uffff' : operation);
    return {
      usage: [...this.#operations.values()].sort((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1)),
      creditsUsed: new Map([...this.#creditsUsed].filter(([, credits]) => credits > 0n)),
      overage: this.#overage,
      owed: this.#owed,
      owedPaid: this.#owedPaid,
      refundedEarlier: this.#refundedEarlier,
    };
  }

  #addUsage(entry: UsageEntry, used: readonly AttributedUsage[]) {
    for (const { operation, count, credits } of used)
      this.#addToOperation(operation, { count, credits, refunded: 0n });
    for (const move of entry.moves) {
      if (move.to === 'consumed') this.#addConsumed(move, move.from, move.credits);
      if (move.from === 'available' && move.to === 'owed') this.#owedPaid += move.credits;
    }
  }

  #addRefund({ seq, refundedSeq, moves }: UsageEntry, { refunded }: LookupResults) {
    assert(refundedSeq !== null, `entry ${seq} refunds none`);
    const original = refunded.get(refundedSeq);
    assert(original, `entry ${refundedSeq}, which entry ${seq} refunds, was not looked up`);
    const returned = moves.filter(({ from }) => from === 'consumed');
    const month = this.#monthOf(original.at);
    if (refundedSeq <= this.#month.afterSeq || month < this.#month.name) {
      for (const { to, credits } of returned)
        if (to === 'overage')
          this.#refundedEarlier.set(month, (this.#refundedEarlier.get(month) ?? 0n) + credits);
      return;
    }
    for (const move of returned) this.#addConsumed(move, move.to, -move.credits);
    const credits = returned.reduce((sum, move) => sum + move.credits, 0n);
    this.#subtractRefund(refundedSeq, original.used, credits);
  }

  /** Subtracts a refund from the entry's operations, last one first, after its earlier refunds. */
  #subtractRefund(seq: bigint, used: readonly AttributedUsage[], credits: bigint) {
    const before = this.#refunds.get(seq) ?? 0n;
    for (const part of refundedParts(used, before, credits))
      this.#addToOperation(part.operation, {
        count: 0n,
        credits: -part.credits,
        refunded: part.credits,
      });
    const refunded = before + credits;
    const total = used.reduce((sum, usage) => sum + usage.credits, 0n);
    if (refunded < total) this.#refunds.set(seq, refunded);
    else this.#refunds.delete(seq);
  }

  #addToOperation(
    operation: string,
    { count, credits, refunded }: Omit<OperationUsage, 'operation'>,
  ) {
    if (operation === '' && credits === 0n && refunded === 0n) return;
    const before = this.#operations.get(operation);
    this.#operations.set(operation, {
      operation,
      count: (before?.count ?? 0n) + count,
      credits: (before?.credits ?? 0n) + credits,
      refunded: (before?.refunded ?? 0n) + refunded,
    });
  }

  /** `other` is the bucket besides `consumed`. Credits of no grant are owed unless they are overage. */
  #addConsumed({ grantId }: Move, other: Move['from'], credits: bigint) {
    if (grantId === NO_GRANT) {
      if (other === 'overage' || other === 'overage_reserved') this.#overage += credits;
      else this.#owed += credits;
      return;
    }
    const category = this.#categories.get(grantId);
    assert(category, `the category of grant ${grantId} was not looked up`);
    this.#creditsUsed.set(category, (this.#creditsUsed.get(category) ?? 0n) + credits);
  }
}
