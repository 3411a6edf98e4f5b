/**
 * `npm run bench:telemetry`: what telemetry costs, in two comparisons with a service without any: metrics alone, and
 * spans of every call, exported to a collector that keeps nothing. Options are those of bench:compare.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const compare = fileURLToPath(new URL('main.ts', import.meta.url));
const OFF = 'ADMIN_PORT=none';
const COMPARISONS = [
  { title: 'A without telemetry, B with metrics', options: ['--env-b', 'ADMIN_PORT=0'] },
  {
    title: 'A without telemetry, B with spans of every call',
    options: ['--env-b', OFF, '--collector'],
  },
];

for (const { title, options } of COMPARISONS) {
  process.stdout.write(`\n${title}\n`);
  const args = [compare, '--env-a', OFF, ...options, ...process.argv.slice(2)];
  const { status } = spawnSync(process.execPath, args, { stdio: 'inherit' });
  if (status !== 0) {
    process.exitCode = status ?? 1;
    break;
  }
}
