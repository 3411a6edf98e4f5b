/** `balance`: what an account has, and from which grants. */
import { GetBalanceResponse } from '../gen/billing/v1/billing_service.ts';
import { type Grant, Grant_Category, Grant_Source } from '../gen/billing/v1/ledger.ts';
import { exitWith } from './command.ts';
import { named, toJson } from './json.ts';
import { memberName } from './member-name.ts';
import { instant, nonZero, printLines } from './print.ts';
import { deadline, type ServiceOptions, serviceCommand, withService } from './service-call.ts';
import { table } from './table.ts';

export const balance = serviceCommand('balance', {
  description:
    'Shows the balance of an account, and its grants in the order in which they are spent.',
  examples: ['acme', 'acme --json'],
})
  .argument('<account>')
  .action(
    exitWith(async (accountId: string, options: ServiceOptions) => {
      const request = { accountId, includeGrants: true };
      const response = await withService(options, ({ billing }) =>
        billing.getBalance(request, deadline()),
      );
      if (options.json) printLines([toJson(named(GetBalanceResponse, response), 2)]);
      else printLines(linesOf(response));
      return 0;
    }),
  );

function linesOf({ balance, grants }: GetBalanceResponse): readonly string[] {
  if (!balance) return [];
  const { available, reserved, remaining, overage, overageLimit, nextExpiry, limited } = balance;
  const facts = [
    `available  ${available}`,
    `reserved   ${reserved}`,
    `remaining  ${remaining}`,
    ...(overageLimit > 0n ? [`overage    ${overage} of ${overageLimit} this month`] : []),
    ...limited.map(
      (one) => `limited    ${one.available} available for ${one.operations.join(', ')}`,
    ),
    ...(nextExpiry
      ? [`expires    ${nextExpiry.credits} credits ${instant(nextExpiry.expiresAt)}`]
      : []),
    ...(balance.lowBalance ? ['low        the balance is low'] : []),
    `as of      ${instant(balance.asOf)}, entry ${balance.seq}`,
  ];
  return grants.length > 0 ? [...facts, '', ...grantLines(grants)] : facts;
}

export const grantLines = (grants: readonly Grant[]): readonly string[] =>
  table(
    [
      { title: 'grant', align: 'right' },
      { title: 'remaining', align: 'right' },
      { title: 'reserved', align: 'right' },
      { title: 'of', align: 'right' },
      { title: 'category' },
      { title: 'from' },
      { title: 'expires' },
      { title: 'operations' },
    ],
    grants.map((grant) => [
      grant.grantId.toString(),
      grant.remaining.toString(),
      nonZero(grant.reserved),
      grant.amount.toString(),
      memberName(Grant_Category, grant.category),
      `${memberName(Grant_Source, grant.source)} ${grant.sourceReference}`.trim(),
      grant.expiresAt ? instant(grant.expiresAt) : 'never',
      grant.operations.join(', '),
    ]),
  );
