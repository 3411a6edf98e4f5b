/** What the row of an account says after its auto top-up was switched off, or it has moved to another plan. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Entry_Kind } from '../../src/gen/billing/v1/ledger.ts';
import { publishAt } from '../../src/plan-publication.ts';
import { verify } from '../../src/verify/verify.ts';
import { DAY, defined, entriesOf, HOUR } from '../accounts.ts';
import { execute } from '../postgres.ts';
import { requestId, type TestService } from '../service.ts';
import { plan, startSampleService } from './sample-ledger.ts';

let scrip: TestService;

beforeAll(async () => {
  scrip = await startSampleService({ frozenAt: Date.UTC(2031, 0, 25) });
});

afterAll(() => scrip.stop());

const named = (accountId: string) => ({ accountId, requestId: requestId(), reason: 'a test' });

/** Sets a column of the account's row to SQL, audits, and restores it. Resolves to what verify found. */
async function foundWith(accountId: string, column: string, value: string) {
  const set = (sql: string, parameters: unknown[]) =>
    execute(scrip.databaseUrl, `update accounts set ${column} = ${sql} where account_id = $1`, [
      accountId,
      ...parameters,
    ]);
  const [before] = await execute(
    scrip.databaseUrl,
    `select ${column}::text as text, pg_typeof(${column})::text as type from accounts where account_id = $1`,
    [accountId],
  );
  await set(value, []);
  const result = await verify(scrip.databaseUrl, { accountId, all: true });
  await set(`$2::text::${before?.['type']}`, [before?.['text']]);
  expect(await verify(scrip.databaseUrl, { accountId })).toMatchObject({ ok: true });
  return result.ok ? [] : result.discrepancies.map(({ what }) => what);
}

describe('an account that left a postpaid plan with overage of the month', () => {
  let accountId: string;
  beforeAll(async () => {
    accountId = await scrip.open('postpaid');
    await scrip.billing.charge({ ...named(accountId), credits: 40n });
    await scrip.accounts.moveAccount({ ...named(accountId), planId: 'waterfall' });
    await scrip.accounts.moveAccount({ ...named(accountId), planId: 'postpaid' });
    await scrip.accounts.moveAccount({ ...named(accountId), planId: 'bare' });
  });

  test.each([
    ['null', 'none'],
    [`'waterfall'`, 'waterfall'],
    [`'bare'`, 'bare'],
  ])('names the plan that prices the month, and not %s', async (value, said) => {
    expect(await foundWith(accountId, 'statement_plan_id', value)).toEqual([
      `statement_plan_id is ${said}, its month to close is priced by postpaid`,
    ]);
  });

  test.each(['infinity', '-infinity', '294000-01-01'])(
    'has no month that ends at %s',
    async (at) => {
      const found = await foundWith(accountId, 'statement_due_at', `'${at}'`);
      expect(found).toContainEqual(expect.stringMatching(/^statement_due_at is /));
    },
  );

  test('has no plan to price by once that month is closed', async () => {
    scrip.setNow(Date.UTC(2031, 1, 2));
    const entries = await entriesOf(scrip, accountId);
    const { seq } = defined(entries.find(({ kind }) => kind === Entry_Kind.CHARGE));
    await scrip.service.sweep();
    expect(await verify(scrip.databaseUrl)).toMatchObject({ ok: true });
    // A refund of overage makes another month due.
    await scrip.billing.refund({ ...named(accountId), seq, all: true });
    expect(await verify(scrip.databaseUrl)).toMatchObject({ ok: true });
    scrip.setNow(Date.UTC(2031, 2, 2));
    await scrip.service.sweep();
    expect(await verify(scrip.databaseUrl)).toMatchObject({ ok: true });
  });
});

describe('an account that moved to a plan with an allowance', () => {
  let accountId: string;
  beforeAll(async () => {
    scrip.setNow(Date.UTC(2031, 4, 10));
    accountId = await scrip.open('bare');
    scrip.setNow(Date.UTC(2031, 4, 12));
    await scrip.accounts.moveAccount({ ...named(accountId), planId: 'prepaid' });
    scrip.setNow(Date.UTC(2031, 4, 20));
  });

  test.each([
    ['2031-05-12T00:00:00.000Z', 'it moved to its plan at 2031-05-12T00:00:00.000Z'],
    ['2031-05-13T00:00:00.000Z', 'which is no end of a period'],
    ['2031-07-01T00:00:00.000Z', 'it is due at 2031-06-01T00:00:00.000Z'],
  ])('gets the first one with the next month, and not at %s', async (at, why) => {
    expect(await foundWith(accountId, 'allowance_due_at', `'${at}'`)).toContain(
      `allowance_due_at is ${at}, ${why}`,
    );
  });

  test('is reported if it got one before', async () => {
    const set = 'update accounts set allowance_due_at = $2, due_at = $2 where account_id = $1';
    await execute(scrip.databaseUrl, set, [accountId, '2031-05-12T00:00:00Z']);
    await scrip.service.sweep();
    expect(await verify(scrip.databaseUrl, { accountId, all: true })).toMatchObject({
      discrepancies: [
        {
          what: 'entry 3: grants an allowance from 2031-05-12T00:00:00.000Z on, it moved to its plan at 2031-05-12T00:00:00.000Z',
        },
      ],
    });
  });
});

/** As somebody does who wants the account to have an allowance then, or to wait for it. */
const setAllowanceDue = (accountId: string, at: string) =>
  execute(
    scrip.databaseUrl,
    'update accounts set allowance_due_at = $2, due_at = least(due_at, $2) where account_id = $1',
    [accountId, at],
  );

describe('an account that moved to a plan with an allowance every 30 days', () => {
  let accountId: string;
  beforeAll(async () => {
    scrip.setNow(Date.UTC(2031, 5, 1, 12));
    accountId = await scrip.open('bare');
    scrip.setNow(Date.UTC(2031, 6, 10));
    await scrip.accounts.moveAccount({ ...named(accountId), planId: 'waterfall' });
    scrip.setNow(Date.UTC(2031, 6, 12));
  });

  test.each([
    ['2031-07-11T00:00:00.000Z', 'which is no end of a period'],
    ['2031-08-30T12:00:00.000Z', 'it is due at 2031-07-31T12:00:00.000Z'],
  ])('gets the first one with the next 30 days, and not at %s', async (at, why) => {
    expect(await foundWith(accountId, 'allowance_due_at', `'${at}'`)).toContain(
      `allowance_due_at is ${at}, ${why}`,
    );
  });

  test('gets one', async () => {
    expect(await foundWith(accountId, 'allowance_due_at', 'null')).toContain(
      'allowance_due_at is never, and the plan grants one every period',
    );
  });

  test('is reported if it got one before, and once more if it got another', async () => {
    await setAllowanceDue(accountId, '2031-07-11T00:00:00Z');
    await scrip.service.sweep();
    await setAllowanceDue(accountId, '2031-07-11T06:00:00Z');
    await scrip.service.sweep();
    const result = await verify(scrip.databaseUrl, { accountId, all: true });
    expect(result.ok ? [] : result.discrepancies.map(({ what }) => what)).toEqual([
      'entry 3: grants an allowance from 2031-07-11T00:00:00.000Z on, which is no end of a period',
      'entry 5: grants an allowance from 2031-07-11T06:00:00.000Z on, its period ends at 2031-07-31T12:00:00.000Z',
    ]);
  });
});

describe('an account whose plan gained an allowance', () => {
  let accountId: string;
  const publish = (terms: string) =>
    publishAt(scrip.databaseUrl, [plan('gaining', terms)], scrip.now());
  beforeAll(async () => {
    scrip.setNow(Date.UTC(2031, 8, 10));
    await publish('');
    accountId = await scrip.open('gaining');
    scrip.setNow(Date.UTC(2031, 11, 10));
    await publish('  allowance: { credits: 40, every: 2 months, rollover: all }');
    await scrip.service.sweep();
    await scrip.billing.charge({ ...named(accountId), credits: 0n });
  });

  test.each([
    ['2031-11-10T00:00:00.000Z', 'its plan has an allowance since 2031-12-10T00:00:00.000Z'],
    ['2031-12-31T00:00:00.000Z', 'which is no end of a period'],
  ])('gets the first one with its next period, and not at %s', async (at, why) => {
    expect(await foundWith(accountId, 'allowance_due_at', `'${at}'`)).toContain(
      `allowance_due_at is ${at}, ${why}`,
    );
  });

  test('has one every period from then on', async () => {
    scrip.setNow(Date.UTC(2032, 4, 10));
    await scrip.service.sweep();
    const entries = await entriesOf(scrip, accountId);
    expect(entries.filter(({ kind }) => kind === Entry_Kind.GRANT)).toHaveLength(3);
    expect(await verify(scrip.databaseUrl, { accountId })).toMatchObject({ ok: true });
  });
});

describe('allowances every 30 days before the first time zone of their account', () => {
  test.each(['waterfall', 'bare'])('are sound where it was opened under %s', async (planId) => {
    const openedAt = scrip.now() + 9 * 3_600_000;
    scrip.setNow(openedAt);
    const accountId = await scrip.open(planId);
    await scrip.accounts.moveAccount({ ...named(accountId), planId: 'waterfall' });
    scrip.setNow(openedAt + 65 * 86_400_000);
    await scrip.service.sweep();
    await scrip.accounts.updateAccount({ ...named(accountId), timeZone: 'Etc/GMT+12' });
    scrip.setNow(openedAt + 130 * 86_400_000);
    await scrip.service.sweep();
    const entries = await entriesOf(scrip, accountId);
    expect(entries.filter(({ kind }) => kind === Entry_Kind.GRANT).length).toBeGreaterThan(3);
    expect(await verify(scrip.databaseUrl, { accountId, all: true })).toMatchObject({ ok: true });
  });
});

describe('the first allowance every 30 days of an account that got a time zone', () => {
  let openedAt: number;
  let accountIds: Record<'before' | 'after' | 'twice', string>;
  const setZone = (accountId: string) =>
    scrip.accounts.updateAccount({ ...named(accountId), timeZone: 'Asia/Tokyo' });
  const moveTo = (accountId: string, planId: string) =>
    scrip.accounts.moveAccount({ ...named(accountId), planId });
  const dueIn = (days: number, hours: number) =>
    new Date(openedAt + days * DAY + hours * HOUR).toISOString();

  beforeAll(async () => {
    openedAt = (Math.ceil(scrip.now() / DAY) + 1) * DAY + 9 * HOUR;
    scrip.setNow(openedAt);
    const open = () => scrip.open('bare');
    accountIds = { before: await open(), after: await open(), twice: await open() };
    const { before, after, twice } = accountIds;
    scrip.advance(HOUR);
    for (const accountId of [before, twice]) await moveTo(accountId, 'waterfall');
    scrip.advance(DAY);
    for (const accountId of [before, after, twice]) await setZone(accountId);
    scrip.advance(DAY);
    await moveTo(after, 'waterfall');
    // What is due stays.
    await moveTo(twice, 'prepaid');
  });

  const expectSound = async () => {
    for (const accountId of Object.values(accountIds))
      expect(await verify(scrip.databaseUrl, { accountId, all: true })).toMatchObject({ ok: true });
  };

  test('is due at the time of day of its opening, if it came to its plan before', expectSound);

  test.each([
    ['before', 30, -9],
    ['before', 60, 0],
    ['after', 30, 0],
    ['after', 60, -9],
    ['twice', 60, 0],
  ] as const)(
    'is not due otherwise: %s, after %i days and %i hours',
    async (which, days, hours) => {
      const due = dueIn(days, hours);
      expect(await foundWith(accountIds[which], 'allowance_due_at', `'${due}'`)).toContainEqual(
        expect.stringMatching(`^allowance_due_at is ${due}, (which is no end|it is due at)`),
      );
    },
  );

  test('is granted then', async () => {
    scrip.setNow(openedAt + 65 * DAY);
    await scrip.service.sweep();
    await expectSound();
  });
});

describe('auto top-up', () => {
  let accountId: string;
  const switchOn = () =>
    scrip.accounts.updateAccount({
      ...named(accountId),
      autoTopUp: {
        autoTopUp: {
          packId: 'special',
          threshold: 10n,
          monthlyCap: 9,
          customer: 'cus_1',
          paymentMethod: 'pm_1',
        },
      },
    });
  const offer = () =>
    scrip.accounts.offerPack({
      ...named(accountId),
      pack: {
        packId: 'special',
        title: 'Special',
        credits: 50n,
        price: { currency: 'USD', amount: '5' },
      },
    });
  const withdraw = () => scrip.accounts.withdrawPack({ ...named(accountId), packId: 'special' });

  test('that the service switched off is not switched on again, or off where it was', async () => {
    accountId = await scrip.open('bare');
    await offer();
    await switchOn();
    const [{ setting } = {}] = await execute(
      scrip.databaseUrl,
      'select auto_top_up::text as setting from accounts where account_id = $1',
      [accountId],
    );
    scrip.advance(1);
    await withdraw();
    expect(await foundWith(accountId, 'auto_top_up', `'${setting}'`)).toEqual([
      'auto_top_up is on, and event 1 says that it was switched off',
    ]);
    scrip.advance(1);
    await offer();
    await switchOn();
    expect(await foundWith(accountId, 'auto_top_up', 'null')).toEqual([
      'auto_top_up is off, the entries say that it is on, and no event that it was switched off',
    ]);
  });
});
