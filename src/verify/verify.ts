/**
 * The audit of a database: recomputes every balance, grant, reservation, request, statement and sequence
 * from the moves of the entries, and reports each discrepancy (README.md).
 *
 * Accounts are audited in groups, each in a snapshot of its own. No rule spans accounts, so this proves
 * as much as one snapshot of everything. A single long snapshot would keep VACUUM from removing the
 * dead rows of a busy service for the length of the audit.
 */
import pg from 'pg';
import type { AnchorSummary } from '../anchors/anchor-file.ts';
import type { RecordedCell } from '../cells/agreement.ts';
import { recordedCell, UnreadableMap } from '../cells/recorded-map.ts';
import { slotOf } from '../cells/slot.ts';
import type { Account } from '../ledger/account.ts';
import { inReadOnlySnapshot } from '../pg/cursor.ts';
import type { Row } from '../pg/table.ts';
import { accounts as table } from '../store/tables/accounts.ts';
import { type AccountGroup, loadGrants } from './account-group.ts';
import { type Anchor, checkAnchor } from './anchor.ts';
import { AuditedArchive, loadArchived } from './archive.ts';
import { checkEntries } from './entries.ts';
import { loadErasures } from './erasure.ts';
import { checkEvents, checkPositions } from './events.ts';
import { type Discrepancy, Findings, type Report } from './findings.ts';
import { Published } from './published.ts';
import { checkPurchases } from './purchases.ts';
import { checkRateCards } from './rate-cards.ts';
import { jsonTexts, readRow } from './readable-row.ts';
import { checkRefunds } from './refunds.ts';
import { checkRequests } from './requests.ts';
import { checkReservations } from './reservations.ts';
import { checkShadows } from './shadows.ts';
import { type Range, Snapshot } from './snapshot.ts';
import { checkStatements, loadClosedMonths } from './statements.ts';
import { checkTopUps } from './top-ups.ts';

export type VerifyOptions = {
  /** Audits this account only. */
  readonly accountId?: string;
  /** Continues after the first account with a discrepancy. */
  readonly all?: boolean;
  /** Where the files of archived entries are; null: nowhere. */
  readonly archiveDirectory?: string | null | undefined;
  /** Where those are that are not there; null: nowhere. */
  readonly earlierDirectory?: string | null | undefined;
  /** Compares the ledger with this anchor as well. */
  readonly anchor?: Anchor;
  /** Is called after each group of accounts. */
  readonly onProgress?: (progress: Progress) => void;
};

/** How many accounts were audited, and how many there were at the start. */
export type Progress = { readonly accounts: number; readonly of: number };

export type VerifyResult =
  | {
      readonly ok: true;
      readonly accounts: number;
      readonly entries: number;
      /** The anchor that was compared, if one was given. */
      readonly anchor?: AnchorSummary;
    }
  /** Those of no account come first, then in the order of the account ids. */
  | { readonly ok: false; readonly discrepancies: readonly Discrepancy[] };

/** The discrepancy of an account that was named and does not exist. */
export const NO_SUCH_ACCOUNT = 'there is no such account';

/** Limits of a group. A group has at least one account, however many grants that has. */
const ACCOUNTS_MAX = 1_000;
const GRANTS_MAX = 20_000n;

/** Audits the database. Rejects if it cannot be read. */
export async function verify(
  databaseUrl: string,
  options: VerifyOptions = {},
): Promise<VerifyResult> {
  const client = new pg.Client({ connectionString: databaseUrl, application_name: 'scrip verify' });
  client.on('error', () => {}); // after the loss of the connection the next query fails
  await client.connect();
  try {
    return await verifyOn(client, options);
  } finally {
    await client.end();
  }
}

/** The same on a connection that is open, and not in a transaction. */
export async function verifyOn(client: pg.Client, options: VerifyOptions): Promise<VerifyResult> {
  const ofNoAccount = new Set<string>();
  const { archiveDirectory = null, earlierDirectory = null } = options;
  const archive = await AuditedArchive.open(client, archiveDirectory, earlierDirectory, (what) => {
    ofNoAccount.add(what);
  });
  try {
    return await verifyAll(client, archive, ofNoAccount, options);
  } finally {
    await archive?.close();
  }
}

/** `ofNoAccount` has what was found of the archive, and gets what is found besides. */
async function verifyAll(
  client: pg.Client,
  archive: AuditedArchive | null,
  ofNoAccount: Set<string>,
  { accountId, all, anchor, onProgress }: VerifyOptions,
): Promise<VerifyResult> {
  const discrepancies: Discrepancy[] = [];
  let accounts = 0;
  let entries = 0;
  const cell = await readCell(client, (what) => ofNoAccount.add(what));
  const of = onProgress ? await countAccounts(client) : 0;
  let after: string | null = null;
  do {
    const ledger = { client, cell, archive };
    const audited: GroupResult = await auditNext(ledger, accountId ?? null, after, (what) => {
      ofNoAccount.add(what);
    });
    accounts += audited.accounts;
    entries += audited.entries;
    onProgress?.({ accounts, of });
    discrepancies.push(...audited.discrepancies);
    const hasFound = discrepancies.length > 0 || ofNoAccount.size > 0;
    after = hasFound && !all ? null : audited.next;
  } while (after !== null);
  discrepancies.unshift(...Array.from(ofNoAccount, (what) => ({ accountId: null, what })));
  if (accountId === undefined && (discrepancies.length === 0 || all))
    discrepancies.push(...(await checkPositions(client)));
  const anchored = anchor ? await checkAnchor(client, archive, anchor, cell) : null;
  discrepancies.push(...(anchored?.discrepancies ?? []));
  if (discrepancies.length > 0) return { ok: false, discrepancies };
  return { ok: true, accounts, entries, ...(anchored && { anchor: anchored.summary }) };
}

/** What the database says of the cell that it is. Null: it is the only one, or it cannot be read, which is reported. */
async function readCell(client: pg.Client, report: Report): Promise<RecordedCell | null> {
  try {
    return await recordedCell(client);
  } catch (error) {
    if (!(error instanceof UnreadableMap)) throw error;
    report(`cells: ${error.message}`);
    return null;
  }
}

async function countAccounts(client: pg.Client): Promise<number> {
  const { rows } = await client.query('select count(*) as accounts from accounts');
  return Number(rows[0].accounts);
}

type AuditedLedger = {
  readonly client: pg.Client;
  readonly cell: RecordedCell | null;
  /** Null: nothing is archived. */
  readonly archive: AuditedArchive | null;
};

type GroupResult = {
  readonly accounts: number;
  readonly entries: number;
  readonly discrepancies: readonly Discrepancy[];
  /** The last account of the group; null if there are no more. */
  readonly next: string | null;
};

/**
 * Audits the account `only`, or else the next accounts after the id `after`; null: the first ones. What was published is checked with
 * each group, and may be reported several times.
 */
async function auditNext(
  { client, cell, archive }: AuditedLedger,
  only: string | null,
  after: string | null,
  reportPublished: Report,
): Promise<GroupResult> {
  return await inReadOnlySnapshot(client, async () => {
    const findings = new Findings();
    const rows = await readAccounts(client, only, after, findings);
    const accounts = only === null ? limitGrants(rows) : rows;
    const last = accounts.at(-1)?.accountId ?? null;
    const more = accounts.length < rows.length || rows.length === ACCOUNTS_MAX;
    const next = only === null && more ? last : null;
    if (only !== null && rows.length === 0) findings.add(only, NO_SUCH_ACCOUNT);
    if (cell) checkSlots(cell, accounts, findings);

    const range: Range = only === null ? { after, upTo: next } : { only };
    const snapshot = new Snapshot(client, range);
    const byId = new Map(accounts.map((account) => [account.accountId, account]));
    const archived = await loadArchived(snapshot);
    if (!archive && archived.size > 0)
      throw new Error('entries were archived meanwhile: audit again');
    const report = (id: string, what: string) => findings.add(id, what);
    const filed = (await archive?.load(archived.values(), report)) ?? new Map<string, bigint>();
    const group: AccountGroup = {
      snapshot,
      published: await Published.load(client, reportPublished),
      accounts: byId,
      grants: await loadGrants(snapshot, findings),
      closedMonths: await loadClosedMonths(snapshot, byId),
      erasures: await loadErasures(snapshot),
      archived,
      filed,
      grantTerms: new Map(),
      budgets: new Map(),
      topUpsSince: new Map(),
      eventSeals: new Map(),
      findings,
    };
    const entries = await checkEntries(group);
    await checkRateCards(group);
    await checkReservations(group);
    await checkRefunds(group);
    await checkPurchases(group);
    await checkTopUps(group);
    await checkRequests(group);
    await checkStatements(group);
    await checkEvents(group);
    await checkShadows(group);
    const discrepancies = findings.list(group.accounts.keys());
    return { accounts: accounts.length, entries, discrepancies, next };
  });
}

async function readAccounts(
  client: pg.Client,
  only: string | null,
  after: string | null,
  findings: Findings,
): Promise<Account[]> {
  const first = after === null ? 'account_id >= $1' : 'account_id > $1';
  const condition = only === null ? first : 'account_id = $1';
  const { rows } = await client.query<Row>(
    `select ${table.selectList}, ${jsonTexts(table)} from accounts where ${condition} order by account_id limit $2`,
    [only ?? after ?? '', ACCOUNTS_MAX],
  );
  return rows.map((row) => readRow(table, row, (what) => findings.add(row['account_id']!, what)));
}

/** An account of another cell's slot is never found by the service, which looks for it there. */
function checkSlots({ name, map }: RecordedCell, accounts: readonly Account[], findings: Findings) {
  for (const { accountId } of accounts) {
    const slot = slotOf(accountId);
    const owner = map.cells[slot];
    if (owner !== name)
      findings.add(accountId, `it is in cell ${name}, and its slot ${slot} belongs to ${owner}`);
  }
}

/** The first accounts that together have at most GRANTS_MAX grants. */
function limitGrants(accounts: readonly Account[]): readonly Account[] {
  let grants = 0n;
  const end = accounts.findIndex((account, index) => {
    grants += account.grantCount;
    return index > 0 && grants > GRANTS_MAX;
  });
  return end === -1 ? accounts : accounts.slice(0, end);
}
