/** `npm run migrate`: brings the schema of DATABASE_URL, or of all cells, up to date. */
import { migrateConfigured } from './migration.ts';

try {
  for (const line of await migrateConfigured(process.env)) process.stdout.write(`${line}\n`);
} catch (error) {
  process.stderr.write(`scrip: ${(error as Error).message}\n`);
  process.exitCode = 1;
}
