/**
 * The login of the service on the embedded PostgreSQL. The owner migrates and publishes plans; the service
 * connects as a role that can do what the service does, and nothing else.
 */
import { createHmac } from 'node:crypto';
import pg from 'pg';

const LOGIN = 'scrip_service';

/** The key of an advisory lock; nothing else uses this number. */
const LOGIN_LOCK = 5_347_262;

/**
 * Creates the login, if it does not exist, and returns the service's URL. `ownerUrl` is that of a migrated database.
 * The password follows from the owner's, so that all processes on one database use the same.
 */
export async function createServiceLogin(ownerUrl: string): Promise<string> {
  const url = new URL(ownerUrl);
  const database = decodeURIComponent(url.pathname.slice(1));
  const password = createHmac('sha256', url.password).update(LOGIN).digest('base64url');
  const client = new pg.Client({ connectionString: ownerUrl });
  await client.connect();
  try {
    // One process at a time: PostgreSQL refuses to change a role in two sessions at once.
    await client.query(`select pg_advisory_lock(${LOGIN_LOCK})`);
    const { rowCount } = await client.query(`select from pg_roles where rolname = '${LOGIN}'`);
    if (rowCount === 0) await client.query(`create role ${LOGIN} login`);
    await client.query(`alter role ${LOGIN} password '${password}'`);
    await client.query(`grant scrip_runtime to ${LOGIN}`);
    // By default everyone may make temporary tables.
    await client.query(`revoke temporary on database ${pg.escapeIdentifier(database)} from public`);
  } finally {
    await client.end();
  }
  url.username = LOGIN;
  url.password = password;
  return url.href;
}
