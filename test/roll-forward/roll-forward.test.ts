/** GetRollForward: what became of unspent credits in a month, and of what was paid for them. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { memberName } from '../../src/cli/member-name.ts';
import { VoidGrantRequest_Returned as Returned } from '../../src/gen/billing/v1/account_service.ts';
import { Grant_Category as Category } from '../../src/gen/billing/v1/ledger.ts';
import type {
  GetRollForwardResponse,
  RollForward,
} from '../../src/gen/billing/v1/statement_service.ts';
import { verify } from '../../src/verify/verify.ts';
import { balanceOf, DAY, defined, grant } from '../accounts.ts';
import { planIn } from '../pricing/fixtures.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

const MAY = Date.UTC(2031, 4, 10);
const JUNE = Date.UTC(2031, 5, 10);

const planNamed = (planId: string) =>
  planIn(`
plan_id: ${planId}
title: ${planId}
terms:
  reservation: { ttl: 60d, max_ttl: 60d, grace: 1h }
packs:
  - { pack_id: third, title: A third, credits: 3, price: 1.00 USD, validity: never }
  - { pack_id: brief, title: Brief, credits: 7, price: 9.99 USD, validity: 1 day }
  - { pack_id: yen, title: Yen, credits: 4, price: 50 JPY, validity: never }
operations:
  one: { title: One, billable: true, components: [{ kind: flat, label: One, credits: 1 }] }
`);

let scrip: TestService;
/** Each test has a plan of its own, so that its rows are its own. */
let planId: string;
let plans = 0;
const PLANS = Array.from({ length: 20 }, (_, index) => planNamed(`plan-${index + 1}`));

beforeAll(async () => {
  scrip = await startTestService({ plans: PLANS, frozenAt: MAY });
});
afterAll(async () => {
  await scrip.service.countMovements();
  expect(await verify(scrip.databaseUrl, { all: true })).toMatchObject({ ok: true });
  await scrip.stop();
});

const open = async (): Promise<string> => {
  planId = `plan-${++plans}`;
  return await scrip.open(planId);
};
const named = (accountId: string) => ({ accountId, requestId: requestId() });
const buy = async (accountId: string, packId: string): Promise<bigint> => {
  const { grant } = await scrip.billing.purchase({
    ...named(accountId),
    packId,
    payment: { $case: 'paymentReference', value: requestId() },
  });
  return defined(grant).grantId;
};
const charge = (accountId: string, credits: bigint) =>
  scrip.billing.charge({ ...named(accountId), credits });

const rollForward = (month: string, of = planId): Promise<GetRollForwardResponse> =>
  scrip.statements.getRollForward({ month, planId: of });

const FIGURES = [
  'opening',
  'issued',
  'refunded',
  'spent',
  'expired',
  'voided',
  'clawedBack',
  'moved',
  'corrected',
  'closing',
] as const;

/** Such as "PAID USD: opening 3 1.00, closing 3 1.00": what a row says, without what is 0. */
function textOf(row: RollForward): string {
  const figures = FIGURES.flatMap((name) => {
    const { credits, amount } = defined(row[name]);
    return credits === 0n && /^[0.]*$/.test(amount) ? [] : [`${name} ${credits} ${amount}`.trim()];
  });
  const revenue = /^[0.]*$/.test(row.revenue) ? [] : [`revenue ${row.revenue}`];
  return (
    `${memberName(Category, row.category)} ${row.currency}`.trim() +
    `: ${[...figures, ...revenue].join(', ')}`
  );
}

const rowsOf = async (month: string, of = planId): Promise<readonly string[]> =>
  (await rollForward(month, of)).rows.map(textOf);

describe('a month', () => {
  test('begins with what the month before it ends with, and loses no cent of a price', async () => {
    scrip.setNow(MAY);
    const accountId = await open();
    await buy(accountId, 'third');
    await charge(accountId, 1n);
    expect(await rowsOf('2031-05')).toEqual([
      'PAID USD: issued 3 1.00, spent 1 0.33, closing 2 0.67, revenue 0.33',
    ]);
    scrip.setNow(JUNE);
    await charge(accountId, 1n);
    await charge(accountId, 1n);
    expect(await rowsOf('2031-06')).toEqual([
      'PAID USD: opening 2 0.67, spent 2 0.67, revenue 0.67',
    ]);
    expect(await rowsOf('2031-05')).toEqual([
      'PAID USD: issued 3 1.00, spent 1 0.33, closing 2 0.67, revenue 0.33',
    ]);
    expect(await rowsOf('2031-04')).toEqual([]);
  });

  test('counts the largest grants, and says 2^63 − 1 of more', async () => {
    scrip.setNow(MAY);
    const accountId = await open();
    const credits = 9_000_000_000_000_000_000n;
    for (let times = 0; times < 2; times += 1) {
      await grant(scrip, accountId, credits, { category: Category.PAID });
      await charge(accountId, credits);
    }
    const most = 2n ** 63n - 1n;
    expect(await rowsOf('2031-05')).toEqual([`PAID: issued ${most}, spent ${most}`]);
    scrip.setNow(JUNE);
    await grant(scrip, accountId, 5n, { category: Category.PAID });
    expect(await rowsOf('2031-06')).toEqual(['PAID: issued 5, closing 5']);
  });

  test('has a row for each category and currency; currencies have their own digits', async () => {
    scrip.setNow(MAY);
    const accountId = await open();
    await buy(accountId, 'yen');
    await buy(accountId, 'third');
    await grant(scrip, accountId, 5n, { category: Category.PROMOTIONAL });
    await grant(scrip, accountId, 2n, { category: Category.PAID });
    await charge(accountId, 6n);
    expect(await rowsOf('2031-05')).toEqual([
      'PAID: issued 2, closing 2',
      'PAID JPY: issued 4 50, spent 1 12, closing 3 38, revenue 12',
      'PAID USD: issued 3 1.00, closing 3 1.00',
      'PROMOTIONAL: issued 5, spent 5',
    ]);
  });

  test('counts unspent credits that are reserved, and spends what is committed', async () => {
    scrip.setNow(MAY);
    const accountId = await open();
    await buy(accountId, 'third');
    const { reservation } = await scrip.billing.reserve({ ...named(accountId), credits: 2n });
    expect(await rowsOf('2031-05')).toEqual(['PAID USD: issued 3 1.00, closing 3 1.00']);
    const { reservationId } = defined(reservation);
    await scrip.billing.commit({ ...named(accountId), reservationId, credits: 1n });
    expect(await rowsOf('2031-05')).toEqual([
      'PAID USD: issued 3 1.00, spent 1 0.33, closing 2 0.67, revenue 0.33',
    ]);
  });

  test('takes refunds out of revenue again; what comes back too late is breakage', async () => {
    scrip.setNow(MAY);
    const accountId = await open();
    await buy(accountId, 'brief');
    const { entrySeq } = await charge(accountId, 5n);
    const part = { ...named(accountId), seq: entrySeq, reason: 'half of it' };
    await scrip.billing.refund({ ...part, credits: 1n });
    expect(await rowsOf('2031-05')).toEqual([
      'PAID USD: issued 7 9.99, refunded 1 1.43, spent 5 7.14, closing 3 4.28, revenue 5.71',
    ]);
    scrip.advance(2 * DAY);
    const rest = { ...named(accountId), seq: entrySeq, reason: 'the rest' };
    await scrip.billing.refund({ ...rest, all: true });
    expect(await rowsOf('2031-05')).toEqual([
      'PAID USD: issued 7 9.99, refunded 5 7.14, spent 5 7.14, expired 7 9.99',
    ]);
  });

  test('tells breakage from what operators void', async () => {
    scrip.setNow(MAY);
    const accountId = await open();
    const brief = await buy(accountId, 'brief');
    const voiding = { ...named(accountId), grantId: brief, reason: 'by mistake' };
    await scrip.accounts.voidGrant({ ...voiding, credits: 3n, returned: Returned.KEEP });
    scrip.advance(2 * DAY);
    await grant(scrip, accountId, 1n);
    expect(await rowsOf('2031-05')).toEqual([
      'PAID: issued 1, closing 1',
      'PAID USD: issued 7 9.99, expired 4 5.71, voided 3 4.28',
    ]);
  });
});

describe('an account that moves to another plan', () => {
  test('takes its credits along', async () => {
    scrip.setNow(MAY);
    const accountId = await open();
    const before = planId;
    await buy(accountId, 'third');
    await charge(accountId, 1n);
    planId = `plan-${++plans}`;
    await scrip.accounts.moveAccount({ ...named(accountId), planId, reason: 'it grew' });
    await charge(accountId, 1n);
    expect(await rowsOf('2031-05', before)).toEqual([
      'PAID USD: issued 3 1.00, spent 1 0.33, moved -2 -0.67, revenue 0.33',
    ]);
    expect(await rowsOf('2031-05')).toEqual([
      'PAID USD: spent 1 0.34, moved 2 0.67, closing 1 0.33, revenue 0.34',
    ]);
  });

  test('has its running jobs spent by the plan that prices them', async () => {
    scrip.setNow(MAY);
    const accountId = await open();
    const before = planId;
    await buy(accountId, 'third');
    const { reservation } = await scrip.billing.reserve({ ...named(accountId), credits: 2n });
    planId = `plan-${++plans}`;
    await scrip.accounts.moveAccount({ ...named(accountId), planId, reason: 'it grew' });
    scrip.setNow(JUNE);
    const { reservationId } = defined(reservation);
    await scrip.billing.commit({ ...named(accountId), reservationId, all: true });
    expect(await rowsOf('2031-05', before)).toEqual(['PAID USD: issued 3 1.00, moved -3 -1.00']);
    expect(await rowsOf('2031-05')).toEqual(['PAID USD: moved 3 1.00, closing 3 1.00']);
    expect(await rowsOf('2031-06', before)).toEqual([
      'PAID USD: spent 2 0.67, moved 2 0.67, revenue 0.67',
    ]);
    expect(await rowsOf('2031-06')).toEqual([
      'PAID USD: opening 3 1.00, moved -2 -0.67, closing 1 0.33',
    ]);
  });
});

test('more credits than an int64 has are stated as the largest, and what is lost as its negative', async () => {
  scrip.setNow(MAY);
  const accountIds = [await open()];
  accountIds.push(await scrip.open(planId));
  const before = planId;
  planId = `plan-${++plans}`;
  for (const accountId of accountIds) {
    await grant(scrip, accountId, 9_000_000_000_000_000_000n);
    await scrip.accounts.moveAccount({ ...named(accountId), planId, reason: 'it grew' });
  }
  const largest = 9_223_372_036_854_775_807n;
  expect((await rollForward('2031-05', before)).rows).toMatchObject([
    { issued: { credits: largest }, moved: { credits: -largest }, closing: { credits: 0n } },
  ]);
  expect((await rollForward('2031-05', planId)).rows).toMatchObject([
    { moved: { credits: largest }, closing: { credits: largest } },
  ]);
});

test('the closing figures of a plan are the balances of its accounts', async () => {
  scrip.setNow(MAY);
  const first = await open();
  const { planId: ofPlan } = { planId };
  const second = await scrip.open(ofPlan);
  for (const accountId of [first, second]) {
    await buy(accountId, 'third');
    await grant(scrip, accountId, 10n, { category: Category.PROMOTIONAL });
    await charge(accountId, 4n);
    await scrip.billing.reserve({ ...named(accountId), credits: 2n });
  }
  const { rows } = await rollForward('2031-05', ofPlan);
  const closing = rows.reduce((sum, row) => sum + defined(row.closing).credits, 0n);
  const balances = await Promise.all([first, second].map((one) => balanceOf(scrip, one)));
  expect(closing).toBe(balances.reduce((sum, { remaining }) => sum + remaining, 0n));

  scrip.setNow(JUNE);
  await charge(first, 3n);
  const at = new Date(Date.UTC(2031, 5, 1) - 1);
  const past = await Promise.all(
    [first, second].map((accountId) =>
      scrip.billing.getPastBalance({ accountId, point: { $case: 'at', value: at } }),
    ),
  );
  const closed = (await rollForward('2031-05', ofPlan)).rows;
  expect(closed.map(textOf)).toEqual(rows.map(textOf));
  expect(closing).toBe(past.reduce((sum, { remaining }) => sum + remaining, 0n));
});

test('a month is final when it has been over for five minutes', async () => {
  scrip.setNow(Date.UTC(2031, 6, 1, 0, 4, 59));
  expect(await rollForward('2031-07', 'plan-1')).toMatchObject({ final: false });
  expect(await rollForward('2031-06', 'plan-1')).toMatchObject({ final: false });
  scrip.setNow(Date.UTC(2031, 6, 1, 0, 5));
  const { final, exactBefore } = await rollForward('2031-06', 'plan-1');
  expect(final).toBe(true);
  expect(exactBefore).toEqual(new Date(scrip.now()));
});

describe('it is refused', () => {
  test.each(['', '2031-13', '2031', '2031-09'])('for the month "%s"', async (month) => {
    scrip.setNow(Date.UTC(2031, 6, 1));
    const error = await errorOf(scrip.statements.getRollForward({ month }));
    expect(error).toMatchObject({ reason: 'INVALID_FIELD' });
  });

  test('for a plan that there is not', async () => {
    const error = await errorOf(rollForward('2031-05', 'plan-one'));
    expect(error).toMatchObject({ reason: 'PLAN_NOT_FOUND' });
  });
});
