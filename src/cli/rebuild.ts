/** Commands that make sums anew from the entries, of one account or of all. */
import type { Command } from 'commander';
import type { Em } from '../pg/orm.ts';
import { command, exitWith } from './command.ts';
import { withDatabase } from './database.ts';
import { NOT_FOUND } from './exit-codes.ts';

/**
 * Resolves to how many entries it passed; null: there is no such account. Throws an ArchivedEntriesError for an account
 * with archived entries.
 */
type Rebuild = (em: Em, accountId: string) => Promise<number | null>;

/** `of` is what is made anew, such as "the rollups of usage reports". */
export const rebuildCommand = (of: string, load: () => Promise<Rebuild>): Command =>
  command('rebuild', {
    description:
      `Makes ${of} anew from the entries, of one account or of all, beside a running service. They ` +
      'are the same as before, unless somebody changed them. Reports show the old ones of an account until its new ones are whole.',
    examples: ['acme', ''],
  })
    .argument('[account]', 'default: all')
    .action(
      exitWith((accountId: string | undefined) =>
        withDatabase('service', (em) => rebuildIn(em, load, accountId), accountId ?? null),
      ),
    );

/** In one database: the account, or all of them. Returns the exit code. */
async function rebuildIn(
  em: () => Em,
  load: () => Promise<Rebuild>,
  accountId: string | undefined,
): Promise<number> {
  const [rebuild, { accountIdsAfter }, { ArchivedEntriesError }] = await Promise.all([
    load(),
    import('../queries/accounts.ts'),
    import('../queries/archived-accounts.ts'),
  ]);
  let accounts = 0;
  let entries = 0;
  let archived = 0;
  const rebuildOne = async (id: string) => {
    const passed = await rebuild(em(), id);
    if (passed === null) return;
    accounts += 1;
    entries += passed;
  };
  if (accountId !== undefined) await rebuildOne(accountId);
  else
    for (let ids = await accountIdsAfter(em(), ''); ids.length > 0; ) {
      for (const id of ids)
        await rebuildOne(id).catch((error: unknown) => {
          if (!(error instanceof ArchivedEntriesError)) throw error;
          archived += 1;
        });
      ids = await accountIdsAfter(em(), ids.at(-1) ?? '');
    }
  if (accountId !== undefined && accounts === 0) {
    process.stdout.write(`there is no account ${accountId}\n`);
    return NOT_FOUND;
  }
  if (archived > 0)
    process.stderr.write(`left as they are: ${archived} accounts with archived entries\n`);
  process.stdout.write(`rebuilt (accounts ${accounts}, entries ${entries})\n`);
  return 0;
}
