/** Disruptions made on purpose, such as a locked account or an unavailable database, and their log. */
import { Writable } from 'node:stream';
import { status } from '@grpc/grpc-js';
import pg from 'pg';
import { type Logger, pino } from 'pino';
import { expect } from 'vitest';
import { execute } from './postgres.ts';
import type { TestService } from './service.ts';

/** Locks an account's row in another transaction. Returns what unlocks it. */
export async function lockAccount(
  databaseUrl: string,
  accountId: string,
): Promise<() => Promise<void>> {
  const client = new pg.Client(databaseUrl);
  await client.connect();
  await client.query('begin');
  await client.query('select 1 from accounts where account_id = $1 for update', [accountId]);
  return async () => {
    await client.query('rollback');
    await client.end();
  };
}

/** Resolves when at least `sessions` sessions of the database wait for a lock. */
export async function waitForBlockedSessions(databaseUrl: string, sessions = 1): Promise<void> {
  for (;;) {
    const [row] = await execute(
      databaseUrl,
      `select count(*)::int as blocked from pg_stat_activity
       where datname = current_database() and wait_event_type = 'Lock'`,
    );
    if (Number(row?.['blocked']) >= sessions) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/**
 * Ends the sessions that wait for a lock, as a failover would, until `isDone`. Other work can be what waits first, so
 * once may end another's session.
 */
export async function cutBlockedUntil(databaseUrl: string, isDone: () => boolean): Promise<void> {
  while (!isDone())
    await execute(
      databaseUrl,
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and wait_event_type = 'Lock'`,
    );
}

/** Ends the sessions that wait for a lock until a call has ended, and what it ended with. */
export async function cutUntilEnded<Result>(
  databaseUrl: string,
  call: Promise<Result>,
): Promise<Result> {
  let hasEnded = false;
  const ended = call.finally(() => {
    hasEnded = true;
  });
  ended.catch(() => {});
  await cutBlockedUntil(databaseUrl, () => hasEnded);
  return await ended;
}

/**
 * Resolves when the service has received all calls and cancellations that this client sent before.
 * They arrive through the same connection as this call, in order.
 */
export async function waitUntilReceived({ plans }: Pick<TestService, 'plans'>): Promise<void> {
  await plans.listPlans({});
}

/**
 * Makes a call that the service receives before its deadline and answers after it. The account of the
 * call must be locked. Doubles the deadline until the service has received the call in time.
 */
export async function exceedDeadline(
  service: Pick<TestService, 'plans'>,
  call: (options: { readonly deadline: number }) => Promise<unknown>,
  timeoutMs = 100,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  const ended = call({ deadline }).then(
    () => Promise.reject(new Error('the call succeeded')),
    (error) => error,
  );
  await waitUntilReceived(service);
  const receivedInTime = Date.now() < deadline;
  expect(await ended).toMatchObject({ code: status.DEADLINE_EXCEEDED });
  await waitUntilReceived(service);
  if (!receivedInTime) await exceedDeadline(service, call, 2 * timeoutMs);
}

/** Cuts all connections and refuses new ones, as in a failover. Returns what allows them again. */
export async function blockConnections(databaseUrl: string): Promise<() => Promise<void>> {
  const database = nameOf(databaseUrl);
  const url = maintenanceUrl(databaseUrl);
  await execute(url, `alter database ${database} allow_connections false`);
  await execute(url, 'select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [
    database,
  ]);
  return async () => {
    await execute(url, `alter database ${database} allow_connections true`);
  };
}

const nameOf = (databaseUrl: string): string => new URL(databaseUrl).pathname.slice(1);

function maintenanceUrl(databaseUrl: string): string {
  const maintenance = new URL(databaseUrl);
  maintenance.pathname = '/postgres';
  return maintenance.href;
}

/** A copy of a database to which nobody is connected: a backup. */
export async function copyDatabase(databaseUrl: string): Promise<string> {
  const name = nameOf(databaseUrl);
  await execute(maintenanceUrl(databaseUrl), `create database ${name}_copy template ${name}`);
  const copy = new URL(databaseUrl);
  copy.pathname = `/${name}_copy`;
  return copy.href;
}

/** Cuts the connections of the database, and puts another in its place, to which nobody is connected. */
export async function replaceDatabase(databaseUrl: string, otherUrl: string): Promise<void> {
  await blockConnections(databaseUrl);
  const name = nameOf(databaseUrl);
  const url = maintenanceUrl(databaseUrl);
  await execute(url, `alter database ${name} rename to ${name}_lost`);
  await execute(url, `alter database ${nameOf(otherUrl)} rename to ${name}`);
}

export type LogLine = Readonly<Record<string, unknown>>;

/** A logger that keeps its lines. */
export function captureLog(level: 'debug' | 'error'): {
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
