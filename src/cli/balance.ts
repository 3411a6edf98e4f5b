/** `balance`: what an account has or had, and from which grants. */
import { GetBalanceResponse, GetPastBalanceResponse } from '../gen/billing/v1/billing_service.ts';
import {
  Bucket_Kind,
  type BucketBalance,
  type Grant,
  Grant_Category,
  Grant_Source,
} from '../gen/billing/v1/ledger.ts';
import { argumentError, exitWith } from './command.ts';
import { named, toJson } from './json.ts';
import { memberName } from './member-name.ts';
import { instantOption, ordinal } from './options.ts';
import { instant, nonZero, printLines } from './print.ts';
import { deadline, type ServiceOptions, serviceCommand, withService } from './service-call.ts';
import { table } from './table.ts';

type Options = ServiceOptions & { readonly asOf?: Date; readonly afterEntry?: bigint };

export const balance = serviceCommand('balance', {
  description:
    'Shows the balance of an account, and its grants in the order in which they are spent. With --as-of or --after-entry ' +
    'what it had then by its entries, bucket by bucket.',
  examples: ['acme', 'acme --json', 'acme --as-of 2031-01-01', 'acme --after-entry 17'],
})
  .argument('<account>')
  .option('--as-of <instant>', 'at this past instant or date, in UTC', instantOption)
  .option('--after-entry <seq>', 'after this entry', ordinal)
  .action(
    exitWith(async (accountId: string, options: Options) => {
      const point = pointOf(options);
      if (point) return await showPast(accountId, point, options);
      const request = { accountId, includeGrants: true };
      const response = await withService(options, ({ billing }) =>
        billing.getBalance(request, deadline()),
      );
      if (options.json) printLines([toJson(named(GetBalanceResponse, response), 2)]);
      else printLines(linesOf(response));
      return 0;
    }),
  );

type Point =
  | { readonly $case: 'at'; readonly value: Date }
  | { readonly $case: 'seq'; readonly value: bigint };

function pointOf({ asOf, afterEntry }: Options): Point | null {
  if (asOf && afterEntry) throw argumentError('either --as-of or --after-entry');
  if (asOf) return { $case: 'at', value: asOf };
  return afterEntry ? { $case: 'seq', value: afterEntry } : null;
}

async function showPast(accountId: string, point: Point, options: Options): Promise<number> {
  const request = { accountId, point, includeBuckets: true };
  const past = await withService(options, ({ billing }) =>
    billing.getPastBalance(request, deadline()),
  );
  if (options.json) printLines([toJson(named(GetPastBalanceResponse, past), 2)]);
  else printLines(pastLines(past));
  return 0;
}

const pastLines = (past: GetPastBalanceResponse): readonly string[] => [
  `available  ${past.available}`,
  `reserved   ${past.reserved}`,
  `remaining  ${past.remaining}`,
  ...(past.overage > 0n ? [`overage    ${past.overage} that month`] : []),
  ...(past.owed > 0n ? [`owed       ${past.owed}`] : []),
  `after      entry ${past.seq}, ${instant(past.recordedAt)}`,
  ...(past.buckets.length > 0 ? ['', ...bucketLines(past.buckets)] : []),
];

const bucketLines = (buckets: readonly BucketBalance[]): readonly string[] =>
  table(
    [{ title: 'bucket' }, { title: 'grant', align: 'right' }, { title: 'credits', align: 'right' }],
    buckets.map(({ bucket, credits }) => [
      memberName(Bucket_Kind, bucket?.kind ?? Bucket_Kind.UNSPECIFIED),
      nonZero(bucket?.grantId ?? 0n),
      credits.toString(),
    ]),
  );

function linesOf({ balance, grants, timeZone }: GetBalanceResponse): readonly string[] {
  if (!balance) return [];
  const { available, reserved, remaining, overage, overageLimit, nextExpiry, limited } = balance;
  const facts = [
    `available  ${available}`,
    `reserved   ${reserved}`,
    `remaining  ${remaining}`,
    ...(overageLimit > 0n ? [`overage    ${overage} of ${overageLimit} this month`] : []),
    ...(balance.owed > 0n ? [`owed       ${balance.owed}`] : []),
    ...limited.map(
      (one) => `limited    ${one.available} available for ${one.operations.join(', ')}`,
    ),
    ...(nextExpiry
      ? [`expires    ${nextExpiry.credits} credits ${instant(nextExpiry.expiresAt)}`]
      : []),
    ...(balance.lowBalance ? ['low        the balance is low'] : []),
    ...(timeZone === 'UTC' ? [] : [`time zone  ${timeZone}`]),
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
