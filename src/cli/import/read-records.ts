/** Reads an import file record by record: whatever its size, one account of it is in memory. */
import { formatPath, validate } from '../../pricing/plan-file/validation-error.ts';
import { isCsv, jsonRows } from '../read-rows.ts';
import { csvAccounts } from './csv-accounts.ts';
import { type ImportRecord, RECORD } from './record.ts';

/** What is wrong, and where. `field` is empty where it is the line as a whole. */
export type Mistake = {
  readonly line: number;
  readonly account: string;
  readonly field: string;
  /** Such as PACK_NOT_FOUND; INVALID_FIELD for what cannot be read. */
  readonly reason: string;
  readonly message: string;
};

/** An account as it stands in the file. `lineOf` is the line that has a field, by its path in the record. */
export type RawAccount = {
  readonly line: number;
  readonly lineOf: (field: string) => number;
  readonly value: Readonly<Record<string, unknown>>;
};

export type ReadAccount = Pick<RawAccount, 'line' | 'lineOf'> &
  (
    | { readonly record: ImportRecord }
    /** `ofAll`: no record of the file can be relied on. */
    | { readonly mistakes: readonly Mistake[]; readonly ofAll?: boolean }
  );

/** The format follows from the name of the file. */
export async function* readRecords(path: string): AsyncGenerator<ReadAccount, void, void> {
  const accounts = isCsv(path) ? csvAccounts(path) : jsonAccounts(path);
  const lines = new Map<string, number>();
  for await (const account of accounts) {
    if ('ofHeading' in account)
      yield { line: 1, lineOf: () => 1, mistakes: [account.ofHeading], ofAll: true };
    else if ('value' in account) yield readAccount(account, lines);
    else yield { line: account.line, lineOf: () => account.line, mistakes: [account] };
  }
}

/** `lines` has the accounts before it. */
function readAccount(account: RawAccount, lines: Map<string, number>): ReadAccount {
  const { line, lineOf, value } = account;
  const named = value['account_id'];
  const accountId = typeof named === 'string' ? named : '';
  const mistake = (field: string, message: string): Mistake => ({
    line: lineOf(field),
    account: accountId,
    field,
    reason: 'INVALID_FIELD',
    message,
  });
  const before = lines.get(accountId);
  if (before !== undefined)
    return { line, lineOf, mistakes: [mistake('account_id', `is in line ${before} already`)] };
  if (accountId !== '') lines.set(accountId, line);
  const read = validate(RECORD, value);
  if ('value' in read) return { line, lineOf, record: read.value };
  return {
    line,
    lineOf,
    mistakes: read.errors.map(({ path, reason }) => mistake(formatPath(path), reason)),
  };
}

async function* jsonAccounts(path: string): AsyncGenerator<RawAccount | Mistake, void, void> {
  for await (const { line, value } of jsonRows(path)) {
    if (value) yield { line, lineOf: () => line, value };
    else
      yield {
        line,
        account: '',
        field: '',
        reason: 'INVALID_FIELD',
        message: 'is not one JSON object',
      };
  }
}
