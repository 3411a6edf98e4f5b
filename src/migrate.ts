/** `npm run migrate`: brings the schema of DATABASE_URL up to date. */
import { verifiesAddress } from './database-host.ts';
import { migrate } from './pg/migrate.ts';
import { readSecretFiles } from './secret-files.ts';

try {
  const { env, problems } = readSecretFiles(process.env);
  if (problems.length > 0) throw new Error(problems.join('; '));
  const url = env['DATABASE_URL'];
  if (!url) throw new Error('DATABASE_URL is not set (the embedded database is migrated at start)');
  if (verifiesAddress(url))
    throw new Error(
      'DATABASE_URL must name the host: no certificate is compared with an IP address',
    );
  const ran = await migrate(url);
  process.stdout.write(
    ran.length > 0 ? `migrated: ${ran.join(', ')}\n` : 'the schema is up to date\n',
  );
} catch (error) {
  process.stderr.write(`scrip: ${(error as Error).message}\n`);
  process.exitCode = 1;
}
