/** deploy/compose.yaml: Compose reads it, and the replicas that it describes serve callers with its certificates. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { connect } from '../../clients/typescript/src/index.ts';
import { parseCellsFile } from '../../src/cells/cells-file.ts';
import { problemOf } from '../cli/documented-commands.ts';
import { createEmptyDatabase, execute } from '../postgres.ts';
import { end, type Program, startProgram, startPublished } from '../process/replica.ts';
import { ROOT, readByTool } from './tools.ts';

type Volume = { readonly type: string; readonly source: string; readonly target: string };
type Service = {
  readonly image?: string;
  readonly profiles?: readonly string[];
  readonly build?: { readonly context: string; readonly dockerfile: string };
  readonly command: readonly string[] | null;
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly Volume[];
  readonly configs?: readonly { readonly source: string; readonly target: string }[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly deploy?: { readonly replicas: number };
  readonly read_only?: boolean;
  readonly stop_grace_period?: string;
};

type Configs = Readonly<Record<string, { readonly content?: string }>>;

const hasOpenssl = spawnSync('openssl', ['version'], { stdio: 'ignore' }).status === 0;
const hasPromtool = spawnSync('promtool', ['--version'], { stdio: 'ignore' }).status === 0;

describe.runIf(inject('hasGo'))('compose.yaml', () => {
  let services: Readonly<Record<string, Service>>;
  beforeAll(async () => {
    ({ services } = await readByTool<{ services: typeof services }>([
      'compose',
      'deploy/compose.yaml',
    ]));
  });
  const service = (name: string): Service => services[name] as Service;

  test('has one database, two replicas, the jobs before them, and what observes them', () => {
    const names = ['archive', 'collector', 'grafana', 'migrate', 'plans', 'postgres'];
    expect(Object.keys(services).toSorted()).toEqual([...names, 'prometheus', 'scrip', 'traces']);
    expect(service('scrip').deploy?.replicas).toBe(2);
    const conditions = ['migrate', 'plans', 'scrip'].map((name) => service(name).depends_on);
    expect(conditions).toMatchObject([
      { postgres: { condition: 'service_healthy' } },
      { migrate: { condition: 'service_completed_successfully' } },
      { plans: { condition: 'service_completed_successfully' } },
    ]);
  });

  test('archives into the volume that replicas read, when it is told to', () => {
    const { profiles, command, environment = {}, volumes = [] } = service('archive');
    expect(profiles).toEqual(['archive']);
    const [program, ...words] = command ?? [];
    expect(program).toBe('dist/cli/main.js');
    expect(problemOf({ words: ['scrip', ...words], isMention: false })).toBe(null);
    const [written] = volumes;
    expect(written).toMatchObject({ source: 'archive', target: environment['ARCHIVE_DIRECTORY'] });
    expect(written).not.toHaveProperty('read_only');
    const { environment: read, volumes: mounted } = service('scrip');
    expect(read).toMatchObject({ ARCHIVE_DIRECTORY: written?.target });
    expect(mounted).toContainEqual(expect.objectContaining({ ...written, read_only: true }));
  });

  test('names images by their version, and builds only its own', () => {
    for (const [name, { image = '' }] of Object.entries(services))
      expect(image, name).toMatch(/^(scrip:local|[\w/-]+:v?\d+\.\d+(\.\d+)?)$/);
    const { context = '', dockerfile = '' } = service('migrate').build ?? {};
    expect([`${context}/`, dockerfile]).toEqual([ROOT, 'deploy/Dockerfile']);
  });

  test('mounts what there is', () => {
    const sources = Object.values(services)
      .flatMap(({ volumes = [] }) => volumes)
      .filter(({ type }) => type === 'bind')
      .map(({ source }) => source);
    expect(sources.length).toBeGreaterThan(8);
    const made = `${ROOT}deploy/compose/certificates`;
    expect(sources.filter((path) => path !== made && !existsSync(path))).toEqual([]);
  });

  test('gives replicas longer than they need to stop', () => {
    const [, seconds] = /^(\d+)s$/.exec(service('scrip').stop_grace_period ?? '') ?? [];
    expect(Number(seconds)).toBeGreaterThanOrEqual(20);
  });

  describe.runIf(hasOpenssl)('started as it says', () => {
    const folder = mkdtempSync(join(tmpdir(), 'scrip-compose-'));
    let replicas: (Program & { readonly port: number })[] = [];
    afterAll(async () => {
      await Promise.all(replicas.map(end));
      rmSync(folder, { recursive: true });
    });

    beforeAll(async () => {
      await cp(`${ROOT}deploy/compose`, folder, { recursive: true });
      rmSync(join(folder, 'certificates'), { recursive: true, force: true });
      execFileSync(join(folder, 'certificates.sh'));
      const owner = await createEmptyDatabase(inject('postgresUrl'));
      const env = environmentOf(owner);
      const jobs = [env('migrate'), env('plans')].map((variables) => ({
        ...variables,
        DATABASE_URL: owner,
      }));
      for (const [index, file] of ['src/migrate.ts', 'src/cli/main.ts'].entries()) {
        const args = index === 1 ? ['plans', 'publish'] : [];
        const ran = await startProgram([file, ...args], jobs[index] ?? {}).ended;
        expect(ran).toMatchObject({ code: 0, stderr: '' });
      }
      const variables = { ...env('scrip'), PORT: '0', ADMIN_PORT: '0', OTEL_SDK_DISABLED: 'true' };
      replicas = await Promise.all([startPublished(variables), startPublished(variables)]);
    });

    /** The variables of a service, with the paths that its volumes have on this machine. */
    function environmentOf(owner: string) {
      const place = (target: string, volumes: readonly Volume[]): string => {
        const volume = volumes.find(
          (each) => each.type === 'bind' && target.startsWith(each.target),
        );
        if (!volume) return target;
        const path = volume.source + target.slice(volume.target.length);
        return path.replace(`${ROOT}deploy/compose/`, `${folder}/`);
      };
      return (name: string): Record<string, string> => {
        const { environment = {}, volumes = [] } = service(name);
        const entries = Object.entries(environment).map(
          ([variable, value]) => [variable, place(value, volumes)] as const,
        );
        return { ...Object.fromEntries(entries), DATABASE_URL: owner };
      };
    }

    const connectAs = (caller: string) => {
      const file = (name: string) => join(folder, 'certificates', name);
      const address = replicas.map(({ port }) => `127.0.0.1:${port}`).join();
      return connect({
        address: `ipv4:${address}`,
        tls: {
          caFile: file('ca.pem'),
          certificateFile: file(`${caller}.pem`),
          keyFile: file(`${caller}.key`),
        },
        channel: { 'grpc.ssl_target_name_override': 'scrip' },
      });
    };

    test('the admin opens an account, and the product charges it, on both replicas', async () => {
      const [admin, product] = [connectAs('admin'), connectAs('product')];
      try {
        await admin.accounts.openAccount({ accountId: 'acme', planId: 'perfectparser' });
        for (const left of [19n, 18n]) {
          const { balance } = await product.billing.charge({ accountId: 'acme', credits: 1n });
          expect(balance?.available).toBe(left);
        }
        const opening = product.accounts.openAccount({ accountId: 'more', planId: 'verts' });
        await expect(opening).rejects.toMatchObject({ reason: 'CALLER_NOT_ALLOWED' });
      } finally {
        for (const client of [admin, product]) client.close();
      }
    });
  });

  describe('with compose/cells.yaml', () => {
    let project: { readonly services: typeof services; readonly configs: Configs };
    beforeAll(async () => {
      project = await readByTool(['compose', 'deploy/compose.yaml', 'deploy/compose/cells.yaml']);
    });

    test('has a second database, and all of the rest', () => {
      expect(Object.keys(project.services).toSorted()).toEqual(
        [...Object.keys(services), 'postgres-2'].toSorted(),
      );
      const { migrate, 'postgres-2': second } = project.services;
      expect(Object.keys(migrate?.depends_on ?? {}).toSorted()).toEqual(['postgres', 'postgres-2']);
      expect(second?.volumes?.map(({ source }) => source)).toContain('postgres-2');
    });

    test.each([
      ['migrate', 'scrip'],
      ['plans', 'scrip'],
      ['scrip', 'scrip_service'],
      ['archive', 'scrip_archive'],
    ])('gives %s both cells, as %s', (name, user) => {
      const { environment = {}, configs = [] } = project.services[name] ?? {};
      expect(environment).not.toHaveProperty('DATABASE_URL');
      const mounted = configs.find(({ target }) => target === environment['CELLS_FILE']);
      const { content = '' } = project.configs[mounted?.source ?? ''] ?? {};
      const url = (host: string) => `postgres://${user}:scrip@${host}/scrip`;
      expect(parseCellsFile('cells.yaml', content)).toEqual({
        cells: [
          { name: 'one', url: url('postgres') },
          { name: 'two', url: url('postgres-2') },
        ],
      });
    });
  });

  test('citus/compose.yaml has the servers that cluster.sql joins', async () => {
    const { services: servers } = await readByTool<{ services: typeof services }>([
      'compose',
      'deploy/citus/compose.yaml',
    ]);
    const sql = readFileSync(`${ROOT}deploy/citus/cluster.sql`, 'utf8');
    const joined = [
      ...sql.matchAll(/citus_(?:set_coordinator_host|add_node)\('([\w-]+)', 5432\)/g),
    ];
    expect(joined.map(([, name]) => name)).toEqual(Object.keys(servers).toSorted());
    for (const { image = '', command } of Object.values(servers)) {
      expect(image).toMatch(/^citusdata\/citus:\d+\.\d+\.\d+$/);
      expect(command).toEqual(expect.arrayContaining(['wal_level=logical']));
    }
  });

  test('its roles are what migrations, the service and the archiver need', async () => {
    const url = await createEmptyDatabase(inject('postgresUrl'));
    const name = new URL(url).pathname.slice(1);
    const login = `service_${name.slice(-8)}`;
    const archiver = `archive_${name.slice(-8)}`;
    const sql = readFileSync(`${ROOT}deploy/compose/roles.sql`, 'utf8');
    // The roles exist already where another database of this server was migrated.
    const statements = sql
      .replaceAll(/^create role scrip_(runtime|archiver) nologin;$/gm, '')
      .replace('scrip_service', login)
      .replace('role scrip_archive login', `role ${archiver} login`)
      .replace('database scrip', `database ${name}`);
    await execute(url, statements);
    try {
      expect(await startProgram(['src/migrate.ts'], { DATABASE_URL: url }).ended).toMatchObject({
        code: 0,
        stderr: '',
      });
      const as = (username: string, sql: string) => {
        const user = Object.assign(new URL(url), { username, password: 'scrip' });
        return execute(user.href, sql);
      };
      expect(await as(login, 'select * from accounts')).toEqual([]);
      for (const role of ['scrip_runtime', 'scrip_archiver'])
        await as(archiver, `set role ${role}`);
      await expect(as(login, 'set role scrip_archiver')).rejects.toThrow('permission denied');
    } finally {
      await execute(url, `drop role ${login}, ${archiver}`);
    }
  });
});

test.runIf(hasPromtool)('promtool accepts the configuration of Prometheus', () => {
  const file = `${ROOT}deploy/compose/prometheus.yaml`;
  execFileSync('promtool', ['check', 'config', '--syntax-only', file], { stdio: 'pipe' });
});
