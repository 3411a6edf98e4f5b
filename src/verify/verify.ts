/**
 * Closing the books: recomputes every balance, grant, reservation, request, statement and sequence of a
 * database from the moves of its entries alone, and tells what does not agree. It shares the shapes
 * of rows and the definition of the hash chain with the ledger, and none of its rules. It finds what
 * was falsified in part; who rewrites a whole account, requests and all, is given away only by a hash
 * of it that was kept elsewhere.
 *
 * Accounts are audited in groups, each in a snapshot of its own. No rule spans accounts, so this
 * proves as much as one snapshot of everything would, and does not keep the database from cleaning
 * up after a busy service for as long as a large audit takes.
 */
import pg from 'pg';
import type { Account } from '../ledger/account.ts';
import { inReadOnlySnapshot } from '../pg/cursor.ts';
import type { Row } from '../pg/table.ts';
import { accounts as table } from '../store/tables/accounts.ts';
import { type AccountGroup, loadGrants } from './account-group.ts';
import { checkEntries } from './entries.ts';
import { checkEvents, checkPositions } from './events.ts';
import { type Discrepancy, Findings } from './findings.ts';
import { checkPurchases } from './purchases.ts';
import { checkRateCards } from './rate-cards.ts';
import { checkRefunds } from './refunds.ts';
import { checkRequests } from './requests.ts';
import { checkReservations } from './reservations.ts';
import { type Range, Snapshot } from './snapshot.ts';
import { checkStatements, loadClosedUntil } from './statements.ts';
import { checkTopUps } from './top-ups.ts';

export type VerifyOptions = {
  /** Only this account. */
  readonly accountId?: string;
  /** Go on after the first account that does not agree. */
  readonly all?: boolean;
};

export type VerifyResult =
  | { readonly ok: true; readonly accounts: number; readonly entries: number }
  /** In the database's order of the accounts; of each what was found in the order of the audit. */
  | { readonly ok: false; readonly discrepancies: readonly Discrepancy[] };

/** What is told of an account that was asked for by name. */
export const NO_SUCH_ACCOUNT = 'there is no such account';

/** Accounts and grants of a group at most; one account is taken whatever its grants. */
const ACCOUNTS_MAX = 1_000;
const GRANTS_MAX = 20_000n;

/** Audits the database; rejects where it cannot be read. */
export async function verify(
  databaseUrl: string,
  options: VerifyOptions = {},
): Promise<VerifyResult> {
  const client = new pg.Client({ connectionString: databaseUrl, application_name: 'scrip verify' });
  client.on('error', () => {}); // a connection lost between two queries fails the next one
  await client.connect();
  try {
    return await auditAll(client, options);
  } finally {
    await client.end();
  }
}

async function auditAll(
  client: pg.Client,
  { accountId, all }: VerifyOptions,
): Promise<VerifyResult> {
  const discrepancies: Discrepancy[] = [];
  let accounts = 0;
  let entries = 0;
  let after: string | null = '';
  while (after !== null) {
    const audited: Audited = await auditNext(client, accountId ?? null, after);
    accounts += audited.accounts;
    entries += audited.entries;
    discrepancies.push(...audited.discrepancies);
    after = discrepancies.length > 0 && !all ? null : audited.next;
  }
  if (accountId === undefined && (discrepancies.length === 0 || all))
    discrepancies.push(...(await checkPositions(client)));
  return discrepancies.length > 0 ? { ok: false, discrepancies } : { ok: true, accounts, entries };
}

type Audited = {
  readonly accounts: number;
  readonly entries: number;
  readonly discrepancies: readonly Discrepancy[];
  /** Where to go on; null after the last. */
  readonly next: string | null;
};

/** Audits one group: the account named, or the next accounts after an id. */
async function auditNext(client: pg.Client, only: string | null, after: string): Promise<Audited> {
  return await inReadOnlySnapshot(client, async () => {
    const rows = await readAccounts(client, only, after);
    const accounts = only === null ? firstOf(rows) : rows;
    const last = accounts.at(-1)?.accountId ?? null;
    const more = accounts.length < rows.length || rows.length === ACCOUNTS_MAX;
    const next = only === null && more ? last : null;
    const findings = new Findings();
    if (only !== null && rows.length === 0) findings.add(only, NO_SUCH_ACCOUNT);

    const range: Range = only === null ? { after, upTo: next } : { only };
    const snapshot = new Snapshot(client, range);
    const group: AccountGroup = {
      snapshot,
      accounts: new Map(accounts.map((account) => [account.accountId, account])),
      grants: await loadGrants(snapshot),
      closedUntil: await loadClosedUntil(snapshot),
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
    const discrepancies = findings.list(group.accounts.keys());
    return { accounts: accounts.length, entries, discrepancies, next };
  });
}

async function readAccounts(
  client: pg.Client,
  only: string | null,
  after: string,
): Promise<Account[]> {
  const condition = only === null ? 'account_id > $1' : 'account_id = $1';
  const { rows } = await client.query<Row>(
    `select ${table.selectList} from accounts where ${condition} order by account_id limit $2`,
    [only ?? after, ACCOUNTS_MAX],
  );
  return rows.map(table.read);
}

/** As many of the accounts, from the first, as have few enough grants together. */
function firstOf(accounts: readonly Account[]): readonly Account[] {
  let grants = 0n;
  const tooMany = accounts.findIndex((account, index) => {
    grants += account.grantCount;
    return index > 0 && grants > GRANTS_MAX;
  });
  return tooMany === -1 ? accounts : accounts.slice(0, tooMany);
}
