/** Compares the service's accounts after the year with those that the usage log implies. */
import type { Scrip } from '../../src/client.ts';
import { Random } from '../cluster/random.ts';
import { checkHistory, type History, noHistory } from './check-history.ts';
import { checkStatements, noStatements, type StatementCounts } from './check-statements.ts';
import { ExpectedAccount } from './expected-account.ts';
import type { SimulatedYear } from './simulate.ts';
import type { LogEntry } from './usage-log.ts';

export type CheckSummary = {
  readonly accounts: number;
  readonly statements: StatementCounts;
  readonly history: History;
};

/** Accounts that are checked concurrently. */
const CONCURRENCY = 8;

/** Throws the first mismatch. */
export async function check(
  scrip: Scrip,
  { log, plans, until, isCut }: Pick<SimulatedYear, 'log' | 'plans' | 'until' | 'isCut'>,
): Promise<CheckSummary> {
  const statements = noStatements();
  const history = noHistory();
  const rates = [...plans.values()].find(({ plan }) => plan.terms?.overageRates)?.plan.terms
    ?.overageRates;
  const byAccount = Map.groupBy(log, ({ accountId }) => accountId);
  const queue = [...byAccount.values()].entries();
  const worker = async () => {
    for (const [index, entries] of queue) {
      const account = replay(entries, plans, until);
      await checkHistory(scrip, account, history);
      await checkStatements(
        scrip,
        account,
        isCut ? until : null,
        rates,
        new Random(index),
        statements,
      );
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  return { accounts: byAccount.size, statements, history };
}

/** The account that its log entries imply. */
export function replay(
  entries: readonly LogEntry[],
  plans: SimulatedYear['plans'],
  until: number,
): ExpectedAccount {
  const [opened, ...others] = entries as [LogEntry, ...LogEntry[]];
  const account = new ExpectedAccount(opened, plans);
  for (const entry of others) account.apply(entry);
  account.advanceTo(until);
  return account;
}
