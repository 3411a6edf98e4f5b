/** `npm run verify`: closes the books of DATABASE_URL, or of the embedded database. */
import { parseArgs } from 'node:util';
import { requireConfig } from '../config.ts';
import { findDatabase } from '../find-database.ts';
import { type VerifyOptions, verify } from './verify.ts';

const USAGE = 'usage: npm run verify -- [--account ID] [--all]';

/** Exit code where the books do not agree. */
const DISAGREES = 1;
/** Exit code where they could not be read: nothing is known about them. */
const UNREADABLE = 2;

function readOptions(): VerifyOptions {
  const { values } = parseArgs({
    options: { account: { type: 'string' }, all: { type: 'boolean', default: false } },
  });
  const { account: accountId, all } = values;
  return accountId === undefined ? { all } : { accountId, all };
}

async function main(options: VerifyOptions): Promise<number> {
  const startedAt = performance.now();
  const database = await findDatabase(requireConfig(process.env));
  try {
    const result = await verify(database.url, options);
    if (result.ok) {
      const ms = Math.round(performance.now() - startedAt);
      say(`ok (${count(result.accounts, 'account')}, ${count(result.entries, 'entry')}, ${ms} ms)`);
      return 0;
    }
    const { discrepancies } = result;
    for (const { accountId, what } of options.all ? discrepancies : discrepancies.slice(0, 1))
      say(`account ${accountId}: ${what}`);
    return DISAGREES;
  } finally {
    await database.close();
  }
}

const say = (text: string) => process.stdout.write(`verify: ${text}\n`);

const count = (many: number, what: 'account' | 'entry'): string =>
  `${many.toLocaleString('en')} ${many === 1 ? what : { account: 'accounts', entry: 'entries' }[what]}`;

try {
  process.exitCode = await main(readOptions());
} catch (error) {
  const { message, code } = error as Error & { code?: string };
  const usage = code?.startsWith('ERR_PARSE_ARGS') ? `; ${USAGE}` : '';
  // A host with several addresses that all refuse is an error without a message.
  process.stderr.write(`verify: ${message || code}${usage}\n`);
  process.exitCode = UNREADABLE;
}
