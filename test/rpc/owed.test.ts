/** What an account owes: TAKE at commit, lost disputes, and what pays, over a socket and on two replicas. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Bucket_Kind, Entry_Kind, OverCommitPolicy } from '../../src/gen/billing/v1/ledger.ts';
import { ExportStatementsRequest_Format } from '../../src/gen/billing/v1/statement_service.ts';
import { verify } from '../../src/verify/verify.ts';
import { balanceOf, defined, entriesOf, grant, openWithCredits } from '../accounts.ts';
import { expectSoundLedger } from '../cluster/audit.ts';
import { buyByCheckout, purchaseNow } from '../payments/given.ts';
import { deliver, StripeFake } from '../payments/stripe-fake.ts';
import { execute } from '../postgres.ts';
import { planIn } from '../pricing/fixtures.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

const plan = (planId: string, terms: string) =>
  planIn(`
plan_id: ${planId}
title: ${planId}
terms:
  ${terms}
packs:
  - { pack_id: starter, title: Starter, credits: 100, price: 10.00 USD, validity: never }
operations:
  page.read: { title: Read, billable: true, quantities: {}, components: [{ kind: flat, label: Page, credits: 1 }] }
`);

let stripe: StripeFake;
let scrip: TestService;
/** Another replica on the same database. */
let twin: TestService;
beforeAll(async () => {
  stripe = await new StripeFake().start();
  const tiers = '{ limit: 10, mode: graduated, currency: USD, tiers: [{ price: "0.50" }] }';
  const plans = [
    plan('pays', '{ pay_owed: true, refund_expired: new_grant }'),
    plan('keeps', 'pay_owed: false'),
    plan('postpaid', `{ pay_owed: true, overage: ${tiers} }`),
  ];
  scrip = await startTestService({ env: stripe.env, plans });
  twin = await startTestService({ env: stripe.env, plans, databaseUrl: scrip.databaseUrl });
  stripe.clock = scrip.now;
});
afterAll(async () => {
  await twin.stop();
  await scrip.stop();
  await stripe.stop();
});

/** Reserves 1 credit with policy TAKE and commits more. */
async function take(accountId: string, credits: bigint, service = scrip) {
  const { reservation } = await service.billing.reserve({
    accountId,
    requestId: requestId(),
    credits: 0n,
    overCommitPolicy: OverCommitPolicy.TAKE,
  });
  const { reservationId } = defined(reservation);
  return await service.billing.commit({
    accountId,
    requestId: requestId(),
    reservationId,
    credits,
  });
}

describe('A commit under TAKE', () => {
  test('draws what is available, and the rest is owed, shown, and no overage', async () => {
    const accountId = await openWithCredits(scrip, 30n, 'keeps');
    const { committed, split, balance, reservation, entrySeq } = await take(accountId, 45n);
    expect(committed).toBe(45n);
    expect(split).toEqual([
      { source: { $case: 'grantId', value: 1n }, credits: 30n },
      { source: { $case: 'owed', value: true }, credits: 15n },
    ]);
    expect(reservation).toMatchObject({ committed: 45n, returned: 0n, held: 0n });
    expect(balance).toMatchObject({ remaining: 0n, available: 0n, owed: 15n, overage: 0n });
    expect(await balanceOf(twin, accountId)).toMatchObject({ owed: 15n });
    const [entry] = await entriesOf(scrip, accountId, { afterSeq: entrySeq - 1n });
    expect(entry).toMatchObject({ kind: Entry_Kind.COMMIT, owedAfter: 15n, overageAfter: 0n });
    const past = await scrip.billing.getPastBalance({
      accountId,
      point: { $case: 'seq', value: entrySeq },
      includeBuckets: true,
    });
    expect(past.owed).toBe(15n);
    expect(past.buckets).toContainEqual({
      bucket: { kind: Bucket_Kind.OWED, grantId: 0n },
      credits: -15n,
    });
  });

  test('on a postpaid plan is overage up to the limit, and only that is billed', async () => {
    const accountId = await openWithCredits(scrip, 5n, 'postpaid');
    await take(accountId, 20n);
    expect(await balanceOf(scrip, accountId)).toMatchObject({ overage: 10n, owed: 5n });
    await grant(scrip, accountId, 2n);
    const month = new Date(scrip.now()).toISOString().slice(0, 7);
    const { statement } = await scrip.statements.getStatement({ accountId, month });
    expect(statement).toMatchObject({
      overage: 10n,
      owed: 5n,
      owedPaid: 2n,
      total: { currency: 'USD', amount: '5.00' },
      usage: [{ operation: '', credits: 20n }],
    });
  });
});

describe('With pay_owed', () => {
  test('a grant, a purchase and a released job pay first, each by an entry of the service', async () => {
    const accountId = await openWithCredits(scrip, 10n, 'pays');
    const held = await scrip.billing.reserve({ accountId, requestId: requestId(), credits: 4n });
    await take(accountId, 120n);
    await grant(scrip, accountId, 5n);
    const { reservationId } = defined(held.reservation);
    await scrip.billing.release({ accountId, requestId: requestId(), reservationId });
    const bought = await scrip.billing.purchase({
      accountId,
      requestId: requestId(),
      packId: 'starter',
      payment: { $case: 'paymentReference', value: 'INV-1' },
    });
    expect(bought.grant).toMatchObject({ amount: 100n, remaining: 0n });
    expect(bought.balance).toMatchObject({ owed: 5n, remaining: 0n });
    const entries = await entriesOf(scrip, accountId, { afterSeq: 5n });
    expect(entries.map(({ kind, credits, caller }) => [kind, credits, caller])).toEqual([
      [Entry_Kind.GRANT, 5n, 'test'],
      [Entry_Kind.PAY_OWED, 5n, 'scrip'],
      [Entry_Kind.RELEASE, 4n, 'test'],
      [Entry_Kind.PAY_OWED, 4n, 'scrip'],
      [Entry_Kind.PURCHASE, 100n, 'test'],
      [Entry_Kind.PAY_OWED, 100n, 'scrip'],
    ]);
    expect(await verify(scrip.databaseUrl, { accountId, all: true })).toMatchObject({ ok: true });
  });

  test('a repeated purchase gets the first answer again, and pays nothing more', async () => {
    const accountId = await openWithCredits(scrip, 1n, 'pays');
    await take(accountId, 11n);
    const request = {
      accountId,
      requestId: requestId(),
      packId: 'starter',
      payment: { $case: 'paymentReference' as const, value: 'INV-2' },
    };
    const first = await scrip.billing.purchase(request);
    const again = await twin.billing.purchase(request);
    expect(again).toEqual({ ...first, replay: expect.anything() });
    expect(await balanceOf(scrip, accountId)).toMatchObject({ owed: 0n, remaining: 90n });
  });

  test('a refund pays with what comes back, and grants expired credits again', async () => {
    const accountId = await openWithCredits(scrip, 10n, 'pays');
    const soon = new Date(scrip.now() + 60_000);
    await grant(scrip, accountId, 10n, { expiresAt: soon });
    const { entrySeq: seq } = await scrip.billing.charge({
      accountId,
      requestId: requestId(),
      credits: 20n,
    });
    scrip.advance(120_000);
    await take(accountId, 5n);
    await scrip.billing.refund({
      accountId,
      requestId: requestId(),
      seq,
      all: true,
      reason: 'a test',
    });
    const entries = await entriesOf(scrip, accountId, { afterSeq: 6n });
    expect(entries.map(({ kind, credits }) => [kind, credits])).toEqual([
      [Entry_Kind.REFUND, 20n],
      [Entry_Kind.PAY_OWED, 5n],
      [Entry_Kind.GRANT, 10n],
    ]);
    expect(await balanceOf(scrip, accountId)).toMatchObject({ owed: 0n, remaining: 15n });
  });

  test('two replicas take and grant at once, and every credit is accounted for', async () => {
    const accountId = await openWithCredits(scrip, 100n, 'pays');
    const jobs = Array.from({ length: 30 }, (_, index) => {
      const service = index % 2 === 0 ? scrip : twin;
      return index % 3 === 0 ? grant(service, accountId, 20n) : take(accountId, 17n, service);
    });
    await Promise.all(jobs);
    // 20 jobs of 17 used 340; 100 and 10 grants of 20 were given.
    expect(await balanceOf(scrip, accountId)).toMatchObject({ owed: 40n, remaining: 0n });
    expect(await balanceOf(twin, accountId)).toMatchObject({ owed: 40n, remaining: 0n });
  });
});

describe('A dispute of a purchase that was used', () => {
  const dispute = async (planId: string) => {
    const accountId = await scrip.open(planId);
    const bought = await buyByCheckout(scrip, accountId);
    const session = stripe.sessionOf(bought.purchaseId);
    const tell = (type: string, object: object) =>
      deliver(scrip.service.webhookPort, stripe.event(type, object));
    stripe.pay(session.id);
    await tell('checkout.session.completed', stripe.session(session.id));
    await scrip.billing.charge({ accountId, requestId: requestId(), credits: 70n });
    const intent = stripe.intentOf(bought.purchaseId);
    const opened = stripe.dispute(intent.id);
    await tell('charge.dispute.created', opened);
    return { accountId, bought, opened, tell };
  };

  test('is owed while it is open, and no longer once it is won', async () => {
    const { accountId, bought, opened, tell } = await dispute('keeps');
    expect(await balanceOf(scrip, accountId)).toMatchObject({ owed: 70n, remaining: 0n });
    expect(await purchaseNow(scrip, bought)).toMatchObject({
      creditsClawedBack: 30n,
      creditsUnrecovered: 70n,
      creditsOwed: 70n,
    });
    stripe.closeDispute(opened, 'won');
    await tell('charge.dispute.closed', opened);
    expect(await balanceOf(scrip, accountId)).toMatchObject({ owed: 0n, remaining: 30n });
  });

  test('that is lost is paid by the next purchase; what paid is given back if it is won after all', async () => {
    const { accountId, opened, tell } = await dispute('pays');
    await grant(scrip, accountId, 50n);
    expect(await balanceOf(scrip, accountId)).toMatchObject({ owed: 20n, remaining: 0n });
    stripe.closeDispute(opened, 'won');
    await tell('charge.dispute.closed', opened);
    expect(await balanceOf(scrip, accountId)).toMatchObject({ owed: 0n, remaining: 80n });
    const { grants } = await scrip.accounts.listGrants({ accountId });
    expect(grants[0]).toMatchObject({ amount: 50n, sourceReference: '0' });
  });
});

test('Estimate and a refusal offer packs that pay what is owed first as well', async () => {
  const accountId = await openWithCredits(scrip, 10n, 'pays');
  await take(accountId, 120n);
  const usages = { items: [{ operation: 'page.read', count: 1n }] };
  const { packs, shortfall } = await scrip.billing.estimate({ accountId, usages });
  expect(shortfall).toBe(1n);
  expect(packs).toMatchObject([{ pack: { packId: 'starter' }, quantity: 2n }]);
  const refused = await errorOf(
    scrip.billing.charge({ accountId, requestId: requestId(), usages }),
  );
  expect(refused.insufficientCredits?.offers).toEqual(packs);
});

test('statements are exported with what is owed on lines of its own, without an amount', async () => {
  const accountId = await openWithCredits(scrip, 5n, 'postpaid');
  await take(accountId, 20n);
  await grant(scrip, accountId, 2n);
  const month = new Date(scrip.now()).toISOString().slice(0, 7);
  scrip.advance(40 * 86_400_000);
  await scrip.service.sweep();
  let csv = '';
  for await (const { content } of scrip.statements.exportStatements({
    of: { $case: 'accountId', value: accountId },
    fromMonth: month,
    format: ExportStatementsRequest_Format.CSV,
  }))
    csv += Buffer.from(content).toString();
  expect(csv).toContain(',owed,used,,5,,,,\r\n');
  expect(csv).toContain(',owed,paid,,2,,,,\r\n');
  expect(csv).toContain(',total,,,10,,,USD,5.00\r\n');
});

test('the ledger is sound, and verify finds what is owed falsified', async () => {
  await expectSoundLedger(scrip.databaseUrl);
  const accountId = await openWithCredits(scrip, 1n, 'keeps');
  await take(accountId, 11n);
  const falsified = async (sql: string) => {
    await execute(scrip.databaseUrl, sql, [accountId]);
    const result = await verify(scrip.databaseUrl, { accountId, all: true });
    return result.ok ? [] : result.discrepancies.map(({ what }) => what);
  };
  expect(await falsified('update accounts set owed = 9 where account_id = $1')).toContain(
    'owed is 9, the moves say 10',
  );
  expect(await falsified('update accounts set owed = null where account_id = $1')).toContain(
    'owed is 0, the moves say 10',
  );
});
