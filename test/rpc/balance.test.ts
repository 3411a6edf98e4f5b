import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Entry_Kind, Grant_Category, Grant_State } from '../../src/gen/billing/v1/ledger.ts';
import {
  balanceOf,
  DAY,
  defined,
  entriesOf,
  grant,
  HOUR,
  MINUTE,
  newestEntry,
  openWithCredits,
  reserveCredits,
  storedRows,
} from '../accounts.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService();
});
afterAll(() => scrip.stop());

describe('GetBalance', () => {
  test('returns the remaining, reserved and available credits', async () => {
    const accountId = await openWithCredits(scrip, 700n);
    await reserveCredits(scrip, accountId, 150n);
    const before = scrip.now();
    const { balance, grants } = await scrip.billing.getBalance({ accountId });
    const asOf = defined(balance?.asOf);
    expect(balance).toEqual({
      remaining: 700n,
      reserved: 150n,
      available: 550n,
      overage: 0n,
      overageLimit: 0n,
      owed: 0n,
      lowBalance: false,
      levels: [{ threshold: 500n, low: false }],
      usable: 700n,
      limited: [],
      pauseFloor: 0n,
      nextExpiry: undefined,
      seq: 3n,
      asOf,
    });
    expect(asOf.getTime()).toBeGreaterThanOrEqual(before);
    expect(asOf.getTime()).toBeLessThanOrEqual(scrip.now());
    expect(grants).toEqual([]);
  });

  test('of an account without grants is zero', async () => {
    const accountId = await scrip.open('verts');
    expect(await balanceOf(scrip, accountId)).toMatchObject({ remaining: 0n, seq: 1n });
  });

  test('is low below a level, not at it, until it is at 110 % of it', async () => {
    const accountId = await openWithCredits(scrip, 501n);
    const lowAfter = async (credits: bigint) =>
      (await scrip.billing.charge({ accountId, requestId: requestId(), credits })).balance
        ?.lowBalance;
    expect(await lowAfter(1n)).toBe(false);
    expect(await lowAfter(1n)).toBe(true);
    await grant(scrip, accountId, 50n);
    expect((await balanceOf(scrip, accountId)).lowBalance).toBe(true);
    await grant(scrip, accountId, 1n);
    expect((await balanceOf(scrip, accountId)).lowBalance).toBe(false);
  });

  test('is not low because of what reservations only hold', async () => {
    const accountId = await openWithCredits(scrip, 600n);
    await reserveCredits(scrip, accountId, 101n);
    expect(await balanceOf(scrip, accountId)).toMatchObject({
      available: 499n,
      usable: 600n,
      lowBalance: false,
    });
  });

  test('shows the next expiry with all credits that expire then', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const soon = new Date(scrip.now() + HOUR);
    await grant(scrip, accountId, 5n, { expiresAt: new Date(scrip.now() + DAY) });
    await grant(scrip, accountId, 20n, { expiresAt: soon });
    await grant(scrip, accountId, 10n, { expiresAt: soon, priority: 60 });
    const nextExpiry = async () => (await balanceOf(scrip, accountId)).nextExpiry;
    expect(await nextExpiry()).toEqual({ expiresAt: soon, credits: 30n });
    await scrip.billing.charge({ accountId, requestId: requestId(), credits: 20n });
    expect(await nextExpiry()).toEqual({ expiresAt: soon, credits: 10n });
    scrip.advance(HOUR);
    expect((await nextExpiry())?.credits).toBe(5n);
    scrip.advance(DAY);
    expect(await nextExpiry()).toBeUndefined();
  });

  test('lists the grants with credits left in burn order', async () => {
    const accountId = await scrip.open('verts');
    const at = (ms: number) => new Date(scrip.now() + ms);
    const promotional = { category: Grant_Category.PROMOTIONAL };
    await grant(scrip, accountId, 1n, { priority: 0 }); // 1: will be spent
    await grant(scrip, accountId, 10n); // 2
    await grant(scrip, accountId, 10n, promotional); // 3
    await grant(scrip, accountId, 10n, { expiresAt: at(DAY) }); // 4
    await grant(scrip, accountId, 10n, { priority: 90 }); // 5
    await grant(scrip, accountId, 10n, { effectiveAt: at(DAY) }); // 6: not yet
    await scrip.billing.charge({ accountId, requestId: requestId(), credits: 1n });
    await reserveCredits(scrip, accountId, 12n);
    const { grants } = await scrip.billing.getBalance({ accountId, includeGrants: true });
    expect(grants.map(({ grantId, remaining, reserved: r }) => [grantId, remaining, r])).toEqual([
      [4n, 10n, 10n],
      [3n, 10n, 2n],
      [2n, 10n, 0n],
      [5n, 10n, 0n],
    ]);
    expect(grants[0]).toMatchObject({ state: Grant_State.OPEN, priority: 50, amount: 10n });
  });

  test('fails for an unknown account', async () => {
    expect(await errorOf(balanceOf(scrip, 'nobody'))).toMatchObject({
      code: status.NOT_FOUND,
      reason: 'ACCOUNT_NOT_FOUND',
      metadata: { account_id: 'nobody' },
    });
  });

  test('is consistent while other calls change the account', async () => {
    const accountId = await openWithCredits(scrip, 1_000n);
    const work = Array.from({ length: 40 }, () => reserveCredits(scrip, accountId, 3n));
    const balances = await Promise.all(
      Array.from({ length: 40 }, () => balanceOf(scrip, accountId)),
    );
    await Promise.all(work);
    for (const { seq, reserved: r } of balances) expect(r).toBe((seq - 2n) * 3n);
  });
});

describe('GetBalance is up to date before anything is written', () => {
  test('expired reservations and grants no longer count', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    await grant(scrip, accountId, 30n, { expiresAt: new Date(scrip.now() + 5 * MINUTE) });
    await reserveCredits(scrip, accountId, 10n);
    const rows = await storedRows(scrip, accountId);
    scrip.advance(5 * MINUTE);
    // The reservation holds 10 of the 30, which stay.
    expect(await balanceOf(scrip, accountId)).toMatchObject({
      remaining: 110n,
      reserved: 10n,
      available: 100n,
    });
    scrip.advance(10 * MINUTE);
    expect(await balanceOf(scrip, accountId)).toMatchObject({ remaining: 100n, reserved: 0n });
    expect(await storedRows(scrip, accountId)).toBe(rows);
  });

  test('a scheduled grant counts from its effective time', async () => {
    const accountId = await scrip.open('verts');
    const effectiveAt = new Date(scrip.now() + HOUR);
    await grant(scrip, accountId, 30n, { effectiveAt });
    expect((await balanceOf(scrip, accountId)).remaining).toBe(0n);
    scrip.advance(HOUR);
    const { balance, grants } = await scrip.billing.getBalance({ accountId, includeGrants: true });
    expect(balance?.remaining).toBe(30n);
    expect(grants).toMatchObject([{ state: Grant_State.OPEN, remaining: 30n, effectiveAt }]);
  });

  test('a due allowance counts, and the allowance of last month does not', async () => {
    scrip.setNow(Date.UTC(2031, 6, 31, 23, 59));
    const accountId = await scrip.open('aspose-cloud');
    await scrip.billing.charge({ accountId, requestId: requestId(), credits: 8n });
    expect((await balanceOf(scrip, accountId)).remaining).toBe(42n);
    scrip.setNow(Date.UTC(2031, 7, 1));
    expect(await balanceOf(scrip, accountId)).toMatchObject({
      remaining: 50n,
      nextExpiry: { expiresAt: new Date(Date.UTC(2031, 8, 1)), credits: 50n },
    });
    expect((await entriesOf(scrip, accountId)).length).toBe(3);
  });

  test('entries after its seq continue from exactly this balance', async () => {
    scrip.setNow(Date.UTC(2031, 9, 31, 23, 50));
    const accountId = await openWithCredits(scrip, 100n, 'aspose-cloud');
    await grant(scrip, accountId, 30n, { expiresAt: new Date(Date.UTC(2031, 10, 1)) });
    await reserveCredits(scrip, accountId, 90n);
    scrip.setNow(Date.UTC(2031, 10, 1, 0, 30));
    const seen = await balanceOf(scrip, accountId);
    expect(seen).toMatchObject({ remaining: 150n, reserved: 0n });
    await scrip.service.sweep();
    expect(await newestEntry(scrip, accountId)).toMatchObject({
      seq: seen.seq,
      remainingAfter: seen.remaining,
      reservedAfter: seen.reserved,
    });
    expect(await entriesOf(scrip, accountId, { afterSeq: seen.seq })).toEqual([]);
    await scrip.billing.charge({ accountId, requestId: requestId(), credits: 1n });
    expect(await entriesOf(scrip, accountId, { afterSeq: seen.seq })).toMatchObject([
      { kind: Entry_Kind.CHARGE, seq: seen.seq + 1n },
    ]);
  });
});
