/** A group of accounts that is audited in one snapshot: their rows, and their grants. */
import type { Account } from '../ledger/account.ts';
import type { Grant } from '../ledger/grant.ts';
import type { Row } from '../pg/table.ts';
import { grants as table } from '../store/tables/grants.ts';
import type { Findings } from './findings.ts';
import type { Snapshot } from './snapshot.ts';

export type AccountGroup = {
  readonly snapshot: Snapshot;
  /** In the database's order. */
  readonly accounts: ReadonlyMap<string, Account>;
  readonly grants: ReadonlyMap<string, ReadonlyMap<bigint, Grant>>;
  /** Up to when statements have closed the months of accounts that have any. */
  readonly closedUntil: ReadonlyMap<string, number>;
  readonly findings: Findings;
};

const NONE: ReadonlyMap<bigint, Grant> = new Map();

export const grantsOf = ({ grants }: AccountGroup, accountId: string): ReadonlyMap<bigint, Grant> =>
  grants.get(accountId) ?? NONE;

export async function loadGrants(snapshot: Snapshot): Promise<AccountGroup['grants']> {
  const grants = new Map<string, Map<bigint, Grant>>();
  const rows = snapshot.rows(
    (inRange) =>
      `select ${table.selectList} from grants where ${inRange('account_id')} order by account_id, grant_id`,
  );
  for await (const row of rows) {
    const grant = table.read(row);
    const ofAccount = grants.get(grant.accountId) ?? new Map<bigint, Grant>();
    grants.set(grant.accountId, ofAccount.set(grant.grantId, grant));
  }
  return grants;
}

/** The account a row belongs to; tells where there is none. */
export function accountOf(group: AccountGroup, row: Row, table: string): Account | null {
  const accountId: string = row['account_id']!;
  const account = group.accounts.get(accountId);
  if (!account) group.findings.add(accountId, `has ${table}, but there is no such account`);
  return account ?? null;
}

/** Rows that follow each other and agree in account and `column`: what belongs to one thing. */
export async function* groupRows(
  rows: AsyncIterable<Row>,
  column: string,
): AsyncGenerator<readonly [Row, ...Row[]], void, void> {
  let run: [Row, ...Row[]] | undefined;
  for await (const row of rows) {
    const same = run?.[0]['account_id'] === row['account_id'] && run?.[0][column] === row[column];
    if (run && same) {
      run.push(row);
      continue;
    }
    if (run) yield run;
    run = [row];
  }
  if (run) yield run;
}
