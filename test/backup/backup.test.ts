/** docs/backup.md: its commands, in its order, on Debian's PostgreSQL, while the service writes in between. */
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort, query } from '../faults/postgres-cluster.ts';
import { type Replica, startPublished } from '../process/replica.ts';
import { requestId } from '../service.ts';
import { type Block, commandsOf, debianPrograms, type Environment, runBlock } from './debian.ts';

const programs = debianPrograms();
const missing = programs ? '' : ' (skipped: there is no /usr/lib/postgresql)';
const blocks = commandsOf('backup.md');
const [variables, ...commands] = blocks as [Block, ...Block[]];
const ACCOUNT = 'acme';
const CREDITS = 1_000n;

let directory: string;
let env: Environment;
/** Credits that were charged and acknowledged. */
let charged = 0n;
let replica: Replica | null = null;

const urlOf = (port: string, database = 'scrip') =>
  `postgres://scrip:${env['SCRIP_PASSWORD']}@127.0.0.1:${port}/${database}`;
const primaryUrl = () => urlOf(env['PRIMARY_PORT'] ?? '');

/** Runs the blocks of a section, from one on and up to another. Resolves with the output of each. */
async function follow(section: string, from = 0, to?: number): Promise<readonly string[]> {
  const outputs: string[] = [];
  const chosen = commands.filter((block) => block.section === section).slice(from, to);
  expect(chosen, section).not.toEqual([]);
  for (const block of chosen) outputs.push(await runBlock(block, env));
  return outputs;
}

/** Starts the service, charges, and ends it. */
async function work(databaseUrl: string, charges: number) {
  replica = await startPublished({ DATABASE_URL: databaseUrl });
  for (let count = 0; count < charges; count++) {
    await replica.billing.charge({ accountId: ACCOUNT, requestId: requestId(), credits: 1n });
    charged++;
  }
  await replica.signal('SIGTERM');
  replica = null;
}

async function remaining(databaseUrl: string): Promise<unknown> {
  const rows = await query<{ remaining: string }>(
    databaseUrl,
    'select remaining from accounts where account_id = $1',
    [ACCOUNT],
  );
  return rows[0]?.remaining;
}
const left = () => String(CREDITS - charged);

describe.skipIf(!programs)(`docs/backup.md${missing}`, () => {
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'scrip-backup-'));
    const in_ = (name: string) => join(directory, name);
    env = {
      PATH: `${programs}:${process.env['PATH']}`,
      PGHOST: directory,
      PRIMARY: in_('primary'),
      PRIMARY_PORT: String(await freePort()),
      STANDBY: in_('standby'),
      STANDBY_PORT: String(await freePort()),
      RESTORED: in_('restored'),
      RESTORED_PORT: String(await freePort()),
      ARCHIVE: in_('archive'),
      BACKUPS: in_('backups'),
      SCRIP_PASSWORD: 'secret-1',
      REPLICATION_PASSWORD: 'secret-2',
    };
    if (process.getuid?.() === 0) execFileSync('chown', ['postgres', directory]);
    // What Debian does when it installs PostgreSQL.
    const script = `
      mkdir "$ARCHIVE" "$BACKUPS"
      initdb -D "$PRIMARY" -U postgres --auth-local=trust --auth-host=scram-sha-256 -E UTF8 --locale=C >"$BACKUPS/initdb.log"
      echo "port = $PRIMARY_PORT" >>"$PRIMARY/postgresql.conf"
      echo "unix_socket_directories = '$PGHOST'" >>"$PRIMARY/postgresql.conf"
      pg_ctl -D "$PRIMARY" -w -l "$PRIMARY/server.log" start`;
    await runBlock(
      { section: '', where: 'database server', script },
      { ...env, PGUSER: 'postgres' },
    );
    env = { ...env, PGUSER: 'postgres' };
  });
  afterAll(async () => {
    replica?.process.kill('SIGKILL');
    const script = `for data in "$PRIMARY" "$STANDBY" "$RESTORED"; do
      if pg_ctl -D "$data" status >/dev/null 2>&1; then pg_ctl -D "$data" -m immediate stop; fi
    done`;
    await runBlock({ section: '', where: 'database server', script }, env);
    await rm(directory, { recursive: true, force: true });
  });

  test('names the variables that its commands use', () => {
    const named = [...variables.script.matchAll(/(\w+)=/g)].map(([, name]) => name ?? '');
    expect(named.filter((name) => !(name in env))).toEqual([]);
    const used = commands.flatMap(({ script }) =>
      [...script.matchAll(/\$\{?([A-Z_]+)/g)].map(([, name]) => name ?? ''),
    );
    expect(used.filter((name) => !named.includes(name))).toEqual([]);
    expect(
      commands
        .map(({ where }) => where)
        .filter((where) => !/^(database server|checkout)$/.test(where)),
    ).toEqual([]);
  });

  test('Settings: the database is migrated, and archives its WAL', async () => {
    await follow('Settings');
    replica = await startPublished({ DATABASE_URL: primaryUrl() });
    const named = { accountId: ACCOUNT, requestId: 'open' };
    await replica.accounts.openAccount({ ...named, planId: 'verts' });
    await replica.accounts.grantCredits({
      reason: 'a test',
      ...named,
      credits: CREDITS,
      category: 1,
    });
    await replica.signal('SIGTERM');
    await work(primaryUrl(), 3);
  });

  test('Dump and restore: the restored database has what was acknowledged', async () => {
    const outputs = await follow('Dump and restore');
    expect(outputs.at(-1)).toMatch(/^verify: ok \(1 account, /m);
    expect(await remaining(urlOf(env['PRIMARY_PORT'] ?? '', 'scrip_restored'))).toBe(left());
  });

  test('Restore to a moment: what came before it is there, and nothing after it', async () => {
    await follow('Base backup');
    await work(primaryUrl(), 3);
    await follow('Restore to a moment', 0, 1);
    const atMoment = left();
    await work(primaryUrl(), 3);
    const outputs = await follow('Restore to a moment', 1, 4);
    expect(outputs.at(-1)).toMatch(/^verify: ok /m);
    expect(await remaining(urlOf(env['RESTORED_PORT'] ?? ''))).toBe(atMoment);
    await work(urlOf(env['RESTORED_PORT'] ?? ''), 1);
    charged--;
    await follow('Restore to a moment', 4);
    expect(await remaining(primaryUrl())).toBe(left());
  });

  test('Failover: the synchronous standby has everything that was acknowledged', async () => {
    await follow('Standby');
    await work(primaryUrl(), 3);
    const outputs = await follow('Failover');
    expect(outputs.at(-1)).toMatch(/^verify: ok /m);
    const standbyUrl = urlOf(env['STANDBY_PORT'] ?? '');
    expect(await remaining(standbyUrl)).toBe(left());
    await work(standbyUrl, 1);
    expect(await remaining(standbyUrl)).toBe(left());
  });
});
