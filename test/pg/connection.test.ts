/** Batches of SQL statements, and the BEGIN and COMMIT that are sent with them. */
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { Connection } from '../../src/pg/connection.ts';
import type { SqlStatement } from '../../src/pg/pipelined-batch.ts';
import { createPool } from '../../src/pg/pool.ts';
import { createDatabase, execute } from '../postgres.ts';

let url: string;
/** Another session, which sees what is committed. */
let observer: pg.Client;
let client: pg.Client;
let connection: Connection;

beforeAll(async () => {
  url = await createDatabase(inject('postgresUrl'));
  observer = new pg.Client(url);
  await observer.connect();
  await observer.query(`create table words (word text primary key, check (word <> 'forbidden'))`);
});
beforeEach(async () => {
  await observer.query('truncate words');
  const pool = createPool(url, 1, {});
  const pooled = await pool.connect();
  client = pooled;
  connection = new Connection(pooled);
  return async () => {
    pooled.release(true);
    await pool.end();
  };
});
afterAll(() => observer.end());

const insert = (word: unknown): SqlStatement => ({
  text: 'insert into words (word) values ($1) returning word',
  parameters: [word],
});
const divide = (by: number): SqlStatement => ({
  text: 'select 12 / $1::int as quotient',
  parameters: [by],
});
const countWords: SqlStatement = {
  text: 'select count(*)::int as words from words',
  parameters: [],
};

async function committedWords(): Promise<string[]> {
  return (await observer.query('select word from words order by word')).rows.map(
    ({ word }) => word,
  );
}

/** PostgreSQL's own view of the session. */
async function sessionState(): Promise<string> {
  const { rows } = await observer.query('select state from pg_stat_activity where pid = $1', [
    (client as unknown as { processID: number }).processID,
  ]);
  return rows[0]?.state;
}

test('an error that comes as the pool hands a client out does not end the process', async () => {
  const pool = createPool(url, 1, {});
  const fresh = await pool.connect();
  // As pg does when the packet that completes the connection also says that the session is terminated.
  expect(fresh.emit('error', new Error('terminating connection'))).toBe(true);
  fresh.release(true);
  await pool.end();
});

describe('a batch', () => {
  test('runs in order and returns the rows of each SQL statement', async () => {
    expect(await connection.send([insert('a'), countWords, insert('b'), countWords])).toEqual([
      [{ word: 'a' }],
      [{ words: 1 }],
      [{ word: 'b' }],
      [{ words: 2 }],
    ]);
  });

  test('may be empty', async () => {
    expect(await connection.send([])).toEqual([]);
  });

  test('returns nulls, and values of their types', async () => {
    const text = 'select null as nothing, $1::int as int, $2::bool as bool, $3::jsonb as json';
    expect(await connection.send([{ text, parameters: [7, true, '{"a":[1]}'] }])).toEqual([
      [{ nothing: null, int: 7, bool: true, json: { a: [1] } }],
    ]);
  });

  test('is a transaction of its own outside one: where one fails, none has an effect', async () => {
    const failed = connection.send([insert('a'), insert('forbidden'), insert('b')]);
    await expect(failed).rejects.toMatchObject({ code: '23514' });
    expect(await committedWords()).toEqual([]);
  });

  test('can follow one that failed', async () => {
    await expect(connection.send([insert('forbidden')])).rejects.toMatchObject({ code: '23514' });
    expect(await connection.send([insert('c')])).toEqual([[{ word: 'c' }]]);
  });

  test('with a parameter that cannot be sent stops there, and its COMMIT is not sent', async () => {
    const circular: Record<string, unknown> = {};
    circular['self'] = circular;
    const json: SqlStatement = { text: 'select $1::jsonb as json', parameters: [circular] };
    connection.begin('begin');
    const failed = connection.send([insert('a'), json, insert('b')], { commit: true });
    await expect(failed).rejects.toThrow('circular');
    await connection.rollback();
    expect(await committedWords()).toEqual([]);
    expect(await connection.send([{ ...json, parameters: [{ a: 1 }] }])).toEqual([
      [{ json: { a: 1 } }],
    ]);
  });

  test('fails when its connection is lost', async () => {
    const { processID } = client as unknown as { processID: number };
    const sleeping = connection.send([{ text: 'select pg_sleep($1)', parameters: [30] }]);
    await Promise.all([
      expect(sleeping).rejects.toThrow(),
      execute(url, 'select pg_terminate_backend($1)', [processID]),
    ]);
  });

  test('fails when PostgreSQL does not answer in time', async () => {
    connection.acquire(100);
    const sleeping = connection.send([{ text: 'select pg_sleep($1)', parameters: [30] }]);
    await expect(sleeping).rejects.toThrow('Connection terminated');
  });
});

describe('an SQL statement is prepared once per connection', () => {
  async function timesPrepared(text: string): Promise<number> {
    const counted =
      'select count(*)::int as times from pg_prepared_statements where statement = $1';
    const [rows] = await connection.send([{ text: counted, parameters: [text] }]);
    return rows?.[0]?.['times'] as number;
  }

  test('though a batch has it twice', async () => {
    expect(await connection.send([divide(3), divide(4)])).toEqual([
      [{ quotient: 4 }],
      [{ quotient: 3 }],
    ]);
    expect(await timesPrepared(divide(0).text)).toBe(1);
  });

  test('and has rows after it failed the first time', async () => {
    await expect(connection.send([divide(0)])).rejects.toMatchObject({ code: '22012' });
    expect(await connection.send([divide(3)])).toEqual([[{ quotient: 4 }]]);
    expect(await timesPrepared(divide(0).text)).toBe(1);
  });

  test('and has rows after it was skipped behind one that failed', async () => {
    const skipped = connection.send([insert('forbidden'), divide(3)]);
    await expect(skipped).rejects.toMatchObject({ code: '23514' });
    expect(await connection.send([divide(3)])).toEqual([[{ quotient: 4 }]]);
  });
});

describe('a transaction', () => {
  test('begins with its first batch', async () => {
    connection.begin('begin');
    expect(await sessionState()).toBe('idle');
    await connection.send([insert('a')]);
    expect(await sessionState()).toBe('idle in transaction');
    expect(await committedWords()).toEqual([]);
    await connection.commit();
    expect(await committedWords()).toEqual(['a']);
  });

  test('begins with a query of MikroORM, too', async () => {
    connection.begin('begin');
    await connection.executeQuery({
      sql: `insert into words values ('a'); insert into words values ('b')`,
      parameters: [],
    } as never);
    await connection.rollback();
    expect(await committedWords()).toEqual([]);
  });

  test('has the isolation level it was begun with', async () => {
    connection.begin('begin isolation level repeatable read read only');
    const text = `select current_setting('transaction_isolation') as level`;
    expect(await connection.send([{ text, parameters: [] }])).toEqual([
      [{ level: 'repeatable read' }],
    ]);
    await expect(connection.send([insert('a')])).rejects.toMatchObject({ code: '25006' });
    await connection.rollback();
  });

  test.each(['commit', 'rollback'] as const)(
    'without an SQL statement is over after %s, and nothing was sent',
    async (end) => {
      connection.begin('begin');
      await connection[end]();
      await connection.send([insert('a')]);
      expect(await committedWords()).toEqual(['a']);
    },
  );

  test('is committed with its last batch', async () => {
    connection.begin('begin');
    await connection.send([insert('a')]);
    await connection.send([insert('b')], { commit: true });
    expect(await committedWords()).toEqual(['a', 'b']);
    await connection.commit();
    await connection.send([insert('c')]);
    expect(await committedWords()).toEqual(['a', 'b', 'c']);
  });

  test('is not committed where an SQL statement of its last batch fails', async () => {
    connection.begin('begin');
    await connection.send([insert('a')]);
    const last = connection.send([insert('b'), insert('a')], { commit: true });
    await expect(last).rejects.toMatchObject({ code: '23505' });
    await connection.rollback();
    expect(await committedWords()).toEqual([]);
  });

  test('that was committed with a batch accepts nothing more', async () => {
    connection.begin('begin');
    await connection.send([insert('a')], { commit: true });
    await expect(connection.send([insert('b')])).rejects.toThrow('already committed');
    const sql = { sql: `insert into words values ('c')`, parameters: [] } as never;
    await expect(connection.executeQuery(sql)).rejects.toThrow('already committed');
    expect(await committedWords()).toEqual(['a']);
  });

  test.each<[string, () => Promise<unknown>]>([
    ['a COMMIT', () => connection.commit()],
    ['a batch with COMMIT', () => connection.send([], { commit: true })],
  ])('that has failed is not taken for committed by %s', async (_, commit) => {
    connection.begin('begin');
    await expect(connection.send([insert('forbidden')])).rejects.toMatchObject({ code: '23514' });
    await expect(commit()).rejects.toThrow('rolled back');
  });
});
