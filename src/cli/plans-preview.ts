/** `plans preview`: what each account would have paid under a plan file. */
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { requireConfig } from '../config.ts';
import { findDatabase } from '../find-database.ts';
import { formatMonth, monthStart } from '../ledger/month.ts';
import { FORMATS } from '../preview/format.ts';
import { preview } from '../preview/preview.ts';
import { type PlanFile, type RateCard, rateCardAt } from '../pricing/plan.ts';
import { formatFileError } from '../pricing/plan-file/file-error.ts';
import { parsePlanFile } from '../pricing/plan-file/plan-file.ts';
import { instant } from '../pricing/plan-file/scalar-schemas.ts';
import { argumentError, type Command, INVALID_PLAN_FILE, write } from './command.ts';

export const plansPreview: Command = {
  usage:
    '<plan-file> [--month 2026-10] [--at 2027-01-01] [--accounts-of PLAN] [--format table|csv|json]',
  description:
    'Prices what every account of a plan used in a month (by default the last one) by a plan file: its ' +
    'prices at an instant, or after its last change. Where the old or the new plan bills overage, also ' +
    "shows overage and bill, then (from the month's statement) and now. Overage now is overage then, " +
    'plus what the usage costs more, plus what the allowance gives less. An account without overage ' +
    "then first spends what was available at the month's end (column estimated).",
  async run(args) {
    const options = readOptions(args);
    const parsed = parsePlanFile(options.file, await readFile(options.file, 'utf8'));
    if ('errors' in parsed) {
      for (const error of parsed.errors) process.stderr.write(`${formatFileError(error)}\n`);
      return INVALID_PLAN_FILE;
    }
    await printPreview(parsed.plan, options);
    return 0;
  },
};

type Options = {
  readonly file: string;
  /** Start of the month. */
  readonly from: number;
  readonly at: string | undefined;
  readonly accountsOf: string | undefined;
  readonly createFormat: (typeof FORMATS)[string];
};

function readOptions(args: string[]): Options {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      month: { type: 'string' },
      at: { type: 'string' },
      'accounts-of': { type: 'string' },
      format: { type: 'string', default: 'table' },
    },
  });
  const [file, ...more] = positionals;
  if (file === undefined || more.length > 0) throw argumentError('one plan file is needed');
  const createFormat = FORMATS[values.format];
  if (!createFormat) throw argumentError(`--format must be ${Object.keys(FORMATS).join(', ')}`);
  const { at, 'accounts-of': accountsOf } = values;
  return { file, from: toMonthStart(values.month), at, accountsOf, createFormat };
}

async function printPreview(
  planFile: PlanFile,
  { from, at, accountsOf = planFile.planId, createFormat }: Options,
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
  const database = await findDatabase(requireConfig(process.env));
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
