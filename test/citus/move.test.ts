/** Two replicas on two cells while one of the cells moves to the other server, and back. */
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, expect, onTestFailed, test, vi } from 'vitest';
import { connect } from '../../clients/typescript/src/index.ts';
import { presentAddress } from '../../src/cells/citus-node.ts';
import { formatServer } from '../../src/cells/place-cell.ts';
import { publishInCells } from '../../src/plan-publication.ts';
import { verify } from '../../src/verify/verify.ts';
import { capture } from '../cli/in-process.ts';
import { execute } from '../postgres.ts';
import { type Replica, SOON, startPublished } from '../process/replica.ts';
import { plansOfDeploy } from '../service.ts';
import { type Cells, createCells, workers } from './cluster.ts';

/** How long the load goes on around the moves; five minutes in a whole run. */
const SECONDS = Number(process.env['CITUS_SECONDS'] ?? 300);
/** Where both cores are busy a move takes a minute. */
const LIMIT_MS = (SECONDS + 600) * 1_000;
const IN_FLIGHT = 64;
const ACCOUNTS = 400;
const CREDITS = 1_000_000n;
const SKEW_MAX_MS = 60_000;

let given: Cells;
let servers: readonly [string, string];
let replicas: readonly Replica[] = [];

const place = async (cell: string, server: string) => {
  const { exitCode, lines } = await capture(['cells', 'place', cell, server], {
    CELLS_FILE: given.file,
  });
  expect(exitCode, lines.map(({ text }) => text).join('\n')).toBe(0);
};

beforeAll(async () => {
  given = await createCells('one', 'two');
  servers = (await workers()).map(formatServer) as unknown as typeof servers;
  await place('one', servers[0]);
  await place('two', servers[1]);
  const present = await Promise.all(given.cells.map(presentAddress));
  await publishInCells(present, await plansOfDeploy(), SKEW_MAX_MS);
  replicas = await Promise.all([0, 1].map(() => startPublished({ CELLS_FILE: given.file })));
});
afterAll(async () => {
  await Promise.all(replicas.map((replica) => replica.signal('SIGTERM')));
  await given?.remove();
});

const accountId = (index: number): string => `acct-${index}`;

/** Milliseconds since the service last began a statement on a server; null: it is not connected there. */
async function unusedFor(server: string): Promise<number | null> {
  const [host, port] = server.split(':');
  const url = Object.assign(new URL(given.cells[0]?.url ?? ''), { hostname: host, port });
  const [row] = await execute(
    url.href,
    `select (extract(epoch from clock_timestamp() - max(query_start)) * 1000)::float8 as ms
     from pg_stat_activity
     where application_name = 'scrip' and datname = current_database() and pid <> pg_backend_pid()`,
  );
  return (row?.['ms'] as number | null) ?? null;
}

test(
  `${SECONDS} s of load lose nothing while a cell moves, and replicas follow it`,
  async () => {
    onTestFailed(() => {
      for (const { output } of replicas)
        for (const line of output.stdout.split('\n'))
          if (/"level":[56]0/.test(line)) process.stderr.write(`${line}\n`);
    });
    const address = replicas.map(({ port }) => `127.0.0.1:${port}`).join();
    const client = connect({ address: `ipv4:${address}`, caller: 'test', timeoutMs: 120_000 });
    const charged = Array.from({ length: ACCOUNTS }, () => 0);
    for (let index = 0; index < ACCOUNTS; index++) {
      await client.accounts.openAccount({ accountId: accountId(index), planId: 'verts' });
      await client.accounts.grantCredits({
        accountId: accountId(index),
        credits: CREDITS,
        category: 'CATEGORY_PAID',
        reason: 'a test',
      });
    }
    let isOver = false;
    let next = 0;
    const loop = async () => {
      while (!isOver) {
        const index = next++ % ACCOUNTS;
        await client.billing.charge({ accountId: accountId(index), credits: 1n });
        charged[index] = (charged[index] ?? 0) + 1;
      }
    };
    const load = Promise.all(Array.from({ length: IN_FLIGHT }, loop));
    const failed = load.then(
      () => null,
      (error: unknown) => error,
    );
    await Promise.race([wait((SECONDS * 1_000) / 3), failed]);
    // Both cells are on one server now: nothing uses the other any more.
    await place('one', servers[1]);
    await vi.waitFor(async () => {
      expect((await unusedFor(servers[0])) ?? Number.POSITIVE_INFINITY).toBeGreaterThan(1_000);
    }, SOON);
    await Promise.race([wait((SECONDS * 1_000) / 3), failed]);
    await place('one', servers[0]);
    await vi.waitFor(async () => expect(await unusedFor(servers[0])).toBeLessThan(1_000), SOON);
    await Promise.race([wait((SECONDS * 1_000) / 3), failed]);
    isOver = true;
    expect(await failed).toBeNull();
    for (const [index, count] of charged.entries()) {
      const { balance } = await client.billing.getBalance({ accountId: accountId(index) });
      expect(balance?.available, accountId(index)).toBe(CREDITS - BigInt(count));
    }
    client.close();
    for (const cell of given.cells)
      expect(await verify((await presentAddress(cell)).url)).toMatchObject({ ok: true });
  },
  LIMIT_MS,
);
