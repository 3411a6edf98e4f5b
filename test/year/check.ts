/** Holds what the service says after the year against what the usage log says, account by account. */
import type { Scrip } from '../../src/client.ts';
import { Random } from '../cluster/random.ts';
import { checkHistory, type History, noHistory } from './check-history.ts';
import { checkStatements, noStatements, type Statements } from './check-statements.ts';
import { LedgerOfUsage } from './ledger-of-usage.ts';
import type { Logged } from './log.ts';
import type { Played } from './play.ts';

export type Checked = {
  readonly accounts: number;
  readonly statements: Statements;
  readonly history: History;
};

/** Accounts checked at once: calls wait for the service, not for each other. */
const AT_ONCE = 8;

/** Throws the first disagreement. */
export async function check(
  scrip: Scrip,
  { log, plans, until }: Pick<Played, 'log' | 'plans' | 'until'>,
): Promise<Checked> {
  const statements = noStatements();
  const history = noHistory();
  const rates = [...plans.values()].find(({ plan }) => plan.terms?.overageRates)?.plan.terms
    ?.overageRates;
  const byAccount = Map.groupBy(log, ({ accountId }) => accountId);
  const left = [...byAccount.values()].entries();
  const checkSome = async () => {
    for (const [index, logged] of left) {
      const ledger = replay(logged, plans, until);
      await checkHistory(scrip, ledger, history);
      await checkStatements(scrip, ledger, rates, new Random(index), statements);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, checkSome));
  return { accounts: byAccount.size, statements, history };
}

/** What the log of one account comes to. */
export function replay(
  logged: readonly Logged[],
  plans: Played['plans'],
  until: number,
): LedgerOfUsage {
  const [opened, ...others] = logged as [Logged, ...Logged[]];
  const ledger = new LedgerOfUsage(opened, plans);
  for (const one of others) ledger.take(one);
  ledger.runOn(until);
  return ledger;
}
