/**
 * Accounts of a CSV file. Each row says in `row` what it is: an account, or a grant, purchase, month or usage of the
 * account above it. The columns of a row are those of its kind; the others are empty.
 */
import { CsvError } from 'csv-parse';
import { suggestion } from '../../nearest-name.ts';
import { csvRows } from '../read-rows.ts';
import type { Mistake, RawAccount } from './read-records.ts';
import { repetitionOf, type Survey, surveyCsv } from './survey.ts';

const SPENDING = ['credits', 'spent', 'spent_this_month'] as const;

/** The columns of each kind of row, besides `account_id` and `row`. */
export const CSV_COLUMNS = {
  account: ['plan_id', 'opened_at', 'time_zone', 'display_name', 'labels', 'reference'],
  grant: [
    'source',
    'category',
    ...SPENDING,
    'effective_at',
    'expires_at',
    'priority',
    'operations',
    'reference',
  ],
  purchase: [
    'pack_id',
    'quantity',
    ...SPENDING,
    'price',
    'paid_at',
    'expires_at',
    'payment_reference',
    'payment_intent_id',
  ],
  month: ['month', 'overage'],
  usage: ['operation', 'count', 'credits'],
} as const;

type Kind = keyof typeof CSV_COLUMNS;
const KINDS = Object.keys(CSV_COLUMNS) as readonly Kind[];
const ALL_COLUMNS: ReadonlySet<string> = new Set([
  'account_id',
  'row',
  ...Object.values(CSV_COLUMNS).flat(),
]);

type Cells = Readonly<Record<string, string>>;

/** An account whose rows are being read. */
type Draft = {
  readonly accountId: string;
  readonly line: number;
  readonly account: Cells;
  readonly grants: { readonly line: number; readonly value: object }[];
  readonly purchases: { readonly line: number; readonly value: object }[];
  month: { readonly line: number; readonly value: object } | null;
  readonly usage: { readonly line: number; readonly value: object }[];
};

/** No account can be relied upon: each may lack what a column has, or what follows a row that cannot be read. */
type MistakeOfAll = { readonly ofAll: Mistake };

export async function* csvAccounts(
  path: string,
): AsyncGenerator<RawAccount | Mistake | MistakeOfAll, void, void> {
  const survey = await surveyCsv(path);
  if (survey.unreadable) yield { ofAll: unreadable(survey.unreadable) };
  const wrong: Mistake[] = [];
  const rows = csvRows(path, (names) => wrong.push(...mistakesOfHeading(names)));
  const accounts = new Accounts(survey);
  try {
    for await (const { line, cells } of rows) {
      for (const mistake of wrong.splice(0)) yield { ofAll: mistake };
      yield* accounts.addRow(cells, line);
    }
  } catch (error) {
    // The account in progress is not complete.
    if (error instanceof CsvError) return;
    throw error;
  }
  yield* accounts.end();
}

const unreadable = (error: CsvError): Mistake =>
  toMistake('', Number(error['lines'] ?? 1), '', `cannot be read: ${error.message}`);

/** Puts rows together to accounts. */
class Accounts {
  readonly #survey: Survey;
  #draft: Draft | null = null;
  /** Accounts with a mistake, since the last account row: their further rows say nothing more. */
  readonly #skipped = new Set<string>();

  constructor(survey: Survey) {
    this.#survey = survey;
  }

  *addRow(row: Cells, line: number): Generator<RawAccount | Mistake, void, void> {
    const accountId = row['account_id'] ?? '';
    const begins = row['row'] === 'account';
    if (begins) yield* this.end();
    else if (this.#skipped.has(accountId)) return;
    const mistake = begins ? this.#mistakeOf(row, line) : addRow(this.#draft, row, line);
    if (mistake) yield this.#skip(accountId, mistake);
    else if (begins) this.#draft = newDraft(accountId, row, line);
  }

  /** What is wrong with an account row. */
  #mistakeOf(row: Cells, line: number): Mistake | null {
    const accountId = row['account_id'] ?? '';
    const elsewhere = this.#survey.misplaced.get(accountId);
    const wrong =
      repetitionOf(this.#survey, accountId, line) ??
      (elsewhere === undefined ? null : `has a row in line ${elsewhere}, not below it`);
    return (
      strayCell(row, 'account', line) ??
      (wrong === null ? null : toMistake(accountId, line, 'account_id', wrong))
    );
  }

  /** A row of another account may have been meant for the one above it, which is skipped as well. */
  #skip(accountId: string, mistake: Mistake): Mistake {
    const above = this.#draft?.accountId ?? accountId;
    this.#skipped.add(accountId).add(above);
    this.#draft = null;
    return above === accountId
      ? mistake
      : { ...mistake, message: `${mistake.message}; ${above} is not imported either` };
  }

  /** The account that is complete, now that another begins. */
  *end(): Generator<RawAccount, void, void> {
    if (this.#draft) yield toAccount(this.#draft);
    this.#draft = null;
    this.#skipped.clear();
  }
}

const newDraft = (accountId: string, account: Cells, line: number): Draft => ({
  accountId,
  line,
  account,
  grants: [],
  purchases: [],
  month: null,
  usage: [],
});

const toMistake = (account: string, line: number, field: string, message: string): Mistake => ({
  line,
  account,
  field,
  reason: 'INVALID_FIELD',
  message,
});

const mistakesOfHeading = (names: readonly string[]): readonly Mistake[] =>
  names.flatMap((name, index) => {
    if (!ALL_COLUMNS.has(name))
      return toMistake('', 1, name, `is no column${suggestion(name, ALL_COLUMNS).text}`);
    return names.indexOf(name) < index ? toMistake('', 1, name, 'is a column already') : [];
  });

/** Adds a row to the account that it belongs to. Returns why that is not possible. */
function addRow(draft: Draft | null, row: Cells, line: number): Mistake | null {
  const accountId = row['account_id'] ?? '';
  const kind = KINDS.find((one) => one === row['row']);
  if (!kind)
    return toMistake(accountId, line, 'row', `must be ${KINDS.join(', ')}, and is "${row['row']}"`);
  if (draft?.accountId !== accountId)
    return toMistake(accountId, line, 'account_id', 'must be that of the account row above it');
  const stray = strayCell(row, kind, line);
  if (stray) return stray;
  const value = cellsOf(row, kind);
  if (kind === 'grant') draft.grants.push({ line, value });
  else if (kind === 'purchase') draft.purchases.push({ line, value });
  else if (kind === 'usage') draft.usage.push({ line, value });
  else if (draft.month)
    return toMistake(accountId, line, 'row', 'is a second month of the account');
  else draft.month = { line, value };
  return null;
}

/** A cell in a column of other rows was meant for one of them. */
function strayCell(row: Cells, kind: Kind, line: number): Mistake | null {
  const columns: readonly string[] = CSV_COLUMNS[kind];
  const stray = Object.keys(row).find(
    (name) =>
      row[name] !== '' &&
      ALL_COLUMNS.has(name) &&
      !['account_id', 'row'].includes(name) &&
      !columns.includes(name),
  );
  return stray === undefined
    ? null
    : toMistake(row['account_id'] ?? '', line, stray, `must be empty in a row of ${kind}`);
}

/** As an object of the JSON format. Cells are texts; an empty one is not there. */
function cellsOf(row: Cells, kind: Kind): Readonly<Record<string, unknown>> {
  const cells = CSV_COLUMNS[kind].flatMap((name): readonly [string, unknown][] => {
    const cell = row[name] ?? '';
    if (cell === '') return [];
    if (name === 'operations') return [[name, cell.split(';').map((part) => part.trim())]];
    if (name === 'labels') return [[name, labelsOf(cell)]];
    return [[name, cell]];
  });
  return Object.fromEntries(cells);
}

/** "team=media;site=oslo". What is no label stays as it is, so that it is reported. */
function labelsOf(cell: string): unknown {
  const pairs = cell.split(';').map((part) => /^\s*([^=]+)=(.*?)\s*$/.exec(part));
  return pairs.every((pair) => pair !== null)
    ? Object.fromEntries(pairs.map(([, name, value]) => [name, value]))
    : cell;
}

function toAccount({
  accountId,
  line,
  account,
  grants,
  purchases,
  month,
  usage,
}: Draft): RawAccount {
  const parts = { grants, purchases, 'month.usage': usage };
  const usageLine = usage[0]?.line ?? line;
  return {
    line,
    lineOf: (field) => {
      const [, list, index] = /^(grants|purchases|month\.usage)\[(\d+)\]/.exec(field) ?? [];
      if (list) return parts[list as keyof typeof parts][Number(index)]?.line ?? line;
      return field.startsWith('month') ? (month?.line ?? usageLine) : line;
    },
    value: {
      account_id: accountId,
      ...cellsOf(account, 'account'),
      grants: grants.map(({ value }) => value),
      purchases: purchases.map(({ value }) => value),
      ...((month || usage.length > 0) && {
        month: { ...month?.value, usage: usage.map(({ value }) => value) },
      }),
    },
  };
}
