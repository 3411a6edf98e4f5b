/** ListAccounts by label, state, plan and low balance. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Account,
  Account_State,
  type ListAccountsRequest,
} from '../../src/gen/billing/v1/account_service.ts';
import { mapOf } from '../../src/map-of.ts';
import { balanceOf, defined, grant, HOUR, reserveCredits } from '../accounts.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

const NOW = Date.parse('2031-03-10T12:00:00Z');

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService({ frozenAt: NOW });
  await openEveryKind();
});
afterAll(() => scrip.stop());

type Filter = Partial<Omit<ListAccountsRequest, 'pageSize' | 'pageToken'>>;

async function list(filter: Filter = {}, pageSize = 1_000): Promise<readonly Account[]> {
  const accounts: Account[] = [];
  let pageToken = '';
  do {
    const page = await scrip.accounts.listAccounts({ pageSize, pageToken, ...filter });
    accounts.push(...page.accounts);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return accounts;
}

const idsOf = (accounts: readonly Account[]) => accounts.map(({ accountId }) => accountId);

const LABELS = [
  {},
  { team: 'media' },
  { team: 'print', tier: 'gold' },
  { team: 'media', tier: 'gold' },
  { tier: '' },
  { 'quoted "name"': `it's` },
];
const STATES = ['open', 'suspended', 'closed', 'suspended and closed'] as const;
const PLANS = ['verts', 'perfectparser'];

/** An account of each combination, with 0 to 7 credits granted. */
async function openEveryKind() {
  let credits = 0n;
  for (const planId of PLANS)
    for (const state of STATES)
      for (const labels of LABELS) {
        const accountId = `${planId}.${state.replaceAll(' ', '-')}.${JSON.stringify(labels).replaceAll(' ', '')}`;
        const named = () => ({ accountId, requestId: requestId() });
        await scrip.accounts.openAccount({ ...named(), planId, labels: mapOf(labels) });
        credits = (credits + 3n) % 8n;
        if (credits > 0n) await grant(scrip, accountId, credits);
        if (state.includes('suspended'))
          await scrip.accounts.suspendAccount({ ...named(), reason: 'a test' });
        if (state.includes('closed')) await scrip.accounts.closeAccount(named());
      }
}

const has = (name: string, value?: string) => (account: Account) =>
  value === undefined ? account.labels.has(name) : account.labels.get(name) === value;
const inState = (state: Account_State) => (account: Account) => account.state === state;
const any = () => true;

const byLabel: readonly (readonly [Filter, (account: Account) => boolean])[] = [
  [{}, any],
  [{ labels: mapOf({ team: 'media' }) }, has('team', 'media')],
  [
    { labels: mapOf({ team: 'media', tier: 'gold' }) },
    (account) => has('team', 'media')(account) && has('tier', 'gold')(account),
  ],
  [{ labelKeys: ['tier'] }, has('tier')],
  [{ labelKeys: ['tier', 'team'] }, (account) => has('tier')(account) && has('team')(account)],
  [{ labels: mapOf({ tier: '' }) }, has('tier', '')],
  [
    { labels: mapOf({ tier: 'gold' }), labelKeys: ['team'] },
    (account) => has('tier', 'gold')(account) && has('team')(account),
  ],
  // A value is no name, and a name no value.
  [{ labelKeys: ['gold'] }, () => false],
  [{ labels: mapOf({ gold: 'tier' }) }, () => false],
  [{ labels: mapOf({ 'quoted "name"': `it's` }) }, has('quoted "name"')],
];
const byState: typeof byLabel = [
  [{}, any],
  [{ state: Account_State.OPEN }, inState(Account_State.OPEN)],
  [{ state: Account_State.SUSPENDED }, inState(Account_State.SUSPENDED)],
  [{ state: Account_State.CLOSED }, inState(Account_State.CLOSED)],
];
const byPlan: typeof byLabel = [
  [{}, any],
  [{ planId: 'verts' }, ({ planId }) => planId === 'verts'],
];
const byBalance: typeof byLabel = [
  [{}, any],
  [{ availableAtMost: 4n }, ({ available }) => defined(available) <= 4n],
  [{ availableAtMost: 0n }, ({ available }) => defined(available) <= 0n],
  [{ availableAtMost: -1n }, () => false],
];

test('every combination of filters finds the accounts that match all of them, in their order', async () => {
  const all = await list();
  expect(all).toHaveLength(PLANS.length * STATES.length * LABELS.length);
  expect(idsOf(all)).toEqual(idsOf(all).toSorted());
  let combinations = 0;
  for (const [labels, hasLabels] of byLabel)
    for (const [state, isInState] of byState)
      for (const [plan, isOfPlan] of byPlan)
        for (const [balance, isLow] of byBalance) {
          const filter = { ...labels, ...state, ...plan, ...balance };
          const matches = [hasLabels, isInState, isOfPlan, isLow];
          const expected = all.filter((account) => matches.every((match) => match(account)));
          combinations++;
          expect(await list(filter, 3 + (combinations % 7))).toEqual(expected);
        }
  expect(combinations).toBe(320);
});

test('labels are found as they are now', async () => {
  const accountId = await scrip.open('verts');
  const relabel = (labels: Readonly<Record<string, string>>) =>
    scrip.accounts.updateAccount({
      accountId,
      requestId: requestId(),
      labels: { labels: mapOf(labels) },
    });
  const found = async (name: string) => idsOf(await list({ labelKeys: [name] }));
  await relabel({ before: '1' });
  expect(await found('before')).toEqual([accountId]);
  await relabel({ after: '1' });
  expect(await found('before')).toEqual([]);
  expect(await found('after')).toEqual([accountId]);
});

describe('What is available', () => {
  test('is what GetBalance says, with limited credits, reservations and overage', async () => {
    const limited = await scrip.open('verts');
    await grant(scrip, limited, 40n, { onlyFor: { operations: ['file.inspect'] } });
    await grant(scrip, limited, 100n);
    await grant(scrip, limited, 7n, { effectiveAt: new Date(scrip.now() + HOUR) });
    await reserveCredits(scrip, limited, 30n);
    const usages = { items: [{ operation: 'file.inspect', count: 5n }] };
    await scrip.billing.reserve({ accountId: limited, requestId: requestId(), usages });
    const postpaid = await scrip.open('aspose-cloud');
    await reserveCredits(scrip, postpaid, 80n);
    const spent = await scrip.open('verts');
    const accounts = await list();
    const expected = [
      [limited, 70n],
      [postpaid, -30n],
      [spent, 0n],
    ] as const;
    for (const [accountId, available] of expected) {
      expect((await balanceOf(scrip, accountId)).available).toBe(available);
      expect(accounts.find((account) => account.accountId === accountId)).toMatchObject({
        available,
      });
      const lists = async (availableAtMost: bigint) =>
        idsOf(await list({ availableAtMost })).includes(accountId);
      expect([await lists(available), await lists(available - 1n)]).toEqual([true, false]);
    }
  });

  test('of every account is the balance after its newest entry', async () => {
    for (const { accountId, available } of await list())
      expect([accountId, available]).toEqual([
        accountId,
        (await balanceOf(scrip, accountId)).available,
      ]);
  });

  test('counts what has become due once it is settled', async () => {
    const accountId = await scrip.open('verts');
    await grant(scrip, accountId, 40n, { expiresAt: new Date(scrip.now() + HOUR) });
    scrip.advance(2 * HOUR);
    const isListed = async () => idsOf(await list({ availableAtMost: 0n })).includes(accountId);
    expect((await balanceOf(scrip, accountId)).available).toBe(0n);
    expect(await isListed()).toBe(false);
    await scrip.service.sweep();
    expect(await isListed()).toBe(true);
  });

  test('is told by ListAccounts alone', async () => {
    const accountId = await scrip.open('verts');
    const { account } = await scrip.accounts.getAccount({ accountId });
    expect(defined(account).available).toBeUndefined();
  });
});

test.each([
  ['labels key', { labels: mapOf({ '': 'x' }) }],
  ['labels["a"]', { labels: mapOf({ a: '\u0000' }) }],
  ['labels', { labels: mapOf(Object.fromEntries(Array.from({ length: 17 }, (_, n) => [n, '']))) }],
  ['label_keys[0]', { labelKeys: [''] }],
  ['label_keys[1]', { labelKeys: ['a', 'x'.repeat(65)] }],
  ['label_keys', { labelKeys: Array.from({ length: 17 }, (_, index) => `${index}`) }],
  ['state', { state: 99 as Account_State }],
  ['plan_id', { planId: 'a b' }],
] satisfies [string, Filter][])(
  'a bad filter is refused with its path: %s',
  async (field, filter) => {
    const error = await errorOf(scrip.accounts.listAccounts(filter));
    expect(error).toMatchObject({ reason: 'INVALID_FIELD', fields: [field] });
  },
);
