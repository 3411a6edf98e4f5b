/**
 * `npm run year`: simulates a year of the three plans through the RPCs, on a service and a database of its
 * own whose clock it sets. With `--imported`, its accounts are imported from a file of another system with a year of
 * purchases, and the year goes on from there. Says `year: ok` and writes charts to `year/latest.html`, or ends with the first
 * mismatch and exit code 1.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { verify } from '../../src/verify/verify.ts';
import { htmlOf } from '../charts/page.ts';
import { check } from './check.ts';
import { pageOf } from './page.ts';
import { checkTable, yearTable } from './report.ts';
import { STARTS_AT, simulateYear, type YearOptions } from './simulate.ts';
import { startSimulatedService } from './simulated-service.ts';

const USAGE =
  'usage: npm run year -- [--accounts N] [--seed N] [--quick] [--imported] [--months N] [--page FILE]';
const ACCOUNTS = 2_000;
const QUICK_ACCOUNTS = 30;
const PAGE = fileURLToPath(new URL('../../year/latest.html', import.meta.url));

/** Exit code after an interrupt, by the shells' convention. */
const INTERRUPTED = 130;

const print = (text: string) => process.stdout.write(`${text}\n`);

function readOptions(): YearOptions & { readonly page: string } {
  const { values } = parseArgs({
    options: {
      accounts: { type: 'string' },
      seed: { type: 'string', default: '1' },
      quick: { type: 'boolean', default: false },
      imported: { type: 'boolean', default: false },
      months: { type: 'string' },
      page: { type: 'string', default: PAGE },
    },
  });
  const accounts = values.accounts ?? String(values.quick ? QUICK_ACCOUNTS : ACCOUNTS);
  const whole = (name: string, text: string, min: number, max: number) => {
    if (/^\d{1,9}$/.test(text) && Number(text) >= min && Number(text) <= max) return Number(text);
    throw new Error(`--${name} must be a whole number, ${min} to ${max}; ${USAGE}`);
  };
  return {
    accounts: whole('accounts', accounts, 1, 100_000),
    seed: whole('seed', values.seed, 0, 1_000_000),
    isImported: values.imported,
    months: values.months === undefined ? undefined : whole('months', values.months, 1, 12),
    page: values.page,
  };
}

async function main({ page, ...options }: ReturnType<typeof readOptions>) {
  const startedAt = performance.now();
  const starting = startSimulatedService(STARTS_AT);
  // An interrupt cleans up first. A second one ends the process at once.
  const interrupt = () =>
    void starting.then(({ close }) => close()).finally(() => process.exit(INTERRUPTED));
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  const simulated = await starting;
  try {
    print(`A year of ${options.accounts} accounts, seed ${options.seed}.`);
    const year = await simulateYear(simulated, options, print);
    print(`\n${yearTable(year)}\n`);
    const summary = await check(simulated.scrip, year);
    const result = await verify(simulated.databaseUrl);
    if (!result.ok) {
      const [first] = result.discrepancies;
      throw new Error(`verify: account ${first?.accountId}: ${first?.what}`);
    }
    print(`${checkTable(summary, result)}\n`);
    const { accounts, entries } = result;
    print(
      `verify: ok (${accounts} ${accounts === 1 ? 'account' : 'accounts'}, ${entries} entries)`,
    );
    const seconds = (performance.now() - startedAt) / 1_000;
    print(`year: ok (${Math.round(seconds)} s)`);
    await mkdir(dirname(page), { recursive: true });
    await writeFile(page, htmlOf(pageOf({ options, seconds, year, summary, verified: result })));
    print(`charts: ${relative('', page)}`);
  } finally {
    await simulated.close();
  }
}

try {
  await main(readOptions());
} catch (error) {
  // A gRPC error's code is a number.
  const { message, code } = error as Error & { code?: string | number };
  const usage = String(code).startsWith('ERR_PARSE_ARGS') ? `; ${USAGE}` : '';
  process.stderr.write(`year: ${message}${usage}\n`);
  process.exitCode = 1;
}
