/**
 * Hashes of what was published: each version of a plan's terms, and of its rate card, with the hash of the
 * version before it. Entries are hashed with those of the versions that they name, so no term or price that an
 * account has lived under can change unnoticed. The plan's own hash covers its newest versions, so none can be
 * added or removed.
 */
import { canonicalJson } from '../canonical.ts';
import { sha256 } from '../sha256.ts';

type PublishedTerms = {
  readonly planId: string;
  readonly version: number;
  readonly title: string;
  readonly terms: unknown;
  readonly createdAt: number;
};

type PublishedRateCard = {
  readonly planId: string;
  readonly version: number;
  readonly content: unknown;
  readonly createdAt: number;
  readonly effectiveAt: number;
};

type PlanState = {
  readonly planId: string;
  readonly version: number;
  readonly updatedAt: number;
  readonly revision: number;
  readonly withdrawn: unknown;
};

/** Of the version before the first. */
export const NO_VERSION: Uint8Array = new Uint8Array();

export const termsHash = (
  { planId, version, title, terms, createdAt }: PublishedTerms,
  before: Uint8Array,
): Buffer => hashOf('terms', hexOf(before), planId, version, createdAt, title, terms);

export const rateCardHash = (
  { planId, version, content, createdAt, effectiveAt }: PublishedRateCard,
  before: Uint8Array,
): Buffer => hashOf('rate card', hexOf(before), planId, version, createdAt, effectiveAt, content);

export const planHash = (
  { planId, version, updatedAt, revision, withdrawn }: PlanState,
  newestTerms: Uint8Array,
  newestRateCard: Uint8Array,
): Buffer => {
  const newest = [hexOf(newestTerms), hexOf(newestRateCard)];
  return hashOf('plan', ...newest, planId, version, updatedAt, revision, withdrawn);
};

const hashOf = (...values: readonly unknown[]): Buffer => sha256(canonicalJson(values));

export const hexOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
