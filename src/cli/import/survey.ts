/**
 * The first reading of a file finds what the second cannot know of an account in time: what else the file has of it,
 * further down. An account is imported once, and would miss that for ever.
 */
import { CsvError } from 'csv-parse';
import { csvRows, jsonRows } from '../read-rows.ts';

/** The lines of an account that is in a file more than once. */
type Repeated = { readonly first: number; readonly next: number };

export type Survey = {
  readonly repeated: ReadonlyMap<string, Repeated>;
  /** Of CSV: the accounts that have a row which is not below their account row, with the line of the first. */
  readonly misplaced: ReadonlyMap<string, number>;
  /** Of CSV: why its rows cannot be read to the end. */
  readonly unreadable: CsvError | null;
};

/** What is wrong with an account because it is in another line, too. Null: it is not. */
export function repetitionOf({ repeated }: Survey, accountId: string, line: number): string | null {
  const lines = repeated.get(accountId);
  if (!lines) return null;
  return line === lines.first
    ? `is in line ${lines.next} as well`
    : `is in line ${lines.first} already`;
}

export async function surveyJson(path: string): Promise<Survey> {
  const accounts = new AccountLines();
  for await (const { line, value } of jsonRows(path)) {
    const accountId = value?.['account_id'];
    if (typeof accountId === 'string') accounts.add(accountId, line);
  }
  return { repeated: accounts.repeated, misplaced: new Map(), unreadable: null };
}

export async function surveyCsv(path: string): Promise<Survey> {
  const accounts = new AccountLines();
  const misplaced = new Map<string, number>();
  let above: string | null = null;
  let unreadable: CsvError | null = null;
  try {
    for await (const { line, cells } of csvRows(path)) {
      const accountId = cells['account_id'] ?? '';
      if (cells['row'] === 'account') {
        above = accountId;
        accounts.add(accountId, line);
      } else if (accountId !== above && !misplaced.has(accountId)) misplaced.set(accountId, line);
    }
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    unreadable = error;
  }
  return { repeated: accounts.repeated, misplaced, unreadable };
}

class AccountLines {
  readonly #first = new Map<string, number>();
  readonly repeated = new Map<string, Repeated>();

  add(accountId: string, line: number) {
    // Whoever reads the account says that it has no id.
    if (accountId === '') return;
    const first = this.#first.get(accountId);
    if (first === undefined) this.#first.set(accountId, line);
    else if (!this.repeated.has(accountId)) this.repeated.set(accountId, { first, next: line });
  }
}
