/** `verify`: audits the ledger. */
import { command, exitWith } from './command.ts';
import { DISCREPANCY } from './exit-codes.ts';

type Options = {
  readonly account?: string;
  readonly all: boolean;
  readonly anchor?: string;
  readonly anchorKey: readonly string[];
  readonly cell?: string;
};

export const verify = command('verify', {
  description:
    'Recomputes every balance, reservation, sequence and statement of DATABASE_URL, of all cells at once, or of the embedded ' +
    'database, from the entries. Reads only. Exits with 1 at a discrepancy.',
  examples: ['', '--account acme', '--anchor anchors/anchor.json --anchor-key anchor-key.pub.pem'],
})
  .option('--account <account>', 'only this one')
  .option('--all', 'go on after the first account with a discrepancy', false)
  .option('--cell <name>', 'only this one of several')
  .option('--anchor <file>', 'compare the ledger with this anchor, too')
  .option('--anchor-key <file...>', 'public key of those who wrote it', [])
  .action(
    exitWith(async (options: Options) => {
      const { audit } = await import('../verify/audit.ts');
      return (await audit(options)) === 0 ? 0 : DISCREPANCY;
    }),
  );
