/** Trouble made on purpose: a locked account, a database that is away, a log that can be read. */
import { Writable } from 'node:stream';
import pg from 'pg';
import { type Logger, pino } from 'pino';
import { execute } from '../postgres.ts';
import type { TestService } from '../service.ts';

/** Holds an account's row as another transaction would, until it is let go. */
export async function hold(databaseUrl: string, accountId: string): Promise<() => Promise<void>> {
  const client = new pg.Client(databaseUrl);
  await client.connect();
  await client.query('begin');
  await client.query('select 1 from accounts where account_id = $1 for update', [accountId]);
  return async () => {
    await client.query('rollback');
    await client.end();
  };
}

/** Resolves when so many sessions of the database wait for a lock. */
export async function waitingForLock(databaseUrl: string, sessions = 1): Promise<void> {
  for (;;) {
    const [row] = await execute(
      databaseUrl,
      `select count(*)::int as waiting from pg_stat_activity
       where datname = current_database() and wait_event_type = 'Lock'`,
    );
    if (Number(row?.['waiting']) >= sessions) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/**
 * Resolves when the service knows of the calls that were given up: a caller knows it first, and the
 * service hears of it through the connection, on which nothing that comes later overtakes it.
 */
export async function heard({ plans }: Pick<TestService, 'plans'>): Promise<void> {
  await plans.listPlans({});
}

/** Takes the database away, as a failover or a restart does; answers how it comes back. */
export async function takeAway(databaseUrl: string): Promise<() => Promise<void>> {
  const elsewhere = new URL(databaseUrl);
  const database = elsewhere.pathname.slice(1);
  elsewhere.pathname = '/postgres';
  await execute(elsewhere.href, `alter database ${database} allow_connections false`);
  await execute(
    elsewhere.href,
    'select pg_terminate_backend(pid) from pg_stat_activity where datname = $1',
    [database],
  );
  return async () => {
    await execute(elsewhere.href, `alter database ${database} allow_connections true`);
  };
}

export type LogLine = Readonly<Record<string, unknown>>;

/** A logger whose lines can be read. */
export function readableLog(level: 'debug' | 'error'): {
  readonly log: Logger;
  readonly lines: readonly LogLine[];
} {
  const lines: LogLine[] = [];
  const stream = new Writable({
    write(chunk, _encoding, done) {
      const line: LogLine = JSON.parse(String(chunk));
      lines.push(line);
      done();
    },
  });
  return { log: pino({ level }, stream), lines };
}
