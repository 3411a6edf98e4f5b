/** Rules about what is kept: durability, vacuum, disks. */
import type { HotTable, Rule } from './facts.ts';
import { findings, length, size } from './finding.ts';

const GB = 1024 ** 3;
const MB = 1024 ** 2;

export const durability: Rule = ({ server, durability: is, connection }) => {
  const of = findings('durability');
  const archives = server.settings['archive_mode'] !== 'off';
  const synchronous = server.settings['synchronous_standby_names'] !== '';
  return [
    of(
      'error',
      server.isStandby,
      'the server is a standby: it only reads',
      'name the primary in DATABASE_URL, or promote this one',
    ),
    of(
      connection.isEmbedded ? 'note' : 'warning',
      !server.isStandby && is.standbys === 0 && !archives,
      'no standby and no archive: with the machine everything since the last dump is lost',
      'docs/backup.md: archive the WAL, and run a standby',
    ),
    of(
      'error',
      !server.isStandby && synchronous && is.synchronousStandbys === 0,
      'synchronous_standby_names names a standby, and none is connected: every write waits',
      "start the standby; without one, alter system set synchronous_standby_names = ''",
    ),
    of(
      'note',
      is.standbys > 0 && !synchronous,
      'the standby is asynchronous: a promotion may lose what was acknowledged last',
      "alter system set synchronous_standby_names = 'ANY 1 (…)'",
    ),
    of(
      'error',
      is.isArchivingFailing,
      'the newest attempt to archive a WAL file failed: the disk of the server fills',
      'select * from pg_stat_archiver; correct archive_command or its target',
    ),
    ...is.slots.map(({ name, isActive, keptBytes, isLost }) =>
      of(
        isLost || keptBytes > 10 * GB ? 'error' : 'warning',
        isLost || (!isActive && keptBytes > GB),
        isLost
          ? `the replication slot ${name} has lost its WAL: its standby cannot follow`
          : `nobody reads the replication slot ${name}, which keeps ${size(keptBytes)} of WAL`,
        isLost
          ? 'build the standby anew'
          : `start what reads it, or select pg_drop_replication_slot('${name}')`,
      ),
    ),
  ];
};

/** Beyond it dead rows are more than autovacuum's 20 % and what it leaves while it works. */
const DEAD_SHARE_MAX = 0.6;
const DEAD_ROWS_MIN = 50_000;
/** A row and its share of free room are smaller. */
const ROW_BYTES_MAX = 4_096;
/** Below, a table that was once larger costs nothing. */
const BLOAT_BYTES_MIN = 64 * MB;

const isDead = ({ rows, deadRows }: HotTable): boolean =>
  deadRows > DEAD_ROWS_MIN && deadRows > DEAD_SHARE_MAX * (rows + deadRows);

const isBloated = ({ rows, bytes }: HotTable): boolean =>
  bytes > BLOAT_BYTES_MIN && bytes > ROW_BYTES_MAX * Math.max(1, rows);

const DAY_S = 86_400;
/** A transaction of the service takes milliseconds, the longest report or dump hours. */
const TRANSACTION_S_MAX = 6 * 3_600;
const PREPARED_S_MAX = 600;
/** Below, the counts of a young server say nothing. */
const CHECKPOINTS_MIN = 20;

export const vacuum: Rule = ({ server, vacuum: is }) => {
  const of = findings('vacuum');
  const { checkpoints, age } = is;
  const freezeAge = Number(server.settings['autovacuum_freeze_max_age'] ?? 200_000_000);
  return [
    ...(['autovacuum', 'track_counts'] as const).map((name) =>
      of(
        'error',
        server.settings[name] === 'off',
        `${name} is off: tables grow with every change, until the server stops`,
        `alter system set ${name} = on; select pg_reload_conf()`,
      ),
    ),
    ...is.tables.flatMap((table) => [
      of(
        'error',
        table.isVacuumOff,
        `autovacuum is off for ${table.name}, which changes with every call`,
        `alter table ${table.name} reset (autovacuum_enabled)`,
      ),
      of(
        'warning',
        isDead(table),
        `${table.name} has ${table.deadRows} dead rows beside ${table.rows}: autovacuum does not keep up`,
        'end what holds it back; alter system set autovacuum_vacuum_cost_limit = 2000',
      ),
      of(
        'warning',
        !isDead(table) && isBloated(table),
        `${table.name} has ${size(table.bytes)} for ${table.rows} rows: most of it is empty`,
        `vacuum full ${table.name} in a maintenance window, or pg_repack`,
      ),
    ]),
    of(
      age > 1_500_000_000 ? 'error' : 'warning',
      age > 2 * freezeAge,
      `the oldest row that is not frozen is ${age} transactions old: at 2,000,000,000 the server stops`,
      'end what holds vacuum back, then vacuum freeze',
    ),
    of(
      'warning',
      is.oldestTransactionS > TRANSACTION_S_MAX,
      `a transaction has been open for ${length(is.oldestTransactionS)}: no dead row since is removed`,
      'select * from pg_stat_activity order by xact_start; pg_terminate_backend ends it',
    ),
    of(
      'warning',
      is.oldestPreparedS > PREPARED_S_MAX,
      `a prepared transaction has waited for ${length(is.oldestPreparedS)}: it keeps its locks, and no dead row since is removed`,
      'select * from pg_prepared_xacts; commit prepared or rollback prepared',
    ),
    of(
      'warning',
      checkpoints.requested > CHECKPOINTS_MIN && checkpoints.requested > checkpoints.timed,
      `${checkpoints.requested} of ${checkpoints.requested + checkpoints.timed} checkpoints came early: each makes the next writes larger`,
      "alter system set max_wal_size = '8GB'; select pg_reload_conf()",
    ),
  ];
};

/** An audit once a week is what docs/backup.md advises. */
const AUDIT_S_MAX = 8 * DAY_S;

export const audit: Rule = ({ schema }) => {
  const of = findings('audit');
  const newest = schema.audit;
  return [
    of(
      'error',
      newest !== null && newest.discrepancies > 0,
      `the newest audit found ${newest?.discrepancies} discrepancies`,
      'npm run verify -- --all lists them',
    ),
    of(
      'note',
      newest !== null && newest.ageS > AUDIT_S_MAX,
      `the newest audit is ${length(newest?.ageS ?? 0)} old`,
      'run npm run verify on a schedule',
    ),
  ];
};

export const disks: Rule = ({ host }) => {
  const of = findings('disk');
  return host.disks.map(({ path, freeBytes, bytes }) =>
    of(
      freeBytes < 0.03 * bytes ? 'error' : 'warning',
      freeBytes < 0.1 * bytes,
      `${size(freeBytes)} of ${size(bytes)} are free for ${path}`,
      'make room: a database without any stops',
    ),
  );
};
