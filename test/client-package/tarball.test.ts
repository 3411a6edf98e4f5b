/** The client package as it is published makes a first charge in empty projects of every kind. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { codeOf } from '../docs/snippets.ts';
import { startTestService, type TestService } from '../service.ts';
import { EmptyProject, packTarball, type Tarball } from './empty-project.ts';

const root = new URL('../..', import.meta.url).pathname;
const TYPESCRIPT = ['typescript@5.9.3', 'typescript@7.0.2'];
const NODE_TYPES = '@types/node@24';
/** Major versions of npm's packages of Node: the oldest that the package is for, up to the newest there is. */
const NODES = [20, 22, 24, 26];
const NODE_PACKAGE = `node-${process.platform}-${process.arch}`;

let tarball: Tarball;
let service: TestService;
let address: string;

beforeAll(async () => {
  tarball = packTarball();
  service = await startTestService();
  address = `127.0.0.1:${service.service.port}`;
});
afterAll(async () => {
  await service.stop();
  tarball.remove();
});

async function projectWith(manifest: object, ...packages: readonly string[]) {
  const project = new EmptyProject(manifest);
  onTestFinished(() => project.remove());
  await project.install(tarball.file, ...packages);
  return project;
}

/** Charges two credits, is refused a hundred, and prints what it sees. */
const chargeWith = (load: string, cast = '') => `${load}

async function main() {
  const [address, accountId] = process.argv.slice(2)${cast};
  const scrip = connect({ address, caller: 'converter' });
  const charge = await scrip.billing.charge({ accountId, credits: 2n });
  console.log(JSON.stringify(charge.balance));
  try {
    await scrip.billing.charge({ accountId, credits: 100n });
  } catch (error) {
    if (!(error instanceof InsufficientCredits)) throw error;
    console.log(error.shortfall, error.bestOffer?.quantity);
  }
  scrip.close();
}
void main();
`;

const ESM = "import { connect, InsufficientCredits } from '@scrip/client';";
const COMMON_JS = "const { connect, InsufficientCredits } = require('@scrip/client');";

/** Reads certificates from a file, and calls where nothing listens. */
const TLS_IN_FILES = `import { writeFileSync } from 'node:fs';
import { rootCertificates } from 'node:tls';
import { connect } from '@scrip/client';

writeFileSync('ca.pem', rootCertificates[0]);
const scrip = connect({ address: '127.0.0.1:1', tls: { caFile: 'ca.pem' }, timeoutMs: 500 });
await scrip.billing.getBalance({ accountId: 'a' }).catch((error) => {
  console.log(error.code === 14 ? 'UNAVAILABLE' : error);
});
scrip.close();
`;

async function expectCharge(project: EmptyProject, ...command: readonly [string, ...string[]]) {
  const accountId = await service.open('perfectparser');
  const [program, ...args] = command;
  const output = await project.run(program, ...args, address, accountId);
  const [balance, refusal] = output.split('\n');
  expect(JSON.parse(balance ?? '')).toMatchObject({ available: '18' });
  expect(refusal).toMatch(/^82n \d+n$/);
}

const PAGES = ['clients/typescript/README.md', 'docs/clients/typescript.md'];

test.each(PAGES)('%s installs the tarball of this version', (page) => {
  const [install] = codeOf(page, 'sh');
  expect(install).toMatch(/^npm install \S+\n$/);
  expect(basename(install?.trim() ?? '')).toBe(basename(tarball.file));
});

test.each(PAGES)('%s leads to a charge', async (page) => {
  const [code = ''] = codeOf(page, 'ts');
  const project = await projectWith({});
  const accountId = await service.open('perfectparser');
  project.write('charge.mjs', code.replace('localhost:50051', address).replace('acme', accountId));
  const [, command = ''] = codeOf(page, 'sh');
  const [program = '', ...args] = command.trim().split(' ');
  expect(await project.run(program, ...args)).toBe(codeOf(page, 'text')[0]);
});

test('the code of docs/clients/typescript.md compiles', async () => {
  const project = await projectWith({ type: 'module' }, 'typescript@7.0.2', NODE_TYPES);
  const names = [
    'connect: typeof import("@scrip/client").connect',
    'scrip: import("@scrip/client").Scrip',
  ];
  project.write('globals.d.ts', names.map((name) => `declare const ${name};\n`).join(''));
  for (const [index, block] of codeOf('docs/clients/typescript.md', 'ts').entries())
    project.write(`block-${index}.ts`, `${block}\nexport {};\n`);
  const options = { module: 'node16', target: 'es2022', strict: true, types: ['node'] };
  project.write('tsconfig.json', JSON.stringify({ compilerOptions: { ...options, noEmit: true } }));
  await project.run(join(project.folder, 'node_modules/.bin/tsc'), '--project', '.');
});

test('what is not used is left out by a bundler', async () => {
  const project = await projectWith({ type: 'module' }, 'esbuild');
  project.write('only.js', "import { ScripError } from '@scrip/client'; console.log(ScripError);");
  const bundler = join(project.folder, 'node_modules/.bin/esbuild');
  const bundle = await project.run(bundler, 'only.js', '--bundle', '--platform=node', '--minify');
  expect(bundle.length).toBeLessThan(5_000);
});

test('the tarball is smaller than 1 MB', () => {
  expect(tarball.bytes).toBeLessThan(1_000_000);
});

test('it depends on gRPC and the protobuf runtime only', async () => {
  const project = await projectWith({ type: 'module' });
  const manifest = join(project.folder, 'node_modules/@scrip/client/package.json');
  const { dependencies } = await import(manifest, { with: { type: 'json' } }).then(
    (module) => module.default as { readonly dependencies: object },
  );
  expect(Object.keys(dependencies).toSorted()).toEqual(['@bufbuild/protobuf', '@grpc/grpc-js']);
});

test('the oldest versions of what it depends on make a charge', async () => {
  const dependencies = readFileSync(join(root, 'clients/typescript/package.json'), 'utf8');
  const oldest = [...dependencies.matchAll(/"(@[^"]+)": "\^([\d.]+)"/g)];
  const project = await projectWith({}, ...oldest.map(([, name, version]) => `${name}@${version}`));
  project.write('charge.mjs', chargeWith(ESM));
  await expectCharge(project, process.execPath, 'charge.mjs');
  project.write('tls.mjs', TLS_IN_FILES);
  expect(await project.run(process.execPath, 'tls.mjs')).toBe('UNAVAILABLE\n');
});

test.each([
  ['publint', ['--strict']],
  ['attw', ['--pack', '.']],
])('%s finds nothing wrong', (program, args) => {
  const options = { cwd: join(root, 'clients/typescript'), stdio: 'pipe' } as const;
  execFileSync(join(root, 'node_modules/.bin', program), args, options);
});

describe.each(NODES)('on Node %i', (major) => {
  test('an ES module and a CommonJS module make a charge', async () => {
    const project = await projectWith({}, `${NODE_PACKAGE}@${major}`);
    const node = join(project.folder, 'node_modules', NODE_PACKAGE, 'bin/node');
    expect(await project.run(node, '--version')).toMatch(new RegExp(`^v${major}\\.`));
    project.write('charge.mjs', chargeWith(ESM));
    await expectCharge(project, node, 'charge.mjs');
    project.write('charge.cjs', chargeWith(COMMON_JS));
    await expectCharge(project, node, 'charge.cjs');
  });
});

describe.each(TYPESCRIPT)('strict %s', (compiler) => {
  test.each([
    ['ES modules', 'module', { module: 'node16' }],
    ['CommonJS', 'commonjs', { module: 'node16' }],
    ['a bundler', 'module', { module: 'esnext', moduleResolution: 'bundler' }],
  ])('for %s compiles and makes a charge', async (_, type, options) => {
    const project = await projectWith({ type }, compiler, NODE_TYPES);
    const compilerOptions = {
      target: 'es2022',
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      skipLibCheck: false,
      types: ['node'],
      ...options,
    };
    project.write('tsconfig.json', JSON.stringify({ compilerOptions, files: ['charge.ts'] }));
    project.write('charge.ts', chargeWith(ESM, ' as [string, string]'));
    await project.run(join(project.folder, 'node_modules/.bin/tsc'), '--project', '.');
    await expectCharge(project, process.execPath, 'charge.js');
  });
});
