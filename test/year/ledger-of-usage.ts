/**
 * One account, recomputed from the usage log alone: which allowances and packs it had, what each usage
 * took of them and what was left for overage, month by month, and what expired on which day. It shares
 * no code with the ledger, and disagrees with the first answer that it would have given otherwise.
 */
import { beginOf, dayOf, laterByMonths, monthAfter, monthOf } from './calendar.ts';
import { Disagreement } from './disagreement.ts';
import type { Answer, Logged, Usage, UsagesOrCredits } from './log.ts';
import { addTo, cut, type Lot, newLot, type Part, spendingOrder, totalOf } from './lots.ts';
import { MonthOfUse, type Spent, type UsedFor } from './month-of-use.ts';
import { creditsOf, type PublishedPlan, type PublishedPlans } from './rates.ts';

type Running = {
  parts: readonly Part[];
  readonly usages: readonly UsedFor[];
  readonly plan: PublishedPlan;
  readonly expiresAt: number;
  /** What a late commit may still take; null while it runs or when it has ended otherwise. */
  lapsed: bigint | null;
};

/** What should have been answered. */
type Due = { readonly refused: string; readonly credits: bigint };

export class LedgerOfUsage {
  readonly accountId: string;
  readonly openedIn: string;
  readonly lots: Lot[] = [];
  /** Months an allowance was granted for. */
  readonly allowances: string[] = [];
  readonly months = new Map<string, MonthOfUse>();
  /** Refunded credits whose lot had expired, by day: breakage. */
  readonly refundedInVain = new Map<string, bigint>();
  /** First and last month that a statement is due for; null where none are. */
  postpaidFrom: string | null = null;
  closedIn: string | null = null;

  readonly #plans: PublishedPlans;
  #plan: PublishedPlan;
  readonly #running = new Map<string, Running>();
  readonly #spent = new Map<bigint, Spent>();
  readonly #overage: Lot;
  #nextTurn: number;

  constructor(opened: Logged, plans: PublishedPlans) {
    const { accountId, at, asked } = opened;
    this.accountId = accountId;
    this.openedIn = monthOf(at);
    this.#plans = plans;
    if (asked.kind !== 'open')
      throw new Disagreement(accountId, `${asked.kind} before it was opened`);
    this.#plan = this.#planNamed(asked.planId);
    this.#nextTurn = beginOf(monthAfter(monthOf(at), 1));
    const endless = { category: 'OVERAGE', expiresAt: null, bornAt: at, left: 0n } as const;
    this.#overage = newLot({ name: 'overage', ...endless });
    const { welcome, allowance } = this.#terms;
    if (welcome) this.#add('welcome', 'PROMOTIONAL', welcome.credits, null, at);
    if (allowance) this.#allow(monthOf(at));
    this.#followPostpaid(at);
    this.#agree(opened, { refused: '', credits: 0n });
  }

  get #terms() {
    const { terms } = this.#plan.plan;
    if (!terms) throw new Error(`plan ${this.#plan.plan.planId} has no terms`);
    return terms;
  }

  /** Credits that can be spent, less the overage that is set aside. */
  get available(): bigint {
    let reservedOverage = 0n;
    for (const { parts } of this.#running.values())
      for (const { lot, credits } of parts) if (lot === this.#overage) reservedOverage += credits;
    return this.lots.reduce((sum, { left }) => sum + left, 0n) - reservedOverage;
  }

  take(logged: Logged) {
    this.runOn(logged.at);
    this.#agree(logged, this.#do(logged));
  }

  /** What happens by itself until a moment, in the order in which it does. */
  runOn(until: number) {
    for (;;) {
      const due: [number, () => void][] = [[this.#nextTurn, () => this.#turn()]];
      for (const running of this.#running.values())
        if (running.lapsed === null) due.push([running.expiresAt, () => this.#lapse(running)]);
      for (const lot of this.lots)
        if (lot.expiresAt !== null && !lot.expired) due.push([lot.expiresAt, () => expire(lot)]);
      const [at, happens] = due.reduce((first, next) => (next[0] < first[0] ? next : first));
      if (at > until) return;
      happens();
    }
  }

  month(name: string): MonthOfUse {
    const known = this.months.get(name) ?? new MonthOfUse();
    this.months.set(name, known);
    return known;
  }

  #do({ at, asked, answer }: Logged): Due {
    switch (asked.kind) {
      case 'open':
        throw new Disagreement(this.accountId, 'it was opened twice');
      case 'charge':
        return this.#charge(asked.usages, at, answer);
      case 'reserve':
        return this.#reserve(asked.usages, answer);
      case 'commit':
        return this.#commit(asked, at, answer);
      case 'release':
        return this.#release(asked.reservationId, at);
      case 'refund':
        return this.#refund(asked.seq, asked.credits, at);
      case 'purchase':
        return this.#buy(asked.packId, at, answer);
      case 'move':
        this.#plan = this.#planNamed(asked.planId);
        this.#followPostpaid(at);
        return DONE;
      case 'close':
        this.closedIn = monthOf(at);
        return DONE;
    }
  }

  #charge(usages: readonly Usage[], at: number, { seq }: Answer): Due {
    const usedFor = priced(this.#plan, usages);
    const parts = this.#draw(creditsFor(usedFor));
    if (!parts) return SHORT;
    return this.#spend(seq, parts, usedFor, at);
  }

  #reserve(usages: readonly Usage[], { reservationId, expiresAt }: Answer): Due {
    const usedFor = priced(this.#plan, usages);
    const parts = this.#draw(creditsFor(usedFor));
    if (!parts) return SHORT;
    const plan = this.#plan;
    this.#running.set(reservationId, { parts, usages: usedFor, plan, expiresAt, lapsed: null });
    return { refused: '', credits: totalOf(parts) };
  }

  #commit(asked: UsagesOrCredits & { kind: 'commit' }, at: number, { seq }: Answer): Due {
    const running = this.#reservation(asked.reservationId);
    const usedFor = asked.usages ? priced(running.plan, asked.usages) : running.usages;
    const credits = creditsFor(usedFor);
    if (running.lapsed !== null) {
      const grace = Number(running.plan.plan.terms?.lateCommitGrace?.seconds ?? 0n) * 1_000;
      const parts = at <= running.expiresAt + grace ? this.#draw(credits) : null;
      if (!parts) return { refused: 'RESERVATION_EXPIRED', credits: 0n };
      this.#running.delete(asked.reservationId);
      return this.#spend(seq, parts, usedFor, at);
    }
    const { first, rest } = cut(running.parts, credits);
    if (asked.final) {
      giveBack(rest, at);
      this.#running.delete(asked.reservationId);
    } else running.parts = rest;
    return this.#spend(seq, first, usedFor, at);
  }

  #release(reservationId: string, at: number): Due {
    const { parts } = this.#reservation(reservationId);
    giveBack(parts, at);
    this.#running.delete(reservationId);
    return { refused: '', credits: totalOf(parts) };
  }

  #refund(seq: bigint, asked: bigint | undefined, at: number): Due {
    const spent = this.#spent.get(seq);
    if (!spent) throw new Disagreement(this.accountId, `entry ${seq} was refunded and never spent`);
    const credits = asked ?? totalOf(spent.parts) - spent.refunded;
    const backwards = [...spent.parts].reverse();
    const { first } = cut(cut(backwards, spent.refunded).rest, credits);
    const inVain = first.filter(({ lot }) => lot.expired);
    if (inVain.length > 0) addTo(this.refundedInVain, dayOf(at), totalOf(inVain));
    giveBack(
      first.filter(({ lot }) => !lot.expired),
      at,
    );
    const month = this.month(monthOf(at));
    if (spent.month === monthOf(at)) month.takeOff(spent, first);
    else
      for (const { lot, credits } of first)
        if (lot === this.#overage) addTo(month.givenBack, spent.month, credits);
    spent.refunded += credits;
    return { refused: '', credits };
  }

  #buy(packId: string, at: number, { grantId }: Answer): Due {
    const pack = this.#plan.plan.packs.find((pack) => pack.packId === packId);
    if (!pack) return { refused: 'PACK_NOT_FOUND', credits: 0n };
    const length = pack.validity?.length;
    if (length?.$case === 'days') throw new Error('the year cannot reckon packs in days');
    const expiresAt = length ? laterByMonths(at, length.value) : null;
    this.#add(`${grantId}`, 'PAID', pack.credits, expiresAt, at);
    return { refused: '', credits: pack.credits };
  }

  #spend(seq: bigint, parts: readonly Part[], usedFor: readonly UsedFor[], at: number): Due {
    const spent = { month: monthOf(at), parts, usedFor, refunded: 0n };
    this.#spent.set(seq, spent);
    this.month(spent.month).spend(spent);
    return { refused: '', credits: totalOf(parts) };
  }

  /** Takes credits out of the lots, and the rest as overage where the plan is postpaid. */
  #draw(credits: bigint): readonly Part[] | null {
    const all = this.lots.map((lot) => ({ lot, credits: lot.left }));
    const { first } = cut(all, credits);
    const missing = credits - totalOf(first);
    if (missing > 0n && this.#terms.overageLimit === undefined) return null;
    for (const { lot, credits } of first) lot.left -= credits;
    return missing > 0n ? [...first, { lot: this.#overage, credits: missing }] : first;
  }

  #lapse(running: Running) {
    running.lapsed = totalOf(running.parts);
    giveBack(running.parts, running.expiresAt);
    running.parts = [];
  }

  #turn() {
    const month = monthOf(this.#nextTurn);
    if (this.#terms.allowance && this.closedIn === null) this.#allow(month);
    this.#nextTurn = beginOf(monthAfter(month, 1));
  }

  #allow(month: string) {
    const credits = this.#terms.allowance?.credits ?? 0n;
    this.allowances.push(month);
    this.#add(month, 'ALLOWANCE', credits, beginOf(monthAfter(month, 1)), beginOf(month));
  }

  #add(
    name: string,
    category: 'ALLOWANCE' | 'PROMOTIONAL' | 'PAID',
    credits: bigint,
    expiresAt: number | null,
    bornAt: number,
  ) {
    this.lots.push(newLot({ name, category, expiresAt, bornAt, left: credits }));
    this.lots.sort(spendingOrder);
  }

  #followPostpaid(at: number) {
    if (this.#terms.overageLimit !== undefined) this.postpaidFrom ??= monthOf(at);
  }

  #planNamed(planId: string): PublishedPlan {
    const plan = this.#plans.get(planId);
    if (!plan) throw new Disagreement(this.accountId, `there is no plan ${planId}`);
    return plan;
  }

  #reservation(reservationId: string): Running {
    const running = this.#running.get(reservationId);
    if (!running) throw new Disagreement(this.accountId, `nothing runs as ${reservationId}`);
    return running;
  }

  #agree({ at, asked, answer }: Logged, due: Due) {
    const what = `${asked.kind} at ${new Date(at).toISOString()}`;
    const check = (name: string, is: unknown, mustBe: unknown) => {
      if (is !== mustBe)
        throw new Disagreement(this.accountId, `${what}: ${name} is ${is}, must be ${mustBe}`);
    };
    check('refused', answer.refused, due.refused);
    check('credits', answer.credits, due.credits);
    if (asked.kind === 'reserve' && asked.ttlMs && !answer.refused)
      check('expires_at', answer.expiresAt, at + asked.ttlMs);
    if (!answer.balance) return;
    check('available', answer.balance.available, this.available);
    if (this.postpaidFrom !== null)
      check('overage', answer.balance.overage, this.month(monthOf(at)).overage);
  }
}

const DONE: Due = { refused: '', credits: 0n };
const SHORT: Due = { refused: 'INSUFFICIENT_CREDITS', credits: 0n };

const priced = (plan: PublishedPlan, usages: readonly Usage[]): readonly UsedFor[] =>
  usages.map((usage) => ({
    operation: usage.operation,
    count: usage.count,
    credits: creditsOf(plan, usage),
  }));

const creditsFor = (usedFor: readonly UsedFor[]): bigint =>
  usedFor.reduce((sum, { credits }) => sum + credits, 0n);

/** To where they came from; what has expired meanwhile is lost. */
function giveBack(parts: readonly Part[], at: number) {
  for (const { lot, credits } of parts)
    if (lot.category === 'OVERAGE') continue;
    else if (lot.expired) addTo(lot.lost, dayOf(at), credits);
    else lot.left += credits;
}

function expire(lot: Lot) {
  lot.expired = true;
  if (lot.left > 0n) addTo(lot.lost, dayOf(lot.expiresAt as number), lot.left);
  lot.left = 0n;
}
