/** A custom pack: negotiated with one customer, and sold to that account alone. */
import type { Pack } from '../pricing/plan.ts';
import type { Book } from './book.ts';

export type CustomPack = Pack & {
  readonly accountId: string;
  readonly offeredAt: number;
  /** Who offered it. */
  readonly offeredBy: string;
  /** Null: it is offered still. */
  withdrawnAt: number | null;
};

/** The pack of that name that the account can buy: the plan's, or one offered to it alone. */
export const findPack = ({ plan, customPacks }: Book, packId: string): Pack | null =>
  plan.packs.find((pack) => pack.packId === packId) ??
  customPacks.find((pack) => pack.packId === packId && pack.withdrawnAt === null) ??
  null;
