/** Payments of a sandbox: what customers, banks and operators do reaches the service by signed webhooks. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ActOnPaymentRequest_Action as Action } from '../../src/gen/sandbox/v1/sandbox_service.ts';
import { DAY, startSandbox, type TestSandbox } from './sandbox-service.ts';

let scrip: TestSandbox;
beforeAll(async () => {
  scrip = await startSandbox();
});
afterAll(() => scrip.stop());

let count = 0;

/** An account that has ordered a pack of 1,000 credits. */
async function order() {
  const accountId = `shop-${count++}`;
  await scrip.accounts.openAccount({ accountId, requestId: 'open', planId: 'verts' });
  const { purchase } = await scrip.billing.purchase({
    accountId,
    requestId: 'buy',
    packId: 'starter',
    payment: {
      $case: 'checkout',
      value: {
        successUrl: 'https://shop.example/thanks?session={CHECKOUT_SESSION_ID}',
        cancelUrl: 'https://shop.example/cart',
      },
    },
  });
  const purchaseId = purchase?.purchaseId ?? '';
  return { accountId, purchaseId, url: purchase?.checkoutUrl ?? '' };
}

const act = (purchaseId: string, action: Action) =>
  scrip.sandbox.actOnPayment({ purchaseId, action });

async function remainingOf(accountId: string): Promise<bigint | undefined> {
  const { balance } = await scrip.billing.getBalance({ accountId });
  return balance?.remaining;
}

const stateOf = async (accountId: string, purchaseId: string) => {
  const { purchase } = await scrip.billing.getPurchase({ accountId, purchaseId });
  return purchase?.state;
};

const PAID = 2;
const EXPIRED = 4;

describe('a purchase', () => {
  test('is paid, disputed and won again', async () => {
    const { accountId, purchaseId } = await order();
    expect(await act(purchaseId, Action.PAY)).toMatchObject({
      isDelivered: true,
      payment: { purchaseId, accountId, state: 'paid', amount: '5.00', currency: 'USD' },
    });
    expect(await remainingOf(accountId)).toBe(1_000n);
    await act(purchaseId, Action.DISPUTE);
    expect(await remainingOf(accountId)).toBe(0n);
    const won = await act(purchaseId, Action.WIN_DISPUTE);
    expect(won.payment?.state).toBe('dispute won');
    expect(await remainingOf(accountId)).toBe(1_000n);
  });

  test('is declined, and paid with another card', async () => {
    const { accountId, purchaseId } = await order();
    const declined = await act(purchaseId, Action.DECLINE);
    expect(declined.payment).toMatchObject({ state: 'declined' });
    expect(await remainingOf(accountId)).toBe(0n);
    await act(purchaseId, Action.PAY);
    expect(await remainingOf(accountId)).toBe(1_000n);
  });

  test('is refunded as a whole', async () => {
    const { accountId, purchaseId } = await order();
    await act(purchaseId, Action.PAY);
    await act(purchaseId, Action.REFUND);
    expect(await remainingOf(accountId)).toBe(0n);
  });

  test('that nobody pays expires after a day', async () => {
    const { accountId, purchaseId } = await order();
    await scrip.advanceTo(scrip.now() + 2 * DAY);
    expect(await stateOf(accountId, purchaseId)).toBe(EXPIRED);
  });

  test.each([
    ['refunded before it is paid', Action.REFUND],
    ['disputed before it is paid', Action.DISPUTE],
    ['won without a dispute', Action.WIN_DISPUTE],
    ['acted on in no known way', 17 as Action],
  ])('cannot be %s', async (_, action) => {
    const { purchaseId } = await order();
    await expect(act(purchaseId, action)).rejects.toMatchObject({ reason: 'INVALID_FIELD' });
  });

  test('cannot be paid twice', async () => {
    const { purchaseId } = await order();
    await act(purchaseId, Action.PAY);
    await expect(act(purchaseId, Action.PAY)).rejects.toMatchObject({ reason: 'INVALID_FIELD' });
  });

  test('that is unknown is not found', async () => {
    const unknown = '0198f0c4-6a5e-7c3a-9b1d-2e4f6a8b0c1d';
    await expect(act(unknown, Action.PAY)).rejects.toMatchObject({ reason: 'PURCHASE_NOT_FOUND' });
  });
});

describe('the checkout page', () => {
  const post = (url: string, action: string, headers: Readonly<Record<string, string>> = {}) =>
    fetch(url, {
      method: 'POST',
      redirect: 'manual',
      headers,
      body: new URLSearchParams({ action }),
    });

  test('shows what is paid, and says that it is a sandbox', async () => {
    const { accountId, url } = await order();
    const response = await fetch(url);
    const html = await response.text();
    expect(response.status).toBe(200);
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'");
    for (const text of ['no money moves', '5.00 USD', accountId, 'Starter'])
      expect(html).toContain(text);
    expect(html).not.toContain('<script');
  });

  test('declines, then pays, and leads back to the shop', async () => {
    const { accountId, purchaseId, url } = await order();
    expect((await post(url, 'DECLINE')).status).toBe(303);
    expect(await (await fetch(url)).text()).toContain('The card was declined');
    const paid = await post(url, 'PAY');
    expect(paid.headers.get('location')).toMatch(/^https:\/\/shop\.example\/thanks\?session=cs_/);
    await expect.poll(() => stateOf(accountId, purchaseId), { timeout: 60_000 }).toBe(PAID);
    expect(await (await fetch(url)).text()).toContain('This payment is paid');
  });

  test('is used by no page of another site, and does nothing else', async () => {
    const { accountId, purchaseId, url } = await order();
    expect((await post(url, 'PAY', { origin: 'https://evil.example' })).status).toBe(403);
    await post(url, 'REFUND');
    expect(await stateOf(accountId, purchaseId)).not.toBe(PAID);
    expect((await post(`${url}0`, 'PAY')).status).toBe(404);
  });

  test('is beside an API that only the service may call', async () => {
    const { origin } = new URL((await order()).url);
    expect((await fetch(`${origin}/v1/disputes?payment_intent=x`)).status).toBe(401);
    expect((await fetch(`${origin}/`)).status).toBe(404);
  });
});

test('a restart forgets no payment', async () => {
  const { accountId, purchaseId } = await order();
  const other = await startSandbox(scrip.databaseUrl);
  try {
    const { payments } = await other.sandbox.listPayments({});
    expect(payments.map((payment) => payment.purchaseId)).toContain(purchaseId);
    await other.sandbox.actOnPayment({ purchaseId, action: Action.PAY });
    expect(await remainingOf(accountId)).toBe(1_000n);
    // The first has what the other did.
    await act(purchaseId, Action.REFUND);
    expect(await remainingOf(accountId)).toBe(0n);
  } finally {
    await other.stop();
  }
});
