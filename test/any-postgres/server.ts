/**
 * A PostgreSQL as an installation has it: only connections with TLS, and an owner who is no superuser but may create
 * databases and roles, as the tests do.
 */
import { execFileSync } from 'node:child_process';
import { appendFile, chmod, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthority } from '../authentication/authority.ts';
import { PostgresCluster, type Programs, query } from '../faults/postgres-cluster.ts';

export type Server = {
  readonly port: number;
  /** For the owner. */
  readonly url: string;
  /** The files that a pooler needs; readable for the user that PostgreSQL runs as. */
  readonly files: {
    readonly directory: string;
    readonly ca: string;
    readonly key: string;
    readonly certificate: string;
  };
  /** Runs SQL as the superuser. */
  readonly administer: (sql: string) => Promise<void>;
  readonly stop: () => Promise<void>;
};

export const PASSWORD = 'any';

const SETTINGS = {
  max_connections: '200',
  // Nothing of it outlives the run.
  fsync: 'off',
  max_wal_size: '2GB',
  // The service does not go by it.
  timezone: 'Asia/Kolkata',
};

/** The order of texts as most installations have it. The embedded PostgreSQL compares bytes. */
const WORDS_IN_ORDER = ['--locale-provider=icu', '--icu-locale=en-US'];

export async function startServer(programs: Programs): Promise<Server> {
  const directory = await mkdtemp(join(tmpdir(), 'scrip-any-'));
  const settings = { ...SETTINGS, ...TLS };
  const cluster = await PostgresCluster.create(directory, settings, programs, WORDS_IN_ORDER);
  const files = await writeCertificates(directory, cluster.data);
  await cluster.start();
  await query(
    cluster.maintenanceUrl,
    `create role scrip_owner login createdb createrole password '${PASSWORD}'`,
  );
  // For the test of deadlocks.
  await query(cluster.maintenanceUrl, 'grant set on parameter deadlock_timeout to scrip_owner');
  await query(cluster.maintenanceUrl, 'create database scrip owner scrip_owner');
  await requireTls(cluster);
  const url = new URL(cluster.url.replace('127.0.0.1', 'localhost'));
  url.username = 'scrip_owner';
  url.password = PASSWORD;
  url.search = new URLSearchParams({ sslmode: 'verify-full', sslrootcert: files.ca }).toString();
  const superuser = new URL(url);
  superuser.username = 'postgres';
  superuser.password = new URL(cluster.url).password;
  return {
    port: cluster.port,
    url: url.href,
    files,
    administer: async (sql) => {
      await query(superuser.href, sql);
    },
    async stop() {
      await cluster.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Paths in the directory of the cluster. */
const TLS = { ssl: 'on', ssl_cert_file: 'server.pem', ssl_key_file: 'server.key' };

async function writeCertificates(directory: string, data: string): Promise<Server['files']> {
  const authority = await createAuthority();
  const pair = await authority.sign({ names: [{ type: 'dns', value: 'localhost' }] });
  const ca = join(directory, 'ca.pem');
  const [certificate, key] = [join(data, TLS.ssl_cert_file), join(data, TLS.ssl_key_file)];
  const { uid, gid } = await stat(data);
  for (const [path, content] of [
    [ca, authority.certificate],
    [certificate, pair.certificate],
    [key, pair.key],
  ] as const) {
    await writeFile(path, content);
    await chmod(path, path === key ? 0o600 : 0o644);
    if (process.getuid?.() === 0) execFileSync('chown', [`${uid}:${gid}`, path]);
  }
  return { directory, ca, certificate, key };
}

async function requireTls(cluster: PostgresCluster) {
  const file = join(cluster.data, 'pg_hba.conf');
  await writeFile(file, '');
  for (const address of ['127.0.0.1/32', '::1/128'])
    await appendFile(file, `hostssl all all ${address} scram-sha-256\n`);
  await query(cluster.maintenanceUrl, 'select pg_reload_conf()');
}
