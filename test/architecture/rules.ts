/** Which module of src/ may import which. A folder of src/ is a module. */
import type { IForbiddenRuleType } from 'dependency-cruiser';

/** Rooms, and modules beside them, from the top down. Each imports only from the lines below its own. */
export const LAYERS: readonly (readonly string[])[] = [
  ['main', 'migrate', 'cli', 'demo'],
  [
    'service',
    'verify',
    'doctor',
    'preview',
    'rerate',
    'plan-files',
    'client-environment',
    'migration',
    'ports',
    'start-text',
  ],
  ['wiring'],
  ['console'],
  ['rpc', 'client', 'find-database', 'plan-publication', 'slot-moves'],
  [
    'payments',
    'events',
    'sweeper',
    'usage',
    'roll-forward',
    'refusals',
    'anchors',
    'day-quotas',
    'archiver',
    'admin',
    'sandbox',
  ],
  ['lanes', 'queries'],
  ['account-cache', 'clock', 'cells', 'archive', 'entry-follower'],
  ['store'],
  ['pg', 'embedded-postgres', 'statements', 'gen'],
  ['authentication'],
  ['policy'],
  ['ledger'],
  ['pricing'],
  ['tail', 'admission', 'database-probe', 'config'],
  ['telemetry'],
  [
    'poller',
    'for-each-concurrently',
    'loopback',
    'secret-files',
    'database-host',
    'new-id',
    'failure',
    'canonical',
    'sha256',
    'min',
    'time-slice',
    'visible-text',
    'nearest-name',
    'map-of',
  ],
];

const PURE = [
  ...['statements', 'ledger', 'pricing'],
  ...['failure', 'canonical', 'sha256', 'min', 'nearest-name', 'map-of'],
];

/** All of `policy/` but the file that reads the policy. */
const PURE_FILES =
  '^src/(clock/(clock-state|timeline)|policy/(?!policy-source)[a-z-]+|doctor/(?!examine|find-|read-)[a-z-]+)\\.ts$';

/**
 * Files that read the clock of a host or of the database, and what for. Everything else asks `clock/`:
 * what is stored or decided by the time has one clock.
 */
export const CLOCK_READERS: Readonly<Record<string, string>> = {
  'src/admission/admission.ts': 'measures how long calls wait',
  'src/rpc/call/overload-answer.ts': 'measures how old an answer is',
  'src/wiring/listeners.ts': 'gives admission control a monotonic clock',
  'src/clock/replica-clock.ts': 'compares the clocks',
  'src/sandbox/clock-moves.ts': 'measures how long a call has moved the clock',
  'src/sandbox/sandbox-clock.ts': 'moves what the clocks of the host say',
  'src/clock/clock-comparison.ts': 'compares the clocks, for commands',
  'src/clock/clock-records.ts': 'asks the database for its clock',
  'src/cells/recorded-map.ts': 'when a map was recorded',
  'src/slot-moves/move-slots.ts': 'measures how long accounts are stopped',
  'src/slot-moves/move-record.ts': 'a time limit, and when a replica was seen last',
  'src/slot-moves/session.ts': 'a time limit',
  'src/slot-moves/hand-over.ts': 'when a map was recorded',
  'src/cells/map-follower.ts': 'when a replica was seen last',
  'src/archiver/archiver.ts': 'measures how long a file took',
  'src/cli/archive/archive-cells.ts': 'measures how long a run took',
  'src/cli/cells-move.ts': 'measures how long a copy took',
  'src/archiver/candidates.ts': 'asks the database for its clock',
  'src/archiver/finish-part.ts': 'when a file was finished',
  'src/console/bridge.ts': 'the deadline of a client',
  'src/cli/anchor.ts': 'the time that the name of an anchor says',
  'src/cli/clock.ts': 'shows the clock of this machine',
  'src/doctor/read-database.ts': 'compares the clocks, for a command',
  'src/cli/service-call.ts': 'the deadline of a client',
  'src/cli/plans-preview.ts': 'the default month of a report, which names it',
  'src/demo/find-service.ts': 'the deadline of a client',
  'src/demo/main.ts': 'measures',
  'src/demo/perfectparser.ts': 'the expiry that a client asks for',
  'src/demo/tenant.ts': 'the deadline of a client',
  'src/embedded-postgres/embedded-postgres.ts': 'a time limit',
  'src/embedded-postgres/launcher.ts': 'the age of a file that the same host wrote',
  'src/events/webhook-endpoint.ts': 'receivers compare the signature with their own clocks',
  'src/telemetry/monotonic.ts': 'measures calls and units of work',
  'src/time-slice.ts': 'measures how long work takes',
  'src/start-text.ts': 'measures a start',
  'src/verify/audit.ts': 'measures',
  'src/verify/record-run.ts': 'the time of an audit',
};

/** Matches the files of these modules. */
const modules = (...names: readonly string[]) => `^src/(${names.join('|')})(/|\\.ts$)`;
const packages = (...names: readonly string[]) => `^node_modules/(${names.join('|')})/`;

const downwards = LAYERS.map((layer, index): IForbiddenRuleType => {
  const below = LAYERS.slice(index + 1).flat();
  return {
    name: `${layer.join(', ')}: import only from the modules below`,
    from: { path: layer.map((name) => modules(name)) },
    // $1 is the room of the importing module.
    to: { path: '^src/', pathNot: ['^src/$1(/|\\.ts$)', modules(...below)] },
  };
});

export const RULES: readonly IForbiddenRuleType[] = [
  ...downwards,
  {
    name: 'no cycles of values',
    from: {},
    to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
  },
  {
    name: 'decisions are pure: no I/O, no clock, no ids',
    from: { path: [modules(...PURE), PURE_FILES] },
    to: {
      pathNot: [
        modules(...PURE),
        PURE_FILES,
        '^(assert/strict|crypto)$',
        packages('zod', 'yaml', '@bufbuild/cel', 'fastest-levenshtein', 'temporal-polyfill'),
      ],
    },
  },
  {
    name: 'pg knows no other room',
    from: { path: modules('pg') },
    to: { path: '^src/', pathNot: modules('pg', 'failure', 'canonical', 'telemetry') },
  },
  {
    name: 'the service uses PostgreSQL through pg; those that open a connection of their own do not',
    from: {
      path: '^src/',
      pathNot: modules(
        'pg',
        'embedded-postgres',
        'verify',
        'doctor',
        'preview',
        'database-probe',
        'cells',
        'slot-moves',
      ),
    },
    to: {
      path: packages('pg', 'kysely', '@mikro-orm/.*'),
      dependencyTypesNot: ['type-only'],
    },
  },
  {
    name: 'only rpc and clients know gRPC and the generated code',
    from: { path: '^src/', pathNot: modules('rpc', 'console', 'client', 'cli', 'demo', 'gen') },
    to: { path: [packages('@grpc/.*'), modules('gen')] },
  },
  {
    name: 'only payments know the payment provider',
    from: { path: '^src/', pathNot: modules('payments') },
    to: { path: packages('stripe') },
  },
  {
    name: 'rpc reads through queries, and writes through lanes and events',
    from: { path: modules('rpc') },
    to: { path: modules('store'), dependencyTypesNot: ['type-only'] },
  },
  {
    name: 'units of work load what they need themselves',
    from: { path: modules('lanes') },
    to: { path: modules('queries') },
  },
  {
    name: 'the embedded PostgreSQL is for programs, not for the service',
    from: { path: '^src/', pathNot: modules('embedded-postgres', 'main', 'demo', 'find-database') },
    to: { path: modules('embedded-postgres') },
  },
  {
    name: 'verify runs none of the code that writes the ledger, but for the form of what is stored and hashed',
    from: { path: modules('verify') },
    to: {
      path: '^src/',
      pathNot: [
        modules('verify', 'find-database', 'cells', 'config', 'canonical', 'pg', 'archive'),
        '^src/store/tables/',
        '^src/ledger/(hash-chain|entry-content|event-hash)\\.ts$',
        '^src/pricing/publication-hash\\.ts$',
        '^src/anchors/anchor-(file|key)\\.ts$',
      ],
      dependencyTypesNot: ['type-only'],
    },
  },
];
