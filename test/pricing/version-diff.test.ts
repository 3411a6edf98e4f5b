/** The versions that publishing plan files in sequence makes and withdraws. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type PlanFile, type RateCard, rateCardAt, UNPUBLISHED } from '../../src/pricing/plan.ts';
import { type DatedVersion, PublishedPlan } from '../../src/pricing/published-plan.ts';
import { diffVersions } from '../../src/pricing/version-diff.ts';
import { planIn } from './fixtures.ts';

const metered = planIn(`
plan_id: metered
title: Metered
terms: {}
packs: []
operations:
  job: { title: Job, billable: true, components: [{ kind: flat, label: Job, credits: 1 }] }
`);

const card = (credits: bigint): RateCard => ({
  version: UNPUBLISHED,
  operations: new Map([
    ['job', { ...metered.rateCard.operations.get('job')!, components: [flat(credits)] }],
  ]),
});
const flat = (credits: bigint) => ({ kind: 'flat' as const, label: 'Job', credits });

/** A plan file with this price, and changes of it at instants. */
const file = (
  first: bigint,
  ...changes: readonly (readonly [from: number, bigint])[]
): PlanFile => ({
  ...metered,
  rateCard: card(first),
  changes: changes.map(([from, credits]) => ({ from, rateCard: card(credits) })),
});

/** The store's rate card versions: applies one diff after the other. */
class Published {
  plan: PublishedPlan | null = null;
  readonly #cards = new Map<number, RateCard>();
  #versions: DatedVersion[] = [];

  publish(filed: PlanFile, at: number): readonly number[] | { readonly missed: readonly number[] } {
    const publication = diffVersions(filed, this.plan, at);
    if ('missed' in publication) return publication;
    const { added, withdrawn } = publication;
    this.#versions = this.#versions.map((dated) =>
      withdrawn.includes(dated.version) ? { ...dated, withdrawn: true } : dated,
    );
    const numbers = added.map(({ effectiveAt, rateCard }) => {
      const version = this.#versions.length + 1;
      this.#versions.push({ version, effectiveAt, createdAt: at, withdrawn: false, hash: '' });
      this.#cards.set(version, { ...rateCard, version });
      return version;
    });
    const revisions = { revision: 1, planVersion: 1, termsHash: '' };
    this.plan = new PublishedPlan('metered', revisions, metered, this.#versions, this.#cards);
    return numbers;
  }

  /** Version and price at an instant. */
  at(instant: number): readonly [number, bigint] {
    const { rateCard } = this.plan!.planAt(instant);
    return [rateCard.version, priceOf(rateCard)];
  }

  upcoming(instant: number) {
    return this.plan!.upcomingAt(instant).map(({ version, effectiveAt }) => [version, effectiveAt]);
  }
}

function priceOf(rateCard: RateCard): bigint {
  const [component] = rateCard.operations.get('job')!.components;
  return component?.kind === 'flat' ? component.credits : -1n;
}

describe('publishing a plan file', () => {
  test('makes a version of its prices, and one for each future change', () => {
    const published = new Published();
    expect(published.publish(file(1n, [100, 2n], [200, 3n]), 10)).toEqual([1, 2, 3]);
    expect([0, 10, 99, 100, 199, 200].map((at) => published.at(at))).toEqual([
      [1, 1n],
      [1, 1n],
      [1, 1n],
      [2, 2n],
      [2, 2n],
      [3, 3n],
    ]);
    expect(published.upcoming(99)).toEqual([
      [2, 100],
      [3, 200],
    ]);
    expect(published.upcoming(100)).toEqual([[3, 200]]);
  });

  test('again makes no new version, before and after its dates', () => {
    const published = new Published();
    published.publish(file(1n, [100, 2n], [200, 3n]), 10);
    for (const at of [10, 50, 100, 150, 200, 900])
      expect(published.publish(file(1n, [100, 2n], [200, 3n]), at)).toEqual([]);
    // The change is in force: its prices may replace the initial ones in the file.
    expect(published.publish(file(2n, [200, 3n]), 150)).toEqual([]);
    expect(published.publish(file(3n), 900)).toEqual([]);
  });

  test('with other initial prices changes them now, and keeps future changes', () => {
    const published = new Published();
    published.publish(file(1n, [100, 2n]), 10);
    expect(published.publish(file(5n, [100, 2n]), 50)).toEqual([3]);
    expect([49, 50, 99, 100].map((at) => published.at(at))).toEqual([
      [1, 1n],
      [3, 5n],
      [3, 5n],
      [2, 2n],
    ]);
  });

  test('with another future change replaces it by a new version, and keeps the past', () => {
    const published = new Published();
    published.publish(file(1n, [100, 2n], [200, 3n]), 10);
    expect(published.publish(file(1n, [100, 4n], [200, 3n]), 50)).toEqual([4]);
    expect([99, 100, 200].map((at) => published.at(at))).toEqual([
      [1, 1n],
      [4, 4n],
      [3, 3n],
    ]);
    expect(published.publish(file(1n, [100, 4n], [300, 3n]), 150)).toEqual([5]);
    expect([99, 100, 200, 300].map((at) => published.at(at))).toEqual([
      [1, 1n],
      [4, 4n],
      [4, 4n],
      [5, 3n],
    ]);
    const known = published.plan?.versions.map(({ version, withdrawn }) => [version, withdrawn]);
    expect(known).toEqual([
      [1, false],
      [2, true],
      [3, true],
      [4, false],
      [5, false],
    ]);
  });

  test('without a future change withdraws it; a change in force ends now', () => {
    const published = new Published();
    published.publish(file(1n, [100, 2n]), 10);
    expect(published.publish(file(1n), 50)).toEqual([]);
    expect(published.at(500)).toEqual([1, 1n]);
    expect(published.publish(file(1n, [600, 2n]), 500)).toEqual([3]);
    expect(published.publish(file(1n), 700)).toEqual([4]);
    expect([599, 600, 699, 700].map((at) => published.at(at)[1])).toEqual([1n, 2n, 2n, 1n]);
  });

  test('for the first time treats its past changes as history', () => {
    const published = new Published();
    expect(published.publish(file(1n, [100, 2n], [200, 3n]), 150)).toEqual([1, 2]);
    expect([0, 150, 200].map((at) => published.at(at))).toEqual([
      [1, 2n],
      [1, 2n],
      [2, 3n],
    ]);
    expect(published.publish(file(1n, [100, 2n], [200, 3n]), 160)).toEqual([]);
    expect(published.publish(file(7n, [50, 2n], [200, 3n]), 170)).toEqual([]);
  });

  test('with a new price dated in the past is refused, and changes nothing', () => {
    const published = new Published();
    published.publish(file(1n), 10);
    expect(published.publish(file(1n, [100, 2n], [300, 3n]), 150)).toEqual({ missed: [0] });
    expect(published.at(500)).toEqual([1, 1n]);
    expect(published.publish(file(1n, [151, 2n], [300, 3n]), 150)).toEqual([2, 3]);
  });

  test('may contain a past change again that was published before its date', () => {
    const published = new Published();
    published.publish(file(1n, [100, 2n]), 10);
    published.publish(file(1n), 90);
    expect(published.publish(file(1n, [100, 2n]), 110)).toEqual([3]);
    expect([99, 109, 110].map((at) => published.at(at)[1])).toEqual([1n, 1n, 2n]);
  });
});

describe('a version', () => {
  const published = new Published();
  published.publish(file(1n, [100, 2n], [200, 3n]), 10);
  published.publish(file(1n, [100, 4n], [200, 3n]), 50);

  test.each([
    [1, 0, true],
    [1, 500, true],
    [2, 500, false],
    [3, 199, false],
    [3, 200, true],
    [4, 99, false],
    [4, 100, true],
    [9, 500, false],
  ])('%d at %d was in force: %o', (version, at, was) => {
    expect(published.plan?.wasInForce(version, at)).toBe(was);
  });
});

const instant = fc.integer({ min: 0, max: 60 });
const price = fc.bigInt(1n, 3n);
const anyFile = fc
  .tuple(price, fc.uniqueArray(fc.tuple(instant, price), { maxLength: 4, selector: ([at]) => at }))
  .map(([first, changes]) => file(first, ...changes.toSorted(([a], [b]) => a - b)));
const publications = fc.array(fc.tuple(anyFile, instant), { minLength: 1, maxLength: 8 });

test('after any sequence, prices are those of the newest file from then on, and the past stays', () => {
  fc.assert(
    fc.property(publications, (all) => {
      const published = new Published();
      for (const [filed, at] of all.toSorted(([, a], [, b]) => a - b)) {
        const before = published.plan && range(0, at).map((t) => published.at(t));
        const outcome = published.publish(filed, at);
        if ('missed' in outcome) {
          expect(published.at(at)[1]).not.toBe(priceOf(rateCardAt(filed, at)));
          continue;
        }
        for (const t of range(at, 70))
          expect(published.at(t)[1]).toBe(priceOf(rateCardAt(filed, t)));
        if (before) expect(range(0, at).map((t) => published.at(t))).toEqual(before);
        expect(published.publish(filed, at)).toEqual([]);
      }
    }),
    { numRuns: 300 },
  );
});

const range = (from: number, until: number): readonly number[] =>
  Array.from({ length: Math.max(0, until - from) }, (_, index) => from + index);
