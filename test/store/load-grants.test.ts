/** The open grants that are read of an account: those that burn first, or all where rules need all. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Grant_Category } from '../../src/gen/billing/v1/ledger.ts';
import { compareBurnOrder } from '../../src/ledger/grant.ts';
import { connect, type Em, type Orm } from '../../src/pg/orm.ts';
import { loadGrantsToShow, loadOpenGrants } from '../../src/store/load-grants.ts';
import { entities } from '../../src/store/tables/index.ts';
import { balanceOf, DAY, defined, grant, HOUR } from '../accounts.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

const NOW = Date.parse('2026-11-21T12:00:00Z');

let scrip: TestService;
let orm: Orm;
let em: Em;
let accountId: string;
beforeAll(async () => {
  scrip = await startTestService({ frozenAt: NOW });
  orm = await connect(scrip.databaseUrl, entities, 1, 10_000);
  em = orm.em.fork();
});
afterAll(async () => {
  await orm.close();
  await scrip.stop();
});
beforeEach(async () => {
  accountId = await scrip.open('verts');
});

const id = () => ({ accountId, requestId: requestId() });

/** Grants of 10 credits in another order than they burn: they burn 4, 2, 6, 5, 1, 3. */
async function grantInAnyOrder() {
  const soon = new Date(NOW + DAY);
  const { PAID, PROMOTIONAL } = Grant_Category;
  for (const change of [
    {},
    { expiresAt: soon },
    { priority: 60 },
    { priority: 10 },
    { category: PROMOTIONAL },
    { expiresAt: new Date(NOW + 2 * DAY), category: PAID },
  ])
    await grant(scrip, accountId, 10n, { priority: 50, ...change });
}
const BURN_ORDER = [4n, 2n, 6n, 5n, 1n, 3n];

const loaded = async (limit: number, now = NOW) => {
  const grants = await loadOpenGrants(em, [{ accountId, limit }], now);
  return grants.toSorted(compareBurnOrder).map(({ grantId }) => grantId);
};

describe('of an account', () => {
  test('the grants that burn first are read', async () => {
    await grantInAnyOrder();
    for (const limit of [1, 2, 5, 6, 9])
      expect(await loaded(limit)).toEqual(BURN_ORDER.slice(0, limit));
  });

  test('those are left out that are spent, or held in full, or not effective yet', async () => {
    await grantInAnyOrder();
    await grant(scrip, accountId, 10n, { priority: 1, effectiveAt: new Date(NOW + HOUR) });
    await scrip.billing.charge({ ...id(), credits: 10n });
    await scrip.billing.reserve({ ...id(), credits: 15n });
    expect(await loaded(2)).toEqual([6n, 5n]);
  });

  test('all open ones are read where something is due', async () => {
    await grantInAnyOrder();
    await grant(scrip, accountId, 10n, { priority: 1, effectiveAt: new Date(NOW + HOUR) });
    await scrip.billing.charge({ ...id(), credits: 10n });
    expect(await loaded(1, NOW + HOUR)).toEqual([7n, ...BURN_ORDER.slice(1)]);
  });

  test('all open ones are read where one is limited to operations', async () => {
    await grantInAnyOrder();
    await grant(scrip, accountId, 10n, {
      priority: 99,
      onlyFor: { operations: ['image.upscale'] },
    });
    expect(await loaded(1)).toEqual([...BURN_ORDER, 7n]);
  });

  test('each account has its own limit', async () => {
    await grantInAnyOrder();
    const other = await scrip.open('verts');
    await grant(scrip, other, 5n);
    await grant(scrip, other, 5n);
    const grants = await loadOpenGrants(
      em,
      [
        { accountId, limit: 3 },
        { accountId: other, limit: 1 },
      ],
      NOW,
    );
    const of = (owner: string) => grants.filter((one) => one.accountId === owner).length;
    expect([of(accountId), of(other)]).toEqual([3, 1]);
  });

  test('a balance needs those that expire next', async () => {
    await grantInAnyOrder();
    await grant(scrip, accountId, 10n, { expiresAt: new Date(NOW + DAY) });
    const shown = await loadGrantsToShow(em, [accountId], NOW);
    expect(shown.map(({ grantId }) => grantId).sort()).toEqual([2n, 7n]);
    expect(await balanceOf(scrip, accountId)).toMatchObject({
      remaining: 70n,
      nextExpiry: { credits: 20n, expiresAt: new Date(NOW + DAY) },
    });
  });
});

describe('with many grants', () => {
  const MANY = 40;
  const grantMany = async () => {
    for (let count = 0; count < MANY; count++) await grant(scrip, accountId, 1n);
  };
  const grantIds = (from: number, to: number) =>
    Array.from({ length: to - from + 1 }, (_, index) => ({
      source: { $case: 'grantId', value: BigInt(from + index) },
      credits: 1n,
    }));

  test('a charge is paid by as many as it needs, and then by the next', async () => {
    await grantMany();
    const charge = (credits: bigint) => scrip.billing.charge({ ...id(), credits });
    expect((await charge(1n)).split).toEqual(grantIds(1, 1));
    expect((await charge(35n)).split).toEqual(grantIds(2, 36));
    expect((await charge(3n)).split).toEqual(grantIds(37, 39));
    await expect(charge(2n)).rejects.toMatchObject({
      reason: 'INSUFFICIENT_CREDITS',
      metadata: { available: '1', shortfall: '1' },
    });
    expect(await balanceOf(scrip, accountId)).toMatchObject({ remaining: 1n });
  });

  test('a reservation holds them, and what is committed is taken from the first', async () => {
    await grantMany();
    const { reservation } = await scrip.billing.reserve({ ...id(), credits: 30n });
    const { reservationId } = defined(reservation);
    const committed = await scrip.billing.commit({ ...id(), reservationId, credits: 20n });
    expect(committed.split).toEqual(grantIds(1, 20));
    const { split } = await scrip.billing.charge({ ...id(), credits: 20n });
    expect(split).toEqual(grantIds(21, 40));
    const { seq } = defined((await scrip.billing.getBalance({ accountId })).balance);
    const refunded = await scrip.billing.refund({ reason: 'a test', ...id(), seq, all: true });
    expect(refunded).toMatchObject({ refunded: 20n });
    expect(await balanceOf(scrip, accountId)).toMatchObject({ remaining: 20n, reserved: 0n });
  });

  // GrantCredits reads the account without the grant that is held in full, and caches it so.
  test.each(['commit', 'release'] as const)(
    'a reservation holds one that is not cached, and can %s all the same',
    async (end) => {
      await grant(scrip, accountId, 10n);
      await grant(scrip, accountId, 10n);
      const { reservation } = await scrip.billing.reserve({ ...id(), credits: 10n });
      await grant(scrip, accountId, 10n);
      const ended = { ...id(), reservationId: defined(reservation).reservationId };
      const { balance } = await (end === 'commit'
        ? scrip.billing.commit({ ...ended, credits: 4n })
        : scrip.billing.release(ended));
      expect(balance).toMatchObject({ remaining: end === 'commit' ? 26n : 30n, reserved: 0n });
      const { split } = await scrip.billing.charge({ ...id(), credits: 1n });
      expect(split).toEqual(grantIds(1, 1));
    },
  );
});
