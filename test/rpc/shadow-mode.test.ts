/** SetShadowMode and ListShadowDecisions, and every RPC that can refuse, in shadow mode on two replicas. */
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { memberName } from '../../src/cli/member-name.ts';
import { RunningWork } from '../../src/gen/billing/v1/account_service.ts';
import { BudgetEnforcement, BudgetPeriod } from '../../src/gen/billing/v1/budget.ts';
import {
  Criticality,
  Entry_Kind,
  OverCommitPolicy,
  Reservation_State,
} from '../../src/gen/billing/v1/ledger.ts';
import { mapOf } from '../../src/map-of.ts';
import {
  balanceOf,
  defined,
  entriesOf,
  grant,
  HOUR,
  INSPECT,
  newestEntry,
  openWithCredits,
  reserveCredits,
  storedRows,
  UPSCALE,
} from '../accounts.ts';
import { expectSoundLedger } from '../cluster/audit.ts';
import { type Cluster, outcomesOf, startCluster, tally } from '../cluster/cluster.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, type TestService } from '../service.ts';

let cluster: Cluster;
let scrip: TestService;
let other: TestService;
beforeAll(async () => {
  cluster = await startCluster({ frozenAt: Date.parse('2031-04-08T12:00:00Z') });
  [scrip, other] = cluster.replicas;
});
afterAll(async () => {
  await expectSoundLedger(cluster.databaseUrl);
  await cluster.stop();
});

const FIRST = 1_000_000_000_000_001n;

const set = (accountId: string, enabled: boolean, service = scrip) =>
  service.accounts.setShadowMode({
    accountId,
    requestId: requestId(),
    enabled,
    reason: 'cut-over, ticket 17',
  });
const shadowed = async (credits: bigint, planId = 'verts') => {
  const accountId = await openWithCredits(scrip, credits, planId);
  await set(accountId, true);
  return accountId;
};
const charge = (accountId: string, credits: bigint, service = scrip) =>
  service.billing.charge({ accountId, requestId: requestId(), credits });
const decisionsOf = async (accountId: string, service = other) =>
  (await service.accounts.listShadowDecisions({ accountId })).decisions;
/** Such as "CHARGE 10 left 90" and "CHARGE 10 refused INSUFFICIENT_CREDITS left 5". */
const decided = async (accountId: string) =>
  (await decisionsOf(accountId)).map(({ kind, credits, refusedBecause, availableAfter }) =>
    [
      `${memberName(Entry_Kind, kind)} ${credits}`,
      ...(refusedBecause ? [`refused ${refusedBecause}`] : []),
      `left ${availableAfter}`,
    ].join(' '),
  );

describe('SetShadowMode', () => {
  test('says since when and by whom, on every replica, and is an entry with its reason', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    await charge(accountId, 1n, other); // that replica caches the account
    const { account, entrySeq } = await set(accountId, true);
    const since = new Date(scrip.now());
    expect(account?.shadowMode).toEqual({ since, until: undefined, caller: 'test' });
    expect(await newestEntry(other, accountId)).toMatchObject({
      seq: entrySeq,
      kind: Entry_Kind.UPDATE_ACCOUNT,
      details: mapOf({ shadow_mode: 'on', reason: 'cut-over, ticket 17' }),
    });
    await charge(accountId, 10n, other);
    expect((await balanceOf(scrip, accountId)).available).toBe(99n);
    const ended = await set(accountId, false, other);
    expect(ended.account?.shadowMode).toEqual({ since, until: since, caller: 'test' });
    await charge(accountId, 10n, scrip);
    expect((await balanceOf(scrip, accountId)).available).toBe(89n);
  });

  test('has no effect where the account is in that mode', async () => {
    const accountId = await openWithCredits(scrip, 1n);
    expect((await set(accountId, false)).entrySeq).toBe(0n);
    await set(accountId, true);
    expect((await set(accountId, true)).entrySeq).toBe(0n);
  });

  test('is refused with bad fields, and of a closed account', async () => {
    const accountId = await openWithCredits(scrip, 1n);
    const bad = { accountId, requestId: requestId(), reason: '' };
    expect((await errorOf(scrip.accounts.setShadowMode(bad))).fields).toEqual([
      'enabled',
      'reason',
    ]);
    await scrip.accounts.closeAccount({ accountId, requestId: requestId() });
    expect((await errorOf(set(accountId, true))).reason).toBe('ACCOUNT_CLOSED');
  });

  test('is a filter of ListAccounts', async () => {
    const listed = async () =>
      (await scrip.accounts.listAccounts({ inShadowMode: true, pageSize: 1_000 })).accounts.map(
        (account) => account.accountId,
      );
    const accountId = await shadowed(1n);
    expect(await listed()).toContain(accountId);
    await set(accountId, false);
    expect(await listed()).not.toContain(accountId);
  });
});

describe('work in shadow mode', () => {
  test('moves nothing, and runs down a balance of its own', async () => {
    const accountId = await shadowed(100n);
    const before = await storedRows(scrip, accountId);
    const charged = await scrip.billing.charge({
      accountId,
      requestId: requestId(),
      usages: { items: [UPSCALE] },
      reference: 'job-1',
      labels: mapOf({ team: 'media' }),
    });
    expect(charged).toMatchObject({ credits: 10n, entrySeq: FIRST, balance: { available: 90n } });
    expect(charged.lines).toMatchObject([{ unitCredits: 10n, credits: 10n }]);
    await charge(accountId, 60n, other);
    expect(await storedRows(scrip, accountId)).toBe(before);
    expect((await balanceOf(scrip, accountId)).available).toBe(100n);
    expect(await decided(accountId)).toEqual(['CHARGE 10 left 90', 'CHARGE 60 left 30']);
    expect((await decisionsOf(accountId))[0]).toMatchObject({
      seq: FIRST,
      reference: 'job-1',
      labels: mapOf({ team: 'media' }),
      rateCardVersion: 1n,
      planId: 'verts',
      caller: 'test',
      usages: [{ usage: { operation: 'image.upscale' }, credits: 10n }],
    });
  });

  test('is never refused for credits; what would have been uses nothing', async () => {
    const accountId = await shadowed(15n);
    await charge(accountId, 10n);
    const refused = await charge(accountId, 10n, other);
    expect(refused).toMatchObject({ credits: 10n, balance: { available: 5n } });
    await charge(accountId, 5n);
    await charge(accountId, 1n);
    expect(await decided(accountId)).toEqual([
      'CHARGE 10 left 5',
      'CHARGE 10 refused INSUFFICIENT_CREDITS left 5',
      'CHARGE 5 left 0',
      'CHARGE 1 refused INSUFFICIENT_CREDITS left 0',
    ]);
    const [, second] = await decisionsOf(accountId);
    expect(second?.refusalMetadata).toEqual(
      new Map([
        ...mapOf({ required: '10', available: '5', shortfall: '5' }),
        ...second!.refusalMetadata,
      ]),
    );
  });

  test('counts what is bought and granted meanwhile, which is real', async () => {
    const accountId = await shadowed(10n);
    await charge(accountId, 10n);
    await grant(scrip, accountId, 7n);
    await charge(accountId, 7n);
    expect(await decided(accountId)).toEqual(['CHARGE 10 left 0', 'CHARGE 7 left 0']);
    expect((await balanceOf(scrip, accountId)).available).toBe(17n);
  });

  test('reserves, raises, extends, commits and releases', async () => {
    const accountId = await shadowed(100n);
    const before = await storedRows(scrip, accountId);
    const id = () => ({ accountId, requestId: requestId() });
    const { reservation } = await scrip.billing.reserve({
      ...id(),
      usages: { items: [UPSCALE] },
      reference: 'job',
    });
    const { reservationId } = defined(reservation);
    expect(reservation).toMatchObject({ state: Reservation_State.ACTIVE, credits: 10n });
    await other.billing.raiseReservation({ ...id(), reservationId, credits: 20n });
    await scrip.billing.extendReservation({
      ...id(),
      reservationId,
      ttl: { seconds: 7_200n, nanos: 0 },
    });
    const partial = await other.billing.commit({
      ...id(),
      ...{ reservationId, credits: 12n, final: false },
    });
    expect(partial).toMatchObject({
      committed: 12n,
      reservation: { state: Reservation_State.ACTIVE },
    });
    const found = await scrip.billing.getReservation({ accountId, reservationId });
    expect(found.reservation).toMatchObject({ committed: 12n, reference: 'job' });
    await scrip.billing.release({ ...id(), reservationId });
    expect(
      (await errorOf(scrip.billing.commit({ ...id(), reservationId, all: true }))).reason,
    ).toBe('RESERVATION_RELEASED');
    expect(await storedRows(scrip, accountId)).toBe(before);
    expect(await decided(accountId)).toEqual([
      'RESERVE 10 left 90',
      'RAISE 20 left 70',
      'EXTEND 0 left 70',
      'COMMIT 12 left 70',
      'RELEASE 18 left 88',
    ]);
  });

  test('commits what would have been refused, and it uses nothing', async () => {
    const accountId = await shadowed(5n);
    const id = () => ({ accountId, requestId: requestId() });
    const reservationId = await reserveCredits(scrip, accountId, 10n);
    const { committed } = await other.billing.commit({ ...id(), reservationId, credits: 8n });
    expect(committed).toBe(8n);
    expect(await decided(accountId)).toEqual([
      'RESERVE 10 refused INSUFFICIENT_CREDITS left 5',
      'COMMIT 8 left 5',
    ]);
  });

  test('draws more than it has: the rest would have been refused', async () => {
    const accountId = await shadowed(10n);
    const id = () => ({ accountId, requestId: requestId() });
    const { reservation } = await scrip.billing.reserve({
      ...id(),
      ...{ credits: 6n, overCommitPolicy: OverCommitPolicy.DRAW },
    });
    const { reservationId } = defined(reservation);
    const { committed } = await scrip.billing.commit({ ...id(), reservationId, credits: 14n });
    expect(committed).toBe(14n);
    expect(await decided(accountId)).toEqual([
      'RESERVE 6 left 4',
      'COMMIT 14 refused INSUFFICIENT_CREDITS left 4',
    ]);
  });

  test('refunds once', async () => {
    const accountId = await shadowed(10n);
    const id = () => ({ accountId, requestId: requestId() });
    const { entrySeq: seq } = await charge(accountId, 8n);
    const why = { reason: 'a test' };
    await other.billing.refund({ ...id(), ...why, seq, credits: 5n });
    expect(
      (await errorOf(scrip.billing.refund({ ...id(), ...why, seq, credits: 4n }))).reason,
    ).toBe('EXCEEDS_COMMIT');
    await scrip.billing.refund({ ...id(), ...why, seq, all: true });
    expect(await decided(accountId)).toEqual([
      'CHARGE 8 left 2',
      'REFUND 5 left 7',
      'REFUND 3 left 10',
    ]);
  });

  test('expires jobs', async () => {
    const accountId = await shadowed(10n);
    const reservationId = await reserveCredits(scrip, accountId, 6n);
    cluster.advance(48 * HOUR);
    await charge(accountId, 10n);
    expect(await decided(accountId)).toEqual([
      'RESERVE 6 left 4',
      'EXPIRE 6 left 10',
      'CHARGE 10 left 0',
    ]);
    const late = scrip.billing.commit({
      accountId,
      requestId: requestId(),
      reservationId,
      all: true,
    });
    expect((await errorOf(late)).reason).toBe('RESERVATION_EXPIRED');
  });

  test('a job whose time is over is expired before that is written', async () => {
    const accountId = await shadowed(10n);
    const reservationId = await reserveCredits(scrip, accountId, 6n);
    await scrip.billing.commit({
      ...{ accountId, requestId: requestId(), reservationId },
      ...{ credits: 2n, final: false },
    });
    cluster.advance(48 * HOUR);
    const seen = async () =>
      (await other.billing.getReservation({ accountId, reservationId })).reservation;
    const before = defined(await seen());
    expect(before).toMatchObject({
      ...{ state: Reservation_State.EXPIRED, endedAt: before.expiresAt },
      ...{ held: 0n, committed: 2n, returned: 4n, allocations: [] },
    });
    expect(await decided(accountId)).toHaveLength(2);
    await charge(accountId, 1n);
    expect(await decided(accountId)).toHaveLength(4);
    expect(await seen()).toEqual(before);
  });

  test('the balance in an answer counts what all jobs hold, real ones as well', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    await reserveCredits(scrip, accountId, 30n);
    await set(accountId, true);
    await reserveCredits(other, accountId, 20n);
    const { balance } = await charge(accountId, 10n);
    expect(balance).toMatchObject({ remaining: 90n, reserved: 50n, available: 40n, usable: 90n });
  });

  test('and what jobs of shadow mode hold of a grant that has expired', async () => {
    const accountId = await shadowed(100n);
    const soon = { expiresAt: new Date(scrip.now() + HOUR) };
    await grant(scrip, accountId, 12n, soon);
    await scrip.billing.reserve({
      ...{ accountId, requestId: requestId(), credits: 12n },
      ttl: { seconds: 7_200n, nanos: 0 },
    });
    cluster.advance(HOUR);
    await scrip.service.sweep();
    const { balance } = await charge(accountId, 10n, other);
    expect(balance).toMatchObject({ remaining: 102n, reserved: 12n, available: 90n, usable: 102n });
  });

  test.each([
    [
      'ACCOUNT_SUSPENDED',
      (accountId: string) =>
        scrip.accounts.suspendAccount({
          ...{ accountId, requestId: requestId(), reason: 'a test' },
          running: RunningWork.STOP,
        }),
    ],
    [
      'ACCOUNT_CLOSED',
      (accountId: string) => scrip.accounts.closeAccount({ accountId, requestId: requestId() }),
    ],
    [
      'PAUSED_BELOW_FLOOR',
      (accountId: string) =>
        scrip.accounts.updateAccount({
          ...{ accountId, requestId: requestId() },
          pauseFloor: { credits: 1_000n },
        }),
    ],
    [
      'BUDGET_EXCEEDED',
      (accountId: string) =>
        scrip.accounts.setBudget({
          ...{ accountId, requestId: requestId(), reason: 'a test' },
          budget: {
            budgetId: 'per-user',
            dimension: { $case: 'label' as const, value: 'user' },
            value: undefined,
            credits: 1n,
            period: BudgetPeriod.DAY,
            enforcement: BudgetEnforcement.HARD,
            exceptions: [],
          },
        }),
    ],
  ])('is recorded, and not refused, for %s', async (reason, hinder) => {
    const accountId = await shadowed(100n);
    const running = await reserveCredits(scrip, accountId, 10n);
    await hinder(accountId);
    const id = () => ({
      ...{ accountId, requestId: requestId(), labels: mapOf({ user: 'ann' }) },
      criticality: Criticality.SHEDDABLE,
    });
    await other.billing.charge({ ...id(), usages: { items: [INSPECT] } });
    await other.billing.charge({ ...id(), credits: 2n });
    const { reservation } = await scrip.billing.reserve({ ...id(), credits: 3n });
    const { reservationId } = defined(reservation);
    await other.billing.raiseReservation({ ...id(), reservationId, credits: 4n });
    await scrip.billing.commit({ ...id(), reservationId, all: true });
    await scrip.billing.commit({ ...id(), reservationId: running, all: true });
    const reasons = (await decisionsOf(accountId)).map(({ refusedBecause }) => refusedBecause);
    expect(reasons).toContain(reason);
    expect(new Set(reasons)).toEqual(new Set(['', reason]));
    expect(await balanceOf(scrip, accountId)).toMatchObject({ available: 100n, reserved: 0n });
  });

  test('a budget counts what is allowed, and nothing that is not', async () => {
    const accountId = await shadowed(100n);
    const why = { accountId, requestId: requestId(), reason: 'a test' };
    await scrip.accounts.setBudget({
      ...why,
      budget: {
        budgetId: 'per-user',
        dimension: { $case: 'label', value: 'user' },
        value: undefined,
        credits: 10n,
        period: BudgetPeriod.DAY,
        enforcement: BudgetEnforcement.HARD,
        exceptions: [],
      },
    });
    const work = (credits: bigint, service = scrip) =>
      service.billing.charge({
        ...{ accountId, requestId: requestId(), credits },
        labels: mapOf({ user: 'ann' }),
      });
    await work(6n);
    await work(6n, other);
    await work(4n);
    await work(1n, other);
    expect(await decided(accountId)).toEqual([
      'CHARGE 6 left 94',
      'CHARGE 6 refused BUDGET_EXCEEDED left 94',
      'CHARGE 4 left 90',
      'CHARGE 1 refused BUDGET_EXCEEDED left 90',
    ]);
    const { uses } = await scrip.accounts.getBudgets({ accountId });
    expect(uses.map(({ used }) => used)).toEqual(uses.map(() => 0n));
  });

  test('an atomic Batch of which one would have been refused would have charged nothing', async () => {
    const accountId = await shadowed(10n);
    const work = (credits: bigint) => ({
      mutation: {
        $case: 'charge' as const,
        value: { accountId, requestId: requestId(), credits },
      },
    });
    const mutations = [work(6n), work(7n), work(1n)];
    const first = await scrip.billing.batch({ mutations, atomic: true });
    expect(first.results.every(({ result }) => result?.$case === 'charge')).toBe(true);
    await other.billing.batch({ mutations, atomic: true });
    await other.billing.batch({ mutations: [work(4n), work(6n)], atomic: true });
    expect(await decided(accountId)).toEqual([
      'CHARGE 6 refused BATCH_REFUSED left 10',
      'CHARGE 7 refused INSUFFICIENT_CREDITS left 10',
      'CHARGE 1 refused BATCH_REFUSED left 10',
      'CHARGE 4 left 6',
      'CHARGE 6 left 0',
    ]);
    const [ofFirst] = await decisionsOf(accountId);
    expect(ofFirst?.refusalMetadata).toEqual(
      mapOf({ index: '1', refusal: 'INSUFFICIENT_CREDITS' }),
    );
  });

  test('a commit in an atomic Batch of which another would have been refused ends its job', async () => {
    const accountId = await shadowed(10n);
    const id = () => ({ accountId, requestId: requestId() });
    const reservationId = await reserveCredits(scrip, accountId, 6n);
    const { results } = await scrip.billing.batch({
      mutations: [
        { mutation: { $case: 'commit', value: { ...id(), reservationId, credits: 5n } } },
        { mutation: { $case: 'charge', value: { ...id(), credits: 7n } } },
      ],
      atomic: true,
    });
    const [committed] = results;
    if (committed?.result?.$case !== 'commit') throw new Error('not committed');
    expect(committed.result.value).toMatchObject({ committed: 5n, entrySeq: FIRST + 1n });
    expect(await decided(accountId)).toEqual([
      'RESERVE 6 left 4',
      'COMMIT 5 refused BATCH_REFUSED left 5',
      'CHARGE 7 refused INSUFFICIENT_CREDITS left 5',
    ]);
  });

  test('a refund gives back the same in the unit of work of its commit and in a later one', async () => {
    const labels = mapOf({ user: 'ann' });
    const decidedAfter = async (inOne: boolean) => {
      const accountId = await shadowed(100n);
      const id = () => ({ accountId, requestId: requestId() });
      await scrip.accounts.setBudget({
        ...id(),
        reason: 'a cap',
        budget: {
          ...{ budgetId: 'all', dimension: { $case: 'label', value: 'user' }, value: undefined },
          ...{ credits: 10n, period: BudgetPeriod.DAY },
          ...{ enforcement: BudgetEnforcement.HARD, exceptions: [] },
        },
      });
      const charged = async (credits: bigint) => {
        await scrip.billing.charge({ ...id(), credits, labels });
      };
      const commitAndRefund = async (reserved: bigint) => {
        const { reservation, entrySeq } = await scrip.billing.reserve({
          ...{ ...id(), credits: reserved, labels },
        });
        const { reservationId } = defined(reservation);
        const commit = { ...id(), reservationId, all: true };
        const refund = { ...id(), seq: entrySeq + 1n, all: true, reason: 'a test' };
        const mutations = [
          { mutation: { $case: 'commit' as const, value: commit } },
          { mutation: { $case: 'refund' as const, value: refund } },
        ];
        if (inOne) await scrip.billing.batch({ mutations, atomic: true });
        else for (const one of mutations) await scrip.billing.batch({ mutations: [one] });
      };
      await charged(8n);
      await commitAndRefund(5n); // beyond the budget
      await charged(5n);
      await commitAndRefund(2n);
      await charged(2n);
      return await decided(accountId);
    };
    const inTwo = await decidedAfter(false);
    expect(inTwo).toEqual([
      'CHARGE 8 left 92',
      ...['RESERVE 5 refused BUDGET_EXCEEDED left 92', 'COMMIT 5 left 92', 'REFUND 5 left 92'],
      'CHARGE 5 refused BUDGET_EXCEEDED left 92',
      ...['RESERVE 2 left 90', 'COMMIT 2 left 90', 'REFUND 2 left 92'],
      'CHARGE 2 left 90',
    ]);
    expect(await decidedAfter(true)).toEqual(inTwo);
  });

  test('a budget that is set in the batch of its first work counts that work', async () => {
    const accountId = await shadowed(100n);
    const named = () => ({ accountId, requestId: requestId() });
    const budget = {
      budgetId: 'all',
      dimension: { $case: 'label' as const, value: 'user' },
      value: undefined,
      credits: 10n,
      period: BudgetPeriod.DAY,
      enforcement: BudgetEnforcement.HARD,
      exceptions: [],
    };
    const work = (credits: bigint) => ({
      mutation: { $case: 'charge' as const, value: { ...named(), credits } },
    });
    await scrip.billing.batch({
      mutations: [
        { mutation: { $case: 'setBudget', value: { ...named(), budget, reason: 'a test' } } },
        work(6n),
        work(4n),
      ],
      atomic: true,
    });
    await other.billing.batch({ mutations: [work(1n)] });
    expect(await decided(accountId)).toEqual([
      'CHARGE 6 left 94',
      'CHARGE 4 left 90',
      'CHARGE 1 refused BUDGET_EXCEEDED left 90',
    ]);
  });

  test('an overage limit is recorded', async () => {
    const accountId = await scrip.open('aspose-cloud');
    await set(accountId, true);
    const { balance } = await charge(accountId, 60n);
    expect(balance?.overage).toBe(10n);
    const { overageLimit } = await balanceOf(scrip, accountId);
    await charge(accountId, overageLimit, other);
    expect((await decisionsOf(accountId)).map(({ refusedBecause }) => refusedBecause)).toEqual([
      '',
      'OVERAGE_LIMIT_REACHED',
    ]);
    expect((await balanceOf(scrip, accountId)).overage).toBe(0n);
  });

  test('bad input keeps its typed error, and writes nothing', async () => {
    const accountId = await shadowed(10n);
    const id = () => ({ accountId, requestId: requestId() });
    const bad: readonly (readonly [() => Promise<unknown>, string])[] = [
      [
        () =>
          scrip.billing.charge({ ...id(), usages: { items: [{ ...INSPECT, operation: 'no' }] } }),
        'UNKNOWN_OPERATION',
      ],
      [() => scrip.billing.charge({ ...id(), credits: -1n }), 'INVALID_FIELD'],
      [
        () => scrip.billing.commit({ ...id(), reservationId: requestId(), all: true }),
        'RESERVATION_NOT_FOUND',
      ],
      [
        () => scrip.billing.refund({ ...id(), seq: FIRST + 7n, all: true, reason: 'a' }),
        'ENTRY_NOT_FOUND',
      ],
      [
        () => scrip.billing.charge({ ...id(), credits: 1n, rateCardVersion: 99n }),
        'RATE_CARD_VERSION_UNKNOWN',
      ],
    ];
    for (const [call, reason] of bad) expect((await errorOf(call())).reason).toBe(reason);
    const reservationId = await reserveCredits(scrip, accountId, 2n);
    const tooMuch = scrip.billing.commit({ ...id(), reservationId, credits: 3n });
    expect(await errorOf(tooMuch)).toMatchObject({
      code: status.FAILED_PRECONDITION,
      reason: 'EXCEEDS_RESERVATION',
    });
    expect(await decided(accountId)).toEqual(['RESERVE 2 left 8']);
  });

  test('a Batch takes it, and an atomic one all or nothing', async () => {
    const accountId = await shadowed(10n);
    const mutation = (credits: bigint, operation = '') => ({
      mutation: {
        $case: 'charge' as const,
        value: {
          ...{ accountId, requestId: requestId() },
          ...(operation ? { usages: { items: [{ ...INSPECT, operation }] } } : { credits }),
        },
      },
    });
    const { results } = await scrip.billing.batch({ mutations: [mutation(6n), mutation(6n)] });
    expect(results.every(({ result }) => result?.$case === 'charge')).toBe(true);
    const refused = await scrip.billing.batch({
      mutations: [mutation(1n), mutation(1n, 'no')],
      atomic: true,
    });
    expect(refused.results.every(({ result }) => result?.$case === 'error')).toBe(true);
    await scrip.billing.batch({ mutations: [mutation(2n), mutation(2n)], atomic: true });
    expect(await decided(accountId)).toEqual([
      'CHARGE 6 left 4',
      'CHARGE 6 refused INSUFFICIENT_CREDITS left 4',
      'CHARGE 2 left 2',
      'CHARGE 2 left 0',
    ]);
  });
});

describe('request ids', () => {
  test('are answered again on both replicas, also after shadow mode, and never used for other content', async () => {
    const accountId = await shadowed(10n);
    const request = { accountId, requestId: requestId(), credits: 4n };
    const first = await scrip.billing.charge(request);
    expect(await other.billing.charge(request)).toEqual({ ...first, replay: expect.anything() });
    const changed = { ...request, credits: 5n };
    expect((await errorOf(other.billing.charge(changed))).reason).toBe('REQUEST_ID_REUSED');
    await set(accountId, false);
    expect(await scrip.billing.charge(request)).toEqual({ ...first, replay: expect.anything() });
    await charge(accountId, 1n, other); // that replica caches the account
    await charge(accountId, 1n, other);
    expect(await other.billing.charge(request)).toEqual({ ...first, replay: expect.anything() });
    expect((await errorOf(other.billing.charge(changed))).reason).toBe('REQUEST_ID_REUSED');
    expect((await balanceOf(scrip, accountId)).available).toBe(8n);
  });

  test('of real work are answered again in shadow mode', async () => {
    const accountId = await openWithCredits(scrip, 10n);
    const request = { accountId, requestId: requestId(), credits: 4n };
    const first = await scrip.billing.charge(request);
    await set(accountId, true);
    expect(await other.billing.charge(request)).toEqual({ ...first, replay: expect.anything() });
    expect(await decisionsOf(accountId)).toEqual([]);
  });
});

describe('a job belongs to the mode in which it was reserved', () => {
  test('one of shadow mode is charged nothing after it', async () => {
    const accountId = await shadowed(10n);
    const id = () => ({ accountId, requestId: requestId() });
    const reservationId = await reserveCredits(scrip, accountId, 6n);
    await set(accountId, false);
    await charge(accountId, 1n, other);
    await charge(accountId, 1n, other);
    const { committed } = await other.billing.commit({ ...id(), reservationId, credits: 5n });
    expect(committed).toBe(5n);
    expect((await balanceOf(scrip, accountId)).available).toBe(8n);
    expect((await entriesOf(scrip, accountId)).map(({ kind }) => kind)).not.toContain(
      Entry_Kind.COMMIT,
    );
  });

  test('one of before is charged in shadow mode', async () => {
    const accountId = await openWithCredits(scrip, 10n);
    const reservationId = await reserveCredits(scrip, accountId, 6n);
    await set(accountId, true);
    await other.billing.commit({ accountId, requestId: requestId(), reservationId, all: true });
    expect((await balanceOf(scrip, accountId)).available).toBe(4n);
    await charge(accountId, 4n);
    expect(await decided(accountId)).toEqual(['CHARGE 4 left 0']);
  });

  test('beginning again starts from the balance of then', async () => {
    const accountId = await shadowed(10n);
    await charge(accountId, 10n);
    await set(accountId, false);
    await charge(accountId, 3n);
    cluster.advance(1_000);
    await set(accountId, true);
    await charge(accountId, 6n);
    expect(await decided(accountId)).toEqual(['CHARGE 10 left 0', 'CHARGE 6 left 1']);
  });

  test('a refund of what was charged before it began again gives nothing back', async () => {
    const accountId = await shadowed(10n);
    const { entrySeq: seq } = await charge(accountId, 10n);
    await set(accountId, false);
    cluster.advance(1_000);
    await set(accountId, true);
    await charge(accountId, 6n);
    const id = { accountId, requestId: requestId(), reason: 'a test' };
    const { balance } = await other.billing.refund({ ...id, seq, all: true });
    expect(balance?.available).toBe(4n);
    expect(await decided(accountId)).toEqual([
      ...['CHARGE 10 left 0', 'CHARGE 6 left 4', 'REFUND 10 left 4'],
    ]);
  });

  test('beginning again within the same millisecond starts from the balance of then', async () => {
    const accountId = await shadowed(10n);
    const began = scrip.now();
    await charge(accountId, 10n);
    await set(accountId, false);
    const { account } = await set(accountId, true);
    expect(account?.shadowMode?.since).toEqual(new Date(began + 1));
    await charge(accountId, 6n);
    expect(await decided(accountId)).toEqual(['CHARGE 10 left 0', 'CHARGE 6 left 4']);
  });
});

test('switched under load on two replicas: what is answered as shadow moves nothing, all else is charged', async () => {
  const accountId = await openWithCredits(scrip, 10_000n);
  await set(accountId, true);
  const calls = (many: number) =>
    Array.from({ length: many }, (_, index) => charge(accountId, 1n, cluster.replicas[index % 2]!));
  const during = calls(60);
  const ended = set(accountId, false, other);
  const racing = calls(60);
  await ended;
  const after = await Promise.all(calls(60));
  const all = await Promise.all([...during, ...racing]);
  const real = all.filter(({ entrySeq }) => entrySeq < FIRST).length;
  expect(after.every(({ entrySeq }) => entrySeq < FIRST)).toBe(true);
  expect((await balanceOf(scrip, accountId)).available).toBe(10_000n - BigInt(real + 60));
  const { length } = await decisionsOfAll(accountId);
  expect(length).toBe(120 - real);
});

const decisionsOfAll = async (accountId: string) => {
  const all = [];
  let pageToken = '';
  do {
    const page = await scrip.accounts.listShadowDecisions({ accountId, pageSize: 7, pageToken });
    all.push(...page.decisions);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return all;
};

test('charges that race for the last credits: as many are allowed as it has', async () => {
  const accountId = await shadowed(5n);
  const outcomes = await outcomesOf(
    Array.from({ length: 20 }, (_, index) => charge(accountId, 1n, cluster.replicas[index % 2]!)),
  );
  expect(tally(outcomes)).toEqual({ OK: 20 });
  const reasons = (await decisionsOfAll(accountId)).map(({ refusedBecause }) => ({
    reason: refusedBecause || 'allowed',
  }));
  expect(tally(reasons)).toEqual({ allowed: 5, INSUFFICIENT_CREDITS: 15 });
});

test('EraseAccountData leaves no decision', async () => {
  const accountId = await shadowed(10n);
  await charge(accountId, 4n);
  await reserveCredits(scrip, accountId, 2n);
  const id = () => ({ accountId, requestId: requestId() });
  await scrip.accounts.closeAccount(id());
  await scrip.accounts.eraseAccountData({ ...id(), reason: 'ticket 17' });
  expect(await decisionsOf(accountId)).toEqual([]);
});
