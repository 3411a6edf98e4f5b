import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Bucket_Kind, Entry_Kind } from '../../src/gen/billing/v1/ledger.ts';
import { mapOf } from '../../src/map-of.ts';
import {
  balanceOf,
  grant,
  newestEntry,
  openWithCredits,
  reserveCredits,
  UPSCALE,
} from '../accounts.ts';
import { EVERYTHING, planIn } from '../pricing/fixtures.ts';
import { errorOf } from '../rpc-error.ts';
import { plansOfDeploy, requestId, startTestService, type TestService } from '../service.ts';

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService({ plans: [...(await plansOfDeploy()), planIn(EVERYTHING)] });
});
afterAll(() => scrip.stop());

const MAX_CREDITS = 9_000_000_000_000_000_000n;
type ChargeRequest = Parameters<TestService['billing']['charge']>[0];
const charge = (accountId: string, request: ChargeRequest) =>
  scrip.billing.charge({ accountId, requestId: requestId(), ...request });

describe('Charge', () => {
  test('charges the price of its usages and returns how much each grant paid', async () => {
    const accountId = await openWithCredits(scrip, 4n);
    await grant(scrip, accountId, 600n);
    const response = await charge(accountId, {
      usages: { items: [UPSCALE] },
      reference: 'job-1',
      labels: mapOf({ team: 'images' }),
    });
    expect(response).toEqual({
      credits: 10n,
      balance: {
        remaining: 594n,
        reserved: 0n,
        available: 594n,
        overage: 0n,
        overageLimit: 0n,
        owed: 0n,
        lowBalance: false,
        levels: [{ threshold: 500n, low: false }],
        usable: 594n,
        limited: [],
        pauseFloor: 0n,
        nextExpiry: undefined,
        seq: 4n,
        asOf: response.balance?.asOf,
      },
      entrySeq: 4n,
      split: [
        { source: { $case: 'grantId', value: 1n }, credits: 4n },
        { source: { $case: 'grantId', value: 2n }, credits: 6n },
      ],
      lines: [{ usage: UPSCALE, unitCredits: 10n, credits: 10n, billable: true, components: [] }],
    });
    expect(await newestEntry(scrip, accountId)).toMatchObject({
      kind: Entry_Kind.CHARGE,
      moves: [1n, 2n].map((grantId, index) => ({
        from: { kind: Bucket_Kind.GRANT_AVAILABLE, grantId },
        to: { kind: Bucket_Kind.CONSUMED, grantId: 0n },
        credits: [4n, 6n][index],
      })),
      credits: 10n,
      remainingAfter: 594n,
      reservationId: '',
      usages: response.lines,
      rateCardVersion: 1n,
      reference: 'job-1',
      labels: mapOf({ team: 'images' }),
    });
  });

  test.each([
    ['a number of credits', { credits: 3n }, 3n],
    ['0 credits', { credits: 0n }, 0n],
    ['a usage that costs nothing', { usages: { items: [{ operation: 'document.merge' }] } }, 0n],
  ])('charges %s and writes an entry', async (_, request, credits) => {
    const accountId = await scrip.open('aspose-cloud');
    const response = await charge(accountId, request);
    expect(response).toMatchObject({ credits, entrySeq: 3n });
    expect(response.balance).toMatchObject({ remaining: 50n - credits });
    expect(await newestEntry(scrip, accountId)).toMatchObject({ seq: 3n, credits });
  });

  test('spends all available credits, but no reserved ones', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    await reserveCredits(scrip, accountId, 40n);
    expect(await errorOf(charge(accountId, { credits: 61n }))).toMatchObject({
      reason: 'INSUFFICIENT_CREDITS',
      metadata: { required: '61', available: '60', shortfall: '1' },
    });
    expect((await charge(accountId, { credits: 60n })).balance).toMatchObject({
      remaining: 40n,
      reserved: 40n,
      available: 0n,
    });
  });

  test('is exact up to the maximum of an account', async () => {
    const accountId = await openWithCredits(scrip, MAX_CREDITS);
    const { split } = await charge(accountId, { credits: MAX_CREDITS - 1n });
    expect(split[0]?.credits).toBe(MAX_CREDITS - 1n);
    expect(await newestEntry(scrip, accountId)).toMatchObject({
      credits: MAX_CREDITS - 1n,
      remainingAfter: 1n,
      moves: [{ credits: MAX_CREDITS - 1n }],
    });
    expect((await balanceOf(scrip, accountId)).available).toBe(1n);
  });

  test('uses overage, whose limit starts again every calendar month', async () => {
    scrip.setNow(Date.UTC(2031, 4, 20));
    const accountId = await scrip.open('everything'); // 80 credits, overage up to 10,000
    const { split, balance } = await charge(accountId, { credits: 5_080n });
    expect(split.at(-1)).toEqual({ source: { $case: 'overage', value: true }, credits: 5_000n });
    expect(balance).toMatchObject({ remaining: 0n, available: 0n, overage: 5_000n });
    expect((await errorOf(charge(accountId, { credits: 5_001n }))).reason).toBe(
      'OVERAGE_LIMIT_REACHED',
    );
    scrip.setNow(Date.UTC(2031, 5, 1));
    // The new month has an allowance of 50 and the whole limit.
    expect(await balanceOf(scrip, accountId)).toMatchObject({ remaining: 50n, overage: 0n });
    expect((await charge(accountId, { credits: 10_050n })).balance).toMatchObject({
      overage: 10_000n,
      overageLimit: 10_000n,
    });
  });

  test('fails on a closed account', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    await scrip.accounts.closeAccount({ accountId, requestId: requestId() });
    expect((await errorOf(charge(accountId, { credits: 1n }))).reason).toBe('ACCOUNT_CLOSED');
  });
});
