import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Entry_Kind, Grant_State } from '../../src/gen/billing/v1/ledger.ts';
import { mapOf } from '../../src/map-of.ts';
import {
  balanceOf,
  defined,
  grant,
  HOUR,
  INSPECT,
  newestEntry,
  openWithCredits,
  reserveCredits,
  UPSCALE,
} from '../accounts.ts';
import { expectSoundLedger } from '../cluster/audit.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService();
});
afterAll(async () => {
  await expectSoundLedger(scrip.databaseUrl);
  await scrip.stop();
});

type UpdateRequest = Parameters<TestService['accounts']['updateGrant']>[0];
const updateGrant = (accountId: string, request: UpdateRequest) =>
  scrip.accounts.updateGrant({
    ...{ accountId, requestId: requestId(), grantId: 1n, reason: 'as agreed' },
    ...request,
  });
const charge = (accountId: string, credits: bigint) =>
  scrip.billing.charge({ accountId, requestId: requestId(), credits });
const inspect = (accountId: string) =>
  scrip.billing.charge({ accountId, requestId: requestId(), usages: { items: [INSPECT] } });

describe('UpdateGrant', () => {
  test('changes terms, with the old and the new ones in the history', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const expiresAt = new Date(scrip.now() + 9 * HOUR);
    const operations = { onlyFor: { operations: ['image.upscale', 'file.inspect'] } };
    const response = await updateGrant(accountId, {
      ...{ priority: 7, expiry: { expiresAt }, operations, reference: 'ticket 9' },
    });
    expect(response.grant).toMatchObject({
      priority: 7,
      expiresAt,
      operations: ['file.inspect', 'image.upscale'],
      state: Grant_State.OPEN,
      remaining: 100n,
    });
    expect(response.balance).toMatchObject({ remaining: 100n, available: 0n });
    expect(await newestEntry(scrip, accountId)).toMatchObject({
      seq: response.entrySeq,
      kind: Entry_Kind.UPDATE_GRANT,
      grantId: 1n,
      credits: 0n,
      caller: 'test',
      reference: 'ticket 9',
      moves: [],
      details: mapOf({
        reason: 'as agreed',
        priority: '7',
        previous_priority: '50',
        expires_at: expiresAt.toISOString(),
        previous_expires_at: 'never',
        operations: 'file.inspect,image.upscale',
        previous_operations: '',
      }),
    });
  });

  test('repeated under one request id has one effect; asking for the same anew has none', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const request = { requestId: requestId(), priority: 7 };
    const { entrySeq } = await updateGrant(accountId, request);
    expect(await updateGrant(accountId, request)).toMatchObject({ entrySeq, replay: {} });
    expect(await updateGrant(accountId, { priority: 7 })).toMatchObject({ entrySeq: 0n });
    const { reason } = await errorOf(updateGrant(accountId, { ...request, priority: 8 }));
    expect(reason).toBe('REQUEST_ID_REUSED');
  });

  test.each<readonly [string, UpdateRequest, string]>([
    ['nothing to change', {}, 'priority'],
    ['a priority above 100', { priority: 101 }, 'priority'],
    ['an expiry in the past', { expiry: { expiresAt: new Date(0) } }, 'expiry.expires_at'],
    ['no operation', { operations: { onlyFor: {} } }, 'operations.only_for.operations'],
    ['no reason', { priority: 1, reason: '' }, 'reason'],
    ['no grant', { priority: 1, grantId: 0n }, 'grant_id'],
  ])('is refused with %s', async (_, request, field) => {
    const accountId = await openWithCredits(scrip, 10n);
    const { reason, fields } = await errorOf(updateGrant(accountId, request));
    expect([reason, fields[0]]).toEqual(['INVALID_FIELD', field]);
  });

  test('moves a grant from the end of many to the front, and back', async () => {
    const accountId = await scrip.open('verts');
    for (let priority = 1; priority <= 40; priority++)
      await grant(scrip, accountId, 5n, { priority });
    const paidBy = async () => (await charge(accountId, 1n)).split[0]?.source?.value;
    expect(await paidBy()).toBe(1n);
    await updateGrant(accountId, { grantId: 40n, priority: 0 });
    expect(await paidBy()).toBe(40n);
    await updateGrant(accountId, { grantId: 40n, priority: 90 });
    await updateGrant(accountId, { grantId: 1n, priority: 91 });
    expect(await paidBy()).toBe(2n);
    const { split } = await charge(accountId, 195n);
    const payers = split.map(({ source }) => source?.value);
    expect([payers.at(0), payers.at(-2), payers.at(-1)]).toEqual([2n, 40n, 1n]);
  });

  test('moves the expiry, which the sweeper follows', async () => {
    const accountId = await scrip.open('verts');
    await grant(scrip, accountId, 10n, { expiresAt: new Date(scrip.now() + HOUR) });
    await updateGrant(accountId, { expiry: { expiresAt: new Date(scrip.now() + 3 * HOUR) } });
    scrip.advance(2 * HOUR);
    await scrip.service.sweep();
    expect((await balanceOf(scrip, accountId)).remaining).toBe(10n);
    await updateGrant(accountId, { expiry: { expiresAt: new Date(scrip.now() + HOUR) } });
    scrip.advance(HOUR);
    await scrip.service.sweep();
    expect((await newestEntry(scrip, accountId)).kind).toBe(Entry_Kind.GRANT_EXPIRED);
    const { reason, metadata } = await errorOf(updateGrant(accountId, { expiry: {} }));
    expect([reason, metadata['state']]).toEqual(['GRANT_ENDED', 'EXPIRED']);
  });

  test('limits what credits pay for, unless jobs hold them', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const onlyUpscale = { operations: { onlyFor: { operations: ['image.upscale'] } } };
    const reservationId = await reserveCredits(scrip, accountId, 10n);
    expect((await errorOf(updateGrant(accountId, onlyUpscale))).reason).toBe('GRANT_RESERVED');
    const named = () => ({ accountId, requestId: requestId() });
    await scrip.billing.release({ ...named(), reservationId });
    await updateGrant(accountId, onlyUpscale);
    expect((await errorOf(inspect(accountId))).reason).toBe('INSUFFICIENT_CREDITS');
    const held = await scrip.billing.reserve({ ...named(), usages: { items: [UPSCALE] } });
    await updateGrant(accountId, { operations: {} });
    await inspect(accountId);
    const { reservationId: running } = defined(held.reservation);
    await scrip.billing.commit({ ...named(), reservationId: running, all: true });
    expect((await balanceOf(scrip, accountId)).available).toBe(89n);
  });

  test('races with charges: each is paid in the order that held when it was decided', async () => {
    const accountId = await scrip.open('verts');
    await grant(scrip, accountId, 60n, { priority: 10 });
    await grant(scrip, accountId, 60n, { priority: 20 });
    await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        index % 4 === 0
          ? updateGrant(accountId, { priority: index % 8 === 0 ? 30 : 10 })
          : charge(accountId, 2n),
      ),
    );
    expect((await balanceOf(scrip, accountId)).remaining).toBe(60n);
    const order = [10, 20];
    for await (const { entries } of scrip.billing.streamHistory({ accountId }))
      for (const { kind, details, split } of entries)
        if (kind === Entry_Kind.UPDATE_GRANT) order[0] = Number(details.get('priority'));
        else if (kind === Entry_Kind.CHARGE)
          expect(split[0]?.source?.value).toBe(order[0]! < order[1]! ? 1n : 2n);
  });
});
