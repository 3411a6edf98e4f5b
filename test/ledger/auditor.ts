/**
 * An auditor, which shares no code with books and rules. It reads entries in order, computes every balance
 * from the moves alone, and throws if anything is inconsistent: a negative bucket, a move that the kind of
 * entry must not make, balances after an entry that differ from the buckets, a gap in seq, time that runs
 * backwards, a broken hash chain.
 */
import assert from 'node:assert/strict';
import type { Failure } from '../../src/failure.ts';
import type { Entry, EntryKind, Move, StoredEntry } from '../../src/ledger/entry.ts';
import { isLimited, isOpen } from '../../src/ledger/grant.ts';
import { sealAgain } from '../../src/ledger/hash-chain.ts';
import { intervalAt, monthNamed } from '../../src/verify/zone-periods.ts';
import type { AccountStore } from './account-store.ts';
import { termsOf } from './fixtures.ts';

const ISSUE_MOVES = ['issued>available', 'issued>consumed', 'issued>expired'];
const RETURN_MOVES = [
  'reserved>available',
  'reserved>expired',
  'reserved>voided',
  'overage_reserved>overage',
];
const CONSUME_MOVES = ['available>consumed', 'overage>consumed'];

/** The moves that an entry of each kind may have. */
const ALLOWED_MOVES: Record<EntryKind, readonly string[]> = {
  OPEN_ACCOUNT: [],
  UPDATE_ACCOUNT: [],
  CLOSE_ACCOUNT: [],
  ERASE_ACCOUNT_DATA: [],
  PLAN_CHANGE: [],
  SUSPEND_ACCOUNT: [],
  RESUME_ACCOUNT: [],
  UPDATE_GRANT: [],
  SET_BUDGET: [],
  REMOVE_BUDGET: [],
  OFFER_PACK: [],
  WITHDRAW_PACK: [],
  CHECKOUT: [],
  REJECT_PURCHASE: [],
  PAYMENT: [],
  CHECKPOINT: [],
  EXTEND: [],
  GRANT: ISSUE_MOVES,
  GRANT_EFFECTIVE: ['issued>available'],
  PURCHASE: ISSUE_MOVES,
  GRANT_EXPIRED: ['available>expired'],
  VOID_GRANT: ['available>voided'],
  RESERVE: ['available>reserved', 'overage>overage_reserved'],
  RAISE: ['available>reserved', 'overage>overage_reserved'],
  COMMIT: [
    'reserved>consumed',
    'overage_reserved>consumed',
    'owed>consumed',
    ...CONSUME_MOVES,
    ...RETURN_MOVES,
  ],
  RELEASE: RETURN_MOVES,
  EXPIRE: RETURN_MOVES,
  CHARGE: CONSUME_MOVES,
  REFUND: [
    'consumed>available',
    'consumed>expired',
    'consumed>voided',
    'consumed>overage',
    'consumed>issued',
    'consumed>owed',
  ],
  IMPORT: CONSUME_MOVES,
  CLAW_BACK: ['available>issued', 'owed>issued'],
  REINSTATE: ['issued>available', 'issued>expired', 'issued>owed', 'expired>available'],
  PAY_OWED: ['available>owed'],
};

/** Buckets that may go below zero, because credits come from them. */
const UNLIMITED_BUCKETS = new Set(['issued', 'overage', 'owed']);

class Sums {
  readonly #sums = new Map<string, bigint>();

  get(key: string): bigint {
    return this.#sums.get(key) ?? 0n;
  }

  add(key: string, credits: bigint) {
    this.#sums.set(key, this.get(key) + credits);
  }

  total(prefix: string): bigint {
    let total = 0n;
    for (const [key, sum] of this.#sums) if (key.startsWith(prefix)) total += sum;
    return total;
  }
}

export class Auditor {
  readonly #buckets = new Sums();
  /** What each reservation holds of each grant, by "reservation/grant". */
  readonly #heldByReservation = new Sums();
  readonly #committed = new Sums();
  /** Credits of each expired grant that refunds issued again as a new grant. */
  readonly #reissued = new Sums();
  readonly #voidedUnissued = new Sums();
  readonly #toBeVoided = new Sums();
  readonly #voidedOnReturn = new Sums();
  /** The month in which the usage of each entry counts. */
  readonly #months = new Map<bigint, string>();
  /** Those that entries gave the account. */
  #timeZones: { readonly zone: string; readonly at: number }[] = [];
  #openedAt = 0;
  readonly #overage = new Sums();
  #overageReserved = 0n;
  #owed = 0n;
  #last: Pick<Entry, 'seq' | 'at' | 'hash'> = { seq: 0n, at: 0, hash: new Uint8Array() };

  /** The highest overage limit that the account has had; 0 if it was always prepaid. */
  limit: bigint;

  constructor(limit: bigint) {
    this.limit = limit;
  }

  addEntry(entry: StoredEntry) {
    this.#checkChain(entry);
    this.#followZone(entry);
    if (entry.kind === 'VOID_GRANT') {
      const { grantId, credits, moves, details } = entry;
      if (moves.length === 0) this.#voidedUnissued.add(`${grantId}`, credits);
      this.#toBeVoided.add(`${grantId}`, BigInt(details['void_on_return'] ?? 0));
    }
    for (const move of entry.moves) this.#applyMove(entry, move);
    const overage = this.#overage.get(this.#month(entry.at));
    assert(overage >= 0n, 'overage is below zero');
    assert(overage + this.#overageReserved <= this.limit, 'overage is beyond the limit');
    const usedIn = this.#overage.get(this.#months.get(entry.seq) ?? '');
    assert(usedIn <= this.limit, 'late overage is beyond the limit of its month');
    const remaining = this.#buckets.total('available/') + this.#buckets.total('reserved/');
    const reserved = this.#buckets.total('reserved/') + this.#overageReserved;
    assert.equal(entry.remainingAfter, remaining, `remaining after entry ${entry.seq}`);
    assert.equal(entry.reservedAfter, reserved, `reserved after entry ${entry.seq}`);
    assert.equal(entry.overageAfter, overage, `overage after entry ${entry.seq}`);
    assert(this.#owed >= 0n, 'owed is below zero');
    assert.equal(entry.owedAfter, this.#owed, `owed after entry ${entry.seq}`);
    this.#checkConserved(remaining);
    assert(remaining + this.limit >= reserved, 'available is below the overage limit');
  }

  /** What was issued, and what overage and owed have given, is what remains, is held, or has gone. */
  #checkConserved(remaining: bigint) {
    const given = ['issued/', 'overage/', 'owed/'].reduce(
      (sum, bucket) => sum - this.#buckets.total(bucket),
      0n,
    );
    const gone = ['consumed/', 'expired/', 'voided/'].reduce(
      (sum, bucket) => sum + this.#buckets.total(bucket),
      0n,
    );
    assert.equal(given, remaining + this.#overageReserved + gone, 'credits are lost or made');
  }

  #followZone({ kind, at, details: { time_zone: zone, opened_at: openedAt } }: StoredEntry) {
    if (kind === 'OPEN_ACCOUNT') this.#openedAt = openedAt ? Date.parse(openedAt) : at;
    if (zone === undefined) return;
    if (kind === 'OPEN_ACCOUNT') this.#timeZones = [{ zone, at: this.#openedAt }];
    else {
      if (this.#timeZones.length === 0) this.#timeZones = [{ zone: 'UTC', at: this.#openedAt }];
      this.#timeZones = [...this.#timeZones, { zone, at }];
    }
  }

  #month(at: number): string {
    return monthNamed(this.#timeZones.length === 0 ? null : this.#timeZones, at);
  }

  /** Throws if a failure for lack of credits states other figures than the entries. */
  checkFailure({ reason, metadata }: Failure, limit: bigint, now: number) {
    if (reason !== 'INSUFFICIENT_CREDITS' && reason !== 'OVERAGE_LIMIT_REACHED') return;
    const overage = this.#overage.get(this.#month(now));
    const overageLeft = limit - overage - this.#overageReserved;
    const available = this.#buckets.total('available/') + (overageLeft > 0n ? overageLeft : 0n);
    assert.equal(metadata['available'], String(available), reason);
    assert.equal(metadata['shortfall'], String(BigInt(metadata['required']!) - available), reason);
    assert(BigInt(metadata['required']!) > available, reason);
  }

  /** Throws if the stored account, grants, purchases or reservations differ from the entries. */
  checkStore({ account, grants, reservations, purchases, entries }: AccountStore) {
    assert.equal(account.seq, BigInt(entries.length));
    assert.equal(account.remaining, this.#buckets.total('available/') + account.reserved);
    assert.equal(account.reserved, this.#buckets.total('reserved/'));
    assert.equal(account.overageReserved, this.#overageReserved);
    assert.equal(account.owed, this.#owed);
    if (account.overageBefore !== null) this.#checkOverageBefore(account);
    for (const grant of grants.values()) {
      const { grantId, remaining, reserved, state } = grant;
      const moved = this.#buckets.get(`voided/${grantId}`);
      // What was voided before the grant was effective was never issued.
      const unissued = this.#voidedUnissued.get(`${grantId}`);
      assert.equal(grant.voided, moved + unissued, `grant ${grantId} voided`);
      assert.equal(
        grant.voidOnReturn,
        this.#toBeVoided.get(`${grantId}`) - this.#voidedOnReturn.get(`${grantId}`),
        `grant ${grantId} to be voided`,
      );
      const amount = grant.amount - unissued;
      const available = this.#buckets.get(`available/${grantId}`);
      assert.equal(reserved, this.#buckets.get(`reserved/${grantId}`), `grant ${grantId}`);
      assert.equal(remaining, available + reserved, `grant ${grantId}`);
      const expired = this.#buckets.get(`expired/${grantId}`);
      assert(grant.expired >= 0n && grant.expired <= expired, `grant ${grantId} expired`);
      const spent =
        this.#buckets.get(`consumed/${grantId}`) +
        this.#buckets.get(`expired/${grantId}`) +
        this.#buckets.get(`paid/${grantId}`) +
        moved;
      // Credits that a refund gave back as a new grant left this one for good.
      const reissued = this.#reissued.get(`${grantId}`);
      const returned = amount + this.#buckets.get(`issued/${grantId}`);
      if (state !== 'SCHEDULED')
        assert.equal(remaining + spent + returned, amount, `grant ${grantId}`);
      const clawedBack = returned - reissued;
      const purchase = purchases.find((candidate) => candidate.grantId === grantId);
      assert.equal(
        state === 'SCHEDULED' ? 0n : clawedBack,
        purchase?.creditsClawedBack ?? 0n,
        `grant ${grantId} clawed back`,
      );
    }
    const hasLimited = [...grants.values()].some((grant) => isOpen(grant) && isLimited(grant));
    assert(account.hasLimitedGrants || !hasLimited, 'the account does not know of a limited grant');
    const paid = purchases.filter(({ state }) => state === 'PAID');
    assert.equal(new Set(paid.map(({ grantId }) => grantId)).size, paid.length, 'one grant each');
    assert.equal(entries.filter(({ kind }) => kind === 'PURCHASE').length, paid.length);
    for (const reservation of reservations.values()) {
      const { reservationId, state, credits, committed, returned, allocations } = reservation;
      const held = this.#heldByReservation.total(`${reservationId}/`);
      assert.equal(committed, this.#committed.get(reservationId), `${reservationId} committed`);
      for (const { grantId, credits } of allocations)
        assert.equal(
          credits,
          this.#heldByReservation.get(`${reservationId}/${grantId}`),
          reservationId,
        );
      assert.equal(
        allocations.reduce((sum, allocation) => sum + allocation.credits, 0n),
        held,
        `${reservationId} held`,
      );
      assert(state === 'ACTIVE' || held === 0n, `${reservationId} ended and holds ${held}`);
      if (!['DRAW', 'TAKE'].includes(reservation.overCommitPolicy))
        assert.equal(held + committed + returned, credits, `${reservationId} does not add up`);
    }
  }

  #checkOverageBefore({ overageBefore, lastAt }: AccountStore['account']) {
    const zones = this.#timeZones.length === 0 ? null : this.#timeZones;
    const { from } = intervalAt(zones, 'MONTH', lastAt);
    assert.equal(
      overageBefore,
      this.#overage.get(this.#month(from - 1)),
      'overage of the month before',
    );
  }

  #checkChain(entry: StoredEntry) {
    assert.equal(entry.seq, this.#last.seq + 1n, 'seq has a gap');
    assert.equal(entry.kind === 'OPEN_ACCOUNT', entry.seq === 1n, 'it begins by being opened');
    assert(entry.at >= this.#last.at, 'time ran backwards');
    assert.deepEqual(
      entry.hash,
      sealAgain(entry, termsOf(entry), this.#last.hash).hash,
      'the hash chain is broken',
    );
    this.#months.set(entry.seq, this.#month(entry.usedAt ?? entry.at));
    this.#last = entry;
  }

  #applyMove(
    { kind, at, reservationId, refundedSeq, seq }: Entry,
    { from, to, grantId, credits }: Move,
  ) {
    assert(ALLOWED_MOVES[kind].includes(`${from}>${to}`), `${kind} moves ${from} to ${to}`);
    assert(credits > 0n, `entry ${seq} moves ${credits}`);
    const concernsOverage = [from, to].some((bucket) => bucket.startsWith('overage'));
    const pays = from === 'available' && to === 'owed';
    const concernsOwed = (from === 'owed' || to === 'owed') && !pays;
    // What others have paid of a refunded debt is issued anew.
    const isPaidDebt = grantId === 0n && from === 'consumed' && to === 'issued';
    assert.equal(
      grantId === 0n,
      concernsOverage || concernsOwed || isPaidDebt,
      `entry ${seq}: ${from} to ${to} of grant ${grantId}`,
    );
    this.#buckets.add(`${from}/${grantId}`, -credits);
    this.#buckets.add(`${to}/${pays ? 0n : grantId}`, credits);
    if (pays) this.#buckets.add(`paid/${grantId}`, credits);
    if (from === 'owed') this.#owed += credits;
    if (to === 'owed') this.#owed -= credits;
    const left = this.#buckets.get(`${from}/${grantId}`);
    assert(
      left >= 0n || UNLIMITED_BUCKETS.has(from),
      `entry ${seq} overdraws by ${-left} the bucket ${from}`,
    );

    if (from !== 'available' && to === 'voided') this.#voidedOnReturn.add(`${grantId}`, credits);
    if (from === 'consumed' && to === 'issued' && grantId > 0n)
      this.#reissued.add(`${grantId}`, credits);
    if (from === 'overage_reserved') this.#overageReserved -= credits;
    if (to === 'overage_reserved') this.#overageReserved += credits;
    if (concernsOverage && to === 'consumed')
      this.#overage.add(this.#months.get(seq) ?? '', credits);
    // A refund of an earlier month's overage does not lower this month's.
    const isOfThisMonth = this.#months.get(refundedSeq ?? 0n) === this.#month(at);
    if (from === 'consumed' && to === 'overage' && isOfThisMonth)
      this.#overage.add(this.#month(at), -credits);
    if (reservationId !== null && kind !== 'REFUND') {
      if (from.endsWith('reserved'))
        this.#heldByReservation.add(`${reservationId}/${grantId}`, -credits);
      if (to.endsWith('reserved'))
        this.#heldByReservation.add(`${reservationId}/${grantId}`, credits);
      if (to === 'consumed') this.#committed.add(reservationId, credits);
      assert(
        this.#heldByReservation.get(`${reservationId}/${grantId}`) >= 0n,
        `${reservationId} returns more than it holds`,
      );
    }
  }
}
