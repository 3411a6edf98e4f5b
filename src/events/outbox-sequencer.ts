/**
 * Gives events their positions: right after the units of work that wrote them here, and every interval
 * for what a replica left behind that stopped or was killed in between. Off the path of requests.
 */
import type { Logger } from 'pino';
import type { Em } from '../pg/orm.ts';
import { Poller } from '../poller.ts';
import { assignPositions, eventsWait } from '../store/events.ts';

/** Events that get their positions in one transaction at most. */
const BATCH_MAX = 500;

export type OutboxSequencerOptions = {
  readonly em: () => Em;
  readonly log: Logger;
  readonly intervalMs: number;
  /** Told the newest position after it was given here. */
  readonly onReached: (position: bigint) => void;
};

export class OutboxSequencer {
  readonly #options: OutboxSequencerOptions;
  readonly #rounds: Poller;

  constructor(options: OutboxSequencerOptions) {
    this.#options = options;
    this.#rounds = new Poller({
      round: () => this.#assign(),
      intervalMs: options.intervalMs,
      log: options.log,
      name: 'giving events their positions',
    });
  }

  /** Events were committed here. */
  wake() {
    this.#rounds.wake();
  }

  stop(): Promise<void> {
    return this.#rounds.stop();
  }

  async #assign(): Promise<boolean> {
    const { em, onReached } = this.#options;
    // Looked at without a lock first: most rounds find nothing.
    if (!(await eventsWait(em()))) return false;
    const assigned = await assignPositions(em(), BATCH_MAX);
    if (!assigned) return false;
    onReached(assigned.newest);
    return assigned.count === BATCH_MAX;
  }
}
