/**
 * What was published: plans, the versions of their terms, and those of their rate cards. Each version has a
 * hash over its row and the version before it, and the plan has one over its newest versions. Entries are
 * hashed with the hashes of the versions that they name.
 */
import type pg from 'pg';
import { z } from 'zod';
import type { Entry, TermsHashes } from '../ledger/entry.ts';
import type { Row } from '../pg/table.ts';
import {
  hexOf,
  NO_VERSION,
  planHash,
  rateCardHash,
  termsHash,
} from '../pricing/publication-hash.ts';
import { planVersions } from '../store/tables/plan-versions.ts';
import { plans } from '../store/tables/plans.ts';
import { rateCards } from '../store/tables/rate-cards.ts';
import type { Report } from './findings.ts';

type VersionRow = { readonly planId: string; readonly version: number; readonly hash: Uint8Array };

/** The versions of one kind, by plan and number. */
class Versions<Version extends VersionRow> {
  readonly #name: string;
  readonly #hashOf: (version: Version, before: Uint8Array) => Uint8Array;
  /** In hexadecimal. More than one where a row is not what its hash says: either may be the falsified one. */
  readonly #hashes = new Map<string, readonly string[]>();
  readonly #newest = new Map<string, Version>();
  readonly #rows = new Map<string, readonly Version[]>();

  constructor(name: string, hashOf: (version: Version, before: Uint8Array) => Uint8Array) {
    this.#name = name;
    this.#hashOf = hashOf;
  }

  /** Adds the next version of its plan. */
  add(row: Version, report: Report) {
    const { planId, version } = row;
    const before = this.#newest.get(planId);
    const reportRow = (what: string) =>
      report(`${this.#name} ${version} of plan ${planId}: ${what}`);
    if (version !== (before?.version ?? 0) + 1)
      reportRow(before ? `comes right after ${before.version}` : 'is the first one');
    const hash = hexOf(this.#hashOf(row, before?.hash ?? NO_VERSION));
    const stored = hexOf(row.hash);
    if (hash !== stored)
      reportRow('its hash is not that of what it says and of the version before it');
    this.#hashes.set(keyOf(planId, version), [...new Set([stored, hash])]);
    this.#newest.set(planId, row);
    this.#rows.set(planId, [...(this.#rows.get(planId) ?? []), row]);
  }

  /** The versions of a plan, from this one on. */
  from(planId: string, version: number): readonly Version[] {
    return (this.#rows.get(planId) ?? []).filter((row) => row.version >= version);
  }

  newest(planId: string): Version | undefined {
    return this.#newest.get(planId);
  }

  get planIds(): Iterable<string> {
    return this.#newest.keys();
  }

  /** None if there is no such version. */
  hashes(planId: string, version: number): readonly string[] {
    return this.#hashes.get(keyOf(planId, version)) ?? [];
  }
}

const keyOf = (planId: string, version: number): string => `${version} ${planId}`;

export class Published {
  readonly #terms = new Versions<ReturnType<typeof planVersions.read>>('version', termsHash);
  readonly #rateCards = new Versions<ReturnType<typeof rateCards.read>>('rate card', rateCardHash);

  /** Reads and checks everything that was published. */
  static async load(client: pg.Client, report: Report): Promise<Published> {
    const published = new Published();
    const read = async (sql: string) => (await client.query<Row>(sql)).rows;
    const inOrder = 'order by plan_id, version';
    for (const row of await read(`select ${planVersions.selectList} from plan_versions ${inOrder}`))
      published.#terms.add(planVersions.read(row), report);
    for (const row of await read(`select ${rateCards.selectList} from rate_cards ${inOrder}`))
      published.#rateCards.add(rateCards.read(row), report);
    const rows = await read(`select ${plans.selectList} from plans order by plan_id`);
    published.#checkPlans(rows.map(plans.read), report);
    return published;
  }

  /** The overage limits of a plan's versions, from this one on; 0 where there is none. */
  overageLimits(planId: string, from: number): readonly bigint[] {
    return this.#terms.from(planId, from).map((row) => BigInt(overageOf(row.terms)?.limit ?? 0));
  }

  /** Whether this version and all since bill or count overage. */
  hasOverage(planId: string, from: number): boolean {
    const versions = this.#terms.from(planId, from);
    return versions.length > 0 && versions.every(({ terms }) => overageOf(terms) !== null);
  }

  /** Whether this version bills or counts overage; null: it does not, and a later one does. */
  billsOverage(planId: string, version: number): boolean | null {
    const [own, ...later] = this.#terms.from(planId, version).map(({ terms }) => overageOf(terms));
    if (own) return true;
    return later.some((overage) => overage !== null) ? null : false;
  }

  /** How late usage may be by this version of a plan's terms, in milliseconds; 0: not at all. Null: there is none. */
  lateUsage(planId: string, version: number): number | null {
    const [own] = this.#terms.from(planId, version);
    return own?.version === version ? lateUsageOf(own.terms) : null;
  }

  /** The same of this version and those since. */
  lateUsages(planId: string, from: number): readonly number[] {
    return this.#terms.from(planId, from).map(({ terms }) => lateUsageOf(terms));
  }

  /** Whether an account under this plan, at this version or a later one, may have had no allowance. */
  mayLackAllowance(planId: string, from: number): boolean {
    return this.#terms.from(planId, from).some(({ terms }) => periodOf(terms) === null);
  }

  /** The periods of the allowances that this version and those since have, such as "30 days". */
  allowancePeriods(planId: string, from: number): readonly string[] {
    return this.#terms.from(planId, from).flatMap(({ terms }) => periodOf(terms) ?? []);
  }

  /** When the first version with an allowance was published, of this one and those since. Null: none has one. */
  allowanceSince(planId: string, from: number): number | null {
    const first = this.#terms.from(planId, from).find(({ terms }) => periodOf(terms) !== null);
    return first?.createdAt ?? null;
  }

  /** The hashes that the entry may have been hashed with. None if it names a version that does not exist. */
  hashesOf({
    planId,
    planVersion,
    rateCardVersion,
  }: Pick<Entry, 'planId' | 'planVersion' | 'rateCardVersion'>): readonly TermsHashes[] {
    const cards = rateCardVersion === null ? [''] : this.#rateCards.hashes(planId, rateCardVersion);
    return this.#terms
      .hashes(planId, planVersion)
      .flatMap((termsHash) => cards.map((rateCardHash) => ({ termsHash, rateCardHash })));
  }

  #checkPlans(rows: readonly ReturnType<typeof plans.read>[], report: Report) {
    const planIds = new Set(rows.map(({ planId }) => planId));
    for (const row of rows) {
      const { planId, version, hash } = row;
      const [terms, card] = [this.#terms.newest(planId), this.#rateCards.newest(planId)];
      const newest = terms?.version ?? 0;
      if (newest !== version)
        report(`plan ${planId}: version is ${version}, its newest one is ${newest}`);
      const expected = planHash(row, terms?.hash ?? NO_VERSION, card?.hash ?? NO_VERSION);
      if (Buffer.compare(expected, hash) !== 0)
        report(`plan ${planId}: its hash is not that of what it says and of its newest versions`);
    }
    for (const planId of new Set([...this.#terms.planIds, ...this.#rateCards.planIds]))
      if (!planIds.has(planId))
        report(`plan ${planId}: it has versions, and there is no such plan`);
  }
}

const overageTerms = z.object({
  terms: z.object({ overage: z.object({ limit: z.string().regex(/^\d+$/) }).nullish() }),
});

const allowanceTerms = z.object({
  terms: z.object({ allowance: z.object({ every: z.string() }) }),
});

/** Null without an allowance. */
const periodOf = (terms: unknown): string | null =>
  allowanceTerms.safeParse(terms).data?.terms.allowance.every ?? null;

/** Null without overage, and of terms that cannot be read: their hash is wrong, and reported. */
const overageOf = (terms: unknown): { readonly limit: string } | null =>
  overageTerms.safeParse(terms).data?.terms.overage ?? null;

const lateUsageTerms = z.object({
  terms: z.object({ late_usage: z.string().regex(/^[1-9]\d*[smhd]$/) }),
});

const UNIT_MS: Readonly<Record<string, number>> = { s: 1e3, m: 6e4, h: 3.6e6, d: 8.64e7 };

/** In milliseconds; 0 without any. */
function lateUsageOf(terms: unknown): number {
  const text = lateUsageTerms.safeParse(terms).data?.terms.late_usage ?? '0s';
  return Number(text.slice(0, -1)) * (UNIT_MS[text.slice(-1)] ?? 0);
}
