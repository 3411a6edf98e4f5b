/** Entries say on whose behalf a caller acted, and why an operator did something. */
import { Metadata, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Entry_Kind, Grant_Category } from '../../src/gen/billing/v1/ledger.ts';
import { mapOf } from '../../src/map-of.ts';
import { verify } from '../../src/verify/verify.ts';
import { DAY, entriesOf, grant, newestEntry, openWithCredits, storedRows } from '../accounts.ts';
import { planIn } from '../pricing/fixtures.ts';
import { errorOf } from '../rpc-error.ts';
import { plansOfDeploy, requestId, startTestService, type TestService } from '../service.ts';

const ANEW = planIn(`
plan_id: anew
title: Refunds expired credits as new ones
terms:
  refund_expired: new_grant
  welcome: { credits: 5, validity: never }
packs:
  - { pack_id: large, title: Large, credits: 1000, price: 10.00 USD, validity: never }
operations:
  job:
    title: Job
    billable: true
    components: [{ kind: flat, label: Job, credits: 1 }]
`);

let scrip: TestService;
/** Another replica on the same database. */
let twin: TestService;
beforeAll(async () => {
  scrip = await startTestService({ plans: [...(await plansOfDeploy()), ANEW] });
  twin = await startTestService({ databaseUrl: scrip.databaseUrl });
});
afterAll(async () => {
  expect(await verify(scrip.databaseUrl)).toMatchObject({ ok: true });
  await twin.stop();
  await scrip.stop();
});

function onBehalfOf(name: string): { readonly metadata: Metadata } {
  const metadata = new Metadata();
  metadata.set('x-on-behalf-of', name);
  return { metadata };
}

const named = (accountId: string) => ({ accountId, requestId: requestId() });

/** By their methods: what asks for a reason, on an account of 100 credits of which 10 are charged. */
const WITH_REASON = {
  GrantCredits: (accountId: string, reason: string) =>
    scrip.accounts.grantCredits({
      ...named(accountId),
      credits: 1n,
      category: Grant_Category.ADJUSTMENT,
      reason,
    }),
  Refund: (accountId: string, reason: string) =>
    scrip.billing.refund({ ...named(accountId), seq: 3n, credits: 1n, reason }),
  MoveAccount: (accountId: string, reason: string) =>
    scrip.accounts.moveAccount({ ...named(accountId), planId: 'perfectparser', reason }),
};

describe.each(Object.entries(WITH_REASON))('%s', (_, call) => {
  const open = async () => {
    const accountId = await openWithCredits(scrip, 100n);
    await scrip.billing.charge({ ...named(accountId), credits: 10n });
    return accountId;
  };

  test.each([
    ['none', ''],
    ['257 characters', 'x'.repeat(257)],
    ['a control character', 'be\u0007cause'],
  ])('with %s as its reason is refused, and nothing is written', async (_what, reason) => {
    const accountId = await open();
    const rows = await storedRows(scrip, accountId);
    expect(await errorOf(call(accountId, reason))).toMatchObject({
      code: status.INVALID_ARGUMENT,
      reason: 'INVALID_FIELD',
      fields: ['reason'],
    });
    expect(await storedRows(scrip, accountId)).toBe(rows);
  });

  test.each([
    ['a sentence', 'a call of Ann Müller, ticket 17'],
    ['256 characters', '😀'.repeat(256)],
  ])(
    'has %s as its reason in the details of its entry, on every replica',
    async (_what, reason) => {
      const accountId = await open();
      await call(accountId, reason);
      for (const replica of [scrip, twin])
        expect((await newestEntry(replica, accountId)).details.get('reason')).toBe(reason);
    },
  );
});

test('a reason is part of the content of a request', async () => {
  const accountId = await openWithCredits(scrip, 100n);
  const request = { ...named(accountId), planId: 'perfectparser', reason: 'one' };
  await scrip.accounts.moveAccount(request);
  expect(await errorOf(scrip.accounts.moveAccount({ ...request, reason: 'two' }))).toMatchObject({
    reason: 'REQUEST_ID_REUSED',
  });
});

test('a call that changes nothing needs a reason, and keeps none', async () => {
  const accountId = await openWithCredits(scrip, 100n);
  const request = () => ({ ...named(accountId), planId: 'verts', reason: 'again' });
  expect(await scrip.accounts.moveAccount(request())).toMatchObject({ entrySeq: 0n });
  expect(await errorOf(scrip.accounts.moveAccount({ ...request(), reason: '' }))).toMatchObject({
    fields: ['reason'],
  });
});

describe('x-on-behalf-of', () => {
  test('is on every entry of the call, and on no other', async () => {
    const accountId = `acct-${requestId()}`;
    const ann = onBehalfOf('user:ann');
    await scrip.accounts.openAccount({ ...named(accountId), planId: 'anew' }, ann);
    await grant(scrip, accountId, 10n, { expiresAt: new Date(scrip.now() + DAY) });
    const charge = { ...named(accountId), credits: 10n };
    const { entrySeq: seq } = await scrip.billing.charge(charge, onBehalfOf('user:bob'));
    for (const service of [scrip, twin]) service.advance(2 * DAY);
    const refund = { ...named(accountId), seq, all: true, reason: 'a complaint' };
    await scrip.billing.refund(refund, ann);
    await scrip.accounts.closeAccount(named(accountId));
    const said = (await entriesOf(twin, accountId)).map((entry) => [
      entry.kind,
      entry.onBehalfOf,
      entry.details.get('reason'),
    ]);
    expect(said).toEqual([
      [Entry_Kind.OPEN_ACCOUNT, 'user:ann', undefined],
      [Entry_Kind.GRANT, 'user:ann', undefined],
      [Entry_Kind.GRANT, '', 'a test'],
      [Entry_Kind.CHARGE, 'user:bob', undefined],
      [Entry_Kind.REFUND, 'user:ann', 'a complaint'],
      [Entry_Kind.GRANT, 'user:ann', undefined],
      [Entry_Kind.CLOSE_ACCOUNT, '', undefined],
    ]);
  });

  test('of a Batch is on the entries of all its mutations', async () => {
    const accounts = [await openWithCredits(scrip, 9n), await openWithCredits(scrip, 9n)];
    const mutations = accounts.map((accountId) => ({
      mutation: { $case: 'charge' as const, value: { ...named(accountId), credits: 1n } },
    }));
    await scrip.billing.batch({ mutations }, onBehalfOf('user:ann'));
    for (const accountId of accounts)
      expect(await newestEntry(scrip, accountId)).toMatchObject({
        kind: Entry_Kind.CHARGE,
        caller: 'test',
        onBehalfOf: 'user:ann',
      });
  });

  test('is not part of the content of a request: the first name stays', async () => {
    const accountId = await openWithCredits(scrip, 9n);
    const charge = { ...named(accountId), credits: 1n };
    const first = await scrip.billing.charge(charge, onBehalfOf('user:ann'));
    for (const { billing } of [scrip, twin])
      for (const options of [onBehalfOf('user:bob'), {}])
        expect(await billing.charge(charge, options)).toMatchObject({ ...first, replay: {} });
    expect((await entriesOf(scrip, accountId)).slice(2)).toMatchObject([
      { onBehalfOf: 'user:ann' },
    ]);
  });

  test.each(['a'.repeat(128), '!', '~'])('may be %s', async (name) => {
    const accountId = await openWithCredits(scrip, 9n);
    await scrip.billing.charge({ ...named(accountId), credits: 1n }, onBehalfOf(name));
    expect(await newestEntry(scrip, accountId)).toMatchObject({ onBehalfOf: name });
  });

  test.each([
    ['of 129 characters', 'a'.repeat(129)],
    ['with a space', 'user ann'],
  ])('%s is refused, and nothing is written', async (_what, name) => {
    const accountId = await openWithCredits(scrip, 9n);
    const rows = await storedRows(scrip, accountId);
    const charge = scrip.billing.charge({ ...named(accountId), credits: 1n }, onBehalfOf(name));
    expect(await errorOf(charge)).toMatchObject({
      code: status.INVALID_ARGUMENT,
      reason: 'INVALID_FIELD',
      fields: ['x-on-behalf-of'],
    });
    expect(await storedRows(scrip, accountId)).toBe(rows);
  });

  test('given twice is refused', async () => {
    const accountId = await openWithCredits(scrip, 9n);
    const options = onBehalfOf('user:ann');
    options.metadata.add('x-on-behalf-of', 'user:bob');
    const charge = scrip.billing.charge({ ...named(accountId), credits: 1n }, options);
    expect(await errorOf(charge)).toMatchObject({ fields: ['x-on-behalf-of'] });
  });
});

test('labels, a reason and on whose behalf are apart, whatever a label is called', async () => {
  const accountId = await openWithCredits(scrip, 9n);
  const labels = mapOf({ reason: 'a label', on_behalf_of: 'a label', labels: 'a label' });
  const granted = { ...named(accountId), credits: 1n, category: Grant_Category.PAID, labels };
  await scrip.accounts.grantCredits({ ...granted, reason: 'why' }, onBehalfOf('user:ann'));
  for (const replica of [scrip, twin]) {
    const entry = await newestEntry(replica, accountId);
    expect(entry).toMatchObject({ labels, onBehalfOf: 'user:ann' });
    expect(entry.details.get('reason')).toBe('why');
  }
});
