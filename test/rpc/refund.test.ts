import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Bucket_Kind, Entry_Kind, Grant_State } from '../../src/gen/billing/v1/ledger.ts';
import { mapOf } from '../../src/map-of.ts';
import {
  balanceOf,
  grant,
  MINUTE,
  newestEntry,
  openWithCredits,
  reserveCredits,
  storedRows,
} from '../accounts.ts';
import { EVERYTHING, planIn } from '../pricing/fixtures.ts';
import { errorOf } from '../rpc-error.ts';
import { plansOfDeploy, requestId, startTestService, type TestService } from '../service.ts';

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService({ plans: [...(await plansOfDeploy()), planIn(EVERYTHING)] });
});
afterAll(() => scrip.stop());

const refund = (
  accountId: string,
  seq: bigint,
  more: { credits?: bigint; all?: boolean; reference?: string } = { all: true },
) => scrip.billing.refund({ reason: 'a test', accountId, requestId: requestId(), seq, ...more });
const charge = async (accountId: string, credits: bigint) =>
  (await scrip.billing.charge({ accountId, requestId: requestId(), credits, reference: 'job' }))
    .entrySeq;
const fromGrant = (grantId: bigint, credits: bigint) => ({
  source: { $case: 'grantId', value: grantId },
  credits,
});

describe('Refund', () => {
  test('returns a charge to the grants it came from, in reverse order', async () => {
    const accountId = await openWithCredits(scrip, 10n);
    await grant(scrip, accountId, 600n);
    const seq = await charge(accountId, 25n);
    const response = await refund(accountId, seq);
    expect(response).toEqual({
      refunded: 25n,
      balance: {
        remaining: 610n,
        reserved: 0n,
        available: 610n,
        overage: 0n,
        overageLimit: 0n,
        owed: 0n,
        lowBalance: false,
        levels: [{ threshold: 500n, low: false }],
        usable: 610n,
        limited: [],
        pauseFloor: 0n,
        nextExpiry: undefined,
        nextAllowance: undefined,
        seq: 5n,
        asOf: response.balance?.asOf,
      },
      entrySeq: 5n,
      split: [fromGrant(2n, 15n), fromGrant(1n, 10n)],
      expired: 0n,
      voided: 0n,
      newGrants: [],
    });
    const consumed = { kind: Bucket_Kind.CONSUMED, grantId: 0n };
    expect(await newestEntry(scrip, accountId)).toMatchObject({
      kind: Entry_Kind.REFUND,
      moves: [
        { from: consumed, to: { kind: Bucket_Kind.GRANT_AVAILABLE, grantId: 2n }, credits: 15n },
        { from: consumed, to: { kind: Bucket_Kind.GRANT_AVAILABLE, grantId: 1n }, credits: 10n },
      ],
      credits: 25n,
      refundedSeq: seq,
      reference: 'job',
    });
    const { grants } = await scrip.accounts.listGrants({ accountId });
    expect(grants.map(({ state }) => state)).toEqual([Grant_State.OPEN, Grant_State.OPEN]);
  });

  test('can be partial, and never exceeds what was committed', async () => {
    const accountId = await openWithCredits(scrip, 10n);
    await grant(scrip, accountId, 100n);
    const reservationId = await reserveCredits(scrip, accountId, 40n);
    const { entrySeq: seq } = await scrip.billing.commit({
      accountId,
      requestId: requestId(),
      reservationId,
      credits: 30n,
    });
    expect((await refund(accountId, seq, { credits: 12n })).split).toEqual([fromGrant(2n, 12n)]);
    expect((await refund(accountId, seq, { credits: 10n })).split).toEqual([
      fromGrant(2n, 8n),
      fromGrant(1n, 2n),
    ]);
    const rows = await storedRows(scrip, accountId);
    expect(await errorOf(refund(accountId, seq, { credits: 9n }))).toMatchObject({
      code: status.FAILED_PRECONDITION,
      reason: 'EXCEEDS_COMMIT',
      metadata: { asked: '9', allowed: '8' },
    });
    expect(await storedRows(scrip, accountId)).toBe(rows);
    expect(await refund(accountId, seq)).toMatchObject({
      refunded: 8n,
      split: [fromGrant(1n, 8n)],
    });
    expect(await errorOf(refund(accountId, seq))).toMatchObject({
      reason: 'EXCEEDS_COMMIT',
      metadata: { asked: '0', allowed: '0' },
    });
    expect(await balanceOf(scrip, accountId)).toMatchObject({ remaining: 110n, available: 110n });
    expect(await newestEntry(scrip, accountId)).toMatchObject({ reservationId, refundedSeq: seq });
  });

  test('of an expired grant becomes breakage, and the rest is returned', async () => {
    const accountId = await scrip.open('verts');
    await grant(scrip, accountId, 20n, { expiresAt: new Date(scrip.now() + MINUTE) });
    await grant(scrip, accountId, 100n);
    const seq = await charge(accountId, 50n);
    scrip.advance(MINUTE);
    const response = await refund(accountId, seq, { credits: 40n });
    expect(response).toMatchObject({
      refunded: 40n,
      expired: 10n,
      split: [fromGrant(2n, 30n), fromGrant(1n, 10n)],
    });
    expect(response.balance).toMatchObject({ remaining: 100n, available: 100n });
    expect((await newestEntry(scrip, accountId)).moves.map(({ to }) => to?.kind)).toEqual([
      Bucket_Kind.GRANT_AVAILABLE,
      Bucket_Kind.EXPIRED,
    ]);
  });

  test('makes a spent grant open again until it expires', async () => {
    const accountId = await scrip.open('verts');
    await grant(scrip, accountId, 20n, { expiresAt: new Date(scrip.now() + MINUTE) });
    const seq = await charge(accountId, 20n);
    await refund(accountId, seq);
    expect((await balanceOf(scrip, accountId)).nextExpiry?.credits).toBe(20n);
    scrip.advance(MINUTE);
    await scrip.service.sweep();
    expect(await newestEntry(scrip, accountId)).toMatchObject({
      kind: Entry_Kind.GRANT_EXPIRED,
      credits: 20n,
    });
  });

  test('of overage reduces the overage of the month', async () => {
    const accountId = await scrip.open('everything'); // 80 credits, then overage
    const seq = await charge(accountId, 100n);
    const { split, balance } = await refund(accountId, seq, { credits: 15n });
    expect(split).toEqual([{ source: { $case: 'overage', value: true }, credits: 15n }]);
    expect(balance).toMatchObject({ remaining: 0n, overage: 5n });
  });

  test('fails for entries that are not commits or charges of the account', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    await reserveCredits(scrip, accountId, 1n);
    const other = await openWithCredits(scrip, 100n);
    await charge(other, 1n);
    await charge(other, 1n);
    // 1 is the opening, 2 a grant, 3 a reserve (and a charge of the other account), and 4 does not exist.
    for (const seq of [1n, 2n, 3n, 4n, 9_223_372_036_854_775_807n])
      expect(await errorOf(refund(accountId, seq))).toMatchObject({
        code: status.NOT_FOUND,
        reason: 'ENTRY_NOT_FOUND',
        metadata: { seq: `${seq}` },
      });
  });

  test('fails for a commit of 0 credits', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const seq = await charge(accountId, 0n);
    expect((await errorOf(refund(accountId, seq))).reason).toBe('EXCEEDS_COMMIT');
  });

  test('stores its own reference and labels in addition to those of the charge', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const { entrySeq: seq } = await scrip.billing.charge({
      accountId,
      requestId: requestId(),
      credits: 10n,
      reference: 'job',
      labels: mapOf({ team: 'a', kind: 'x' }),
    });
    const request = {
      accountId,
      seq,
      all: true,
      reference: 'ticket-7',
      labels: mapOf({ team: 'b' }),
    };
    await scrip.billing.refund({ reason: 'a test', ...request, requestId: requestId() });
    expect(await newestEntry(scrip, accountId)).toMatchObject({
      reference: 'ticket-7',
      labels: mapOf({ team: 'b', kind: 'x' }),
    });
  });

  test('succeeds on a closed account', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const seq = await charge(accountId, 10n);
    await scrip.accounts.closeAccount({ accountId, requestId: requestId() });
    expect((await refund(accountId, seq)).balance?.remaining).toBe(100n);
  });

  test.each([
    ['no seq', 'seq', { seq: 0n, credits: 1n }],
    ['a negative seq', 'seq', { seq: -1n, credits: 1n }],
    ['no credits', 'credits', { seq: 1n, credits: 0n }],
    ['negative credits', 'credits', { seq: 1n, credits: -5n }],
  ])('refuses %s', async (_, field, { seq, ...more }) => {
    const accountId = await openWithCredits(scrip, 100n);
    expect(await errorOf(refund(accountId, seq, more))).toMatchObject({
      reason: 'INVALID_FIELD',
      fields: [field],
    });
  });
});
