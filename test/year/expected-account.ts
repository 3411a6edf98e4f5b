/**
 * One account, recomputed from the usage log alone: its allowances and packs, what each usage took of
 * them, its overage by month, and what expired on which day. It shares no code with the ledger. It throws
 * at the first response that differs from the expected one.
 */
import type { Pack } from '../../src/gen/billing/v1/pricing.ts';
import { beginOf, dayOf, laterByMonths, monthAfter, monthOf } from './calendar.ts';
import {
  addTo,
  breakCredits,
  compareBurnOrder,
  type Draw,
  type ExpectedGrant,
  newGrant,
  splitDraws,
  totalOf,
} from './expected-grant.ts';
import { earliestUse, hasOverage, returnExpired } from './expected-late.ts';
import { ExpectedMonth, type OperationUse, type Spending } from './expected-month.ts';
import { Mismatch } from './mismatch.ts';
import { creditsOf, lateUsageOf, type PublishedPlan, type PublishedPlans } from './rates.ts';
import type {
  ImportedPurchase,
  LogEntry,
  LoggedRequest,
  LoggedResponse,
  Usage,
} from './usage-log.ts';

type ExpectedReservation = {
  draws: readonly Draw[];
  /** What it held when it expired: a late commit draws on these grants first. */
  drawsAtExpiry: readonly Draw[];
  readonly usages: readonly OperationUse[];
  readonly plan: PublishedPlan;
  readonly expiresAt: number;
  readonly usedAt: number | null;
  isExpired: boolean;
};

/** The expected response. */
type ExpectedResponse = { readonly refused: string; readonly credits: bigint };

export class ExpectedAccount {
  readonly accountId: string;
  readonly openedIn: string;
  readonly #openedAt: number;
  readonly grants: ExpectedGrant[] = [];
  /** Months with an allowance. */
  readonly allowances: string[] = [];
  readonly months = new Map<string, ExpectedMonth>();
  /** By day: refunded credits that became breakage because their grant had expired. */
  readonly lateRefunds = new Map<string, bigint>();
  /** First and last month with a statement; null if there is none. */
  postpaidFrom: string | null = null;
  closedIn: string | null = null;

  readonly #plans: PublishedPlans;
  #plan: PublishedPlan;
  readonly #reservations = new Map<string, ExpectedReservation>();
  readonly #spendings = new Map<bigint, Spending>();
  readonly #overage: ExpectedGrant;
  #nextMonth: number;

  constructor(opened: LogEntry, plans: PublishedPlans) {
    const { accountId, at, request } = opened;
    this.accountId = accountId;
    this.openedIn = monthOf(at);
    this.#openedAt = at;
    this.#plans = plans;
    if (request.kind !== 'open' && request.kind !== 'import')
      throw new Mismatch(accountId, `${request.kind} before it was opened`);
    this.#plan = this.#findPlan(request.planId);
    this.#nextMonth = beginOf(monthAfter(monthOf(at), 1));
    const overageGrant = {
      category: 'OVERAGE',
      expiresAt: null,
      grantedAt: at,
      available: 0n,
    } as const;
    this.#overage = newGrant({ name: 'overage', ...overageGrant });
    const { welcome, allowance } = this.#terms;
    if (request.kind === 'import') for (const one of request.purchases) this.#addImported(one);
    else if (welcome) this.#addGrant('welcome', 'PROMOTIONAL', welcome.credits, null, at);
    if (allowance) this.#grantAllowance(monthOf(at));
    this.#updatePostpaidFrom(at);
    this.#checkResponse(opened, { refused: '', credits: 0n });
  }

  get #terms() {
    const { terms } = this.#plan.plan;
    if (!terms) throw new Error(`plan ${this.#plan.plan.planId} has no terms`);
    return terms;
  }

  /** Available credits, less the overage that is reserved. */
  get available(): bigint {
    let reservedOverage = 0n;
    for (const { draws } of this.#reservations.values())
      for (const { grant, credits } of draws)
        if (grant === this.#overage) reservedOverage += credits;
    return this.grants.reduce((sum, { available }) => sum + available, 0n) - reservedOverage;
  }

  /** Applies the account's next log entry, and checks its response. */
  apply(entry: LogEntry) {
    this.advanceTo(entry.at);
    this.#checkResponse(entry, this.#expect(entry));
  }

  /** Applies what happens by the passing of time: new months, expiries. */
  advanceTo(until: number) {
    for (;;) {
      const events: [number, () => void][] = [[this.#nextMonth, () => this.#startMonth()]];
      for (const reservation of this.#reservations.values())
        if (!reservation.isExpired)
          events.push([reservation.expiresAt, () => expireReservation(reservation)]);
      for (const grant of this.grants)
        if (grant.expiresAt !== null && !grant.isExpired)
          events.push([grant.expiresAt, () => expireGrant(grant)]);
      const [at, apply] = events.reduce((first, next) => (next[0] < first[0] ? next : first));
      if (at > until) return;
      apply();
    }
  }

  month(name: string): ExpectedMonth {
    const known = this.months.get(name) ?? new ExpectedMonth();
    this.months.set(name, known);
    return known;
  }

  #expect({ at, request, response }: LogEntry): ExpectedResponse {
    switch (request.kind) {
      case 'open':
      case 'import':
        throw new Mismatch(this.accountId, 'it was opened twice');
      case 'charge':
        return this.#charge(request, at, response);
      case 'reserve':
        return this.#reserve(request, at, response);
      case 'commit':
        return this.#commit(request, at, response);
      case 'release':
        return this.#release(request.reservationId, at);
      case 'refund':
        return this.#refund(request.seq, request.credits, at);
      case 'purchase':
        return this.#purchase(request.packId, at, response);
      case 'void':
        return this.#void(request.grantId, request.credits);
      case 'extend grant':
        return this.#extendGrant(request.grantId, request.expiresAt);
      case 'move':
        this.#plan = this.#findPlan(request.planId);
        this.#updatePostpaidFrom(at);
        return DONE;
      case 'close':
        this.closedIn = monthOf(at);
        return DONE;
    }
  }

  #charge(
    { usages, usedAt }: LoggedRequest & { kind: 'charge' },
    at: number,
    { seq }: LoggedResponse,
  ): ExpectedResponse {
    if (!this.#canCount(usedAt ?? at, at)) return TOO_LATE;
    const uses = toUses(this.#plan, usages);
    const draws = this.#drawLate(totalCredits(uses), usedAt ?? at, at);
    if (!draws) return SHORT;
    return this.#spend(seq, draws, uses, usedAt ?? at);
  }

  #reserve(
    { usages, usedAt }: LoggedRequest & { kind: 'reserve' },
    at: number,
    { reservationId, expiresAt }: LoggedResponse,
  ): ExpectedResponse {
    if (!this.#canCount(usedAt ?? at, at)) return TOO_LATE;
    const uses = toUses(this.#plan, usages);
    const draws = this.#drawLate(totalCredits(uses), usedAt ?? at, at);
    if (!draws) return SHORT;
    const plan = this.#plan;
    this.#reservations.set(reservationId, {
      draws,
      drawsAtExpiry: [],
      usages: uses,
      plan,
      expiresAt,
      usedAt: usedAt ?? null,
      isExpired: false,
    });
    return { refused: '', credits: totalOf(draws) };
  }

  #commit(
    request: LoggedRequest & { kind: 'commit' },
    at: number,
    { seq }: LoggedResponse,
  ): ExpectedResponse {
    const reservation = this.#findReservation(request.reservationId);
    const uses = request.usages ? toUses(reservation.plan, request.usages) : reservation.usages;
    const credits = totalCredits(uses);
    const { usedAt } = reservation;
    const countedAt = usedAt !== null && this.#canCount(usedAt, at) ? usedAt : at;
    if (reservation.isExpired) {
      const grace = Number(reservation.plan.plan.terms?.lateCommitGrace?.seconds ?? 0n) * 1_000;
      const { drawsAtExpiry } = reservation;
      const draws = at <= reservation.expiresAt + grace ? this.#draw(credits, drawsAtExpiry) : null;
      if (!draws) return { refused: 'RESERVATION_EXPIRED', credits: 0n };
      this.#reservations.delete(request.reservationId);
      // Overage beyond what was reserved for an earlier month counts now.
      const isLater = hasOverage(draws) && monthOf(countedAt) !== monthOf(at);
      return this.#spend(seq, draws, uses, isLater ? at : countedAt);
    }
    const { first, rest } = splitDraws(reservation.draws, credits);
    if (request.final) {
      returnDraws(rest, at);
      this.#reservations.delete(request.reservationId);
    } else reservation.draws = rest;
    return this.#spend(seq, this.#spareOverage(first), uses, countedAt);
  }

  /** Replaces reserved overage by what grants can give now. */
  #spareOverage(draws: readonly Draw[]): readonly Draw[] {
    const reserved = draws.filter(({ grant }) => grant === this.#overage);
    const others = draws.filter(({ grant }) => grant !== this.#overage);
    const missing = totalOf(reserved);
    const instead = this.#drawFromGrants(missing, []);
    const { rest } = splitDraws(reserved, totalOf(instead));
    return [...others, ...instead, ...rest];
  }

  #release(reservationId: string, at: number): ExpectedResponse {
    const { draws } = this.#findReservation(reservationId);
    returnDraws(draws, at);
    this.#reservations.delete(reservationId);
    return { refused: '', credits: totalOf(draws) };
  }

  #refund(seq: bigint, requested: bigint | undefined, at: number): ExpectedResponse {
    const spending = this.#spendings.get(seq);
    if (!spending) throw new Mismatch(this.accountId, `entry ${seq} was refunded and never spent`);
    const credits = requested ?? totalOf(spending.draws) - spending.refunded;
    const fromTheEnd = [...spending.draws].reverse();
    const { first } = splitDraws(splitDraws(fromTheEnd, spending.refunded).rest, credits);
    const late = first.filter(({ grant }) => grant.isExpired);
    if (late.length > 0) addTo(this.lateRefunds, dayOf(at), totalOf(late));
    for (const { grant, credits } of late) grant.expired += credits;
    returnDraws(
      first.filter(({ grant }) => !grant.isExpired),
      at,
    );
    const month = this.month(monthOf(at));
    if (spending.month === monthOf(at)) month.addRefund(spending, first);
    else
      for (const { grant, credits } of first)
        if (grant === this.#overage) addTo(month.refundedEarlier, spending.month, credits);
    spending.refunded += credits;
    return { refused: '', credits };
  }

  #purchase(packId: string, at: number, { grantId }: LoggedResponse): ExpectedResponse {
    const pack = this.#plan.plan.packs.find((pack) => pack.packId === packId);
    if (!pack) return { refused: 'PACK_NOT_FOUND', credits: 0n };
    this.#addGrant(`${grantId}`, 'PAID', pack.credits, expiryOf(pack, at), at);
    return { refused: '', credits: pack.credits };
  }

  #addImported({ grantId, packId, paidAt, left }: ImportedPurchase) {
    const pack = this.#plan.plan.packs.find((pack) => pack.packId === packId);
    if (!pack) throw new Mismatch(this.accountId, `there is no pack ${packId}`);
    this.#addGrant(`${grantId}`, 'PAID', left, expiryOf(pack, paidAt), paidAt);
  }

  #void(grantId: bigint, credits: bigint): ExpectedResponse {
    const grant = this.#findPack(grantId);
    if (grant.isExpired || grant.available + this.#heldOf(grant) === 0n) return ENDED;
    if (credits > grant.available) return { refused: 'EXCEEDS_GRANT', credits: 0n };
    grant.available -= credits;
    return { refused: '', credits };
  }

  #extendGrant(grantId: bigint, expiresAt: number): ExpectedResponse {
    const grant = this.#findPack(grantId);
    if (grant.isExpired || grant.available + this.#heldOf(grant) === 0n) return ENDED;
    grant.expiresAt = expiresAt;
    this.grants.sort(compareBurnOrder);
    return DONE;
  }

  #findPack(grantId: bigint): ExpectedGrant {
    const grant = this.grants.find(({ name }) => name === `${grantId}`);
    if (!grant) throw new Mismatch(this.accountId, `there is no grant ${grantId}`);
    return grant;
  }

  /** What reservations hold of a grant. */
  #heldOf(of: ExpectedGrant): bigint {
    const draws = [...this.#reservations.values()].flatMap((reservation) => reservation.draws);
    return totalOf(draws.filter(({ grant }) => grant === of));
  }

  #spend(
    seq: bigint,
    draws: readonly Draw[],
    uses: readonly OperationUse[],
    countedAt: number,
  ): ExpectedResponse {
    const spending: Spending = { month: monthOf(countedAt), draws, uses, refunded: 0n };
    this.#spendings.set(seq, spending);
    this.month(spending.month).addSpending(spending);
    return { refused: '', credits: totalOf(draws) };
  }

  #canCount(usedAt: number, at: number): boolean {
    if (usedAt === at) return true;
    const window = lateUsageOf(this.#plan);
    return usedAt >= earliestUse(at, window, this.#openedAt, this.postpaidFrom);
  }

  /** Draws what returns for late usage first. */
  #drawLate(credits: bigint, usedAt: number, at: number): readonly Draw[] | null {
    const returned = returnExpired(this.grants, credits, usedAt, at);
    const draws = this.#draw(credits - totalOf(returned));
    return draws && [...returned, ...draws];
  }

  /**
   * Draws credits from the grants, those of `preferred` first, and the rest as overage. Null if the plan
   * allows no overage.
   */
  #draw(credits: bigint, preferred: readonly Draw[] = []): readonly Draw[] | null {
    const available = this.grants.reduce((sum, grant) => sum + grant.available, 0n);
    if (available < credits && this.#terms.overageLimit === undefined) return null;
    const draws = this.#drawFromGrants(credits, preferred);
    const missing = credits - totalOf(draws);
    return missing > 0n ? [...draws, { grant: this.#overage, credits: missing }] : draws;
  }

  /** Draws as many of the credits as the grants have. */
  #drawFromGrants(credits: bigint, preferred: readonly Draw[]): readonly Draw[] {
    const draws: Draw[] = [];
    const drawFrom = (drawable: readonly Draw[]) => {
      const { first } = splitDraws(drawable, credits - totalOf(draws));
      for (const draw of first) draw.grant.available -= draw.credits;
      draws.push(...first);
    };
    drawFrom(
      preferred.map(({ grant, credits }) => ({ grant, credits: min(grant.available, credits) })),
    );
    drawFrom(this.grants.map((grant) => ({ grant, credits: grant.available })));
    return draws;
  }

  #startMonth() {
    const month = monthOf(this.#nextMonth);
    if (this.#terms.allowance && this.closedIn === null) this.#grantAllowance(month);
    this.#nextMonth = beginOf(monthAfter(month, 1));
  }

  #grantAllowance(month: string) {
    const credits = this.#terms.allowance?.credits ?? 0n;
    this.allowances.push(month);
    this.#addGrant(month, 'ALLOWANCE', credits, beginOf(monthAfter(month, 1)), beginOf(month));
  }

  #addGrant(
    name: string,
    category: 'ALLOWANCE' | 'PROMOTIONAL' | 'PAID',
    credits: bigint,
    expiresAt: number | null,
    grantedAt: number,
  ) {
    this.grants.push(newGrant({ name, category, expiresAt, grantedAt, available: credits }));
    this.grants.sort(compareBurnOrder);
  }

  #updatePostpaidFrom(at: number) {
    if (this.#terms.overageLimit !== undefined) this.postpaidFrom ??= monthOf(at);
  }

  #findPlan(planId: string): PublishedPlan {
    const plan = this.#plans.get(planId);
    if (!plan) throw new Mismatch(this.accountId, `there is no plan ${planId}`);
    return plan;
  }

  #findReservation(reservationId: string): ExpectedReservation {
    const reservation = this.#reservations.get(reservationId);
    if (!reservation) throw new Mismatch(this.accountId, `no reservation ${reservationId}`);
    return reservation;
  }

  #checkResponse({ at, request, response }: LogEntry, expected: ExpectedResponse) {
    const title = `${request.kind} at ${new Date(at).toISOString()}`;
    const check = (name: string, actual: unknown, expected: unknown) => {
      if (actual !== expected)
        throw new Mismatch(this.accountId, `${title}: ${name} is ${actual}, must be ${expected}`);
    };
    check('refused', response.refused, expected.refused);
    check('credits', response.credits, expected.credits);
    if (request.kind === 'reserve' && request.ttlMs && !response.refused)
      check('expires_at', response.expiresAt, at + request.ttlMs);
    if (!response.balance) return;
    check('available', response.balance.available, this.available);
    if (this.postpaidFrom !== null)
      check('overage', response.balance.overage, this.month(monthOf(at)).overage);
  }
}

const ENDED: ExpectedResponse = { refused: 'GRANT_ENDED', credits: 0n };
const DONE: ExpectedResponse = { refused: '', credits: 0n };
const TOO_LATE: ExpectedResponse = { refused: 'LATE_USAGE_NOT_ALLOWED', credits: 0n };
const SHORT: ExpectedResponse = { refused: 'INSUFFICIENT_CREDITS', credits: 0n };

function expiryOf({ validity }: Pack, at: number): number | null {
  const length = validity?.length;
  if (length?.$case === 'days') throw new Error('packs valid for days are not supported');
  return length ? laterByMonths(at, length.value) : null;
}

const toUses = (plan: PublishedPlan, usages: readonly Usage[]): readonly OperationUse[] =>
  usages.map((usage) => ({
    operation: usage.operation,
    count: usage.count,
    credits: creditsOf(plan, usage),
  }));

const min = (a: bigint, b: bigint): bigint => (a < b ? a : b);

const totalCredits = (uses: readonly OperationUse[]): bigint =>
  uses.reduce((sum, { credits }) => sum + credits, 0n);

/** Returns draws to their grants. What an expired grant gets back is breakage. */
function returnDraws(draws: readonly Draw[], at: number) {
  for (const { grant, credits } of draws)
    if (grant.category === 'OVERAGE') continue;
    else if (grant.isExpired) breakCredits(grant, dayOf(at), credits);
    else grant.available += credits;
}

function expireGrant(grant: ExpectedGrant) {
  grant.isExpired = true;
  if (grant.available > 0n) breakCredits(grant, dayOf(grant.expiresAt as number), grant.available);
  grant.available = 0n;
}

/** Returns what the reservation held to its grants. A late commit draws anew. */
function expireReservation(reservation: ExpectedReservation) {
  reservation.isExpired = true;
  returnDraws(reservation.draws, reservation.expiresAt);
  reservation.drawsAtExpiry = reservation.draws;
  reservation.draws = [];
}
