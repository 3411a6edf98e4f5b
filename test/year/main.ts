/**
 * `npm run year`: a year of the three plans, on a service and a database of its own, through the RPCs
 * and by a clock that is set from day to day. Ends with `year: ok`, or the first thing that disagrees
 * and exit code 1.
 */
import { parseArgs } from 'node:util';
import { verify } from '../../src/verify/verify.ts';
import { check } from './check.ts';
import { play, STARTS_AT, type YearOptions } from './play.ts';
import { checked, happened } from './report.ts';
import { setStage } from './stage.ts';

const USAGE = 'usage: npm run year -- [--accounts N] [--seed N] [--quick]';
const ACCOUNTS = 2_000;
const QUICK_ACCOUNTS = 30;

/** Exit code after an interrupt, as shells have it. */
const INTERRUPTED = 130;

const say = (text: string) => process.stdout.write(`${text}\n`);

function readOptions(): YearOptions {
  const { values } = parseArgs({
    options: {
      accounts: { type: 'string' },
      seed: { type: 'string', default: '1' },
      quick: { type: 'boolean', default: false },
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
  };
}

async function main(options: YearOptions) {
  const startedAt = performance.now();
  const setting = setStage(STARTS_AT);
  // Interrupted, it still leaves nothing behind; a second interrupt does not wait for that.
  const interrupt = () =>
    void setting.then(({ close }) => close()).finally(() => process.exit(INTERRUPTED));
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  const stage = await setting;
  try {
    say(`A year of ${options.accounts} accounts, seed ${options.seed}.`);
    const played = await play(stage, options, say);
    say(`\n${happened(played)}\n`);
    const agreed = await check(stage.scrip, played);
    const result = await verify(stage.databaseUrl);
    if (!result.ok) {
      const [first] = result.discrepancies;
      throw new Error(`verify: account ${first?.accountId}: ${first?.what}`);
    }
    say(`${checked(agreed, result)}\n`);
    const { accounts, entries } = result;
    say(`verify: ok (${accounts} ${accounts === 1 ? 'account' : 'accounts'}, ${entries} entries)`);
    say(`year: ok (${Math.round((performance.now() - startedAt) / 1_000)} s)`);
  } finally {
    await stage.close();
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
