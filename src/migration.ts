/** Migrates the database that the environment names. */
import { verifiesAddress } from './database-host.ts';
import { migrate } from './pg/migrate.ts';
import { readSecretFiles } from './secret-files.ts';

/** The names of the migrations that ran. Throws where DATABASE_URL is missing or cannot be used. */
export async function migrateConfigured(
  environment: Readonly<Record<string, string | undefined>>,
): Promise<readonly string[]> {
  const { env, problems } = readSecretFiles(environment);
  if (problems.length > 0) throw new Error(problems.join('; '));
  const url = env['DATABASE_URL'];
  if (!url) throw new Error('DATABASE_URL is not set (the embedded database is migrated at start)');
  if (verifiesAddress(url))
    throw new Error(
      'DATABASE_URL must name the host: no certificate is compared with an IP address',
    );
  return await migrate(url);
}
