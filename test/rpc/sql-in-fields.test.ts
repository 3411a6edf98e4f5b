/** SQL in a field is text as any other: it is stored, found and shown, and never run. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { verify } from '../../src/verify/verify.ts';
import { balanceOf, entriesOf, newestEntry, openWithCredits } from '../accounts.ts';
import { errorOf } from '../rpc-error.ts';
import { startTestService, type TestService } from '../service.ts';

let scrip: TestService;
let accountId: string;
beforeAll(async () => {
  scrip = await startTestService();
  accountId = await openWithCredits(scrip, 1_000n);
});
afterAll(() => scrip.stop());

test.each([
  `'; drop table entries; --`,
  `' or '1'='1`,
  `"; delete from accounts; --`,
  `$1; update accounts set remaining = 1000000`,
  `\\'; truncate entries; --`,
  `%' union select rolpassword from pg_authid --`,
])('%s', async (sql) => {
  const before = (await balanceOf(scrip, accountId)).remaining;
  const charge = { accountId, requestId: sql, credits: 1n, reference: sql };
  await scrip.billing.charge(charge);
  await scrip.billing.charge(charge);
  expect((await balanceOf(scrip, accountId)).remaining).toBe(before - 1n);
  expect(await newestEntry(scrip, accountId)).toMatchObject({ reference: sql });

  const labels = new Map([['note', sql]]);
  await scrip.accounts.updateAccount({
    accountId,
    requestId: `update ${sql}`,
    displayName: sql,
    labels: { labels },
  });
  const { account } = await scrip.accounts.getAccount({ accountId });
  expect(account).toMatchObject({ displayName: sql, labels });
  // Where text is a condition.
  const listed = await scrip.accounts.listAccounts({ planId: sql }).catch(() => ({ accounts: [] }));
  expect(listed.accounts).toEqual([]);
  expect((await errorOf(scrip.billing.getBalance({ accountId: sql }))).reason).toMatch(
    /^(ACCOUNT_NOT_FOUND|INVALID_FIELD)$/,
  );
  expect((await entriesOf(scrip, accountId)).length).toBeGreaterThan(2);
  expect(await verify(scrip.databaseUrl)).toMatchObject({ ok: true });
});
