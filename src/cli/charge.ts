/** `estimate`, `charge` and `refund`: work that is not reserved first. */
import {
  ChargeResponse,
  EstimateResponse,
  RefundResponse,
} from '../gen/billing/v1/billing_service.ts';
import type { Allocation, Balance } from '../gen/billing/v1/ledger.ts';
import { argumentError, exitWith } from './command.ts';
import {
  type JobOptions,
  jobFields,
  jobOptions,
  type ReferenceOptions,
  rateCardOption,
  referenceFields,
  referenceOptions,
} from './job-options.ts';
import { named, toJson } from './json.ts';
import { change, type MutationOptions, mutationCommand } from './mutation.ts';
import { credits, ordinal } from './options.ts';
import { type Fact, facts, printLines } from './print.ts';
import {
  deadline,
  packText,
  type ServiceOptions,
  serviceCommand,
  withService,
} from './service-call.ts';
import {
  chargeArguments,
  priceLines,
  requireCharge,
  type UsageOptions,
  usageArguments,
  usageOf,
} from './usage.ts';

export const estimate = rateCardOption(
  usageArguments(
    serviceCommand('estimate', {
      description:
        'Prices a usage on the rate card of the account, and says whether the account can pay for it. Changes nothing.',
      examples: ['acme image.upscale scale_factor=8 --count 3', 'acme file.inspect --json'],
    }).argument('<account>'),
  ),
).action(
  exitWith(
    async (
      accountId: string,
      operation: string | undefined,
      values: readonly string[],
      options: ServiceOptions & UsageOptions & Pick<JobOptions, 'rateCardVersion'>,
    ) => {
      if (operation === undefined) throw argumentError('an operation is needed');
      const usages = { items: [usageOf(operation, values, options.count)] };
      const request = { accountId, usages, rateCardVersion: options.rateCardVersion };
      const response = await withService(options, ({ billing }) =>
        billing.estimate(request, deadline()),
      );
      if (options.json) printLines([toJson(named(EstimateResponse, response), 2)]);
      else printLines([...priceLines(response.lines), '', ...estimateFacts(response)]);
      return 0;
    },
  ),
);

const estimateFacts = (response: EstimateResponse): readonly string[] =>
  facts([
    ['credits', `${response.credits}`],
    // More than the balance's "available": on a postpaid plan also what is left of the overage limit.
    ['can spend', `${response.available}`],
    ['sufficient', response.sufficient ? 'yes' : `no: ${response.shortfall} credits are missing`],
    ['packs', response.packs.map(packText).join(', ')],
    ['rate card', `version ${response.rateCardVersion}`],
  ]);

export const charge = jobOptions(
  chargeArguments(
    mutationCommand('charge', {
      description:
        'Charges a usage, or a number of credits: work that is done, or takes no time. For other work there is reserve.',
      examples: [
        'acme image.upscale scale_factor=8 --count 3',
        'acme --credits 12 --reference job-17 --label team=media',
        'acme file.inspect --request-id job-17',
        'acme document.convert --count 75 --used-at 2026-10-31T23:40:00Z',
      ],
    }).argument('<account>'),
  ),
).action(
  exitWith(
    async (
      accountId: string,
      operation: string | undefined,
      values: readonly string[],
      options: MutationOptions & UsageOptions & JobOptions,
    ) => {
      const request = {
        ...requireCharge(operation, values, options),
        ...jobFields(options),
        accountId,
      };
      return await change(
        options,
        ({ billing }, requestId) => billing.charge({ ...request, requestId }, deadline()),
        (response) => ({
          json: named(ChargeResponse, response),
          said: [['charged', `${response.credits} credits`], ...after(response)],
          below: below(response.lines),
        }),
      );
    },
  ),
);

type RefundOptions = MutationOptions &
  ReferenceOptions & { readonly credits?: bigint; readonly all: boolean; readonly reason: string };

export const refund = referenceOptions(
  mutationCommand('refund', {
    description:
      'Gives back part (--credits) or all (--all) of a commit or charge, which is named by the seq of its entry.',
    examples: [
      'acme 17 --all --reason "the picture was blank, ticket 17"',
      'acme 17 --credits 4 --reason "half of it"',
    ],
  })
    .argument('<account>')
    .argument('<seq>', 'of the entry, as charge and history show it', ordinal)
    .option('--credits <number>', 'so many', credits)
    .option('--all', 'all that was not refunded before', false)
    .requiredOption('--reason <text>', 'why, for people; stored on the entry'),
).action(
  exitWith(async (accountId: string, seq: bigint, options: RefundOptions) => {
    const { all, credits: some, reason } = options;
    if (all === (some !== undefined)) throw argumentError('either --credits or --all is needed');
    const request = {
      ...(all ? { all } : { credits: some }),
      accountId,
      seq,
      reason,
      ...referenceFields(options),
    };
    return await change(
      options,
      ({ billing }, requestId) => billing.refund({ ...request, requestId }, deadline()),
      (response) => ({
        json: named(RefundResponse, response),
        said: [
          ['refunded', `${response.refunded} credits`],
          ['expired', response.expired > 0n ? `${response.expired} of them became breakage` : ''],
          ['voided', response.voided > 0n ? `${response.voided} of them were voided` : ''],
          ['new grants', response.newGrants.map((grant) => `${grant.grantId}`).join(', ')],
          ...after(response),
        ],
      }),
    );
  }),
);

type Moved = {
  readonly split?: readonly Allocation[];
  readonly balance?: Balance | undefined;
  readonly entrySeq: bigint;
};

/** Which grants, what is left, and the entry. */
export const after = ({ split = [], balance, entrySeq }: Moved): readonly Fact[] => [
  ['grants', split.map(allocationText).join(', ')],
  ['available', balance ? `${balance.available}` : ''],
  ['entry', entrySeq > 0n ? `${entrySeq}` : 'none: nothing has changed'],
];

const allocationText = ({ source, credits }: Allocation): string =>
  source?.$case === 'grantId'
    ? `${credits} of grant ${source.value}`
    : `${credits} ${source?.$case === 'owed' ? 'owed' : 'of overage'}`;

/** The priced usages, apart. */
export const below = (lines: ChargeResponse['lines']): readonly string[] =>
  lines.length > 0 ? ['', ...priceLines(lines)] : [];
