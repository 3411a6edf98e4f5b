/** `scrip plans preview`: what each account would have paid under a plan file. */
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { systemClock } from '../clock.ts';
import { formatMonth, monthStart } from '../ledger/month.ts';
import { FORMATS } from '../preview/format.ts';
import { preview } from '../preview/preview.ts';
import { type PlanFile, type RateCard, rateCardAt } from '../pricing/plan.ts';
import { parsePlanFile } from '../pricing/plan-file/plan-file.ts';
import { instant } from '../pricing/plan-file/scalar-schemas.ts';
import { findDatabase } from '../verify/find-database.ts';
import {
  type Command,
  configOfEnvironment,
  formatPlanFileError,
  INVALID_PLAN_FILE,
  write,
  wrongArgument,
} from './command.ts';

export const plansPreview: Command = {
  usage:
    '<plan-file> [--month 2026-10] [--at 2027-01-01] [--accounts-of PLAN] [--format table|csv|json]',
  says:
    'Prices what every account of a plan used in a month (the last one) by a plan file: its prices at ' +
    'an instant, or after its last change. Where a plan bills overage, before or after, also tells ' +
    "that and the bill, then (as the month's statement says) and now. Overage now: what the month costs " +
    'more, and what the allowance gives less, comes on top of the overage there was; an account that had ' +
    "none takes first what was available at the month's end (column estimated).",
  async run(args) {
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
    if (file === undefined || more.length > 0) throw wrongArgument('one plan file is needed');
    const from = monthAsked(values.month);
    const begun = FORMATS[values.format];
    if (!begun) throw wrongArgument(`--format must be ${Object.keys(FORMATS).join(', ')}`);

    const parsed = parsePlanFile(file, await readFile(file, 'utf8'));
    if ('errors' in parsed) {
      for (const error of parsed.errors) process.stderr.write(`${formatPlanFileError(error)}\n`);
      return INVALID_PLAN_FILE;
    }
    const { plan: filed } = parsed;
    const rateCard = rateCardAsked(filed, values.at);
    const accountsOf = values['accounts-of'] ?? filed.planId;
    const format = begun(
      (text) => write(process.stdout, text),
      (text) => write(process.stderr, text),
    );
    const database = await findDatabase(configOfEnvironment());
    try {
      const options = { filed, rateCard, accountsOf, from, until: monthStart(from, 1) };
      const heading = { planId: filed.planId, accountsOf, month: formatMonth(from) };
      let begin = async (billed: boolean) => await format.begin({ ...heading, billed });
      const totals = await preview(database.url, options, async (account) => {
        await begin(account.overage !== null);
        begin = async () => {};
        await format.account(account);
      });
      await begin(totals.overage !== null);
      await format.end(totals);
      return 0;
    } finally {
      await database.close();
    }
  },
};

/** The first moment of the month asked for; without one, of the last month that is over. */
function monthAsked(month: string | undefined): number {
  if (month === undefined) return monthStart(systemClock(), -1);
  const first = instant.safeParse(`${month}-01`);
  if (!first.success) throw wrongArgument('--month must be a month such as 2026-10');
  return first.data;
}

function rateCardAsked(filed: PlanFile, at: string | undefined): RateCard {
  if (at === undefined) return filed.changes.at(-1)?.rateCard ?? filed.rateCard;
  const read = instant.safeParse(at);
  if (!read.success) throw wrongArgument('--at must be a date or instant such as 2027-01-01');
  return rateCardAt(filed, read.data);
}
