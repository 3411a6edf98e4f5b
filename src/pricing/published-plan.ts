/**
 * A plan as it was published: its terms, its rate card versions, and which of them is in force when.
 * Whoever knows the same revision chooses the same version for the same instant. Nothing of it changes
 * but how many rate cards were read.
 */
import assert from 'node:assert/strict';
import type { Plan, PlanTerms, RateCard } from './plan.ts';

/** A rate card version's place in time; instants in epoch milliseconds. */
export type DatedVersion = {
  readonly version: number;
  /** From when it is in force. The first of a plan is in force before that, too. */
  readonly effectiveAt: number;
  /** When it was published. */
  readonly createdAt: number;
  /** It was replaced or dropped before it came into force, and never will. */
  readonly withdrawn: boolean;
};

/** The plan while one version is in force: from `from`, and before `until`. */
type Period = { readonly plan: Plan; readonly from: number; readonly until: number };

export class PublishedPlan {
  readonly planId: string;
  readonly revision: number;
  readonly terms: PlanTerms;
  /** Every version, in the order of their numbers. */
  readonly versions: readonly DatedVersion[];
  /** Those that were or will be in force, in the order they are. */
  readonly #schedule: readonly DatedVersion[];
  readonly #rateCards: Map<number, RateCard>;
  #period: Period | null = null;

  /** `rateCards` holds those in memory; more are added to it as they are read. */
  constructor(
    planId: string,
    revision: number,
    terms: PlanTerms,
    versions: readonly DatedVersion[],
    rateCards: Map<number, RateCard>,
  ) {
    this.planId = planId;
    this.revision = revision;
    this.terms = terms;
    this.versions = versions;
    // Of two for the same instant the one published later counts.
    this.#schedule = versions
      .filter(({ withdrawn }) => !withdrawn)
      .toSorted((a, b) => a.effectiveAt - b.effectiveAt || a.version - b.version);
    assert(this.#schedule.length > 0, `plan ${planId} has no rate card`);
    this.#rateCards = rateCards;
  }

  /** The version in force at an instant. */
  versionAt(instant: number): number {
    return this.#inForceAt(instant).version;
  }

  /** The plan at an instant, with the rate card in force then. That card must have been read. */
  planAt(instant: number): Plan {
    const known = this.#period;
    if (known && instant >= known.from && instant < known.until) return known.plan;
    const { version, from, until } = this.#inForceAt(instant);
    const rateCard = this.#rateCards.get(version);
    assert(rateCard, `rate card ${version} of plan ${this.planId} was not read`);
    const plan = { planId: this.planId, ...this.terms, rateCard };
    this.#period = { plan, from, until };
    return plan;
  }

  /** Versions that will come into force after an instant, soonest first. */
  upcomingAt(instant: number): readonly DatedVersion[] {
    return this.#schedule.slice(1).filter(({ effectiveAt }) => effectiveAt > instant);
  }

  /** Whether a version is in force at an instant, or was at any time before. */
  wasInForce(version: number, instant: number): boolean {
    const place = this.#schedule.findIndex((dated) => dated.version === version);
    return place === 0 || (place > 0 && (this.#schedule[place]?.effectiveAt ?? 0) <= instant);
  }

  version(version: number): DatedVersion | undefined {
    return this.versions.find((dated) => dated.version === version);
  }

  /** A rate card that has been read. */
  rateCard(version: number): RateCard | undefined {
    return this.#rateCards.get(version);
  }

  /** Keeps a rate card that was read. */
  addRateCard(rateCard: RateCard) {
    this.#rateCards.set(rateCard.version, rateCard);
  }

  /** What is published next goes on with the rate cards read so far: they never change. */
  get loadedRateCards(): Map<number, RateCard> {
    return this.#rateCards;
  }

  #inForceAt(instant: number) {
    const later = this.#schedule.findIndex(
      ({ effectiveAt }, place) => place > 0 && effectiveAt > instant,
    );
    const place = (later === -1 ? this.#schedule.length : later) - 1;
    const { version, effectiveAt } = this.#schedule[place]!;
    return {
      version,
      from: place === 0 ? Number.NEGATIVE_INFINITY : effectiveAt,
      until: this.#schedule[place + 1]?.effectiveAt ?? Number.POSITIVE_INFINITY,
    };
  }
}
