/** `purchases list`: the packs that an account has bought. */
import {
  Purchase,
  Purchase_DisputeState,
  Purchase_Method,
  Purchase_State,
} from '../gen/billing/v1/ledger.ts';
import type { Money } from '../gen/billing/v1/pricing.ts';
import { exitWith } from './command.ts';
import { NOT_FOUND } from './exit-codes.ts';
import { named, toJson } from './json.ts';
import { memberName } from './member-name.ts';
import { firstOf, oneOf, toLimit } from './options.ts';
import { instant, printLines } from './print.ts';
import { deadline, type ServiceOptions, serviceCommand, withService } from './service-call.ts';
import { table } from './table.ts';

type Options = ServiceOptions & { readonly state?: Purchase_State; readonly limit: number };

export const purchasesList = serviceCommand('list', {
  description: 'Lists the purchases of an account, newest first. Exits with 1 if there are none.',
  examples: ['acme', 'acme --state pending --json'],
})
  .argument('<account>')
  .option(
    '--state <state>',
    'only these: pending, paid, failed, expired, mismatched or rejected',
    oneOf<Purchase_State>(Purchase_State, 'state'),
  )
  .option('--limit <number>', 'at most so many', toLimit, 50)
  .action(
    exitWith(async (accountId: string, options: Options) => {
      const { state, limit } = options;
      const { rows, hasMore } = await withService(options, ({ billing }) =>
        firstOf(limit, async (pageToken, pageSize) => {
          const request = { accountId, states: state ? [state] : [], pageToken, pageSize };
          const page = await billing.listPurchases(request, deadline());
          return [page.purchases, page.nextPageToken];
        }),
      );
      if (options.json)
        printLines([
          toJson(
            rows.map((row) => named(Purchase, row)),
            2,
          ),
        ]);
      else if (rows.length > 0) printLines(linesOf(rows));
      if (hasMore) process.stderr.write(`there are more than ${limit}: raise --limit\n`);
      if (rows.length === 0) process.stderr.write('no purchase matches\n');
      return rows.length > 0 ? 0 : NOT_FOUND;
    }),
  );

const money = (of: Money | undefined): string => (of ? `${of.amount} ${of.currency}` : '');

function disputeOf({ disputeState }: Purchase): string {
  const name = memberName(Purchase_DisputeState, disputeState);
  return name === 'NONE' ? '' : name;
}

const linesOf = (purchases: readonly Purchase[]): readonly string[] =>
  table(
    [
      { title: 'made' },
      { title: 'purchase' },
      { title: 'pack' },
      { title: 'packs', align: 'right' },
      { title: 'credits', align: 'right' },
      { title: 'unspent', align: 'right' },
      { title: 'clawed back', align: 'right' },
      { title: 'price', align: 'right' },
      { title: 'state' },
      { title: 'dispute' },
      { title: 'method' },
      { title: 'reference' },
      { title: 'expires' },
    ],
    purchases.map((purchase) => [
      instant(purchase.createdAt),
      purchase.purchaseId,
      purchase.packId,
      purchase.quantity > 1 ? `${purchase.quantity}` : '',
      purchase.credits.toString(),
      purchase.state === Purchase_State.PAID ? purchase.remaining.toString() : '',
      purchase.creditsClawedBack > 0n ? purchase.creditsClawedBack.toString() : '',
      money(purchase.price),
      memberName(Purchase_State, purchase.state),
      disputeOf(purchase),
      memberName(Purchase_Method, purchase.method),
      purchase.paymentReference,
      instant(purchase.expiresAt),
    ]),
  );
