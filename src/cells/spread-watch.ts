/**
 * Tells whether accounts of the only cell that a replica knows are in other cells: the ledger was spread, and the replica
 * not started again with CELLS_FILE. It would answer that accounts do not exist which others serve.
 */
import type pg from 'pg';
import type { Logger } from 'pino';

export type SpreadWatchOptions = {
  readonly log: Logger;
  /** Called at every change. At first the cell has all accounts. */
  readonly onChange: (isSpread: boolean) => void;
};

export class SpreadWatch {
  readonly #options: SpreadWatchOptions;
  #isSpread = false;

  constructor(options: SpreadWatchOptions) {
    this.#options = options;
  }

  /** Asks the database of the cell. */
  async ask(client: pg.Client): Promise<void> {
    const { log, onChange } = this.#options;
    const { rows } = await client.query<{ name: string }>(
      `select others.name from cells c, jsonb_object_keys(c.slots) as others (name)
       where others.name <> c.name order by others.name`,
    );
    const isSpread = rows.length > 0;
    if (isSpread === this.#isSpread) return;
    this.#isSpread = isSpread;
    const cells = rows.map(({ name }) => name);
    if (isSpread)
      log.error(
        { cells },
        'accounts have moved to other cells: not ready; start it with CELLS_FILE',
      );
    else log.info('the accounts have come back from other cells');
    onChange(isSpread);
  }
}
