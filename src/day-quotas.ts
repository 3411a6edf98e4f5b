/**
 * How many credits a caller moves in a UTC day, on all accounts together. What operators give is counted in
 * one row of the database, before it takes effect, and is exact. What product services reserve and charge is
 * counted by each replica for itself, as it is decided: so many replicas let up to so many times as much pass.
 */
import type { Clock } from './clock/clock.ts';
import { Failure } from './failure.ts';
import type { DayTally } from './lanes/task.ts';
import { dayLimitReached, dayOf } from './ledger/caller-limits.ts';
import type { RequestedCommand } from './ledger/decide.ts';
import type { Em } from './pg/orm.ts';
import { claimQuota, type QuotaClaim, returnQuota } from './store/claim-quota.ts';

const LIMIT = 'credits_per_day';

/** A mutation that gives credits: how many is known before it is decided. */
export type Giving = Extract<RequestedCommand, { kind: 'GrantCredits' | 'Refund' }>;

export const isGiving = (command: RequestedCommand): command is Giving =>
  command.kind === 'GrantCredits' || command.kind === 'Refund';

/** Where the quota of a caller is counted. */
export type QuotaHome = { readonly em: () => Em; readonly clock: Clock };

export class DayQuotas {
  readonly #homeOf: (caller: string) => QuotaHome;
  #day = 0;
  /** Of `#day`, by callers, on this replica. */
  #moved = new Map<string, bigint>();

  /** `homeOf` finds the cell in which a caller's quota is counted. */
  constructor(homeOf: (caller: string) => QuotaHome) {
    this.#homeOf = homeOf;
  }

  /** Counts what an operator is about to give. A Failure: it would exceed the limit, and nothing was counted. */
  async claim(
    caller: string,
    perDay: bigint,
    accountId: string,
    { kind, credits }: Giving,
  ): Promise<QuotaClaim | Failure> {
    if (credits === 'all')
      return new Failure(
        'CALLER_NOT_ALLOWED',
        `caller ${caller} has a limit per day, so a refund must say how many credits it gives back`,
        { caller, method: kind, account_id: accountId, limit: LIMIT, allowed: perDay },
      );
    const { em, clock } = this.#homeOf(caller);
    const now = clock.now();
    const claim = { caller, day: dayOf(now), credits };
    const { isClaimed, used } = await claimQuota(em(), claim, perDay);
    if (isClaimed) return claim;
    return dayLimitReached({ caller, limit: LIMIT }, perDay, { used, asked: credits, now });
  }

  /** Takes back what was claimed for a mutation that had no effect, or had it before. */
  async giveBack(claim: QuotaClaim): Promise<void> {
    await returnQuota(this.#homeOf(claim.caller).em(), claim);
  }

  /** Counts what one request of a product service moves, from the moment when it is decided. */
  tally(caller: string): RequestTally {
    return new RequestTally(caller, (now) => this.#movedOn(dayOf(now)));
  }

  /** Time never runs backwards here, though units of work may end in another order than they began. */
  #movedOn(day: number): Map<string, bigint> {
    if (day > this.#day) {
      this.#day = day;
      this.#moved = new Map();
    }
    return this.#moved;
  }
}

export class RequestTally implements DayTally {
  readonly #caller: string;
  readonly #movedAt: (now: number) => Map<string, bigint>;
  /** What this request has counted, and where. */
  #counted: bigint = 0n;
  #moved: Map<string, bigint> | null = null;

  /** `movedAt` gives what callers have moved on the day of an instant: another map on another day. */
  constructor(caller: string, movedAt: (now: number) => Map<string, bigint>) {
    this.#caller = caller;
    this.#movedAt = movedAt;
  }

  others(now: number): bigint {
    const moved = this.#movedAt(now);
    const all = moved.get(this.#caller) ?? 0n;
    return moved === this.#moved ? all - this.#counted : all;
  }

  set(now: number, credits: bigint) {
    this.giveBack();
    const moved = this.#movedAt(now);
    moved.set(this.#caller, (moved.get(this.#caller) ?? 0n) + credits);
    this.#moved = moved;
    this.#counted = credits;
  }

  /** Of a request that had no effect. */
  giveBack() {
    const all = this.#moved?.get(this.#caller) ?? 0n;
    this.#moved?.set(this.#caller, all - this.#counted);
    this.#counted = 0n;
  }
}
