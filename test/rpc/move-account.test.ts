import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Entry_Kind } from '../../src/gen/billing/v1/ledger.ts';
import { mapOf } from '../../src/map-of.ts';
import { verify } from '../../src/verify/verify.ts';
import {
  balanceOf,
  defined,
  entriesOf,
  grant,
  newestEntry,
  openWithCredits,
  reserveCredits,
  storedRows,
} from '../accounts.ts';
import { planIn } from '../pricing/fixtures.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

const plan = (planId: string, credits: number, terms = '') =>
  planIn(`
plan_id: ${planId}
title: ${planId}
terms:
  low_balance_threshold: 0
${terms}
packs:
  - { pack_id: ${planId}-pack, title: Pack, credits: 100, price: 10 USD, validity: never }
operations:
  job: { title: Job, billable: true, components: [{ kind: flat, label: Job, credits: ${credits} }] }
  ${planId}.only: { title: Job, billable: true, components: [{ kind: flat, label: Job, credits: 1 }] }
`);

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService({
    plans: [
      plan('small', 5, '  welcome: { credits: 20, validity: never }'),
      plan('large', 2, '  welcome: { credits: 50, validity: never }'),
      plan('postpaid', 1, '  overage: { limit: 100 }'),
    ],
  });
});
afterAll(async () => {
  expect(await verify(scrip.databaseUrl)).toMatchObject({ ok: true });
  await scrip.stop();
});

const usages = { items: [{ operation: 'job' }] };
const move = (accountId: string, planId: string, more: object = {}) =>
  scrip.accounts.moveAccount({
    reason: 'a test',
    accountId,
    requestId: requestId(),
    planId,
    ...more,
  });

describe('MoveAccount', () => {
  test('returns the account under its new plan, as all reads do', async () => {
    const accountId = await scrip.open('small');
    const labels = mapOf({ ticket: '17' });
    const moved = await move(accountId, 'large', { reference: 'contract 9', labels });
    expect(moved).toMatchObject({
      account: { accountId, planId: 'large' },
      balance: { remaining: 20n, seq: 3n },
      entrySeq: 3n,
    });
    const { account } = await scrip.accounts.getAccount({ accountId });
    expect(account).toEqual(moved.account);
    const idsOf = async (planId: string) =>
      (await scrip.accounts.listAccounts({ planId })).accounts.map((of) => of.accountId);
    expect(await idsOf('large')).toContain(accountId);
    expect(await idsOf('small')).not.toContain(accountId);
    expect(await newestEntry(scrip, accountId)).toMatchObject({
      kind: Entry_Kind.PLAN_CHANGE,
      moves: [],
      credits: 0n,
      remainingAfter: 20n,
      planId: 'large',
      previousPlanId: 'small',
      rateCardVersion: 0n,
      reference: 'contract 9',
      labels,
      caller: 'test',
    });
  });

  test('applies the prices and packs of the new plan', async () => {
    const accountId = await scrip.open('small');
    await move(accountId, 'large');
    const named = () => ({ accountId, requestId: requestId() });
    expect((await scrip.billing.estimate({ accountId, usages })).credits).toBe(2n);
    expect((await scrip.billing.charge({ ...named(), usages })).credits).toBe(2n);
    const old = scrip.billing.charge({
      ...named(),
      usages: { items: [{ operation: 'small.only' }] },
    });
    expect(await errorOf(old)).toMatchObject({ reason: 'UNKNOWN_OPERATION' });
    const buy = (packId: string) =>
      scrip.billing.purchase({
        ...named(),
        packId,
        payment: { $case: 'paymentReference', value: packId },
      });
    expect((await buy('large-pack')).balance?.remaining).toBe(118n);
    expect(await errorOf(buy('small-pack'))).toMatchObject({
      reason: 'PACK_NOT_FOUND',
      metadata: { plan_id: 'large' },
    });
  });

  test('keeps the prices of open reservations', async () => {
    const accountId = await scrip.open('small');
    await grant(scrip, accountId, 100n);
    const named = () => ({ accountId, requestId: requestId() });
    const reserve = async (operation: string) =>
      defined(
        (await scrip.billing.reserve({ ...named(), usages: { items: [{ operation }] } }))
          .reservation,
      );
    const [job, only, late] = [
      await reserve('job'),
      await reserve('small.only'),
      await reserve('job'),
    ];
    await move(accountId, 'large');
    const { reservation } = await scrip.billing.getReservation({
      accountId,
      reservationId: job.reservationId,
    });
    expect(reservation).toEqual(job);
    expect(reservation).toMatchObject({ planId: 'small', rateCardVersion: 1n });
    const commit = (of: typeof job, operation: string) =>
      scrip.billing.commit({
        ...named(),
        reservationId: of.reservationId,
        usages: { items: [{ operation }] },
      });
    expect((await commit(job, 'job')).committed).toBe(5n);
    // Also for an operation that only the old plan has.
    expect((await commit(only, 'small.only')).committed).toBe(1n);
    const wrong = commit(late, 'large.only');
    expect(await errorOf(wrong)).toMatchObject({ reason: 'UNKNOWN_OPERATION' });
    await scrip.billing.release({ ...named(), reservationId: late.reservationId });
    const commits = await entriesOf(scrip, accountId, { kinds: [Entry_Kind.COMMIT] });
    expect(commits.map(({ planId }) => planId)).toEqual(['small', 'small']);
  });

  test('applies to later mutations of the same batch', async () => {
    const accountId = await scrip.open('small');
    const account = () => ({ accountId, requestId: requestId() });
    const reason = 'a test';
    const charge = () => ({
      mutation: { $case: 'charge' as const, value: { ...account(), usages } },
    });
    const { results } = await scrip.billing.batch({
      mutations: [
        charge(),
        { mutation: { $case: 'moveAccount', value: { ...account(), planId: 'large', reason } } },
        charge(),
        { mutation: { $case: 'moveAccount', value: { ...account(), planId: 'postpaid', reason } } },
        charge(),
      ],
    });
    expect(results.map(({ result }) => result)).toMatchObject([
      { $case: 'charge', value: { credits: 5n } },
      { $case: 'moveAccount', value: { account: { planId: 'large' } } },
      { $case: 'charge', value: { credits: 2n } },
      { $case: 'moveAccount', value: { balance: { overageLimit: 100n } } },
      { $case: 'charge', value: { credits: 1n } },
    ]);
  });

  test('to the present plan writes only the request', async () => {
    const accountId = await scrip.open('small');
    const before = await entriesOf(scrip, accountId);
    const answer = await move(accountId, 'small');
    expect(answer).toMatchObject({ account: { planId: 'small' }, entrySeq: 0n });
    expect(await entriesOf(scrip, accountId)).toEqual(before);
  });

  test('fails for an unknown plan and changes nothing', async () => {
    const accountId = await scrip.open('small');
    const rows = await storedRows(scrip, accountId);
    expect(await errorOf(move(accountId, 'gold'))).toMatchObject({
      code: status.NOT_FOUND,
      reason: 'PLAN_NOT_FOUND',
      metadata: { plan_id: 'gold' },
    });
    expect((await errorOf(move(accountId, ''))).fields).toEqual(['plan_id']);
    expect(await storedRows(scrip, accountId)).toBe(rows);
  });

  test('from a postpaid to a prepaid plan fails while reservations hold overage', async () => {
    const accountId = await openWithCredits(scrip, 10n, 'postpaid');
    await scrip.billing.charge({ accountId, requestId: requestId(), credits: 30n });
    const reservationId = await reserveCredits(scrip, accountId, 7n);
    expect(await errorOf(move(accountId, 'small'))).toMatchObject({
      code: status.FAILED_PRECONDITION,
      reason: 'OVERAGE_RESERVED',
      metadata: { account_id: accountId, plan_id: 'small', reserved: '7' },
    });
    await scrip.billing.commit({ accountId, requestId: requestId(), reservationId, all: true });
    await move(accountId, 'small');
    expect(await balanceOf(scrip, accountId)).toMatchObject({ overage: 27n, overageLimit: 0n });
    const charge = scrip.billing.charge({ accountId, requestId: requestId(), credits: 1n });
    expect(await errorOf(charge)).toMatchObject({ reason: 'INSUFFICIENT_CREDITS' });
  });

  test('to a plan that another replica has published since succeeds', async () => {
    const accountId = await scrip.open('small');
    const { databaseUrl } = scrip;
    const other = await startTestService({ databaseUrl, plans: [plan('brought', 3)] });
    await move(accountId, 'brought');
    expect((await scrip.billing.estimate({ accountId, usages })).credits).toBe(3n);
    await other.stop();
  });

  test('can run concurrently with charges: each is priced by the plan at its time', async () => {
    const accountId = await scrip.open('small');
    await grant(scrip, accountId, 1_000n);
    const charge = () => scrip.billing.charge({ accountId, requestId: requestId(), usages });
    const charges = await Promise.all([
      ...Array.from({ length: 20 }, charge),
      move(accountId, 'large'),
      ...Array.from({ length: 20 }, charge),
    ]);
    const credits = charges.flatMap((answer) => ('credits' in answer ? [answer.credits] : []));
    const spent = credits.reduce((sum, some) => sum + some, 0n);
    expect((await balanceOf(scrip, accountId)).remaining).toBe(1_020n - spent);
    const entries = await entriesOf(scrip, accountId);
    const moved = entries.findIndex(({ kind }) => kind === Entry_Kind.PLAN_CHANGE);
    entries.forEach(({ kind, credits }, index) => {
      if (kind === Entry_Kind.CHARGE) expect(credits).toBe(index < moved ? 5n : 2n);
    });
  });
});
