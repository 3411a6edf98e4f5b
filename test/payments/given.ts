/** Purchases as the tests of payments need them. */
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

/** A purchase by checkout, and its session at Stripe. */
export async function ordered(
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

/** The books agree, and the account's entries are of these kinds. */
export async function expectBooks(
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
