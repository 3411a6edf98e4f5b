/** `migrate`: the schema of DATABASE_URL. */
import { command, exitWith } from './command.ts';

export const migrate = command('migrate', {
  description:
    'Brings the schema of DATABASE_URL up to date. The embedded database is migrated when a service starts on it.',
  examples: [''],
}).action(
  exitWith(async () => {
    const { migrateConfigured } = await import('../migration.ts');
    const ran = await migrateConfigured(process.env);
    process.stdout.write(
      ran.length > 0 ? `migrated: ${ran.join(', ')}\n` : 'the schema is up to date\n',
    );
    return 0;
  }),
);
