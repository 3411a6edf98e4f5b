/** `npm run simulate`: see README.md. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startEmbeddedPostgres } from '../../src/embedded-postgres/embedded-postgres.ts';
import { Databases } from './databases.ts';
import { STARTS_AT, simulate } from './simulation.ts';
import { traceText } from './trace.ts';
import { makeTrace } from './workload.ts';

const print = (text: string) => process.stdout.write(`${text}\n`);

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string', default: '1' },
    steps: { type: 'string', default: '1000' },
  },
});

const directory = await mkdtemp(join(tmpdir(), 'scrip-simulate-'));
const postgres = await startEmbeddedPostgres(directory);
try {
  const databases = await Databases.prepare(postgres.url, STARTS_AT);
  const first = values.seed ? Number(values.seed) : Math.floor(Math.random() * 1e9);
  for (let n = 0; n < Number(values.seeds); n++) {
    const trace = makeTrace(first + n, Number(values.steps));
    const startedAt = performance.now();
    const result = await simulate(trace, databases);
    print(
      `seed ${trace.seed}: ${JSON.stringify(result.problem)} ${Math.round(performance.now() - startedAt)} ms ${JSON.stringify({ ...result, problem: undefined })}`,
    );
    if (result.problem) {
      print(result.problem);
      if (process.env['TRACE']) print(traceText(trace));
      break;
    }
  }
} finally {
  await postgres.stop();
  await rm(directory, { recursive: true, force: true });
}
