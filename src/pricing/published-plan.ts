/**
 * A published plan: its terms, its rate card versions, and which version is in force when. Replicas that
 * know the same revision choose the same version for an instant. It is immutable, except that rate cards
 * are added as they are loaded.
 */
import assert from 'node:assert/strict';
import type { Plan, PlanTerms, RateCard } from './plan.ts';

/** When a rate card version is in force. Instants are epoch milliseconds. */
export type DatedVersion = {
  readonly version: number;
  /** When it comes into force. The first version of a plan is in force before that, too. */
  readonly effectiveAt: number;
  /** When it was published. */
  readonly createdAt: number;
  /** Whether it was replaced or removed before it came into force. Then it never will. */
  readonly withdrawn: boolean;
  /** In hexadecimal: see publication-hash.ts. */
  readonly hash: string;
};

/** Which publication of the plan it is. */
type Publication = {
  readonly revision: number;
  readonly planVersion: number;
  readonly termsHash: string;
};

/** The plan while one version is in force: the half-open interval [from, until). */
type VersionPeriod = { readonly plan: Plan; readonly from: number; readonly until: number };

export class PublishedPlan {
  readonly planId: string;
  /** Incremented by every publication that changes something. */
  readonly revision: number;
  /** Version of the terms. */
  readonly planVersion: number;
  /** Of that version, in hexadecimal: see publication-hash.ts. */
  readonly termsHash: string;
  readonly terms: PlanTerms;
  /** All versions, by number. */
  readonly versions: readonly DatedVersion[];
  /** The versions that are not withdrawn, by the time they come into force. */
  readonly #schedule: readonly DatedVersion[];
  readonly #hashes: ReadonlyMap<number, string>;
  readonly #rateCards: Map<number, RateCard>;
  #period: VersionPeriod | null = null;

  /** `rateCards` are the loaded ones, by version. Those loaded later are added to the map. */
  constructor(
    planId: string,
    { revision, planVersion, termsHash }: Publication,
    terms: PlanTerms,
    versions: readonly DatedVersion[],
    rateCards: Map<number, RateCard>,
  ) {
    this.planId = planId;
    this.revision = revision;
    this.planVersion = planVersion;
    this.termsHash = termsHash;
    this.terms = terms;
    this.versions = versions;
    this.#hashes = new Map(versions.map(({ version, hash }) => [version, hash]));
    // Of two versions for the same instant, the one published later is in force.
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

  /** The plan with the rate card in force at an instant. Throws if that rate card is not loaded. */
  planAt(instant: number): Plan {
    const cached = this.#period;
    if (cached && instant >= cached.from && instant < cached.until) return cached.plan;
    const { version, from, until } = this.#inForceAt(instant);
    const rateCard = this.#rateCards.get(version);
    assert(rateCard, `rate card ${version} of plan ${this.planId} is not loaded`);
    const { planId, planVersion } = this;
    const plan = { planId, planVersion, ...this.terms, rateCard };
    this.#period = { plan, from, until };
    return plan;
  }

  /** Versions that come into force after an instant, soonest first. */
  upcomingAt(instant: number): readonly DatedVersion[] {
    return this.#schedule.slice(1).filter(({ effectiveAt }) => effectiveAt > instant);
  }

  /** Whether a version is in force at an instant or was before. */
  wasInForce(version: number, instant: number): boolean {
    const index = this.#schedule.findIndex((dated) => dated.version === version);
    return index === 0 || (index > 0 && (this.#schedule[index]?.effectiveAt ?? 0) <= instant);
  }

  version(version: number): DatedVersion | undefined {
    return this.versions.find((dated) => dated.version === version);
  }

  /** Throws if the plan never had the version. */
  rateCardHash(version: number): string {
    const hash = this.#hashes.get(version);
    assert(hash !== undefined, `plan ${this.planId} has no rate card ${version}`);
    return hash;
  }

  /** Undefined if the rate card is not loaded. */
  rateCard(version: number): RateCard | undefined {
    return this.#rateCards.get(version);
  }

  /** Adds a rate card that was loaded. */
  addRateCard(rateCard: RateCard) {
    this.#rateCards.set(rateCard.version, rateCard);
  }

  /** The loaded rate cards. They never change, so the plan's next revision can use them. */
  get loadedRateCards(): Map<number, RateCard> {
    return this.#rateCards;
  }

  #inForceAt(instant: number) {
    const later = this.#schedule.findIndex(
      ({ effectiveAt }, index) => index > 0 && effectiveAt > instant,
    );
    const index = (later === -1 ? this.#schedule.length : later) - 1;
    const { version, effectiveAt } = this.#schedule[index]!;
    return {
      version,
      from: index === 0 ? Number.NEGATIVE_INFINITY : effectiveAt,
      until: this.#schedule[index + 1]?.effectiveAt ?? Number.POSITIVE_INFINITY,
    };
  }
}
