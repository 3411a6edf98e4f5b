/** `reserve`, `commit` and `release`: credits for a job that is about to run. */
import {
  CommitResponse,
  ReleaseResponse,
  ReserveResponse,
} from '../gen/billing/v1/billing_service.ts';
import { OverCommitPolicy, Reservation_State } from '../gen/billing/v1/ledger.ts';
import { after, below } from './charge.ts';
import { argumentError, exitWith } from './command.ts';
import { type JobOptions, jobFields, jobOptions } from './job-options.ts';
import { named } from './json.ts';
import { memberName } from './member-name.ts';
import { change, type MutationOptions, mutationCommand } from './mutation.ts';
import { duration, oneOf } from './options.ts';
import { instant } from './print.ts';
import { deadline } from './service-call.ts';
import { chargeArguments, chargeOf, requireCharge, type UsageOptions } from './usage.ts';

type ReserveOptions = MutationOptions &
  UsageOptions &
  JobOptions & {
    readonly ttl?: { readonly seconds: bigint };
    readonly overCommit?: OverCommitPolicy;
  };

export const reserve = jobOptions(
  chargeArguments(
    mutationCommand('reserve', {
      description:
        'Sets credits aside for a job, so that nothing else can use them until commit, release, or the reservation expires.',
      examples: [
        'acme image.upscale scale_factor=8 --count 3 --ttl 10m',
        'acme --credits 12 --over-commit draw --reference job-17',
      ],
    }).argument('<account>'),
  )
    .option('--ttl <time>', 'how long it lasts, such as 15m; default: as the plan says', duration)
    .option(
      '--over-commit <policy>',
      'what a commit of more does: reject, cap, draw or take; default: reject',
      oneOf<OverCommitPolicy>(OverCommitPolicy, 'policy'),
    ),
).action(
  exitWith(
    async (
      accountId: string,
      operation: string | undefined,
      values: readonly string[],
      options: ReserveOptions,
    ) => {
      const { ttl, overCommit } = options;
      const request = {
        ...requireCharge(operation, values, options),
        ...jobFields(options),
        accountId,
        ...(ttl && { ttl }),
        overCommitPolicy: overCommit ?? OverCommitPolicy.UNSPECIFIED,
      };
      return await change(
        options,
        ({ billing }, requestId) => billing.reserve({ ...request, requestId }, deadline()),
        (response) => {
          const { reservation, lines } = response;
          return {
            json: named(ReserveResponse, response),
            said: [
              ['reserved', `${reservation?.credits} credits`],
              ['reservation', reservation?.reservationId ?? ''],
              ['expires', instant(reservation?.expiresAt)],
              ...after({ ...response, split: reservation?.allocations ?? [] }),
            ],
            below: below(lines),
          };
        },
      );
    },
  ),
);

type CommitOptions = MutationOptions &
  UsageOptions & { readonly all: boolean; readonly partial: boolean };

export const commit = chargeArguments(
  mutationCommand('commit', {
    description:
      'Charges what the job of a reservation used: a usage, a number of credits, or --all that is held. The rest returns ' +
      'to its grants, unless more commits follow (--partial).',
    examples: [
      'acme 0198f0c4-6a5e-7c3a-9b1d-2e4f6a8b0c1d image.upscale scale_factor=8 --count 2',
      'acme 0198f0c4-6a5e-7c3a-9b1d-2e4f6a8b0c1d --credits 4 --partial',
      'acme 0198f0c4-6a5e-7c3a-9b1d-2e4f6a8b0c1d --all',
    ],
  })
    .argument('<account>')
    .argument('<reservation>'),
)
  .option('--all', 'all that is held', false)
  .option('--partial', 'the rest stays reserved', false)
  .action(
    exitWith(
      async (
        accountId: string,
        reservationId: string,
        operation: string | undefined,
        values: readonly string[],
        options: CommitOptions,
      ) => {
        const { all, partial } = options;
        const charge = chargeOf(operation, values, options);
        if (all === (charge !== undefined))
          throw argumentError('an operation, --credits or --all is needed, and only one of them');
        const request = { ...(charge ?? { all }), accountId, reservationId, final: !partial };
        return await change(
          options,
          ({ billing }, requestId) => billing.commit({ ...request, requestId }, deadline()),
          (response) => {
            const { reservation, committed, lines } = response;
            return {
              json: named(CommitResponse, response),
              said: [
                ['charged', `${committed} credits`],
                ['state', memberName(Reservation_State, reservation?.state ?? 0)],
                ['returned', `${reservation?.returned} credits`],
                ['held', reservation?.held ? `${reservation.held} credits` : ''],
                ...after(response),
              ],
              below: below(lines),
            };
          },
        );
      },
    ),
  );

export const release = mutationCommand('release', {
  description: 'Returns all that a reservation holds: the job has failed, or was cancelled.',
  examples: ['acme 0198f0c4-6a5e-7c3a-9b1d-2e4f6a8b0c1d'],
})
  .argument('<account>')
  .argument('<reservation>')
  .action(
    exitWith(async (accountId: string, reservationId: string, options: MutationOptions) =>
      change(
        options,
        ({ billing }, requestId) =>
          billing.release({ accountId, reservationId, requestId }, deadline()),
        (response) => ({
          json: named(ReleaseResponse, response),
          said: [
            ['released', `${response.released} credits`],
            ['state', memberName(Reservation_State, response.reservation?.state ?? 0)],
            ...after(response),
          ],
        }),
      ),
    ),
  );
