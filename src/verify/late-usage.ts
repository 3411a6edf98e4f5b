/**
 * Late usage: entries that say when their usage happened do so within the window of their plan, and what of an allowance
 * had expired returns only for such usage of its time, and is spent by the entry after it.
 */
import type { Account } from '../ledger/account.ts';
import type { Entry, Move } from '../ledger/entry.ts';
import type { Grant } from '../ledger/grant.ts';
import type { Report } from './findings.ts';
import { instant } from './instant.ts';
import { isOfAnother } from './plan-history.ts';
import type { Published } from './published.ts';

/** The terms of plans, as far as they are about late usage. */
export type Windows = Pick<Published, 'lateUsage' | 'lateUsages'>;

/** Whether it returns credits of an allowance, and not those of a purchase. */
export const returnsForLateUsage = ({ kind, usedAt }: Pick<Entry, 'kind' | 'usedAt'>): boolean =>
  kind === 'REINSTATE' && usedAt !== null;

export class LateUsage {
  readonly #published: Windows;
  /** When the account was opened, or imported. */
  #since: number;
  readonly #grants: ReadonlyMap<bigint, Grant>;
  /** What the entries directly before returned, by grant. */
  #returned = new Map<bigint, bigint>();
  #returnedFor = 0;
  /** What the entry spends of what returned directly before it. */
  #spent: ReadonlyMap<bigint, bigint> | null = null;
  /** What the reservations say of their usage. */
  readonly #reserved = new Map<string, number | null>();
  /** What expired of each allowance and can return. */
  readonly #expired = new Map<bigint, bigint>();
  /** The newest entry that names the account's own plan. */
  #ofPlan: Pick<Entry, 'planId' | 'planVersion'> | null = null;
  /** Whether all entries by which something expired or returned name terms that there are. */
  #isKnown = true;

  constructor(published: Windows, account: Account, grants: ReadonlyMap<bigint, Grant>) {
    this.#published = published;
    this.#since = account.openedAt;
    this.#grants = grants;
  }

  /** Checks the account's next entry, before its moves. */
  apply(entry: Entry, report: Report) {
    const { kind, usedAt, reservationId } = entry;
    this.#spent = null;
    if (entry.seq === 1n) this.#since = entry.at;
    if (!isOfAnother(entry)) this.#ofPlan = entry;
    if (kind === 'RESERVE') this.#reserved.set(reservationId ?? '', usedAt);
    if (usedAt !== null) this.#checkTime(entry, usedAt, report);
    if (returnsForLateUsage(entry)) this.#return(entry, usedAt ?? 0, report);
    else if (this.#returned.size > 0) this.#checkSpent(entry, report);
    this.#followExpired(entry);
  }

  /** Passes over an entry that cannot be read. */
  skip() {
    this.#returned.clear();
  }

  /** The time by which a move is right or wrong: what has returned is spent as if at the time of its usage. */
  timeOf({ kind, at, usedAt }: Entry, { grantId, from }: Move): number {
    const isReturned = from === 'available' && this.#spent?.has(grantId) === true;
    return usedAt !== null && (kind === 'REINSTATE' || isReturned) ? usedAt : at;
  }

  finish(report: Report) {
    if (this.#returned.size > 0) report('credits that returned for late usage are not spent');
    for (const { grantId, expired } of this.#grants.values()) {
      const computed = this.#expired.get(grantId) ?? 0n;
      if (this.#isKnown && expired !== computed)
        report(`grant ${grantId}: expired is ${expired}, the moves say ${computed}`);
    }
  }

  #checkTime(entry: Entry, usedAt: number, report: Report) {
    const { kind, at, planId, planVersion, reservationId } = entry;
    if (usedAt > at) return report(`is usage of ${instant(usedAt)}, which was to come`);
    if (usedAt < this.#since)
      report(`is usage of ${instant(usedAt)}, before the first entry of the account`);
    if (kind === 'COMMIT' && this.#reserved.get(reservationId ?? '') !== usedAt)
      report(`is usage of ${instant(usedAt)}, its reservation says otherwise`);
    // Of a commit the entry names the plan of its reservation, and not that of the account.
    const ofPlan = this.#ofPlan ?? entry;
    const windows =
      kind === 'COMMIT'
        ? this.#published.lateUsages(ofPlan.planId, ofPlan.planVersion)
        : [this.#published.lateUsage(planId, planVersion)];
    if (windows.length > 0 && windows.every((window) => window !== null && at - usedAt > window))
      report(`is usage of ${instant(usedAt)}, which is later than its plan allows`);
  }

  #return(entry: Entry, usedAt: number, report: Report) {
    const grantId = entry.grantId ?? 0n;
    if (this.#returned.size > 0 && this.#returnedFor !== usedAt)
      report('returns credits for usage of another time than the entry before it');
    this.#returnedFor = usedAt;
    this.#returned.set(grantId, (this.#returned.get(grantId) ?? 0n) + entry.credits);
    if (this.#grants.get(grantId)?.category !== 'ALLOWANCE')
      report(`returns credits of grant ${grantId}, which is no allowance`);
  }

  #checkSpent(entry: Entry, report: Report) {
    const { kind, usedAt, moves } = entry;
    const returned = this.#returned;
    this.#returned = new Map();
    this.#spent = returned;
    if ((kind !== 'CHARGE' && kind !== 'RESERVE') || usedAt !== this.#returnedFor)
      return report('does not spend what returned for late usage in the entry before it');
    for (const [grantId, credits] of returned) {
      const spent = moves.reduce(
        (sum, move) => (move.grantId === grantId ? sum + move.credits : sum),
        0n,
      );
      if (spent !== credits)
        report(`spends ${spent} of grant ${grantId}, of which ${credits} returned for it`);
    }
  }

  /** Terms of a grant are not changed after its end, so what they are now they were when it expired. */
  #followExpired({ at, planId, planVersion, moves }: Entry) {
    for (const { from, to, grantId, credits } of moves) {
      if (from === 'issued' || (from !== 'expired' && to !== 'expired')) continue;
      const { category, expiresAt = null } = this.#grants.get(grantId) ?? {};
      if (category !== 'ALLOWANCE' || expiresAt === null || expiresAt > at) continue;
      const window = this.#published.lateUsage(planId, planVersion);
      if (window === null) this.#isKnown = false;
      if (window === 0) continue;
      const change = from === 'expired' ? -credits : credits;
      this.#expired.set(grantId, (this.#expired.get(grantId) ?? 0n) + change);
    }
  }
}
