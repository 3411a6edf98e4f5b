/** `npm run migrate`: brings the schema of DATABASE_URL up to date. */
import { migrateConfigured } from './migration.ts';

try {
  const ran = await migrateConfigured(process.env);
  process.stdout.write(
    ran.length > 0 ? `migrated: ${ran.join(', ')}\n` : 'the schema is up to date\n',
  );
} catch (error) {
  process.stderr.write(`scrip: ${(error as Error).message}\n`);
  process.exitCode = 1;
}
