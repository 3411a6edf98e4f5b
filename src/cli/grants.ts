/** `grants` and `grant`: the grants of an account, what can be changed of them, and a new one. */
import {
  GrantCreditsResponse,
  UpdateGrantResponse,
  VoidGrantRequest_Returned,
  VoidGrantResponse,
} from '../gen/billing/v1/account_service.ts';
import { Grant, Grant_Category, Grant_Source, Grant_State } from '../gen/billing/v1/ledger.ts';
import { after } from './charge.ts';
import { argumentError, exitWith, group } from './command.ts';
import { NOT_FOUND } from './exit-codes.ts';
import { type ReferenceOptions, referenceFields, referenceOptions } from './job-options.ts';
import { named, toJson } from './json.ts';
import { memberName } from './member-name.ts';
import { change, type MutationOptions, mutationCommand } from './mutation.ts';
import {
  credits,
  firstOf,
  instantOption,
  oneOf,
  ordinal,
  toLimit,
  wholeNumber,
} from './options.ts';
import { instant, nonZero, printLines } from './print.ts';
import { deadline, type ServiceOptions, serviceCommand, withService } from './service-call.ts';
import { table } from './table.ts';

const list = serviceCommand('list', {
  description:
    'Lists the grants of an account, newest first, also those that are spent, expired or voided. balance lists those that ' +
    'have credits, in the order in which they are spent. The word list can be left out.',
  examples: ['acme', 'acme --limit 1000 --json'],
})
  .argument('<account>')
  .option('--limit <number>', 'at most so many', toLimit, 50)
  .action(
    exitWith(async (accountId: string, options: ServiceOptions & { readonly limit: number }) => {
      const { limit } = options;
      const { rows, hasMore } = await withService(options, ({ accounts }) =>
        firstOf(limit, async (pageToken, pageSize) => {
          const request = { accountId, pageToken, pageSize };
          const page = await accounts.listGrants(request, deadline());
          return [page.grants, page.nextPageToken];
        }),
      );
      if (options.json)
        printLines([
          toJson(
            rows.map((row) => named(Grant, row)),
            2,
          ),
        ]);
      else if (rows.length > 0) printLines(linesOf(rows));
      if (hasMore) process.stderr.write(`there are more than ${limit}: raise --limit\n`);
      if (rows.length === 0) process.stderr.write('the account has no grants\n');
      return rows.length > 0 ? 0 : NOT_FOUND;
    }),
  );

const linesOf = (all: readonly Grant[]): readonly string[] =>
  table(
    [
      { title: 'grant', align: 'right' },
      { title: 'state' },
      { title: 'remaining', align: 'right' },
      { title: 'reserved', align: 'right' },
      { title: 'voided', align: 'right' },
      { title: 'of', align: 'right' },
      { title: 'category' },
      { title: 'from' },
      { title: 'begins' },
      { title: 'expires' },
      { title: 'operations' },
    ],
    all.map((grant) => [
      grant.grantId.toString(),
      memberName(Grant_State, grant.state),
      grant.remaining.toString(),
      nonZero(grant.reserved),
      nonZero(grant.voided),
      grant.amount.toString(),
      memberName(Grant_Category, grant.category),
      `${memberName(Grant_Source, grant.source)} ${grant.sourceReference}`.trim(),
      instant(grant.effectiveAt),
      grant.expiresAt ? instant(grant.expiresAt) : 'never',
      grant.operations.join(', '),
    ]),
  );

type VoidOptions = MutationOptions &
  ReferenceOptions & {
    readonly credits?: bigint;
    readonly all: boolean;
    readonly returned: boolean;
    readonly reason: string;
  };

const voidOne = referenceOptions(
  mutationCommand('void', {
    description:
      'Voids credits of a grant that are not spent: some (--credits), or all (--all). What running jobs hold stays with ' +
      'them. With --returned, what they give back is voided as well; otherwise it can be spent again.',
    examples: [
      'acme 3 --all --reason "granted twice, ticket 17"',
      'acme 3 --all --returned --reason "stolen card"',
      'acme 3 --credits 40 --reason "40 too many"',
    ],
  })
    .argument('<account>')
    .argument('<grant>', 'its number, as grants shows it', ordinal)
    .option('--credits <number>', 'so many', credits)
    .option('--all', 'all that is left', false)
    .option('--returned', 'also what running jobs give back', false)
    .requiredOption('--reason <text>', 'why, for people; stored on the entry'),
).action(
  exitWith(async (accountId: string, grantId: bigint, options: VoidOptions) => {
    const { all, credits: some, returned, reason } = options;
    if (all === (some !== undefined)) throw argumentError('either --credits or --all is needed');
    const request = {
      ...(all ? { all } : { credits: some }),
      accountId,
      grantId,
      returned: returned ? VoidGrantRequest_Returned.VOID : VoidGrantRequest_Returned.KEEP,
      reason,
      ...referenceFields(options),
    };
    return await change(
      options,
      ({ accounts }, requestId) => accounts.voidGrant({ ...request, requestId }, deadline()),
      (response) => ({
        json: named(VoidGrantResponse, response),
        said: [
          ['voided', `${response.voided} credits`],
          ['as they return', nonZero(response.voidOnReturn)],
          ['grant', `${response.grant?.grantId}`],
          ['left of it', `${response.grant?.remaining}`],
          ...after(response),
        ],
      }),
    );
  }),
);

type UpdateOptions = MutationOptions &
  ReferenceOptions & {
    readonly priority?: number;
    readonly expires?: Date | 'never';
    readonly onlyFor?: readonly string[];
    readonly allOperations: boolean;
    readonly reason: string;
  };

const update = referenceOptions(
  mutationCommand('update', {
    description:
      'Changes the expiry, the priority or the operations of a grant that has credits left. What has expired does not ' +
      'come back.',
    examples: [
      'acme 3 --expires 2027-06-30 --reason "extended, ticket 17"',
      'acme 3 --expires never --priority 10 --reason "spent first"',
      'acme 3 --only-for image.upscale --reason "as agreed"',
    ],
  })
    .argument('<account>')
    .argument('<grant>', 'its number, as grants shows it', ordinal)
    .option('--expires <date>', 'such as 2027-01-01, or never', (text) =>
      text === 'never' ? text : instantOption(text),
    )
    .option('--priority <number>', '0 to 100; lower is spent first', wholeNumber)
    .option('--only-for <operation...>', 'it pays for these only')
    .option('--all-operations', 'it pays for all operations', false)
    .requiredOption('--reason <text>', 'why, for people; stored on the entry'),
).action(
  exitWith(async (accountId: string, grantId: bigint, options: UpdateOptions) => {
    const { expires, priority, onlyFor, allOperations, reason } = options;
    if (onlyFor && allOperations) throw argumentError('either --only-for or --all-operations');
    if (expires === undefined && priority === undefined && !onlyFor && !allOperations)
      throw argumentError('--expires, --priority, --only-for or --all-operations is needed');
    const request = {
      accountId,
      grantId,
      ...(priority !== undefined && { priority }),
      ...(expires !== undefined && { expiry: expires === 'never' ? {} : { expiresAt: expires } }),
      ...(onlyFor && { operations: { onlyFor: { operations: [...onlyFor] } } }),
      ...(allOperations && { operations: {} }),
      reason,
      ...referenceFields(options),
    };
    return await change(
      options,
      ({ accounts }, requestId) => accounts.updateGrant({ ...request, requestId }, deadline()),
      (response) => ({
        json: named(UpdateGrantResponse, response),
        said: [
          ['grant', `${response.grant?.grantId}`],
          ['expires', response.grant?.expiresAt ? instant(response.grant.expiresAt) : 'never'],
          ['priority', `${response.grant?.priority}`],
          ['operations', response.grant?.operations.join(', ') || 'all'],
          ...after(response),
        ],
      }),
    );
  }),
);

export const grants = group('grants', 'The grants of an account.', [update, voidOne]).addCommand(
  list,
  {
    isDefault: true,
  },
);

type GrantOptions = MutationOptions & {
  readonly credits: bigint;
  readonly category: Grant_Category;
  readonly expires?: Date;
  readonly reason: string;
  readonly reference: string;
};

export const grant = mutationCommand('grant', {
  description: 'Grants credits to an account, without a purchase.',
  examples: [
    'acme --credits 100 --reason "sorry for the outage, ticket 17"',
    'acme --credits 500 --category promotional --expires 2027-01-01 --reason "trade fair"',
  ],
})
  .argument('<account>')
  .requiredOption('--credits <number>', 'so many', credits)
  .requiredOption('--reason <text>', 'why, for people; stored on the entry')
  .option(
    '--category <category>',
    'paid, promotional or adjustment; default: adjustment',
    oneOf<Grant_Category>(Grant_Category, 'category'),
    undefined,
  )
  .option('--expires <date>', 'such as 2027-01-01; default: never', instantOption)
  .option('--reference <text>', "the caller's own name for it", '')
  .action(
    exitWith(async (accountId: string, options: GrantOptions) => {
      const { credits, category, expires, reason, reference } = options;
      const request = {
        accountId,
        credits,
        category: category ?? Grant_Category.ADJUSTMENT,
        expiresAt: expires,
        reason,
        reference,
      };
      return await change(
        options,
        ({ accounts }, requestId) => accounts.grantCredits({ ...request, requestId }, deadline()),
        (response) => ({
          json: named(GrantCreditsResponse, response),
          said: [
            ['granted', `${response.grant?.amount} credits`],
            ['grant', `${response.grant?.grantId}`],
            ['expires', response.grant?.expiresAt ? instant(response.grant.expiresAt) : 'never'],
            ...after(response),
          ],
        }),
      );
    }),
  );
