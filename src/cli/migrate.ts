/** `migrate`: the schema of DATABASE_URL, or of all cells. */
import { command, exitWith } from './command.ts';

export const migrate = command('migrate', {
  description:
    'Brings the schema of DATABASE_URL, or of every cell of CELLS_FILE, up to date, and records the map of slots in cells ' +
    'that have none. The embedded database is migrated when a service starts on it.',
  examples: [''],
}).action(
  exitWith(async () => {
    const { migrateConfigured } = await import('../migration.ts');
    for (const line of await migrateConfigured(process.env)) process.stdout.write(`${line}\n`);
    return 0;
  }),
);
