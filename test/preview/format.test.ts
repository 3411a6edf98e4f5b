/** The table of a preview shows the columns that differ, and says why there are none. */
import { expect, test } from 'vitest';
import { FORMATS } from '../../src/preview/format.ts';
import type { AccountPreview, Totals } from '../../src/preview/preview.ts';

const heading = { planId: 'next', accountsOf: 'verts', month: '2031-01', showsOverage: false };

const account = (accountId: string, more: Partial<AccountPreview>): AccountPreview => ({
  accountId,
  charges: 0n,
  creditsThen: 0n,
  creditsNow: 0n,
  unnamed: 0n,
  allowanceThen: 0n,
  allowanceNow: 0n,
  refused: 0n,
  refusedCredits: 0n,
  overage: null,
  ...more,
});

async function tableOf(accounts: readonly AccountPreview[]): Promise<string> {
  let text = '';
  const write = async (part: string) => {
    text += part;
  };
  const format = FORMATS['table']!(write, write);
  await format.begin(heading);
  for (const one of accounts) await format.account(one);
  const sum = (name: 'charges' | 'creditsThen' | 'creditsNow' | 'refused') =>
    accounts.reduce((total, one) => total + one[name], 0n);
  const totals: Totals = {
    ...account('', {
      charges: sum('charges'),
      creditsThen: sum('creditsThen'),
      creditsNow: sum('creditsNow'),
      refused: sum('refused'),
    }),
    accounts: BigInt(accounts.length),
    overage: null,
    refusals: [],
  };
  await format.end(totals);
  return text.slice(text.indexOf('\n\n') + 2);
}

const rows = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => line.trim().split(/ {2,}/));

test('pairs of columns that are the same for all accounts are left out', async () => {
  const same = account('a', { charges: 2n, creditsThen: 4n, creditsNow: 4n });
  const more = account('b', {
    charges: 1n,
    creditsThen: 3n,
    creditsNow: 5n,
    allowanceThen: 3n,
    allowanceNow: 5n,
  });
  expect(rows(await tableOf([same, more]))).toEqual([
    ['account_id', 'charges', 'credits_then', 'credits_now', 'difference'],
    ['a', '2', '4', '4', '0'],
    ['b', '1', '3', '5', '2'],
    ['total of 2', '3', '7', '9', '2'],
  ]);
});

test('what the file cannot price is shown where there is any', async () => {
  const refused = account('a', { charges: 1n, creditsThen: 4n, creditsNow: 4n, refused: 1n });
  const [columns] = rows(await tableOf([refused]));
  expect(columns).toEqual(['account_id', 'charges', 'refused_usages']);
});

test.each([
  [[], 'no account is on plan verts: --accounts-of names another plan'],
  [
    [account('a', {}), account('b', {})],
    'no difference: the 2 accounts of plan verts used nothing in 2031-01; --month names another month',
  ],
  [
    [account('a', { charges: 2n, creditsThen: 4n, creditsNow: 4n })],
    'no difference: the one account of plan verts would have paid the same 4 credits by next',
  ],
])('without a difference it says why: %#', async (accounts, text) => {
  expect(await tableOf(accounts)).toBe(`${text}\n`);
});

test('many accounts are written as they come, with all columns', async () => {
  const many = Array.from({ length: 10_001 }, (_, index) => account(`a${index}`, { charges: 1n }));
  const [columns, ...others] = rows(await tableOf(many));
  expect(columns).toContain('refused_credits');
  expect(others).toHaveLength(10_002);
});
