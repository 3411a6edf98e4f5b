/** A meter against a running service. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import {
  connect,
  Entry_Kind,
  Grant_Category,
  type Meter,
  type MeterOptions,
  type Scrip,
} from '../../../clients/typescript/src/index.ts';
import { startTestService, type TestService } from '../../service.ts';

let service: TestService;
let scrip: Scrip;

beforeAll(async () => {
  service = await startTestService();
  scrip = connect({ address: `127.0.0.1:${service.service.port}`, caller: 'test' });
});
afterAll(async () => {
  scrip.close();
  await service.stop();
});

const open = (accountId: string, options: MeterOptions): Promise<Meter> =>
  scrip.meter(accountId, { intervalMs: 20, ...options });

async function fund(accountId: string, credits: bigint) {
  const category = Grant_Category.PROMOTIONAL;
  await scrip.accounts.grantCredits({ accountId, credits, category, reason: 'test' });
}

const balanceOf = async (accountId: string) => {
  const { balance } = await scrip.billing.getBalance({ accountId });
  return { remaining: balance?.remaining, reserved: balance?.reserved };
};

/** Uses so many units, one by one, as they are allowed. */
async function useAll(one: Meter, units: number) {
  for (let used = 0; used < units; )
    if (one.tryUse()) used += 1;
    else await new Promise(setImmediate);
}

test('credits are spent without a call, reported, and the rest is returned', async () => {
  const account = await service.open('perfectparser');
  const one = await open(account, { credits: 10 });
  expect(one.available).toBe(10);
  expect(one.tryUse()).toBe(true);
  expect(one.tryUse(3)).toBe(true);
  await vi.waitFor(() => expect(one.charged).toBe(4), { timeout: 60_000 });
  expect(await one.close()).toEqual({ allowed: 4, charged: 4, lost: 0 });
  expect(await balanceOf(account)).toEqual({ remaining: 16n, reserved: 0n });
  expect(one.tryUse()).toBe(false);
});

test('an account is used up to its last credit, by several meters, and no further', async () => {
  const account = await service.open('perfectparser');
  const meters = await Promise.all([1, 2, 3].map(() => open(account, { credits: 3 })));
  let used = 0;
  await vi.waitFor(
    () => {
      for (const one of meters) while (one.tryUse()) used += 1;
      expect(used).toBe(20);
    },
    { timeout: 60_000 },
  );
  const totals = await Promise.all(meters.map((one) => one.close()));
  expect(totals.reduce((sum, { charged }) => sum + charged, 0)).toBe(20);
  expect(await balanceOf(account)).toEqual({ remaining: 0n, reserved: 0n });
});

test('a meter says why nothing more is reserved, and goes on when there are credits again', async () => {
  const account = await service.open('perfectparser');
  const refusals: Error[] = [];
  const one = await open(account, { credits: 20, onRefused: (error) => refusals.push(error) });
  await useAll(one, 20);
  expect(one.tryUse()).toBe(false);
  await vi.waitFor(() => expect(one.problem).toMatchObject({ reason: 'INSUFFICIENT_CREDITS' }), {
    timeout: 60_000,
  });
  expect(refusals[0]).toMatchObject({ reason: 'INSUFFICIENT_CREDITS', available: 0n });
  await fund(account, 1_000n);
  await vi.waitFor(() => expect(one.tryUse(5)).toBe(true), { timeout: 60_000 });
  expect(one.problem).toBeNull();
  await one.close();
  expect(await balanceOf(account)).toEqual({ remaining: 995n, reserved: 0n });
});

describe('an operation', () => {
  test('is metered by how many times it is done, at its price', async () => {
    const account = await service.open('verts');
    await fund(account, 1_000n);
    const quantities = { scale_factor: 4 };
    const one = await open(account, { operation: 'image.upscale', quantities, credits: 100 });
    expect(one.available).toBe(5);
    await useAll(one, 12);
    expect(await one.close()).toMatchObject({ allowed: 12, charged: 12 });
    expect(await balanceOf(account)).toEqual({ remaining: 760n, reserved: 0n });
    let reported = 0n;
    const commits = { accountId: account, kinds: [Entry_Kind.COMMIT] };
    for await (const { entries } of scrip.billing.streamHistory(commits))
      for (const { usage } of entries.flatMap(({ usages }) => usages)) {
        expect(usage).toMatchObject({
          operation: 'image.upscale',
          quantities: { scale_factor: 4n },
        });
        reported += usage?.count ?? 0n;
      }
    expect(reported).toBe(12n);
  });

  test('is metered by a quantity that its price is proportional to', async () => {
    const account = await service.open('perfectparser');
    await fund(account, 50_000n);
    const operation = 'extraction.result_per_file';
    const one = await open(account, { operation, quantity: 'pages', credits: 30_000 });
    // More than one usage may have: 10,000 pages.
    expect(one.tryUse(25_001)).toBe(true);
    expect(await one.close()).toEqual({ allowed: 25_001, charged: 25_001, lost: 0 });
    expect(await balanceOf(account)).toEqual({ remaining: 25_019n, reserved: 0n });
  });

  test('is not metered by a quantity that its price is not proportional to', async () => {
    const account = await service.open('verts');
    await fund(account, 1_000n);
    const operation = 'image.resize';
    await expect(
      open(account, { operation, quantity: 'output_pixels', credits: 100 }),
    ).rejects.toThrow(/cannot be metered by output_pixels: its price has the part "Output size"/);
  });

  test('that is free of charge is recorded', async () => {
    const account = await service.open('aspose-cloud');
    const one = await open(account, { operation: 'document.upload', credits: 10 });
    await useAll(one, 30);
    expect(await one.close()).toEqual({ allowed: 30, charged: 30, lost: 0 });
    expect(await balanceOf(account)).toEqual({ remaining: 50n, reserved: 0n });
  });

  test('that costs more than is to be reserved is refused', async () => {
    const account = await service.open('verts');
    const quantities = { scale_factor: 4 };
    await expect(
      open(account, { operation: 'image.upscale', quantities, credits: 19 }),
    ).rejects.toThrow('a unit costs 20 credits, more than the 19 to reserve');
  });
});

test('the first reservation fails with the error of the service', async () => {
  const account = await service.open('verts');
  await expect(open(account, { credits: 10 })).rejects.toMatchObject({
    reason: 'INSUFFICIENT_CREDITS',
    shortfall: 10n,
  });
  await expect(open(account, { operation: 'image.upscal', credits: 10 })).rejects.toMatchObject({
    reason: 'UNKNOWN_OPERATION',
  });
  await expect(open('nobody', { credits: 10 })).rejects.toMatchObject({
    reason: 'ACCOUNT_NOT_FOUND',
  });
});

test.each([0, -1, 0.5, Number.NaN, 2 ** 53])('tryUse(%s) throws', async (units) => {
  const one = await open(await service.open('perfectparser'), { credits: 10 });
  expect(() => one.tryUse(units)).toThrow(RangeError);
  expect(await one.close()).toEqual({ allowed: 0, charged: 0, lost: 0 });
});

test('options out of range are refused before any call', async () => {
  await expect(open('a', { credits: 0 })).rejects.toThrow(RangeError);
  await expect(open('a', { credits: 1, ttlMs: 1_000, intervalMs: 101 })).rejects.toThrow(
    RangeError,
  );
});

test('a client that is closed ends its meters: they allow nothing that could not be reported', async () => {
  const account = await service.open('perfectparser');
  const own = connect({ address: `127.0.0.1:${service.service.port}`, caller: 'test' });
  const one = await own.meter(account, { credits: 10, intervalMs: 1_000 });
  expect(one.tryUse(3)).toBe(true);
  own.close();
  expect(one.tryUse()).toBe(false);
  expect(await one.close()).toEqual({ allowed: 3, charged: 0, lost: 0 });
});

test('what a reservation allowed that an operator has released is charged all the same', async () => {
  const account = await service.open('perfectparser');
  const one = await open(account, { credits: 10, intervalMs: 1_000 });
  expect(one.tryUse(7)).toBe(true);
  const { reservations } = await scrip.billing.listReservations({ accountId: account });
  await Promise.all(
    reservations.map(({ reservationId }) =>
      scrip.billing.release({ accountId: account, reservationId }),
    ),
  );
  expect(await one.close()).toEqual({ allowed: 7, charged: 7, lost: 0 });
  expect(await balanceOf(account)).toEqual({ remaining: 13n, reserved: 0n });
});

test('what cannot be charged any more is reported', async () => {
  const account = await service.open('perfectparser');
  const lost: unknown[] = [];
  const onLost = (units: number, { message }: Error) => lost.push({ units, message });
  const one = await open(account, { credits: 20, intervalMs: 6_000, onLost });
  expect(one.tryUse(19)).toBe(true);
  const { reservations } = await scrip.billing.listReservations({ accountId: account });
  const [{ reservationId } = { reservationId: '' }] = reservations;
  await scrip.billing.release({ accountId: account, reservationId });
  await scrip.billing.charge({ accountId: account, credits: 5n });
  expect(await one.close()).toEqual({ allowed: 19, charged: 0, lost: 19 });
  expect(lost).toEqual([{ units: 19, message: expect.stringMatching(/19 credits are required/) }]);
});

describe('where the service was out of reach until its reservation had expired', () => {
  const EXPIRY = 61_000;
  /** Plans take commits for so long after that. */
  const GRACE = 300_000;

  test.each([
    ['a commit can be late', EXPIRY],
    ['it is charged without the reservation', EXPIRY + GRACE],
  ])('a meter reports what it allowed: %s', async (_, later) => {
    const account = await service.open('perfectparser');
    const one = await open(account, { credits: 10, intervalMs: 6_000 });
    expect(one.tryUse(6)).toBe(true);
    service.advance(later);
    expect(await one.close()).toEqual({ allowed: 6, charged: 6, lost: 0 });
    expect(await balanceOf(account)).toEqual({ remaining: 14n, reserved: 0n });
  });
});
