/** Rules about the server: version, settings, and the settings of sessions. */
import type { Finding, Rule } from './facts.ts';
import { findings } from './finding.ts';

const OLDEST = 15;
/** The newest that the tests run on. */
const NEWEST = 18;

export const version: Rule = ({ server }) => {
  const major = Math.floor(server.version / 10_000);
  const of = findings('version');
  return [
    of(
      'error',
      major < OLDEST,
      `PostgreSQL ${major} is too old: ${OLDEST} to ${NEWEST} are supported`,
      `upgrade to ${NEWEST}`,
    ),
    of(
      'note',
      major > NEWEST,
      `PostgreSQL ${major} is newer than the tests: they run on ${OLDEST} to ${NEWEST}`,
      'run npm run test:postgres with it, or use an older one',
    ),
  ];
};

const set = (name: string, value: string): string =>
  `alter system set ${name} = ${value}; select pg_reload_conf()`;

export const settings: Rule = ({ server, connection }) => {
  const { settings: is, encoding, collation } = server;
  const of = findings('settings');
  return [
    ...(['fsync', 'full_page_writes'] as const).map((name) =>
      of(
        'error',
        is[name] === 'off',
        `${name} is off: a power cut can destroy the database`,
        set(name, 'on'),
      ),
    ),
    of(
      'warning',
      is['wal_level'] === 'minimal',
      'wal_level is minimal: no standby and no archive is possible',
      "alter system set wal_level = 'replica', and restart",
    ),
    of(
      'note',
      is['data_checksums'] === 'off',
      'data_checksums is off: a disk that returns other bytes is not noticed',
      'stop the server, and run pg_checksums --enable',
    ),
    of(
      'error',
      encoding !== 'UTF8',
      `the encoding is ${encoding}: texts of callers cannot all be stored`,
      "create the database with encoding 'UTF8', and restore a dump into it",
    ),
    of(
      'error',
      collation.built !== null && collation.used !== null && collation.built !== collation.used,
      `indexes were built with version ${collation.built} of the sort order, and ${collation.used} is in use: rows may not be found`,
      'reindex database, then alter database … refresh collation version',
    ),
    of(
      'warning',
      is['password_encryption'] === 'md5',
      'password_encryption is md5: stored passwords can be computed',
      `${set('password_encryption', "'scram-sha-256'")}, and set the passwords again`,
    ),
    of(
      'note',
      !connection.isEmbedded && !/^(UTC|Etc\/UTC|GMT)$/.test(is['TimeZone'] ?? 'UTC'),
      `the time zone is ${is['TimeZone']}: psql and the server's log show its times, the service and its log UTC`,
      set('timezone', "'UTC'"),
    ),
  ];
};

/** What other than the service's own settings a session of it must have. */
const EXPECTED: readonly (readonly [
  name: string,
  isRight: (value: string) => boolean,
  level: 'error' | 'warning',
  why: string,
])[] = [
  [
    'synchronous_commit',
    (value) => value !== 'off',
    'error',
    'an acknowledged charge can be lost in a crash',
  ],
  [
    'default_transaction_isolation',
    (value) => value === 'read committed',
    'warning',
    'units of work that meet are repeated; read committed is enough',
  ],
  ['default_transaction_read_only', (value) => value === 'off', 'error', 'it cannot write'],
  ['DateStyle', (value) => value.startsWith('ISO'), 'error', 'it cannot read times'],
  [
    'idle_session_timeout',
    (value) => value === '0',
    'warning',
    'connections of its pool, and of its probe, are closed while nobody uses them',
  ],
  [
    'transaction_timeout',
    (value) => value === '0',
    'warning',
    'it has limits of its own, and audits and reports take longer',
  ],
];

const inAlterRole = (name: string, value: string): string =>
  `alter role … set ${name} = '${value}'`;

export const session: Rule = ({ session: given, roles, config, connection, schema, server }) => {
  const of = findings('session');
  if ('problem' in given)
    // Without its role there is none; the missing migration says so.
    return [
      of(
        'error',
        schema.missing.length === 0,
        `the service cannot have a session: ${given.problem}`,
        /startup parameter/.test(given.problem)
          ? 'ignore_startup_parameters = options in pgbouncer.ini, and the settings in alter role: docs/operations.md'
          : 'log in as a user who has the role scrip_runtime',
      ),
    ];
  const differing = Object.entries(config.sessionSettings).filter(
    ([name, value]) => given.settings[name] !== value && name !== 'role',
  );
  const isPooled = connection.pooler !== null;
  return [
    of(
      'error',
      differing.length > 0,
      `sessions of the service do not have its settings (${differing.map(([name]) => name).join(', ')})${isPooled ? ': the pooler drops them' : ''}`,
      `${differing.map(([name, value]) => inAlterRole(name, value)).join('; ')}: see PgBouncer in docs/operations.md`,
    ),
    ...EXPECTED.map(([name, isRight, level, why]): Finding | null => {
      const value = given.settings[name];
      return of(
        level,
        value !== undefined && !isRight(value),
        `sessions of the service have ${name} = ${value}: ${why}`,
        `alter role … reset ${name}, or set it in postgresql.conf`,
      );
    }),
    of(
      'warning',
      roles.isOwner && (server.settings['statement_timeout'] ?? '0') !== '0',
      `sessions of the owner have statement_timeout = ${server.settings['statement_timeout']}: migrations, audits and reports may need longer`,
      'alter role … set statement_timeout = 0',
    ),
    of(
      'error',
      given.settings['role'] !== 'scrip_runtime' && (roles.isOwner || roles.isSuperuser),
      `sessions of the service do not take the role scrip_runtime: ${roles.user} can rewrite history`,
      'run the service as a user who only has scrip_runtime',
    ),
  ];
};

export const connections: Rule = ({ server, config, connection, connections: now, roles }) => {
  const of = findings('connections');
  const is = server.settings;
  const reserved =
    Number(is['superuser_reserved_connections'] ?? 0) + Number(is['reserved_connections'] ?? 0);
  const usable = Number(is['max_connections'] ?? 0) - reserved;
  // Its pool, and the probe.
  const wanted = config.replicas * (config.poolMax + 1);
  const counted = `${config.replicas} replica${config.replicas === 1 ? '' : 's'} with ${config.poolMax} connections and a probe each`;
  const isDirect = connection.pooler === null;
  return [
    of(
      'error',
      isDirect && wanted > usable,
      `${counted} need ${wanted} connections, and the server has ${usable} for users`,
      `max_connections = ${wanted + reserved + 20} and a restart, a smaller DATABASE_POOL_MAX, or PgBouncer`,
    ),
    of(
      'warning',
      isDirect && wanted <= usable && wanted + now.others > usable,
      `${counted} need ${wanted} connections; the server has ${usable} for users, and others use ${now.others}`,
      `max_connections = ${wanted + now.others + reserved + 20} and a restart, or fewer connections of others`,
    ),
    ...roles.connectionLimits.map((limit) =>
      of(
        'error',
        isDirect && limit >= 0 && limit < wanted,
        `the user or the database has a limit of ${limit} connections, and ${counted} need ${wanted}`,
        'alter role … connection limit, or alter database … connection limit',
      ),
    ),
  ];
};
