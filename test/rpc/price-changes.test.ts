/** Prices that change at a date while the service runs. */
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { publishAt } from '../../src/plan-publication.ts';
import { verify } from '../../src/verify/verify.ts';
import { DAY, defined, entriesOf, grant } from '../accounts.ts';
import { execute } from '../postgres.ts';
import { planIn } from '../pricing/fixtures.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

const operation = (name: string, credits: number) => `
      ${name}:
        title: ${name}
        billable: true
        components:
          - { kind: flat, label: Job, credits: ${credits} }
`;

/** A plan with a price of 1 credit per job, and price changes at dates. */
const metered = (...changes: readonly (readonly [from: number, credits: number])[]) =>
  planIn(`
plan_id: metered
title: Metered
terms:
  reservation: { ttl: 1h, max_ttl: 90d, grace: 0s }
packs: []
operations: ${operation('job', 1)}
changes:
${changes.map(([from, credits]) => `  - from: ${new Date(from).toISOString()}\n    operations: ${operation('job', credits)}`).join('\n')}
${changes.length === 0 ? '  []' : ''}
`);

const usages = { items: [{ operation: 'job' }] };
const START = Date.now();
const [FIRST, SECOND] = [START + 30 * DAY, START + 60 * DAY];

let scrip: TestService;
let accountId: string;
beforeAll(async () => {
  scrip = await startTestService({ plans: [metered([FIRST, 3], [SECOND, 5])] });
  accountId = await scrip.open('metered');
  await grant(scrip, accountId, 1_000n);
});
afterAll(() => scrip.stop());

const withRequestId = () => ({ accountId, requestId: requestId() });
const charge = () => scrip.billing.charge({ ...withRequestId(), usages });

describe('before the date of a price change', () => {
  test('plans show the version in force, and upcoming versions with their dates', async () => {
    const { plan, rateCard } = await scrip.plans.getPlan({ planId: 'metered' });
    const upcomingRateCards = [
      { version: 2n, effectiveAt: new Date(FIRST) },
      { version: 3n, effectiveAt: new Date(SECOND) },
    ];
    expect(plan).toMatchObject({ rateCardVersion: 1n, upcomingRateCards });
    expect(rateCard).toMatchObject({ version: 1n, withdrawn: false });
    expect((await scrip.plans.listPlans({})).plans).toEqual([plan]);
    const next = await scrip.plans.getPlan({ planId: 'metered', rateCardVersion: 2n });
    expect(next.rateCard).toMatchObject({
      version: 2n,
      effectiveAt: new Date(FIRST),
      createdAt: rateCard?.createdAt,
      operations: [{ components: [{ component: { value: 3n } }] }],
    });
  });

  test('Estimate can price on an upcoming version, and Charge cannot', async () => {
    const estimate = (rateCardVersion?: bigint) =>
      scrip.billing.estimate({ accountId, usages, ...(rateCardVersion && { rateCardVersion }) });
    expect(await estimate()).toMatchObject({ credits: 1n, rateCardVersion: 1n });
    expect(await estimate(2n)).toMatchObject({ credits: 3n, rateCardVersion: 2n });
    const refused = [
      scrip.billing.charge({ ...withRequestId(), usages, rateCardVersion: 2n }),
      scrip.billing.reserve({ ...withRequestId(), usages, rateCardVersion: 2n }),
    ];
    for (const error of await Promise.all(refused.map(errorOf)))
      expect(error).toMatchObject({
        code: status.FAILED_PRECONDITION,
        reason: 'RATE_CARD_VERSION_UNKNOWN',
        metadata: {
          plan_id: 'metered',
          version: '2',
          effective_at: new Date(FIRST).toISOString(),
        },
      });
  });
});

describe('at the date of a price change', () => {
  let before: string;
  beforeAll(async () => {
    const ttl = { seconds: BigInt(80 * 24 * 3_600), nanos: 0 };
    const { reservation } = await scrip.billing.reserve({
      ...withRequestId(),
      usages: { items: [{ operation: 'job', count: 4n }] },
      ttl,
    });
    before = defined(reservation).reservationId;
  });

  test('the new price applies from its date on, to the millisecond', async () => {
    // The clock of the test runs on, so the first charge is well before the date.
    scrip.setNow(FIRST - 20_000);
    expect((await charge()).credits).toBe(1n);
    scrip.setNow(FIRST);
    expect((await charge()).credits).toBe(3n);
    expect(await scrip.billing.estimate({ accountId, usages })).toMatchObject({
      credits: 3n,
      rateCardVersion: 2n,
    });
    const { plan } = await scrip.plans.getPlan({ planId: 'metered' });
    expect(plan).toMatchObject({ rateCardVersion: 2n, upcomingRateCards: [{ version: 3n }] });
  });

  test('an earlier reservation keeps its price through all changes', async () => {
    const commit = { ...withRequestId(), reservationId: before, usages, final: false };
    expect(await scrip.billing.commit(commit)).toMatchObject({ committed: 1n });
    scrip.setNow(SECOND);
    expect((await charge()).credits).toBe(5n);
    const last = await scrip.billing.commit({ ...commit, requestId: requestId(), final: true });
    expect(last).toMatchObject({ committed: 1n, reservation: { rateCardVersion: 1n } });
  });

  test('an older version can still be used by name', async () => {
    const { credits } = await scrip.billing.charge({
      ...withRequestId(),
      usages,
      rateCardVersion: 1n,
    });
    expect(credits).toBe(1n);
  });

  test('every entry has the version that priced it, and verify finds nothing', async () => {
    const entries = await entriesOf(scrip, accountId);
    expect(
      entries.map(({ kind, planId, rateCardVersion }) => [kind, planId, rateCardVersion]),
    ).toEqual([
      [14, 'metered', 0n],
      [1, 'metered', 0n],
      [5, 'metered', 1n],
      [9, 'metered', 1n],
      [9, 'metered', 2n],
      [6, 'metered', 1n],
      [9, 'metered', 3n],
      [6, 'metered', 1n],
      [9, 'metered', 1n],
    ]);
    expect(await verify(scrip.databaseUrl)).toMatchObject({ ok: true });
  });

  test('verify finds an entry that was priced before the date of its version', async () => {
    const move = (by: string) =>
      execute(
        scrip.databaseUrl,
        `update rate_cards set effective_at = effective_at + $1::interval where version = 2`,
        [by],
      );
    await move('1 hour');
    const result = await verify(scrip.databaseUrl, { all: true });
    const what = `entry 5: is priced on rate card 2 of plan metered, which is in force from ${new Date(FIRST + 3_600_000).toISOString()}`;
    const forged =
      'rate card 2 of plan metered: its hash is not that of what it says and of the version before it';
    expect(result).toEqual({
      ok: false,
      discrepancies: [
        { accountId: null, what: forged },
        { accountId, what },
      ],
    });
    await move('-1 hour');
  });
});

describe('a plan file that is published again', () => {
  const versionsOf = async (service: TestService) =>
    (
      await execute(service.databaseUrl, 'select version, effective_at from rate_cards order by 1')
    ).map((row) => [row['version'], Number(row['effective_at'])]);

  test('makes no new version, and a new upcoming change replaces the earlier one for all replicas', async () => {
    const first = await startTestService({ plans: [metered([FIRST, 3])] });
    const { databaseUrl } = first;
    const again = await startTestService({ databaseUrl, plans: [metered([FIRST, 3])] });
    expect((await versionsOf(first)).map(([version]) => version)).toEqual([1, 2]);
    const edited = await startTestService({ databaseUrl, plans: [metered([FIRST, 4])] });
    expect((await versionsOf(first)).slice(1)).toEqual([
      [2, FIRST],
      [3, FIRST],
    ]);
    for (const { plans } of [first, again, edited]) {
      const { plan } = await plans.getPlan({ planId: 'metered' });
      expect(plan?.upcomingRateCards).toEqual([{ version: 3n, effectiveAt: new Date(FIRST) }]);
      const { rateCard } = await plans.getPlan({ planId: 'metered', rateCardVersion: 2n });
      expect(rateCard).toMatchObject({ withdrawn: true, effectiveAt: new Date(FIRST) });
    }
    const account = await first.open('metered');
    await grant(first, account, 10n);
    first.setNow(FIRST);
    const request = { accountId: account, requestId: requestId(), usages };
    expect((await first.billing.charge(request)).credits).toBe(4n);
    const withdrawn = first.billing.charge({ ...request, requestId: 'old', rateCardVersion: 2n });
    expect(await errorOf(withdrawn)).toMatchObject({ reason: 'RATE_CARD_VERSION_UNKNOWN' });
    await Promise.all([first, again, edited].map((service) => service.stop()));
  });

  test('is refused with a new price dated in the past, and changes nothing', async () => {
    const first = await startTestService({ plans: [metered()] });
    const { databaseUrl } = first;
    await execute(
      databaseUrl,
      `update rate_cards set created_at = created_at - interval '90 days'`,
    );
    const past = START - 5 * DAY;
    const late = publishAt(databaseUrl, [metered([past, 9], [FIRST, 3])], Date.now());
    await expect(late).rejects.toThrow(
      `test.yaml: changes[0].from: ${new Date(past).toISOString()} is past, and this change was not published before it`,
    );
    expect(await versionsOf(first)).toHaveLength(1);
    await first.stop();
  });
});
