/**
 * `npm run jobs`: jobs with reservations while replicas are killed and replaced and the client is killed. Ends with
 * a table, and with exit code 1 if a job that is finished was not charged exactly once.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startEmbeddedPostgres } from '../../../src/embedded-postgres/embedded-postgres.ts';
import { migrate } from '../../../src/pg/migrate.ts';
import { runJobs } from './run-jobs.ts';
import { held, table } from './table.ts';

const USAGE = 'usage: npm run jobs -- [--jobs N] [--concurrency N]';

function readOptions() {
  const { values } = parseArgs({
    options: {
      jobs: { type: 'string', default: '10000' },
      concurrency: { type: 'string', default: '128' },
    },
  });
  const whole = (name: 'jobs' | 'concurrency', max: number) => {
    const value = Number(values[name]);
    if (Number.isInteger(value) && value >= 1 && value <= max) return value;
    throw new Error(`--${name} must be a whole number, 1 to ${max}; ${USAGE}`);
  };
  return { jobs: whole('jobs', 1_000_000), concurrency: whole('concurrency', 10_000) };
}

async function main(options: ReturnType<typeof readOptions>) {
  const directory = await mkdtemp(join(tmpdir(), 'scrip-jobs-postgres-'));
  const postgres = await startEmbeddedPostgres(directory);
  try {
    await migrate(postgres.url);
    const result = await runJobs({ databaseUrl: postgres.url, ...options });
    for (const problem of result.checked.problems) process.stdout.write(`  ${problem}\n`);
    process.stdout.write(`\n${table(result)}\n\n`);
    if (!held(result)) throw new Error('a promise did not hold');
    process.stdout.write('jobs: ok\n');
  } finally {
    await postgres.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

try {
  await main(readOptions());
  process.exitCode = 0;
} catch (error) {
  process.stderr.write(`jobs: ${(error as Error).message}\n`);
  process.exitCode = 1;
}
