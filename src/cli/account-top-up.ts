/** `account top-up`: buys a pack automatically while few credits are left. */
import { UpdateAccountResponse } from '../gen/billing/v1/account_service.ts';
import { after } from './charge.ts';
import { argumentError, exitWith } from './command.ts';
import { named } from './json.ts';
import { change, type MutationOptions, mutationCommand } from './mutation.ts';
import { credits, duration, wholeNumber } from './options.ts';
import { deadline } from './service-call.ts';

type Options = MutationOptions & {
  readonly off: boolean;
  readonly pack?: string;
  readonly below?: bigint;
  readonly customer?: string;
  readonly method?: string;
  readonly monthly: number;
  readonly coolDown?: { readonly seconds: bigint };
};

export const accountTopUp = mutationCommand('top-up', {
  description:
    'Sets the auto top-up of an account: it buys a pack, with a payment method that the customer has saved, while few ' +
    'credits are left. --off ends it.',
  examples: [
    'acme --pack starter --below 50 --customer cus_17 --method pm_card_visa',
    'acme --pack starter --below 50 --customer cus_17 --method pm_card_visa --monthly 3',
    'acme --off',
  ],
})
  .argument('<account>')
  .option('--pack <pack>', "one of the account's plan, or one offered to it")
  .option('--below <credits>', 'a top-up is due while fewer are usable', credits)
  .option('--customer <id>', 'of the payment provider')
  .option('--method <id>', 'the saved payment method, of the payment provider')
  .option('--monthly <packs>', 'at most so many in a calendar month', wholeNumber, 1)
  .option('--cool-down <time>', 'from one to the next, such as 2h; default: 1h', duration)
  .option('--off', 'switch it off', false)
  .action(
    exitWith(async (accountId: string, options: Options) => {
      const {
        off,
        pack: packId = '',
        below = 0n,
        customer = '',
        method = '',
        monthly,
        coolDown,
      } = options;
      const given = [options.pack, options.below, options.customer, options.method];
      if (off && given.some((one) => one !== undefined)) throw argumentError('--off stands alone');
      if (!off && given.includes(undefined))
        throw argumentError('--pack, --below, --customer and --method are needed, or --off');
      const autoTopUp = {
        packId,
        threshold: below,
        coolDown,
        monthlyCap: monthly,
        customer,
        paymentMethod: method,
      };
      const request = { accountId, autoTopUp: off ? {} : { autoTopUp } };
      return await change(
        options,
        ({ accounts }, requestId) => accounts.updateAccount({ ...request, requestId }, deadline()),
        (response) => ({
          json: named(UpdateAccountResponse, response),
          said: [
            [
              'top-up',
              off ? 'off' : `pack ${packId} below ${below} credits, at most ${monthly} a month`,
            ],
            ['account', accountId],
            ...after(response),
          ],
        }),
      );
    }),
  );
