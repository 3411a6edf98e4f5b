/** A custom pack: a pack offered to one account. */
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

/** All packs that an account can buy. A pack that the plan got later replaces a custom one of its id. */
export const buyablePacks = ({ packs }: Plan, customPacks: readonly Pack[]): readonly Pack[] => [
  ...packs,
  ...customPacks.filter(({ packId }) => packs.every((pack) => pack.packId !== packId)),
];

/** The pack of this id that the account can buy: its plan's or, if the plan has none, its own. */
export const findPack = ({ plan, customPacks }: Book, packId: string): Pack | null =>
  plan.packs.find((pack) => pack.packId === packId) ??
  customPacks.find((pack) => pack.packId === packId && pack.withdrawnAt === null) ??
  null;
