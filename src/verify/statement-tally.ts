/**
 * What the entries of one account say about each of its months. Written from the rules of statements,
 * not from their code: where that goes through a reservation's usages with a cursor, this lays the
 * credits of every commit beside those of the usages, as stretches of one line.
 */
import type { Move } from '../ledger/entry.ts';
import { OVERAGE } from './moves.ts';

export type Usage = {
  readonly operation: string;
  readonly count: bigint;
  readonly credits: bigint;
};

export type StatementEntry = {
  readonly seq: bigint;
  readonly at: number;
  readonly kind: string;
  readonly moves: readonly Move[];
  readonly usages: readonly Usage[];
  /** Of the reservation that a commit without usages of its own commits. */
  readonly reserved: readonly Usage[];
  /** Credits that earlier commits of the reservation charged; null before the first. */
  readonly committedBefore: bigint | null;
  readonly refundedSeq: bigint | null;
  /** Whether a refund of it will come. */
  readonly willBeRefunded: boolean;
};

export type Month = {
  /** [times done, credits, refunded] by operation; the empty one is unnamed. */
  readonly operations: Map<string, [bigint, bigint, bigint]>;
  readonly byGrant: Map<bigint, bigint>;
  overage: bigint;
  /** Refunded overage of earlier months. */
  readonly refundedEarlier: Map<string, bigint>;
  /** seq of its newest entry of any kind. */
  lastSeq: bigint;
};

type Kept = { readonly month: string; readonly shares: readonly Usage[]; refunded: bigint };

export const monthNamed = (at: number): string => new Date(at).toISOString().slice(0, 7);

/** The first moment after a month. */
export function monthEnd(name: string): number {
  const [year = '', month = ''] = name.split('-');
  return Date.UTC(Number(year), Number(month), 1);
}

export class StatementTally {
  readonly months = new Map<string, Month>();
  readonly #kept = new Map<bigint, Kept>();

  month(name: string): Month {
    const known = this.months.get(name);
    if (known) return known;
    const month: Month = {
      operations: new Map(),
      byGrant: new Map(),
      overage: 0n,
      refundedEarlier: new Map(),
      lastSeq: 0n,
    };
    this.months.set(name, month);
    return month;
  }

  take(entry: StatementEntry) {
    const name = monthNamed(entry.at);
    const month = this.month(name);
    month.lastSeq = entry.seq;
    if (entry.kind === 'REFUND') return this.#takeRefund(entry, name);
    if (entry.kind !== 'CHARGE' && entry.kind !== 'COMMIT') return;
    for (const { to, grantId, credits } of entry.moves)
      if (to === 'consumed') consume(month, grantId, credits);
    const shares = sharesOf(entry);
    for (const { operation, count, credits } of shares) add(month, operation, count, credits, 0n);
    if (entry.willBeRefunded) this.#kept.set(entry.seq, { month: name, shares, refunded: 0n });
  }

  #takeRefund({ moves, refundedSeq }: StatementEntry, name: string) {
    const kept = this.#kept.get(refundedSeq ?? 0n);
    if (!kept) return; // it refunds nothing that is there, which is told elsewhere
    const month = this.month(name);
    const given = moves.filter(({ from }) => from === 'consumed');
    if (kept.month !== name) {
      const overage = total(given.filter(({ grantId }) => grantId === OVERAGE));
      if (overage > 0n)
        month.refundedEarlier.set(
          kept.month,
          (month.refundedEarlier.get(kept.month) ?? 0n) + overage,
        );
      return;
    }
    for (const { grantId, credits } of given) consume(month, grantId, -credits);
    // Counted from the entry's end: this refund gives back the stretch from `from` to `to`.
    const from = kept.refunded;
    const to = from + total(given);
    kept.refunded = to;
    let end = 0n;
    for (const { operation, credits } of kept.shares.toReversed()) {
      const off = overlap(end, end + credits, from, to);
      end += credits;
      add(month, operation, 0n, -off, off);
    }
  }
}

/** What an entry's credits were used for. */
function sharesOf(entry: StatementEntry): readonly Usage[] {
  const charged = total(entry.moves.filter(({ to }) => to === 'consumed'));
  if (entry.usages.length > 0 || entry.kind === 'CHARGE') return ownShares(entry.usages, charged);
  const first = entry.committedBefore === null;
  const from = entry.committedBefore ?? 0n;
  const to = from + charged;
  const shares: Usage[] = [];
  let start = 0n;
  for (const { operation, count, credits } of entry.reserved) {
    const end = start + credits;
    if (credits > 0n) {
      const share = overlap(start, end, from, to);
      const begunTo = (at: bigint) => divideUp(clamp(at - start, credits) * count, credits);
      if (share > 0n)
        shares.push({ operation, count: begunTo(to) - begunTo(from), credits: share });
    } else if (start <= to && (start > from || (first && start >= from))) {
      // What costs nothing belongs to the first commit that comes as far.
      shares.push({ operation, count, credits: 0n });
    }
    start = end;
  }
  const beyond = to - (from > start ? from : start);
  return beyond > 0n ? [...shares, { operation: '', count: 0n, credits: beyond }] : shares;
}

/** Its own usages count whole; a capped commit charges them as far as its credits go. */
function ownShares(usages: readonly Usage[], charged: bigint): readonly Usage[] {
  let start = 0n;
  const shares = usages.map(({ operation, count, credits }) => {
    const share = overlap(start, start + credits, 0n, charged);
    start += credits;
    return { operation, count, credits: share };
  });
  return charged > start
    ? [...shares, { operation: '', count: 0n, credits: charged - start }]
    : shares;
}

function add(month: Month, operation: string, count: bigint, credits: bigint, refunded: bigint) {
  if (operation === '' && credits === 0n && refunded === 0n) return;
  const [done, used, back] = month.operations.get(operation) ?? [0n, 0n, 0n];
  month.operations.set(operation, [done + count, used + credits, back + refunded]);
}

function consume(month: Month, grantId: bigint, credits: bigint) {
  if (grantId === OVERAGE) month.overage += credits;
  else month.byGrant.set(grantId, (month.byGrant.get(grantId) ?? 0n) + credits);
}

const total = (moves: readonly { readonly credits: bigint }[]): bigint =>
  moves.reduce((sum, { credits }) => sum + credits, 0n);

const clamp = (value: bigint, max: bigint): bigint => (value < 0n ? 0n : value > max ? max : value);

const divideUp = (a: bigint, b: bigint): bigint => (a + b - 1n) / b;

/** How long two stretches run side by side. */
function overlap(a: bigint, b: bigint, from: bigint, to: bigint): bigint {
  const start = a > from ? a : from;
  const end = b < to ? b : to;
  return end > start ? end - start : 0n;
}
