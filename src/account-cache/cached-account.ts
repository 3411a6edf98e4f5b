/**
 * What is kept of one account between units of work: its row, and its grants that can still change.
 *
 * It lives long among what dies young, and garbage collection pays for that: it copies what is new
 * twice before it takes it for old, and visits what is old and was given something new. So the objects
 * are made once, and what every unit of work changes is numbers in a slot of memory that is not
 * collected. With objects made anew each time a collection takes 10 ms, so 5 ms: as with nothing kept.
 */
import type { Account } from '../ledger/account.ts';
import type { Labels } from '../ledger/entry.ts';
import { type Grant, isOpen } from '../ledger/grant.ts';

/** Of 8 bytes. In a slot: nine counters of the account, two instants, a hash, two counters of each grant. */
const WORDS = 33;
const DUE_AT = 9;
const LAST_AT = 10;
const HASH = 11;
const HASH_BYTES = 32;
const GRANTS = 15;
/** An account with more open grants is not kept. */
const GRANTS_MAX = (WORDS - GRANTS) / 2;

/**
 * What an account holds in its slot, it need not hold as objects: a bigint takes 24 bytes, and the hash is
 * a part of a pool of 64 KB, all of which it would hold (a soak of 12,000 accounts came to 830 MB so).
 */
const IN_SLOT = {
  seq: 0n,
  grantCount: 0n,
  eventCount: 0n,
  remaining: 0n,
  reserved: 0n,
  overage: 0n,
  overageReserved: 0n,
  overageLimit: 0n,
  version: 0n,
  dueAt: null,
  lastAt: 0,
  lastHash: new Uint8Array(),
} satisfies Partial<Account>;

/** Texts of which there are few, and a copy in every row that is read. */
const texts = new Map<string, string>();
function one<Text extends string | null>(text: Text): Text {
  if (text === null) return text;
  const known = texts.get(text);
  if (known === undefined) texts.set(text, text);
  return (known ?? text) as Text;
}

const NO_LABELS: Labels = {};

const slim = (account: Account): Account => ({
  ...account,
  ...IN_SLOT,
  planId: one(account.planId),
  state: one(account.state),
  statementPlanId: one(account.statementPlanId),
  labels: Object.keys(account.labels).length === 0 ? NO_LABELS : account.labels,
});

const slimGrant = (grant: Grant): Grant => ({
  ...grant,
  remaining: 0n,
  reserved: 0n,
  category: one(grant.category),
  source: one(grant.source),
  state: one(grant.state),
});

/** Memory for the numbers of so many books. */
export class Slots {
  readonly counters: BigInt64Array;
  readonly instants: Float64Array;
  readonly bytes: Buffer;
  readonly #free: number[];

  constructor(count: number) {
    const memory = new ArrayBuffer(count * WORDS * 8);
    this.counters = new BigInt64Array(memory);
    this.instants = new Float64Array(memory);
    this.bytes = Buffer.from(memory);
    this.#free = Array.from({ length: count }, (_, index) => index * WORDS);
  }

  /** The first word of a slot; undefined where none is free. */
  take(): number | undefined {
    return this.#free.pop();
  }

  free(slot: number) {
    this.#free.push(slot);
  }
}

export class CachedAccount {
  readonly #slots: Slots;
  readonly #slot: number;
  /** Their counters, instants and hash are in the slot. */
  readonly #account: Account;
  readonly #grants: readonly Grant[];

  /** The slot is the book's from now on; what is kept must be written into it first. */
  constructor(slots: Slots, slot: number, account: Account, grants: readonly Grant[]) {
    this.#slots = slots;
    this.#slot = slot;
    this.#account = slim(account);
    this.#grants = grants.filter(isOpen).map(slimGrant);
  }

  static fits(account: Account, grants: readonly Grant[]): boolean {
    return account.lastHash.length === HASH_BYTES && grants.length <= GRANTS_MAX;
  }

  /** Whether something happens to the account by itself by now, which is never before its newest entry. */
  isDue(now: number): boolean {
    const { instants } = this.#slots;
    const lastAt = instants[this.#slot + LAST_AT] as number;
    return (instants[this.#slot + DUE_AT] as number) <= Math.max(now, lastAt);
  }

  /** Keeps what a transaction has written; false where that is more than numbers. */
  write(account: Account, grants: readonly Grant[]): boolean {
    if (
      account.allowanceDueAt !== this.#account.allowanceDueAt ||
      account.lowBalance !== this.#account.lowBalance ||
      !this.#writeGrants(grants)
    )
      return false;
    const { counters, instants, bytes } = this.#slots;
    const slot = this.#slot;
    counters[slot] = account.seq;
    counters[slot + 1] = account.grantCount;
    counters[slot + 2] = account.eventCount;
    counters[slot + 3] = account.remaining;
    counters[slot + 4] = account.reserved;
    counters[slot + 5] = account.overage;
    counters[slot + 6] = account.overageReserved;
    counters[slot + 7] = account.overageLimit;
    counters[slot + 8] = account.version;
    instants[slot + DUE_AT] = account.dueAt ?? Number.POSITIVE_INFINITY;
    instants[slot + LAST_AT] = account.lastAt;
    bytes.set(account.lastHash, (slot + HASH) * 8);
    return true;
  }

  #writeGrants(grants: readonly Grant[]): boolean {
    const { counters } = this.#slots;
    let at = this.#slot + GRANTS;
    let index = 0;
    for (const grant of grants) {
      if (!isOpen(grant)) continue;
      const kept = this.#grants[index];
      if (
        kept?.grantId !== grant.grantId ||
        kept.state !== grant.state ||
        kept.noticeAt !== grant.noticeAt
      )
        return false;
      counters[at] = grant.remaining;
      counters[at + 1] = grant.reserved;
      at += 2;
      index += 1;
    }
    return index === this.#grants.length;
  }

  account(): Account {
    const { instants, bytes } = this.#slots;
    const counters = this.#slots.counters as unknown as readonly bigint[];
    const slot = this.#slot;
    const dueAt = instants[slot + DUE_AT] as number;
    const hash = (slot + HASH) * 8;
    return {
      ...this.#account,
      seq: counters[slot] as bigint,
      grantCount: counters[slot + 1] as bigint,
      eventCount: counters[slot + 2] as bigint,
      remaining: counters[slot + 3] as bigint,
      reserved: counters[slot + 4] as bigint,
      overage: counters[slot + 5] as bigint,
      overageReserved: counters[slot + 6] as bigint,
      overageLimit: counters[slot + 7] as bigint,
      version: counters[slot + 8] as bigint,
      dueAt: dueAt === Number.POSITIVE_INFINITY ? null : dueAt,
      lastAt: instants[slot + LAST_AT] as number,
      lastHash: bytes.subarray(hash, hash + HASH_BYTES),
    };
  }

  grants(): Grant[] {
    const counters = this.#slots.counters as unknown as readonly bigint[];
    const at = this.#slot + GRANTS;
    return this.#grants.map((grant, index) => ({
      ...grant,
      remaining: counters[at + 2 * index] as bigint,
      reserved: counters[at + 2 * index + 1] as bigint,
    }));
  }

  /** Gives its slot back: it can be neither read nor written any more. */
  end() {
    this.#slots.free(this.#slot);
  }
}
