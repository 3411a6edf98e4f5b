/** A preview as a table for people, as CSV for spreadsheets, or as one JSON document. */
import type { AccountPreview, Sums, Totals } from './preview.ts';

/** Writes a part of the output; resolves when more can be taken. */
export type Write = (text: string) => Promise<void>;

export type Heading = {
  readonly planId: string;
  readonly accountsOf: string;
  readonly month: string;
};

export type Format = {
  readonly begin: (heading: Heading) => Promise<void>;
  readonly account: (account: AccountPreview) => Promise<void>;
  readonly end: (totals: Totals) => Promise<void>;
};

type Column = readonly [name: string, value: (sums: Sums) => bigint];

/** Beyond the allowance is what has to be paid: from packs, or afterwards. */
const COLUMNS: readonly Column[] = [
  ['charges', ({ charges }) => charges],
  ['credits_then', ({ creditsThen }) => creditsThen],
  ['credits_now', ({ creditsNow }) => creditsNow],
  ['difference', ({ creditsThen, creditsNow }) => creditsNow - creditsThen],
  ['beyond_allowance_then', ({ creditsThen, allowanceThen }) => creditsThen - allowanceThen],
  ['beyond_allowance_now', ({ creditsNow, allowanceNow }) => creditsNow - allowanceNow],
  ['unnamed_credits', ({ unnamed }) => unnamed],
  ['refused_usages', ({ refused }) => refused],
  ['refused_credits', ({ refusedCredits }) => refusedCredits],
];

/** `write` takes the figures, `note` what is said about them where a format has no place for it. */
export const FORMATS: Readonly<Record<string, (write: Write, note: Write) => Format>> = {
  table: tableFormat,
  csv: csvFormat,
  json: jsonFormat,
};

const ACCOUNT_WIDTH = 36;

function tableFormat(write: Write): Format {
  const line = (name: string, cells: readonly string[]) => {
    const padded = cells.map((cell, index) => cell.padStart(COLUMNS[index]?.[0].length ?? 0));
    return write(`${[name.padEnd(ACCOUNT_WIDTH), ...padded].join('  ')}\n`);
  };
  const figures = (sums: Sums) => COLUMNS.map(([, value]) => String(value(sums)));
  return {
    async begin({ planId, accountsOf, month }) {
      await write(`${month}, accounts of plan ${accountsOf}, priced by plan file ${planId}\n\n`);
      await line(
        'account_id',
        COLUMNS.map(([name]) => name),
      );
    },
    account: (account) => line(account.accountId, figures(account)),
    async end(totals) {
      await line(`total of ${totals.accounts}`, figures(totals));
      await write(refusalLines(totals));
    },
  };
}

/**
 * Totals are not in the file: whoever sums its columns must not count them twice. No cell needs quotes:
 * account ids have none of the characters that do. One that begins with a minus would be computed.
 */
function csvFormat(write: Write, note: Write): Format {
  const line = ([name = '', ...cells]: readonly (string | bigint)[]) =>
    write(`${[String(name).replace(/^-/, "'-"), ...cells].join(',')}\n`);
  return {
    begin: () => line(['account_id', ...COLUMNS.map(([name]) => name)]),
    account: (account) => line([account.accountId, ...COLUMNS.map(([, value]) => value(account))]),
    async end(totals) {
      const said = COLUMNS.map(([name, value]) => `${name} ${value(totals)}`).join(', ');
      await note(`${totals.accounts} accounts: ${said}\n${refusalLines(totals)}`);
    },
  };
}

/** Credits are text, as everywhere in JSON: some readers have no whole numbers above 2^53. */
function jsonFormat(write: Write): Format {
  let written = 0;
  const figures = (sums: Sums) =>
    Object.fromEntries(COLUMNS.map(([name, value]) => [name, String(value(sums))]));
  return {
    async begin({ planId, accountsOf, month }) {
      const heading = { plan_id: planId, accounts_of: accountsOf, month };
      await write(`${JSON.stringify(heading).slice(0, -1)},"accounts":[`);
    },
    async account(account) {
      written += 1;
      const object = { account_id: account.accountId, ...figures(account) };
      await write(`${written === 1 ? '' : ','}\n${JSON.stringify(object)}`);
    },
    async end(totals) {
      const refusals = totals.refusals.map(({ operation, reason, times, credits }) => ({
        operation,
        reason,
        usages: String(times),
        credits: String(credits),
      }));
      const total = { accounts: String(totals.accounts), ...figures(totals), refusals };
      await write(`\n],"total":${JSON.stringify(total)}}\n`);
    },
  };
}

const refusalLines = ({ refusals }: Totals): string =>
  refusals
    .map(
      ({ operation, reason, times, credits }) =>
        `refused: ${operation}, ${reason}, ${times} ${times === 1n ? 'usage' : 'usages'} that cost ${credits} credits\n`,
    )
    .join('');
