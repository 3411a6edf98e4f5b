/** `npm run jobs` with few jobs. */
import { expect, inject, test } from 'vitest';
import { createDatabase } from '../../postgres.ts';
import { runJobs } from './run-jobs.ts';
import { held, table } from './table.ts';

// Replicas start several times: minutes on a busy machine.
test('every finished job is charged once, though replicas and the client are killed', async () => {
  const databaseUrl = await createDatabase(inject('postgresUrl'));
  const result = await runJobs({ databaseUrl, jobs: 200, concurrency: 16 });
  const { checked, disruptions } = result;
  expect(checked).toMatchObject({ wrong: 0, problems: [], verify: 'ok' });
  expect([...disruptions.values()].every((count) => count > 0)).toBe(true);
  expect(checked.finished).toBeGreaterThan(50);
  expect(held(result)).toBe(true);
  expect(table(result)).toContain('finished and not charged exactly once');
}, 600_000);
