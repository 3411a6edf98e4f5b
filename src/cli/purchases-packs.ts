/** `purchases packs`: the packs that an account can buy. */
import { PurchasablePack } from '../gen/billing/v1/account_service.ts';
import { CustomAmount, type Validity } from '../gen/billing/v1/pricing.ts';
import { exitWith } from './command.ts';
import { NOT_FOUND } from './exit-codes.ts';
import { named, toJson } from './json.ts';
import { printLines } from './print.ts';
import { deadline, type ServiceOptions, serviceCommand, withService } from './service-call.ts';
import { table } from './table.ts';

export const purchasesPacks = serviceCommand('packs', {
  description:
    'Lists the packs that an account can buy: those of its plan, then those offered to it alone, and what its plan sells by the credit. Exits with 1 if there are none.',
  examples: ['acme', 'acme --json'],
})
  .argument('<account>')
  .action(
    exitWith(async (accountId: string, options: ServiceOptions) => {
      const { packs, customAmounts } = await withService(options, ({ accounts }) =>
        accounts.listPacks({ accountId }, deadline()),
      );
      if (options.json)
        printLines([
          toJson(
            [
              ...packs.map((pack) => named(PurchasablePack, pack)),
              ...customAmounts.map((amount) => ({ customAmount: named(CustomAmount, amount) })),
            ],
            2,
          ),
        ]);
      else if (packs.length + customAmounts.length > 0)
        printLines([...linesOf(packs), ...amountLines(customAmounts)]);
      if (packs.length + customAmounts.length > 0) return 0;
      process.stderr.write('the account can buy no pack\n');
      return NOT_FOUND;
    }),
  );

const linesOf = (packs: readonly PurchasablePack[]): readonly string[] =>
  table(
    [
      { title: 'pack' },
      { title: 'title' },
      { title: 'credits', align: 'right' },
      { title: 'price', align: 'right' },
      { title: 'valid for' },
      { title: 'offered to' },
    ],
    packs.map(({ pack, custom }) => [
      pack?.packId ?? '',
      pack?.title ?? '',
      `${pack?.credits ?? ''}`,
      pack?.price ? `${pack.price.amount} ${pack.price.currency}` : '',
      pack?.validity?.length ? lengthOf(pack.validity.length) : 'ever',
      custom ? 'this account' : 'its plan',
    ]),
  );

/** What is sold by the credit. `purchases price` tells what a number costs. */
const amountLines = (amounts: readonly CustomAmount[]): readonly string[] =>
  amounts.flatMap(({ packId, title, minimum, maximum, rates, validity }) => [
    '',
    `${packId}: ${title}, ${minimum} to ${maximum} in one purchase, valid for ${validity?.length ? lengthOf(validity.length) : 'ever'}`,
    ...(rates?.tiers ?? []).map(
      ({ upTo, unitPrice }) =>
        `  ${unitPrice} ${rates?.currency} each${upTo === undefined ? '' : ` up to ${upTo}`}`,
    ),
  ]);

function lengthOf({ $case, value }: NonNullable<Validity['length']>): string {
  const unit = $case === 'months' ? 'month' : 'day';
  return `${value} ${unit}${value === 1 ? '' : 's'}`;
}
