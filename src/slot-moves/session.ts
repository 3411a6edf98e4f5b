/** Connections of a move. Unlike those of the service they belong to the owner of the database. */
import pg from 'pg';
import { ARCHIVER_LOCK } from '../archiver/lock.ts';
import type { CellAddress } from '../cells/cells-file.ts';
import { errorOfCell } from '../cells/error-of-cell.ts';

/** Locks a table gives up after this time, and are tried again: calls must not queue behind them. */
const LOCK_TIMEOUT_MS = 200;
/** Of the upper half of the number of an advisory lock: see guard.ts. */
const MOVES_SPACE = 0x5c21a;
const LOCK_NOT_AVAILABLE = '55P03';
const DEADLOCK = '40P01';

/** Throws where the cell cannot be reached, with its name. */
export async function openSession({ name, url }: CellAddress): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'scrip cells',
    connectionTimeoutMillis: 15_000,
    keepAlive: true,
  });
  client.on('error', () => {}); // after the loss of the connection the next query fails
  await client.connect().catch((error: unknown) => {
    throw errorOfCell(error, name);
  });
  await client.query(
    `set idle_in_transaction_session_timeout = 0; set idle_session_timeout = 0; set statement_timeout = 0; set lock_timeout = 0; set jit = off`,
  );
  return client;
}

/** How long a command waits for the end of another one: PostgreSQL may be about to notice that it was killed. */
const OTHER_MOVE_TIMEOUT = '30s';

/** From now on the session is the only one that moves slots of the cell. Throws where another one does. */
export async function lockMoves(client: pg.Client, cell: string): Promise<void> {
  await client.query(`set lock_timeout = '${OTHER_MOVE_TIMEOUT}'`);
  try {
    await client.query(
      `select pg_advisory_lock((${MOVES_SPACE}::bigint << 32) + 'cells'::regclass::oid::bigint)`,
    );
  } catch (error) {
    if ((error as { code?: string }).code !== LOCK_NOT_AVAILABLE) throw error;
    throw new Error(`another command is moving slots of cell ${cell}`, { cause: error });
  }
  await client.query('set lock_timeout = 0');
}

/** Keeps the archiver, and no other move, from the database as long as the session lasts. Throws where it works there. */
export async function lockOutArchiver(client: pg.Client, cell: string): Promise<void> {
  const { rows } = await client.query(
    `select pg_try_advisory_lock_shared(${ARCHIVER_LOCK}) as locked`,
  );
  if (!rows[0]?.locked)
    throw new Error(
      `the database of cell ${cell} is being archived: move slots when that has ended`,
    );
}

/** Runs work in a transaction. */
export async function inTransaction<Result>(
  client: pg.Client,
  run: () => Promise<Result>,
  begin = 'begin',
): Promise<Result> {
  await client.query(begin);
  try {
    const result = await run();
    await client.query('commit');
    return result;
  } catch (error) {
    await client.query('rollback').catch(() => {});
    throw error;
  }
}

/**
 * Changes a table while the service writes to it. Whoever waits for the lock of a table holds up everybody behind,
 * so that each attempt is short. Throws where `patienceMs` were not enough.
 */
export async function changeTable(
  client: pg.Client,
  sql: string,
  patienceMs = 60_000,
): Promise<void> {
  const giveUpAt = performance.now() + patienceMs;
  for (;;) {
    try {
      await inTransaction(client, async () => {
        await client.query(`set local lock_timeout = '${LOCK_TIMEOUT_MS}ms'`);
        await client.query(sql);
      });
      return;
    } catch (error) {
      const { code } = error as { code?: string };
      const isBusy = code === LOCK_NOT_AVAILABLE || code === DEADLOCK;
      if (!isBusy || performance.now() > giveUpAt) throw error;
      await new Promise((resolve) => setTimeout(resolve, LOCK_TIMEOUT_MS * (1 + Math.random())));
    }
  }
}
