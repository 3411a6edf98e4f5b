/** `anchor write`: an anchor of all accounts as they are now. */
import { parseArgs } from 'node:util';
import { readSigningKey } from '../anchors/anchor-key.ts';
import { writeAnchor } from '../anchors/write-anchor.ts';
import { requireConfig } from '../config.ts';
import { findDatabase } from '../find-database.ts';
import { connect } from '../pg/orm.ts';
import { entities } from '../store/tables/index.ts';
import { argumentError, type Command } from './command.ts';

export const anchorWrite: Command = {
  usage: '--directory DIR --key FILE',
  description:
    'Writes the newest seq and hash of every account to a file in the directory, signed with the Ed25519 key of a ' +
    'PEM file. npm run verify -- --anchor compares the ledger with it.',
  run: async (args) => {
    const { directory, key } = readOptions(args);
    const config = requireConfig(process.env);
    const signingKey = await readSigningKey(key);
    const database = await findDatabase(config);
    const orm = await connect(database.url, entities, 2, config.DATABASE_TIMEOUT_MS);
    try {
      const em = () => orm.em.fork();
      const { file, accounts, root } = await writeAnchor(em, directory, signingKey, new Date());
      process.stdout.write(`${file}\naccounts ${accounts}\nroot     ${root}\n`);
      return 0;
    } finally {
      await orm.close();
      await database.close();
    }
  },
};

function readOptions(args: string[]) {
  const { values } = parseArgs({
    args,
    options: { directory: { type: 'string' }, key: { type: 'string' } },
  });
  const { directory, key } = values;
  if (!directory || !key) throw argumentError('--directory and --key are required');
  return { directory, key };
}
