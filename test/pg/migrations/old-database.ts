/** Databases as earlier releases left them. */
import { connectAsOwner } from '../../../src/pg/migrate.ts';
import { createEmptyDatabase } from '../../postgres.ts';

/** Creates a database, runs the migrations up to the named one, and returns its URL. */
export async function createDatabaseAt(postgresUrl: string, migration: string): Promise<string> {
  const databaseUrl = await createEmptyDatabase(postgresUrl);
  const orm = await connectAsOwner(databaseUrl);
  try {
    await orm.migrator.up({ to: migration });
  } finally {
    await orm.close();
  }
  return databaseUrl;
}
