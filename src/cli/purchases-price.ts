/** `purchases price`: what a purchase would cost and grant. */
import { EstimatePurchaseResponse } from '../gen/billing/v1/billing_service.ts';
import type { Money } from '../gen/billing/v1/pricing.ts';
import { exitWith } from './command.ts';
import { named, toJson } from './json.ts';
import { credits as creditsOption, toLimit } from './options.ts';
import { instant, printLines } from './print.ts';
import { deadline, type ServiceOptions, serviceCommand, withService } from './service-call.ts';
import { table } from './table.ts';

type Options = ServiceOptions & { readonly quantity?: number; readonly credits?: bigint };

export const purchasesPrice = serviceCommand('price', {
  description:
    'Tells what a purchase would cost now, and what it would grant. It buys nothing, and reserves no price.',
  examples: ['acme starter --quantity 3', 'acme credits --credits 1500'],
})
  .argument('<account>')
  .argument('<pack>', 'as of purchases buy')
  .option('--quantity <number>', 'how many of it; default: 1', toLimit)
  .option(
    '--credits <number>',
    'how many credits, of what the plan sells by the credit',
    creditsOption,
  )
  .action(
    exitWith(async (accountId: string, packId: string, options: Options) => {
      const { quantity, credits } = options;
      const estimate = await withService(options, ({ billing }) =>
        billing.estimatePurchase({ accountId, packId, quantity, credits }, deadline()),
      );
      printLines(
        options.json ? [toJson(named(EstimatePurchaseResponse, estimate), 2)] : linesOf(estimate),
      );
      return 0;
    }),
  );

const text = (money: Money | undefined): string =>
  money ? `${money.amount} ${money.currency}` : '';

const linesOf = (estimate: EstimatePurchaseResponse): readonly string[] => [
  `credits  ${estimate.credits}`,
  `price    ${text(estimate.price)}`,
  `each     ${text(estimate.pricePerCredit)}`,
  `expires  ${estimate.expiresAt ? instant(estimate.expiresAt) : 'never'}`,
  ...(estimate.lines.length > 0 ? ['', ...tierLines(estimate)] : []),
];

const tierLines = ({ lines }: EstimatePurchaseResponse): readonly string[] =>
  table(
    [
      { title: 'tier', align: 'right' },
      { title: 'credits', align: 'right' },
      { title: 'each', align: 'right' },
      { title: 'amount', align: 'right' },
    ],
    lines.map((one) => [`${one.tier}`, `${one.quantity}`, one.unitPrice, text(one.amount)]),
  );
