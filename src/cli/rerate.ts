/** `rerate`: what charges should have cost on another rate card, and the refunds and charges that correct them. */
import type { Command } from 'commander';
import type { Scrip } from '../client.ts';
import { suggestion } from '../nearest-name.ts';
import type { Em } from '../pg/orm.ts';
import type { RateCard } from '../pricing/plan.ts';
import type { ChargeFilter } from '../rerate/read-charges.ts';
import type { RatedCharge } from '../rerate/rerate.ts';
import { argumentError, exitWith } from './command.ts';
import { withEachDatabase } from './database.ts';
import { DIFFERENT } from './exit-codes.ts';
import { instantOption, version } from './options.ts';
import type { Outcome } from './rerate/apply.ts';
import type { Listing } from './rerate/listing.ts';
import { type ServiceOptions, serviceCommand, withService } from './service-call.ts';

type Options = ServiceOptions & {
  readonly right: bigint;
  readonly wrong?: bigint;
  readonly from?: Date;
  readonly to?: Date;
  readonly operation: string;
  readonly account?: string;
  readonly by: string;
  readonly csv: boolean;
  readonly apply: boolean;
  readonly reason?: string;
};

export const rerate: Command = serviceCommand('rerate', {
  description:
    'Prices anew what a wrong rate card of a plan has charged: by a version (--wrong), or in a time (--from, --to). Lists each ' +
    'charge that should have cost something else, and changes nothing. With --apply it refunds what was charged too much, and ' +
    'charges what was charged too little. Run again, it goes on, and does nothing twice. Exits with 1 where something is left.',
  examples: [
    'verts --wrong 3 --right 4',
    'verts --wrong 3 --right 4 --csv',
    'verts --from 2026-10-01 --to 2026-10-03 --operation image.upscale --right 4 --by account',
    'verts --wrong 3 --right 4 --apply --reason "wrong price of October 1"',
  ],
})
  .argument('<plan>')
  .requiredOption(
    '--right <version>',
    'the version of the rate card that should have been',
    version,
  )
  .option('--wrong <version>', 'what this version has priced', version)
  .option('--from <date>', 'what was charged from then on', instantOption)
  .option('--to <date>', 'what was charged before', instantOption)
  .option('--operation <name>', 'only prices this operation anew', '')
  .option('--account <account>', 'only of this account')
  .option('--by <what>', 'a line for each charge, or account', 'charge')
  .option('--csv', 'CSV', false)
  .option('--apply', 'makes the corrections', false)
  .option('--reason <text>', 'with --apply: why, for people; stored on the entries of refunds')
  .action(
    exitWith(async (planId: string, options: Options) => {
      checkOptions(options);
      const { listingOf } = await import('./rerate/listing.ts');
      const listing = listingOf(options.by === 'account', options.csv, options.apply);
      if (options.apply)
        await withService(options, (scrip) => rerateAll(planId, options, listing, scrip));
      else await rerateAll(planId, options, listing, null);
      listing.end();
      return listing.isComplete ? 0 : DIFFERENT;
    }),
  );

function checkOptions({ wrong, from, to, by, csv, json, apply, reason, right }: Options) {
  if (json) throw argumentError('--csv is what other programs read');
  if (wrong === undefined && (from === undefined || to === undefined))
    throw argumentError('--wrong, or --from and --to, is needed');
  if (wrong === right) throw argumentError('--wrong and --right must be two versions');
  if (by !== 'charge' && by !== 'account') throw argumentError('--by must be charge or account');
  if (apply === (reason === undefined)) throw argumentError('--apply and --reason go together');
  if (csv && apply && by === 'account')
    throw argumentError('--apply lists charges: what became of each');
}

async function rerateAll(planId: string, options: Options, listing: Listing, scrip: Scrip | null) {
  const filter: ChargeFilter = {
    planId,
    rateCardVersion: options.wrong === undefined ? null : Number(options.wrong),
    from: options.from?.getTime() ?? null,
    to: options.to?.getTime() ?? null,
    operation: options.operation,
  };
  const { account: accountId = null } = options;
  const check = async (em: () => Em) => {
    await checkArchived(em(), filter, accountId);
    return 0;
  };
  // Before anything is corrected in any cell.
  await withEachDatabase('service', check, accountId);
  const correct = async (em: () => Em) => {
    const right = await loadVersion(em(), planId, Number(options.right));
    checkOperation(right, planId, options.operation);
    if (filter.rateCardVersion !== null) await loadVersion(em(), planId, filter.rateCardVersion);
    const [{ rerate }, { applyCorrections }] = await Promise.all([
      import('../rerate/rerate.ts'),
      import('./rerate/apply.ts'),
    ]);
    const charges = notListed(listing, rerate(em, filter, right, accountId));
    const outcomes = scrip
      ? applyCorrections(scrip, charges, right.version, options.reason ?? '')
      : planned(charges);
    for await (const outcome of outcomes) listing.add(outcome);
    return 0;
  };
  await withEachDatabase('service', correct, accountId);
}

/** Where an address stops to answer, the service at the next one goes on: what is listed is not listed again. */
async function* notListed(
  listing: Listing,
  charges: AsyncIterable<RatedCharge>,
): AsyncGenerator<RatedCharge, void, void> {
  for await (const rated of charges) if (!listing.has(rated.charge)) yield rated;
}

async function* planned(charges: AsyncIterable<RatedCharge>): AsyncGenerator<Outcome, void, void> {
  for await (const { charge, correction } of charges)
    yield { charge, correction, state: PLANNED[correction.state] ?? correction.state };
}

const PLANNED: Readonly<Record<string, string>> = { refund: 'to refund', charge: 'to charge' };

async function loadVersion(em: Em, planId: string, version: number): Promise<RateCard> {
  const { findRateCard, newestVersions } = await import('../rerate/find-rate-card.ts');
  const found = await findRateCard(em, planId, version);
  if (found) return found;
  const plans = await newestVersions(em);
  const newest = plans.get(planId);
  if (newest === undefined) throw argumentError(noSuchPlan(planId, [...plans.keys()]));
  throw argumentError(
    `plan ${planId} has no rate card of version ${version}; it must be 1${newest > 1 ? ` to ${newest}` : ''}`,
  );
}

const noSuchPlan = (planId: string, planIds: readonly string[]): string =>
  `there is no plan ${planId}${suggestion(planId, planIds).text || `; there are ${planIds.join(', ')}`}`;

async function checkArchived(em: Em, filter: ChargeFilter, accountId: string | null) {
  const { archivedWithin } = await import('../rerate/archived.ts');
  const until = await archivedWithin(em, filter, accountId);
  if (until === null) return;
  throw argumentError(
    `--from must be after ${new Date(until).toISOString()}: entries up to then are archived, and their charges cannot be corrected`,
  );
}

function checkOperation({ version, operations }: RateCard, planId: string, operation: string) {
  if (operation !== '' && !operations.has(operation))
    throw argumentError(
      `version ${version} of plan ${planId} has no operation ${operation}${suggestion(operation, operations.keys()).text}`,
    );
}
