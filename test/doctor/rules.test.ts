/** What the doctor says of facts. Each row changes one fact of an installation that nothing is wrong with. */
import { describe, expect, test } from 'vitest';
import { diagnose } from '../../src/doctor/diagnose.ts';
import type { Facts, Level } from '../../src/doctor/facts.ts';
import { length, size } from '../../src/doctor/finding.ts';
import { type Change, WELL, wellBut } from './well.ts';

/** "warning TLS: the certificate of …": the beginning of what is said. */
const said = (facts: Facts) =>
  diagnose(facts).findings.map(({ level, about, problem }) => `${level} ${about}: ${problem}`);

type Row = readonly [change: Change<Facts>, level: Level, about: string, problem: string | RegExp];

const settings = (values: Readonly<Record<string, string>>): Change<Facts> => ({
  server: { settings: values },
});
const session = (values: Readonly<Record<string, string>>): Change<Facts> => ({
  session: { settings: values } as Change<Facts['session']>,
});
const runtime = (values: object): Change<Facts> => ({ roles: { runtime: values } as never });
const [accounts] = WELL.vacuum.tables;
const table = (values: object): Change<Facts> => ({
  vacuum: { tables: [{ ...accounts, ...values } as Facts['vacuum']['tables'][number]] },
});
const slot = (values: object): Change<Facts> => ({
  durability: {
    slots: [{ name: 's', isActive: false, keptBytes: 0, isLost: false, ...values }],
  },
});
const GB = 1024 ** 3;

const ROWS: readonly Row[] = [
  [{ server: { version: 140_012 } }, 'error', 'version', /14 is too old/],
  [{ server: { version: 190_000 } }, 'note', 'version', /19 is newer/],

  [settings({ fsync: 'off' }), 'error', 'settings', /^fsync is off/],
  [settings({ full_page_writes: 'off' }), 'error', 'settings', /^full_page_writes is off/],
  [settings({ wal_level: 'minimal' }), 'warning', 'settings', /^wal_level/],
  [settings({ data_checksums: 'off' }), 'note', 'settings', /^data_checksums/],
  [settings({ password_encryption: 'md5' }), 'warning', 'settings', /^password_encryption/],
  [settings({ TimeZone: 'Asia/Kolkata' }), 'note', 'settings', /Asia\/Kolkata/],
  [{ server: { encoding: 'SQL_ASCII' } }, 'error', 'settings', /SQL_ASCII/],
  [{ server: { collation: { built: '2.31' } } }, 'error', 'settings', /version 2.31 of the sort/],

  [session({ synchronous_commit: 'off' }), 'error', 'session', /synchronous_commit = off/],
  [
    session({ default_transaction_isolation: 'serializable' }),
    'warning',
    'session',
    /serializable/,
  ],
  [session({ default_transaction_read_only: 'on' }), 'error', 'session', /it cannot write/],
  [session({ DateStyle: 'German, DMY' }), 'error', 'session', /it cannot read times/],
  [session({ idle_session_timeout: '5min' }), 'warning', 'session', /idle_session_timeout = 5min/],
  [session({ transaction_timeout: '1min' }), 'warning', 'session', /transaction_timeout = 1min/],
  [session({ jit: 'on' }), 'error', 'session', /do not have its settings \(jit\)$/],
  [
    { session: { problem: 'permission denied to set role "scrip_runtime"' } },
    'error',
    'session',
    /cannot have a session: permission denied/,
  ],

  [{ config: { replicas: 9 } }, 'error', 'connections', /^9 replicas .* need 99 .* has 97/],
  [{ connections: { others: 80 } }, 'warning', 'connections', /need 22 .* others use 80/],
  [{ roles: { connectionLimits: [10, -1] } }, 'error', 'connections', /limit of 10/],

  [{ server: { isStandby: true } }, 'error', 'durability', /is a standby/],
  [{ durability: { synchronousStandbys: 0 } }, 'error', 'durability', /every write waits/],
  [settings({ synchronous_standby_names: '' }), 'note', 'durability', /asynchronous/],
  [{ durability: { isArchivingFailing: true } }, 'error', 'durability', /failed/],
  [slot({ keptBytes: 2 * GB }), 'warning', 'durability', /slot s, which keeps 2 GB/],
  [slot({ keptBytes: 20 * GB }), 'error', 'durability', /keeps 20 GB/],
  [slot({ isLost: true }), 'error', 'durability', /has lost its WAL/],

  [settings({ autovacuum: 'off' }), 'error', 'vacuum', /^autovacuum is off: /],
  [settings({ track_counts: 'off' }), 'error', 'vacuum', /^track_counts is off: /],
  [table({ isVacuumOff: true }), 'error', 'vacuum', /off for accounts/],
  [table({ deadRows: 200_000 }), 'warning', 'vacuum', /200000 dead rows beside 20000/],
  [table({ bytes: GB }), 'warning', 'vacuum', /1 GB for 20000 rows/],
  [{ vacuum: { age: 500_000_000 } }, 'warning', 'vacuum', /500000000 transactions old/],
  [{ vacuum: { age: 1_600_000_000 } }, 'error', 'vacuum', /1600000000 transactions old/],
  [{ vacuum: { oldestTransactionS: 90_000 } }, 'warning', 'vacuum', /open for 1 day:/],
  [{ vacuum: { oldestPreparedS: 7_300 } }, 'warning', 'vacuum', /waited for 2 hours/],
  [{ vacuum: { checkpoints: { requested: 900 } } }, 'warning', 'vacuum', /900 of 1400/],

  [{ schema: { audit: { ageS: 1, discrepancies: 2 } } }, 'error', 'audit', /found 2/],
  [{ schema: { audit: { ageS: 864_000, discrepancies: 0 } } }, 'note', 'audit', /is 10 days old/],
  [
    { host: { disks: [{ path: '/data', freeBytes: 5 * GB, bytes: 100 * GB }] } },
    'warning',
    'disk',
    '5 GB of 100 GB are free for /data',
  ],
  [
    { host: { disks: [{ path: '/data', freeBytes: GB, bytes: 100 * GB }] } },
    'error',
    'disk',
    '1 GB of 100 GB are free for /data',
  ],

  [{ schema: { missing: ['0002-x'] } }, 'error', 'schema', /lacks 1 migration\(s\) \(0002-x\)/],
  [{ schema: { unknown: ['0009-y'] } }, 'error', 'schema', /does not know \(0009-y\)/],
  [{ schema: { plans: 0 } }, 'error', 'schema', /no plan is published/],

  [{ clock: { aheadMs: 9_000 } }, 'error', 'clock', /9 s ahead of that of the database/],
  [{ clock: { aheadMs: -2_100 } }, 'error', 'clock', /2.1 s behind that of the database/],
  [{ clock: { trustedAheadMs: 5_000 } }, 'error', 'clock', /5 s behind what replicas trusted/],
  [{ clock: { roundTripMs: 80 } }, 'warning', 'clock', /after 80 ms/],

  [{ roles: { isSuperuser: true } }, 'warning', 'roles', /is a superuser/],
  [{ roles: { isOwner: true } }, 'note', 'roles', /owns the database/],
  [{ roles: { passwordEndsInS: 200_000 } }, 'warning', 'roles', /scrip_service ends in 2 days/],
  [{ roles: { passwordEndsInS: -5 } }, 'warning', 'roles', /has ended/],
  [{ roles: { publicMayCreate: true } }, 'warning', 'roles', /everyone may create tables/],
  [{ roles: { publicMayCreateTemporary: true } }, 'note', 'roles', /temporary tables/],
  [{ roles: { runtime: null } }, 'error', 'roles', /scrip_runtime is missing/],
  [runtime({ powers: ['superuser'] }), 'error', 'roles', /scrip_runtime has superuser/],
  [runtime({ memberOf: ['dba'] }), 'warning', 'roles', /in other roles \(dba\)/],
  [runtime({ canLogin: true }), 'note', 'roles', /can log in/],
  [runtime({ isGranted: false }), 'error', 'roles', /does not have the role/],
  [runtime({ mayUseSchema: false }), 'error', 'roles', /may not use the schema/],
  [runtime({ unreadable: ['entries'] }), 'error', 'roles', /may not read entries/],
  [runtime({ excess: ['update of entries'] }), 'error', 'roles', /rewrite history: update of en/],

  [{ connection: { isEncrypted: false, isVerified: false } }, 'warning', 'TLS', /is not encrypted/],
  [{ connection: { isVerified: false } }, 'warning', 'TLS', /is not verified/],
  [
    {
      connection: {
        pooler: { mode: 'transaction', hasPreparedStatements: true, carriesBatches: true },
      },
    },
    'note',
    'pooler',
    /need a direct connection/,
  ],

  [{ host: { node: 20 } }, 'error', 'host', /Node 20 is too old/],
  [{ host: { openFiles: 1_024 } }, 'warning', 'host', /1024 files open/],
  [{ host: { memoryBytes: 256 * 1024 ** 2 } }, 'warning', 'host', /256 MB of memory/],
];

test('of an installation that nothing is wrong with nothing is said', () => {
  expect(said(WELL)).toEqual([]);
});

test.each(ROWS)('%j: %s %s', (change, level, about, problem) => {
  const { findings } = diagnose(wellBut(change));
  expect(findings).toEqual([
    { level, about, problem: expect.stringMatching(problem), advice: expect.any(String) },
  ]);
  expect(findings[0]?.advice.length).toBeGreaterThan(5);
});

describe('what is not said', () => {
  test.each<readonly [string, Change<Facts>]>([
    [
      'of a pooler in session mode',
      {
        connection: {
          pooler: { mode: 'session', hasPreparedStatements: true, carriesBatches: true },
        },
      },
    ],
    [
      'of connections without TLS on one machine',
      { connection: { isLocal: true, isEncrypted: false, isVerified: false } },
    ],
    ['of clocks that a slow answer explains', { clock: { aheadMs: 2_005, roundTripMs: 19 } }],
    ['of the many dead rows of a small table', table({ rows: 1, deadRows: 9_000 })],
    ['of a young server', { vacuum: { checkpoints: { timed: 0, requested: 2 } } }],
    [
      'before the first heartbeat and the first audit',
      { clock: { trustedAheadMs: null }, schema: { audit: null } },
    ],
    ['of a system that does not tell its limits', { host: { openFiles: null, disks: [] } }],
  ])('%s', (_, change) => {
    expect(said(wellBut(change))).toEqual([]);
  });

  test('of max_connections behind a pooler, which has fewer', () => {
    const pooler = { mode: 'session', hasPreparedStatements: true, carriesBatches: true } as const;
    expect(said(wellBut({ connection: { pooler }, config: { replicas: 50 } }))).toEqual([]);
  });

  test('of plans, grants and sessions before the first migration', () => {
    const facts = wellBut({
      schema: { missing: ['0001-baseline'], plans: null, audit: null },
      session: { problem: 'role "scrip_runtime" does not exist' },
      roles: { runtime: null },
    });
    expect(said(facts)).toEqual([expect.stringMatching(/^error schema: the database lacks 1/)]);
  });
});

test('a pooler without prepared statements, which drops the settings, is two errors', () => {
  const facts = wellBut({
    connection: {
      pooler: { mode: 'transaction', hasPreparedStatements: false, carriesBatches: true },
    },
    ...session({ enable_seqscan: 'on', jit: 'on' }),
  });
  expect(said(facts)).toEqual([
    expect.stringMatching(/^error session: .* \(enable_seqscan, jit\): the pooler drops them$/),
    expect.stringMatching(/^error pooler: .* prepared statements/),
    expect.stringMatching(/^note pooler: /),
  ]);
});

test('a pooler that stands still in a batch is an error', () => {
  const pooler = { mode: 'session', hasPreparedStatements: true, carriesBatches: false } as const;
  expect(said(wellBut({ connection: { pooler } }))).toEqual([
    expect.stringMatching(/^error pooler: .* stands still/),
  ]);
});

test('a pooler that refuses the settings is told apart from a missing role', () => {
  const facts = wellBut({
    session: { problem: 'unsupported startup parameter in options: role' },
  });
  expect(diagnose(facts).findings[0]?.advice).toMatch(/ignore_startup_parameters/);
});

test('an owner whose sessions do not take the role can rewrite history', () => {
  const facts = wellBut({ roles: { isOwner: true }, ...session({ role: 'none' }) });
  expect(said(facts)).toContainEqual(expect.stringMatching(/^error session: .*rewrite history/));
  expect(said(wellBut(session({ role: 'none' })))).toEqual([]);
});

test('a machine without standby and archive: a warning, and a note where the database is embedded', () => {
  const alone: Change<Facts> = {
    ...settings({ archive_mode: 'off', synchronous_standby_names: '' }),
    durability: { standbys: 0, synchronousStandbys: 0 },
  };
  expect(said(wellBut(alone))).toEqual([expect.stringMatching(/^warning durability: no standby/)]);
  expect(said(wellBut({ ...alone, connection: { isEmbedded: true } }))).toEqual([
    expect.stringMatching(/^note durability: no standby/),
  ]);
});

test('the worst comes first', () => {
  const facts = wellBut({
    roles: { publicMayCreateTemporary: true },
    host: { openFiles: 1_024, node: 20 },
  });
  expect(diagnose(facts).findings.map(({ level }) => level)).toEqual(['error', 'warning', 'note']);
});

test.each([
  [0, '0 B'],
  [1_023, '1023 B'],
  [1_536, '1.5 kB'],
  [3 * 1024 ** 4, '3 TB'],
  [5_000 * 1024 ** 4, '5000 TB'],
])('size %d is %s', (bytes, text) => expect(size(bytes)).toBe(text));

test.each([
  [59, '59 seconds'],
  [61, '1 minute'],
  [7_200, '2 hours'],
  [90_000, '1 day'],
])('length %d is %s', (seconds, text) => expect(length(seconds)).toBe(text));
