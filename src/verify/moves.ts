/**
 * The moves that each kind of entry may have, and the buckets that moves fill. Written from the contract,
 * independently of the ledger's code, which is checked against it.
 */
import type { BucketKind, EntryKind, Method, Move } from '../ledger/entry.ts';
import type { Grant } from '../ledger/grant.ts';

/** What an entry may name. */
export type Named = 'grant' | 'purchase' | 'reservation' | 'refunded entry';

/** The rules for entries of one kind. */
type EntryRule = {
  readonly moves: readonly `${BucketKind} to ${BucketKind}`[];
  /** What the entry names, and nothing else. A REFUND of a commit names its reservation in addition. */
  readonly names: readonly Named[];
  /** The methods whose requests write it first. */
  readonly of: readonly Method[];
  /** The methods whose requests write it after their first entry. */
  readonly furtherOf: readonly Method[];
  /** Whether the service writes it by itself. */
  readonly byService: boolean;
};

/** Of an entry that is written by one method alone, as its first entry. */
const by = (
  method: Method,
  names: EntryRule['names'],
  moves: EntryRule['moves'] = [],
): EntryRule => ({ moves, names, of: [method], furtherOf: [], byService: false });

const byService = (names: EntryRule['names'], moves: EntryRule['moves']): EntryRule => ({
  moves,
  names,
  of: [],
  furtherOf: [],
  byService: true,
});

const RETURN_MOVES = [
  'reserved to available',
  'reserved to expired',
  'reserved to voided',
  'overage_reserved to overage',
] as const;
/** Of an import: what was spent, and had expired, before it. */
export const BEFORE_IMPORT = ['issued to consumed', 'issued to expired'] as const;
const ISSUE_MOVES = ['issued to available', ...BEFORE_IMPORT] as const;
const RESERVE_MOVES = ['available to reserved', 'overage to overage_reserved'] as const;

export const ENTRY_RULES: Readonly<Record<EntryKind, EntryRule>> = {
  OPEN_ACCOUNT: {
    moves: [],
    names: [],
    of: ['OpenAccount', 'ImportAccount'],
    furtherOf: [],
    byService: false,
  },
  UPDATE_ACCOUNT: {
    moves: [],
    names: [],
    of: ['UpdateAccount', 'SetShadowMode'],
    furtherOf: [],
    byService: false,
  },
  CLOSE_ACCOUNT: by('CloseAccount', []),
  SUSPEND_ACCOUNT: by('SuspendAccount', []),
  RESUME_ACCOUNT: by('ResumeAccount', []),
  SET_BUDGET: by('SetBudget', []),
  REMOVE_BUDGET: by('RemoveBudget', []),
  ERASE_ACCOUNT_DATA: by('EraseAccountData', []),
  PLAN_CHANGE: by('MoveAccount', []),
  // Welcome credits, allowances, and expired credits that are refunded as a new grant.
  GRANT: {
    moves: ISSUE_MOVES,
    names: ['grant'],
    of: ['GrantCredits'],
    furtherOf: ['OpenAccount', 'ImportAccount', 'Refund'],
    byService: true,
  },
  GRANT_EFFECTIVE: byService(['grant'], ['issued to available']),
  GRANT_EXPIRED: byService(['grant'], ['available to expired']),
  UPDATE_GRANT: by('UpdateGrant', ['grant']),
  VOID_GRANT: by('VoidGrant', ['grant'], ['available to voided']),
  OFFER_PACK: by('OfferPack', []),
  WITHDRAW_PACK: by('WithdrawPack', []),
  // A top-up is bought by the service itself.
  CHECKOUT: {
    moves: [],
    names: ['purchase'],
    of: ['Purchase'],
    furtherOf: [],
    byService: true,
  },
  PURCHASE: {
    moves: ISSUE_MOVES,
    names: ['grant', 'purchase'],
    of: ['Purchase', 'ResolvePurchase'],
    furtherOf: ['ImportAccount'],
    byService: true,
  },
  REJECT_PURCHASE: by('ResolvePurchase', ['purchase']),
  PAYMENT: byService(['purchase'], []),
  CLAW_BACK: byService(['grant', 'purchase'], ['available to issued', 'owed to issued']),
  REINSTATE: byService(
    ['grant', 'purchase'],
    ['issued to available', 'issued to expired', 'issued to owed', 'expired to available'],
  ),
  RESERVE: by('Reserve', ['reservation'], RESERVE_MOVES),
  RAISE: by('RaiseReservation', ['reservation'], RESERVE_MOVES),
  EXTEND: by('ExtendReservation', ['reservation']),
  COMMIT: by(
    'Commit',
    ['reservation'],
    [
      'reserved to consumed',
      'overage_reserved to consumed',
      'available to consumed',
      'overage to consumed',
      'owed to consumed',
      ...RETURN_MOVES,
    ],
  ),
  RELEASE: by('Release', ['reservation'], RETURN_MOVES),
  EXPIRE: byService(['reservation'], RETURN_MOVES),
  CHARGE: by('Charge', [], ['available to consumed', 'overage to consumed']),
  REFUND: by(
    'Refund',
    ['refunded entry'],
    [
      'consumed to available',
      'consumed to expired',
      'consumed to voided',
      'consumed to issued',
      'consumed to overage',
      'consumed to owed',
    ],
  ),
  IMPORT: {
    moves: ['available to consumed', 'overage to consumed'],
    names: [],
    of: [],
    furtherOf: ['ImportAccount'],
    byService: false,
  },
  CHECKPOINT: byService([], []),
  PAY_OWED: byService([], ['available to owed']),
};

/** Grants are numbered from 1. This number in a move stands for overage and what is owed. */
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
  const isPaying = name === 'available to owed';
  const isOverage =
    !isPaying &&
    [from, to].some(
      (bucket) => bucket === 'overage' || bucket === 'overage_reserved' || bucket === 'owed',
    );
  if (!grant) {
    if (grantId !== OVERAGE) return `moves credits of grant ${grantId}, which does not exist`;
    // What others have paid of a refunded debt is issued again.
    return isOverage || name === 'consumed to issued' ? null : `moves credits ${name} of no grant`;
  }
  if (isOverage) return `moves credits ${name} of grant ${grantId}`;
  // The credits of a period that is over pay before they expire.
  if (isPaying) return grant.operations.length === 0 ? null : `moves limited credits ${name}`;
  // What an import says of earlier times may be of a grant that has expired since: see imports.ts.
  const isOver = grant.expiresAt !== null && grant.expiresAt <= at;
  return kind === 'IMPORT' && isOver ? null : findTimingError(name, at, grant);
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
const lapses = (name: string, { category, expiresAt }: Grant): boolean =>
  name === 'available to expired' && category === 'ALLOWANCE' && expiresAt === null;

export type Buckets = Record<BucketKind, bigint>;

/** The buckets that credits come from. They go below zero by what they gave. */
const SOURCES: readonly BucketKind[] = ['issued', 'overage', 'owed'];

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

  /** The buckets of a grant, or of overage and what is owed. */
  of(grantId: bigint): Buckets {
    const known = this.#ofGrant.get(grantId);
    if (known) return known;
    const buckets = empty();
    this.#ofGrant.set(grantId, buckets);
    return buckets;
  }

  /** Adds a move. Returns a message if it overdraws a bucket, else null. */
  add({ from, to, grantId, credits }: Move): string | null {
    const source = this.#holding(from, grantId);
    const target = this.#holding(to, grantId);
    source[from] -= credits;
    target[to] += credits;
    this.total[from] -= credits;
    this.total[to] += credits;
    if (!SOURCES.includes(from) && source[from] < 0n)
      return `takes ${credits} from ${from} of ${nameOf(grantId)}, which held ${source[from] + credits}`;
    // What is claimed back of used credits, or refunded of a paid debt, was issued by no grant of its own.
    const hasGiven = to !== 'issued' || grantId !== OVERAGE;
    if (SOURCES.includes(to) && hasGiven && target[to] > 0n)
      return `gives ${credits} back to ${to} of ${nameOf(grantId)}, which had given ${credits - target[to]}`;
    return null;
  }

  /** An account owes as a whole, whichever grant pays. */
  #holding(bucket: BucketKind, grantId: bigint): Buckets {
    return this.of(bucket === 'owed' ? OVERAGE : grantId);
  }
}

const empty = (): Buckets => ({
  issued: 0n,
  available: 0n,
  reserved: 0n,
  overage: 0n,
  overage_reserved: 0n,
  owed: 0n,
  consumed: 0n,
  expired: 0n,
  voided: 0n,
});

const nameOf = (grantId: bigint): string =>
  grantId === OVERAGE ? 'overage or owed' : `grant ${grantId}`;

/** By how much a move changes the overage that was used. */
export function overageUsed({ from, to, credits }: Move): bigint {
  if (to === 'consumed' && (from === 'overage' || from === 'overage_reserved')) return credits;
  return from === 'consumed' && to === 'overage' ? -credits : 0n;
}
