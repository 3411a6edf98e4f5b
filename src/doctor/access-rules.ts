/** Rules about who may do what, how the database is reached, its schema, the clocks, and this host. */
import type { Rule } from './facts.ts';
import { findings, length, size } from './finding.ts';

const DAY_S = 86_400;

export const roles: Rule = ({ roles: is, schema, connection }) => {
  const of = findings('roles');
  const { runtime } = is;
  const isMigrated = schema.missing.length === 0;
  const rest =
    runtime === null
      ? [
          of(
            'error',
            isMigrated,
            'the role scrip_runtime is missing, as after a restore on another server',
            'create role scrip_runtime nologin, and restore the dump again: its grants need the role',
          ),
        ]
      : [
          of(
            'error',
            runtime.powers.length > 0,
            `scrip_runtime has ${runtime.powers.join(', ')}`,
            `alter role scrip_runtime ${runtime.powers.map((power) => `no${power}`).join(' ')}`,
          ),
          of(
            'warning',
            runtime.memberOf.length > 0,
            `scrip_runtime is in other roles (${runtime.memberOf.join(', ')}), and may what they may`,
            `revoke ${runtime.memberOf.join(', ')} from scrip_runtime`,
          ),
          of(
            'note',
            runtime.canLogin,
            'scrip_runtime can log in, which only Citus needs',
            'alter role scrip_runtime nologin',
          ),
          of(
            'error',
            !runtime.isGranted && isMigrated,
            `${is.user} does not have the role scrip_runtime`,
            `grant scrip_runtime to ${is.user}`,
          ),
          of(
            'error',
            !runtime.mayUseSchema && isMigrated,
            'scrip_runtime may not use the schema of the tables',
            'grant usage on schema … to scrip_runtime',
          ),
          of(
            'error',
            runtime.unreadable.length > 0,
            `scrip_runtime may not read ${runtime.unreadable.join(', ')}`,
            'restore the dump again with its grants, or grant what docs/schema.sql says',
          ),
          of(
            'error',
            runtime.excess.length > 0,
            `scrip_runtime could rewrite history: ${runtime.excess.join(', ')}`,
            'revoke it; docs/schema.sql says what the role has',
          ),
        ];
  return [
    of(
      'warning',
      is.isSuperuser && !connection.isEmbedded,
      `${is.user} is a superuser: the service needs no more than scrip_runtime`,
      "create role scrip_service login password '…' in role scrip_runtime",
    ),
    of(
      'note',
      is.isOwner && !is.isSuperuser,
      `${is.user} owns the database: right for migrations, more than the service needs`,
      'run the service as a user who only has scrip_runtime',
    ),
    of(
      'warning',
      is.passwordEndsInS !== null && is.passwordEndsInS < 14 * DAY_S,
      `the password of ${is.user} ${(is.passwordEndsInS ?? 0) > 0 ? `ends in ${length(is.passwordEndsInS ?? 0)}` : 'has ended'}`,
      `alter role ${is.user} valid until …`,
    ),
    of(
      'warning',
      is.publicMayCreate,
      'everyone may create tables in the schema of the service',
      'revoke create on schema … from public',
    ),
    of(
      'note',
      is.publicMayCreateTemporary,
      'everyone may create temporary tables in the database',
      'revoke temporary on database … from public',
    ),
    ...rest,
  ];
};

export const reach: Rule = ({ connection }) => {
  const { isLocal, isEncrypted, isVerified, pooler } = connection;
  return [
    findings('TLS')(
      'warning',
      !isLocal && !isEncrypted,
      'the connection is not encrypted, and leaves this machine',
      '?sslmode=verify-full&sslrootcert=FILE in DATABASE_URL',
    ),
    findings('TLS')(
      'warning',
      !isLocal && isEncrypted && !isVerified,
      'the certificate of the database is not verified: any server is trusted',
      '?sslmode=verify-full&sslrootcert=FILE in DATABASE_URL',
    ),
    findings('pooler')(
      'error',
      pooler?.mode === 'transaction' && !pooler.hasPreparedStatements,
      'the pooler gives each transaction another session, and does not carry prepared statements along',
      'PgBouncer 1.21 or newer with max_prepared_statements = 500, or pool_mode = session',
    ),
    findings('pooler')(
      'error',
      pooler !== null && !pooler.carriesBatches,
      'the pooler stands still in a batch of SQL statements, as PgBouncer does over TLS with a small buffer',
      'pkt_buf = 65536 in pgbouncer.ini, and restart it: PgBouncer in docs/operations.md',
    ),
    findings('pooler')(
      'note',
      pooler?.mode === 'transaction',
      'a pooler in transaction mode stands between: migrations and dumps need a direct connection',
      'give npm run migrate the URL of the server itself',
    ),
  ];
};

export const schema: Rule = ({ schema: is }) => {
  const of = findings('schema');
  return [
    of(
      'error',
      is.missing.length > 0,
      `the database lacks ${is.missing.length} migration(s) (${is.missing.join(', ')})`,
      'npm run migrate, as the owner of the database',
    ),
    of(
      'error',
      is.unknown.length > 0,
      `the database has migrations that this version does not know (${is.unknown.join(', ')})`,
      'run the version that migrated it, or a newer one',
    ),
    of(
      'error',
      is.missing.length === 0 && is.plans === 0,
      'no plan is published: the service does not start',
      'npm run scrip -- plans publish',
    ),
  ];
};

/** Within a region it is 1 to 2 ms. */
const ROUND_TRIP_MS_MAX = 50;

export const clock: Rule = ({ clock: is, config }) => {
  const of = findings('clock');
  const { aheadMs, roundTripMs, trustedAheadMs } = is;
  const seconds = (ms: number) => `${Number((Math.abs(ms) / 1_000).toFixed(1))} s`;
  // What the way to the database and back takes may be a part of the difference.
  const least = Math.max(0, Math.abs(aheadMs) - roundTripMs / 2);
  return [
    of(
      'error',
      least > config.clockSkewMaxMs,
      `the clock of this host is ${seconds(aheadMs)} ${aheadMs > 0 ? 'ahead of' : 'behind'} that of the database`,
      'run NTP on both; a replica here would not be ready',
    ),
    of(
      'error',
      trustedAheadMs !== null && trustedAheadMs > config.clockSkewMaxMs,
      `the clock of the database is ${seconds(trustedAheadMs ?? 0)} behind what replicas trusted last`,
      'npm run scrip -- clock status',
    ),
    of(
      'warning',
      roundTripMs > ROUND_TRIP_MS_MAX,
      `the database answers after ${Math.round(roundTripMs)} ms: a unit of work waits for it twice`,
      'run the replicas near the database',
    ),
  ];
};

const NODE_OLDEST = 22;
/** Connections of clients, streams, and the database. */
const OPEN_FILES_MIN = 4_096;
const MEMORY_MIN = 512 * 1024 ** 2;

export const host: Rule = ({ host: is }) => {
  const of = findings('host');
  return [
    of(
      'error',
      is.node < NODE_OLDEST,
      `Node ${is.node} is too old for the service`,
      'start it by npm or bin/run, which use the Node 24 of the package',
    ),
    of(
      'warning',
      is.openFiles !== null && is.openFiles < OPEN_FILES_MIN,
      `a process may have ${is.openFiles} files open, and every connection is one`,
      `ulimit -n ${16 * OPEN_FILES_MIN}, or LimitNOFILE= in the unit of systemd`,
    ),
    of(
      'warning',
      is.memoryBytes < MEMORY_MIN,
      `the process may have ${size(is.memoryBytes)} of memory; under load a replica takes 300 MB`,
      'give it 512 MB or more',
    ),
  ];
};
