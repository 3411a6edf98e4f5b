/** Test data for payments. */
import { expect } from 'vitest';
import type { Scrip } from '../../src/client.ts';
import type { Purchase } from '../../src/gen/billing/v1/ledger.ts';
import { newId } from '../../src/new-id.ts';
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

/** Inserts a mismatched purchase, for services without a payment provider. Returns its id. */
export async function insertMismatched(
  { databaseUrl }: Pick<TestService, 'databaseUrl'>,
  accountId: string,
): Promise<string> {
  const purchaseId = newId(Date.now())();
  await execute(
    databaseUrl,
    `insert into purchases (account_id, purchase_id, pack_id, title, quantity, credits, currency, amount,
       method, state, caller, request_id, labels, success_url, cancel_url, failure_code, created_at,
       currency_paid, amount_paid, amount_refunded, dispute_state, credits_clawed_back,
       credits_unrecovered, sync_version)
     values ($1, $2, 'starter', 'Starter', 1, 1000, 'USD', 5, 'CHECKOUT', 'MISMATCHED', 'test', $3, '{}',
       'https://shop.example/thanks', 'https://shop.example/cart', '', now(), 'USD', 4, 0, 'NONE', 0, 0, 1)`,
    [accountId, purchaseId, requestId()],
  );
  return purchaseId;
}

/** Expects that the account's ledger verifies, and that its entries after the opening are of these kinds. */
export async function expectLedger(
  { databaseUrl }: Pick<TestService, 'databaseUrl'>,
  accountId: string,
  kinds: readonly string[],
) {
  const rows = await execute(
    databaseUrl,
    'select kind from history where account_id = $1 order by seq',
    [accountId],
  );
  expect(rows.map(({ kind }) => kind)).toEqual(['OPEN_ACCOUNT', ...kinds]);
  expect(await verify(databaseUrl, { accountId, all: true })).toMatchObject({ ok: true });
}
