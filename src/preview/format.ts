/** Writes a preview as a table for people, as CSV for spreadsheets, or as one JSON document. */
import { differenceOf, type Overage, type OverageTotals } from './overage.ts';
import type { AccountPreview, Sums, Totals } from './preview.ts';

/** Writes a part of the output. Resolves when the output accepts more. */
export type Write = (text: string) => Promise<void>;

export type Heading = {
  readonly planId: string;
  readonly accountsOf: string;
  readonly month: string;
  /** Whether a plan has rates, so that overage and bills are shown. */
  readonly showsOverage: boolean;
};

export type Format = {
  readonly begin: (heading: Heading) => Promise<void>;
  readonly account: (account: AccountPreview) => Promise<void>;
  readonly end: (totals: Totals) => Promise<void>;
};

type Column = readonly [name: string, value: (sums: Sums) => bigint];

/** Credits beyond the allowance have to be paid for. */
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

const OVERAGE_COLUMNS = [
  'overage_then',
  'overage_now',
  'estimated',
  'bill_then',
  'currency_then',
  'bill_now',
  'currency_now',
];

/** An amount and its currency are two cells, so that a spreadsheet can sum the first. Empty: not billed. */
function overageCells(overage: Overage | null): readonly string[] {
  if (overage === null) return [];
  const { overageThen, overageNow, estimated, billThen, billNow } = overage;
  const bills = [billThen, billNow].flatMap((bill) => [bill?.amount ?? '', bill?.currency ?? '']);
  return [`${overageThen}`, `${overageNow}`, estimated ? 'yes' : 'no', ...bills];
}

const namesOf = ({ showsOverage }: Heading): readonly string[] => [
  ...COLUMNS.map(([name]) => name),
  ...(showsOverage ? OVERAGE_COLUMNS : []),
];

const cellsOf = (account: AccountPreview): readonly string[] => [
  ...COLUMNS.map(([, value]) => String(value(account))),
  ...overageCells(account.overage),
];

/** `write` writes the output. `writeNote` writes what the format has no place for. */
export const FORMATS: Readonly<Record<string, (write: Write, writeNote: Write) => Format>> = {
  table: tableFormat,
  csv: csvFormat,
  json: jsonFormat,
};

const ACCOUNT_WIDTH = 36;

/** Rows that wait until it is known which columns differ. With more accounts than these, all columns are shown. */
const ROWS_MAX = 10_000;

/** What is shown together, if the first two differ for any account. */
const PAIRS: readonly (readonly string[])[] = [
  ['credits_then', 'credits_now', 'difference'],
  ['beyond_allowance_then', 'beyond_allowance_now'],
  ['overage_then', 'overage_now'],
  ['bill_then', 'bill_now', 'currency_then', 'currency_now'],
  ['currency_then', 'currency_now'],
];

/** What is shown if it is something for any account. */
const REMARKS: Readonly<Record<string, string>> = {
  unnamed_credits: '0',
  refused_usages: '0',
  refused_credits: '0',
  estimated: 'no',
};

type Row = { readonly name: string; readonly cells: readonly string[] };

/** The names of the columns that say how the accounts differ. */
function differing(names: readonly string[], rows: readonly Row[]): ReadonlySet<string> {
  const some = (test: (cell: (name: string) => string) => boolean): boolean =>
    rows.some(({ cells }) => test((name) => cells[names.indexOf(name)] ?? ''));
  const shown = PAIRS.filter(([before = '', after = '']) =>
    some((cell) => cell(before) !== cell(after)),
  ).flat();
  const remarks = Object.entries(REMARKS)
    .filter(([name, nothing]) => some((cell) => !['', nothing].includes(cell(name))))
    .map(([name]) => name);
  return new Set([...shown, ...remarks]);
}

function tableFormat(write: Write): Format {
  let names: readonly string[] = [];
  let heading: Heading | undefined;
  /** Undefined once they were written: what follows is written at once. */
  let waiting: Row[] | undefined = [];
  let shown: ReadonlySet<string> = new Set();
  const line = ({ name, cells }: Row) => {
    const padded = cells
      .map((cell, index) => cell.padStart(names[index]?.length ?? 0))
      .filter((_, index) => shown.has(names[index] ?? ''));
    return write(`${[name.padEnd(ACCOUNT_WIDTH), ...padded].join('  ').trimEnd()}\n`);
  };
  const writeRows = async (rows: readonly Row[], columns: ReadonlySet<string>) => {
    shown = new Set(['charges', ...columns]);
    await line({ name: 'account_id', cells: names });
    for (const row of rows) await line(row);
  };
  return {
    async begin(of) {
      const { planId, accountsOf, month } = of;
      heading = of;
      names = namesOf(of);
      await write(`${month}, accounts of plan ${accountsOf}, priced by plan file ${planId}\n\n`);
    },
    async account(account) {
      const row = { name: account.accountId, cells: cellsOf(account) };
      if (!waiting) return await line(row);
      waiting.push(row);
      if (waiting.length < ROWS_MAX) return;
      await writeRows(waiting, new Set(names));
      waiting = undefined;
    },
    async end(totals) {
      const { accounts, overage } = totals;
      if (waiting) {
        const columns = differing(names, waiting);
        if (columns.size === 0 && heading) return await write(sameText(heading, totals));
        await writeRows(waiting, columns);
      }
      const figures = COLUMNS.map(([, value]) => value(totals));
      const ofOverage = overage ? [overage.overageThen, overage.overageNow, overage.estimated] : [];
      const cells = [...figures, ...ofOverage].map(String);
      await line({ name: `total of ${accounts}`, cells });
      await write(`${billLines(overage)}${refusalLines(totals)}`);
    },
  };
}

/** Why there is nothing to compare. */
function sameText({ accountsOf, planId, month }: Heading, totals: Totals): string {
  const { accounts, charges, creditsThen } = totals;
  if (accounts === 0n)
    return `no account is on plan ${accountsOf}: --accounts-of names another plan\n`;
  const all = accounts === 1n ? 'the one account' : `the ${accounts} accounts`;
  if (charges === 0n)
    return `no difference: ${all} of plan ${accountsOf} used nothing in ${month}; --month names another month\n`;
  return `no difference: ${all} of plan ${accountsOf} would have paid the same ${creditsThen} credits by ${planId}\n`;
}

/**
 * Totals are not part of the CSV, so that summing a column does not count them twice. No cell needs quotes,
 * because of the characters allowed in account ids. A leading minus is escaped: a spreadsheet would compute.
 */
function csvFormat(write: Write, writeNote: Write): Format {
  const line = ([name = '', ...cells]: readonly string[]) =>
    write(`${[name.replace(/^-/, "'-"), ...cells].join(',')}\n`);
  return {
    begin: (heading) => line(['account_id', ...namesOf(heading)]),
    account: (account) => line([account.accountId, ...cellsOf(account)]),
    async end(totals) {
      const { accounts, overage } = totals;
      const figures = COLUMNS.map(([name, value]) => `${name} ${value(totals)}`);
      if (overage)
        figures.push(
          `overage_then ${overage.overageThen}`,
          `overage_now ${overage.overageNow}`,
          `estimated ${overage.estimated}`,
        );
      await writeNote(
        `${accounts} accounts: ${figures.join(', ')}\n${billLines(overage)}${refusalLines(totals)}`,
      );
    },
  };
}

/** Credits are text: many JSON readers have no whole numbers above 2^53. */
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
      const object = {
        account_id: account.accountId,
        ...figures(account),
        ...(account.overage && overageJson(account.overage)),
      };
      await write(`${written === 1 ? '' : ','}\n${JSON.stringify(object)}`);
    },
    async end(totals) {
      const refusals = totals.refusals.map(({ operation, reason, times, credits }) => ({
        operation,
        reason,
        usages: String(times),
        credits: String(credits),
      }));
      const total = {
        accounts: String(totals.accounts),
        ...figures(totals),
        ...(totals.overage && overageTotalsJson(totals.overage)),
        refusals,
      };
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

const overageJson = ({ overageThen, overageNow, estimated, billThen, billNow }: Overage) => ({
  overage_then: String(overageThen),
  overage_now: String(overageNow),
  estimated,
  bill_then: billThen,
  bill_now: billNow,
});

const overageTotalsJson = ({ overageThen, overageNow, estimated, bills }: OverageTotals) => ({
  overage_then: String(overageThen),
  overage_now: String(overageNow),
  estimated: String(estimated),
  bills: bills.map((bill) => ({
    currency: bill.currency,
    bill_then: bill.billThen.amount,
    bill_now: bill.billNow.amount,
    difference: differenceOf(bill).amount,
  })),
});

const billLines = (overage: OverageTotals | null): string =>
  (overage?.bills ?? [])
    .map(
      (bill) =>
        `billed in ${bill.currency}: ${bill.billThen.amount} then, ${bill.billNow.amount} now, difference ${differenceOf(bill).amount}\n`,
    )
    .join('');
