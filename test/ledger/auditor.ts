/**
 * An auditor who knows nothing of books and rules. It reads entries in their order, keeps its own
 * sum per bucket from the moves alone, and objects to whatever does not add up: a bucket below zero,
 * a move its kind of entry must not make, balances after an entry that are not those of the buckets,
 * a gap in seq, a clock that ran backwards, a broken hash chain.
 */
import assert from 'node:assert/strict';
import type { Failure } from '../../src/failure.ts';
import type { Entry, EntryKind, Move } from '../../src/ledger/entry.ts';
import { seal } from '../../src/ledger/hash-chain.ts';
import type { Shelf } from './shelf.ts';

const GRANTING = ['issued>available'];
const GIVING_BACK = ['reserved>available', 'reserved>expired', 'overage_reserved>overage'];
const TAKING = ['available>consumed', 'overage>consumed'];

/** The moves an entry of each kind may make. */
const MOVES: Record<EntryKind, readonly string[]> = {
  GRANT: GRANTING,
  GRANT_EFFECTIVE: GRANTING,
  PURCHASE: GRANTING,
  GRANT_EXPIRED: ['available>expired'],
  RESERVE: ['available>reserved', 'overage>overage_reserved'],
  RAISE: ['available>reserved', 'overage>overage_reserved'],
  COMMIT: ['reserved>consumed', 'overage_reserved>consumed', ...TAKING, ...GIVING_BACK],
  RELEASE: GIVING_BACK,
  EXPIRE: GIVING_BACK,
  CHARGE: TAKING,
  PLAN_CHANGE: [],
  REFUND: ['consumed>available', 'consumed>expired', 'consumed>overage', 'consumed>issued'],
  CLAW_BACK: ['available>issued'],
  REINSTATE: ['issued>available', 'issued>expired'],
};

/** Buckets a move may leave without having been filled before: credits are made out of nothing here. */
const SOURCES = new Set(['issued', 'overage']);

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
  /** What each reservation holds of each grant, as "reservation/grant". */
  readonly #held = new Sums();
  readonly #committed = new Sums();
  /** What refunds took back of each grant, to issue it again. */
  readonly #again = new Sums();
  readonly #months = new Map<bigint, string>();
  #overage = 0n;
  #overageReserved = 0n;
  #last: Pick<Entry, 'seq' | 'at' | 'hash'> = { seq: 0n, at: 0, hash: new Uint8Array() };

  /** The most overage a plan of the account ever allowed; 0 where it was always prepaid. */
  limit: bigint;

  constructor(limit: bigint) {
    this.limit = limit;
  }

  see(entry: Entry) {
    this.#seePlace(entry);
    for (const move of entry.moves) this.#seeMove(entry, move);
    assert(this.#overage >= 0n, 'overage is below zero');
    assert(this.#overage + this.#overageReserved <= this.limit, 'overage is beyond the limit');
    const remaining = this.#buckets.total('available/') + this.#buckets.total('reserved/');
    const reserved = this.#buckets.total('reserved/') + this.#overageReserved;
    assert.equal(entry.remainingAfter, remaining, `remaining after entry ${entry.seq}`);
    assert.equal(entry.reservedAfter, reserved, `reserved after entry ${entry.seq}`);
    assert.equal(entry.overageAfter, this.#overage, `overage after entry ${entry.seq}`);
    assert(remaining + this.limit >= reserved, 'available is below the overage limit');
  }

  /** Objects where a call was refused for lack of credits, and what it was told of them is not so. */
  seeRefusal({ reason, metadata }: Failure, limit: bigint, now: number) {
    if (reason !== 'INSUFFICIENT_CREDITS' && reason !== 'OVERAGE_LIMIT_REACHED') return;
    const overage = month(now) === month(this.#last.at) ? this.#overage : 0n;
    const line = limit - overage - this.#overageReserved;
    const available = this.#buckets.total('available/') + (line > 0n ? line : 0n);
    assert.equal(metadata['available'], String(available), reason);
    assert.equal(metadata['shortfall'], String(BigInt(metadata['required']!) - available), reason);
    assert(BigInt(metadata['required']!) > available, reason);
  }

  /** Objects where the shelf's nouns are not what the entries say. */
  agreeWith({ account, grants, reservations, purchases, entries }: Shelf) {
    assert.equal(account.seq, BigInt(entries.length));
    assert.equal(account.remaining, this.#buckets.total('available/') + account.reserved);
    assert.equal(account.reserved, this.#buckets.total('reserved/'));
    assert.equal(account.overageReserved, this.#overageReserved);
    for (const { grantId, remaining, reserved, amount, state } of grants.values()) {
      const available = this.#buckets.get(`available/${grantId}`);
      assert.equal(reserved, this.#buckets.get(`reserved/${grantId}`), `grant ${grantId}`);
      assert.equal(remaining, available + reserved, `grant ${grantId}`);
      const gone =
        this.#buckets.get(`consumed/${grantId}`) + this.#buckets.get(`expired/${grantId}`);
      // What a refund gave back as a new grant was issued again there.
      const again = this.#again.get(`${grantId}`);
      const returned = amount + this.#buckets.get(`issued/${grantId}`);
      if (state !== 'SCHEDULED')
        assert.equal(remaining + gone + returned, amount, `grant ${grantId}`);
      const takenBack = returned - again;
      const bought = purchases.find((purchase) => purchase.grantId === grantId);
      assert.equal(
        state === 'SCHEDULED' ? 0n : takenBack,
        bought?.creditsClawedBack ?? 0n,
        `grant ${grantId} taken back`,
      );
    }
    const paid = purchases.filter(({ state }) => state === 'PAID');
    assert.equal(new Set(paid.map(({ grantId }) => grantId)).size, paid.length, 'one grant each');
    assert.equal(entries.filter(({ kind }) => kind === 'PURCHASE').length, paid.length);
    for (const reservation of reservations.values()) {
      const { reservationId, state, credits, committed, returned, allocations } = reservation;
      const held = this.#held.total(`${reservationId}/`);
      assert.equal(committed, this.#committed.get(reservationId), `${reservationId} committed`);
      for (const { grantId, credits } of allocations)
        assert.equal(credits, this.#held.get(`${reservationId}/${grantId}`), reservationId);
      assert.equal(
        allocations.reduce((sum, allocation) => sum + allocation.credits, 0n),
        held,
        `${reservationId} held`,
      );
      assert(state === 'ACTIVE' || held === 0n, `${reservationId} ended and holds ${held}`);
      if (reservation.overCommitPolicy !== 'DRAW')
        assert.equal(held + committed + returned, credits, `${reservationId} is not whole`);
    }
  }

  #seePlace(entry: Entry) {
    assert.equal(entry.seq, this.#last.seq + 1n, 'seq has a gap');
    assert(entry.at >= this.#last.at, 'time ran backwards');
    assert.deepEqual(entry.hash, seal(entry, this.#last.hash).hash, 'the hash chain is broken');
    if (month(entry.at) !== month(this.#last.at)) this.#overage = 0n;
    this.#months.set(entry.seq, month(entry.at));
    this.#last = entry;
  }

  #seeMove(
    { kind, at, reservationId, refundedSeq, seq }: Entry,
    { from, to, grantId, credits }: Move,
  ) {
    assert(MOVES[kind].includes(`${from}>${to}`), `${kind} moves ${from} to ${to}`);
    assert(credits > 0n, `entry ${seq} moves ${credits}`);
    const ofOverage = [from, to].some((bucket) => bucket.startsWith('overage'));
    assert.equal(grantId === 0n, ofOverage, `entry ${seq}: ${from} to ${to} of grant ${grantId}`);
    this.#buckets.add(`${from}/${grantId}`, -credits);
    this.#buckets.add(`${to}/${grantId}`, credits);
    const left = this.#buckets.get(`${from}/${grantId}`);
    assert(left >= 0n || SOURCES.has(from), `entry ${seq} takes ${-left} too many from ${from}`);

    if (from === 'consumed' && to === 'issued') this.#again.add(`${grantId}`, credits);
    if (from === 'overage_reserved') this.#overageReserved -= credits;
    if (to === 'overage_reserved') this.#overageReserved += credits;
    if (ofOverage && to === 'consumed') this.#overage += credits;
    // A refund of an earlier month's overage does not lower this month's.
    const ofThisMonth = this.#months.get(refundedSeq ?? 0n) === month(at);
    if (from === 'consumed' && to === 'overage' && ofThisMonth) this.#overage -= credits;
    if (reservationId !== null && kind !== 'REFUND') {
      if (from.endsWith('reserved')) this.#held.add(`${reservationId}/${grantId}`, -credits);
      if (to.endsWith('reserved')) this.#held.add(`${reservationId}/${grantId}`, credits);
      if (to === 'consumed') this.#committed.add(reservationId, credits);
      assert(
        this.#held.get(`${reservationId}/${grantId}`) >= 0n,
        `${reservationId} gives too much`,
      );
    }
  }
}

const month = (at: number): string => new Date(at).toISOString().slice(0, 7);
