/** What a person may do through the console is what the policy allows them. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OFFERED } from '../../src/console/offered-methods.ts';
import { Grant_Category } from '../../src/gen/billing/v1/ledger.ts';
import { METHODS, ROLES } from '../../src/policy/methods.ts';
import { parsePolicyFile } from '../../src/policy/policy-file.ts';
import { requestId } from '../service.ts';
import { Browser } from './browser-client.ts';
import { type SignedInService, startSignedIn } from './signed-in.ts';

const RULES = `
  - { id: "staff:limited", roles: [billing-admin], credits: { per_call: 100 } }
  - { id: "staff:narrow", roles: [billing-admin], accounts: { prefixes: [narrow-] } }
  - { id: "staff:slow", roles: [observer], requests_per_second: { rate: 1, burst: 1 } }
  - { id: "staff:releaser", roles: [observer, releaser] }
${ROLES.map((role) => `  - { id: "staff:${role}", roles: [${role}] }`).join('\n')}
roles:
  releaser: { methods: [Release] }
`;

let scrip: SignedInService;
let accountId: string;
beforeAll(async () => {
  scrip = await startSignedIn(RULES);
  accountId = await scrip.open('verts');
});
afterAll(() => scrip.stop());

const grant = (credits = '50') => ({
  accountId,
  requestId: requestId(),
  credits,
  category: 'CATEGORY_PAID',
  reason: 'a goodwill',
});

const linesOf = (msg: string, request: string) =>
  scrip.lines.filter((line) => line.msg === msg && line['request_id'] === request);

const reasonOf = (answer: { json: { error?: { reason: string } } }) => answer.json.error?.reason;

/** Each as its request would be, good or not. */
const ACTIONS = [
  ['GrantCredits', 'AccountService/GrantCredits'],
  ['VoidGrant', 'AccountService/VoidGrant'],
  ['Refund', 'BillingService/Refund'],
  ['Release', 'BillingService/Release'],
  ['ReplayDelivery', 'EventService/ReplayDelivery'],
  ['ReplayDeadDeliveries', 'EventService/ReplayDeadDeliveries'],
] as const;

describe.each(ROLES)('a person with the role %s', (role) => {
  const allows = (method: keyof typeof METHODS) =>
    (METHODS[method] as readonly string[]).includes(role);
  let browser: Browser;
  beforeAll(async () => {
    browser = await scrip.browserOf(role);
  });

  test('is told what the role allows, of what the console offers', async () => {
    const { methods, canAct } = await browser.session();
    expect(methods).toEqual(OFFERED.filter(allows));
    expect(canAct).toBe(ACTIONS.some(([method]) => allows(method)));
  });

  test.each(ACTIONS)('may call %s only if the role allows it', async (method, path) => {
    const answer = await browser.rpc(path, {}, { 'x-scrip-reason': 'a test' });
    if (allows(method)) expect(reasonOf(answer)).not.toBe('CALLER_NOT_ALLOWED');
    else expect([answer.status, reasonOf(answer)]).toEqual([403, 'CALLER_NOT_ALLOWED']);
  });

  test('sees the figures of the service only if the role lists refusals', async () => {
    const { status } = await browser.send({ path: '/console/api/live' });
    expect(status).toBe(allows('ListRefusals') ? 200 : 403);
  });
});

describe('an action', () => {
  test('takes effect once per request id, and its entry and the log name the person', async () => {
    const browser = await scrip.browserOf('billing-admin');
    const request = grant();
    const first = await browser.rpc('AccountService/GrantCredits', request);
    const again = await browser.rpc('AccountService/GrantCredits', request);
    expect([first.status, again.status]).toEqual([200, 200]);
    expect(again.json.entrySeq).toBe(first.json.entrySeq);
    expect(again.json.replay).toBeDefined();

    const [entry] = await lastEntries(first.json.entrySeq);
    expect(entry?.caller).toBe('staff:billing-admin');
    expect(entry?.details.get('reason')).toBe('a goodwill');
    expect(linesOf('administrative action', request.requestId)).toEqual([
      expect.objectContaining({
        method: 'GrantCredits',
        caller: 'staff:billing-admin',
        account_id: accountId,
        reason: 'a goodwill',
        trace_id: expect.any(String),
      }),
    ]);
  });

  test('voids a grant once per request id, and names the person', async () => {
    const browser = await scrip.browserOf('billing-admin');
    const { json: granted } = await browser.rpc('AccountService/GrantCredits', grant());
    const { grantId } = granted.grant;
    const request = { accountId, requestId: requestId(), grantId, all: true, reason: 'a mistake' };
    const first = await browser.rpc('AccountService/VoidGrant', request);
    const again = await browser.rpc('AccountService/VoidGrant', request);
    expect([first.status, first.json.voided, first.json.grant.state]).toEqual([
      200,
      '50',
      'STATE_VOIDED',
    ]);
    expect(again.json.entrySeq).toBe(first.json.entrySeq);
    const [entry] = await lastEntries(first.json.entrySeq);
    expect(entry?.caller).toBe('staff:billing-admin');
    expect(entry?.details.get('reason')).toBe('a mistake');
    expect(linesOf('administrative action', request.requestId)).toEqual([
      expect.objectContaining({
        method: 'VoidGrant',
        caller: 'staff:billing-admin',
        reason: 'a mistake',
      }),
    ]);
  });

  test('whose request has a field for a reason must fill it', async () => {
    const browser = await scrip.browserOf('billing-admin');
    const { status, json } = await browser.rpc('AccountService/GrantCredits', {
      ...grant(),
      reason: '',
    });
    expect([status, json.error.violations[0].field]).toEqual([400, 'reason']);
  });

  test('whose request has none states it in the log', async () => {
    const reserved = await scrip.billing.reserve({
      accountId: await funded(),
      requestId: requestId(),
      credits: 7n,
    });
    const { reservationId = '', accountId: owner = '' } = reserved.reservation ?? {};
    const browser = await scrip.browserOf('releaser');
    const request = { accountId: owner, requestId: requestId(), reservationId };
    for (const reason of [undefined, '', '%20', 'x'.repeat(257), '%', 'a%0Ab'])
      expect(
        reasonOf(
          await browser.rpc('BillingService/Release', request, { 'x-scrip-reason': reason }),
        ),
      ).toBe('CONSOLE_REASON_MISSING');
    const reason = 'the job of Zoë died';
    const headers = { 'x-scrip-reason': encodeURIComponent(reason) };
    const { status, json } = await browser.rpc('BillingService/Release', request, headers);
    expect([status, json.released]).toEqual([200, '7']);
    expect(linesOf('reason of an action', request.requestId)).toEqual([
      expect.objectContaining({
        method: 'Release',
        caller: 'staff:releaser',
        account_id: owner,
        request_id: request.requestId,
        reservation_id: reservationId,
        reason,
        status: 'OK',
      }),
    ]);
  });

  test('that fails states its reason, and the status', async () => {
    const browser = await scrip.browserOf('operator');
    const request = { accountId, eventId: '01a22a48-0e2a-7356-aa6f-e008e96dfb8f' };
    const headers = { 'x-scrip-reason': 'it was lost' };
    const { status } = await browser.rpc('EventService/ReplayDelivery', request, headers);
    expect(status).toBe(404);
    expect(scrip.lines).toContainEqual(
      expect.objectContaining({
        msg: 'reason of an action',
        method: 'ReplayDelivery',
        caller: 'staff:operator',
        event_id: request.eventId,
        reason: 'it was lost',
        status: 'NOT_FOUND',
      }),
    );
  });

  test('is limited as any call of the caller', async () => {
    const limited = await scrip.browserOf('limited');
    expect((await limited.rpc('AccountService/GrantCredits', grant('100'))).status).toBe(200);
    const { status, json } = await limited.rpc('AccountService/GrantCredits', grant('101'));
    expect([status, json.error.metadata.limit]).toEqual([403, 'credits_per_call']);
  });

  test('on an account out of scope is denied', async () => {
    const narrow = await scrip.browserOf('narrow');
    const answer = await narrow.rpc('AccountService/GrantCredits', grant());
    expect(reasonOf(answer)).toBe('CALLER_NOT_ALLOWED');
    const { json } = await narrow.rpc('AccountService/ListAccounts', {});
    expect(json.accounts).toEqual([]);
  });
});

test('a rate that is exceeded says when to ask again', async () => {
  const own = await startSignedIn(RULES, { frozenAt: Date.now() });
  const slow = await own.browserOf('slow');
  expect((await slow.rpc('PlanService/ListPlans', {})).status).toBe(200);
  const { status, json } = await slow.rpc('PlanService/ListPlans', {});
  expect([status, json.error.code, json.error.reason]).toEqual([
    429,
    'RESOURCE_EXHAUSTED',
    'RATE_LIMITED',
  ]);
  expect(json.error.retryAfterMs).toBeGreaterThan(0);
  await own.stop();
});

test('a policy that changes holds for the next request of a session', async () => {
  const own = await startSignedIn('  - { id: "staff:anna", roles: [observer] }');
  const anna = await own.browserOf('anna');
  expect((await anna.rpc('PlanService/ListPlans', {})).status).toBe(200);
  await own.usePolicy('  - { id: "staff:ben", roles: [observer] }');
  expect((await anna.rpc('PlanService/ListPlans', {})).status).toBe(403);
  expect(await anna.session()).toMatchObject({ signedIn: true, methods: [], canAct: false });
  await own.stop();
});

test('with a policy without issuers nobody can sign in', async () => {
  const own = await startSignedIn('');
  await own.usePolicyText('version: 1\ncallers: [{ prefix: "header:", roles: [operator] }]\n');
  const visitor = new Browser(own);
  expect(await visitor.session()).toMatchObject({ needsSignIn: true, canSignIn: false });
  const { status, text } = await visitor.signIn(await own.key.sign());
  expect([status, JSON.parse(text).error.metadata.problem]).toEqual([401, 'TOKEN_NOT_ACCEPTED']);
  await own.stop();
});

test('the policy of docs/console.md is valid', () => {
  const page = readFileSync(new URL('../../docs/console.md', import.meta.url), 'utf8');
  const [, yaml = ''] = /```yaml\n(.*?)```/s.exec(page) ?? [];
  const parsed = parsePolicyFile('docs/console.md', `version: 1\n${yaml}`);
  expect('errors' in parsed ? parsed.errors : []).toEqual([]);
});

async function funded(): Promise<string> {
  const id = await scrip.open('verts');
  const request = { accountId: id, requestId: requestId(), credits: 100n, reason: 'a test' };
  await scrip.accounts.grantCredits({ ...request, category: Grant_Category.PAID });
  return id;
}

async function lastEntries(seq: string) {
  const afterSeq = BigInt(seq) - 1n;
  for await (const { entries } of scrip.billing.streamHistory({ accountId, afterSeq }))
    return entries;
  return [];
}
