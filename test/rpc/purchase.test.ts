import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  Bucket_Kind,
  Entry_Kind,
  Grant_Category,
  Grant_Source,
  Grant_State,
  Purchase_DisputeState,
  Purchase_Method,
  Purchase_State,
} from '../../src/gen/billing/v1/ledger.ts';
import { mapOf } from '../../src/map-of.ts';
import { balanceOf, defined, newestEntry, storedRows } from '../accounts.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService();
});
afterAll(() => scrip.stop());

const buy = (accountId: string, packId: string, paymentReference: string) =>
  scrip.billing.purchase({
    accountId,
    requestId: requestId(),
    packId,
    payment: { $case: 'paymentReference', value: paymentReference },
    labels: mapOf({ shop: 'eu' }),
  });

describe('Purchase', () => {
  test('with a payment reference grants the pack at once', async () => {
    const accountId = await scrip.open('perfectparser');
    const response = await buy(accountId, 'small', 'invoice-1');
    const purchase = defined(response.purchase);
    const at = defined(purchase.createdAt);
    const expiresAt = new Date(at);
    expiresAt.setUTCFullYear(at.getUTCFullYear() + 1);
    expect(purchase.purchaseId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    expect(response).toEqual({
      purchase: {
        purchaseId: purchase.purchaseId,
        accountId,
        packId: 'small',
        quantity: 1,
        credits: 250n,
        price: { currency: 'USD', amount: '39.00' },
        state: Purchase_State.PAID,
        paymentReference: 'invoice-1',
        grantId: 2n,
        createdAt: at,
        paidAt: at,
        method: Purchase_Method.REFERENCE,
        checkoutUrl: '',
        remaining: 250n,
        expiresAt,
        pricePerCredit: { currency: 'USD', amount: '0.156' },
        amountRefunded: { currency: 'USD', amount: '0.00' },
        creditsClawedBack: 0n,
        creditsUnrecovered: 0n,
        creditsOwed: 0n,
        disputeState: Purchase_DisputeState.NONE,
        failureCode: '',
        title: 'Small',
        labels: mapOf({ shop: 'eu' }),
      },
      balance: {
        remaining: 270n,
        reserved: 0n,
        available: 270n,
        overage: 0n,
        overageLimit: 0n,
        owed: 0n,
        lowBalance: false,
        levels: [{ threshold: 10n, low: false }],
        usable: 270n,
        limited: [],
        pauseFloor: 0n,
        nextExpiry: undefined,
        nextAllowance: undefined,
        seq: 3n,
        asOf: at,
      },
      entrySeq: 3n,
      grant: {
        grantId: 2n,
        amount: 250n,
        remaining: 250n,
        reserved: 0n,
        category: Grant_Category.PAID,
        priority: 50,
        effectiveAt: at,
        expiresAt,
        source: Grant_Source.PURCHASE,
        sourceReference: purchase.purchaseId,
        state: Grant_State.OPEN,
        createdAt: at,
        operations: [],
        stranded: false,
        voided: 0n,
        voidOnReturn: 0n,
      },
    });
    expect(await newestEntry(scrip, accountId)).toMatchObject({
      kind: Entry_Kind.PURCHASE,
      moves: [
        {
          from: { kind: Bucket_Kind.ISSUED, grantId: 0n },
          to: { kind: Bucket_Kind.GRANT_AVAILABLE, grantId: 2n },
          credits: 250n,
        },
      ],
      credits: 250n,
      grantId: 2n,
      labels: mapOf({ shop: 'eu' }),
    });
  });

  test('adds up, and each pack keeps its own expiry', async () => {
    const accountId = await scrip.open('perfectparser');
    scrip.setNow(Date.UTC(2031, 0, 31, 12));
    await buy(accountId, 'starter', 'a');
    scrip.setNow(Date.UTC(2031, 1, 28, 12));
    await buy(accountId, 'starter', 'b');
    expect(await balanceOf(scrip, accountId)).toMatchObject({
      remaining: 220n,
      nextExpiry: { credits: 100n },
    });
    scrip.setNow(Date.UTC(2032, 0, 31, 12, 1));
    expect((await balanceOf(scrip, accountId)).remaining).toBe(120n);
    scrip.setNow(Date.UTC(2032, 1, 28, 12, 1));
    expect((await balanceOf(scrip, accountId)).remaining).toBe(20n);
  });

  test('accepts a payment reference once per account', async () => {
    const accountId = await scrip.open('verts');
    await buy(accountId, 'starter', 'order-1');
    const rows = await storedRows(scrip, accountId);
    for (const packId of ['starter', 'standard'])
      expect(await errorOf(buy(accountId, packId, 'order-1'))).toMatchObject({
        code: status.ALREADY_EXISTS,
        reason: 'PAYMENT_REFERENCE_USED',
        metadata: { payment_reference: 'order-1' },
      });
    expect(await storedRows(scrip, accountId)).toBe(rows);
    const other = await scrip.open('verts');
    expect((await buy(other, 'starter', 'order-1')).balance?.remaining).toBe(1_000n);
  });

  test('accepts a payment reference once, in whatever form, and stores it exactly', async () => {
    const accountId = await scrip.open('verts');
    const { purchase } = await buy(accountId, 'starter', ' Order  17\u200b');
    expect(purchase?.paymentReference).toBe(' Order  17\u200b');
    const rows = await storedRows(scrip, accountId);
    for (const form of ['Order 17', 'order17', 'ORDER 17 ', '\u00a0order\u200d17', 'Ｏrder１7'])
      expect(await errorOf(buy(accountId, 'starter', form))).toMatchObject({
        code: status.ALREADY_EXISTS,
        reason: 'PAYMENT_REFERENCE_USED',
        metadata: { payment_reference: form, used_as: ' Order  17\u200b' },
      });
    expect(await storedRows(scrip, accountId)).toBe(rows);
  });

  test('accepts one of several forms of a payment reference that arrive at the same time', async () => {
    const accountId = await scrip.open('verts');
    const forms = ['order 1', 'ORDER 1', 'order1', ' order 1', 'Order\u200b1'];
    const settled = await Promise.allSettled(forms.map((form) => buy(accountId, 'starter', form)));
    expect(settled.filter((call) => call.status === 'fulfilled').length).toBe(1);
    expect((await balanceOf(scrip, accountId)).remaining).toBe(1_000n);
  });

  test('accepts a payment reference once if many calls arrive at the same time', async () => {
    const accountId = await scrip.open('verts');
    const calls = Array.from({ length: 10 }, () => buy(accountId, 'starter', 'order-1'));
    const settled = await Promise.allSettled(calls);
    expect(settled.filter((call) => call.status === 'fulfilled').length).toBe(1);
    expect((await balanceOf(scrip, accountId)).remaining).toBe(1_000n);
  });

  test('fails for packs of other plans', async () => {
    const accountId = await scrip.open('verts');
    for (const packId of ['popular', 'prepaid-1000', 'Starter'])
      expect(await errorOf(buy(accountId, packId, 'x'))).toMatchObject({
        code: status.NOT_FOUND,
        reason: 'PACK_NOT_FOUND',
        metadata: { pack_id: packId },
      });
  });

  test('fails on a closed account', async () => {
    const accountId = await scrip.open('verts');
    await scrip.accounts.closeAccount({ accountId, requestId: requestId() });
    expect((await errorOf(buy(accountId, 'starter', 'x'))).reason).toBe('ACCOUNT_CLOSED');
  });

  test('accepts payment references of 1 to 128 characters', async () => {
    const accountId = await scrip.open('verts');
    await buy(accountId, 'starter', 'x'.repeat(128));
    for (const bad of ['', 'x'.repeat(129), 'a\u0000', 'a\nb', ' ', '\u200b\u3164'])
      expect(await errorOf(buy(accountId, 'starter', bad))).toMatchObject({
        reason: 'INVALID_FIELD',
        fields: ['payment_reference'],
      });
    const without = scrip.billing.purchase({
      accountId,
      requestId: requestId(),
      packId: 'starter',
    });
    expect((await errorOf(without)).reason).toBe('INVALID_FIELD');
  });
});
