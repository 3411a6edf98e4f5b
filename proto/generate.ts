/**
 * Generates everything that comes from the protos into `src/gen/` (not committed):
 * - TypeScript messages and grpc-js services for billing.v1, by ts-proto;
 * - the google.rpc messages that carry rich errors, from the protos google-gax ships, and the
 *   reflection service, from those of @grpc/reflection;
 * - descriptor.binpb: every service the server offers, for gRPC reflection.
 *
 * It does nothing where `src/gen/` is up to date. It uses only local plugins and protos from npm
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

const root = join(import.meta.dirname, '..');
const gen = join(root, 'src/gen');
const bin = join(root, 'node_modules/.bin');
const packageDirectory = (name: string) => join(root, 'node_modules', name);

const tsProto = {
  plugins: [
    {
      local: 'protoc-gen-ts_proto',
      out: gen,
      strategy: 'all',
      include_imports: true,
      opt: [
        'env=node',
        'esModuleInterop=true',
        'importSuffix=.ts',
        'outputServices=grpc-js',
        'enumsAsLiterals=true',
        'removeEnumPrefix=true',
        'unrecognizedEnum=false',
        'forceLong=bigint',
        'oneof=unions-value',
        'useExactTypes=false',
        'useMapType=true',
        'exportCommonSymbols=false',
        'annotateFilesWithVersion=false',
      ],
    },
  ],
  version: 'v2',
};

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
  cpSync(join(root, 'proto/billing'), join(stage, 'billing'), { recursive: true });
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
  for (const file of ['package-lock.json', 'proto/generate.ts', ...protos])
    hash.update(`${file}\n`).update(readFileSync(join(root, file)));
  return hash.digest('hex');
}

function generate() {
  rmSync(gen, { recursive: true, force: true });
  const stage = stageProtos();
  try {
    for (const folder of ['billing', 'google', 'grpc/reflection/v1'])
      buf('generate', stage, '--template', JSON.stringify(tsProto), '--path', join(stage, folder));
    buf('build', stage, '--as-file-descriptor-set', '--output', join(gen, 'descriptor.binpb'));
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
}

const hash = inputsHash();
const hashFile = join(gen, 'inputs.sha256');
if (!existsSync(hashFile) || readFileSync(hashFile, 'utf8') !== hash) {
  generate();
  writeFileSync(hashFile, hash);
}
