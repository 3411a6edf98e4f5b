/** `purchases buy`: orders a pack, paid elsewhere or to be paid at the payment provider's checkout. */
import { PurchaseResponse } from '../gen/billing/v1/billing_service.ts';
import { Purchase_State } from '../gen/billing/v1/ledger.ts';
import { after } from './charge.ts';
import { argumentError, exitWith } from './command.ts';
import { named } from './json.ts';
import { memberName } from './member-name.ts';
import { change, type MutationOptions, mutationCommand } from './mutation.ts';
import { credits as creditsOption, label, toLimit } from './options.ts';
import { deadline } from './service-call.ts';

type Options = MutationOptions & {
  readonly quantity?: number;
  readonly credits?: bigint;
  readonly paid?: string;
  readonly returnTo?: string;
  readonly label: ReadonlyMap<string, string>;
};

export const purchasesBuy = mutationCommand('buy', {
  description:
    "Buys a pack for an account. Without --paid it opens a checkout and prints its URL: the credits are granted when the customer has paid. In a sandbox 'sandbox pay' does.",
  examples: [
    'acme starter',
    'acme starter --return-to https://shop.example/thanks',
    'acme starter --quantity 3 --paid invoice-2026-17',
    'acme credits --credits 1500',
  ],
})
  .argument('<account>')
  .argument('<pack>', "one of the account's plan, or one offered to it")
  .option('--quantity <number>', 'how many of it; default: 1', toLimit)
  .option(
    '--credits <number>',
    'how many credits, of what the plan sells by the credit',
    creditsOption,
  )
  .option('--paid <reference>', 'it is paid elsewhere: the order or invoice')
  .option('--return-to <url>', 'where the checkout leads afterwards; default: https://example.com/')
  .option('--label <name=value>', 'can be repeated', label, new Map())
  .action(
    exitWith(async (accountId: string, packId: string, options: Options) => {
      const { quantity, credits, paid, returnTo, label: labels } = options;
      if (paid !== undefined && returnTo !== undefined)
        throw argumentError('either --paid or --return-to: what is paid needs no checkout');
      const url = returnTo ?? 'https://example.com/';
      const payment =
        paid === undefined
          ? { $case: 'checkout' as const, value: { successUrl: url, cancelUrl: url } }
          : { $case: 'paymentReference' as const, value: paid };
      const request = { accountId, packId, quantity, credits, payment, labels: new Map(labels) };
      return await change(
        options,
        ({ billing }, requestId) => billing.purchase({ ...request, requestId }, deadline()),
        (response) => {
          const { purchase } = response;
          return {
            json: named(PurchaseResponse, response),
            said: [
              ['purchase', purchase?.purchaseId ?? ''],
              ['state', purchase ? memberName(Purchase_State, purchase.state) : ''],
              ['credits', `${purchase?.credits}`],
              ['price', `${purchase?.price?.amount} ${purchase?.price?.currency}`],
              ['checkout', purchase?.checkoutUrl ?? ''],
              ...after(response),
            ],
          };
        },
      );
    }),
  );
