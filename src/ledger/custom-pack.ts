/** A custom pack: a pack offered to one account. */
import { coveringOffers, type PackOffer } from '../pricing/packs.ts';
import type { Pack, Plan } from '../pricing/plan.ts';
import type { Book } from './book.ts';

export type CustomPack = Pack & {
  readonly accountId: string;
  readonly offeredAt: number;
  /** The caller who offered it. */
  readonly offeredBy: string;
  /** Null: it is still offered. */
  withdrawnAt: number | null;
};

/** Those of its own packs that an account can buy. What the plan sells under the same id since replaces one. */
export function buyableCustomPacks<Own extends Pack>(
  { packs, customAmounts }: Plan,
  customPacks: readonly Own[],
): readonly Own[] {
  const taken = new Set([...packs, ...customAmounts].map(({ packId }) => packId));
  return customPacks.filter(({ packId }) => !taken.has(packId));
}

/** All packs that an account can buy. */
export const buyablePacks = (plan: Plan, customPacks: readonly Pack[]): readonly Pack[] => [
  ...plan.packs,
  ...buyableCustomPacks(plan, customPacks),
];

/** What an account can buy that covers so many credits, best first. */
export const offersFor = (
  plan: Plan,
  customPacks: readonly Pack[],
  credits: bigint,
): readonly PackOffer[] =>
  coveringOffers(
    { packs: buyablePacks(plan, customPacks), customAmounts: plan.customAmounts },
    credits,
  );

/** The pack of this id that the account can buy: its plan's or, if the plan has none, its own. */
export const findPack = ({ plan, customPacks }: Book, packId: string): Pack | null =>
  plan.packs.find((pack) => pack.packId === packId) ??
  customPacks.find((pack) => pack.packId === packId && pack.withdrawnAt === null) ??
  null;
