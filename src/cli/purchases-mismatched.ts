/** `purchases mismatched`: the purchases that wait for an operator's decision. */
import { parseArgs } from 'node:util';
import { requireConfig } from '../config.ts';
import { findDatabase } from '../find-database.ts';
import type { Purchase } from '../ledger/purchase.ts';
import { connect } from '../pg/orm.ts';
import { formatMoney } from '../pricing/money.ts';
import { findMismatchedPurchases } from '../queries/purchases.ts';
import { entities } from '../store/tables/index.ts';
import type { Command } from './command.ts';

export const purchasesMismatched: Command = {
  usage: '',
  description:
    'Lists the purchases that were paid in another amount or currency than ordered: nothing was granted, ' +
    'and each waits for purchases resolve.',
  async run(args) {
    parseArgs({ args });
    const config = requireConfig(process.env);
    const database = await findDatabase(config);
    try {
      const orm = await connect(database.url, entities, 1, config.DATABASE_TIMEOUT_MS);
      try {
        const purchases = await findMismatchedPurchases(orm.em.fork());
        for (const purchase of purchases) process.stdout.write(`${lineOf(purchase)}\n`);
        if (purchases.length === 0) process.stdout.write('none\n');
      } finally {
        await orm.close();
      }
    } finally {
      await database.close();
    }
    return 0;
  },
};

function lineOf({ accountId, purchaseId, packId, price, amountPaid, createdAt }: Purchase): string {
  const paid = amountPaid ? formatMoney(amountPaid) : 'unknown';
  const made = new Date(createdAt).toISOString();
  return `${accountId} ${purchaseId}: pack ${packId} of ${made}, ordered ${formatMoney(price)}, paid ${paid}`;
}
