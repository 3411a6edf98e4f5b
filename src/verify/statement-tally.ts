/**
 * What the entries of one account say about each of its months, independently of src/statements. Both
 * the commits of a reservation and its usages are intervals of credits: the first commit covers 0 to 5,
 * the first usage 0 to 3, and so on. What a commit pays of a usage is the overlap of their intervals.
 */
import type { Account } from '../ledger/account.ts';
import type { EntryKind, Move } from '../ledger/entry.ts';
import { OVERAGE } from './moves.ts';
import { isOfAnother } from './plan-history.ts';
import { monthNamed } from './zone-periods.ts';

export type Usage = {
  readonly operation: string;
  readonly count: bigint;
  readonly credits: bigint;
  /** Of one of it. */
  readonly quantities?: ReadonlyMap<string, bigint>;
};

export type StatementEntry = {
  readonly seq: bigint;
  readonly at: number;
  /** When its usage counts, where that is another time. */
  readonly usedAt: number | null;
  readonly planId: string;
  readonly planVersion: number;
  readonly kind: EntryKind;
  readonly moves: readonly Move[];
  readonly usages: readonly Usage[];
  /** For a commit without usages: those of its reservation. */
  readonly reserved: readonly Usage[];
  /** Credits that earlier commits of the reservation charged; null for the first commit. */
  readonly committedBefore: bigint | null;
  readonly refundedSeq: bigint | null;
  /** Whether a later entry refunds it. */
  readonly willBeRefunded: boolean;
};

export type OperationUse = {
  readonly count: bigint;
  readonly credits: bigint;
  readonly refunded: bigint;
};

export type Month = {
  /** By operation; '' has credits that no usage explains. */
  readonly operations: Map<string, OperationUse>;
  readonly byGrant: Map<bigint, bigint>;
  overage: bigint;
  owed: bigint;
  /** What credits paid of what was owed. */
  owedPaid: bigint;
  /** Refunds of overage of earlier months, by that month. */
  readonly refundedEarlier: Map<string, bigint>;
  /** seq of the month's newest entry. */
  lastSeq: bigint;
};

/** The plan of an account, in a version of its terms. */
export type PlanAt = { readonly planId: string; readonly planVersion: number };

/** An entry that will be refunded, with the credits refunded so far. */
type Refundable = { readonly month: string; readonly shares: readonly Usage[]; refunded: bigint };

export class StatementTally {
  readonly months = new Map<string, Month>();
  /** By month: the plan that the account had at its end, as far as entries of the month say. In order. */
  readonly plans = new Map<string, PlanAt>();
  readonly #refundable = new Map<bigint, Refundable>();
  readonly #timeZones: Account['timeZones'];

  constructor(timeZones: Account['timeZones']) {
    this.#timeZones = timeZones;
  }

  month(name: string): Month {
    const known = this.months.get(name);
    if (known) return known;
    const month: Month = {
      operations: new Map(),
      byGrant: new Map(),
      overage: 0n,
      owed: 0n,
      owedPaid: 0n,
      refundedEarlier: new Map(),
      lastSeq: 0n,
    };
    this.months.set(name, month);
    return month;
  }

  /** Counts the account's next entry. */
  add(entry: StatementEntry) {
    const recorded = monthNamed(this.#timeZones, entry.at);
    this.month(recorded).lastSeq = entry.seq;
    const { planId, planVersion, usedAt } = entry;
    if (!isOfAnother(entry)) this.plans.set(recorded, { planId, planVersion });
    const name = usedAt === null ? recorded : monthNamed(this.#timeZones, usedAt);
    const month = this.month(name);
    if (entry.kind === 'REFUND') return this.#addRefund(entry, name);
    if (entry.kind === 'PAY_OWED') month.owedPaid += total(entry.moves);
    if (!['CHARGE', 'COMMIT', 'IMPORT'].includes(entry.kind)) return;
    for (const move of entry.moves)
      if (move.to === 'consumed') consume(month, move.from, move, move.credits);
    const shares = sharesOf(entry);
    for (const { operation, count, credits } of shares) add(month, operation, count, credits, 0n);
    if (entry.willBeRefunded)
      this.#refundable.set(entry.seq, { month: name, shares, refunded: 0n });
  }

  #addRefund({ moves, refundedSeq }: StatementEntry, name: string) {
    const entry = this.#refundable.get(refundedSeq ?? 0n);
    if (!entry) return; // refunds.ts reports that the refunded entry is missing
    const month = this.month(name);
    const returned = moves.filter(({ from }) => from === 'consumed');
    if (entry.month !== name) {
      const overage = total(returned.filter(({ to }) => to === 'overage'));
      if (overage > 0n)
        month.refundedEarlier.set(
          entry.month,
          (month.refundedEarlier.get(entry.month) ?? 0n) + overage,
        );
      return;
    }
    for (const move of returned) consume(month, move.to, move, -move.credits);
    // Counted from the end of the entry's credits, this refund returns the interval `from` to `to`.
    const from = entry.refunded;
    const to = from + total(returned);
    entry.refunded = to;
    let end = 0n;
    for (const { operation, credits } of entry.shares.toReversed()) {
      const off = overlap(end, end + credits, from, to);
      end += credits;
      add(month, operation, 0n, -off, off);
    }
  }
}

/** What says which usages the credits of an entry paid for. */
type Paying = Pick<StatementEntry, 'kind' | 'moves' | 'usages' | 'reserved' | 'committedBefore'>;

/** The usages that the credits of an entry paid for, with the credits paid for each. */
export function sharesOf(entry: Paying): readonly Usage[] {
  const charged = total(entry.moves.filter(({ to }) => to === 'consumed'));
  if (entry.usages.length > 0 || entry.kind !== 'COMMIT') return ownShares(entry.usages, charged);
  const first = entry.committedBefore === null;
  const from = entry.committedBefore ?? 0n;
  const to = from + charged;
  const shares: Usage[] = [];
  let start = 0n;
  for (const usage of entry.reserved) {
    const { count, credits } = usage;
    const end = start + credits;
    if (credits > 0n) {
      const share = overlap(start, end, from, to);
      // Units paid for up to a credit, a unit counting as soon as its first credit is paid.
      const unitsUpTo = (at: bigint) => divideUp(clamp(at - start, credits) * count, credits);
      if (share > 0n)
        shares.push({ ...usage, count: unitsUpTo(to) - unitsUpTo(from), credits: share });
    } else if (start <= to && (start > from || (first && start >= from))) {
      // A free usage belongs to the first commit whose interval reaches it.
      shares.push(usage);
    }
    start = end;
  }
  const beyond = to - (from > start ? from : start);
  return beyond > 0n ? [...shares, { operation: '', count: 0n, credits: beyond }] : shares;
}

/** The counts of an entry's own usages are whole. A capped commit pays for the first of them. */
function ownShares(usages: readonly Usage[], charged: bigint): readonly Usage[] {
  let start = 0n;
  const shares = usages.map((usage) => {
    const share = overlap(start, start + usage.credits, 0n, charged);
    start += usage.credits;
    return { ...usage, credits: share };
  });
  return charged > start
    ? [...shares, { operation: '', count: 0n, credits: charged - start }]
    : shares;
}

function add(month: Month, operation: string, count: bigint, credits: bigint, refunded: bigint) {
  if (operation === '' && credits === 0n && refunded === 0n) return;
  const use = month.operations.get(operation) ?? { count: 0n, credits: 0n, refunded: 0n };
  month.operations.set(operation, {
    count: use.count + count,
    credits: use.credits + credits,
    refunded: use.refunded + refunded,
  });
}

/** `other` is the bucket besides `consumed`. */
function consume(month: Month, other: Move['from'], { grantId }: Move, credits: bigint) {
  if (other === 'overage' || other === 'overage_reserved') month.overage += credits;
  else if (grantId === OVERAGE) month.owed += credits;
  else month.byGrant.set(grantId, (month.byGrant.get(grantId) ?? 0n) + credits);
}

export const total = (moves: readonly { readonly credits: bigint }[]): bigint =>
  moves.reduce((sum, { credits }) => sum + credits, 0n);

const clamp = (value: bigint, max: bigint): bigint => (value < 0n ? 0n : value > max ? max : value);

const divideUp = (a: bigint, b: bigint): bigint => (a + b - 1n) / b;

/** The length of the overlap of two intervals. */
export function overlap(a: bigint, b: bigint, from: bigint, to: bigint): bigint {
  const start = a > from ? a : from;
  const end = b < to ? b : to;
  return end > start ? end - start : 0n;
}
