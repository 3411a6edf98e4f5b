/** `npm run simulate`: simulates seeds, and shrinks the first trace that fails (README.md). */
import { readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Databases } from './databases.ts';
import { startPostgres } from './postgres.ts';
import { report, totalOf } from './report.ts';
import { shrink } from './shrink.ts';
import { type Result, STARTS_AT, simulate } from './simulation.ts';
import { parseTrace, type Trace, traceText } from './trace.ts';
import { makeTrace } from './workload.ts';

const USAGE = `usage: npm run simulate -- [--seed N | --seeds COUNT | --minutes M] [--steps N] [--jobs N]
       [--trace FILE] [--shrink-minutes M]`;

/** A longer trace is written to its file only. */
const PRINTED_MAX = 120;

/** Exit code after an interrupt, by the shells' convention. */
const INTERRUPTED = 130;

const print = (text: string) => process.stdout.write(`${text}\n`);

function readOptions() {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string' },
      seeds: { type: 'string', default: '1' },
      minutes: { type: 'string' },
      steps: { type: 'string', default: '1000' },
      jobs: { type: 'string', default: '6' },
      trace: { type: 'string' },
      'shrink-minutes': { type: 'string', default: '5' },
    },
  });
  const whole = (name: string, text: string, max = 1_000_000_000) => {
    if (/^\d{1,10}$/.test(text) && Number(text) <= max) return Number(text);
    throw new Error(`--${name} must be a whole number, at most ${max}\n${USAGE}`);
  };
  return {
    seed: values.seed === undefined ? null : whole('seed', values.seed),
    seeds: whole('seeds', values.seeds),
    minutes: values.minutes === undefined ? null : whole('minutes', values.minutes),
    steps: whole('steps', values.steps, 100_000),
    jobs: whole('jobs', values.jobs, 64),
    trace: values.trace ?? null,
    shrinkMinutes: whole('shrink-minutes', values['shrink-minutes']),
  };
}

type Options = ReturnType<typeof readOptions>;

/** The traces to run. Fresh seeds follow each other, from a random one on. */
async function* tracesOf({ seed, seeds, minutes, steps, trace }: Options): AsyncGenerator<Trace> {
  if (trace !== null) {
    const parsed = parseTrace(await readFile(trace, 'utf8'));
    for (let count = 0; count < seeds; count++) yield parsed;
    return;
  }
  const first = seed ?? Math.floor(Math.random() * 900_000_000);
  const startedAt = performance.now();
  const isOver = (count: number) =>
    minutes === null ? count >= seeds : performance.now() - startedAt > minutes * 60_000;
  for (let count = 0; !isOver(count); count++) yield makeTrace(first + count, steps);
}

async function main(options: Options): Promise<boolean> {
  const postgres = await startPostgres();
  const interrupt = () => void postgres.stop().finally(() => process.exit(INTERRUPTED));
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  try {
    const databases = await Databases.prepare(postgres.url, STARTS_AT);
    const startedAt = performance.now();
    const results: Result[] = [];
    const failures: { readonly trace: Trace; readonly problem: string }[] = [];
    const notRun: number[] = [];
    const traces = tracesOf(options);
    const work = async () => {
      for await (const trace of traces) {
        if (failures.length > 0) return;
        const result = await simulate(trace, databases).catch((error: Error) => {
          notRun.push(trace.seed);
          print(`seed ${trace.seed} could not be run: ${error.stack}`);
        });
        if (!result) continue;
        results.push(result);
        if (result.problem !== null) failures.push({ trace, problem: result.problem });
        print(report(trace, result));
        if (result.problem !== null) print(`  ${result.problem}`);
      }
    };
    await Promise.all(Array.from({ length: options.jobs }, work));
    print(totalOf(results, performance.now() - startedAt));
    const [failure] = failures;
    if (failure) await showFailure(failure.trace, failure.problem, databases, options);
    return failures.length + notRun.length === 0;
  } finally {
    await postgres.stop();
  }
}

async function showFailure(
  trace: Trace,
  problem: string,
  databases: Databases,
  { shrinkMinutes }: Options,
) {
  print(
    `\nseed ${trace.seed} fails:\n${problem}\n\nIt is shrunk for at most ${shrinkMinutes} min.`,
  );
  const startedAt = performance.now();
  const shrunk = await shrink(
    trace,
    problem,
    async (candidate) => (await simulate(candidate, databases)).problem,
    () => performance.now() - startedAt > shrinkMinutes * 60_000,
  );
  const text = traceText(shrunk.trace);
  const file = join(tmpdir(), `scrip-simulate-${trace.seed}.txt`);
  await writeFile(file, text);
  print(
    `Again ${shrunk.failed} of ${shrunk.tried} runs failed. After ${shrunk.runs} runs ` +
      `${shrunk.trace.steps.length} of ${trace.steps.length} steps are left:\n\n` +
      `${shrunk.trace.steps.length > PRINTED_MAX ? '(see the file)' : text}\n\n${shrunk.problem}\n\n` +
      `npm run simulate -- --trace ${file} --seeds 10`,
  );
}

try {
  const isOk = await main(readOptions());
  print(isOk ? 'simulate: ok' : 'simulate: failed');
  process.exitCode = isOk ? 0 : 1;
} catch (error) {
  process.stderr.write(`simulate: ${(error as Error).stack}\n`);
  process.exitCode = 1;
}
