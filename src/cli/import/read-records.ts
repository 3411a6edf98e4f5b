/** Reads an import file record by record: whatever its size, one account of it is in memory. */
import { stat } from 'node:fs/promises';
import { formatPath, validate } from '../../pricing/plan-file/validation-error.ts';
import { isCsv, jsonRows } from '../read-rows.ts';
import { csvAccounts } from './csv-accounts.ts';
import { type ImportRecord, RECORD } from './record.ts';
import { repetitionOf, surveyJson } from './survey.ts';

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

/** The format follows from the name of the file, which is read twice. */
export async function* readRecords(path: string): AsyncGenerator<ReadAccount, void, void> {
  // Of a pipe the second reading would find nothing, and say that all is well.
  if (!(await stat(path)).isFile()) throw new Error(`${path} must be a file: it is read twice`);
  const accounts = isCsv(path) ? csvAccounts(path) : jsonAccounts(path);
  for await (const account of accounts) {
    if ('value' in account) yield readAccount(account);
    else if ('ofAll' in account) yield { ...unreadable(account.ofAll), ofAll: true };
    else yield unreadable(account);
  }
}

const unreadable = (mistake: Mistake) => ({
  line: mistake.line,
  lineOf: () => mistake.line,
  mistakes: [mistake],
});

/** Empty if it has none. */
function accountIdOf({ account_id: named }: RawAccount['value']): string {
  return typeof named === 'string' ? named : '';
}

function readAccount(account: RawAccount): ReadAccount {
  const { line, lineOf, value } = account;
  const accountId = accountIdOf(value);
  const mistake = (field: string, message: string): Mistake => ({
    line: lineOf(field),
    account: accountId,
    field,
    reason: 'INVALID_FIELD',
    message,
  });
  const read = validate(RECORD, value);
  if ('value' in read) return { line, lineOf, record: read.value };
  return {
    line,
    lineOf,
    mistakes: read.errors.map(({ path, reason }) => mistake(formatPath(path), reason)),
  };
}

async function* jsonAccounts(path: string): AsyncGenerator<RawAccount | Mistake, void, void> {
  const survey = await surveyJson(path);
  for await (const { line, value } of jsonRows(path)) {
    const wrong = { line, account: '', field: '', reason: 'INVALID_FIELD' };
    if (!value) {
      yield { ...wrong, message: 'is not one JSON object' };
      continue;
    }
    const account = accountIdOf(value);
    const repetition = repetitionOf(survey, account, line);
    if (repetition === null) yield { line, lineOf: () => line, value };
    else yield { ...wrong, account, field: 'account_id', message: repetition };
  }
}
