/** `shadow`: lets another system charge accounts while Scrip decides beside it, and compares the two. */
import { randomUUID } from 'node:crypto';
import type { Scrip } from '../client.ts';
import { forEachConcurrently } from '../for-each-concurrently.ts';
import { Account_State } from '../gen/billing/v1/account_service.ts';
import { argumentError, exitWith } from './command.ts';
import { DIFFERENT, NOT_FOUND } from './exit-codes.ts';
import { toJson } from './json.ts';
import { firstOf, instantOption } from './options.ts';
import { printLines } from './print.ts';
import { deadline, type ServiceOptions, serviceCommand, withService } from './service-call.ts';
import { type ComparedBy, Comparing } from './shadow/compare.ts';
import { OldChargeError, readOldCharges } from './shadow/old-charges.ts';
import { reportJson, reportLines } from './shadow/report.ts';
import { type ShadowCharge, ShadowCharges } from './shadow/shadow-charges.ts';

type SwitchOptions = ServiceOptions & { readonly reason: string; readonly plan?: string };

const switchCommand = (name: 'on' | 'off', description: string, examples: readonly string[]) =>
  serviceCommand(name, { description, examples })
    .argument('[accounts...]')
    .option('--plan <plan>', 'all open accounts under this plan')
    .requiredOption('--reason <text>', 'why, for people; stored on the entries')
    .action(
      exitWith(async (accounts: readonly string[], options: SwitchOptions) => {
        const { plan, reason, json } = options;
        if ((accounts.length === 0) === (plan === undefined))
          throw argumentError('name accounts, or a plan by --plan');
        const enabled = name === 'on';
        const done = await withService(options, async (scrip) => {
          const ids = plan === undefined ? accounts : await accountsUnder(scrip, plan);
          return await setShadowModes(scrip, ids, enabled, reason);
        });
        if (json) printLines([toJson(done, 2)]);
        else
          printLines([
            `shadow mode ${name}: ${done.changed} accounts; ${done.unchanged} were so before`,
          ]);
        return done.changed + done.unchanged > 0 ? 0 : NOT_FOUND;
      }),
    );

export const shadowOn = switchCommand(
  'on',
  'Begins shadow mode: another system charges these accounts. What is reserved and charged here is decided and ' +
    'recorded; nobody is refused, and nothing is charged.',
  ['acme --reason "cut-over, ticket 17"', '--plan verts --reason "cut-over, ticket 17"'],
);

export const shadowOff = switchCommand(
  'off',
  'Ends shadow mode: from now on Scrip charges. Jobs that were reserved in shadow mode are not charged.',
  ['acme --reason "cut-over, ticket 17"', '--plan verts --reason "cut-over, ticket 17"'],
);

const AT_ONCE = 20;

async function accountsUnder({ accounts }: Scrip, planId: string): Promise<readonly string[]> {
  const { rows } = await firstOf(Number.POSITIVE_INFINITY, async (pageToken, pageSize) => {
    const page = await accounts.listAccounts({ planId, pageSize, pageToken }, deadline());
    return [page.accounts, page.nextPageToken];
  });
  return rows.flatMap(({ accountId, state }) =>
    state === Account_State.CLOSED ? [] : [accountId],
  );
}

/** Run again after a failure, it does the rest: an account that is in the mode already is left as it is. */
async function setShadowModes(
  { accounts }: Scrip,
  accountIds: readonly string[],
  enabled: boolean,
  reason: string,
) {
  const done = { changed: 0, unchanged: 0 };
  const failures: unknown[] = [];
  await forEachConcurrently(accountIds, AT_ONCE, null, async (accountId) => {
    if (failures.length > 0) return;
    const request = { accountId, enabled, reason, requestId: randomUUID() };
    try {
      const { entrySeq } = await accounts.setShadowMode(request, deadline());
      if (entrySeq > 0n) done.changed += 1;
      else done.unchanged += 1;
    } catch (error) {
      failures.push(error);
    }
  });
  if (failures.length > 0) throw failures[0];
  return done;
}

type ReportOptions = ServiceOptions & {
  readonly account?: string;
  readonly from?: Date;
  readonly to?: Date;
  readonly byDay: boolean;
};

export const shadowReport = serviceCommand('report', {
  description:
    'Reports what would have been charged and refused in shadow mode. With a file of JSON lines or CSV (*.csv) of what ' +
    'the other system charged, compares the two and lists every difference.',
  examples: [
    '',
    'charges.csv',
    'charges.csv --from 2026-11-30 --to 2026-12-01',
    '--account acme charges.jsonl --by-day',
  ],
})
  .argument('[file]')
  .option('--account <account>', 'of this account alone; default: of all')
  .option('--from <instant>', 'from this day or instant on', instantOption)
  .option('--to <instant>', 'before this day or instant', instantOption)
  .option(
    '--by-day',
    'compares accounts day by day, where the other system knows no request ids',
    false,
  )
  .action(
    exitWith(async (file: string | undefined, options: ReportOptions) => {
      const { byDay, json } = options;
      const by: ComparedBy = byDay ? 'day' : 'id';
      const comparing = new Comparing(by);
      if (file !== undefined) await addFile(comparing, file, options);
      const charges = await withService(options, (scrip) => readCharges(scrip, options));
      for (const charge of charges) comparing.add(charge);
      const comparison = comparing.finish();
      const isCompared = file !== undefined;
      if (json) printLines([toJson(reportJson(comparison, isCompared), 2)]);
      else printLines(reportLines(comparison, isCompared));
      return isCompared && comparison.differences.length > 0 ? DIFFERENT : 0;
    }),
  );

async function addFile(comparing: Comparing, file: string, options: ReportOptions) {
  const { account, from, to, byDay } = options;
  try {
    for await (const charge of readOldCharges(file)) {
      if (charge.id === '' && !byDay)
        throw new OldChargeError(`a charge of ${charge.accountId} has no id: compare --by-day`);
      const isAsked =
        (account === undefined || charge.accountId === account) &&
        (from === undefined || charge.at >= from.getTime()) &&
        (to === undefined || charge.at < to.getTime());
      if (isAsked) comparing.addOld(charge);
    }
  } catch (error) {
    if (error instanceof OldChargeError) throw argumentError(`${file}: ${error.message}`);
    throw error;
  }
}

const PAGE_SIZE = 1_000;

/** Compares nothing yet: where an address stops to answer, all is read again at the next. */
async function readCharges(
  { accounts }: Scrip,
  { account: accountId = '', from, to }: ReportOptions,
): Promise<readonly ShadowCharge[]> {
  const charges: ShadowCharge[] = [];
  const decided = new ShadowCharges();
  let pageToken = '';
  do {
    // A job may have begun before: all decisions up to the end are read.
    const request = { accountId, pageSize: PAGE_SIZE, pageToken, to };
    const page = await accounts.listShadowDecisions(request, deadline());
    for (const decision of page.decisions) {
      const charge = decided.add(decision);
      if (charge && (from === undefined || charge.at >= from.getTime())) charges.push(charge);
    }
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return charges;
}
