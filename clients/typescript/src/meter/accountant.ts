/**
 * Decides for a meter what is allowed, and what the service is asked for: a pure state machine. It has no clock
 * and makes no calls: `now` is given, and what is to be done is returned as commands, whose answers are given
 * back.
 *
 * - It allows units of reservations only, each once, and none of one that is about to expire.
 * - It reports what each reservation allowed once an interval, and all of it when the reservation is used up,
 *   about to expire, or the meter is closed: the last report ends the reservation, and returns the rest.
 * - It reserves more before what it has is used up.
 */
import { MeteredReservation, type ReservedTerms } from './metered-reservation.ts';

export type Reserve = { readonly kind: 'reserve'; readonly units: number };
export type Report = {
  readonly kind: 'report';
  readonly reservation: MeteredReservation;
  /** 0: nothing was used since the last. */
  readonly units: number;
  /** Ends the reservation. */
  readonly final: boolean;
};
export type Extend = { readonly kind: 'extend'; readonly reservation: MeteredReservation };
/** Charges what a reservation allowed that can take no report any more. */
export type Charge = {
  readonly kind: 'charge';
  readonly reservation: MeteredReservation;
  readonly units: number;
};
/** Each is to be repeated until it is answered, under one request id. */
export type Command = Reserve | Report | Extend | Charge;

/** More is reserved while less than this part of a reservation is left. */
const REFILL_BELOW = 0.5;
/** The longest pause between two reserves that were refused. */
const RETRY_MAX_MS = 10_000;

export class Accountant {
  /** Milliseconds between two reports. */
  readonly #intervalMs: number;
  /** Units of a reservation. */
  #units: number;
  /** Units are taken from the first. */
  readonly #open: MeteredReservation[] = [];
  /** Those that allow nothing more, and are not settled. */
  readonly #ending = new Set<MeteredReservation>();
  /** The first of the open ones. */
  #current: MeteredReservation | null = null;
  /** Units left in the other open ones. */
  #leftInOthers = 0;
  #isReserving = false;
  /** No reserve is made before. */
  #reserveAt = 0;
  #refusals = 0;
  /** Units to reserve next, if they are fewer than usual. */
  #unitsMax = Number.POSITIVE_INFINITY;
  #isClosed = false;
  #settled = { allowed: 0, charged: 0, lost: 0 };

  constructor(units: number, intervalMs: number) {
    this.#units = units;
    this.#intervalMs = intervalMs;
  }

  /** Whether so many units may be used. If so, they are charged. */
  tryUse(units: number, now: number): boolean {
    const current = this.#current;
    if (current === null || units > current.left || now >= current.until)
      return this.#tryUseOfSeveral(units, now);
    current.left -= units;
    return true;
  }

  /** Whether more is to be reserved now. */
  isLow(now: number): boolean {
    const left = (this.#current?.left ?? 0) + this.#leftInOthers;
    if (left >= this.#units * REFILL_BELOW) return false;
    return !this.#isReserving && !this.#isClosed && now >= this.#reserveAt;
  }

  /** Units that can be used now. */
  available(now: number): number {
    return this.#open.reduce((sum, { left, until }) => sum + (now < until ? left : 0), 0);
  }

  /** Units that were allowed. */
  get allowed(): number {
    return this.#sum(({ allowed }) => allowed, this.#settled.allowed);
  }

  /** Units that were committed or charged, as far as is known. */
  get charged(): number {
    return this.#sum(({ reported }) => reported, this.#settled.charged);
  }

  /** Units that were allowed, and that the service refused to charge. */
  get lost(): number {
    return this.#settled.lost;
  }

  /** Whether everything was reported and returned. Only a closed meter comes to an end. */
  get isSettled(): boolean {
    return this.#open.length === 0 && this.#ending.size === 0 && !this.#isReserving;
  }

  /** What is to be done now. The same command is not returned again before it was answered. */
  due(now: number): readonly Command[] {
    this.#endThoseThat(({ left, until }) => this.#isClosed || left === 0 || now >= until);
    return [...this.#reserves(now), ...this.#extensions(now), ...this.#reports(now)];
  }

  /** When `due` is to be asked again, if nothing is answered before. */
  nextAt(): number {
    return Math.min(
      this.isLow(Number.POSITIVE_INFINITY) ? this.#reserveAt : Number.POSITIVE_INFINITY,
      ...this.#open.map(({ until, isExtending, extendAt, reporting, reportAt }) =>
        Math.min(
          until,
          isExtending ? Number.POSITIVE_INFINITY : extendAt,
          reporting === null ? reportAt : Number.POSITIVE_INFINITY,
        ),
      ),
    );
  }

  /** From now on nothing is allowed, and every reservation ends. */
  close() {
    this.#isClosed = true;
    this.#endThoseThat(() => true);
  }

  /** The next reservations are to have so many units, because prices have changed. */
  resize(units: number) {
    this.#units = units;
  }

  reserved(terms: ReservedTerms, now: number) {
    this.#isReserving = false;
    this.#refusals = 0;
    this.#unitsMax = Number.POSITIVE_INFINITY;
    this.#open.push(new MeteredReservation(terms, now + this.#intervalMs));
    this.#choose();
  }

  /**
   * A reserve was refused by a rule. `available`: units that a smaller one could have, if the service said so.
   * `retryAfterMs`: what the service said.
   */
  refused(command: Reserve, now: number, available = 0, retryAfterMs = 0) {
    this.#isReserving = false;
    this.#refusals += 1;
    const isFewer = available >= 1 && available < command.units;
    this.#unitsMax = isFewer ? available : Number.POSITIVE_INFINITY;
    const pause = this.#intervalMs * 2 ** Math.min(this.#refusals - 1, 20);
    const least = isFewer && this.#refusals === 1 ? 0 : Math.min(pause, RETRY_MAX_MS);
    this.#reserveAt = now + Math.max(least, retryAfterMs);
  }

  reportedAs({ reservation, units, final }: Report) {
    reservation.reporting = null;
    reservation.reported += units;
    if (final) this.#settle(reservation, 0);
  }

  /** The service will commit nothing of the reservation any more. What it allowed is charged without it. */
  reportRefused({ reservation }: Report): readonly Charge[] {
    reservation.reporting = null;
    reservation.isGone = true;
    this.#endThoseThat(({ isGone }) => isGone);
    const { unreported } = reservation;
    if (unreported > 0) return [{ kind: 'charge', reservation, units: unreported }];
    this.#settle(reservation, 0);
    return [];
  }

  /** `isCharged`: false, if a rule refused it. */
  chargedAs({ reservation, units }: Charge, isCharged: boolean) {
    if (isCharged) reservation.reported += units;
    this.#settle(reservation, isCharged ? 0 : units);
  }

  /** `expiresAt`: null, if a rule refused it. */
  extended({ reservation }: Extend, expiresAt: number | null) {
    reservation.isExtending = false;
    if (expiresAt === null) reservation.extendAt = Number.POSITIVE_INFINITY;
    else reservation.lastsUntil(expiresAt);
  }

  #reserves(now: number): readonly Reserve[] {
    if (!this.isLow(now)) return [];
    this.#isReserving = true;
    return [{ kind: 'reserve', units: Math.min(this.#units, this.#unitsMax) }];
  }

  #extensions(now: number): readonly Extend[] {
    const due = this.#open.filter(({ isExtending, extendAt }) => !isExtending && now >= extendAt);
    for (const reservation of due) reservation.isExtending = true;
    return due.map((reservation) => ({ kind: 'extend', reservation }));
  }

  #reports(now: number): readonly Report[] {
    const final = [...this.#ending].filter((one) => one.reporting === null && !one.isGone);
    const partial = this.#open.filter((one) => one.reporting === null && now >= one.reportAt);
    for (const reservation of partial) reservation.reportAt = now + this.#intervalMs;
    return [
      ...final.map((reservation) => report(reservation, true)),
      ...partial.filter(({ unreported }) => unreported > 0).map((one) => report(one, false)),
    ];
  }

  #endThoseThat(isOver: (reservation: MeteredReservation) => boolean) {
    for (const reservation of this.#open.filter(isOver)) {
      this.#open.splice(this.#open.indexOf(reservation), 1);
      this.#ending.add(reservation);
    }
    this.#choose();
  }

  #settle(reservation: MeteredReservation, lost: number) {
    this.#ending.delete(reservation);
    this.#settled.allowed += reservation.allowed;
    this.#settled.charged += reservation.reported;
    this.#settled.lost += lost;
  }

  /** Takes what the first has left, and the rest from those after it. */
  #tryUseOfSeveral(units: number, now: number): boolean {
    if (this.available(now) < units) return false;
    let missing = units;
    for (const reservation of this.#open) {
      if (now >= reservation.until) continue;
      const taken = Math.min(missing, reservation.left);
      reservation.left -= taken;
      missing -= taken;
    }
    this.#choose();
    return true;
  }

  /** The first that has units left is spent from next. */
  #choose() {
    this.#current = this.#open.find(({ left }) => left > 0) ?? null;
    this.#leftInOthers = this.#open.reduce(
      (sum, one) => sum + (one === this.#current ? 0 : one.left),
      0,
    );
  }

  #sum(of: (reservation: MeteredReservation) => number, settled: number): number {
    return [...this.#open, ...this.#ending].reduce((sum, one) => sum + of(one), settled);
  }
}

function report(reservation: MeteredReservation, final: boolean): Report {
  const units = reservation.unreported;
  reservation.reporting = units;
  return { kind: 'report', reservation, units, final };
}
