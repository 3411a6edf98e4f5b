/** What the database knows of the time: its clock, the heartbeat of the replicas, and acceptances. */
import { fromMillis, millis } from '../pg/millis.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Row } from '../pg/table.ts';
import { type Acceptance, clockAcceptances } from '../store/tables/clock-acceptances.ts';
import { clockHeartbeats } from '../store/tables/clock-heartbeats.ts';
import type { Heartbeat } from './clock-state.ts';

/** The database's clock, in epoch milliseconds and parts of them. */
export async function readDatabaseTime(em: Em): Promise<number> {
  const [row] = await query<{ now: number }>(
    em,
    `select date_part('epoch', clock_timestamp()) * 1000 as now`,
    [],
  );
  return Number(row?.now);
}

/** The database's clock, and how far a sandbox's time is ahead of it, in milliseconds. */
export type SandboxReading = { readonly database: number; readonly offsetMs: number };

/** Throws where the database is none of a sandbox: see `src/sandbox/mark.ts`. */
export async function readSandboxTime(em: Em): Promise<SandboxReading> {
  const [row] = await query<{ now: number; offset_ms: number }>(
    em,
    `select date_part('epoch', clock_timestamp()) * 1000 as now, offset_ms::float8
     from sandbox.clock`,
    [],
  );
  return { database: Number(row?.now), offsetMs: Number(row?.offset_ms) };
}

/** Whether the database is a sandbox's, for ever. Any role may ask, on any database. */
export async function isSandbox(em: Em): Promise<boolean> {
  const rows = await query(
    em,
    `select from pg_class join pg_namespace on pg_namespace.oid = relnamespace
     where nspname = 'sandbox' and relname = 'clock'`,
    [],
  );
  return rows.length > 0;
}

/** Null before the first. */
export async function findNewestAcceptance(em: Em): Promise<Acceptance | null> {
  const [row] = await query<Row>(
    em,
    `select ${clockAcceptances.selectList} from clock_acceptances order by acceptance_id desc limit 1`,
    [],
  );
  return row ? clockAcceptances.read(row) : null;
}

/** Accepts the database's time, from now on. Returns the database's time. */
export async function insertAcceptance(em: Em, hostAt: number): Promise<number> {
  const [row] = await query<{ at: number }>(
    em,
    `insert into clock_acceptances (acceptance_id, database_at, host_at)
     select coalesce(max(acceptance_id), 0) + 1, clock_timestamp(), ${fromMillis('$1')}
     from clock_acceptances
     returning ${millis('database_at', 'at')}`,
    [hostAt],
  );
  return Number(row?.at);
}

/** There is one heartbeat. */
const NAME = 'newest';

/** Null before the first replica. */
export async function readHeartbeat(em: Em): Promise<Heartbeat | null> {
  const [row] = await query<Row>(
    em,
    `select ${clockHeartbeats.selectList} from clock_heartbeats where name = $1`,
    [NAME],
  );
  if (!row) return null;
  const { trustedAt: trusted, databaseAt: database, acceptanceId } = clockHeartbeats.read(row);
  return { trusted, database, acceptance: acceptanceId };
}

/**
 * Replaces the heartbeat. A replica that suspects its clocks replaces only its own heartbeat (`isOnlyOwn`).
 * A replica that was suspended alone would otherwise make the others suspect theirs.
 */
export async function writeHeartbeat(
  em: Em,
  { trusted, database, acceptance }: Heartbeat,
  writer: string,
  isOnlyOwn: boolean,
): Promise<void> {
  await query(
    em,
    `insert into clock_heartbeats (name, trusted_at, database_at, acceptance_id, writer)
     values ($1, ${fromMillis('$2')}, ${fromMillis('$3')}, $4, $5)
     on conflict (name) do update set trusted_at = excluded.trusted_at,
       database_at = excluded.database_at, acceptance_id = excluded.acceptance_id,
       writer = excluded.writer
     where clock_heartbeats.writer = excluded.writer or not $6`,
    [NAME, trusted, database, acceptance, writer, isOnlyOwn],
  );
}
