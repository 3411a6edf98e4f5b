/**
 * `npm run faults`: each fault under load, against service processes and PostgreSQL of its own. Ends with a table,
 * and with exit code 1 if a promise did not hold.
 */
import { parseArgs } from 'node:util';
import { type Failed, held, type Result, runFault, type Skipped } from './fault.ts';
import { faults } from './faults/index.ts';
import { closeOpenScenes } from './scene.ts';
import { table } from './table.ts';

const USAGE = `usage: npm run faults -- [--only NAME[,NAME]] [--seconds N] [--seed N]
faults: ${faults.map(({ name }) => name).join(', ')}`;

const print = (text: string) => process.stdout.write(`${text}\n`);

function readOptions() {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true, default: [] },
      seconds: { type: 'string', default: '20' },
      seed: { type: 'string', default: '1' },
    },
  });
  const only = values.only.flatMap((list) => list.split(',')).filter(Boolean);
  const unknown = only.find((name) => !faults.some((fault) => fault.name === name));
  if (unknown) throw new Error(`there is no fault ${unknown}; ${USAGE}`);
  const whole = (name: 'seconds' | 'seed', max: number) => {
    const value = Number(values[name]);
    if (Number.isInteger(value) && value >= 1 && value <= max) return value;
    throw new Error(`--${name} must be a whole number, 1 to ${max}; ${USAGE}`);
  };
  const chosen = only.length > 0 ? faults.filter(({ name }) => only.includes(name)) : faults;
  return { chosen, seconds: whole('seconds', 600), seed: whole('seed', 1_000_000) };
}

async function main({ chosen, seconds, seed }: ReturnType<typeof readOptions>) {
  const results: (Result | Skipped | Failed)[] = [];
  for (const fault of chosen) {
    print(`${fault.name} …`);
    const result = await runFault(fault, { seed, seconds });
    results.push(result);
    if (!('errors' in result)) continue;
    const errors = [...result.errors].map(([name, many]) => `${many} ${name}`).join(', ');
    print(`  callers saw: ${errors || 'no error'}`);
    for (const problem of result.problems) print(`  ${problem}`);
    if (result.verify !== 'ok') print(`  ${result.verify}`);
  }
  print(`\n${table(results)}\n`);
  const failed = results.filter((result) => !held(result));
  if (failed.length > 0) throw new Error(`${failed.map(({ name }) => name).join(', ')} failed`);
  print('faults: ok');
}

/** Exit code after an interrupt, by the shells' convention. */
const INTERRUPTED = 130;
// An interrupt cleans up first. A second one ends the process at once.
const interrupt = () => void closeOpenScenes().finally(() => process.exit(INTERRUPTED));
process.once('SIGINT', interrupt).once('SIGTERM', interrupt);

try {
  await main(readOptions());
  process.exitCode = 0;
} catch (error) {
  const { message, code } = error as Error & { code?: string | number };
  const usage = String(code).startsWith('ERR_PARSE_ARGS') ? `; ${USAGE}` : '';
  process.stderr.write(`faults: ${message}${usage}\n`);
  process.exitCode = 1;
}
