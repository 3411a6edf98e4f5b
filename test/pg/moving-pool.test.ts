/** A pool whose database moves: two ways to one server stand for two servers. */
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { MovingPool } from '../../src/pg/moving-pool.ts';
import { createDatabase, withOptions } from '../postgres.ts';
import { TcpProxy } from '../tcp-proxy.ts';

let url: string;
let one: TcpProxy;
let other: TcpProxy;
let pool: MovingPool;
let now: { url: string; failures: number };
beforeAll(async () => {
  url = await createDatabase(inject('postgresUrl'));
  one = new TcpProxy(url);
  other = new TcpProxy(url);
  await one.open();
  await other.open();
});
afterAll(async () => {
  await one.close();
  await other.close();
});
beforeEach(() => {
  now = { url: one.url, failures: 0 };
  const database = {
    get url() {
      return now.url;
    },
    unreachable: () => {
      now.failures += 1;
    },
  };
  pool = new MovingPool(database, 2, { lock_timeout: '7s' });
  return () => pool.end();
});

const portOf = (proxy: TcpProxy): number => Number(new URL(proxy.url).port);

test('a transaction ends on the server where it began, and the next is on the new one', async () => {
  const before = await pool.connect();
  await before.query('begin');
  now.url = other.url;
  const after = await pool.connect();
  expect([before.port, after.port]).toEqual([portOf(one), portOf(other)]);
  await before.query('commit');
  for (const client of [before, after]) client.release();
  const next = await Promise.all([pool.connect(), pool.connect()]);
  expect(next.map(({ port }) => port)).toEqual([portOf(other), portOf(other)]);
  for (const client of next) client.release();
  expect(pool.totalCount).toBe(2);
});

test('who waits for a connection gets one to the new server', async () => {
  const busy = await Promise.all([pool.connect(), pool.connect()]);
  const waiting = pool.connect();
  now.url = other.url;
  for (const client of busy) client.release();
  const client = await waiting;
  expect(client.port).toBe(portOf(other));
  client.release();
});

test('sessions on the new server have the settings, and those of the URL', async () => {
  now.url = withOptions(other.url, '-c work_mem=5MB');
  const client = await pool.connect();
  const { rows } = await client.query(
    `select current_setting('lock_timeout') as wait, current_setting('work_mem') as memory`,
  );
  expect(rows).toEqual([{ wait: '7s', memory: '5MB' }]);
  client.release();
});

test('it says that a server cannot be reached, and connects again after the move', async () => {
  await one.close();
  try {
    await expect(pool.connect()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    expect(now.failures).toBe(1);
    now.url = other.url;
    (await pool.connect()).release();
    expect(now.failures).toBe(1);
  } finally {
    await one.open();
  }
});
