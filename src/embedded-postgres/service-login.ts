/**
 * The login of the service on the embedded PostgreSQL. The owner migrates and publishes plans; the service
 * connects as a role that can do what the service does, and nothing else.
 */
import { createHmac } from 'node:crypto';
import pg from 'pg';

const LOGIN = 'scrip_service';

/**
 * Creates the login, if it does not exist, and returns the service's URL. `ownerUrl` is that of a migrated database.
 * The password follows from the owner's, so that all processes on one database use the same.
 */
export async function createServiceLogin(ownerUrl: string): Promise<string> {
  const url = new URL(ownerUrl);
  const password = createHmac('sha256', url.password).update(LOGIN).digest('base64url');
  const client = new pg.Client({ connectionString: ownerUrl });
  await client.connect();
  try {
    await client.query(
      `do $$ begin create role ${LOGIN} login; exception when duplicate_object then null; end $$`,
    );
    await client.query(`alter role ${LOGIN} password '${password}'`);
    await client.query(`grant scrip_runtime to ${LOGIN}`);
  } finally {
    await client.end();
  }
  url.username = LOGIN;
  url.password = password;
  return url.href;
}
