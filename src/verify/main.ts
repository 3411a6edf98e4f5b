/** `npm run verify`: audits the database of DATABASE_URL, or the embedded one. */
import { parseArgs } from 'node:util';
import { readPublicKey } from '../anchors/anchor-key.ts';
import { requireConfig } from '../config.ts';
import { findDatabase } from '../find-database.ts';
import { type VerifyOptions, verify } from './verify.ts';

const USAGE =
  'usage: npm run verify -- [--account ID] [--all] [--anchor FILE --anchor-key FILE [--anchor-key FILE]]';

/** Exit code if there is a discrepancy. */
const DISCREPANCY = 1;
/** Exit code if the database could not be read. */
const UNREADABLE = 2;

async function readOptions(): Promise<VerifyOptions> {
  const { values } = parseArgs({
    options: {
      account: { type: 'string' },
      all: { type: 'boolean', default: false },
      anchor: { type: 'string' },
      'anchor-key': { type: 'string', multiple: true, default: [] },
    },
  });
  const { account, all, anchor, 'anchor-key': keyFiles } = values;
  if (anchor !== undefined && keyFiles.length === 0)
    throw new Error('--anchor needs --anchor-key: the public key of those who wrote it');
  return {
    all,
    ...(account !== undefined && { accountId: account }),
    ...(anchor !== undefined && {
      anchor: { file: anchor, keys: await Promise.all(keyFiles.map(readPublicKey)) },
    }),
  };
}

async function main(options: VerifyOptions): Promise<number> {
  const startedAt = performance.now();
  const database = await findDatabase(requireConfig(process.env));
  try {
    const result = await verify(database.url, options);
    if (result.ok) {
      const ms = Math.round(performance.now() - startedAt);
      print(
        `ok (${count(result.accounts, 'account')}, ${count(result.entries, 'entry')}, ${ms} ms)`,
      );
      if (result.anchor) {
        const { accounts, at, root, keyId } = result.anchor;
        print(
          `as ${count(accounts, 'account')} of ${at.toISOString()} were, root ${root}, key ${keyId}`,
        );
      }
      return 0;
    }
    const { discrepancies } = result;
    process.exitCode = DISCREPANCY; // also where nobody reads to the end
    for (const { accountId, what } of options.all ? discrepancies : discrepancies.slice(0, 1))
      print(accountId === null ? what : `account ${accountId}: ${what}`);
    return DISCREPANCY;
  } finally {
    await database.close();
  }
}

const print = (text: string) => process.stdout.write(`verify: ${text}\n`);

const count = (many: number, what: 'account' | 'entry'): string =>
  `${many.toLocaleString('en')} ${many === 1 ? what : { account: 'accounts', entry: 'entries' }[what]}`;

// The reader may have seen enough, as `head` has.
process.stdout.on('error', ({ code }: NodeJS.ErrnoException) => {
  if (code === 'EPIPE') process.exit();
});

try {
  process.exitCode = await main(await readOptions());
} catch (error) {
  const { message, code } = error as Error & { code?: string };
  const usage = code?.startsWith('ERR_PARSE_ARGS') ? `; ${USAGE}` : '';
  // If every address of a host refuses the connection, the error has no message.
  process.stderr.write(`verify: ${message || code}${usage}\n`);
  process.exitCode = UNREADABLE;
}
