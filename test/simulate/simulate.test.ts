/**
 * Three fresh seeds, or those of SIMULATE_SEEDS. Every seed is printed, and one that fails with what is wrong:
 * `npm run simulate -- --seed N --steps M` runs it again and shrinks it.
 */
import { randomInt } from 'node:crypto';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { Databases } from './databases.ts';
import { report } from './report.ts';
import { STARTS_AT, simulate } from './simulation.ts';
import { makeTrace } from './workload.ts';

const STEPS = 300;
const SEEDS: readonly number[] =
  process.env['SIMULATE_SEEDS']?.split(',').map(Number) ??
  Array.from({ length: 3 }, () => randomInt(900_000_000));

let databases: Databases;
beforeAll(async () => {
  databases = await Databases.prepare(inject('postgresUrl'), STARTS_AT);
});
afterAll(() => databases.close());

test.each(SEEDS)(`seed %d: ${STEPS} steps agree with the model`, async (seed) => {
  const trace = makeTrace(seed, STEPS);
  const result = await simulate(trace, databases);
  process.stderr.write(`${report(trace, result)}\n`);
  expect(result.entries).toBeGreaterThan(0);
  expect(
    result.problem,
    `npm run simulate -- --seed ${seed} --steps ${STEPS} shows and shrinks it`,
  ).toBeNull();
});

test('the same seed makes the same trace', () => {
  expect(makeTrace(7, 200)).toEqual(makeTrace(7, 200));
  expect(makeTrace(8, 200)).not.toEqual(makeTrace(7, 200));
});
