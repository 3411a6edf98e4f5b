/**
 * How many credits a caller moves in a UTC day, on all accounts together. What operators give is counted in
 * one row of the database, before it takes effect, and is exact. What product services reserve and charge is
 * counted by each replica for itself, after it took effect: a limit is reached late by what is in flight.
 */
import type { Clock } from './clock/clock.ts';
import { Failure } from './failure.ts';
import { dayLimitReached, dayOf } from './ledger/caller-limits.ts';
import type { RequestedCommand } from './ledger/decide.ts';
import type { Em } from './pg/orm.ts';
import { claimQuota, type QuotaClaim, returnQuota } from './store/claim-quota.ts';

const LIMIT = 'credits_per_day';
/** A commit of what is reserved moves nothing, so it is not among them. */
const SPENDING: ReadonlySet<string> = new Set(['Reserve', 'RaiseReservation', 'Charge']);

export class DayQuotas {
  readonly #em: () => Em;
  readonly #clock: Clock;
  #day = 0;
  /** Of `#day`, by callers, on this replica. */
  #moved = new Map<string, bigint>();

  constructor(em: () => Em, clock: Clock) {
    this.#em = em;
    this.#clock = clock;
  }

  /** Counts what an operator is about to give. A Failure: it would exceed the limit, and nothing was counted. */
  async claim(
    caller: string,
    perDay: bigint,
    command: Extract<RequestedCommand, { kind: 'GrantCredits' | 'Refund' }>,
  ): Promise<QuotaClaim | Failure> {
    const { credits } = command;
    if (credits === 'all')
      return new Failure(
        'CALLER_NOT_ALLOWED',
        `caller ${caller} has a limit per day, so a refund must say how many credits it gives back`,
        { caller, limit: LIMIT, allowed: perDay },
      );
    const now = this.#clock.now();
    const claim = { caller, day: dayOf(now), credits };
    const { isClaimed, used } = await claimQuota(this.#em(), claim, perDay);
    if (isClaimed) return claim;
    return dayLimitReached({ caller, limit: LIMIT }, perDay, { used, asked: credits, now });
  }

  /** Takes back what was claimed for a mutation that had no effect, or had it before. */
  async giveBack(claim: QuotaClaim): Promise<void> {
    await returnQuota(this.#em(), claim);
  }

  /** A Failure if the command may move credits, and the caller has reached its limit on this replica. */
  check(caller: string, perDay: bigint, { kind }: RequestedCommand): Failure | null {
    if (!SPENDING.has(kind)) return null;
    const now = this.#clock.now();
    const used = this.#movedOn(dayOf(now)).get(caller) ?? 0n;
    if (used < perDay) return null;
    return dayLimitReached({ caller, limit: LIMIT }, perDay, { used, asked: 0n, now });
  }

  /** Counts what a product service has moved. */
  add(caller: string, credits: bigint) {
    const moved = this.#movedOn(dayOf(this.#clock.now()));
    moved.set(caller, (moved.get(caller) ?? 0n) + credits);
  }

  #movedOn(day: number): Map<string, bigint> {
    if (day !== this.#day) {
      this.#day = day;
      this.#moved = new Map();
    }
    return this.#moved;
  }
}
