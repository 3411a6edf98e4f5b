/** Callers that are limited to some accounts: those they may not use look exactly as those that do not exist. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  Account_State,
  type ListAccountsRequest,
} from '../../src/gen/billing/v1/account_service.ts';
import {
  Delivery_State,
  type ListDeliveriesRequest,
} from '../../src/gen/billing/v1/event_service.ts';
import { Grant_Category } from '../../src/gen/billing/v1/ledger.ts';
import {
  ExportStatementsRequest_Format,
  type GetUsageRequest,
  GetUsageRequest_Dimension,
} from '../../src/gen/billing/v1/statement_service.ts';
import { mapOf } from '../../src/map-of.ts';
import type { MethodName } from '../../src/policy/methods.ts';
import { DAY, grant, HOUR, INSPECT, openWithCredits, storedRows } from '../accounts.ts';
import { crossing, eventsOf } from '../events/given.ts';
import { execute } from '../postgres.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId } from '../service.ts';
import { HostClocks } from '../time-sources.ts';
import {
  BATCH_MEMBERS,
  CALLS_ON_ACCOUNTS,
  callInBatch,
  callMethod,
  type Ended,
  EVERY_CALL,
  type Given,
  givenAccount,
  reasonOf,
} from './every-call.ts';
import { type PolicedService, startPoliced } from './policed-service.ts';

const ALL_ROLES =
  'roles: [product-service, support, billing-admin, observer, operator, payments, importer]';
const RULES = `
  - { id: header:by-label, ${ALL_ROLES}, accounts: { labels: { team: media } } }
  - { id: header:by-plan, ${ALL_ROLES}, accounts: { plans: [perfectparser] } }
  - { id: header:by-prefix, ${ALL_ROLES}, accounts: { prefixes: [mine-, our-] } }
  - { id: header:by-all, ${ALL_ROLES}, accounts: { prefixes: [acct-], labels: { team: media, tier: gold }, plans: [verts, perfectparser] } }
  - id: header:spent
    ${ALL_ROLES}
    accounts: { labels: { team: media } }
    credits: { per_day: 5 }`;

let scrip: PolicedService;
beforeAll(async () => {
  const env = {
    // Nothing listens there, and the second attempt is far away.
    EVENTS_WEBHOOK_URL: 'http://127.0.0.1:9/',
    EVENTS_WEBHOOK_SECRET: `whsec_${Buffer.alloc(32).toString('base64')}`,
    EVENTS_WEBHOOK_BACKOFF_MS: '3600000',
  };
  scrip = await startPoliced(RULES, { env });
});
afterAll(() => scrip.stop());

async function label(accountId: string, labels: Readonly<Record<string, string>>) {
  await scrip.accounts.updateAccount({
    accountId,
    requestId: requestId(),
    labels: { labels: mapOf(labels) },
  });
}

/** How a call ended, without the ids that differ between two calls. */
const shapeOf = (ended: Ended, ...ids: readonly string[]): unknown => {
  if (ended === 'OK') return ended;
  const { code, reason, message, metadata, fields, retryMs } = ended;
  const text = JSON.stringify({ code, reason, message, metadata, fields, retryMs });
  return JSON.parse(ids.reduce((shape, id) => shape.replaceAll(id, '…'), text));
};

/** They are about an account that does not exist, or about several: see below. */
const OTHERS: readonly MethodName[] = ['OpenAccount', 'ImportAccount', 'SumImports'];
const onAccounts = CALLS_ON_ACCOUNTS.filter((method) => !OTHERS.includes(method));
const members = BATCH_MEMBERS.filter((method) => !OTHERS.includes(method));

type Call = (caller: string, method: MethodName, given: Given) => Promise<Ended>;
const direct: Call = (...args) => callMethod(scrip, ...args);
const inBatch: Call = (...args) => callInBatch(scrip, ...args);

/** Expects that a forbidden account is answered as a missing one, and that nothing was written. */
async function expectHidden(caller: string, method: MethodName, call: Call, reason: string) {
  const forbidden = await givenAccount(scrip);
  const missing = { ...forbidden, accountId: `acct-${randomUUID()}` };
  const before = await storedRows(scrip, forbidden.accountId);
  const ended = await call(caller, method, forbidden);
  expect(reasonOf(ended)).toBe(reason);
  expect(shapeOf(ended, forbidden.accountId)).toEqual(
    shapeOf(await call(caller, method, missing), missing.accountId),
  );
  expect(await storedRows(scrip, forbidden.accountId)).toBe(before);
}

describe.each(onAccounts)('%s', (method) => {
  test('of an account without the label is answered as of none', async () => {
    await expectHidden('by-label', method, direct, 'ACCOUNT_NOT_FOUND');
    const given = await givenAccount(scrip);
    await label(given.accountId, { team: 'media', other: 'label' });
    expect(reasonOf(await direct('by-label', method, given))).toBe(EVERY_CALL[method].allowed);
  });

  test('of an account of another plan is answered as of none', async () => {
    await expectHidden('by-plan', method, direct, 'ACCOUNT_NOT_FOUND');
  });

  test('of an account with another beginning of its id is denied, whether it exists or not', async () => {
    await expectHidden('by-prefix', method, direct, 'CALLER_NOT_ALLOWED');
    const mine = { ...(await givenAccount(scrip)), accountId: `our-${randomUUID()}` };
    await scrip.accounts.openAccount({ ...mine, requestId: requestId(), planId: 'verts' });
    expect(reasonOf(await direct('by-prefix', method, mine))).not.toBe('CALLER_NOT_ALLOWED');
  });

  test('needs all that the rule asks of an account', async () => {
    const given = await givenAccount(scrip);
    for (const labels of [{}, { team: 'media' }, { team: 'media', tier: 'silver' }]) {
      await label(given.accountId, labels);
      expect(reasonOf(await direct('by-all', method, given))).toBe('ACCOUNT_NOT_FOUND');
    }
    await label(given.accountId, { team: 'media', tier: 'gold' });
    expect(reasonOf(await direct('by-all', method, given))).toBe(EVERY_CALL[method].allowed);
  });
});

describe.each(members)('%s in a Batch', (method) => {
  test('of an account out of the scope is answered as of none', async () => {
    await expectHidden('by-label', method, inBatch, 'ACCOUNT_NOT_FOUND');
    await expectHidden('by-plan', method, inBatch, 'ACCOUNT_NOT_FOUND');
    await expectHidden('by-prefix', method, inBatch, 'CALLER_NOT_ALLOWED');
  });
});

describe('a forbidden account is answered as a missing one', () => {
  const requestOf = (accountId: string) => ({ accountId, requestId: requestId(), credits: 1n });
  const charge = (caller: string, accountId: string, more = {}) =>
    errorOf(scrip.as(caller).billing.charge({ ...requestOf(accountId), ...more }));

  async function expectSame(
    call: (accountId: string) => Promise<Ended>,
    reason = 'ACCOUNT_NOT_FOUND',
  ) {
    const [forbidden, missing] = [await openWithCredits(scrip, 100n), `acct-${randomUUID()}`];
    const ended = await call(forbidden);
    expect(reasonOf(ended)).toBe(reason);
    expect(shapeOf(ended, forbidden)).toEqual(shapeOf(await call(missing), missing));
  }

  test('where the request comes too late', async () => {
    const notAfter = new Date(Date.now() - HOUR);
    await expectSame((accountId) => charge('by-label', accountId, { notAfter }));
  });

  test('where the caller has reached its limit of the day', async () => {
    const mine = await openWithCredits(scrip, 100n);
    await label(mine, { team: 'media' });
    await scrip.as('spent').billing.charge({ ...requestOf(mine), credits: 5n });
    expect(await charge('spent', mine)).toMatchObject({ reason: 'CALLER_LIMIT_REACHED' });
    await expectSame((accountId) => charge('spent', accountId));
    const granted = { category: Grant_Category.PAID, reason: 'a test' };
    await scrip.as('spent').accounts.grantCredits({ ...requestOf(mine), ...granted, credits: 5n });
    await expectSame((accountId) =>
      errorOf(scrip.as('spent').accounts.grantCredits({ ...requestOf(accountId), ...granted })),
    );
  });

  test('where the request is invalid', async () => {
    await expectSame(
      (accountId) => charge('by-label', accountId, { requestId: '', credits: -1n }),
      'INVALID_FIELD',
    );
    await expectSame((accountId) =>
      errorOf(scrip.as('by-label').accounts.listGrants({ accountId, pageToken: 'none' })),
    );
  });

  test('where the operation is not known', async () => {
    const usages = { items: [{ operation: 'no.such' }] };
    await expectSame((accountId) => charge('by-label', accountId, { credits: undefined, usages }));
  });

  test('where an account id is none', async () => {
    for (const accountId of ['', 'a\0b', 'ä', 'x'.repeat(129)])
      for (const caller of ['by-label', 'by-plan']) {
        expect(await charge(caller, accountId)).toMatchObject({ reason: 'INVALID_FIELD' });
        const read = scrip.as(caller).billing.getBalance({ accountId });
        expect(await errorOf(read)).toMatchObject({ reason: 'INVALID_FIELD' });
      }
  });
});

describe('an account leaves the scope between two calls', () => {
  test('also where it is in the cache', async () => {
    const client = scrip.as('by-label').billing;
    const accountId = await openWithCredits(scrip, 100n);
    const charge = () => ({ accountId, requestId: requestId(), credits: 1n });
    for (let round = 0; round < 3; round++) {
      await label(accountId, { team: 'media' });
      // The second and third charge find the account in the cache.
      for (let time = 0; time < 3; time++) await client.charge(charge());
      const before = await storedRows(scrip, accountId);
      // Another replica takes the label away: this one still has the account in its cache.
      await execute(
        scrip.databaseUrl,
        `update accounts set labels = '{}', version = version + 1 where account_id = $1`,
        [accountId],
      );
      expect(await errorOf(client.charge(charge()))).toMatchObject({ reason: 'ACCOUNT_NOT_FOUND' });
      expect(await errorOf(client.getBalance({ accountId }))).toMatchObject({
        reason: 'ACCOUNT_NOT_FOUND',
      });
      expect(JSON.parse(before).length).toBe(JSON.parse(await storedRows(scrip, accountId)).length);
    }
  });

  test('a replay is answered as long as the account is within it', async () => {
    const { accountId } = await givenAccount(scrip);
    const request = { accountId, requestId: requestId(), usages: { items: [INSPECT] } };
    // The request of another caller.
    const first = await scrip.billing.charge(request);
    const repeat = () => scrip.as('by-label').billing.charge(request);
    expect(await errorOf(repeat())).toMatchObject({ reason: 'ACCOUNT_NOT_FOUND' });
    await label(accountId, { team: 'media' });
    expect(await repeat()).toEqual({ ...first, replay: expect.anything() });
    await label(accountId, {});
    expect(await errorOf(repeat())).toMatchObject({ reason: 'ACCOUNT_NOT_FOUND' });
  });
});

describe('a caller cannot take an account out of its scope, or into it', () => {
  const open = (caller: string, accountId: string, planId: string, labels = {}) =>
    scrip
      .as(caller)
      .accounts.openAccount({ accountId, requestId: requestId(), planId, labels: mapOf(labels) });
  const newId = () => `acct-${randomUUID()}`;

  test('OpenAccount', async () => {
    const denied = { reason: 'CALLER_NOT_ALLOWED', metadata: { limit: 'account' } };
    const accountId = newId();
    expect(await errorOf(open('by-label', accountId, 'verts'))).toMatchObject(denied);
    expect(await errorOf(open('by-label', accountId, 'verts', { team: 'a' }))).toMatchObject(
      denied,
    );
    expect(await errorOf(open('by-plan', accountId, 'verts'))).toMatchObject(denied);
    expect(await errorOf(open('by-prefix', accountId, 'verts'))).toMatchObject(denied);
    await open('by-label', accountId, 'verts', { team: 'media' });
    await open('by-plan', newId(), 'perfectparser');
    await open('by-prefix', `mine-${randomUUID()}`, 'verts');
  });

  test('ImportAccount, and SumImports of what is imported', async () => {
    const imported = (caller: string, accountId: string, planId: string, labels = {}) =>
      scrip.as(caller).accounts.importAccount({
        ...{ accountId, requestId: requestId(), planId, labels: mapOf(labels) },
        ...{ openedAt: new Date(0), system: 'billing-v1' },
      });
    const denied = { reason: 'CALLER_NOT_ALLOWED', metadata: { limit: 'account' } };
    const accountId = newId();
    expect(await errorOf(imported('by-label', accountId, 'verts'))).toMatchObject(denied);
    expect(await errorOf(imported('by-plan', accountId, 'verts'))).toMatchObject(denied);
    expect(await errorOf(imported('by-prefix', accountId, 'verts'))).toMatchObject(denied);
    await imported('by-label', accountId, 'verts', { team: 'media' });
    const sumOf = async (caller: string, accountIds: string[]) =>
      (await scrip.as(caller).accounts.sumImports({ accountIds })).sums.map(
        ({ accounts }) => accounts,
      );
    expect(await sumOf('by-label', [accountId])).toEqual([1n]);
    expect(await sumOf('by-plan', [accountId])).toEqual([]);
    expect(await errorOf(sumOf('by-prefix', [accountId]))).toMatchObject(denied);
    const other = await openWithCredits(scrip, 100n);
    const within = imported('by-label', other, 'verts', { team: 'media' });
    expect(await errorOf(within)).toMatchObject({ reason: 'ACCOUNT_EXISTS' });
  });

  test('OpenAccount tells of other accounts only that their ids are taken', async () => {
    const [forbidden, missing] = [await openWithCredits(scrip, 100n), newId()];
    const outside = await errorOf(open('by-label', forbidden, 'verts'));
    expect(shapeOf(outside, forbidden)).toEqual(
      shapeOf(await errorOf(open('by-label', missing, 'verts')), missing),
    );
    const within = open('by-label', forbidden, 'verts', { team: 'media' });
    expect(await errorOf(within)).toMatchObject({ reason: 'ACCOUNT_EXISTS' });
    const late = (accountId: string) =>
      errorOf(
        scrip.as('by-label').accounts.openAccount({
          accountId,
          requestId: requestId(),
          planId: 'verts',
          labels: mapOf({ team: 'media' }),
          notAfter: new Date(Date.now() - HOUR),
        }),
      );
    for (const accountId of [forbidden, missing])
      expect(await late(accountId)).toMatchObject({ reason: 'REQUEST_EXPIRED' });
  });

  test('OpenAccount of another caller is not repeated for it', async () => {
    const request = { accountId: newId(), requestId: requestId(), planId: 'perfectparser' };
    const labels = mapOf({ team: 'media' });
    await scrip.accounts.openAccount({ ...request, labels });
    const repeat = () => scrip.as('by-label').accounts.openAccount({ ...request, labels });
    expect(await repeat()).toMatchObject({ replay: expect.anything() });
    await label(request.accountId, {});
    expect(await errorOf(repeat())).toMatchObject({ reason: 'ACCOUNT_EXISTS' });
  });

  test('UpdateAccount', async () => {
    const accountId = newId();
    await open('by-label', accountId, 'verts', { team: 'media' });
    const update = (labels: Readonly<Record<string, string>>) =>
      scrip.as('by-label').accounts.updateAccount({
        accountId,
        requestId: requestId(),
        labels: { labels: mapOf(labels) },
      });
    const before = await storedRows(scrip, accountId);
    for (const labels of [{}, { team: 'other' }])
      expect(await errorOf(update(labels))).toMatchObject({
        reason: 'CALLER_NOT_ALLOWED',
        metadata: { limit: 'account', account_id: accountId, method: 'UpdateAccount' },
      });
    expect(await storedRows(scrip, accountId)).toBe(before);
    await update({ team: 'media', more: 'labels' });
    // Without labels they stay as they are.
    const rename = { accountId, requestId: requestId(), displayName: 'Renamed' };
    await scrip.as('by-label').accounts.updateAccount(rename);
  });

  test('MoveAccount', async () => {
    const accountId = newId();
    await open('by-plan', accountId, 'perfectparser');
    const move = (caller: string, planId: string) =>
      scrip
        .as(caller)
        .accounts.moveAccount({ accountId, requestId: requestId(), planId, reason: 'a test' });
    const before = await storedRows(scrip, accountId);
    expect(await errorOf(move('by-plan', 'verts'))).toMatchObject({
      reason: 'CALLER_NOT_ALLOWED',
      metadata: { limit: 'account' },
    });
    expect(await storedRows(scrip, accountId)).toBe(before);
    await move('test', 'verts');
    expect(await errorOf(move('by-plan', 'perfectparser'))).toMatchObject({
      reason: 'ACCOUNT_NOT_FOUND',
    });
  });
});

describe('what concerns many accounts is limited to those of the scope', () => {
  test('ListAccounts, page by page', async () => {
    const mine: string[] = [];
    for (let index = 0; index < 5; index++) {
      const accountId = await scrip.open('verts');
      await scrip.open('verts');
      await label(accountId, { team: 'media', tier: 'gold' });
      mine.push(accountId);
    }
    const listed = await listAll('by-all');
    expect(listed).toEqual(expect.arrayContaining(mine));
    const rows = await execute(
      scrip.databaseUrl,
      `select account_id from accounts where account_id like 'acct-%' and plan_id in ('verts', 'perfectparser')
         and labels->>'team' = 'media' and labels->>'tier' = 'gold' order by account_id`,
    );
    expect(listed).toEqual(rows.map(({ account_id }) => account_id));
    expect((await listAll('test')).length).toBeGreaterThan(listed.length);
    const plans = await execute(
      scrip.databaseUrl,
      `select account_id from accounts where plan_id = 'perfectparser' order by account_id`,
    );
    expect(await listAll('by-plan')).toEqual(plans.map(({ account_id }) => account_id));
  });

  test('ListAccounts, whatever it is filtered by', async () => {
    const [mine, other] = [await scrip.open('verts'), await scrip.open('verts')];
    await label(mine, { team: 'media', tier: 'gold', of: 'both' });
    await label(other, { team: 'print', tier: 'gold', of: 'both' });
    const both = [mine, other].toSorted();
    for (const filter of [
      { labels: mapOf({ of: 'both' }) },
      { labelKeys: ['of'] },
      { labelKeys: ['of'], planId: 'verts', state: Account_State.OPEN, availableAtMost: 0n },
      { labels: mapOf({ of: 'both' }), availableAtMost: 1_000n },
    ]) {
      expect(await listAll('test', filter)).toEqual(both);
      for (const caller of ['by-label', 'by-all'])
        expect(await listAll(caller, filter)).toEqual([mine]);
      for (const caller of ['by-plan', 'by-prefix'])
        expect(await listAll(caller, filter)).toEqual([]);
    }
    expect(await listAll('by-label', { availableAtMost: 0n })).not.toContain(other);
    expect(await listAll('by-label', { labels: mapOf({ team: 'print' }) })).toEqual([]);
  });

  async function listAll(
    caller: string,
    filter: Partial<ListAccountsRequest> = {},
  ): Promise<readonly string[]> {
    const ids: string[] = [];
    for (let pageToken = ''; ; ) {
      const { listAccounts } = scrip.as(caller).accounts;
      const request = { ...filter, pageSize: 2, pageToken };
      const { accounts, nextPageToken } = await listAccounts(request);
      ids.push(...accounts.map(({ accountId }) => accountId));
      if (nextPageToken === '') return ids;
      pageToken = nextPageToken;
    }
  }

  test('StreamEvents', async () => {
    const [mine, other] = [await crossing(scrip), await crossing(scrip)];
    await label(mine, { team: 'media' });
    const eventsAs = async (caller: string, request = {}) =>
      eventsOf({ ...scrip, ...scrip.as(caller) }, request);
    await expect
      .poll(async () => (await eventsAs('test')).map(({ accountId }) => accountId))
      .toEqual(expect.arrayContaining([mine, other]));
    const seen = (await eventsAs('by-label')).map(({ accountId }) => accountId);
    expect(seen).toContain(mine);
    expect(seen).not.toContain(other);
    expect(await eventsAs('by-label', { accountId: mine })).not.toEqual([]);
    const ofPlan = (await eventsAs('by-plan')).map(({ accountId }) => accountId);
    expect(ofPlan.filter((accountId) => [mine, other].includes(accountId))).toEqual([]);
    for (const { accountId } of await eventsAs('by-prefix')) expect(accountId).toMatch(/^our-/);
  });

  test('ListDeliveries and ReplayDeadDeliveries', async () => {
    const [mine, other] = [await crossing(scrip), await crossing(scrip)];
    await label(mine, { team: 'media' });
    const idsAs = async (caller: string, request: Partial<ListDeliveriesRequest> = {}) =>
      (await scrip.as(caller).events.listDeliveries(request)).deliveries.map(
        ({ event }) => event?.accountId,
      );
    const attempted = async () =>
      (await scrip.events.listDeliveries({})).deliveries.flatMap(({ event, lastError }) =>
        lastError === '' ? [] : [event?.accountId],
      );
    await expect.poll(attempted).toEqual(expect.arrayContaining([mine, other]));
    expect(await idsAs('by-label')).toContain(mine);
    expect(await idsAs('by-label')).not.toContain(other);
    expect(await idsAs('by-plan')).not.toContain(mine);
    for (const accountId of await idsAs('by-prefix')) expect(accountId).toMatch(/^our-/);

    await execute(
      scrip.databaseUrl,
      `update deliveries set state = 'DEAD', ended_at = now(), due_at = null
       where account_id = any($1)`,
      [[mine, other]],
    );
    expect(await scrip.as('by-plan').events.replayDeadDeliveries({})).toEqual({ replayed: 0 });
    expect(await scrip.as('by-label').events.replayDeadDeliveries({})).toEqual({ replayed: 1 });
    expect(await idsAs('test', { state: Delivery_State.DEAD })).toEqual([other]);
    expect(await scrip.events.replayDeadDeliveries({})).toEqual({ replayed: 1 });
  });

  test('ExportStatements of a plan', async () => {
    const [mine, other] = [await scrip.open('aspose-cloud'), await scrip.open('aspose-cloud')];
    await label(mine, { team: 'media' });
    for (const accountId of [mine, other])
      await scrip.billing.charge({
        accountId,
        requestId: requestId(),
        usages: { items: [{ operation: 'document.convert', count: 60n }] },
      });
    const fromMonth = new Date(scrip.now()).toISOString().slice(0, 7);
    scrip.advance(40 * DAY);
    const exportAs = async (caller: string) => {
      let text = '';
      const { exportStatements } = scrip.as(caller).statements;
      for await (const { content } of exportStatements({
        of: { $case: 'planId', value: 'aspose-cloud' },
        fromMonth,
        format: ExportStatementsRequest_Format.JSON,
      }))
        text += content.toString();
      return text;
    };
    const all = await exportAs('test');
    expect([all.includes(mine), all.includes(other)]).toEqual([true, true]);
    const some = await exportAs('by-label');
    expect([some.includes(mine), some.includes(other)]).toEqual([true, false]);
  });

  test('GetUsage of a plan, and of all accounts', async () => {
    const [mine, other] = [await scrip.open('perfectparser'), await scrip.open('perfectparser')];
    await label(mine, { team: 'media' });
    for (const accountId of [mine, other])
      await scrip.billing.charge({ accountId, requestId: requestId(), credits: 5n });
    await scrip.service.countUsage();
    const groupBy = [GetUsageRequest_Dimension.ACCOUNT];
    const idsAs = async (caller: string, request: Partial<GetUsageRequest>) => {
      const { rows } = await scrip.as(caller).statements.getUsage({ groupBy, ...request });
      return rows.map(({ accountId }) => accountId);
    };
    const ofPlan = { of: { $case: 'planId', value: 'perfectparser' } } as const;
    for (const request of [ofPlan, {}]) {
      expect(await idsAs('test', request)).toEqual(expect.arrayContaining([mine, other]));
      const some = await idsAs('by-label', request);
      expect([some.includes(mine), some.includes(other)]).toEqual([true, false]);
    }
  });

  test('GetRollForward sums the accounts that the caller may see', async () => {
    const [mine, other] = [await scrip.open('verts'), await scrip.open('verts')];
    await label(mine, { team: 'media' });
    for (const [accountId, credits] of [
      [mine, 7n],
      [other, 1_000_000n],
    ] as const)
      await grant(scrip, accountId, credits, { category: Grant_Category.ADJUSTMENT });
    const month = new Date(scrip.now()).toISOString().slice(0, 7);
    const issuedAs = async (caller: string) => {
      const request = { month, planId: 'verts' };
      const { rows } = await scrip.as(caller).statements.getRollForward(request);
      return rows.reduce((sum, { issued }) => sum + (issued?.credits ?? 0n), 0n);
    };
    expect(await issuedAs('test')).toBeGreaterThanOrEqual(1_000_007n);
    const some = await issuedAs('by-label');
    expect(some).toBeGreaterThanOrEqual(7n);
    expect(some).toBeLessThan(1_000_000n);
  });
});

test('where the clock cannot be trusted, a forbidden account is still answered as a missing one', async () => {
  const database = { time: Date.UTC(2031, 4, 10, 12) };
  const host = new HostClocks(database);
  const own = await startPoliced(RULES, { sources: host.sources });
  try {
    const accountId = await openWithCredits(own, 100n);
    const request = { accountId, requestId: requestId(), credits: 10n };
    await own.billing.reserve(request);
    database.time += DAY;
    host.elapse(DAY);
    host.wall += 90 * DAY;
    await own.service.compareClocks();
    // Its reservation has expired, so that nothing new can be decided.
    const fresh = { ...request, requestId: requestId() };
    expect(await errorOf(own.billing.reserve(fresh))).toMatchObject({ reason: 'CLOCK_UNRELIABLE' });
    expect(await own.billing.reserve(request)).toMatchObject({ replay: expect.anything() });
    for (const asked of [request, fresh])
      expect(await errorOf(own.as('by-label').billing.reserve(asked))).toMatchObject({
        reason: 'ACCOUNT_NOT_FOUND',
      });
  } finally {
    await own.stop();
  }
});
