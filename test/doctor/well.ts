/** Facts of an installation that nothing is wrong with, and changes of them. */
import type { Facts } from '../../src/doctor/facts.ts';
import { SESSION_SETTINGS } from '../../src/pg/session-settings.ts';

const SETTINGS = {
  fsync: 'on',
  full_page_writes: 'on',
  synchronous_commit: 'on',
  wal_level: 'replica',
  archive_mode: 'on',
  synchronous_standby_names: 'ANY 1 (standby_a)',
  data_checksums: 'on',
  autovacuum: 'on',
  track_counts: 'on',
  autovacuum_freeze_max_age: '200000000',
  max_connections: '100',
  superuser_reserved_connections: '3',
  reserved_connections: '0',
  password_encryption: 'scram-sha-256',
  TimeZone: 'UTC',
  DateStyle: 'ISO, MDY',
  statement_timeout: '0',
  idle_session_timeout: '0',
  transaction_timeout: '0',
  default_transaction_isolation: 'read committed',
  default_transaction_read_only: 'off',
};

export const WELL: Facts = {
  connection: {
    isEmbedded: false,
    isLocal: false,
    isEncrypted: true,
    isVerified: true,
    pooler: null,
  },
  server: {
    version: 170_010,
    isStandby: false,
    encoding: 'UTF8',
    collation: { built: '2.36', used: '2.36' },
    settings: SETTINGS,
  },
  session: { settings: { ...SETTINGS, ...SESSION_SETTINGS } },
  durability: { standbys: 1, synchronousStandbys: 1, isArchivingFailing: false, slots: [] },
  vacuum: {
    tables: [
      { name: 'accounts', bytes: 10_000_000, rows: 20_000, deadRows: 3_000, isVacuumOff: false },
    ],
    age: 100_000_000,
    checkpoints: { timed: 500, requested: 3 },
    oldestTransactionS: 1,
    oldestPreparedS: 0,
  },
  clock: { aheadMs: 3, roundTripMs: 1, trustedAheadMs: -400 },
  roles: {
    user: 'scrip_service',
    isSuperuser: false,
    isOwner: false,
    passwordEndsInS: null,
    connectionLimits: [-1, -1],
    runtime: {
      canLogin: false,
      powers: [],
      memberOf: [],
      isGranted: true,
      mayUseSchema: true,
      unreadable: [],
      excess: [],
    },
    publicMayCreate: false,
    publicMayCreateTemporary: false,
  },
  schema: { missing: [], unknown: [], plans: 3, audit: { ageS: 3_600, discrepancies: 0 } },
  connections: { others: 5 },
  host: {
    node: 24,
    openFiles: 65_536,
    memoryBytes: 4_000_000_000,
    disks: [{ path: '/var/lib/scrip', freeBytes: 50e9, bytes: 100e9 }],
  },
  config: { replicas: 2, poolMax: 10, clockSkewMaxMs: 2_000, sessionSettings: SESSION_SETTINGS },
};

export type Change<Of> = Of extends readonly unknown[]
  ? Of
  : Of extends object
    ? { readonly [Name in keyof Of]?: Change<Of[Name]> }
    : Of;

/** The facts, but for what changes. */
export const wellBut = (change: Change<Facts>): Facts => merged(WELL, change) as Facts;

function merged(base: unknown, change: unknown): unknown {
  if (typeof change !== 'object' || change === null || Array.isArray(change)) return change;
  const before = (base ?? {}) as Readonly<Record<string, unknown>>;
  const after = Object.entries(change).map(([name, value]) => [name, merged(before[name], value)]);
  return { ...before, ...Object.fromEntries(after) };
}
