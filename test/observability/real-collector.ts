/** The collector of deploy/observability with its configuration, and what it sends on. */
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { Collector, type Span } from '../process/collector.ts';
import { freePort } from './free-port.ts';
import { DEPLOYED } from './rule-files.ts';

const run = promisify(execFile);
export const SOURCE = `${DEPLOYED}collector`;
export const CONFIGURATION = `${DEPLOYED}collector.yaml`;

/** Whether there is a Go that is not too old for the modules. */
export const canBuild =
  spawnSync('go', ['list', '-m'], {
    cwd: SOURCE,
    env: { ...process.env, GOTOOLCHAIN: 'local' },
    stdio: 'ignore',
  }).status === 0;

if (!canBuild) process.stderr.write('skipped: the collector, which needs go of 1.26 or newer\n');

const BINARY = `${SOURCE}/collector`;

/** Only the first build takes minutes: Go caches what it compiles, and leaves alone what is up to date. */
export const buildCollector = () =>
  run('go', ['build', '-C', SOURCE, '-p', '2', '-o', BINARY, '.']);

export const validate = () =>
  run(BINARY, ['validate', '--config', CONFIGURATION], {
    env: { ...process.env, OTLP_EXPORT_ENDPOINT: 'http://127.0.0.1:4318' },
  });

/** What a test needs otherwise than a deployment: JSON that it can read, and ports that are free. */
const overlay = (port: number): string =>
  JSON.stringify({
    receivers: {
      otlp: {
        protocols: {
          grpc: { endpoint: '127.0.0.1:0' },
          http: { endpoint: `127.0.0.1:${port}` },
        },
      },
    },
    exporters: { otlp_http: { encoding: 'json', compression: 'none' } },
    service: { telemetry: { metrics: { level: 'none' } } },
  });

export type RealCollector = {
  readonly url: string;
  /** Stops it: then it decides about what it has, and sends it on. Returns the spans that it has kept. */
  readonly stop: () => Promise<readonly Span[]>;
};

export async function startCollector(samplingPercent: number): Promise<RealCollector> {
  const backend = await new Collector().start();
  const port = await freePort();
  const child = spawn(BINARY, ['--config', CONFIGURATION, '--config', `yaml:${overlay(port)}`], {
    env: {
      ...process.env,
      OTLP_EXPORT_ENDPOINT: backend.env.OTEL_EXPORTER_OTLP_ENDPOINT,
      SAMPLING_PERCENT: String(samplingPercent),
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  await untilReady(child);
  return {
    url: `http://127.0.0.1:${port}`,
    async stop() {
      child.kill('SIGTERM');
      if (child.exitCode === null) await once(child, 'exit');
      backend.stop();
      return backend.spans;
    },
  };
}

function untilReady(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let log = '';
    child.stderr?.on('data', (text) => {
      log += text;
      if (log.includes('Everything is ready')) resolve();
    });
    child.on('exit', (code) => reject(new Error(`the collector ended with ${code}: ${log}`)));
  });
}
