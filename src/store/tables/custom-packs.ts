/** The table of custom packs. */
import type { CustomPack } from '../../ledger/custom-pack.ts';
import { bigint, instant, text } from '../../pg/column.ts';
import { defineTable, type Values } from '../../pg/table.ts';
import { trimZeros } from '../../pricing/money.ts';
import { amount, validity } from './pack-columns.ts';

/** A pack that was withdrawn can be offered again on other terms: all of them are updated. */
const columns = {
  accountId: text('key'),
  packId: text('key'),
  title: text('updated'),
  credits: bigint('updated'),
  currency: text('updated', 'ISO 4217').from((pack: CustomPack) => pack.price.currency),
  amount: amount('updated', 'the price').from((pack: CustomPack) => pack.price.amount),
  validity: validity('updated'),
  offeredAt: instant('updated'),
  offeredBy: text('updated', 'the caller'),
  withdrawnAt: instant('updated', 'null: it is on offer').nullable(),
};

export const customPacks = defineTable({
  name: 'custom_packs',
  comment: 'Packs offered to one account. A withdrawn pack stays, until it is offered again.',
  columns,
  toDomain: ({ currency, amount, ...values }: Values<typeof columns>): CustomPack => ({
    ...values,
    price: trimZeros({ currency, amount }),
  }),
  checks: {
    custom_packs_credits_check: 'credits > 0',
    custom_packs_amount_check: 'amount > 0',
  },
  privileges: 'select, insert, update',
});
