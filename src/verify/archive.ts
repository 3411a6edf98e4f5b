/**
 * Archived entries, in front of the others: a temporary view `entries` has the rows of the table and those of the files, so
 * that every check reads both. Each file is the one that was recorded, by its hash.
 */
import pg from 'pg';
import { openRecorded } from '../archive/archive.ts';
import type { EntryFile } from '../archive/entry-file.ts';
import { rowJson } from '../archive/entry-row.ts';
import { type FileRow, rowOf } from '../archive/parquet-columns.ts';
import { millis } from '../pg/millis.ts';
import type { Row } from '../pg/table.ts';
import { type ArchivedFile, archiveFiles } from '../store/tables/archive.ts';
import type { Report } from './findings.ts';
import type { Snapshot } from './snapshot.ts';

/** What the database states of the archive of an account. */
export type ArchivedAccount = {
  readonly accountId: string;
  readonly seq: bigint;
  readonly at: number | null;
  readonly requestsSeq: bigint;
  readonly key: Uint8Array | null;
};

/** Rows of one insert. */
const ROWS_MAX = 2_000;

export class AuditedArchive {
  readonly #client: pg.Client;
  readonly #directory: string;
  readonly #earlierDirectory: string | null;
  readonly #report: Report;
  /** Null: it is missing, or another one. */
  readonly #files = new Map<string, EntryFile | null>();

  /** Outside of a transaction. Null: nothing is archived. Makes the view, for which it needs the privilege TEMPORARY. */
  static async open(
    client: pg.Client,
    directory: string | null,
    earlierDirectory: string | null,
    report: Report,
  ): Promise<AuditedArchive | null> {
    const { rows } = await client.query<{ schema: string; exists: boolean }>(
      `select current_schema as schema,
         exists (select from archived_accounts) or exists (select from archive_files) as exists`,
    );
    if (!rows[0]?.exists) return null;
    if (directory === null)
      throw new Error(
        'entries are archived: ARCHIVE_DIRECTORY must name the directory of their files',
      );
    await createView(client, pg.escapeIdentifier(rows[0].schema));
    const archive = new AuditedArchive(client, directory, earlierDirectory, report);
    for (const file of await archive.#recorded()) await archive.#open(file);
    return archive;
  }

  private constructor(
    client: pg.Client,
    directory: string,
    earlierDirectory: string | null,
    report: Report,
  ) {
    this.#client = client;
    this.#directory = directory;
    this.#earlierDirectory = earlierDirectory;
    this.#report = report;
  }

  /**
   * In a transaction, whose end empties the view again: adds the archived entries of accounts. `report` is told of rows
   * that cannot be read. Resolves to the last entry of each account that files have.
   */
  async load(
    accounts: Iterable<ArchivedAccount>,
    report: (accountId: string, what: string) => void,
  ): Promise<ReadonlyMap<string, bigint>> {
    const filed = new Map<string, bigint>();
    const byId = new Map([...accounts].map((account) => [account.accountId, account]));
    if (byId.size === 0) return filed;
    const ids = [...byId.keys()].sort();
    const [first, last] = [ids[0] as string, ids.at(-1) as string];
    let batch: string[] = [];
    for (const recorded of await this.#recorded()) {
      const file = await this.#open(recorded);
      if (!file || recorded.firstAccount > last || recorded.lastAccount < first) continue;
      for await (const rows of file.accounts(first, last))
        for (const row of rows) {
          const account = byId.get(row['account_id'] as string);
          if (!account) continue;
          filed.set(account.accountId, row['seq'] as bigint);
          if ((row['seq'] as bigint) > account.seq) continue;
          batch.push(rowJson(readRow(row, account, report)));
          if (batch.length < ROWS_MAX) continue;
          await this.#insert(batch);
          batch = [];
        }
    }
    if (batch.length > 0) await this.#insert(batch);
    return filed;
  }

  /** The same of accounts by their ids. What cannot be read was reported before. */
  async loadAccounts(accountIds: readonly string[]) {
    const { rows } = await this.#client.query<Row>(
      `select ${ACCOUNT_LIST} from archived_accounts where account_id = any($1::text[])`,
      [accountIds],
    );
    await this.load(rows.map(toAccount), () => {});
  }

  /** Takes the view away again. */
  async close() {
    const statement = 'drop view pg_temp.entries; drop table pg_temp.archived_entries';
    // Where the connection is lost, they are gone.
    await this.#client.query(statement).catch(() => {});
  }

  async #insert(rows: readonly string[]) {
    await this.#client.query(
      `insert into pg_temp.archived_entries
       select * from json_populate_recordset(null::pg_temp.archived_entries, $1::json)`,
      [`[${rows.join(',')}]`],
    );
  }

  async #recorded(): Promise<readonly ArchivedFile[]> {
    const { rows } = await this.#client.query<Row>(
      `select ${archiveFiles.selectList} from archive_files order by month, part`,
    );
    return rows.map(archiveFiles.read);
  }

  async #open(recorded: ArchivedFile): Promise<EntryFile | null> {
    const known = this.#files.get(recorded.name);
    if (known !== undefined) return known;
    let file: EntryFile | null = null;
    try {
      file = await openRecorded(this.#directory, recorded, this.#earlierDirectory);
      for (const what of differencesOf(file, recorded))
        this.#report(`file ${recorded.name} of the archive: ${what}`);
    } catch (failure) {
      this.#report((failure as { readonly message: string }).message);
    }
    this.#files.set(recorded.name, file);
    return file;
  }
}

/** What its row states of a file, beside its hash. */
function differencesOf(
  file: EntryFile,
  { name, month, part, entries, firstAccount, lastAccount }: ArchivedFile,
): readonly string[] {
  const { first, last } = file.bounds;
  const begin = `entries-${month}-${String(part).padStart(4, '0')}-`;
  const compare = (what: string, stated: unknown, found: unknown) =>
    stated === found ? [] : [`${what} is ${stated}, the file says ${found}`];
  return [
    ...(name.startsWith(begin) ? [] : [`it is not of part ${part} of ${month}`]),
    ...compare('entries', entries, file.rows),
    ...compare('first_account', firstAccount, first),
    ...compare('last_account', lastAccount, last),
  ];
}

/** Rows of the table that jobs keep there, although they are archived, count once: those of the files. */
async function createView(client: pg.Client, schema: string) {
  await client.query(`create temporary table archived_entries (like ${schema}.entries)`);
  for (const columns of [
    'account_id, seq',
    'reservation_id',
    'purchase_id',
    'account_id, refunded_seq',
  ])
    await client.query(`create index on pg_temp.archived_entries (${columns})`);
  await client.query(
    `create temporary view entries as
     select e.* from ${schema}.entries e where not exists (
       select from ${schema}.archived_accounts b where b.account_id = e.account_id and b.seq >= e.seq)
     union all select * from pg_temp.archived_entries`,
  );
}

/** An entry whose personal data cannot be decrypted is audited as an erased one. */
function readRow(
  row: FileRow,
  { accountId, key }: ArchivedAccount,
  report: (accountId: string, what: string) => void,
) {
  try {
    return rowOf(row, key);
  } catch {
    report(
      accountId,
      `entry ${row['seq']}: the key of its account does not decrypt its personal data`,
    );
    return rowOf(row, null);
  }
}

/** Of the accounts of a snapshot, those that do not exist included. */
export async function loadArchived(
  snapshot: Snapshot,
): Promise<ReadonlyMap<string, ArchivedAccount>> {
  const found = new Map<string, ArchivedAccount>();
  const rows = snapshot.rows(
    (inRange) => `select ${ACCOUNT_LIST} from archived_accounts where ${inRange('account_id')}`,
  );
  for await (const row of rows) found.set(row['account_id']!, toAccount(row));
  return found;
}

const ACCOUNT_LIST = `account_id, seq, ${millis('at')}, requests_seq, key`;

const toAccount = (row: Row): ArchivedAccount => ({
  accountId: row['account_id']!,
  seq: BigInt(row['seq']!),
  at: row['at']!,
  requestsSeq: BigInt(row['requests_seq']!),
  key: row['key']!,
});
