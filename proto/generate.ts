/**
 * Generates everything that comes from the protos (not committed). Into `src/gen/`, for the service:
 * - TypeScript messages and grpc-js services for billing.v1, by ts-proto;
 * - the google.rpc messages that carry rich errors, from the protos google-gax ships, and the
 *   reflection service, from those of @grpc/reflection;
 * - descriptor.binpb: every service the server offers, for gRPC reflection;
 * - sandbox.binpb: those that only a sandbox offers besides;
 * - reasons.json: the table of the reasons of errors.
 *
 * Into `clients/typescript/src/gen/`, for the client package: messages with string enums and a working
 * `JSON.stringify`, the methods of the services, and a class for each reason of an error.
 *
 * Into `clients/console/src/gen/`, for the console: types of the messages as JSON.
 *
 * It does nothing where all are up to date. It uses only local plugins and protos from npm
 * packages, so it needs no network.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  globSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { finishClientMessages } from './client-messages.ts';
import { errorClasses, reasonsJson } from './reasons.ts';

const root = join(import.meta.dirname, '..');
const gen = join(root, 'src/gen');
const clientGen = join(root, 'clients/typescript/src/gen');
const consoleGen = join(root, 'clients/console/src/gen');
const bin = join(root, 'node_modules/.bin');
const packageDirectory = (name: string) => join(root, 'node_modules', name);

/** Options of ts-proto that the service and its client share. */
const SHARED = [
  'env=node',
  'esModuleInterop=true',
  'importSuffix=.ts',
  'enumsAsLiterals=true',
  'removeEnumPrefix=true',
  'forceLong=bigint',
  'oneof=unions-value',
  'useExactTypes=false',
  'exportCommonSymbols=false',
  'annotateFilesWithVersion=false',
];

const tsProto = (out: string, options: readonly string[]) =>
  JSON.stringify({
    plugins: [
      {
        local: 'protoc-gen-ts_proto',
        out,
        strategy: 'all',
        include_imports: true,
        opt: [...SHARED, ...options],
      },
    ],
    version: 'v2',
  });

const forService = tsProto(gen, [
  'outputServices=grpc-js',
  'unrecognizedEnum=false',
  'useMapType=true',
]);

const forClient = tsProto(clientGen, [
  'outputServices=generic-definitions',
  'stringEnums=true',
  'outputJsonMethods=to-only',
  'emitDefaultValues=json-methods',
]);

/** Only their types of JSON are used, so that nothing of them is in the program. */
const forConsole = JSON.stringify({
  plugins: [
    {
      local: 'protoc-gen-es',
      out: consoleGen,
      strategy: 'all',
      opt: ['target=ts', 'json_types=true', 'import_extension=ts'],
    },
  ],
  version: 'v2',
});

function buf(...args: string[]) {
  execFileSync(join(bin, 'buf'), args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH ?? ''}` },
  });
}

/** Copies the .proto files of all services of the server into one temporary folder. */
function stageProtos(): string {
  const stage = mkdtempSync(join(tmpdir(), 'scrip-protos-'));
  for (const folder of ['billing', 'sandbox'])
    cpSync(join(root, 'proto', folder), join(stage, folder), { recursive: true });
  const googleRpc = join(packageDirectory('google-gax'), 'build/protos/google/rpc');
  for (const file of ['status.proto', 'error_details.proto'])
    cpSync(join(googleRpc, file), join(stage, 'google/rpc', file));
  const health = join(packageDirectory('grpc-health-check'), 'proto/health');
  cpSync(health, join(stage, 'grpc/health'), { recursive: true });
  const reflection = join(packageDirectory('@grpc/reflection'), 'build/proto/grpc/reflection');
  cpSync(reflection, join(stage, 'grpc/reflection'), { recursive: true });
  return stage;
}

/** Hash of everything the generated code depends on; the lock file names the plugins' versions. */
function inputsHash(): string {
  const protos = globSync('proto/**/*.proto', { cwd: root }).sort();
  const hash = createHash('sha256');
  const generators = globSync('proto/*.ts', { cwd: root }).sort();
  for (const file of ['package-lock.json', ...generators, ...protos])
    hash.update(`${file}\n`).update(readFileSync(join(root, file)));
  return hash.digest('hex');
}

function generate() {
  for (const folder of [gen, clientGen, consoleGen])
    rmSync(folder, { recursive: true, force: true });
  const stage = stageProtos();
  try {
    for (const folder of ['billing', 'sandbox', 'google', 'grpc/reflection/v1'])
      buf('generate', stage, '--template', forService, '--path', join(stage, folder));
    for (const folder of ['billing', 'google'])
      buf('generate', stage, '--template', forClient, '--path', join(stage, folder));
    buf('generate', stage, '--template', forConsole, '--path', join(stage, 'billing'));
    finishClientMessages(clientGen);
    writeFileSync(join(clientGen, 'reasons.ts'), errorClasses());
    writeFileSync(join(gen, 'reasons.json'), reasonsJson());
    const build = (name: string, ...paths: string[]) =>
      buf('build', stage, '--as-file-descriptor-set', '--output', join(gen, name), ...paths);
    build('descriptor.binpb', '--exclude-path', join(stage, 'sandbox'));
    build('sandbox.binpb', '--path', join(stage, 'sandbox'));
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
}

const hash = inputsHash();
const hashFile = join(gen, 'inputs.sha256');
const isComplete = [clientGen, consoleGen, hashFile].every((path) => existsSync(path));
if (!isComplete || readFileSync(hashFile, 'utf8') !== hash) {
  if (process.stderr.isTTY) process.stderr.write('generating code from proto/ ...\n');
  generate();
  writeFileSync(hashFile, hash);
}
