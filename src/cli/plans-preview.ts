/** `plans preview`: what each account would have paid under a plan file. */

import { readFile } from 'node:fs/promises';
import { requireConfig } from '../config.ts';
import { findDatabase } from '../find-database.ts';
import { formatMonth, monthStart } from '../ledger/month.ts';
import { FORMATS } from '../preview/format.ts';
import { type PlanFile, type RateCard, rateCardAt } from '../pricing/plan.ts';
import { formatFileError } from '../pricing/plan-file/file-error.ts';
import { parsePlanFile } from '../pricing/plan-file/plan-file.ts';
import { instant } from '../pricing/plan-file/scalar-schemas.ts';
import { argumentError, command, exitWith, write } from './command.ts';
import { INVALID_FILE } from './exit-codes.ts';

export const plansPreview = command('preview', {
  description:
    'Prices what every account of a plan used in a month (by default the last one) by a plan file: its ' +
    'prices at an instant, or after its last change. Where the old or the new plan bills overage, also ' +
    "shows overage and bill, then (from the month's statement) and now. Overage now is overage then, " +
    'plus what the usage costs more, plus what the allowance gives less. An account without overage ' +
    "then first spends what was available at the month's end (column estimated).",
  examples: [
    'deploy/plans/verts.yaml --month 2026-10',
    'next.yaml --accounts-of verts --format csv',
  ],
})
  .argument('<plan-file>')
  .option('--month <month>', 'such as 2026-10; default: the last one')
  .option('--at <date>', 'prices of this date; default: after the last change of the file')
  .option('--accounts-of <plan>', 'of this plan; default: that of the file')
  .option('--format <format>', 'table, csv or json', 'table')
  .option('--cell <name>', 'the cell of the accounts, where there are several')
  .action(
    exitWith(async (file: string, given: Given) => {
      const options = readOptions(file, given);
      const parsed = parsePlanFile(options.file, await readFile(options.file, 'utf8'));
      if ('errors' in parsed) {
        for (const error of parsed.errors) process.stderr.write(`${formatFileError(error)}\n`);
        return INVALID_FILE;
      }
      await printPreview(parsed.plan, options);
      return 0;
    }),
  );

type Given = {
  readonly month?: string;
  readonly at?: string;
  readonly accountsOf?: string;
  readonly format: string;
  readonly cell?: string;
};

type Options = {
  readonly file: string;
  /** Start of the month. */
  readonly from: number;
  readonly at: string | undefined;
  readonly accountsOf: string | undefined;
  readonly cell: string | undefined;
  readonly createFormat: (typeof FORMATS)[string];
};

function readOptions(file: string, { month, at, accountsOf, format, cell }: Given): Options {
  const createFormat = FORMATS[format];
  if (!createFormat) throw argumentError(`--format must be ${Object.keys(FORMATS).join(', ')}`);
  return { file, from: toMonthStart(month), at, accountsOf, cell, createFormat };
}

async function printPreview(
  planFile: PlanFile,
  { from, at, accountsOf = planFile.planId, cell, createFormat }: Options,
) {
  const rateCard = selectRateCard(planFile, at);
  const format = createFormat(
    (text) => write(process.stdout, text),
    (text) => write(process.stderr, text),
  );
  const heading = { planId: planFile.planId, accountsOf, month: formatMonth(from) };
  // The heading names the columns of overage only if there are any: the first account shows that.
  let begun = false;
  const beginOnce = async (showsOverage: boolean) => {
    if (!begun) await format.begin({ ...heading, showsOverage });
    begun = true;
  };
  const { preview } = await import('../preview/preview.ts');
  const database = await findDatabase(requireConfig(process.env), cell);
  try {
    const range = { planFile, rateCard, accountsOf, from, until: monthStart(from, 1) };
    const totals = await preview(database.url, range, async (account) => {
      await beginOnce(account.overage !== null);
      await format.account(account);
    });
    await beginOnce(totals.overage !== null);
    await format.end(totals);
  } finally {
    await database.close();
  }
}

/**
 * The start of the named month; without a name, of the last complete month by this machine's clock. The
 * heading names it, and nothing is changed.
 */
function toMonthStart(month: string | undefined): number {
  if (month === undefined) return monthStart(Date.now(), -1);
  const first = instant.safeParse(`${month}-01`);
  if (!first.success) throw argumentError('--month must be a month such as 2026-10');
  return first.data;
}

/** The rate card at an instant; without one, the last of the plan file. */
function selectRateCard(planFile: PlanFile, at: string | undefined): RateCard {
  if (at === undefined) return planFile.changes.at(-1)?.rateCard ?? planFile.rateCard;
  const read = instant.safeParse(at);
  if (!read.success) throw argumentError('--at must be a date or instant such as 2027-01-01');
  return rateCardAt(planFile, read.data);
}
