/** A group of accounts that is audited in one snapshot, with their grants. */
import type { Account } from '../ledger/account.ts';
import type { EventsSeal } from '../ledger/event-hash.ts';
import type { Grant } from '../ledger/grant.ts';
import type { Row } from '../pg/table.ts';
import { grants as table } from '../store/tables/grants.ts';
import type { ArchivedAccount } from './archive.ts';
import type { Budgets } from './budgets.ts';
import { type Erasure, NO_ERASURE } from './erasure.ts';
import type { Findings } from './findings.ts';
import { GrantTerms } from './grant-terms.ts';
import type { Published } from './published.ts';
import { jsonTexts, readRow } from './readable-row.ts';
import type { ClosedMonths } from './schedule.ts';
import type { Snapshot } from './snapshot.ts';

export type AccountGroup = {
  readonly snapshot: Snapshot;
  readonly published: Published;
  /** In the order of their ids. */
  readonly accounts: ReadonlyMap<string, Account>;
  readonly grants: ReadonlyMap<string, ReadonlyMap<bigint, Grant>>;
  /** Of accounts with statements. */
  readonly closedMonths: ReadonlyMap<string, ClosedMonths>;
  /** Of accounts whose personal data were erased. */
  readonly erasures: ReadonlyMap<string, Erasure>;
  /** What the database states of the archive of accounts. */
  readonly archived: ReadonlyMap<string, ArchivedAccount>;
  /** seq of the last entry of each account that files have. */
  readonly filed: ReadonlyMap<string, bigint>;
  /** The terms that each account's grants had over time. Filled by entries.ts. */
  readonly grantTerms: Map<string, GrantTerms>;
  /** Of accounts with budgets: what their entries say. Filled by entries.ts. */
  readonly budgets: Map<string, Budgets>;
  /** Of accounts whose auto top-up is on, as their entries say: when they set it last. Filled by entries.ts. */
  readonly topUpsSince: Map<string, number>;
  /** The events that the entries of each account cover. Filled by entries.ts. */
  readonly eventSeals: Map<string, EventSeal[]>;
  readonly findings: Findings;
};

/** The events that an entry covers. */
export type EventSeal = EventsSeal & { readonly entrySeq: bigint };

const NO_GRANTS: ReadonlyMap<bigint, Grant> = new Map();

export const grantsOf = ({ grants }: AccountGroup, accountId: string): ReadonlyMap<bigint, Grant> =>
  grants.get(accountId) ?? NO_GRANTS;

export const termsOfGrants = (group: AccountGroup, accountId: string): GrantTerms =>
  group.grantTerms.get(accountId) ?? new GrantTerms(grantsOf(group, accountId));

export const erasureOf = ({ erasures }: AccountGroup, accountId: string): Erasure =>
  erasures.get(accountId) ?? NO_ERASURE;

export async function loadGrants(
  snapshot: Snapshot,
  findings: Findings,
): Promise<AccountGroup['grants']> {
  const grants = new Map<string, Map<bigint, Grant>>();
  const rows = snapshot.rows(
    (inRange) =>
      `select ${table.selectList}, ${jsonTexts(table)} from grants where ${inRange('account_id')} order by account_id, grant_id`,
  );
  for await (const row of rows) {
    const grant = readRow(table, row, (what) =>
      findings.add(row['account_id']!, `grant ${row['grant_id']}: ${what}`),
    );
    const ofAccount = grants.get(grant.accountId) ?? new Map<bigint, Grant>();
    grants.set(grant.accountId, ofAccount.set(grant.grantId, grant));
  }
  return grants;
}

/** The account that a row of `table` belongs to. If there is none, reports it and returns null. */
export function findAccount(group: AccountGroup, row: Row, table: string): Account | null {
  const accountId: string = row['account_id']!;
  const account = group.accounts.get(accountId);
  if (!account) group.findings.add(accountId, `has ${table}, but there is no such account`);
  return account ?? null;
}

/** Groups consecutive rows that have the same account and the same value of `column`. */
export async function* groupRows(
  rows: AsyncIterable<Row>,
  column: string,
): AsyncGenerator<readonly [Row, ...Row[]], void, void> {
  let group: [Row, ...Row[]] | undefined;
  for await (const row of rows) {
    const first = group?.[0];
    if (first?.['account_id'] === row['account_id'] && first?.[column] === row[column]) {
      group?.push(row);
      continue;
    }
    if (group) yield group;
    group = [row];
  }
  if (group) yield group;
}
