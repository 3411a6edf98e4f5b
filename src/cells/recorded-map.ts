/** The map as the database of each cell has it. */
import pg from 'pg';
import {
  type FoundCell,
  type FoundLedger,
  problemsOfCell,
  type RecordedCell,
} from './agreement.ts';
import { type CellMap, isSameMap, readSlots, storedSlots } from './cell-map.ts';
import type { CellAddress } from './cells-file.ts';

const CONNECT_TIMEOUT_MS = 5_000;

/** What a migrated database has recorded. Throws where it cannot be reached, or its map cannot be read. */
export const readRecordedCell = (url: string): Promise<RecordedCell | null> =>
  withClient(url, recordedCell);

/** What the database of a cell has recorded. Never rejects because it cannot be reached. */
export async function findCell({ name, url }: CellAddress): Promise<FoundCell> {
  try {
    return { name, recorded: await readRecordedCell(url) };
  } catch (error) {
    if (error instanceof UnreadableMap) throw error;
    const { message, code } = error as Error & { code?: string };
    return { name, unreachable: message || code || String(error) };
  }
}

export const findLedger = ({ name, url }: CellAddress): Promise<FoundLedger> =>
  withClient(url, async (client) => {
    const { rowCount } = await client.query('select from accounts limit 1');
    return { name, recorded: await recordedCell(client), hasAccounts: rowCount !== 0 };
  });

/** Records that the database is this cell of the map. Throws where it is another cell, or has a newer map. */
export const recordCell = ({ name, url }: CellAddress, map: CellMap): Promise<void> =>
  withClient(url, async (client) => {
    await client.query('begin');
    await client.query('lock table cells in exclusive mode');
    const recorded = await recordedCell(client);
    if (recorded && recorded.name !== name)
      throw new Error(`the database of cell ${name} is that of cell ${recorded.name}, too`);
    if (recorded && recorded.map.version > map.version)
      throw new Error(`cell ${name} has version ${recorded.map.version} of the map already`);
    await client.query(
      `insert into cells (name, map_version, slots, recorded_at)
       values ($1, $2, $3, clock_timestamp())
       on conflict (name) do update set map_version = excluded.map_version, slots = excluded.slots,
         recorded_at = excluded.recorded_at`,
      [name, map.version, JSON.stringify(storedSlots(map))],
    );
    await client.query('commit');
  });

/** A map that nobody could have recorded. */
export class UnreadableMap extends Error {}

/** What the database of a connection has recorded; null also where it is older than the map. */
export async function recordedCell(client: pg.Client): Promise<RecordedCell | null> {
  const found = await client.query(`select to_regclass('cells') as found`);
  if (!found.rows[0]?.found) return null;
  const { rows } = await client.query('select name, map_version, slots from cells');
  const [row] = rows as readonly { name: string; map_version: number; slots: unknown }[];
  if (!row) return null;
  if (rows.length > 1) throw new UnreadableMap(`the table cells has ${rows.length} rows`);
  const cells = readSlots(row.slots);
  if (typeof cells === 'string') throw new UnreadableMap(`the map of cell ${row.name}: ${cells}`);
  return { name: row.name, map: { version: row.map_version, cells } };
}

async function withClient<Result>(
  url: string,
  use: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'scrip cells',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: 2 * CONNECT_TIMEOUT_MS,
  });
  client.on('error', () => {}); // after the loss of the connection the next query fails
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end().catch(() => {});
  }
}

/** Throws unless the database of a cell says that it is this cell, with this map. */
export async function assertCell(address: CellAddress, map: CellMap): Promise<void> {
  const recorded = await readRecordedCell(address.url);
  const problems = problemsOfCell({ name: address.name, recorded });
  if (problems.length > 0) throw new Error(problems.join('; '));
  if (recorded && !isSameMap(recorded.map, map))
    throw new Error(
      `cell ${address.name} has version ${recorded.map.version} of the map, and this replica has ${map.version}: start it again`,
    );
}
