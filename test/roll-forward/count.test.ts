/** Counting: the same sums in pages of any size, by one or by several, and made anew. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { connect, type Orm } from '../../src/pg/orm.ts';
import { query } from '../../src/pg/query.ts';
import { withAllEntries } from '../../src/queries/archived-accounts.ts';
import { countMovements } from '../../src/roll-forward/count.ts';
import { rebuildRollForward } from '../../src/roll-forward/rebuild.ts';
import { entities } from '../../src/store/tables/index.ts';
import { verify } from '../../src/verify/verify.ts';
import { capture } from '../cli/in-process.ts';
import { execute } from '../postgres.ts';
import {
  type SampleService,
  startSampleService,
  writeSampleLedger,
} from '../verify/sample-ledger.ts';

let scrip: SampleService;
let orm: Orm;
let accountIds: readonly string[];

beforeAll(async () => {
  scrip = await startSampleService();
  accountIds = Object.values(await writeSampleLedger(scrip));
  orm = await connect(scrip.databaseUrl, entities, 8, 30_000);
  await scrip.service.countMovements();
});
afterAll(async () => {
  await orm.close();
  await scrip.stop();
});

const sums = () => execute(scrip.databaseUrl, 'select * from roll_forward_sums t order by t::text');

const clear = async () => {
  await execute(scrip.databaseUrl, 'delete from roll_forward_sums');
  await execute(scrip.databaseUrl, 'delete from roll_forward_positions');
};

/** Until nothing is left. */
async function countInPages(entriesMax: number) {
  for (let left: readonly string[] = accountIds; left.length > 0; )
    left = (await countMovements(orm.em.fork(), left, entriesMax, 'wait')).unfinished;
}

const isAudited = async () =>
  expect(await verify(scrip.databaseUrl, { all: true })).toMatchObject({ ok: true });

test('every movement occurs, and the audit computes the same', async () => {
  const movements = await execute(
    scrip.databaseUrl,
    'select distinct movement from roll_forward_sums order by 1',
  );
  expect(movements.map(({ movement }) => movement)).toEqual([
    ...['CLAWED_BACK', 'CORRECTED', 'EXPIRED', 'ISSUED', 'MOVED', 'REFUNDED', 'SPENT', 'VOIDED'],
  ]);
  await isAudited();
});

const UNSPENT = `select sum(case when movement in ('SPENT', 'EXPIRED', 'VOIDED', 'CLAWED_BACK') then -credits
  else credits end)::text as unspent from roll_forward_sums`;

test('over all movements, what is unspent is what the accounts have', async () => {
  const [counted] = await execute(scrip.databaseUrl, UNSPENT);
  const [stored] = await execute(
    scrip.databaseUrl,
    'select sum(remaining)::text as unspent from accounts',
  );
  expect(counted).toEqual(stored);
});

test('moves between plans add up to nothing', async () => {
  const [moved] = await execute(
    scrip.databaseUrl,
    "select sum(credits)::int as credits, sum(amount)::int as amount from roll_forward_sums where movement = 'MOVED'",
  );
  expect(moved).toEqual({ credits: 0, amount: 0 });
});

test('what was paid for a grant that is used up is what its movements are worth', async () => {
  const unequal = await execute(
    scrip.databaseUrl,
    `select account_id, currency, sum(case when movement in ('SPENT', 'EXPIRED', 'VOIDED', 'CLAWED_BACK')
       then -amount else amount end) as left_over
     from roll_forward_sums s where currency <> '' and not exists (
       select from grants g where g.account_id = s.account_id and g.category = 'PAID' and g.remaining > 0)
     group by account_id, currency having sum(case when movement in ('SPENT', 'EXPIRED', 'VOIDED', 'CLAWED_BACK')
       then -amount else amount end) <> 0`,
  );
  expect(unequal).toEqual([]);
});

describe('the sums are the same', () => {
  test.each([1, 2, 7, 100_000])('in pages of %d entries', async (entriesMax) => {
    const before = await sums();
    await clear();
    await countInPages(entriesMax);
    expect(await sums()).toEqual(before);
    await isAudited();
  });

  test('by several who count at the same time', async () => {
    const before = await sums();
    await clear();
    await Promise.all([
      countInPages(3),
      countInPages(5),
      ...[1, 2].map(() => scrip.service.countMovements()),
    ]);
    expect(await sums()).toEqual(before);
  });

  test('after a transaction that was not committed', async () => {
    const before = await sums();
    await clear();
    await expect(
      orm.em.fork().transactional(async (em) => {
        await countMovements(em, accountIds, 50, 'wait');
        throw new Error('killed');
      }),
    ).rejects.toThrow('killed');
    await countInPages(100);
    expect(await sums()).toEqual(before);
  });

  test('made anew, where somebody has changed them', async () => {
    const before = await sums();
    await execute(scrip.databaseUrl, 'update roll_forward_sums set credits = credits + 1');
    expect(await verify(scrip.databaseUrl)).toMatchObject({ ok: false });
    for (const accountId of accountIds) await rebuildRollForward(orm.em.fork(), accountId);
    expect(await sums()).toEqual(before);
    expect(await rebuildRollForward(orm.em.fork(), 'nobody')).toBeNull();
  });
});

describe('entries that are archived', () => {
  const archive = (accountId: string) =>
    execute(
      scrip.databaseUrl,
      'insert into archived_accounts (account_id, seq, at, requests_seq) values ($1, 1, now(), 1)',
      [accountId],
    );
  afterEach(() => execute(scrip.databaseUrl, 'delete from archived_accounts'));

  test('while an account is made anew undo it', async () => {
    const before = await sums();
    const [accountId = ''] = accountIds;
    const rebuilt = withAllEntries(orm.em.fork(), accountId, async (em) => {
      await query(em, 'delete from roll_forward_sums where account_id = $1', [accountId]);
      await archive(accountId);
    });
    await expect(rebuilt).rejects.toThrow('has archived entries');
    expect(await sums()).toEqual(before);
  });

  test('keep no other account from being made anew', async () => {
    const before = await sums();
    await archive(accountIds.toSorted()[0] ?? '');
    const { exitCode, lines } = await capture(['roll-forward', 'rebuild'], {
      DATABASE_URL: scrip.databaseUrl,
    });
    expect({ exitCode, said: lines.map(({ text }) => text) }).toEqual({
      exitCode: 0,
      said: [
        'left as they are: 1 accounts with archived entries',
        expect.stringMatching(`^rebuilt \\(accounts ${accountIds.length - 1},`),
      ],
    });
    expect(await sums()).toEqual(before);
  });
});
