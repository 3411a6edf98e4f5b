/** Statements that fly together, and the BEGIN and COMMIT that go with them. */
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { Client, STATEMENT_BATCH, type StatementBatch } from '../../src/pg/client.ts';
import type { SqlStatement } from '../../src/pg/pipelined-batch.ts';
import { createDatabase, execute } from '../postgres.ts';

let url: string;
let client: Client;

beforeAll(async () => {
  url = await createDatabase(inject('postgresUrl'));
  await execute(url, 'create table said (word text primary key, check (word <> $$forbidden$$))');
});
beforeEach(async () => {
  await execute(url, 'truncate said');
  client = await connected();
  return () => client.end();
});
afterAll(() => execute(url, 'drop table said'));

async function connected(): Promise<Client> {
  const connection = new Client({ connectionString: url, answerTimeoutMs: 5_000 });
  await connection.connect();
  return connection;
}

type Answer = { readonly rows: Record<string, unknown>[]; readonly rowCount: number };

const ask = (text: string, parameters: unknown[] = []): Promise<Answer> =>
  client.query(text, parameters);

async function together(statements: readonly SqlStatement[], commits = false) {
  const parameter: StatementBatch = { statements, commits };
  return (await ask(STATEMENT_BATCH, [parameter])).rows;
}

const say = (word: unknown): SqlStatement => ({
  text: 'insert into said (word) values ($1) returning word',
  parameters: [word],
});

const count: SqlStatement = { text: 'select count(*)::int as said from said', parameters: [] };

/** What everybody else sees. */
const said = async () =>
  (await execute(url, 'select word from said order by word')).map(({ word }) => word);

const inTransaction = async () =>
  (await execute(url, `select state from pg_stat_activity where pid = ${pid()}`))[0]?.['state'] ===
  'idle in transaction';

const pid = () => (client as unknown as { processID: number }).processID;

describe('statements sent together', () => {
  test('run in their order, and each is answered with its own rows', async () => {
    expect(await together([say('a'), count, say('b'), count])).toEqual([
      [{ word: 'a' }],
      [{ said: 1 }],
      [{ word: 'b' }],
      [{ said: 2 }],
    ]);
  });

  test('none at all is no mistake', async () => {
    expect(await together([])).toEqual([]);
  });

  test('keep nulls, and columns of their own types', async () => {
    const text = 'select null as nothing, $1::int as int, $2::bool as bool, $3::jsonb as json';
    const parameters = [7, true, '{"a":[1]}'];
    expect(await together([{ text, parameters }])).toEqual([
      [{ nothing: null, int: 7, bool: true, json: { a: [1] } }],
    ]);
  });

  test('those behind one that fails do not run, and the connection goes on', async () => {
    const failed = together([say('a'), say('forbidden'), say('b')]);
    await expect(failed).rejects.toMatchObject({ code: '23514' });
    // One flight is one transaction where there is no other.
    expect(await said()).toEqual([]);
    expect(await together([say('c')])).toEqual([[{ word: 'c' }]]);
  });

  test('are prepared once, also where those before them failed at first', async () => {
    const again: SqlStatement = { text: 'select 1 as again', parameters: [] };
    await expect(together([say('forbidden'), again])).rejects.toMatchObject({ code: '23514' });
    await expect(together([{ text: 'select 1 / $1::int', parameters: [0] }])).rejects.toMatchObject(
      { code: '22012' },
    );
    for (let times = 0; times < 3; times++)
      expect(await together([again, again])).toEqual([[{ again: 1 }], [{ again: 1 }]]);
    const [row] = await together([
      {
        text: `select count(*)::int as prepared from pg_prepared_statements where statement = $1`,
        parameters: [again.text],
      },
    ]);
    expect(row).toEqual([{ prepared: 1 }]);
  });

  test('have rows, also where they failed when they were first prepared', async () => {
    const divide = (by: number): SqlStatement => ({
      text: 'select 12 / $1::int as quotient',
      parameters: [by],
    });
    await expect(together([divide(0)])).rejects.toMatchObject({ code: '22012' });
    expect(await together([divide(3), count, divide(4)])).toEqual([
      [{ quotient: 4 }],
      [{ said: 0 }],
      [{ quotient: 3 }],
    ]);
  });

  test('have rows, also where they were prepared and never described', async () => {
    const once: SqlStatement = { text: 'select 5 as once', parameters: [] };
    await together([once]);
    const [prepared] = (
      await ask('select name from pg_prepared_statements where statement = $1', [once.text])
    ).rows;
    await client.end();
    client = await connected();
    await client.query({ name: String(prepared?.['name']), text: once.text });
    expect(await together([once, once])).toEqual([[{ once: 5 }], [{ once: 5 }]]);
  });

  test('one that cannot be sent takes those behind it along, a COMMIT among them', async () => {
    const circular: Record<string, unknown> = {};
    circular['self'] = circular;
    const json = (value: unknown): SqlStatement => ({
      text: 'select $1::jsonb as json',
      parameters: [value],
    });
    await together([json(1)]);
    await ask('begin');
    const failed = together([say('a'), json(circular), say('b')], true);
    await expect(failed).rejects.toThrow('circular');
    await ask('rollback');
    expect(await said()).toEqual([]);
    expect(await together([json({ a: 1 }), count])).toEqual([[{ json: { a: 1 } }], [{ said: 0 }]]);
  });

  test('say what they wrote, one by one', async () => {
    expect(await ask(say('a').text, ['a'])).toMatchObject({ rowCount: 1, rows: [{ word: 'a' }] });
    expect(await ask('delete from said where word > $1', [''])).toMatchObject({ rowCount: 1 });
  });
});

describe('a transaction', () => {
  test('begins with its first statement', async () => {
    await ask('begin');
    expect(await inTransaction()).toBe(false);
    await together([say('a')]);
    expect(await inTransaction()).toBe(true);
    expect(await said()).toEqual([]);
    await ask('commit');
    expect(await said()).toEqual(['a']);
  });

  test('begins with a plain text, too, and is rolled back as a whole', async () => {
    await ask('begin');
    await ask(`insert into said values ('a'); insert into said values ('b')`);
    await together([say('c')]);
    await ask('rollback');
    expect(await said()).toEqual([]);
    expect(await inTransaction()).toBe(false);
  });

  test('keeps the isolation it was begun with', async () => {
    await ask('start transaction isolation level repeatable read read only');
    const text = `select current_setting('transaction_isolation') as level`;
    expect(await together([{ text, parameters: [] }])).toEqual([[{ level: 'repeatable read' }]]);
    await expect(together([say('a')])).rejects.toMatchObject({ code: '25006' });
    await ask('rollback');
  });

  test.each(['commit', 'rollback'])(
    'in which nothing was said leaves nothing after %s',
    async (end) => {
      await ask('begin');
      await ask(end);
      await together([say('a')]);
      expect(await said()).toEqual(['a']);
    },
  );

  test('is committed with its last statements', async () => {
    await ask('begin');
    await together([say('a')]);
    await together([say('b')], true);
    expect(await said()).toEqual(['a', 'b']);
    await ask('commit');
    expect(await inTransaction()).toBe(false);
    await together([say('c')]);
    expect(await said()).toEqual(['a', 'b', 'c']);
  });

  test('is not committed where one of its last statements fails', async () => {
    await ask('begin');
    await together([say('a')]);
    await expect(together([say('b'), say('a')], true)).rejects.toMatchObject({ code: '23505' });
    await ask('rollback');
    expect(await said()).toEqual([]);
  });

  test('that was committed takes nothing more', async () => {
    await ask('begin');
    await together([say('a')], true);
    await expect(ask(say('b').text, ['b'])).rejects.toThrow('the transaction was committed before');
    expect(await said()).toEqual(['a']);
  });
});

test('a connection lost under way fails what was sent together', async () => {
  const slow = together([{ text: 'select pg_sleep($1)', parameters: [30] }, count]);
  client.on('error', () => {});
  await new Promise((resolve) => setTimeout(resolve, 50));
  const [lost] = await Promise.all([
    slow.catch((error: unknown) => error),
    execute(url, `select pg_terminate_backend(${pid()})`),
  ]);
  expect(lost).toBeInstanceOf(Error);
});
