/**
 * The moves that each kind of entry may have, and the buckets that moves fill. Written from the contract,
 * independently of the ledger's code, which is checked against it.
 */
import type { BucketKind, EntryKind, Move } from '../ledger/entry.ts';
import type { Grant } from '../ledger/grant.ts';

/** The rules for entries of one kind. */
type EntryRule = {
  readonly moves: readonly `${BucketKind} to ${BucketKind}`[];
  /** What the entry must name. A REFUND may name a reservation in addition. */
  readonly refersTo: 'grant' | 'reservation' | 'refunded entry' | 'nothing';
  /** Whether a caller requests it, or the service makes it by itself. */
  readonly requestedBy: 'caller' | 'service' | 'either';
};

const RETURN_MOVES = [
  'reserved to available',
  'reserved to expired',
  'overage_reserved to overage',
] as const;

export const ENTRY_RULES: Readonly<Record<EntryKind, EntryRule>> = {
  GRANT: { moves: ['issued to available'], refersTo: 'grant', requestedBy: 'either' },
  GRANT_EFFECTIVE: { moves: ['issued to available'], refersTo: 'grant', requestedBy: 'service' },
  GRANT_EXPIRED: { moves: ['available to expired'], refersTo: 'grant', requestedBy: 'service' },
  // A top-up is bought by the service itself.
  PURCHASE: { moves: ['issued to available'], refersTo: 'grant', requestedBy: 'either' },
  RESERVE: {
    moves: ['available to reserved', 'overage to overage_reserved'],
    refersTo: 'reservation',
    requestedBy: 'caller',
  },
  COMMIT: {
    moves: [
      'reserved to consumed',
      'overage_reserved to consumed',
      'available to consumed',
      'overage to consumed',
      ...RETURN_MOVES,
    ],
    refersTo: 'reservation',
    requestedBy: 'caller',
  },
  RELEASE: { moves: RETURN_MOVES, refersTo: 'reservation', requestedBy: 'caller' },
  EXPIRE: { moves: RETURN_MOVES, refersTo: 'reservation', requestedBy: 'service' },
  RAISE: {
    moves: ['available to reserved', 'overage to overage_reserved'],
    refersTo: 'reservation',
    requestedBy: 'caller',
  },
  CHARGE: {
    moves: ['available to consumed', 'overage to consumed'],
    refersTo: 'nothing',
    requestedBy: 'caller',
  },
  REFUND: {
    moves: [
      'consumed to available',
      'consumed to expired',
      'consumed to issued',
      'consumed to overage',
    ],
    refersTo: 'refunded entry',
    requestedBy: 'caller',
  },
  PLAN_CHANGE: { moves: [], refersTo: 'nothing', requestedBy: 'caller' },
  CLAW_BACK: { moves: ['available to issued'], refersTo: 'grant', requestedBy: 'service' },
  REINSTATE: {
    moves: ['issued to available', 'issued to expired'],
    refersTo: 'grant',
    requestedBy: 'service',
  },
};

/** Grants are numbered from 1. This number in a move stands for overage. */
export const OVERAGE = 0n;

/** Why an entry of this kind and time may not have this move; null if it may. */
export function findMoveError(
  kind: EntryKind,
  { from, to, grantId, credits }: Move,
  at: number,
  grant: Grant | undefined,
): string | null {
  const name = `${from} to ${to}` as const;
  if (!ENTRY_RULES[kind].moves.includes(name)) return `a ${kind} does not move ${name}`;
  if (credits <= 0n) return `moves ${credits} credits ${name}`;
  const isOverage = [from, to].some(
    (bucket) => bucket === 'overage' || bucket === 'overage_reserved',
  );
  if (!grant) {
    if (grantId !== OVERAGE) return `moves credits of grant ${grantId}, which does not exist`;
    return isOverage ? null : `moves credits ${name} of no grant`;
  }
  if (isOverage) return `moves credits ${name} of grant ${grantId}`;
  return findTimingError(name, at, grant);
}

/** Credits are spent while their grant is effective; what is returned after its end is breakage. */
function findTimingError(name: string, at: number, grant: Grant): string | null {
  const expired = grant.expiresAt !== null && grant.expiresAt <= at;
  if (name.startsWith('available to') && grant.effectiveAt > at)
    return `takes credits of grant ${grant.grantId}, which is not effective yet`;
  if (name === 'issued to available')
    return grant.effectiveAt > at ? `grant ${grant.grantId} is not effective yet` : null;
  if (name === 'consumed to issued')
    return expired ? null : `issues credits of grant ${grant.grantId} again, which has not expired`;
  if (name.endsWith('to expired'))
    return expired || lapses(name, grant)
      ? null
      : `expires credits of grant ${grant.grantId}, which has not expired`;
  const touchesAvailable = name.startsWith('available') || name.endsWith('available');
  return touchesAvailable && expired
    ? `moves credits ${name} of grant ${grant.grantId}, which has expired`
    : null;
}

/** What is not carried over of an allowance without an expiry lapses at the end of its period. */
const lapses = (name: string, { source, expiresAt }: Grant): boolean =>
  name === 'available to expired' && source === 'ALLOWANCE' && expiresAt === null;

export type Buckets = Record<BucketKind, bigint>;

/** The buckets that credits come from. They go below zero by what they gave. */
const SOURCES: readonly BucketKind[] = ['issued', 'overage'];

/** The buckets of an account: sums of moves, by grant and in total. */
export class BucketSums {
  readonly #ofGrant = new Map<bigint, Buckets>();
  readonly total = empty();
  readonly #clawedBack = new Map<bigint, bigint>();

  /** Credits of a grant that were clawed back and not reinstated. */
  clawedBack(grantId: bigint): bigint {
    return this.#clawedBack.get(grantId) ?? 0n;
  }

  addClawedBack(grantId: bigint, credits: bigint) {
    this.#clawedBack.set(grantId, this.clawedBack(grantId) + credits);
  }

  /** The buckets of a grant, or of overage. */
  of(grantId: bigint): Buckets {
    const known = this.#ofGrant.get(grantId);
    if (known) return known;
    const buckets = empty();
    this.#ofGrant.set(grantId, buckets);
    return buckets;
  }

  /** Adds a move. Returns a message if it overdraws a bucket, else null. */
  add({ from, to, grantId, credits }: Move): string | null {
    const buckets = this.of(grantId);
    for (const sums of [buckets, this.total]) {
      sums[from] -= credits;
      sums[to] += credits;
    }
    if (!SOURCES.includes(from) && buckets[from] < 0n)
      return `takes ${credits} from ${from} of ${nameOf(grantId)}, which held ${buckets[from] + credits}`;
    if (SOURCES.includes(to) && buckets[to] > 0n)
      return `gives ${credits} back to ${to} of ${nameOf(grantId)}, which had given ${credits - buckets[to]}`;
    return null;
  }
}

const empty = (): Buckets => ({
  issued: 0n,
  available: 0n,
  reserved: 0n,
  overage: 0n,
  overage_reserved: 0n,
  consumed: 0n,
  expired: 0n,
});

const NAMES: ReadonlySet<string> = new Set(Object.keys(empty()));

export const isBucket = (name: string): boolean => NAMES.has(name);

const nameOf = (grantId: bigint): string => (grantId === OVERAGE ? 'overage' : `grant ${grantId}`);
