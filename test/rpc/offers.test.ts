/** An error of missing credits offers the packs that would cover them, best first. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { InsufficientCredits } from '../../src/gen/billing/v1/error_details.ts';
import { OverCommitPolicy } from '../../src/gen/billing/v1/ledger.ts';
import { defined, openWithCredits, UPSCALE } from '../accounts.ts';
import { decodeDetails, errorOf, type RpcError } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService();
});
afterAll(() => scrip.stop());

const offer = (accountId: string, packId: string, credits: bigint, amount: string) =>
  scrip.accounts.offerPack({
    accountId,
    requestId: requestId(),
    pack: { packId, title: packId, credits, price: { currency: 'USD', amount } },
  });

const charge = (accountId: string, credits: bigint) =>
  scrip.billing.charge({ accountId, requestId: requestId(), credits });

const offersIn = ({ insufficientCredits }: Pick<RpcError, 'insufficientCredits'>) =>
  insufficientCredits?.offers.map(
    ({ pack, quantity, price }) => `${quantity} ${pack?.packId} ${price?.amount}`,
  ) ?? [];

describe('the detail InsufficientCredits', () => {
  test('lists the packs of the plan, and the metadata name the best', async () => {
    const error = await errorOf(charge(await openWithCredits(scrip, 20n), 1_100n));
    expect(error.insufficientCredits).toMatchObject({
      required: 1_100n,
      available: 20n,
      shortfall: 1_080n,
    });
    expect(offersIn(error)).toEqual([
      '2 starter 10.00',
      '1 standard 20.00',
      '1 professional 75.00',
      '1 enterprise 250.00',
    ]);
    expect(error.metadata).toEqual({
      required: '1100',
      available: '20',
      shortfall: '1080',
      best_pack: 'starter',
      best_quantity: '2',
      best_price: '10.00 USD',
    });
  });

  test('lists the five best of many packs', async () => {
    const accountId = await openWithCredits(scrip, 16n, 'perfectparser');
    const error = await errorOf(charge(accountId, 120n));
    expect(error.insufficientCredits?.shortfall).toBe(84n);
    expect(offersIn(error)).toHaveLength(5);
    expect(offersIn(error)[0]).toContain('starter');
  });

  test('lists packs that are offered to the account alone, as Estimate does', async () => {
    const accountId = await openWithCredits(scrip, 1n);
    await offer(accountId, 'ours', 50n, '0.60');
    await offer(accountId, 'gone', 50n, '0.50');
    await scrip.accounts.withdrawPack({ accountId, requestId: requestId(), packId: 'gone' });
    const usages = { items: [UPSCALE] };
    const { packs } = await scrip.billing.estimate({ accountId, usages });
    const calls = [
      () => scrip.billing.reserve({ accountId, requestId: requestId(), usages }),
      () => scrip.billing.charge({ accountId, requestId: requestId(), usages }),
      () => charge(accountId, 10n),
    ];
    for (const call of calls) {
      const error = await errorOf(call());
      expect(offersIn(error).slice(0, 2)).toEqual(['1 ours 0.60', '1 starter 5.00']);
      expect(error.insufficientCredits?.offers).toEqual(packs);
      expect(error.metadata).toMatchObject({ best_pack: 'ours', best_price: '0.60 USD' });
    }
  });

  test('comes with a raise and with a commit that draws', async () => {
    const accountId = await openWithCredits(scrip, 10n);
    await offer(accountId, 'ours', 50n, '0.60');
    const { reservation } = await scrip.billing.reserve({
      accountId,
      requestId: requestId(),
      credits: 10n,
      overCommitPolicy: OverCommitPolicy.DRAW,
    });
    const { reservationId } = defined(reservation);
    const request = { accountId, reservationId, credits: 20n };
    for (const call of [
      () => scrip.billing.raiseReservation({ ...request, requestId: requestId() }),
      () => scrip.billing.commit({ ...request, requestId: requestId() }),
    ])
      expect((await errorOf(call())).metadata).toMatchObject({
        best_pack: 'ours',
        best_quantity: '1',
      });
  });

  test('comes with the result of a mutation in a batch', async () => {
    const accountId = await openWithCredits(scrip, 1n);
    await offer(accountId, 'ours', 50n, '0.60');
    const { results } = await scrip.billing.batch({
      mutations: [1, 2].map(() => ({
        mutation: { $case: 'charge', value: { accountId, requestId: requestId(), credits: 10n } },
      })),
    });
    for (const { result } of results) {
      if (result?.$case !== 'error') return expect.fail('the mutation succeeded');
      const { details, reason, metadata } = result.value;
      const decoded = decodeDetails(details);
      expect(decoded).toMatchObject({ reason, metadata: Object.fromEntries(metadata) });
      expect(offersIn(decoded)[0]).toBe('1 ours 0.60');
    }
  });

  test('is decoded by the client', async () => {
    const accountId = await openWithCredits(scrip, 1n);
    await expect(charge(accountId, 2n)).rejects.toMatchObject({
      reason: 'INSUFFICIENT_CREDITS',
      insufficientCredits: { shortfall: 1n },
    });
  });
});

describe('the nearest name', () => {
  test('of an unknown pack can be that of a pack offered to the account alone', async () => {
    const accountId = await scrip.open('verts');
    await offer(accountId, 'only-ours', 50n, '0.60');
    const payment = { $case: 'paymentReference' as const, value: 'order' };
    const buy = (packId: string) =>
      errorOf(scrip.billing.purchase({ accountId, requestId: requestId(), packId, payment }));
    expect(await buy('only-our')).toMatchObject({
      reason: 'PACK_NOT_FOUND',
      metadata: { pack_id: 'only-our', nearest: 'only-ours' },
    });
    expect((await buy('Starter')).metadata['nearest']).toBe('starter');
    expect((await buy('something-else')).metadata).not.toHaveProperty('nearest');
  });

  test('of an unknown plan is that of a plan', async () => {
    const account = { accountId: await scrip.open('verts'), requestId: requestId() };
    const calls = [
      () => scrip.accounts.openAccount({ ...account, accountId: requestId(), planId: 'vert' }),
      () => scrip.accounts.moveAccount({ reason: 'a test', ...account, planId: 'Verts' }),
      () => scrip.plans.getPlan({ planId: 'vertz' }),
    ];
    for (const call of calls)
      expect(await errorOf(call())).toMatchObject({
        reason: 'PLAN_NOT_FOUND',
        metadata: { nearest: 'verts' },
      });
  });
});

test('an offer is a message of the contract', () => {
  expect(InsufficientCredits.decode(new Uint8Array())).toEqual({
    required: 0n,
    available: 0n,
    shortfall: 0n,
    offers: [],
  });
});
