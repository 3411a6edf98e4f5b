/** SetBudget, RemoveBudget and GetBudgets, and what budgets refuse, on two replicas. */
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Budget, BudgetEnforcement, BudgetPeriod } from '../../src/gen/billing/v1/budget.ts';
import { Entry_Kind, OverCommitPolicy } from '../../src/gen/billing/v1/ledger.ts';
import { mapOf } from '../../src/map-of.ts';
import {
  DAY,
  defined,
  HOUR,
  INSPECT,
  MINUTE,
  newestEntry,
  openWithCredits,
  UPSCALE,
} from '../accounts.ts';
import { expectSoundLedger } from '../cluster/audit.ts';
import { type Cluster, outcomeOf, outcomesOf, startCluster, tally } from '../cluster/cluster.ts';
import { execute } from '../postgres.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, type TestService } from '../service.ts';

/** A Tuesday. */
const NOON = Date.parse('2031-04-01T12:00:00Z');

let cluster: Cluster;
let scrip: TestService;
let other: TestService;
beforeAll(async () => {
  cluster = await startCluster({ frozenAt: NOON });
  [scrip, other] = cluster.replicas;
});
afterAll(async () => {
  await expectSoundLedger(cluster.databaseUrl);
  await cluster.stop();
});

const perUser = (more: Partial<Budget> = {}): Budget => ({
  budgetId: 'per-user',
  dimension: { $case: 'label', value: 'user' },
  value: undefined,
  credits: 100n,
  period: BudgetPeriod.DAY,
  enforcement: BudgetEnforcement.HARD,
  exceptions: [],
  ...more,
});
const set = (accountId: string, budget: Budget = perUser(), service = scrip) =>
  service.accounts.setBudget({ accountId, requestId: requestId(), budget, reason: 'members' });
const remove = (accountId: string, budgetId = 'per-user') =>
  scrip.accounts.removeBudget({ accountId, requestId: requestId(), budgetId, reason: 'over' });
const work = (accountId: string, user: string | null) => ({
  accountId,
  requestId: requestId(),
  ...(user !== null && { labels: mapOf({ user }) }),
});
const charge = (accountId: string, user: string | null, credits: bigint, service = scrip) =>
  service.billing.charge({ ...work(accountId, user), credits });
const uses = async (accountId: string, service = scrip) => {
  const { uses } = await service.accounts.getBudgets({ accountId });
  return uses.map(({ budgetId, value, used, cap }) => `${budgetId} ${value}: ${used} of ${cap}`);
};

describe('a budget', () => {
  test('is for each value, on every replica, whatever the other has cached', async () => {
    const accountId = await openWithCredits(scrip, 1_000n);
    await charge(accountId, 'ann', 10n, other); // that replica caches the account
    const { budget, sinceSeq, entrySeq } = await set(accountId);
    expect(budget).toEqual(perUser());
    expect(sinceSeq).toBe(entrySeq);
    await charge(accountId, 'ann', 60n, other);
    await charge(accountId, 'bob', 100n, scrip);
    for (const service of cluster.replicas)
      expect(await errorOf(charge(accountId, 'ann', 41n, service))).toMatchObject({
        code: status.FAILED_PRECONDITION,
        reason: 'BUDGET_EXCEEDED',
        metadata: {
          budget_id: 'per-user',
          label: 'user',
          value: 'ann',
          cap: '100',
          used: '60',
          requested: '41',
          resets_at: '2031-04-02T00:00:00.000Z',
        },
      });
    await charge(accountId, 'ann', 40n, scrip);
    expect(await uses(accountId, other)).toEqual([
      'per-user ann: 100 of 100',
      'per-user bob: 100 of 100',
    ]);
  });

  test('is written as an entry that says who and why', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const exceptions = [{ value: 'ann', cap: { $case: 'credits', value: 5n } as const }];
    await set(accountId, perUser({ exceptions }));
    expect(await newestEntry(scrip, accountId)).toMatchObject({
      kind: Entry_Kind.SET_BUDGET,
      caller: 'test',
      details: mapOf({
        budget_id: 'per-user',
        of: 'label',
        label: 'user',
        cap: '100',
        period: 'DAY',
        enforcement: 'HARD',
        exceptions: '{"ann":5}',
        since: '3',
        reason: 'members',
      }),
    });
    await remove(accountId);
    expect(await newestEntry(scrip, accountId)).toMatchObject({
      kind: Entry_Kind.REMOVE_BUDGET,
      details: mapOf({ budget_id: 'per-user', reason: 'over' }),
    });
    expect(await errorOf(remove(accountId))).toMatchObject({
      code: status.NOT_FOUND,
      reason: 'BUDGET_NOT_FOUND',
    });
  });

  test('set again and set anew: it goes on, or counts from then', async () => {
    const accountId = await openWithCredits(scrip, 1_000n);
    const first = await set(accountId);
    await charge(accountId, 'ann', 60n);
    expect(await set(accountId, perUser(), other)).toMatchObject({ entrySeq: 0n });
    const higher = await set(accountId, perUser({ credits: 200n }));
    expect(higher.sinceSeq).toBe(first.sinceSeq);
    expect(await uses(accountId)).toEqual(['per-user ann: 60 of 200']);
    await set(accountId, perUser({ period: BudgetPeriod.TOTAL }));
    expect(await uses(accountId)).toEqual([]);
    await charge(accountId, 'ann', 100n);
    const error = await errorOf(charge(accountId, 'ann', 1n));
    expect(error.reason).toBe('BUDGET_EXCEEDED');
    expect(error.metadata).not.toHaveProperty('resets_at');
  });

  test('is repeated without a second effect', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const request = { accountId, requestId: requestId(), budget: perUser(), reason: 'one' };
    const first = await scrip.accounts.setBudget(request);
    expect(await other.accounts.setBudget(request)).toEqual({
      ...first,
      replay: expect.anything(),
    });
    const reused = { ...request, budget: perUser({ credits: 1n }) };
    expect((await errorOf(other.accounts.setBudget(reused))).reason).toBe('REQUEST_ID_REUSED');
  });

  test('answers a repeated charge, and counts it once', async () => {
    const accountId = await openWithCredits(scrip, 1_000n);
    await set(accountId);
    const request = { ...work(accountId, 'ann'), credits: 100n };
    await scrip.billing.charge(request);
    for (const service of cluster.replicas)
      expect(await service.billing.charge(request)).toMatchObject({ replay: expect.anything() });
    expect(await uses(accountId)).toEqual(['per-user ann: 100 of 100']);
  });

  test('is set in a batch, in its order with the work', async () => {
    const accountId = await openWithCredits(scrip, 1_000n);
    const { results } = await scrip.billing.batch({
      mutations: [
        { mutation: { $case: 'charge', value: { ...work(accountId, 'ann'), credits: 70n } } },
        {
          mutation: {
            $case: 'setBudget',
            value: { ...work(accountId, null), budget: perUser(), reason: 'members' },
          },
        },
        { mutation: { $case: 'charge', value: { ...work(accountId, 'ann'), credits: 70n } } },
        { mutation: { $case: 'charge', value: { ...work(accountId, 'ann'), credits: 70n } } },
      ],
    });
    expect(results.map(({ result }) => result?.$case)).toEqual([
      ...['charge', 'setBudget', 'charge', 'error'],
    ]);
    expect(await uses(accountId)).toEqual(['per-user ann: 70 of 100']);
  });

  test('counts nothing of an atomic batch that is refused, and all of one that is not', async () => {
    const accountId = await openWithCredits(scrip, 1_000n);
    await set(accountId, perUser({ budgetId: 'before', period: BudgetPeriod.WEEK }));
    const chargeOf = (user: string, credits: bigint) =>
      ({ $case: 'charge', value: { ...work(accountId, user), credits } }) as const;
    const setWith = () =>
      ({
        $case: 'setBudget',
        value: { ...work(accountId, null), budget: perUser({ credits: 30n }), reason: 'members' },
      }) as const;
    const atomic = async (
      mutations: (ReturnType<typeof chargeOf> | ReturnType<typeof setWith>)[],
    ) => {
      const all = mutations.map((mutation) => ({ mutation }));
      const { results } = await scrip.billing.batch({ atomic: true, mutations: all });
      return results.map(({ result }) =>
        result?.$case === 'error' ? result.value.reason : result?.$case,
      );
    };
    await charge(accountId, 'ann', 40n);
    const tooMuch = [chargeOf('ann', 20n), setWith(), chargeOf('ann', 25n), chargeOf('ann', 6n)];
    const not = 'BATCH_REFUSED';
    expect(await atomic(tooMuch)).toEqual([not, not, not, 'BUDGET_EXCEEDED']);
    expect(await uses(accountId)).toEqual(['before ann: 40 of 100']);
    const enough = [chargeOf('ann', 20n), setWith(), chargeOf('ann', 25n), chargeOf('bob', 6n)];
    expect(await atomic(enough)).toEqual(['charge', 'setBudget', 'charge', 'charge']);
    await charge(accountId, 'ann', 5n);
    expect(await uses(accountId, other)).toEqual([
      ...['before ann: 90 of 100', 'before bob: 6 of 100'],
      ...['per-user ann: 30 of 30', 'per-user bob: 6 of 30'],
    ]);
  });

  test('counts operations', async () => {
    const accountId = await openWithCredits(scrip, 1_000n);
    const dimension = { $case: 'operation', value: true } as const;
    const exceptions = [
      { value: 'file.inspect', cap: { $case: 'unlimited', value: true } as const },
    ];
    await set(accountId, perUser({ budgetId: 'ops', dimension, credits: 15n, exceptions }));
    const { reservation } = await scrip.billing.reserve({
      ...work(accountId, null),
      usages: { items: [UPSCALE, INSPECT] },
      overCommitPolicy: OverCommitPolicy.DRAW,
    });
    const { reservationId } = defined(reservation);
    const commit = (items: (typeof UPSCALE)[], service = scrip) =>
      service.billing.commit({ ...work(accountId, null), reservationId, usages: { items } });
    const twice = { ...UPSCALE, count: 2n };
    expect((await errorOf(commit([twice], other))).metadata).toMatchObject({
      ...{ budget_id: 'ops', value: 'image.upscale', used: '10', requested: '10' },
    });
    await commit([UPSCALE, { ...INSPECT, count: 30n }]);
    expect(await uses(accountId)).toEqual([
      'ops file.inspect: 30 of undefined',
      'ops image.upscale: 10 of 15',
    ]);
  });

  test('refuses bad fields, all of them at once', async () => {
    const accountId = await scrip.open('verts');
    const unlimited = { $case: 'unlimited', value: false } as const;
    const bad = perUser({
      budgetId: 'per user',
      dimension: undefined,
      value: 'a'.repeat(257),
      credits: -1n,
      period: BudgetPeriod.UNSPECIFIED,
      enforcement: 7 as BudgetEnforcement,
      exceptions: [
        { value: 'a', cap: unlimited },
        { value: 'a', cap: undefined },
      ],
    });
    expect((await errorOf(set(accountId, bad))).fields).toEqual([
      'budget.period',
      'budget.enforcement',
      'budget.budget_id',
      'budget.label',
      'budget.value',
      'budget.credits',
      'budget.exceptions',
      'budget.exceptions[0].unlimited',
      'budget.exceptions[1].value',
      'budget.exceptions[1].credits',
    ]);
    const nothing = { accountId, requestId: requestId() };
    const { fields } = await errorOf(scrip.accounts.setBudget(nothing));
    expect(fields).toEqual(expect.arrayContaining(['budget', 'reason']));
    const many = Array.from({ length: 101 }, (_, index) => ({
      value: `${index}`,
      cap: { $case: 'credits', value: 1n } as const,
    }));
    expect((await errorOf(set(accountId, perUser({ exceptions: many })))).fields).toEqual([
      'budget.exceptions',
    ]);
  });

  test('has an event if it is soft, and never twice in a period', async () => {
    const accountId = await openWithCredits(scrip, 1_000n);
    await set(accountId, perUser({ credits: 5n, enforcement: BudgetEnforcement.SOFT }));
    for (const service of [scrip, other, scrip]) await charge(accountId, 'ann', 4n, service);
    const rows = await execute(
      cluster.databaseUrl,
      `select data from events where account_id = '${accountId}' and type = 'budget.exceeded'`,
    );
    expect(rows).toEqual([
      {
        data: {
          ...{ budget_id: 'per-user', label: 'user', value: 'ann', cap: '5', used: '8' },
          resets_at: '2031-04-02T00:00:00.000Z',
        },
      },
    ]);
  });
});

describe('GetBudgets', () => {
  test('shows what nobody has used yet where a budget names it, and what has expired no more', async () => {
    const accountId = await openWithCredits(scrip, 1_000n);
    const exceptions = [
      { value: 'bob', cap: { $case: 'unlimited', value: true } as const },
      { value: 'ann', cap: { $case: 'credits', value: 7n } as const },
    ];
    await set(accountId, perUser({ period: BudgetPeriod.WEEK, exceptions }));
    await scrip.billing.reserve({ ...work(accountId, 'eve'), credits: 50n, ttl: seconds(60n) });
    await scrip.billing.reserve({ ...work(accountId, 'eve'), credits: 20n, ttl: seconds(7_200n) });
    expect(await uses(accountId)).toContain('per-user eve: 70 of 100');
    cluster.advance(5 * MINUTE);
    const { budgets, uses: all } = await other.accounts.getBudgets({ accountId });
    expect(budgets).toEqual([
      perUser({ period: BudgetPeriod.WEEK, exceptions: [exceptions[1]!, exceptions[0]!] }),
    ]);
    expect(all).toEqual(
      [
        { value: 'ann', cap: 7n, used: 0n },
        { value: 'bob', cap: undefined, used: 0n },
        { value: 'eve', cap: 100n, used: 20n },
      ].map((use) => ({
        ...use,
        budgetId: 'per-user',
        startedAt: new Date('2031-03-31T00:00:00Z'),
        resetsAt: new Date('2031-04-07T00:00:00Z'),
      })),
    );
  });

  test('can be of one budget and one value, and names none that is not there', async () => {
    const accountId = await openWithCredits(scrip, 1_000n);
    await set(accountId);
    await set(accountId, perUser({ budgetId: 'monthly', period: BudgetPeriod.MONTH }));
    await charge(accountId, 'ann', 5n);
    await charge(accountId, null, 6n);
    const of = async (request: object) =>
      (await scrip.accounts.getBudgets({ accountId, ...request })).uses.map(
        ({ budgetId, value, used }) => `${budgetId} ${value}: ${used}`,
      );
    expect(await of({})).toEqual([
      'monthly : 6',
      'monthly ann: 5',
      'per-user : 6',
      'per-user ann: 5',
    ]);
    expect(await of({ value: 'ann' })).toEqual(['monthly ann: 5', 'per-user ann: 5']);
    expect(await of({ budgetId: 'per-user', value: '' })).toEqual(['per-user : 6']);
    expect(await errorOf(of({ budgetId: 'none' }))).toMatchObject({ reason: 'BUDGET_NOT_FOUND' });
    const nobody = scrip.accounts.getBudgets({ accountId: 'nobody' });
    expect(await errorOf(nobody)).toMatchObject({ reason: 'ACCOUNT_NOT_FOUND' });
  });

  test('comes in pages, in one order over budgets and values', async () => {
    const accountId = await openWithCredits(scrip, 1_000n);
    const exceptions = ['m', 'z'].map((value) => ({
      value,
      cap: { $case: 'credits', value: 1n } as const,
    }));
    await set(accountId, perUser({ budgetId: 'b', exceptions }));
    await set(accountId, perUser({ budgetId: 'a' }));
    // As bytes, not as words: "É" comes after "z", and "Z" before "a".
    for (const user of ['b', 'a', 'Z', 'É', '𝒜', '\uff61']) await charge(accountId, user, 1n);
    const seen: string[] = [];
    for (let pageToken = '', pages = 0; pages === 0 || pageToken; pages++) {
      const page = await scrip.accounts.getBudgets({ accountId, pageSize: 3, pageToken });
      expect(page.budgets.map(({ budgetId }) => budgetId)).toEqual(['a', 'b']);
      expect(page.uses.length).toBeLessThanOrEqual(3);
      seen.push(...page.uses.map(({ budgetId, value }) => `${budgetId}${value}`));
      pageToken = page.nextPageToken;
    }
    const values = (...of: string[]) =>
      of.toSorted((x, y) => Buffer.compare(Buffer.from(x), Buffer.from(y)));
    expect(seen).toEqual([
      ...values('b', 'a', 'Z', 'É', '𝒜', '\uff61').map((value) => `a${value}`),
      ...values('b', 'a', 'Z', 'É', '𝒜', '\uff61', 'm', 'z').map((value) => `b${value}`),
    ]);
  });
});

const seconds = (seconds: bigint) => ({ seconds, nanos: 0 });

describe('50 callers on two replicas', () => {
  const CALLERS = 50;

  test('never use more than the cap, and all of it', async () => {
    const accountId = await openWithCredits(scrip, 10_000n);
    await set(accountId, perUser({ credits: 90n }));
    const outcomes = await outcomesOf(
      Array.from({ length: CALLERS }, (_, index) =>
        charge(accountId, 'ann', 7n, cluster.replicas[index % 2]!),
      ),
    );
    expect(tally(outcomes)).toEqual({ OK: 12, BUDGET_EXCEEDED: CALLERS - 12 });
    expect(await uses(accountId)).toEqual(['per-user ann: 84 of 90']);
  });

  test('at the turn of a day: what was reserved before counts there, whenever it ends', async () => {
    const accountId = await openWithCredits(scrip, 10_000n);
    await set(accountId);
    const midnight = Math.ceil(scrip.now() / DAY) * DAY;
    cluster.setNow(midnight - 1);
    const reserve = (index: number) =>
      cluster.replicas[index % 2]!.billing.reserve({
        ...work(accountId, index % 3 === 0 ? 'ann' : 'bob'),
        credits: 9n,
        ttl: seconds(3_600n),
        overCommitPolicy: OverCommitPolicy.DRAW,
      });
    const reserveAll = (count: number) =>
      outcomesOf(Array.from({ length: count }, (_, index) => reserve(index)));
    // Some are decided before midnight and some after, on clocks that differ by a millisecond.
    const before = reserveAll(CALLERS / 2);
    scrip.setNow(midnight);
    const during = reserveAll(CALLERS / 2);
    const begun = (await Promise.all([before, during])).flat();
    cluster.setNow(midnight + 1);
    const ends = await outcomesOf(
      begun.flatMap(({ answer }, index): Promise<unknown>[] => {
        if (!answer) return [];
        const { reservationId } = defined(answer.reservation);
        const named = { ...work(accountId, null), reservationId };
        const { billing } = cluster.replicas[index % 2]!;
        if (index % 4 === 0) return [billing.release(named)];
        return [billing.commit({ ...named, credits: [3n, 9n, 12n][index % 3]! })];
      }),
    );
    expect(tally(ends)['OK']).toBeGreaterThan(0);
    const after = await outcomesOf(
      Array.from({ length: CALLERS }, (_, index) =>
        charge(accountId, index % 3 === 0 ? 'ann' : 'bob', 5n, cluster.replicas[index % 2]!),
      ),
    );
    expect(tally(after)['BUDGET_EXCEEDED']).toBeGreaterThan(0);
    await expectSumsOfEntries(accountId, 100n);
  });

  test('with every kind of work, on a budget that changes meanwhile', async () => {
    const accountId = await openWithCredits(scrip, 10_000n);
    await set(accountId);
    const calls = Array.from({ length: CALLERS }, async (_, index) => {
      const service = cluster.replicas[index % 2]!;
      const user = ['ann', 'bob', null][index % 3]!;
      if (index % 10 === 9) {
        await set(accountId, perUser({ credits: 80n + BigInt(index) }), service);
        return;
      }
      const reserved = await outcomeOf(
        service.billing.reserve({ ...work(accountId, user), credits: 10n }),
      );
      if (!reserved.answer) return;
      const { reservationId } = defined(reserved.answer.reservation);
      const named = () => ({ ...work(accountId, null), reservationId });
      await outcomeOf(service.billing.raiseReservation({ ...named(), credits: 4n }));
      const { answer } = await outcomeOf(
        service.billing.commit({ ...named(), credits: 6n, final: index % 2 === 0 }),
      );
      if (answer && index % 5 === 0)
        await service.billing.refund({
          ...work(accountId, null),
          seq: answer.entrySeq,
          credits: 2n,
          reason: 'a test',
        });
    });
    await Promise.all(calls);
    await expectSumsOfEntries(accountId, 150n);
  });

  /** That no user has used more than the cap of a day, and that counters are what the entries of its jobs say. */
  async function expectSumsOfEntries(accountId: string, cap: bigint) {
    const used = async (sql: string) =>
      (await execute(cluster.databaseUrl, sql.replace('$1', `'${accountId}'`))).map(
        ({ line }) => line,
      );
    const computed = await used(SUMS_OF_ENTRIES);
    expect(await used(COUNTERS)).toEqual(computed);
    for (const line of computed)
      expect(BigInt(String(line).split(': ')[1] ?? '')).toBeLessThanOrEqual(cap);
  }
});

const COUNTERS = `
  select format('%s %s: %s', value, period_from at time zone 'UTC', used) as line
  from budget_counters where account_id = $1 order by 1`;

/** The first entry of each job, and what its entries moved into it and out of it. */
const SUMS_OF_ENTRIES = `
  with work as (
    select h.*, coalesce(o.reservation_id, h.reservation_id) as job_id, o.seq as charge_seq
    from history h left join history o on o.account_id = h.account_id and o.seq = h.refunded_seq
    where h.account_id = $1 and h.kind in ('RESERVE', 'RAISE', 'COMMIT', 'RELEASE', 'EXPIRE', 'CHARGE', 'REFUND')
  ), jobs as (
    select w.seq, w.kind, w.at, s.at as started_at, coalesce(s.labels ->> 'user', '') as value
    from work w join work s on case
      when w.job_id is not null then s.kind = 'RESERVE' and s.reservation_id = w.job_id
      else s.seq = coalesce(w.charge_seq, w.seq) end
  ), moved as (
    select seq, sum(credits * ((to_bucket ~ 'reserved|consumed')::int - (from_bucket ~ 'reserved|consumed')::int)) as credits
    from history_moves where account_id = (select account_id from work limit 1) group by seq
  )
  select format('%s %s: %s', value, date_trunc('day', started_at at time zone 'UTC'), sum(credits)) as line
  from jobs join moved using (seq)
  where kind <> 'REFUND' or date_trunc('day', at at time zone 'UTC') = date_trunc('day', started_at at time zone 'UTC')
  group by value, date_trunc('day', started_at at time zone 'UTC') order by 1`;

test('a reservation of the day before is refunded there, and a refund of today gives back', async () => {
  cluster.setNow(Math.ceil(scrip.now() / DAY) * DAY + 12 * HOUR);
  const accountId = await openWithCredits(scrip, 1_000n);
  await set(accountId);
  const { reservation } = await scrip.billing.reserve({
    ...work(accountId, 'ann'),
    credits: 100n,
    ttl: seconds(86_400n),
  });
  const { reservationId } = defined(reservation);
  cluster.advance(20 * HOUR);
  const committed = await other.billing.commit({
    ...work(accountId, null),
    reservationId,
    credits: 60n,
  });
  const charged = await other.billing.charge({ ...work(accountId, 'ann'), credits: 100n });
  const refund = (seq: bigint) =>
    scrip.billing.refund({ ...work(accountId, null), seq, credits: 10n, reason: 'a test' });
  await refund(committed.entrySeq);
  await refund(charged.entrySeq);
  expect(await uses(accountId)).toEqual(['per-user ann: 90 of 100']);
});

test('erasing the data of an account erases the values of its budgets', async () => {
  const accountId = await openWithCredits(scrip, 1_000n);
  const exceptions = [{ value: 'carol', cap: { $case: 'credits', value: 7n } as const }];
  await set(accountId, perUser({ exceptions, enforcement: BudgetEnforcement.SOFT, credits: 1n }));
  await charge(accountId, 'carol', 8n);
  await scrip.accounts.closeAccount({ accountId, requestId: requestId() });
  await scrip.accounts.eraseAccountData({ accountId, requestId: requestId(), reason: 'asked' });
  const [row] = await execute(
    cluster.databaseUrl,
    `select (select count(*)::int from budget_counters c where c.account_id = a.account_id) as counters,
       budgets, (select count(*)::int from entries e where e.account_id = a.account_id
         and concat(e.content, e.personal) like '%carol%') as entries,
       (select count(*)::int from events v where v.account_id = a.account_id
         and v.data::text like '%carol%') as events
     from accounts a where account_id = '${accountId}'`,
  );
  expect(row).toEqual({ counters: 0, budgets: null, entries: 0, events: 0 });
  expect(await scrip.accounts.getBudgets({ accountId })).toMatchObject({ budgets: [], uses: [] });
});
