/** `npm run verify`: audits the database of DATABASE_URL, the cells of CELLS_FILE, or the embedded one. */
import { parseArgs } from 'node:util';
import { type AuditOptions, audit } from './audit.ts';

const USAGE =
  'usage: npm run verify -- [--account ID] [--all] [--cell NAME] [--anchor FILE --anchor-key FILE [--anchor-key FILE]]';

/** Exit code if the database could not be read. */
const UNREADABLE = 2;

function readOptions(): AuditOptions {
  const { values } = parseArgs({
    options: {
      account: { type: 'string' },
      all: { type: 'boolean', default: false },
      anchor: { type: 'string' },
      'anchor-key': { type: 'string', multiple: true, default: [] },
      cell: { type: 'string' },
    },
  });
  const { account, all, anchor, 'anchor-key': anchorKey, cell } = values;
  return { account, all, anchor, anchorKey, cell };
}

// The reader may have seen enough, as `head` has.
process.stdout.on('error', ({ code }: NodeJS.ErrnoException) => {
  if (code === 'EPIPE') process.exit();
});

try {
  process.exitCode = await audit(readOptions());
} catch (error) {
  const { message, code } = error as Error & { code?: string };
  const usage = code?.startsWith('ERR_PARSE_ARGS') ? `; ${USAGE}` : '';
  // If every address of a host refuses the connection, the error has no message.
  process.stderr.write(`verify: ${message || code}${usage}\n`);
  process.exitCode = UNREADABLE;
}
