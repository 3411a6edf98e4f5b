/** Test data for payments. */
import { expect } from 'vitest';
import type { Scrip } from '../../src/client.ts';
import type { Purchase } from '../../src/gen/billing/v1/ledger.ts';
import { verify } from '../../src/verify/verify.ts';
import { defined } from '../accounts.ts';
import { execute } from '../postgres.ts';
import { requestId, type TestService } from '../service.ts';

export const CHECKOUT = {
  $case: 'checkout' as const,
  value: {
    successUrl: 'https://shop.example/thanks?session={CHECKOUT_SESSION_ID}',
    cancelUrl: 'https://shop.example/cart',
    customerEmail: 'buyer@example.com',
  },
};

/** Buys a pack by checkout: the purchase is pending and has a session. */
export async function buyByCheckout(
  { billing }: Pick<Scrip, 'billing'>,
  accountId: string,
  packId = 'starter',
): Promise<Purchase> {
  const request = { accountId, requestId: requestId(), packId, payment: CHECKOUT };
  return defined((await billing.purchase(request)).purchase);
}

export async function purchaseNow(
  { billing }: Pick<Scrip, 'billing'>,
  { accountId, purchaseId }: Pick<Purchase, 'accountId' | 'purchaseId'>,
): Promise<Purchase> {
  return defined((await billing.getPurchase({ accountId, purchaseId })).purchase);
}

/** Expects that the account's ledger verifies, and that its entries are of these kinds. */
export async function expectLedger(
  { databaseUrl }: Pick<TestService, 'databaseUrl'>,
  accountId: string,
  kinds: readonly string[],
) {
  const rows = await execute(
    databaseUrl,
    'select kind from entries where account_id = $1 order by seq',
    [accountId],
  );
  expect(rows.map(({ kind }) => kind)).toEqual(kinds);
  expect(await verify(databaseUrl, { accountId, all: true })).toMatchObject({ ok: true });
}
