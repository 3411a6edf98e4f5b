/**
 * What the jobs of an account have used, for its budgets: credits in all, and by operation. A job is a reservation
 * with all that follows from it, or a charge. Only jobs are kept that began while the account had a budget.
 */
import type { Labels, Move, StoredEntry } from '../ledger/entry.ts';

/** Credits by operation; an empty name stands for credits without one. */
export type Shares = ReadonlyMap<string, bigint>;

export type BudgetJob = {
  readonly startSeq: bigint;
  readonly startedAt: number;
  /** Null: erased. */
  readonly labels: Labels | null;
};

/** By how much an entry changes what its job has used. */
export type JobChange = {
  readonly job: BudgetJob;
  readonly credits: bigint;
  readonly byOperation: Shares;
  /** A refund counts only within the period in which its job began. */
  readonly isRefund: boolean;
};

type RunningJob = BudgetJob & {
  isActive: boolean;
  /** Credits that it holds, or that its expiry gave back and that were not committed late. */
  committable: bigint;
  /** Null: there was no budget of operations when it began. */
  held: Map<string, bigint> | null;
};

type Charged = {
  readonly job: BudgetJob;
  readonly isCharge: boolean;
  readonly credits: bigint;
  readonly usages: StoredEntry['usages'];
  refunded: bigint;
};

const NOTHING: Shares = new Map();

export class BudgetJobs {
  readonly #running = new Map<string, RunningJob>();
  /** Commits and charges, by their seq. */
  readonly #charged = new Map<bigint, Charged>();

  /** What the entry changes; null if it is of no job that is kept. */
  apply(entry: StoredEntry, hasBudgets: boolean, hasOperations: boolean): JobChange | null {
    const { kind, reservationId } = entry;
    if (kind === 'REFUND') return this.#refund(entry);
    if (kind === 'CHARGE' && hasBudgets) return this.#charge(entry);
    if (kind === 'RESERVE' && hasBudgets) this.#reserve(entry, hasOperations);
    const job = this.#running.get(reservationId ?? '');
    if (!job) return null;
    const credits = usedBy(entry.moves);
    const before = heldOf(job);
    const spent = this.#applyToJob(job, entry);
    const byOperation = minus(plus(heldOf(job), spent), before);
    return { job, credits, byOperation, isRefund: false };
  }

  /** What a reservation holds by operation; null if it does not say. */
  heldOf(reservationId: string): Shares | null {
    return this.#running.get(reservationId)?.held ?? null;
  }

  #reserve(
    { reservationId, seq, at, usedAt, labels, erasedHash }: StoredEntry,
    hasOperations: boolean,
  ) {
    this.#running.set(reservationId ?? '', {
      startSeq: seq,
      startedAt: usedAt ?? at,
      labels: erasedHash === null ? labels : null,
      isActive: true,
      committable: 0n,
      held: hasOperations ? new Map() : null,
    });
  }

  /** Changes the job, and returns what the entry has spent by operation. */
  #applyToJob(job: RunningJob, entry: StoredEntry): Shares {
    const { kind, credits, usages, final, seq, reservationId } = entry;
    if (kind === 'RESERVE' || kind === 'RAISE') {
      job.committable += credits;
      if (job.held) job.held = new Map(plus(job.held, sharesOf(credits, usages)));
    } else if (kind === 'EXPIRE') job.isActive = false;
    else if (kind === 'RELEASE') this.#running.delete(reservationId ?? '');
    if (kind === 'RELEASE') job.held = job.held && new Map();
    if (kind !== 'COMMIT') return NOTHING;
    this.#charged.set(seq, { job, isCharge: false, credits, usages, refunded: 0n });
    const spent = job.held ? spentOf(job, job.held, entry) : NOTHING;
    job.committable -= least(job.committable, credits);
    for (const [operation, ofOne] of spent) {
      const held = job.held?.get(operation) ?? 0n;
      job.held?.set(operation, held - least(held, ofOne));
    }
    if (final) {
      this.#running.delete(reservationId ?? '');
      job.held = job.held && new Map();
    }
    return spent;
  }

  #charge(entry: StoredEntry): JobChange {
    const { seq, at, usedAt, labels, erasedHash, credits, usages, moves } = entry;
    const startedAt = usedAt ?? at;
    const job = { startSeq: seq, startedAt, labels: erasedHash === null ? labels : null };
    this.#charged.set(seq, { job, isCharge: true, credits, usages, refunded: 0n });
    return {
      job,
      credits: usedBy(moves),
      byOperation: sharesOf(credits, usages),
      isRefund: false,
    };
  }

  #refund({ refundedSeq, moves, credits }: StoredEntry): JobChange | null {
    const charged = this.#charged.get(refundedSeq ?? 0n);
    if (!charged) return null;
    const before = givenBack(charged);
    charged.refunded += credits;
    const byOperation = minus(before, givenBack(charged));
    return { job: charged.job, credits: usedBy(moves), byOperation, isRefund: true };
  }
}

/** Credits that moves take into a job, less those that they give back: reserved and consumed ones are in it. */
const usedBy = (moves: readonly Move[]): bigint =>
  moves.reduce((sum, { from, to, credits }) => {
    const change = Number(isUsed(to)) - Number(isUsed(from));
    return sum + BigInt(change) * credits;
  }, 0n);

const isUsed = (bucket: Move['from']): boolean =>
  bucket === 'reserved' || bucket === 'overage_reserved' || bucket === 'consumed';

const least = (a: bigint, b: bigint): bigint => (a < b ? a : b);

const heldOf = ({ isActive, held }: RunningJob): Shares =>
  isActive && held ? new Map(held) : NOTHING;

function sharesOf(credits: bigint, usages: StoredEntry['usages']): Shares {
  if (usages.length === 0) return new Map([['', credits]]);
  const shares = new Map<string, bigint>();
  for (const { usage, credits: cost } of usages)
    shares.set(usage.operation, (shares.get(usage.operation) ?? 0n) + cost);
  return shares;
}

/** A commit that names no usages, or was cut, has spent of each operation at most what was held for it. */
function spentOf(job: RunningJob, held: Shares, { credits, usages }: StoredEntry): Shares {
  const asked = sharesOf(credits, usages);
  if (usages.length > 0 && total(asked) === credits) return asked;
  const spent = new Map([...held].map(([operation, ofOne]) => [operation, least(ofOne, credits)]));
  const beyond = credits - least(credits, job.committable);
  return spent.set('', (spent.get('') ?? 0n) + beyond);
}

/** What refunds have certainly given back to each operation. */
function givenBack({ isCharge, credits, usages, refunded }: Charged): Shares {
  const shares = usages.length === 0 && !isCharge ? NOTHING : sharesOf(credits, usages);
  if (total(shares) !== credits) return NOTHING;
  return new Map(
    [...shares].map(([operation, ofOne]) => {
      const others = credits - ofOne;
      return [operation, refunded > others ? refunded - others : 0n];
    }),
  );
}

const total = (shares: Shares): bigint =>
  [...shares.values()].reduce((sum, credits) => sum + credits, 0n);

function plus(one: Shares, other: Shares, sign = 1n): Shares {
  const sum = new Map(one);
  for (const [operation, credits] of other)
    sum.set(operation, (sum.get(operation) ?? 0n) + sign * credits);
  return sum;
}

const minus = (one: Shares, other: Shares): Shares => plus(one, other, -1n);
