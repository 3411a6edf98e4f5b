/** Reads what the doctor knows of a database. It only reads, in sessions of its own. */
import { isIP } from 'node:net';
import type { TLSSocket } from 'node:tls';
import pg from 'pg';
import { compareMigrations } from '../pg/migrate.ts';
import { withSettings } from '../pg/pool.ts';
import { SESSION_SETTINGS } from '../pg/session-settings.ts';
import { tables } from '../store/tables/index.ts';
import type { Facts, Settings } from './facts.ts';
import { findPooler } from './find-pooler.ts';

export type DatabaseFacts = Omit<Facts, 'host' | 'config'>;

const CONNECT_TIMEOUT_MS = 15_000;
/** Of a query: those that read sizes are the longest. */
const ANSWER_TIMEOUT_MS = 60_000;

/** Throws where the database cannot be reached. `isEmbedded`: it is the service's own. */
export async function readDatabase(url: string, isEmbedded: boolean): Promise<DatabaseFacts> {
  const client = await connectTo(url);
  try {
    return {
      connection: {
        isEmbedded,
        ...transportOf(client, url),
        pooler: await findPooler(client, () => connectTo(url)),
      },
      server: await readServer(client),
      session: await readSession(url),
      durability: await readDurability(client),
      vacuum: await readVacuum(client),
      clock: await readClock(client),
      roles: await readRoles(client),
      schema: await readSchema(client, url),
      connections: await readOne(
        client,
        `select count(*)::int as others from pg_stat_activity
         where datid is not null and application_name not like 'scrip%'`,
      ),
    };
  } finally {
    await client.end();
  }
}

async function connectTo(url: string, settings: Settings = {}): Promise<pg.Client> {
  const client = new pg.Client({
    ...withSettings(url, settings),
    application_name: 'scrip doctor',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: ANSWER_TIMEOUT_MS,
  });
  // The next query fails where the connection was lost.
  client.on('error', () => {});
  await client.connect();
  return client;
}

/** The first row. */
async function readOne<Row extends object>(
  client: pg.Client,
  sql: string,
  parameters: unknown[] = [],
): Promise<Row> {
  const { rows } = await client.query<Row>(sql, parameters);
  return rows[0] as Row;
}

function transportOf(client: pg.Client, url: string) {
  const { host } = client;
  const stream = client.connection.stream as TLSSocket;
  const isLoopback = host === 'localhost' || (isIP(host) !== 0 && /^(127\.|::1$)/.test(host));
  return {
    isLocal: host.startsWith('/') || isLoopback,
    isEncrypted: stream.encrypted === true,
    isVerified: stream.encrypted === true && !/sslmode=no-verify/.test(url),
  };
}

const NAMES = [
  ...['fsync', 'full_page_writes', 'synchronous_commit', 'wal_level', 'archive_mode'],
  ...['synchronous_standby_names', 'data_checksums', 'autovacuum', 'track_counts'],
  ...['autovacuum_freeze_max_age', 'max_connections', 'superuser_reserved_connections'],
  ...['reserved_connections', 'password_encryption', 'TimeZone', 'DateStyle', 'statement_timeout'],
  ...['idle_session_timeout', 'transaction_timeout', 'default_transaction_isolation'],
  ...['default_transaction_read_only', 'shared_buffers', 'max_wal_size', 'jit'],
];

async function readSettings(client: pg.Client, names: readonly string[]): Promise<Settings> {
  const { rows } = await client.query<{ name: string; value: string | null }>(
    'select name, current_setting(name, true) as value from unnest($1::text[]) as name',
    [names],
  );
  return Object.fromEntries(
    rows.flatMap(({ name, value }) => (value === null ? [] : [[name, value]])),
  );
}

async function readServer(client: pg.Client): Promise<Facts['server']> {
  const { built, used, ...server } = await readOne<
    Omit<Facts['server'], 'settings' | 'collation'> & Facts['server']['collation']
  >(
    client,
    `select current_setting('server_version_num')::int as version,
       pg_is_in_recovery() as "isStandby", pg_encoding_to_char(encoding) as encoding,
       datcollversion as built, pg_database_collation_actual_version(oid) as used
     from pg_database where datname = current_database()`,
  );
  return { ...server, collation: { built, used }, settings: await readSettings(client, NAMES) };
}

/** A session as the service's pool makes it. */
async function readSession(url: string): Promise<Facts['session']> {
  try {
    const client = await connectTo(url, SESSION_SETTINGS);
    try {
      const names = [...NAMES, ...Object.keys(SESSION_SETTINGS)];
      return { settings: await readSettings(client, names) };
    } finally {
      await client.end();
    }
  } catch (error) {
    return { problem: (error as Error).message };
  }
}

async function readDurability(client: pg.Client): Promise<Facts['durability']> {
  const { rows: slots } = await client.query<Facts['durability']['slots'][number]>(
    `select slot_name as name, active as "isActive", coalesce(wal_status = 'lost', false) as "isLost",
       coalesce(pg_wal_lsn_diff(
         case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end,
         restart_lsn), 0)::float8 as "keptBytes"
     from pg_replication_slots where not temporary order by 1`,
  );
  // Without the privilege to see it, a standby may be synchronous.
  const rest = await readOne<Omit<Facts['durability'], 'slots'>>(
    client,
    `select count(*)::int as standbys,
       (count(*) filter (where sync_state is null or sync_state in ('sync', 'quorum')))::int as "synchronousStandbys",
       (select coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false)
        from pg_stat_archiver) as "isArchivingFailing"
     from pg_stat_replication`,
  );
  return { ...rest, slots };
}

/** Tables whose rows change with every call, or all the time. */
const HOT = [
  ...['accounts', 'grants', 'reservations', 'caller_quotas'],
  ...['purchases', 'deliveries', 'event_cursors', 'clock_heartbeats'],
];

async function readVacuum(client: pg.Client): Promise<Facts['vacuum']> {
  const { rows } = await client.query<Facts['vacuum']['tables'][number]>(
    `select pg_class.relname as name, pg_table_size(pg_class.oid)::float8 as bytes,
       greatest(reltuples, n_live_tup, 0)::float8 as rows, n_dead_tup::float8 as "deadRows",
       'autovacuum_enabled=off' = any(coalesce(reloptions, '{}'))
         or 'autovacuum_enabled=false' = any(coalesce(reloptions, '{}')) as "isVacuumOff"
     from pg_class join pg_stat_user_tables on relid = pg_class.oid
     where schemaname = current_schema and pg_class.relname = any($1) order by 1`,
    [HOT],
  );
  const { version } = await readOne<{ version: number }>(
    client,
    `select current_setting('server_version_num')::int as version`,
  );
  const checkpoints =
    version >= 170_000
      ? 'select num_timed::float8 as timed, num_requested::float8 as requested from pg_stat_checkpointer'
      : 'select checkpoints_timed::float8 as timed, checkpoints_req::float8 as requested from pg_stat_bgwriter';
  const ages = await readOne<Omit<Facts['vacuum'], 'tables' | 'checkpoints'>>(
    client,
    `select age(datfrozenxid)::float8 as age,
       (select coalesce(extract(epoch from clock_timestamp() - min(xact_start)), 0)::float8
        from pg_stat_activity where pid <> pg_backend_pid() and datid is not null) as "oldestTransactionS",
       (select coalesce(extract(epoch from clock_timestamp() - min(prepared)), 0)::float8
        from pg_prepared_xacts) as "oldestPreparedS"
     from pg_database where datname = current_database()`,
  );
  return { ...ages, tables: rows, checkpoints: await readOne(client, checkpoints) };
}

/** The quickest answer says most. */
const SAMPLES = 10;

async function readClock(client: pg.Client): Promise<Facts['clock']> {
  let best = { aheadMs: 0, roundTripMs: Infinity };
  for (let sample = 0; sample < SAMPLES; sample++) {
    const before = Date.now();
    const started = performance.now();
    const { now } = await readOne<{ now: number }>(
      client,
      `select (date_part('epoch', clock_timestamp()) * 1000)::float8 as now`,
    );
    const roundTripMs = performance.now() - started;
    if (roundTripMs < best.roundTripMs)
      best = { aheadMs: before + roundTripMs / 2 - now, roundTripMs };
  }
  return { ...best, trustedAheadMs: await readTrustedAhead(client) };
}

async function hasTable(client: pg.Client, name: string): Promise<boolean> {
  const { found } = await readOne<{ found: boolean }>(
    client,
    `select to_regclass($1) is not null and coalesce(has_table_privilege(to_regclass($1)::oid, 'select'), false) as found`,
    [name],
  );
  return found;
}

async function readTrustedAhead(client: pg.Client): Promise<number | null> {
  if (!(await hasTable(client, 'clock_heartbeats'))) return null;
  const row = await readOne<{ ahead: number | null }>(
    client,
    `select (extract(epoch from max(trusted_at) - clock_timestamp()) * 1000)::float8 as ahead
     from clock_heartbeats`,
  );
  return row.ahead;
}

async function readRoles(client: pg.Client): Promise<Facts['roles']> {
  const roles = await readOne<Omit<Facts['roles'], 'runtime'>>(
    client,
    `select current_user::text as user, rolsuper as "isSuperuser",
       datdba = pg_roles.oid as "isOwner",
       case when isfinite(rolvaliduntil)
         then extract(epoch from rolvaliduntil - now())::float8 end as "passwordEndsInS",
       array[rolconnlimit, datconnlimit] as "connectionLimits",
       coalesce(has_schema_privilege('public', current_schema, 'create'), false) as "publicMayCreate",
       has_database_privilege('public', pg_database.oid, 'temporary') as "publicMayCreateTemporary"
     from pg_roles, pg_database where rolname = current_user and datname = current_database()`,
  );
  return { ...roles, runtime: await readRuntime(client) };
}

async function readRuntime(client: pg.Client): Promise<Facts['roles']['runtime']> {
  const { rows } = await client.query(
    `select rolcanlogin as "canLogin",
       array_remove(array[
         case when rolsuper then 'superuser' end, case when rolcreaterole then 'createrole' end,
         case when rolcreatedb then 'createdb' end, case when rolreplication then 'replication' end,
         case when rolbypassrls then 'bypassrls' end], null) as powers,
       array(select roleid::regrole::text from pg_auth_members where member = pg_roles.oid) as "memberOf",
       pg_has_role(current_user, oid,
         case when current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end) as "isGranted",
       coalesce(has_schema_privilege(oid, current_schema, 'usage'), false) as "mayUseSchema",
       array(select relname::text from pg_class
             where relnamespace = current_schema::regnamespace and relname = any($1)
               and not has_table_privilege(pg_roles.oid, pg_class.oid, 'select') order by 1) as unreadable,
       array(select format('%s of %s', privilege, relname) from pg_class,
               unnest(array['update', 'delete', 'truncate', 'trigger']) as privilege
             where relnamespace = current_schema::regnamespace and relname = any($1)
               and has_table_privilege(pg_roles.oid, pg_class.oid, privilege)
               and (privilege in ('truncate', 'trigger') or relname = any($2)) order by 1) as excess
     from pg_roles where rolname = 'scrip_runtime'`,
    [tables.map(({ name }) => name), HISTORY],
  );
  return rows[0] ?? null;
}

/** Nobody but their owner changes them. */
const HISTORY = ['entries', 'statements', 'plan_versions', 'rate_cards'];

async function readSchema(client: pg.Client, url: string): Promise<Facts['schema']> {
  const { isHidden } = await readOne<{ isHidden: boolean }>(
    client,
    `select coalesce(not has_table_privilege(to_regclass('schema_migrations')::oid, 'select'), false) as "isHidden"`,
  );
  // Where the user may not read them, the rules of roles say so.
  const { missing, unknown } = isHidden
    ? { missing: [], unknown: [] }
    : await compareMigrations(url);
  const plans = (await hasTable(client, 'plans'))
    ? (await readOne<{ count: number }>(client, 'select count(*)::int as count from plans')).count
    : null;
  const newest = (await hasTable(client, 'verify_runs'))
    ? await client.query(
        `select discrepancies, extract(epoch from clock_timestamp() - finished_at)::float8 as "ageS"
         from verify_runs order by finished_at desc limit 1`,
      )
    : null;
  return { missing, unknown, plans, audit: newest?.rows[0] ?? null };
}
