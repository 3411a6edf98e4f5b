/** Positions on a real database: given after the commit, without gaps, by any replica. */
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { assignPositions, hasUnpositionedEvents } from '../../src/events/outbox.ts';
import { connect, type Em, type Orm } from '../../src/pg/orm.ts';
import { findEvents, newestPosition } from '../../src/queries/events.ts';
import { entities } from '../../src/store/tables/index.ts';
import { createDatabase, execute } from '../postgres.ts';
import { from } from './given.ts';

let databaseUrl: string;
let orms: Orm[];
let em: () => Em;
let other: () => Em;
beforeEach(async () => {
  databaseUrl = await createDatabase(inject('postgresUrl'));
  const [one, two] = await Promise.all([
    connect(databaseUrl, entities, 8, 10_000),
    connect(databaseUrl, entities, 8, 10_000),
  ]);
  orms = [one, two];
  em = () => one.em.fork();
  other = () => two.em.fork();
});
afterEach(async () => {
  await Promise.all(orms.map((orm) => orm.close()));
});

const INSERT = `insert into events (account_id, event_id, seq, type, at, data, trace_id, span_id, sampled, data_hash, hash)
  select $1, gen_random_uuid(), seq, 'balance.low', $4::timestamptz, '{}', '', '', false, '', ''
  from generate_series($2::int, $3::int) as seq`;

const NOON = '2026-11-21T12:00:00Z';
const write = (accountId: string, first: number, last = first, at = NOON) =>
  execute(databaseUrl, INSERT, [accountId, first, last, at]);

const NO_FILTER = { types: [], accountId: '', scope: null };
const all = async () =>
  (await findEvents(em(), 0n, 1_000_000n, NO_FILTER, 1_000_000)).map(
    ({ accountId, seq, position }) => [position, `${accountId}${seq}`] as const,
  );

describe('events get positions', () => {
  test('1, 2, 3 …, in the order of their time and, within an account, of their seq', async () => {
    await write('b', 1, 2);
    await write('a', 1, 2, '2026-11-21T12:00:01Z');
    await write('c', 1, 1, '2026-11-21T11:00:00Z');
    // Written by a replica whose clock is behind.
    await write('c', 2, 2, '2026-11-21T10:00:00Z');
    expect(await hasUnpositionedEvents(em())).toBe(true);
    expect(await assignPositions(em(), 100)).toEqual({ newest: 6n, count: 6 });
    expect(await hasUnpositionedEvents(em())).toBe(false);
    const order = ['c1', 'c2', 'b1', 'b2', 'a1', 'a2'];
    expect(await all()).toEqual(order.map((name, index) => [BigInt(index + 1), name]));
    expect(await assignPositions(em(), 100)).toEqual({ newest: 6n, count: 0 });
  });

  test('in batches that keep the order within each account', async () => {
    await write('a', 1, 5);
    await write('b', 1, 5, '2026-11-21T11:00:00Z');
    expect(await assignPositions(em(), 4)).toEqual({ newest: 4n, count: 4 });
    expect(await assignPositions(em(), 4)).toEqual({ newest: 8n, count: 4 });
    expect(await assignPositions(em(), 4)).toEqual({ newest: 10n, count: 2 });
    const read = await all();
    expect(read.map(([position]) => position)).toEqual(from(1, 10));
    for (const account of ['a', 'b'])
      expect(read.map(([, name]) => name).filter((name) => name.startsWith(account))).toEqual(
        [1, 2, 3, 4, 5].map((seq) => `${account}${seq}`),
      );
  });

  test('only once they are committed: an event that commits late comes after those read before', async () => {
    const late = new pg.Client(databaseUrl);
    await late.connect();
    try {
      await late.query('begin');
      await late.query(INSERT, ['late', 1, 1, '2020-01-01T00:00:00Z']);
      await write('early', 1);
      expect(await assignPositions(em(), 100)).toEqual({ newest: 1n, count: 1 });
      await late.query('commit');
      expect(await assignPositions(other(), 100)).toEqual({ newest: 2n, count: 1 });
    } finally {
      await late.end();
    }
    expect(await all()).toEqual([
      [1n, 'early1'],
      [2n, 'late1'],
    ]);
  });

  test('from one replica at a time, and the others do not wait for it', async () => {
    await write('a', 1);
    const holder = new pg.Client(databaseUrl);
    await holder.connect();
    try {
      await holder.query(`begin; select from event_cursors where name = 'assigned' for update`);
      expect(await assignPositions(em(), 100)).toBeNull();
      await holder.query('rollback');
    } finally {
      await holder.end();
    }
    expect(await assignPositions(em(), 100)).toEqual({ newest: 1n, count: 1 });
  });
});

test('readers that resume see every position once, in order, while many write and two replicas assign', async () => {
  const ACCOUNTS = 6;
  const EACH = 40;
  const total = ACCOUNTS * EACH;
  let written = 0;
  const writers = Array.from({ length: ACCOUNTS }, async (_, account) => {
    const client = new pg.Client(databaseUrl);
    await client.connect();
    for (let seq = 1; seq <= EACH; seq++) {
      // The transactions overlap and commit in another order than they wrote.
      await client.query('begin');
      await client.query(INSERT, [`account${account}-`, seq, seq, NOON]);
      await client.query('select pg_sleep($1)', [Math.random() / 100]);
      await client.query('commit');
      written += 1;
    }
    await client.end();
  });
  const assigning = [em, other].map(async (replica) => {
    while ((await newestPosition(replica())) < total) await assignPositions(replica(), 7);
  });
  const reading = [em, other].map(async (replica) => {
    const seen: bigint[] = [];
    for (let after = 0n; after < total; after = seen.at(-1) ?? 0n) {
      const upTo = await newestPosition(replica());
      const events = await findEvents(replica(), after, upTo, NO_FILTER, 11);
      seen.push(...events.map(({ position }) => position));
    }
    return seen;
  });
  const seen = await Promise.all(reading);
  await Promise.all([...writers, ...assigning]);
  expect(written).toBe(total);
  for (const positions of seen) expect(positions).toEqual(from(1, total));
});
