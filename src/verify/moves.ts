/**
 * What each kind of entry may move, and the buckets that moves fill. Written from the definitions of
 * the ledger, not from its code: it is what that code is held against.
 */
import type { BucketKind, EntryKind, Move } from '../ledger/entry.ts';
import type { Grant } from '../ledger/grant.ts';

/** What an entry of a kind may say. */
type EntryRule = {
  readonly moves: readonly `${BucketKind} to ${BucketKind}`[];
  /** What the entry must name; REFUND may name a reservation beside what it refunds. */
  readonly names: 'grant' | 'reservation' | 'refunded entry' | 'nothing';
  /** Whether a caller asks for it, the service by itself, or either. */
  readonly by: 'caller' | 'service' | 'either';
};

const GIVE_BACK = [
  'reserved to available',
  'reserved to expired',
  'overage_reserved to overage',
] as const;

export const ENTRY_RULES: Readonly<Record<EntryKind, EntryRule>> = {
  GRANT: { moves: ['issued to available'], names: 'grant', by: 'either' },
  GRANT_EFFECTIVE: { moves: ['issued to available'], names: 'grant', by: 'service' },
  GRANT_EXPIRED: { moves: ['available to expired'], names: 'grant', by: 'service' },
  // Of a top-up nobody but the service itself asked for it.
  PURCHASE: { moves: ['issued to available'], names: 'grant', by: 'either' },
  RESERVE: {
    moves: ['available to reserved', 'overage to overage_reserved'],
    names: 'reservation',
    by: 'caller',
  },
  COMMIT: {
    moves: [
      'reserved to consumed',
      'overage_reserved to consumed',
      'available to consumed',
      'overage to consumed',
      ...GIVE_BACK,
    ],
    names: 'reservation',
    by: 'caller',
  },
  RELEASE: { moves: GIVE_BACK, names: 'reservation', by: 'caller' },
  EXPIRE: { moves: GIVE_BACK, names: 'reservation', by: 'service' },
  RAISE: {
    moves: ['available to reserved', 'overage to overage_reserved'],
    names: 'reservation',
    by: 'caller',
  },
  CHARGE: {
    moves: ['available to consumed', 'overage to consumed'],
    names: 'nothing',
    by: 'caller',
  },
  REFUND: {
    moves: [
      'consumed to available',
      'consumed to expired',
      'consumed to issued',
      'consumed to overage',
    ],
    names: 'refunded entry',
    by: 'caller',
  },
  PLAN_CHANGE: { moves: [], names: 'nothing', by: 'caller' },
  CLAW_BACK: { moves: ['available to issued'], names: 'grant', by: 'service' },
  REINSTATE: {
    moves: ['issued to available', 'issued to expired'],
    names: 'grant',
    by: 'service',
  },
};

/** Grants are numbered from 1; this number stands for the postpaid line. */
export const OVERAGE = 0n;

/** Why a move must not be in an entry of this kind, made at `at`; null where it may. */
export function findMoveError(
  kind: EntryKind,
  { from, to, grantId, credits }: Move,
  at: number,
  grant: Grant | undefined,
): string | null {
  const name = `${from} to ${to}` as const;
  if (!ENTRY_RULES[kind].moves.includes(name)) return `a ${kind} does not move ${name}`;
  if (credits <= 0n) return `moves ${credits} credits ${name}`;
  const overage = [from, to].some(
    (bucket) => bucket === 'overage' || bucket === 'overage_reserved',
  );
  if (!grant) {
    if (grantId !== OVERAGE) return `moves credits of grant ${grantId}, which does not exist`;
    return overage ? null : `moves credits ${name} of no grant`;
  }
  if (overage) return `moves credits ${name} of grant ${grantId}`;
  return findTimingError(name, at, grant);
}

/** Credits are spent while their grant lasts; what comes back after that is breakage. */
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
  const moved = name.startsWith('available') || name.endsWith('available');
  return moved && expired
    ? `moves credits ${name} of grant ${grant.grantId}, which has expired`
    : null;
}

/** An allowance without an expiry lapses at the end of a period as far as it is not carried over. */
const lapses = (name: string, { source, expiresAt }: Grant): boolean =>
  name === 'available to expired' && source === 'ALLOWANCE' && expiresAt === null;

export type Buckets = Record<BucketKind, bigint>;

/** Where credits come from: these go below zero, by what they gave. */
const SOURCES: readonly BucketKind[] = ['issued', 'overage'];

/** Every bucket of an account, a sum of moves each. */
export class BucketSums {
  readonly #ofGrant = new Map<bigint, Buckets>();
  readonly total = empty();
  readonly #clawedBack = new Map<bigint, bigint>();

  /** Credits of a grant that went back to where they came from, and did not come again. */
  clawedBack(grantId: bigint): bigint {
    return this.#clawedBack.get(grantId) ?? 0n;
  }

  addClawedBack(grantId: bigint, credits: bigint) {
    this.#clawedBack.set(grantId, this.clawedBack(grantId) + credits);
  }

  /** The buckets of a grant, or of the postpaid line. */
  of(grantId: bigint): Buckets {
    const known = this.#ofGrant.get(grantId);
    if (known) return known;
    const buckets = empty();
    this.#ofGrant.set(grantId, buckets);
    return buckets;
  }

  /** Adds a move; answers which bucket it emptied below zero, if it did. */
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

const nameOf = (grantId: bigint): string =>
  grantId === OVERAGE ? 'the postpaid line' : `grant ${grantId}`;
