/** The clock of a sandbox is moved: what a service does by itself is done on the way, in its order. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { monthStart } from '../../src/ledger/month.ts';
import { verify } from '../../src/verify/verify.ts';
import { execute } from '../postgres.ts';
import { DAY, startSandbox, type TestSandbox } from './sandbox-service.ts';

let scrip: TestSandbox;
beforeAll(async () => {
  scrip = await startSandbox();
});
afterAll(() => scrip.stop());

let count = 0;
async function open(planId: string): Promise<string> {
  const accountId = `account-${count++}`;
  await scrip.accounts.openAccount({ accountId, requestId: 'open', planId });
  return accountId;
}

const monthOf = (at: number) => new Date(at).toISOString().slice(0, 7);

const kindsOf = async (accountId: string) => {
  const rows = await execute(
    scrip.databaseUrl,
    'select kind, at from history where account_id = $1 order by seq',
    [accountId],
  );
  return rows.map(({ kind, at }) => ({ kind: String(kind), at: (at as Date).getTime() }));
};

describe('by its end, a month', () => {
  test('expires its allowance, grants the next, and closes its statement', async () => {
    const accountId = await open('aspose-cloud');
    const usages = { items: [{ operation: 'document.convert', count: 70n }] };
    await scrip.billing.charge({ accountId, requestId: 'charge', usages });
    const month = monthOf(scrip.now());
    const next = monthStart(scrip.now(), 1);
    const happened = await scrip.advanceTo(next);
    expect(Object.fromEntries(happened)).toMatchObject({
      'allowance granted': { count: 1n, accounts: 1n, credits: 50n },
      'statement closed': { count: 1n, accounts: 1n, credits: 20n },
    });
    expect(scrip.now()).toBeGreaterThanOrEqual(next);
    const { statement } = await scrip.statements.getStatement({ accountId, month });
    expect(statement).toMatchObject({ overage: 20n, total: { amount: '0.40', currency: 'USD' } });
    expect(statement?.closedAt?.getTime()).toBeGreaterThanOrEqual(next);
    expect(statement?.closedAt?.getTime()).toBeLessThan(next + DAY);
  });
});

describe('a year', () => {
  test('is lived through in its order, and the ledger is right', { timeout: 600_000 }, async () => {
    const metered = await open('aspose-cloud');
    const topped = await open('verts');
    const grant = { category: 2 as const, credits: 30n, reason: 'a test' };
    const expiresAt = new Date(scrip.now() + 100 * DAY);
    await scrip.accounts.grantCredits({ ...grant, accountId: topped, requestId: 'g', expiresAt });
    const ttl = { seconds: 3_600n };
    await scrip.billing.reserve({ accountId: metered, requestId: 'r', credits: 5n, ttl });
    const autoTopUp = {
      packId: 'starter',
      threshold: 100n,
      monthlyCap: 2,
      customer: 'cus_1',
      paymentMethod: 'pm_card_visa',
    };
    await scrip.accounts.updateAccount({
      accountId: topped,
      requestId: 't',
      autoTopUp: { autoTopUp },
    });
    const from = scrip.now();
    const happened = await scrip.advanceTo(from + 365 * DAY);
    expect(Object.fromEntries(happened)).toMatchObject({
      'reservation expired': { count: 1n, accounts: 1n },
      'top-up paid': { count: 1n, accounts: 1n, credits: 1_000n },
      'credits expired': { accounts: 3n },
      'allowance granted': { count: 24n, accounts: 2n },
      'statement closed': { count: 24n, accounts: 2n },
    });
    // Each allowance was granted within its month, and not all of them at the end.
    const grants = (await kindsOf(metered)).filter(({ kind }) => kind === 'GRANT');
    expect(grants.length).toBe(13);
    expect(new Set(grants.map(({ at }) => monthOf(at))).size).toBe(13);
    const expired = (await kindsOf(topped)).find(({ kind }) => kind === 'GRANT_EXPIRED');
    expect(expired?.at).toBeGreaterThanOrEqual(expiresAt.getTime());
    expect(expired?.at).toBeLessThan(expiresAt.getTime() + DAY);
    expect(await verify(scrip.databaseUrl)).toMatchObject({ ok: true });
  });

  test('leaves every clock in agreement', async () => {
    await scrip.service.compareClocks();
    const accountId = await open('verts');
    const { balance } = await scrip.billing.getBalance({ accountId });
    expect(Math.abs((balance?.asOf?.getTime() ?? 0) - scrip.now())).toBeLessThan(60_000);
  });
});

test('a decline of a saved card is told, and tried again later', async () => {
  const accountId = await open('verts');
  const autoTopUp = {
    packId: 'starter',
    threshold: 100n,
    monthlyCap: 2,
    customer: 'cus_1',
    paymentMethod: 'pm_card_chargeDeclinedInsufficientFunds',
  };
  await scrip.accounts.updateAccount({ accountId, requestId: 't', autoTopUp: { autoTopUp } });
  const happened = await scrip.advanceTo(scrip.now() + DAY / 6);
  // At once, after one hour and after two more.
  expect(happened.get('top-up declined')).toMatchObject({ count: 3n, accounts: 1n });
});

describe('the clock moves forwards only', () => {
  test.each([
    ['not at all', undefined],
    ['to a time that was', -1],
    ['by more than ten years', 3_700 * DAY],
  ])('and %s is refused', async (_, ms) => {
    const before = scrip.now();
    const until = ms === undefined ? undefined : new Date(before + ms);
    await expect(scrip.sandbox.advanceClock({ until })).rejects.toMatchObject({
      reason: 'INVALID_FIELD',
      metadata: { field: 'until' },
    });
    expect(scrip.now()).toBeLessThan(before + DAY);
  });

  test('and several moves at once end at the latest instant', async () => {
    const start = scrip.now();
    await Promise.all([3, 1, 2].map((days) => scrip.advanceTo(start + days * DAY)));
    expect(scrip.now()).toBeGreaterThanOrEqual(start + 3 * DAY);
    expect(scrip.now()).toBeLessThan(start + 4 * DAY);
  });
});

describe('several replicas', () => {
  test('follow each other, without a clock that cannot be trusted', async () => {
    const other = await startSandbox(scrip.databaseUrl);
    try {
      const target = other.now() + 40 * DAY;
      await scrip.advanceTo(target);
      await expect.poll(() => other.now(), { timeout: 60_000 }).toBeGreaterThanOrEqual(target);
      const accountId = await open('verts');
      await other.accounts.grantCredits({
        accountId,
        requestId: 'g',
        credits: 5n,
        category: 2,
        reason: 'a test',
      });
      const next = scrip.now() + 2 * DAY;
      await Promise.all([other.advanceTo(next), scrip.advanceTo(next)]);
      expect(other.now()).toBeLessThan(next + DAY);
    } finally {
      await other.stop();
    }
  });

  test('start at the time at which the last was stopped', async () => {
    const before = scrip.now();
    const other = await startSandbox(scrip.databaseUrl);
    expect(other.now()).toBeGreaterThanOrEqual(before);
    expect(other.now()).toBeLessThan(before + DAY);
    await other.stop();
  });
});
