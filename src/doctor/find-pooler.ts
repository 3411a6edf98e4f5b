/** What stands between the service and PostgreSQL, found by asking which process answers. */
import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { PipelinedBatch } from '../pg/pipelined-batch.ts';
import type { Facts } from './facts.ts';

type Pooler = Facts['connection']['pooler'];

/** Of the session that the pooler gives to the transaction. */
const ASK = 'select pg_backend_pid() as pid';

/** How long the second session of a client may take: a pool of one connection has none. */
const SECOND_SESSION_MS = 5_000;

/** Null where the client speaks to PostgreSQL itself. `connect` makes another connection. */
export async function findPooler(
  client: pg.Client,
  connect: () => Promise<pg.Client>,
): Promise<Pooler> {
  // A session may still have what an earlier run has prepared.
  const prepared = { name: `doctor ${randomUUID()}`, text: ASK };
  const first = await pidOf(client, prepared);
  // A pooler says a number of its own, for cancellations.
  if (first === (client as unknown as { readonly processID: number }).processID) return null;
  return {
    ...(await readMode(() => pidOf(client, prepared), first, connect)),
    carriesBatches: await carriesBatch(connect),
  };
}

async function readMode(
  ask: () => Promise<number>,
  first: number,
  connect: () => Promise<pg.Client>,
): Promise<Omit<NonNullable<Pooler>, 'carriesBatches'>> {
  const other = await connect();
  try {
    // It keeps the session that it gets.
    await other.query('begin');
    const held = await pidOf(other, ASK);
    const again = await pidWithin(ask);
    if (again === 'unknown statement') return { mode: 'transaction', hasPreparedStatements: false };
    const isMoved = held === first || again !== first;
    return { mode: isMoved ? 'transaction' : 'session', hasPreparedStatements: true };
  } finally {
    await other.end();
  }
}

/** As many SQL statements as a unit of work prepares at first, and as long. */
const BATCH = Array.from({ length: 20 }, (_, index) => ({
  text: `select ${index} /* ${'x'.repeat(3_000)} */`,
  parameters: [],
}));
const BATCH_MS = 10_000;

/** Whether a batch is answered. */
async function carriesBatch(connect: () => Promise<pg.Client>): Promise<boolean> {
  const client = await connect();
  const batch = new PipelinedBatch(BATCH, new Map(), client);
  client.query(batch);
  // Without prepared statements it fails, which is another matter.
  const answered = batch.results.then(
    () => true,
    () => true,
  );
  const isCarried = (await within(BATCH_MS, answered)) ?? false;
  if (isCarried) await client.end();
  else client.connection.stream.destroy();
  return isCarried;
}

const pidOf = async (client: pg.Client, query: string | pg.QueryConfig): Promise<number> =>
  (await client.query<{ pid: number }>(query)).rows[0]?.pid ?? 0;

/** SQLSTATE of a name that is not prepared on the session. */
const UNKNOWN_STATEMENT = '26000';

/** Undefined where no session is free. */
async function pidWithin(
  ask: () => Promise<number>,
): Promise<number | 'unknown statement' | undefined> {
  const asked = ask().catch((error: { readonly code?: string }) => {
    if (error.code === UNKNOWN_STATEMENT) return 'unknown statement' as const;
    throw error;
  });
  return await within(SECOND_SESSION_MS, asked);
}

/** Undefined where it takes longer. */
async function within<Result>(ms: number, asked: Promise<Result>): Promise<Result | undefined> {
  asked.catch(() => {});
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms);
  });
  try {
    return await Promise.race([asked, late]);
  } finally {
    clearTimeout(timer);
  }
}
