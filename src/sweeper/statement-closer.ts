/**
 * Closes statements: reads the entries of months that have ended, without a lock, and submits each
 * statement to its account's lane, which closes it under the account's lock. All replicas may do so at
 * the same time.
 */

import type { Logger } from 'pino';
import type { Archive } from '../archive/archive.ts';
import { type Clock, clockUnreliable } from '../clock/clock.ts';
import { Failure } from '../failure.ts';
import { forEachConcurrently } from '../for-each-concurrently.ts';
import type { Lanes } from '../lanes/lanes.ts';
import { monthToCloseEnd } from '../ledger/account.ts';
import type { Trace } from '../ledger/entry.ts';
import { monthEndingAt } from '../ledger/periods/period.ts';
import { isStatementDue } from '../ledger/statement-closing.ts';
import type { Em } from '../pg/orm.ts';
import { findAccount } from '../queries/accounts.ts';
import { computeStatement } from '../queries/compute-statement.ts';
import { findDueAccounts } from '../queries/due-accounts.ts';
import type { Catalogue } from '../store/catalogue.ts';
import { failSpan, refOf, type Tracing } from '../telemetry/tracing.ts';

export type StatementCloserOptions = {
  readonly em: () => Em;
  readonly archive: Archive;
  readonly clock: Clock;
  readonly catalogue: Catalogue;
  readonly lanes: Lanes;
  readonly tracing: Tracing;
  readonly log: Logger;
  /** Upper bound of the accounts in one batch. */
  readonly accountsMax: number;
};

/** Accounts closed at the same time: keeps the lanes busy and leaves most of their capacity to callers. */
const CONCURRENCY = 4;

export class StatementCloser {
  readonly #options: StatementCloserOptions;

  constructor(options: StatementCloserOptions) {
    this.#options = options;
  }

  /**
   * Closes every month of the account that is due, oldest first. Throws the Failure of a lane, or
   * CLOCK_UNRELIABLE where a month may not be closed now. `cause`: who wants it closed.
   */
  async close(accountId: string, cause: Trace): Promise<void> {
    const { em, archive, clock, catalogue, lanes } = this.#options;
    for (;;) {
      const account = await findAccount(em(), accountId);
      const dueAt = account?.statementDueAt ?? null;
      if (!account || dueAt === null || !isStatementDue(account, clock.now())) return;
      if (!clock.isReliable) throw clockUnreliable();
      const end = monthToCloseEnd(account) ?? dueAt;
      const month = monthEndingAt(account.timeZones, end);
      const statement = await computeStatement(em(), archive, catalogue, account, month);
      const { seq, lastAt } = account;
      const closing = { statement, dueAt, read: { seq, lastAt } };
      const failure = await lanes.closeStatement(accountId, closing, cause);
      if (failure) throw failure;
      // The account's row tells whether it was closed, here or elsewhere, or must be read again.
    }
  }

  /**
   * Closes every month of all accounts that is due, until `signal` aborts. An account that cannot be closed is
   * logged and does not keep the others from it. Resolves to the first such error, or to null.
   */
  async closeAll(signal: AbortSignal): Promise<unknown> {
    const { em, clock, tracing, accountsMax } = this.#options;
    let firstError: unknown = null;
    for (;;) {
      const startTime = tracing.now();
      const due = await findDueAccounts(em(), 'statement_due_at', clock.now(), accountsMax);
      if (due.length > 0 && !clock.isReliable) return clockUnreliable();
      if (due.length === 0) return firstError;
      const { closed, error } = await this.#closeBatch(due, startTime, signal);
      firstError ??= error;
      // What is still due after a batch in which none was closed is left to the next sweep.
      if (due.length < accountsMax || closed === 0 || signal.aborted) return firstError;
    }
  }

  /** Resolves to how many accounts were closed, and to the first error. Its span began at `startTime`. */
  async #closeBatch(due: readonly string[], startTime: number, signal: AbortSignal) {
    const span = this.#options.tracing.start('close statements', {
      startTime,
      attributes: { 'scrip.accounts.due': due.length },
    });
    const cause = refOf(span);
    let closed = 0;
    let firstError: unknown = null;
    await forEachConcurrently(shuffled(due), CONCURRENCY, signal, async (accountId) => {
      const error = await this.#tryToClose(accountId, cause);
      if (error === null) closed += 1;
      else firstError ??= error;
    });
    span.setAttributes({ 'scrip.accounts.done': closed });
    if (firstError !== null)
      failSpan(span, firstError instanceof Failure ? firstError.reason : 'INTERNAL');
    span.end();
    return { closed, error: firstError };
  }

  /** Resolves to null, or to the error that kept the account from being closed. */
  async #tryToClose(accountId: string, cause: Trace): Promise<unknown> {
    try {
      await this.close(accountId, cause);
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

/** In random order: replicas find the same accounts, and each should start with others. */
const shuffled = (accountIds: readonly string[]): string[] =>
  accountIds
    .map((accountId) => ({ accountId, rank: Math.random() }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ accountId }) => accountId);
