/**
 * `npm run bench:compare`: compares two versions of the service, or two settings of one, each in its
 * own process on its own database of one embedded PostgreSQL.
 */
import { writeFile } from 'node:fs/promises';
import { type Database, startDatabase } from '../database.ts';
import { type LoadClient, startLoadClient } from '../load-client.ts';
import { Progress } from '../progress.ts';
import { startSink } from '../servers.ts';
import { type Checkout, checkoutOf, thisCheckout } from './checkout.ts';
import { createMutualTls, type MutualTls } from './mutual-tls.ts';
import { type Options, readOptions, USAGE } from './options.ts';
import { report } from './report.ts';
import { prepareVariant, startVariant, type Variant } from './variant.ts';
import { type Pair, type Running, Windows } from './windows.ts';

/** Cleanups of all that was started or created, in that order. They run in reverse. */
const cleanups: (() => Promise<void>)[] = [];
let closing: Promise<void> | null = null;

function close(): Promise<void> {
  closing ??= (async () => {
    for (const cleanup of cleanups.reverse()) await cleanup();
  })();
  return closing;
}

async function main(options: Options) {
  const exit = () => void close().finally(() => process.exit(130));
  process.once('SIGINT', exit).once('SIGTERM', exit);
  const progress = new Progress();
  const own = await thisCheckout();
  cleanups.push(() => own.remove());
  const other = options.other === null ? own : await checkoutOf(options.other);
  cleanups.push(() => other.remove());
  const postgres = await startDatabase();
  cleanups.push(() => postgres.stop());
  const variants = await prepare(postgres, other, own, options, progress);
  const client = startLoadClient();
  cleanups.push(async () => client.stop());
  const results = await compare(variants, client, postgres, options, progress);
  for (const { name, label } of variants) process.stdout.write(`\n${name}: ${label}`);
  process.stdout.write('\n');
  for (const one of options.cases) process.stdout.write(report(one, results.get(one.name) ?? []));
  if (options.json)
    await writeFile(options.json, `${JSON.stringify(Object.fromEntries(results), null, 2)}\n`);
}

async function prepare(
  postgres: Database,
  other: Checkout,
  own: Checkout,
  { a, b, mutualTls, budgets, collector }: Options,
  progress: Progress,
): Promise<readonly [Variant, Variant]> {
  progress.say('opening the accounts of A and B');
  const of = ({ label }: Checkout, { env, nodeFlags }: Options['a']) =>
    [
      label,
      ...Object.entries(env ?? {}).map(([name, value]) => `${name}=${value}`),
      ...(nodeFlags ? [`node ${nodeFlags.join(' ') || 'without flags'}`] : []),
    ].join(', ');
  const tls = mutualTls ? await createMutualTls() : null;
  if (tls) cleanups.push(() => tls.remove());
  const variant = (
    name: 'A' | 'B',
    checkout: Checkout,
    program: Options['a'],
    ofVariant: MutualTls | null,
    budgetsOfVariant: number,
  ) =>
    prepareVariant(postgres, {
      name,
      label: [
        of(checkout, program),
        ...(ofVariant ? ['mutual TLS and a policy'] : []),
        ...(budgetsOfVariant > 0 ? [`budgets: ${budgetsOfVariant}`] : []),
      ].join(', '),
      budgets: budgetsOfVariant,
      program: { ...program, checkout: checkout.folder },
      mutualTls: ofVariant,
    });
  const exporting = collector ? await startCollector() : {};
  const programB = { ...b, env: { ...b.env, ...exporting } };
  return [await variant('A', other, a, null, 0), await variant('B', own, programB, tls, budgets)];
}

/** Starts a collector. Returns how a service exports every span to it, and metrics only if it does so anyway. */
async function startCollector(): Promise<Readonly<Record<string, string>>> {
  const sink = await startSink();
  cleanups.push(() => sink.stop());
  return {
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://${sink.address}`,
    OTEL_TRACES_SAMPLER: 'always_on',
    OTEL_METRICS_EXPORTER: 'none',
    OTEL_LOGS_EXPORTER: 'none',
  };
}

/** The pairs of windows of each process, by the name of their case. */
async function compare(
  variants: readonly [Variant, Variant],
  client: LoadClient,
  postgres: Database,
  options: Options,
  progress: Progress,
): Promise<Map<string, Pair[][]>> {
  const windows = new Windows(client, postgres.pid);
  const results = new Map<string, Pair[][]>(options.cases.map(({ name }) => [name, []]));
  const timing = { ...options, windows: Math.ceil(options.windows / options.processes) };
  for (let process = 1; process <= options.processes; process++) {
    const running = await startBoth(variants, process % 2 === 0);
    for (const one of options.cases) {
      progress.say(`${one.title}: warming up`);
      await windows.warmUp(running, one, options.warmUpOperations);
      const pairs = await windows.measure(running, one, timing, (pair) =>
        progress.say(windowLine(pair)),
      );
      results.get(one.name)?.push(pairs);
    }
    await Promise.all(running.map(({ server }) => server.stop()));
  }
  return results;
}

/** Each version is started first every other time, so that the order favours neither. */
async function startBoth(
  [a, b]: readonly [Variant, Variant],
  bFirst: boolean,
): Promise<readonly [Running, Running]> {
  const start = async (variant: Variant): Promise<Running> => {
    const server = await startVariant(variant);
    cleanups.push(() => server.stop());
    return { variant, server };
  };
  if (!bFirst) return [await start(a), await start(b)];
  const runningB = await start(b);
  return [await start(a), runningB];
}

function windowLine({ a, b }: Pair): string {
  const of = (name: string, { perSecond, cpuMicros }: Pair['a']) =>
    `${name} ${perSecond.toFixed(0).padStart(6)}/s ${micros(cpuMicros.server)} + ${micros(cpuMicros.postgres)} µs`;
  return `${of('A', a)}   ${of('B', b)}`;
}

const micros = (value: number | null) => (value === null ? '–' : value.toFixed(1)).padStart(7);

try {
  const options = readOptions(process.argv.slice(2));
  if (options === 'help') process.stdout.write(`${USAGE}\n`);
  else await main(options);
} catch (error) {
  const { message, code } = error as Error & { code?: string };
  const usage = code?.startsWith('ERR_PARSE_ARGS') ? `\n${USAGE}` : '';
  process.stderr.write(`bench:compare: ${message}${usage}\n`);
  process.exitCode = 1;
} finally {
  await close();
}
