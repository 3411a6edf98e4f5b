/** All lanes: every account hashes to one, so its tasks are done in the order they came. */

import { Failure } from '../failure.ts';
import type { Command, Outcome } from '../ledger/decide.ts';
import { serviceOrigin, type Trace } from '../ledger/entry.ts';
import type { StatementToClose } from '../ledger/statement-closing.ts';
import { Lane, type LaneOptions } from './lane.ts';
import type { Answer, AtomicAnswer, Request, StoredResponse, Task } from './task.ts';

export class Lanes {
  readonly #lanes: readonly Lane[];
  #closed = false;

  constructor(count: number, options: LaneOptions) {
    this.#lanes = Array.from({ length: count }, () => new Lane(options));
  }

  /** Decides a caller's request. Resolves when its effect is durable; never rejects. */
  submit(request: Request): Promise<StoredResponse | Failure> {
    return this.#queue(request) as Promise<StoredResponse | Failure>;
  }

  /**
   * Decides requests on one account, at least one, in their order: all take effect, or none. Resolves when their effect is
   * durable; never rejects.
   */
  async submitTogether(requests: readonly Request[]): Promise<AtomicAnswer> {
    const [{ accountId }] = requests as [Request];
    const answer = await this.#queue({ type: 'atomic batch', accountId, requests });
    return answer instanceof Failure ? requests.map(() => answer) : (answer as AtomicAnswer);
  }

  /** Decides a command of the service's own. Resolves when its effect is durable; never rejects. */
  execute<Own extends Command>(
    accountId: string,
    command: Own,
    trace: Trace,
  ): Promise<Outcome<Own['kind']> | Failure> {
    const origin = serviceOrigin(trace);
    const answer = this.#queue({ type: 'internal command', accountId, command, origin });
    return answer as Promise<Outcome<Own['kind']> | Failure>;
  }

  /** Settles an account: null once what was due by now is durable. */
  settle(accountId: string, cause: Trace | null = null): Promise<Failure | null> {
    return this.#queue({ type: 'settlement', accountId, cause }) as Promise<Failure | null>;
  }

  /**
   * Closes a month of an account. Null says only that the account was looked at: if it has changed since
   * the statement was computed, the month is still open.
   */
  closeStatement(
    accountId: string,
    closing: StatementToClose,
    cause: Trace | null = null,
  ): Promise<Failure | null> {
    const answer = this.#queue({ type: 'statement closing', accountId, closing, cause });
    return answer as Promise<Failure | null>;
  }

  /** Tasks in all queues. */
  get queued(): number {
    return this.#lanes.reduce((sum, lane) => sum + lane.queued, 0);
  }

  /** Accepts nothing more. Resolves when everything accepted has been answered. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#lanes.map((lane) => lane.idle()));
  }

  #queue(task: Task): Promise<Answer> {
    if (this.#closed)
      return Promise.resolve(
        new Failure('SHUTTING_DOWN', 'this replica is stopping; retry with the same request id'),
      );
    return this.#laneOf(task.accountId).submit(task);
  }

  /** FNV-1a over the account id: spreads ids that differ in one character only. */
  #laneOf(accountId: string): Lane {
    let hash = 0x811c9dc5;
    for (let index = 0; index < accountId.length; index++)
      hash = Math.imul(hash ^ accountId.charCodeAt(index), 0x01000193);
    return this.#lanes[(hash >>> 0) % this.#lanes.length] as Lane;
  }
}
