/** Replays the entries of a group of accounts, and compares accounts, packs and grants with the result. */
import type { Account } from '../ledger/account.ts';
import type { BudgetCounter } from '../ledger/budget.ts';
import type { CustomPack } from '../ledger/custom-pack.ts';
import type { StoredEntry } from '../ledger/entry.ts';
import type { Row } from '../pg/table.ts';
import { budgetCounters } from '../store/tables/budgets.ts';
import { customPacks } from '../store/tables/custom-packs.ts';
import {
  type AccountGroup,
  type EventSeal,
  erasureOf,
  findAccount,
  grantsOf,
  groupRows,
} from './account-group.ts';
import { AccountHistory } from './account-history.ts';
import { Budgets } from './budgets.ts';
import { CallerDays } from './caller-days.ts';
import { Chain } from './chain.ts';
import { type Checkpoints, loadArchivedRequests, loadCheckpoints } from './checkpoints.ts';
import { checkErasure, checkStoredForm, entrySelectList, readEntry } from './entry-rows.ts';
import type { Erasure } from './erasure.ts';
import type { Report } from './findings.ts';
import { checkGrants } from './grants.ts';
import { Mutations } from './mutations.ts';
import type { Published } from './published.ts';
import { Replay } from './replay.ts';
import { RollForwardAudit } from './roll-forward.ts';
import { Schedule } from './schedule.ts';
import { UsageAudit } from './usage-rollups.ts';

/** Returns the number of entries. */
export async function checkEntries(group: AccountGroup): Promise<number> {
  const audits = new Map<string, EntriesAudit>();
  const checkpointsOf = await loadCheckpoints(group);
  for (const account of group.accounts.values()) {
    const checkpoints = checkpointsOf(account.accountId);
    audits.set(account.accountId, new EntriesAudit(group, account, checkpoints));
  }
  let entries = 0;
  const rows = group.snapshot.rows(
    (inRange) =>
      `select ${entrySelectList} from entries where ${inRange('account_id')} order by account_id, seq`,
  );
  const usage = await UsageAudit.load(group);
  const rollForward = await RollForwardAudit.load(group);
  for await (const row of rows) {
    entries += 1;
    const account = findAccount(group, row, 'entries');
    const entry = account && audits.get(account.accountId)?.apply(row);
    if (!entry) continue;
    await usage.apply(entry.accountId, entry);
    await rollForward.apply(entry);
  }
  await usage.finish();
  await rollForward.finish();
  const packs = await loadPacks(group);
  const counters = await loadCounters(group);
  const requests = await loadArchivedRequests(group);
  for (const [accountId, audit] of audits)
    audit.finish(
      packs.get(accountId) ?? [],
      counters.get(accountId) ?? [],
      requests.get(accountId) ?? [],
    );
  for (const accountId of group.grants.keys())
    if (!group.accounts.has(accountId))
      group.findings.add(accountId, 'has grants, but there is no such account');
  return entries;
}

/** The audit of one account's entries, one after the other. */
class EntriesAudit {
  readonly #published: Published;
  readonly #eventSeals: EventSeal[] = [];
  readonly #topUpsSince: AccountGroup['topUpsSince'];
  readonly #account: Account;
  readonly #grants: ReturnType<typeof grantsOf>;
  readonly #report: Report;
  readonly #chain = new Chain();
  readonly #mutations: Mutations;
  readonly #history = new AccountHistory();
  readonly #callerDays: CallerDays;
  readonly #budgets: Budgets;
  readonly #checkpoints: Checkpoints;
  readonly #erasure: Erasure;
  readonly #replay: Replay;
  readonly #schedule: Schedule;

  constructor(group: AccountGroup, account: Account, checkpoints: Checkpoints) {
    const { accountId } = account;
    this.#checkpoints = checkpoints;
    this.#published = group.published;
    group.eventSeals.set(accountId, this.#eventSeals);
    this.#topUpsSince = group.topUpsSince;
    this.#account = account;
    this.#grants = grantsOf(group, accountId);
    this.#report = (what) => group.findings.add(accountId, what);
    this.#mutations = new Mutations(this.#grants);
    this.#callerDays = new CallerDays(account);
    const closed = group.closedMonths.get(accountId) ?? null;
    this.#budgets = new Budgets(account);
    this.#schedule = new Schedule(group.published, account, closed);
    this.#erasure = erasureOf(group, accountId);
    this.#replay = new Replay(
      group.published,
      account,
      this.#grants,
      closed?.until ?? null,
      this.#erasure,
      this.#report,
    );
    group.budgets.set(accountId, this.#budgets);
    group.grantTerms.set(accountId, this.#replay.terms);
  }

  /** Returns the entry; null if it cannot be read. */
  apply(row: Row): StoredEntry | null {
    const entry = parseEntry(row);
    if (entry instanceof Error) return this.#skip(row, entry);
    const report = (what: string) => this.#report(`entry ${entry.seq}: ${what}`);
    const sealed = this.#chain.apply(entry, this.#published.hashesOf(entry), report);
    checkStoredForm(row, sealed, report);
    checkErasure(row, entry, report);
    this.#mutations.apply(entry, report);
    this.#history.apply(entry, report);
    this.#callerDays.apply(entry);
    this.#budgets.apply(entry, report);
    this.#checkpoints.apply(entry, report);
    this.#replay.apply(entry);
    this.#schedule.apply(entry, report);
    const { seq: entrySeq, sealedEvents } = entry;
    if (sealedEvents) this.#eventSeals.push({ ...sealedEvents, entrySeq });
    return entry;
  }

  finish(
    packs: readonly CustomPack[],
    counters: readonly BudgetCounter[],
    archivedRequests: readonly Row[],
  ) {
    this.#chain.finish(this.#account, this.#report);
    this.#replay.finish();
    this.#history.finish(this.#account, packs, this.#report);
    const { topUpsSince } = this.#history;
    if (topUpsSince !== null) this.#topUpsSince.set(this.#account.accountId, topUpsSince);
    this.#callerDays.finish(this.#report);
    this.#budgets.finish(this.#account, counters, this.#erasure, this.#report);
    this.#checkpoints.finish(this.#account, archivedRequests, this.#report);
    this.#schedule.finish(this.#report);
    checkGrants(this.#replay, this.#grants, this.#report);
  }

  /** Later entries are still checked. */
  #skip(row: Row, { message }: Error): null {
    this.#report(`entry ${row['seq']}: cannot be read: ${message}`);
    this.#chain.skip(row['hash']!);
    this.#mutations.skip();
    this.#replay.skip(BigInt(row['seq']!));
    return null;
  }
}

function parseEntry(row: Row): StoredEntry | Error {
  try {
    return readEntry(row);
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

async function loadPacks(group: AccountGroup): Promise<Map<string, readonly CustomPack[]>> {
  const packs = new Map<string, readonly CustomPack[]>();
  const rows = group.snapshot.rows(
    (inRange) =>
      `select ${customPacks.selectList} from custom_packs
       where ${inRange('account_id')} order by account_id, pack_id`,
  );
  for await (const ofAccount of groupRows(rows, 'account_id')) {
    const account = findAccount(group, ofAccount[0], 'custom packs');
    if (account) packs.set(account.accountId, readPacks(group, ofAccount));
  }
  return packs;
}

async function loadCounters(group: AccountGroup): Promise<Map<string, readonly BudgetCounter[]>> {
  const counters = new Map<string, readonly BudgetCounter[]>();
  const rows = group.snapshot.rows(
    (inRange) =>
      `select ${budgetCounters.selectList} from budget_counters
       where ${inRange('account_id')} order by account_id, since, period_from, value`,
  );
  for await (const ofAccount of groupRows(rows, 'account_id')) {
    const account = findAccount(group, ofAccount[0], 'counters of budgets');
    if (account) counters.set(account.accountId, ofAccount.map(budgetCounters.read));
  }
  return counters;
}

function readPacks({ findings }: AccountGroup, rows: readonly Row[]): readonly CustomPack[] {
  return rows.flatMap((row) => {
    try {
      return [customPacks.read(row)];
    } catch (error) {
      findings.add(row['account_id']!, `pack ${row['pack_id']}: cannot be read: ${error}`);
      return [];
    }
  });
}
