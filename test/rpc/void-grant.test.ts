import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { VoidGrantRequest_Returned } from '../../src/gen/billing/v1/account_service.ts';
import { Bucket_Kind, Entry_Kind, Grant_State } from '../../src/gen/billing/v1/ledger.ts';
import { mapOf } from '../../src/map-of.ts';
import {
  balanceOf,
  defined,
  entriesOf,
  grant,
  HOUR,
  newestEntry,
  openWithCredits,
  reserveCredits,
} from '../accounts.ts';
import { eventsOf } from '../events/given.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService();
});
afterAll(() => scrip.stop());

type VoidRequest = Parameters<TestService['accounts']['voidGrant']>[0];
const voidGrant = (accountId: string, request: VoidRequest = {}) =>
  scrip.accounts.voidGrant({
    accountId,
    requestId: requestId(),
    grantId: 1n,
    reason: 'granted twice',
    ...request,
  });
const { KEEP, VOID } = VoidGrantRequest_Returned;

async function grantOf(accountId: string, grantId = 1n) {
  const { grants } = await scrip.accounts.listGrants({ accountId });
  return defined(grants.find((one) => one.grantId === grantId));
}

describe('VoidGrant', () => {
  test('voids what is available, with who and why in the history', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const labels = mapOf({ by: 'ann' });
    const response = await voidGrant(accountId, { all: true, reference: 'ticket 9', labels });
    expect(response).toMatchObject({
      voided: 100n,
      voidOnReturn: 0n,
      grant: { state: Grant_State.VOIDED, remaining: 0n, voided: 100n, voidOnReturn: 0n },
      balance: { remaining: 0n, available: 0n, usable: 0n },
    });
    expect(await newestEntry(scrip, accountId)).toMatchObject({
      seq: response.entrySeq,
      kind: Entry_Kind.VOID_GRANT,
      grantId: 1n,
      credits: 100n,
      remainingAfter: 0n,
      caller: 'test',
      reference: 'ticket 9',
      labels,
      details: mapOf({ reason: 'granted twice' }),
      moves: [
        {
          from: { kind: Bucket_Kind.GRANT_AVAILABLE, grantId: 1n },
          to: { kind: Bucket_Kind.VOIDED, grantId: 0n },
          credits: 100n,
        },
      ],
    });
    expect(await grantOf(accountId)).toEqual(response.grant);
  });

  test('repeated under one request id has one effect and one answer', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const request = { requestId: requestId(), credits: 30n };
    const first = await voidGrant(accountId, request);
    const again = await Promise.all(Array.from({ length: 8 }, () => voidGrant(accountId, request)));
    for (const { replay, ...response } of again) {
      expect(replay).toBeDefined();
      expect({ ...response, replay: undefined }).toEqual(first);
    }
    const reused = await errorOf(voidGrant(accountId, { ...request, credits: 31n }));
    expect(reused.reason).toBe('REQUEST_ID_REUSED');
    expect((await balanceOf(scrip, accountId)).remaining).toBe(70n);
  });

  test.each<readonly [string, VoidRequest, string]>([
    ['no amount', {}, 'credits'],
    ['two amounts', { credits: 1n, all: true }, 'credits'],
    ['0 credits', { credits: 0n }, 'credits'],
    ['all: false', { all: false }, 'all'],
    ['no grant', { grantId: 0n, all: true }, 'grant_id'],
    ['no reason', { all: true, reason: '' }, 'reason'],
    ['another choice for what returns', { all: true, returned: 7 as typeof VOID }, 'returned'],
  ])('is refused with %s', async (_, request, field) => {
    const accountId = await openWithCredits(scrip, 10n);
    const { reason, fields } = await errorOf(voidGrant(accountId, request));
    expect([reason, fields[0]]).toEqual(['INVALID_FIELD', field]);
  });

  test('never reaches the grant of another account, and changes nothing if it fails', async () => {
    const [owner, other] = [await openWithCredits(scrip, 10n), await scrip.open('verts')];
    const failures = [
      voidGrant(other, { all: true }),
      voidGrant(owner, { grantId: 2n, all: true }),
      voidGrant(owner, { credits: 11n }),
    ];
    const reasons = await Promise.all(failures.map(async (call) => (await errorOf(call)).reason));
    expect(reasons).toEqual(['GRANT_NOT_FOUND', 'GRANT_NOT_FOUND', 'EXCEEDS_GRANT']);
    expect((await entriesOf(scrip, owner)).map(({ kind }) => kind)).toEqual([
      Entry_Kind.OPEN_ACCOUNT,
      Entry_Kind.GRANT,
    ]);
    expect(await grantOf(owner)).toMatchObject({ remaining: 10n, voided: 0n });
  });

  test('finds a grant that burns last among many', async () => {
    const accountId = await scrip.open('verts');
    for (let priority = 1; priority <= 12; priority++)
      await grant(scrip, accountId, 5n, { priority });
    await voidGrant(accountId, { grantId: 12n, all: true });
    await scrip.billing.charge({ accountId, requestId: requestId(), credits: 55n });
    const denied = scrip.billing.charge({ accountId, requestId: requestId(), credits: 1n });
    expect((await errorOf(denied)).reason).toBe('INSUFFICIENT_CREDITS');
  });

  test('cancels a grant that is not effective yet', async () => {
    const accountId = await scrip.open('verts');
    await grant(scrip, accountId, 20n, { effectiveAt: new Date(scrip.now() + HOUR) });
    await grant(scrip, accountId, 20n, { effectiveAt: new Date(scrip.now() + HOUR) });
    await voidGrant(accountId, { all: true });
    await voidGrant(accountId, { grantId: 2n, credits: 5n });
    scrip.advance(2 * HOUR);
    expect((await balanceOf(scrip, accountId)).remaining).toBe(15n);
  });

  test('tells subscribers', async () => {
    const accountId = await openWithCredits(scrip, 10n);
    await reserveCredits(scrip, accountId, 4n);
    await voidGrant(accountId, { all: true, returned: VOID });
    const types = ['grant.voided'];
    const data = mapOf({ grant_id: '1', credits: '6', void_on_return: '4', category: 'PAID' });
    await vi.waitFor(async () => {
      expect(await eventsOf(scrip, { accountId, types })).toMatchObject([{ data }]);
    }, 30_000);
  });

  test('goes in a batch', async () => {
    const accountId = await openWithCredits(scrip, 10n);
    const named = { accountId, requestId: requestId(), grantId: 1n, reason: 'why' };
    const { results } = await scrip.billing.batch({
      mutations: [{ mutation: { $case: 'voidGrant', value: { ...named, credits: 3n } } }],
    });
    expect(results[0]?.result).toMatchObject({ $case: 'voidGrant', value: { voided: 3n } });
  });
});

describe('what a reservation holds', () => {
  test.each([
    ['comes back by default', KEEP, 40n, { state: Grant_State.OPEN, voided: 60n }],
    ['is voided as it comes back', VOID, 0n, { state: Grant_State.VOIDED, voided: 100n }],
  ])('stays with its job, and %s', async (_, returned, remaining, after) => {
    const accountId = await openWithCredits(scrip, 100n);
    const reservationId = await reserveCredits(scrip, accountId, 40n);
    const { voided, balance } = await voidGrant(accountId, { all: true, returned });
    expect([voided, balance?.remaining, balance?.reserved]).toEqual([60n, 40n, 40n]);
    await scrip.billing.release({ accountId, requestId: requestId(), reservationId });
    expect((await balanceOf(scrip, accountId)).remaining).toBe(remaining);
    expect(await grantOf(accountId)).toMatchObject({ ...after, voidOnReturn: 0n });
  });

  test('is voided by a refund, which says so', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const reservationId = await reserveCredits(scrip, accountId, 100n);
    await voidGrant(accountId, { all: true, returned: VOID });
    const named = () => ({ accountId, requestId: requestId() });
    const { entrySeq } = await scrip.billing.commit({ ...named(), reservationId, all: true });
    const refund = { ...named(), seq: entrySeq, credits: 30n, reason: 'blank' };
    expect(await scrip.billing.refund(refund)).toMatchObject({
      refunded: 30n,
      voided: 30n,
      expired: 0n,
      balance: { remaining: 0n },
    });
  });
});
