/** A Prometheus that scrapes replicas and evaluates the rules of deploy/observability, and the alerts that it fires. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { stringify } from 'yaml';
import { freePort } from './free-port.ts';
import { RULE_FILES, withoutWaiting } from './rule-files.ts';

export const hasPrometheus =
  spawnSync('prometheus', ['--version'], { stdio: 'ignore' }).status === 0;

if (!hasPrometheus)
  process.stderr.write(
    "skipped: the drill, which needs prometheus (Debian's package prometheus)\n",
  );

export type Alert = {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly state: 'pending' | 'firing';
};

export type RealPrometheus = {
  readonly firing: () => Promise<readonly Alert[]>;
  readonly stop: () => Promise<void>;
};

/** Alerts fire at once: how long each waits (`for`) is tested by promtool. */
export async function startPrometheus(adminPorts: readonly number[]): Promise<RealPrometheus> {
  const directory = await mkdtemp(join(tmpdir(), 'scrip-prometheus-'));
  const files = RULE_FILES.map((path) => join(directory, basename(path)));
  for (const [index, path] of RULE_FILES.entries())
    await writeFile(files[index] ?? '', withoutWaiting(path));
  const configuration = join(directory, 'prometheus.yaml');
  await writeFile(
    configuration,
    stringify({
      global: { scrape_interval: '1s', evaluation_interval: '1s' },
      rule_files: files,
      scrape_configs: [
        {
          job_name: 'scrip',
          static_configs: [{ targets: adminPorts.map((port) => `127.0.0.1:${port}`) }],
        },
      ],
    }),
  );
  const port = await freePort();
  const child = spawn(
    'prometheus',
    [
      `--config.file=${configuration}`,
      `--storage.tsdb.path=${join(directory, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: 'ignore' },
  );
  return {
    async firing() {
      // Not before it listens.
      const response = await fetch(`http://127.0.0.1:${port}/api/v1/alerts`).catch(() => null);
      if (!response?.ok) return [];
      const { data } = (await response.json()) as { data: { alerts: readonly Alert[] } };
      return data.alerts.filter(({ state }) => state === 'firing');
    },
    async stop() {
      child.kill('SIGTERM');
      if (child.exitCode === null) await once(child, 'exit');
      await rm(directory, { recursive: true });
    },
  };
}
