/** `purchases mismatched`: the purchases that wait for an operator's decision. */
import type { Purchase } from '../ledger/purchase.ts';
import { formatMoney } from '../pricing/money.ts';
import { command, exitWith } from './command.ts';
import { withDatabase } from './database.ts';

export const purchasesMismatched = command('mismatched', {
  description:
    'Lists the purchases that were paid in another amount or currency than ordered: nothing was granted, ' +
    'and each waits for purchases resolve.',
  examples: [''],
}).action(
  exitWith(() =>
    withDatabase('service', async (em) => {
      const { findMismatchedPurchases } = await import('../queries/purchases.ts');
      const purchases = await findMismatchedPurchases(em());
      for (const purchase of purchases) process.stdout.write(`${lineOf(purchase)}\n`);
      if (purchases.length === 0) process.stdout.write('none\n');
      return 0;
    }),
  ),
);

function lineOf({ accountId, purchaseId, packId, price, amountPaid, createdAt }: Purchase): string {
  const paid = amountPaid ? formatMoney(amountPaid) : 'unknown';
  const made = new Date(createdAt).toISOString();
  return `${accountId} ${purchaseId}: pack ${packId} of ${made}, ordered ${formatMoney(price)}, paid ${paid}`;
}
