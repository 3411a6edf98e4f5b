/**
 * Closes statements: reads the months that have ended without holding anyone up, and hands each to its
 * account's lane, which closes it under the account's lock. Any number of replicas may do so at once.
 */
import type { Logger } from 'pino';
import type { Clock } from '../clock.ts';
import { Failure } from '../failure.ts';
import type { Lanes } from '../lanes/lanes.ts';
import { monthStart } from '../ledger/account.ts';
import { isDue } from '../ledger/statement.ts';
import type { Em } from '../pg/orm.ts';
import { readStatement } from '../queries/read-statement.ts';
import type { Catalogue } from '../store/catalogue.ts';
import { loadAccounts } from '../store/load.ts';
import { accountsToClose } from '../store/statements.ts';

export type StatementCloserOptions = {
  readonly em: () => Em;
  readonly clock: Clock;
  readonly catalogue: Catalogue;
  readonly lanes: Lanes;
  readonly log: Logger;
  /** Accounts looked for at once at most. */
  readonly accountsMax: number;
};

/** Accounts closed at the same time: enough to keep the lanes busy, few enough to leave them free. */
const AT_ONCE = 4;

export class StatementCloser {
  readonly #options: StatementCloserOptions;

  constructor(options: StatementCloserOptions) {
    this.#options = options;
  }

  /** Closes every month of the account that has ended, one after the other. */
  async close(accountId: string): Promise<void> {
    const { em, clock, catalogue, lanes } = this.#options;
    for (;;) {
      const [account] = await loadAccounts(em(), [accountId]);
      const dueAt = account?.statementDueAt ?? null;
      if (!account || dueAt === null || !isDue(account, clock())) return;
      const statement = await readStatement(em(), catalogue, account, monthStart(dueAt, -1));
      const { seq, lastAt } = account;
      const closing = { statement, dueAt, read: { seq, lastAt } };
      // Whether it was closed, by whom, or has to be read again: the account's row says.
      const answer = await lanes.submit({ accountId, command: null, closing });
      if (answer instanceof Failure) throw answer;
    }
  }

  /**
   * Closes every month that has ended, until `isStopped`. Answers why the first account was not closed,
   * null where all were: the others are closed all the same, and it will be tried again.
   */
  async closeAll(isStopped: () => boolean): Promise<unknown> {
    const { em, clock, accountsMax } = this.#options;
    let failure: unknown = null;
    for (;;) {
      const due = await accountsToClose(em(), clock(), accountsMax);
      const left = shuffled(due);
      let closed = 0;
      const closeSome = async () => {
        for (let next = left.pop(); next !== undefined && !isStopped(); next = left.pop()) {
          const failed = await this.#tryToClose(next);
          if (failed === null) closed += 1;
          else failure ??= failed;
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, closeSome));
      if (due.length < accountsMax || closed === 0 || isStopped()) return failure;
    }
  }

  /** Null where it is closed. */
  async #tryToClose(accountId: string): Promise<unknown> {
    try {
      await this.close(accountId);
      return null;
    } catch (error) {
      const err =
        error instanceof Failure ? { reason: error.reason, message: error.message } : error;
      this.#options.log.warn(
        { err, account_id: accountId },
        'statement not closed; it will be tried again',
      );
      return error;
    }
  }
}

/** Replicas find the same accounts due: each begins elsewhere. */
function shuffled(accountIds: readonly string[]): string[] {
  const all = [...accountIds];
  for (let last = all.length - 1; last > 0; last--) {
    const other = Math.floor(Math.random() * (last + 1));
    const swapped = all[last] as string;
    all[last] = all[other] as string;
    all[other] = swapped;
  }
  return all;
}
