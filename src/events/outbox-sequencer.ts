/**
 * The outbox sequencer gives committed events their positions: at once after a unit of work of this
 * replica, and on an interval for those of a replica that stopped or was killed before it could.
 */
import type { Logger } from 'pino';
import type { Em } from '../pg/orm.ts';
import { Poller } from '../poller.ts';
import { assignPositions, hasUnpositionedEvents } from './outbox.ts';

/** Upper bound of the events that get their positions in one transaction. */
const BATCH_MAX = 500;

export type OutboxSequencerOptions = {
  readonly em: () => Em;
  readonly log: Logger;
  readonly intervalMs: number;
  /** Called after the commit of new positions with the newest one. */
  readonly onAssigned: (newestPosition: bigint) => void;
};

export class OutboxSequencer {
  readonly #options: OutboxSequencerOptions;
  readonly #poller: Poller;

  constructor(options: OutboxSequencerOptions) {
    this.#options = options;
    const { intervalMs, log } = options;
    const run = () => this.#assignBatch();
    this.#poller = new Poller({ name: 'sequencing of events', run, intervalMs, log });
    // A replica that was killed may have left events.
    this.wake();
  }

  /** To be called after a commit that wrote events. */
  wake() {
    this.#poller.wake();
  }

  /** Resolves when the current batch is done. */
  stop(): Promise<void> {
    return this.#poller.stop();
  }

  async #assignBatch(): Promise<boolean> {
    const { em, onAssigned } = this.#options;
    // Without a lock first: most runs find nothing.
    if (!(await hasUnpositionedEvents(em()))) return false;
    const assigned = await assignPositions(em(), BATCH_MAX);
    if (!assigned) return false;
    onAssigned(assigned.newest);
    return assigned.count === BATCH_MAX;
  }
}
