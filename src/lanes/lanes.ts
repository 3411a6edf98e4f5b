/** All lanes: every account hashes to one, so its requests are served in the order they came. */
import { Failure } from '../failure.ts';
import { Lane, type LaneOptions } from './lane.ts';
import type { Answer, Work } from './work.ts';

export class Lanes {
  readonly #lanes: readonly Lane[];
  #closed = false;

  constructor(count: number, options: LaneOptions) {
    this.#lanes = Array.from({ length: count }, () => new Lane(options));
  }

  submit(work: Work): Promise<Answer> {
    if (this.#closed)
      return Promise.resolve(
        new Failure('SHUTTING_DOWN', 'this replica is stopping; retry with the same request id'),
      );
    return this.#laneOf(work.accountId).submit(work);
  }

  /** Takes nothing more, and settles when what was accepted has been answered. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#lanes.map((lane) => lane.idle()));
  }

  /** FNV-1a over the account id: spreads ids that differ in one character only. */
  #laneOf(accountId: string): Lane {
    let hash = 0x811c9dc5;
    for (let index = 0; index < accountId.length; index++)
      hash = Math.imul(hash ^ accountId.charCodeAt(index), 0x01000193);
    return this.#lanes[(hash >>> 0) % this.#lanes.length] as Lane;
  }
}
