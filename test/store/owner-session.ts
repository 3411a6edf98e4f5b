/** A session of the owner of a new database, whose writes are rolled back. */
import pg from 'pg';
import { createDatabase } from '../postgres.ts';

export type OwnerSession = {
  readonly databaseUrl: string;
  /** The first column of all rows. */
  column(sql: string): Promise<readonly unknown[]>;
  /** Runs the SQL statement, as the role if one is named; returns its error, null if it has none. */
  errorOf(sql: string, parameters?: unknown[], role?: string): Promise<unknown>;
  end(): Promise<void>;
};

export async function startOwnerSession(postgresUrl: string): Promise<OwnerSession> {
  const databaseUrl = await createDatabase(postgresUrl);
  const client = new pg.Client(databaseUrl);
  await client.connect();
  return {
    databaseUrl,
    async column(sql) {
      const { rows } = await client.query({ text: sql, rowMode: 'array' });
      return rows.map(([value]) => value);
    },
    async errorOf(sql, parameters = [], role = '') {
      await client.query('begin');
      try {
        if (role) await client.query(`set local role ${role}`);
        await client.query(sql, parameters);
        return null;
      } catch (error) {
        return error;
      } finally {
        await client.query('rollback');
      }
    },
    end: () => client.end(),
  };
}

/** Selects the names of all tables of the service. */
export const TABLES = `select table_name::text from information_schema.tables
  where table_schema = 'public' and table_type = 'BASE TABLE'
    and table_name <> 'schema_migrations' order by 1`;
