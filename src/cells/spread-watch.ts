/**
 * Looks whether the accounts of the only cell that a replica knows have left it: the ledger was spread over cells, and the
 * replica was not started again with CELLS_FILE. It would answer that accounts do not exist which others serve.
 */
import type { Logger } from 'pino';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import { Poller } from '../poller.ts';

export type SpreadWatchOptions = {
  readonly em: () => Em;
  readonly intervalMs: number;
  readonly log: Logger;
  /** Called at every change. At first the cell has all accounts. */
  readonly onChange: (isSpread: boolean) => void;
};

export class SpreadWatch {
  readonly #options: SpreadWatchOptions;
  readonly #poller: Poller;
  #isSpread = false;

  constructor(options: SpreadWatchOptions) {
    this.#options = options;
    const { intervalMs, log } = options;
    const run = async () => {
      await this.look();
      return false;
    };
    this.#poller = new Poller({ name: 'look at the map', run, intervalMs, log });
  }

  /** Asks once, without waiting for the interval. */
  async look(): Promise<void> {
    const { em, log, onChange } = this.#options;
    const others = await query<{ name: string }>(
      em(),
      `select others.name from cells c, jsonb_object_keys(c.slots) as others (name)
       where others.name <> c.name order by others.name`,
      [],
    );
    const isSpread = others.length > 0;
    if (isSpread === this.#isSpread) return;
    this.#isSpread = isSpread;
    const cells = others.map(({ name }) => name);
    if (isSpread)
      log.error(
        { cells },
        'accounts have moved to other cells: not ready; start it with CELLS_FILE',
      );
    else log.info('the accounts have come back from other cells');
    onChange(isSpread);
  }

  stop(graceMs?: number): Promise<void> {
    return this.#poller.stop(graceMs);
  }
}
