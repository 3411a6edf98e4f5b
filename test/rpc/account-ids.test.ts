/** Account ids are 1 to 128 printable ASCII characters without spaces, on every path. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { entriesOf, grant } from '../accounts.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService();
});
afterAll(() => scrip.stop());

const open = (accountId: string) =>
  scrip.accounts.openAccount({ accountId, requestId: requestId(), planId: 'verts' });

const ids = fc
  .string({
    unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)),
    minLength: 1,
    maxLength: 128,
  })
  .map((text) => `${text}~${requestId()}`.slice(-128));

test.each([
  'org/7|eu@acme+test=1',
  '=1+1',
  "a'b",
  '"quoted"',
  '%2F..',
  '\\\\',
  '#?&;,',
  'a'.repeat(128),
])('%s is an account like any other', async (accountId) => {
  await open(accountId);
  await grant(scrip, accountId, 100n);
  await scrip.billing.charge({ accountId, requestId: requestId(), credits: 10n });
  expect((await entriesOf(scrip, accountId)).map((entry) => entry.accountId)).toEqual(
    Array(3).fill(accountId),
  );
  const found = await scrip.accounts.getAccount({ accountId });
  expect(found.account?.accountId).toBe(accountId);
});

test('pages of a list of any account ids hold each of them once', async () => {
  const opened = fc.sample(ids, 20);
  for (const accountId of opened) await open(accountId);
  const listed: string[] = [];
  for (let pageToken: string | undefined = ''; pageToken !== undefined; ) {
    const page = await scrip.accounts.listAccounts({ pageSize: 3, pageToken });
    listed.push(...page.accounts.map(({ accountId }) => accountId));
    pageToken = page.nextPageToken || undefined;
  }
  expect(listed.filter((accountId) => opened.includes(accountId)).toSorted()).toEqual(
    opened.toSorted(),
  );
});

describe('an account id', () => {
  test.each([
    ['that is empty', ''],
    ['of 129 characters', 'a'.repeat(129)],
    ['with a space', 'a b'],
    ['with a control character', 'a\u0007'],
    ['with other than ASCII characters', 'Zoë'],
  ])('%s is refused', async (_, accountId) => {
    expect(await errorOf(open(accountId))).toMatchObject({
      reason: 'INVALID_FIELD',
      fields: ['account_id'],
    });
  });
});
