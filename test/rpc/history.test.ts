import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BudgetPeriod } from '../../src/gen/billing/v1/budget.ts';
import {
  type Entry,
  Entry_Kind,
  Purchase_Resolution_Decision,
} from '../../src/gen/billing/v1/ledger.ts';
import {
  balanceOf,
  DAY,
  defined,
  entriesOf,
  grant,
  INSPECT,
  MINUTE,
  newestEntry,
  openWithCredits,
  reserveCredits,
  UPSCALE,
} from '../accounts.ts';
import { insertMismatched } from '../payments/given.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService();
});
afterAll(() => scrip.stop());

type ChargeRequest = Parameters<TestService['billing']['charge']>[0];
const charge = (accountId: string, request: ChargeRequest) =>
  scrip.billing.charge({ accountId, requestId: requestId(), ...request });
const seqs = (entries: readonly Entry[]) => entries.map(({ seq }) => seq);
const seqsUpTo = (newest: number, after = 0) =>
  Array.from({ length: newest - after }, (_, index) => BigInt(after + index + 1));

/** Writes `count` charges of 0 credits: the fastest way to a long history. */
async function chargeRepeatedly(accountId: string, times: number) {
  const mutations = Array.from({ length: times }, () => ({
    mutation: {
      $case: 'charge' as const,
      value: { accountId, requestId: requestId(), credits: 0n },
    },
  }));
  await scrip.billing.batch({ mutations });
}

/** Writes entries of every kind, at least a minute apart. */
async function openWithEveryKind() {
  const accountId = await openWithCredits(scrip, 1_000n); // 1 OPEN_ACCOUNT, 2 GRANT
  await grant(scrip, accountId, 5n, { effectiveAt: new Date(scrip.now() + MINUTE) }); // 3 GRANT
  await grant(scrip, accountId, 5n, { expiresAt: new Date(scrip.now() + 2 * MINUTE) }); // 4 GRANT
  scrip.advance(MINUTE);
  await charge(accountId, { usages: { items: [UPSCALE, INSPECT] }, reference: 'a' }); // 5 GRANT_EFFECTIVE, 6 CHARGE
  scrip.advance(MINUTE);
  const payment = { $case: 'paymentReference' as const, value: 'p' };
  const purchase = { accountId, packId: 'starter', payment };
  await scrip.billing.purchase({ ...purchase, requestId: requestId() }); // 7 PURCHASE
  const committed = await reserveCredits(scrip, accountId, 50n); // 8 RESERVE
  const commit = { accountId, reservationId: committed, usages: { items: [UPSCALE] } };
  const { entrySeq } = await scrip.billing.commit({ ...commit, requestId: requestId() }); // 9 COMMIT
  await scrip.billing.refund({
    reason: 'a test',
    accountId,
    requestId: requestId(),
    seq: entrySeq,
    all: true,
  }); // 10 REFUND
  const released = await reserveCredits(scrip, accountId, 50n); // 11 RESERVE
  await scrip.billing.release({ accountId, requestId: requestId(), reservationId: released }); // 12
  await reserveCredits(scrip, accountId, 50n); // 13 RESERVE
  const raised = await reserveCredits(scrip, accountId, 50n); // 14 RESERVE
  const raise = { accountId, reservationId: raised, credits: 5n };
  await scrip.billing.raiseReservation({ ...raise, requestId: requestId() }); // 15 RAISE
  const extend = { accountId, reservationId: raised, ttl: { seconds: 3_600n, nanos: 0 } };
  await scrip.billing.extendReservation({ ...extend, requestId: requestId() }); // 16 EXTEND
  await scrip.billing.commit({
    accountId,
    requestId: requestId(),
    reservationId: raised,
    all: true,
  }); // 17
  scrip.advance(15 * MINUTE);
  await charge(accountId, { usages: { items: [INSPECT] }, reference: 'b' }); // 18 EXPIRE, 19 CHARGE
  const named = { accountId, requestId: requestId() };
  const move = { ...named, planId: 'perfectparser', reason: 'a test' };
  await scrip.accounts.moveAccount(move); // 20 PLAN_CHANGE
  await writeWithoutMoves(accountId);
  return accountId;
}

async function writeWithoutMoves(accountId: string) {
  const { accounts } = scrip;
  const named = () => ({ accountId, requestId: requestId() });
  await accounts.updateAccount({ ...named(), displayName: 'Anna' }); // 21 UPDATE_ACCOUNT
  const price = { currency: 'USD', amount: '1.00' };
  const pack = { packId: 'own', title: 'Own', credits: 5n, price };
  await accounts.offerPack({ ...named(), pack }); // 22 OFFER_PACK
  await accounts.withdrawPack({ ...named(), packId: 'own' }); // 23 WITHDRAW_PACK
  const purchaseId = await insertMismatched(scrip, accountId);
  const decision = Purchase_Resolution_Decision.REJECTED;
  await accounts.resolvePurchase({ ...named(), purchaseId, decision, reason: 'amount' }); // 24
  const { grantId } = await grant(scrip, accountId, 5n); // 25 GRANT
  const corrected = { grantId, reason: 'a test' };
  await accounts.updateGrant({ ...named(), ...corrected, priority: 40 }); // 26 UPDATE_GRANT
  await accounts.voidGrant({ ...named(), ...corrected, all: true }); // 27 VOID_GRANT
  await accounts.suspendAccount({ ...named(), reason: 'a test' }); // 28 SUSPEND_ACCOUNT
  await accounts.resumeAccount({ ...named(), reason: 'a test' }); // 29 RESUME_ACCOUNT
  const budget = { budgetId: 'ops', dimension: { $case: 'operation', value: true } } as const;
  const terms = { ...budget, credits: 9n, period: BudgetPeriod.DAY };
  await accounts.setBudget({ ...named(), budget: terms, reason: 'a test' }); // 30 SET_BUDGET
  await accounts.removeBudget({ ...named(), budgetId: 'ops', reason: 'a test' }); // 31 REMOVE_BUDGET
  await accounts.closeAccount(named()); // 32 CLOSE_ACCOUNT
}

describe('StreamHistory', () => {
  test('of a new account has its opening, and ends', async () => {
    const accountId = await scrip.open('verts');
    expect(await entriesOf(scrip, accountId)).toMatchObject([
      { seq: 1n, kind: Entry_Kind.OPEN_ACCOUNT, planId: 'verts', planVersion: 1n, moves: [] },
    ]);
  });

  test('fails for an unknown account', async () => {
    expect(await errorOf(entriesOf(scrip, 'nobody'))).toMatchObject({
      code: status.NOT_FOUND,
      reason: 'ACCOUNT_NOT_FOUND',
      metadata: { account_id: 'nobody' },
    });
  });

  test('returns all entries in order, with balances that follow from each other', async () => {
    const accountId = await openWithEveryKind();
    const entries = await entriesOf(scrip, accountId);
    const { GRANT, GRANT_EFFECTIVE, CHARGE, PURCHASE, RESERVE, COMMIT } = Entry_Kind;
    expect(
      entries.map(({ kind }) => kind).filter((kind) => kind !== Entry_Kind.GRANT_EXPIRED),
    ).toEqual([
      Entry_Kind.OPEN_ACCOUNT,
      GRANT,
      GRANT,
      GRANT,
      GRANT_EFFECTIVE,
      CHARGE,
      PURCHASE,
      RESERVE,
      COMMIT,
      Entry_Kind.REFUND,
      RESERVE,
      Entry_Kind.RELEASE,
      RESERVE,
      RESERVE,
      Entry_Kind.RAISE,
      Entry_Kind.EXTEND,
      COMMIT,
      Entry_Kind.EXPIRE,
      CHARGE,
      Entry_Kind.PLAN_CHANGE,
      Entry_Kind.UPDATE_ACCOUNT,
      Entry_Kind.OFFER_PACK,
      Entry_Kind.WITHDRAW_PACK,
      Entry_Kind.REJECT_PURCHASE,
      GRANT,
      Entry_Kind.UPDATE_GRANT,
      Entry_Kind.VOID_GRANT,
      Entry_Kind.SUSPEND_ACCOUNT,
      Entry_Kind.RESUME_ACCOUNT,
      Entry_Kind.SET_BUDGET,
      Entry_Kind.REMOVE_BUDGET,
      Entry_Kind.CLOSE_ACCOUNT,
    ]);
    expect(seqs(entries)).toEqual(seqsUpTo(entries.length));
    const times = entries.map(({ at }) => defined(at).getTime());
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(new Set(entries.map(({ hash }) => hash.toString('hex'))).size).toBe(entries.length);
    for (const { hash, caller, requestId: id } of entries) {
      expect(hash.length).toBe(32);
      expect(caller === 'scrip').toBe(id === '');
    }
  });

  test('balances are the sums of the moves', async () => {
    const entries = await entriesOf(scrip, await openWithEveryKind());
    const inGrants = (kind: number | undefined) => kind === 2 || kind === 3;
    let remaining = 0n;
    let held = 0n;
    for (const { moves, remainingAfter, reservedAfter } of entries) {
      for (const { from, to, credits } of moves) {
        if (inGrants(from?.kind)) remaining -= credits;
        if (inGrants(to?.kind)) remaining += credits;
        if (from?.kind === 3) held -= credits;
        if (to?.kind === 3) held += credits;
      }
      expect([remaining, held]).toEqual([remainingAfter, reservedAfter]);
    }
  });

  test('sends many entries per message, with the seq to resume after', async () => {
    const accountId = await openWithCredits(scrip, 1n);
    await chargeRepeatedly(accountId, 998);
    await chargeRepeatedly(accountId, 300);
    const counts: number[] = [];
    let next = 0n;
    for await (const { entries, nextAfterSeq } of scrip.billing.streamHistory({ accountId })) {
      expect(entries[0]?.seq).toBe(next + 1n);
      expect(entries.at(-1)?.seq).toBe(nextAfterSeq);
      counts.push(entries.length);
      next = nextAfterSeq;
    }
    expect(next).toBe(1_300n);
    expect(counts.length).toBeLessThan(20);
  });

  test('returns every entry once when it is resumed after any message', async () => {
    const accountId = await openWithCredits(scrip, 1n);
    await chargeRepeatedly(accountId, 1_000);
    await chargeRepeatedly(accountId, 200);
    const seen: Entry[] = [];
    for (let after = 0n, more = true; more; ) {
      more = false;
      // Reads one message, disconnects and resumes.
      for await (const { entries, nextAfterSeq } of scrip.billing.streamHistory({
        accountId,
        afterSeq: after,
      })) {
        seen.push(...entries);
        after = nextAfterSeq;
        more = true;
        break;
      }
    }
    expect(seqs(seen)).toEqual(seqsUpTo(1_202));
  });

  test('resumes after every seq, also after the last', async () => {
    const accountId = await openWithEveryKind();
    const newest = Number((await newestEntry(scrip, accountId)).seq);
    for (let after = 0; after <= newest; after++)
      expect(seqs(await entriesOf(scrip, accountId, { afterSeq: BigInt(after) }))).toEqual(
        seqsUpTo(newest, after),
      );
    for (const afterSeq of [BigInt(newest + 1), 9_223_372_036_854_775_807n])
      expect(
        await errorOf(scrip.billing.streamHistory({ accountId, afterSeq }).next()),
      ).toMatchObject({
        reason: 'POSITION_LOST',
        metadata: { after: String(afterSeq), newest: String(newest) },
      });
  });

  test('continues from a balance that counts an expiry before it was written', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    await reserveCredits(scrip, accountId, 40n);
    scrip.advance(15 * MINUTE);
    const { seq } = await balanceOf(scrip, accountId);
    expect(seq).toBe(4n);
    expect(await entriesOf(scrip, accountId, { afterSeq: seq })).toEqual([]);
    expect(await entriesOf(scrip, accountId, { afterSeq: seq - 1n })).toMatchObject([
      { seq, kind: Entry_Kind.EXPIRE, credits: 40n },
    ]);
  });
});

describe('StreamHistory with a filter', () => {
  let accountId: string;
  let all: Entry[];
  beforeAll(async () => {
    accountId = await openWithEveryKind();
    all = await entriesOf(scrip, accountId);
  });
  const like = (entry: (of: Entry) => boolean) => all.filter(entry);

  test('by kind returns entries of that kind, for every kind', async () => {
    // CHECKOUT, CLAW_BACK, REINSTATE and PAYMENT need a payment provider, PAY_OWED a plan of its own and CHECKPOINT an
    // archive; the others would be erased, or are of an import.
    const others: readonly Entry_Kind[] = [
      Entry_Kind.UNSPECIFIED,
      Entry_Kind.ERASE_ACCOUNT_DATA,
      Entry_Kind.CHECKOUT,
      Entry_Kind.CLAW_BACK,
      Entry_Kind.REINSTATE,
      Entry_Kind.PAYMENT,
      Entry_Kind.IMPORT,
      Entry_Kind.PAY_OWED,
      Entry_Kind.CHECKPOINT,
    ];
    const kinds = Object.values(Entry_Kind).filter((kind) => !others.includes(kind));
    for (const kind of kinds) {
      const expected = like((entry) => entry.kind === kind);
      if (kind !== Entry_Kind.GRANT_EXPIRED) expect(expected.length).toBeGreaterThan(0);
      expect(await entriesOf(scrip, accountId, { kinds: [kind] })).toEqual(expected);
    }
    const both = [Entry_Kind.COMMIT, Entry_Kind.CHARGE];
    expect(await entriesOf(scrip, accountId, { kinds: both })).toEqual(
      like(({ kind }) => both.some((one) => one === kind)),
    );
  });

  test('by time includes `from` and excludes `to`', async () => {
    for (const { at } of all) {
      const instant = defined(at);
      expect(await entriesOf(scrip, accountId, { from: instant })).toEqual(
        like((entry) => defined(entry.at) >= instant),
      );
      expect(await entriesOf(scrip, accountId, { to: instant })).toEqual(
        like((entry) => defined(entry.at) < instant),
      );
      const to = new Date(instant.getTime() + 1);
      expect(await entriesOf(scrip, accountId, { from: instant, to })).toEqual(
        like((entry) => defined(entry.at).getTime() === instant.getTime()),
      );
    }
    const [before, after] = [new Date(0), new Date(scrip.now() + DAY)];
    expect(await entriesOf(scrip, accountId, { from: before, to: after })).toEqual(all);
    expect(await entriesOf(scrip, accountId, { from: after })).toEqual([]);
    expect(await entriesOf(scrip, accountId, { to: before })).toEqual([]);
  });

  test('by operation returns entries with a usage of it', async () => {
    const operations = (operation: string) =>
      like(({ usages }) => usages.some(({ usage }) => usage?.operation === operation));
    for (const operation of ['image.upscale', 'file.inspect']) {
      expect(operations(operation).length).toBe(2);
      expect(await entriesOf(scrip, accountId, { operation })).toEqual(operations(operation));
    }
    expect(await entriesOf(scrip, accountId, { operation: 'file' })).toEqual([]);
  });

  test('by reference returns entries with exactly that reference', async () => {
    expect(await entriesOf(scrip, accountId, { reference: 'b' })).toEqual(
      like(({ reference }) => reference === 'b'),
    );
    expect(await entriesOf(scrip, accountId, { reference: 'B' })).toEqual([]);
    expect(await entriesOf(scrip, accountId, { reference: '%' })).toEqual([]);
  });

  test('by several fields returns entries that match all of them', async () => {
    const [second] = like(({ reference }) => reference === 'b');
    const filter = {
      kinds: [Entry_Kind.CHARGE],
      operation: 'file.inspect',
      from: defined(second?.at),
      to: new Date(scrip.now() + 1),
      afterSeq: 6n,
    };
    expect(await entriesOf(scrip, accountId, { ...filter, reference: 'b' })).toEqual([second]);
    expect(await entriesOf(scrip, accountId, { ...filter, reference: 'a' })).toEqual([]);
  });

  test('moves next_after_seq past filtered entries', async () => {
    const filter = { accountId, kinds: [Entry_Kind.PURCHASE] };
    let next = 0n;
    for await (const { nextAfterSeq } of scrip.billing.streamHistory(filter)) next = nextAfterSeq;
    expect(next).toBe(all.at(-1)?.seq);
  });

  test('reports all invalid fields at once', async () => {
    const kinds: Entry_Kind[] = [Entry_Kind.UNSPECIFIED];
    const bad = {
      kinds,
      afterSeq: -1n,
      operation: 'x'.repeat(129),
      reference: 'y'.repeat(257),
      from: new Date(2_000),
      to: new Date(1_000),
    };
    const { code, fields } = await errorOf(entriesOf(scrip, accountId, bad));
    expect(code).toBe(status.INVALID_ARGUMENT);
    expect(fields.toSorted()).toEqual(['after_seq', 'kinds', 'operation', 'reference', 'to']);
  });
});
