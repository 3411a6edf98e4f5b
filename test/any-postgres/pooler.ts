/** PgBouncer in transaction mode in front of a server, set up as docs/operations.md says. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { asOrdinaryUser } from '../../src/embedded-postgres/ordinary-user.ts';
import { freePort, query } from '../faults/postgres-cluster.ts';
import { PASSWORD, type Server } from './server.ts';

export type Pooler = { readonly url: string; readonly stop: () => Promise<void> };

/** Named on the page. */
const LOGIN = 'scrip_service';
const START_TIMEOUT_MS = 60_000;

/** Starts it. The role of the service exists: the server has a migrated database. */
export async function startPooler(path: string, server: Server): Promise<Pooler> {
  await createLogin(server);
  const port = await freePort();
  const { directory, ca, certificate, key } = server.files;
  const [file, users] = [join(directory, 'pgbouncer.ini'), join(directory, 'users.txt')];
  await writeFile(users, `"${LOGIN}" "${PASSWORD}"\n`);
  const own = {
    listen_addr: '127.0.0.1',
    listen_port: port,
    unix_socket_dir: '',
    auth_type: 'scram-sha-256',
    auth_file: users,
    max_client_conn: 1_000,
    default_pool_size: 20,
    // Each test file has a database, and so a pool.
    server_idle_timeout: 2,
    client_tls_sslmode: 'require',
    client_tls_cert_file: certificate,
    client_tls_key_file: key,
    server_tls_sslmode: 'verify-full',
    server_tls_ca_file: ca,
  };
  await writeFile(
    file,
    [
      blockOf('ini').replace(/^scrip = .*$/m, `* = host=localhost port=${server.port}`),
      ...Object.entries(own).map(([name, value]) => `${name} = ${value}`),
      '',
    ].join('\n'),
  );
  await giveTo(directory, [file, users]);
  const { program, args, ...user } = asOrdinaryUser(
    { program: path, args: ['-q', file] },
    directory,
  );
  const child = spawn(program, args, { ...user, cwd: '/', stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log = `${log}${text}`.slice(-4_000);
  });
  const url = new URL(server.url);
  url.port = String(port);
  url.username = LOGIN;
  await accepts(url.href, child, () => log);
  return {
    url: url.href,
    async stop() {
      const ended = once(child, 'exit');
      child.kill('SIGKILL'); // it has nothing to save
      await ended;
    },
  };
}

/** A block of code of the section about PgBouncer. */
function blockOf(language: string): string {
  const page = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8');
  const [, section = ''] = /^### PgBouncer$(.*?)^## /ms.exec(page) ?? [];
  const [, block] = new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'ms').exec(section) ?? [];
  if (!block) throw new Error(`docs/operations.md has no ${language} for PgBouncer`);
  return block;
}

async function createLogin({ administer }: Server) {
  await administer(`create role ${LOGIN} login password '${PASSWORD}' in role scrip_runtime`);
  await administer(blockOf('sql'));
  // The tests look at sessions of the service, and end them.
  await administer('grant pg_read_all_stats, pg_signal_backend to scrip_owner');
}

async function giveTo(directory: string, files: readonly string[]) {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = await stat(join(directory, 'postgres'));
  execFileSync('chown', [`${uid}:${gid}`, ...files]);
}

async function accepts(url: string, child: ChildProcess, log: () => string) {
  for (const until = performance.now() + START_TIMEOUT_MS; ; )
    try {
      await query(url, 'select 1');
      return;
    } catch (error) {
      if (performance.now() > until || child.exitCode !== null)
        throw new Error(`PgBouncer does not serve: ${log()}`, { cause: error });
      await sleep(200);
    }
}
