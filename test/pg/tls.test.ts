/** TLS to PostgreSQL, with certificates of the test: `sslmode=verify-full` in the URL of the database. */
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { chmod, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ScripError } from '../../src/client.ts';
import { type Authority, createAuthority, type Pair } from '../authentication/authority.ts';
import { PostgresCluster } from '../faults/postgres-cluster.ts';
import { execute } from '../postgres.ts';
import {
  end,
  type Replica,
  SOON,
  startProgram,
  startPublished,
  startService,
} from '../process/replica.ts';

const NAMED = { names: [{ type: 'dns', value: 'localhost' }] } as const;

let directory: string;
let cluster: PostgresCluster;
let authority: Authority;
let other: Authority;
/** The CAs that the service trusts. */
let caFile: string;
let otherCaFile: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'scrip-pg-tls-'));
  [authority, other] = await Promise.all([createAuthority('one'), createAuthority('other')]);
  caFile = join(directory, 'ca.pem');
  otherCaFile = join(directory, 'other.pem');
  await writeFile(caFile, authority.certificate);
  await writeFile(otherCaFile, other.certificate);
  // Paths in the directory of the cluster.
  const settings = { ssl: 'on', ssl_cert_file: 'server.pem', ssl_key_file: 'server.key' };
  cluster = await PostgresCluster.create(join(directory, 'cluster'), settings);
  await writeCertificate(await authority.sign(NAMED));
  await cluster.start();
  await execute(cluster.maintenanceUrl, 'create database scrip');
});
afterAll(async () => {
  await cluster.stop();
  await rm(directory, { recursive: true });
});

/** As the user that PostgreSQL runs as, who alone may read the key. */
async function writeCertificate({ certificate, key }: Pair) {
  const { uid, gid } = await stat(cluster.data);
  for (const [name, content] of [
    ['server.pem', certificate],
    ['server.key', key],
  ] as const) {
    const path = join(cluster.data, name);
    await writeFile(path, content);
    await chmod(path, 0o600);
    if (process.getuid?.() === 0) execFileSync('chown', [`${uid}:${gid}`, path]);
  }
}

/** New connections are offered the certificate. */
async function replaceCertificate(pair: Pair) {
  await writeCertificate(pair);
  await execute(cluster.maintenanceUrl, 'select pg_reload_conf()');
  // The postmaster has read it when a new connection has it.
  const { fingerprint256 } = new X509Certificate(pair.certificate);
  await expect.poll(fingerprintOffered, SOON).toBe(fingerprint256);
}

async function fingerprintOffered(): Promise<string> {
  const ssl = { rejectUnauthorized: false };
  const client = new pg.Client({ connectionString: cluster.maintenanceUrl, ssl });
  await client.connect();
  try {
    return (client.connection.stream as TLSSocket).getPeerCertificate().fingerprint256;
  } finally {
    await client.end();
  }
}

const urlOf = (host: string, parameters: Readonly<Record<string, string>>): string =>
  `${cluster.url.replace('127.0.0.1', host)}?${new URLSearchParams(parameters)}`;
const verified = (host = 'localhost', sslrootcert = caFile) =>
  urlOf(host, { sslmode: 'verify-full', sslrootcert });

const PROGRAMS = [
  ['migrate', ['src/migrate.ts']],
  ['plans publish', ['src/cli/main.ts', 'plans', 'publish']],
  ['verify', ['src/verify/main.ts']],
] as const;

const accountId = 'acme';

test('migrations, plans and the audit connect with TLS', async () => {
  for (const [name, args] of PROGRAMS) {
    const { code, stderr } = await startProgram(args, { DATABASE_URL: verified() }).ended;
    expect({ name, code, stderr }).toEqual({ name, code: 0, stderr: '' });
  }
});

describe('a service', () => {
  let scrip: Replica;
  beforeAll(async () => {
    scrip = await startPublished({
      DATABASE_URL: verified(),
      DATABASE_PROBE_INTERVAL_MS: '50',
      LOG_LEVEL: 'debug',
    });
  });
  afterAll(() => end(scrip));

  const outcomeOf = (requestId: string) =>
    scrip.billing.charge({ accountId, requestId, credits: 0n }).then(
      () => 'OK',
      ({ reason }: ScripError) => reason,
    );
  const endSessions = () =>
    execute(
      cluster.maintenanceUrl,
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'scrip%'`,
    );

  test('has no session without TLS, its probe included', async () => {
    await scrip.accounts.openAccount({ accountId, requestId: 'open', planId: 'verts' });
    const sessions = () =>
      execute(
        cluster.maintenanceUrl,
        `select distinct application_name as name, ssl, version
         from pg_stat_ssl join pg_stat_activity using (pid)
         where application_name like 'scrip%' order by 1`,
      );
    await expect.poll(sessions, SOON).toEqual([
      { name: 'scrip', ssl: true, version: 'TLSv1.3' },
      { name: 'scrip probe', ssl: true, version: 'TLSv1.3' },
    ]);
  });

  test('goes on with a new certificate, and with a new CA, without a restart', async () => {
    await writeFile(caFile, `${authority.certificate}\n${other.certificate}\n`);
    await replaceCertificate(await other.sign(NAMED));
    await endSessions();
    await expect.poll(() => outcomeOf('with the new CA'), SOON).toBe('OK');
  });

  test('whose database shows another certificate fails with DATABASE_UNAVAILABLE, and says why', async () => {
    for (const [name, pair, problem] of [
      ['expired', await authority.sign({ ...NAMED, validTo: -60_000 }), /certificate has expired/],
      [
        'of another host',
        await authority.sign({ names: [{ type: 'dns', value: 'db.example.org' }] }),
        /db\.example\.org/,
      ],
      [
        'of another CA',
        await (await createAuthority('third')).sign(NAMED),
        /unable to|self-signed/,
      ],
    ] as const) {
      await replaceCertificate(pair);
      await endSessions();
      const outcome = () => outcomeOf(`while it is ${name}`);
      await expect.poll(outcome, SOON).toBe('DATABASE_UNAVAILABLE');
      await expect.poll(() => scrip.output.stdout, SOON).toMatch(problem);
      await replaceCertificate(await authority.sign(NAMED));
      await expect.poll(outcome, SOON).toBe('OK');
    }
  });
});

describe('a database that cannot be trusted is refused, and the line says why', () => {
  const refusals = (): readonly (readonly [string, string, RegExp])[] => [
    ['another CA', verified('localhost', otherCaFile), /unable to|self-signed/],
    ['an address', verified('127.0.0.1'), /must name the host/],
    [
      'no CA of the system',
      urlOf('localhost', { sslmode: 'verify-full' }),
      /unable to|self-signed/,
    ],
    [
      'no such file',
      verified('localhost', '/nowhere.pem'),
      /(ENOENT|there is no file).*\/nowhere\.pem/,
    ],
  ];

  test('by the service', async () => {
    for (const [name, url, problem] of refusals()) {
      const { code, stderr } = await startService({ DATABASE_URL: url }).ended;
      expect({ name, code, stderr }).toEqual({
        name,
        code: 1,
        stderr: expect.stringMatching(problem),
      });
      expect(stderr).toContain('DATABASE_URL');
      expect(stderr.trimEnd().split('\n').length).toBe(1);
    }
  });

  test.each(PROGRAMS)('by %s', async (_, args) => {
    for (const [name, url, problem] of refusals()) {
      const { code, stderr } = await startProgram(args, { DATABASE_URL: url }).ended;
      expect({ name, stderr }).toEqual({ name, stderr: expect.stringMatching(problem) });
      expect(code).toBeGreaterThan(0);
      expect(stderr.trimEnd().split('\n').length).toBe(1);
    }
  });
});

test('a database whose certificate names another host is refused by each of them', async () => {
  await replaceCertificate(
    await authority.sign({ names: [{ type: 'dns', value: 'db.example.org' }] }),
  );
  const SERVICE = ['the service', ['src/main.ts']] as const;
  for (const [name, args] of [...PROGRAMS, SERVICE]) {
    const { code, stderr } = await startProgram(args, { DATABASE_URL: verified() }).ended;
    const problem = /Host: localhost\. is not in the cert's altnames: DNS:db\.example\.org/;
    expect({ name, stderr }).toEqual({ name, stderr: expect.stringMatching(problem) });
    expect(code).toBeGreaterThan(0);
  }
});
