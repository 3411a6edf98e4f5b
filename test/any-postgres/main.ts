/**
 * `npm run test:postgres`: the tests that touch the database on every version of PostgreSQL that the service supports,
 * with TLS and an owner who is no superuser, and through PgBouncer. `-- --only 16` runs the rows whose name has it;
 * `--verbose` shows the tests as they end; further arguments are those of vitest. Exit code 1 if a test fails.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { table } from '../../src/cli/table.ts';
import { migrate } from '../../src/pg/migrate.ts';
import { query } from '../faults/postgres-cluster.ts';
import { startPooler } from './pooler.ts';
import { findPooler, VERSIONS, type Version } from './programs.ts';
import { type Server, startServer } from './server.ts';

const root = new URL('../..', import.meta.url).pathname;

type Outcome = {
  readonly name: string;
  /** What the server says of itself, or why it was left out. */
  readonly server: string;
  readonly passed?: number;
  readonly failed?: number;
  readonly skipped?: number;
  readonly seconds?: number;
};

const print = (line: string) => process.stdout.write(`${line}\n`);

const { values, positionals } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    verbose: { type: 'boolean', default: false },
  },
  allowPositionals: true,
});

/** The name of the row through PgBouncer, on the newest version. */
const POOLED = 'PgBouncer';

const outcomes: Outcome[] = [];
for (const [name, find] of VERSIONS)
  if (name.includes(values.only)) outcomes.push(await onVersion(name, await find()));
if (POOLED.includes(values.only)) outcomes.push(await throughPooler());

for (const line of table(
  [
    { title: 'PostgreSQL' },
    { title: 'server' },
    { title: 'passed', align: 'right' },
    { title: 'failed', align: 'right' },
    { title: 'skipped', align: 'right' },
    { title: 'seconds', align: 'right' },
  ],
  outcomes.map(({ name, server, ...counts }) => [
    name,
    server,
    ...(['passed', 'failed', 'skipped', 'seconds'] as const).map((key) => `${counts[key] ?? ''}`),
  ]),
))
  print(line);
process.exitCode = outcomes.some(({ failed = 0 }) => failed > 0) ? 1 : 0;

async function onVersion(name: string, version: Version | null): Promise<Outcome> {
  if (!version)
    return {
      name,
      server: 'skipped: there is no /usr/lib/postgresql (apt-get install postgresql)',
    };
  const server = await startServer(version.programs);
  try {
    return await runTests(name, server, {});
  } finally {
    await server.stop();
  }
}

async function throughPooler(): Promise<Outcome> {
  const found = await findPooler();
  if ('why' in found) return { name: POOLED, server: `skipped: ${found.why}` };
  const version = await VERSIONS.find(([name]) => name === 'embedded 18')?.[1]();
  if (!version) throw new Error('there is no embedded PostgreSQL');
  const server = await startServer(version.programs);
  try {
    await migrate(server.url);
    const pooler = await startPooler(found.path, server);
    try {
      return await runTests(POOLED, server, { TEST_POOLER_URL: pooler.url });
    } finally {
      await pooler.stop();
    }
  } finally {
    await server.stop();
  }
}

async function runTests(
  name: string,
  { url }: Server,
  env: Readonly<Record<string, string>>,
): Promise<Outcome> {
  const [row] = await query<{ version: string }>(
    url,
    `select split_part(version(), ' on ', 1) as version`,
  );
  const server = row?.version ?? '';
  print(`${name}: ${server}`);
  const directory = await mkdtemp(join(tmpdir(), 'scrip-any-'));
  const report = join(directory, 'report.json');
  const started = performance.now();
  try {
    const child = spawn(
      process.execPath,
      [
        'node_modules/vitest/vitest.mjs',
        ...['run', '--config', 'test/any-postgres/vitest.config.ts'],
        ...['--reporter=default', '--reporter=json', `--outputFile.json=${report}`],
        ...positionals,
      ],
      {
        cwd: root,
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...process.env, TEST_POSTGRES_URL: url, ...env },
      },
    );
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        if (values.verbose) process.stdout.write(text);
        else output += text;
      });
    const [code] = await once(child, 'close');
    // Of a row that passes the table says enough.
    if (code !== 0) print(output);
    const counts = JSON.parse(await readFile(report, 'utf8').catch(() => '{}'));
    const failed = counts.numFailedTests ?? 0;
    return {
      name,
      server,
      passed: counts.numPassedTests ?? 0,
      // A file that cannot even start has no test that fails.
      failed: code === 0 ? failed : Math.max(1, failed),
      skipped: counts.numPendingTests ?? 0,
      seconds: Math.round((performance.now() - started) / 1_000),
    };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
