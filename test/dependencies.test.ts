/** Dependencies are few and exact, and SECURITY.md says why each is there. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = new URL('..', import.meta.url).pathname;
const read = (path: string): string => readFileSync(`${root}${path}`, 'utf8');

type Versions = Readonly<Record<string, string>>;
type LockedPackage = { readonly version?: string; readonly integrity?: string } & {
  readonly resolved?: string;
  readonly inBundle?: boolean;
  /** Only development needs it. */
  readonly dev?: boolean;
};
type Sbom = {
  readonly bomFormat: string;
  readonly metadata: { readonly component: { readonly purl: string } };
  readonly components: readonly {
    readonly name: string;
    readonly version: string;
    readonly hashes?: readonly unknown[];
  }[];
};

const { dependencies, devDependencies, ...manifest } = JSON.parse(read('package.json')) as {
  readonly dependencies: Versions;
  readonly devDependencies: Versions;
};
const lock = JSON.parse(read('package-lock.json')) as {
  readonly packages: Readonly<Record<string, LockedPackage>>;
};

/** major.minor.patch, and the name of a prerelease. */
const EXACT = /^\d+\.\d+\.\d+(-[0-9a-z.-]+)?$/;

describe('package.json', () => {
  test.each(Object.entries({ ...dependencies, ...devDependencies }))(
    'names an exact version of %s, and it is installed',
    (name, version) => {
      expect(version).toMatch(EXACT);
      expect(lock.packages[`node_modules/${name}`]?.version).toBe(version);
    },
  );

  test('has no other kinds of dependencies', () => {
    const kinds = Object.keys(manifest).filter((key) => /dependencies|overrides/i.test(key));
    expect(kinds).toEqual([]);
  });
});

test('package-lock.json has the hash of every package', () => {
  const packages = Object.entries(lock.packages).filter(([path]) => path !== '');
  expect(packages.length).toBeGreaterThan(100);
  const unhashed = packages.filter(
    ([, { integrity, inBundle }]) => !inBundle && !/^sha512-/.test(integrity ?? ''),
  );
  expect(unhashed.map(([path]) => path)).toEqual([]);
});

test('SECURITY.md has the reason of each dependency of the service, and of no other', () => {
  const [, section = ''] = read('SECURITY.md').split('## Dependencies');
  const rows = [...section.matchAll(/^\| `([^`]+)` \| ([^|]+) \|$/gm)];
  expect(rows.map(([, name]) => name)).toEqual(Object.keys(dependencies).toSorted());
  for (const [, name, reason] of rows) expect(reason?.trim().length, name).toBeGreaterThan(5);
});

describe('the SBOM', () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'scrip-sbom-'));
  });
  afterAll(() => rm(directory, { recursive: true }));

  test('as SECURITY.md makes it has every package of the service, with version and hashes', () => {
    const [, commands = ''] =
      /```sh\n(cp package\.json[\s\S]*?)```/.exec(read('SECURITY.md')) ?? [];
    execFileSync('bash', ['-euc', commands], {
      cwd: root,
      env: { ...process.env, SBOM: directory },
    });
    const { bomFormat, metadata, components } = JSON.parse(
      readFileSync(join(directory, 'sbom.json'), 'utf8'),
    ) as Sbom;
    expect(bomFormat).toBe('CycloneDX');
    expect(metadata.component.purl).toMatch(/^pkg:npm\/scrip@\d/);
    for (const [name, version] of Object.entries(dependencies))
      expect(components).toContainEqual(expect.objectContaining({ name, version }));
    const ofDevelopment = Object.keys(devDependencies).filter(
      (name) => lock.packages[`node_modules/${name}`]?.dev,
    );
    expect(components.filter(({ name }) => ofDevelopment.includes(name))).toEqual([]);
    expect(components.filter(({ hashes = [] }) => hashes.length === 0)).toEqual([]);
  });
});
