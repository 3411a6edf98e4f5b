/** `anchor write`: an anchor of all accounts as they are now. */
import { command, exitWith } from './command.ts';
import { withDatabase } from './database.ts';

type Options = { readonly directory: string; readonly key: string };

export const anchorWrite = command('write', {
  description:
    'Writes the newest seq and hash of every account to a file in the directory, signed with the Ed25519 key of a ' +
    'PEM file. npm run verify -- --anchor compares the ledger with it. Each of several cells has a folder of its own there.',
  examples: ['--directory anchors --key anchor-key.pem'],
})
  .requiredOption('--directory <dir>', 'where the file is written')
  .requiredOption('--key <file>', 'PEM file of the Ed25519 key')
  .action(
    exitWith(async ({ directory, key }: Options) => {
      const { readSigningKey } = await import('../anchors/anchor-key.ts');
      const { writeAnchor } = await import('../anchors/write-anchor.ts');
      const signingKey = await readSigningKey(key);
      const { anchorDirectoryOf } = await import('../anchors/anchor-directory.ts');
      return await withDatabase('service', async (em, _, cell) => {
        const own = await anchorDirectoryOf(directory, cell);
        const { file, accounts, root } = await writeAnchor(em, own, signingKey, new Date());
        process.stdout.write(`${file}\naccounts ${accounts}\nroot     ${root}\n`);
        return 0;
      });
    }),
  );
