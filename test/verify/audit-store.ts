/** The audit of an account of the ledger's own tests. Ledger and audit share no rules. */
import type { StoredEntry } from '../../src/ledger/entry.ts';
import { AccountHistory } from '../../src/verify/account-history.ts';
import { Budgets } from '../../src/verify/budgets.ts';
import { Chain } from '../../src/verify/chain.ts';
import { NO_ERASURE } from '../../src/verify/erasure.ts';
import { checkGrants } from '../../src/verify/grants.ts';
import { Replay } from '../../src/verify/replay.ts';
import type { AccountStore } from '../ledger/account-store.ts';
import { termsOf } from '../ledger/fixtures.ts';

/** The terms change from entry to entry here, without a version of their own. */
const UNKNOWN_WINDOWS = { lateUsage: () => null, lateUsages: () => [] };

/** The discrepancies between an account and these entries. Nobody requested them: that is left out. */
export function auditStore(
  { account, grants, entries, customPacks, budgetCounters }: AccountStore,
  replayed: readonly StoredEntry[] = entries,
): string[] {
  const found: string[] = [];
  const report = (what: string) => found.push(what);
  const chain = new Chain();
  const history = new AccountHistory();
  const budgets = new Budgets(account);
  const replay = new Replay(UNKNOWN_WINDOWS, account, grants, null, NO_ERASURE, report);
  for (const entry of replayed) {
    const reportEntry = (what: string) => report(`entry ${entry.seq}: ${what}`);
    chain.apply(entry, [termsOf(entry)], reportEntry);
    history.apply(entry, reportEntry);
    budgets.apply(entry, reportEntry);
    replay.apply(entry);
  }
  chain.finish(account, report);
  replay.finish();
  history.finish(account, [...customPacks.values()], report);
  budgets.finish(account, [...budgetCounters.values()], NO_ERASURE, report);
  checkGrants(replay, grants, report);
  return found;
}
