/**
 * `npm run bench:sizing`: writes the tables of docs/sizing.md from the costs that `npm run bench -- --cost` has measured.
 * `-- FILE` names other results than bench/latest-cost.json.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Cost } from '../cost/operation-cost.ts';
import type { CostResults } from '../cost/run.ts';
import type { JobCost } from './model.ts';
import { withTables } from './tables.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const [file = `${root}bench/latest-cost.json`] = process.argv.slice(2);

/** The pair of a Reserve and its Commit. Bytes are those until the ledger had doubled, where that was measured. */
function jobCost({ costs }: CostResults): JobCost {
  const pair = costs.find(({ name }) => name === 'reserve_commit');
  if (!pair) throw new Error(`${file} lacks the case reserve_commit`);
  const { cpuMicros, walBytes } = pair;
  const { server, postgres } = cpuMicros;
  if (server === null || postgres === null) throw new Error(`${file} has no CPU times`);
  return {
    serviceMicros: server,
    postgresMicros: postgres,
    walBytes,
    storedBytes: bytesOf(pair),
  };
}

const bytesOf = ({ growth, doubling }: Cost): number =>
  (doubling ?? growth).reduce((sum, { bytes }) => sum + bytes, 0);

function sourceOf({ startedAt, commit, machine, versions }: CostResults): string {
  const day = new Date(startedAt).toLocaleDateString('en-GB', {
    ...{ day: 'numeric', month: 'long', year: 'numeric', timeZone: 'UTC' },
  });
  return (
    `${day}, commit \`${commit}\`, ${machine.cores} cores (${machine.cpu}), PostgreSQL ${versions['postgresql']}, ` +
    '64 requests in flight:'
  );
}

const results = JSON.parse(await readFile(file, 'utf8')) as CostResults;
const page = `${root}docs/sizing.md`;
await writeFile(
  page,
  withTables(await readFile(page, 'utf8'), jobCost(results), sourceOf(results)),
);
process.stdout.write('wrote docs/sizing.md\n');
