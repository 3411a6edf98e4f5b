/** Commit, release and expiry of one reservation, racing on two replicas. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Entry_Kind, Grant_Category, Reservation_State } from '../../src/gen/billing/v1/ledger.ts';
import { planIn } from '../pricing/fixtures.ts';
import { plansOfDeploy, requestId, showDatabaseOnFailure } from '../service.ts';
import { expectSoundLedger } from './audit.ts';
import { type Cluster, outcomeOf, startCluster } from './cluster.ts';
import { Random } from './random.ts';

const ROUNDS = 50;
const TTL = { seconds: 10n, nanos: 0 };
const PAST_TTL_MS = 10_001;

/** Has no grace period: an expired reservation cannot be committed. */
const STRICT = planIn(`
plan_id: strict
title: Strict
terms:
  reservation: { ttl: 10s, max_ttl: 24h, grace: 0s }
packs: []
operations:
  job:
    title: Job
    billable: true
    components:
      - { kind: flat, label: Job, credits: 1 }
`);

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster({ plans: [...(await plansOfDeploy()), STRICT] });
});
afterAll(async () => {
  await cluster.stop();
});

async function accountWith(planId: string, credits: bigint): Promise<string> {
  const accountId = await cluster.a.open(planId);
  await grant(accountId, credits);
  return accountId;
}

async function grant(accountId: string, credits: bigint, expiresAt?: Date) {
  await cluster.a.accounts.grantCredits({
    reason: 'a test',
    accountId,
    requestId: requestId(),
    credits,
    category: Grant_Category.PAID,
    ...(expiresAt && { expiresAt }),
  });
}

async function reserve(accountId: string, credits: bigint, ttl = TTL): Promise<string> {
  const named = { accountId, requestId: requestId() };
  const { reservation } = await cluster.a.billing.reserve({ ...named, credits, ttl });
  return reservation?.reservationId ?? '';
}

async function kindsOf(accountId: string, afterSeq: bigint): Promise<readonly Entry_Kind[]> {
  const kinds: Entry_Kind[] = [];
  for await (const { entries } of cluster.a.billing.streamHistory({ accountId, afterSeq }))
    kinds.push(...entries.map(({ kind }) => kind));
  return kinds;
}

const balanceOf = async (accountId: string) =>
  (await cluster.b.billing.getBalance({ accountId })).balance;

const CREDITS = 10n * BigInt(4 * ROUNDS);

/** Rounds continue beyond ROUNDS until each end has won once, which may take longer on a slow machine. */
const needsRound = (round: number, wins: Readonly<Record<string, number>>): boolean =>
  round < ROUNDS || (Object.values(wins).includes(0) && round < 4 * ROUNDS);

/**
 * Reserves, then commits on one replica, releases on the other, and lets the reservation expire on both,
 * each after a random delay of up to the time of two calls.
 */
async function race(accountId: string, random: Random) {
  const startedAt = performance.now();
  const reservationId = await reserve(accountId, 10n);
  const { seq: before } = (await balanceOf(accountId)) ?? { seq: 0n };
  const twoCallsMs = performance.now() - startedAt;
  const delay = () => sleep(random.next() * twoCallsMs);
  const [first, second] = random.of([
    [cluster.a, cluster.b],
    [cluster.b, cluster.a],
  ]);
  const named = () => ({ accountId, requestId: requestId(), reservationId });
  const [committed, released] = await Promise.all([
    delay().then(() => outcomeOf(first.billing.commit({ ...named(), credits: 6n }))),
    delay().then(() => outcomeOf(second.billing.release(named()))),
    delay().then(() => {
      cluster.advance(PAST_TTL_MS);
      return cluster.sweep();
    }),
  ]);
  const { reservation } = await cluster.b.billing.getReservation({ accountId, reservationId });
  return { reservationId, before, committed, released, reservation };
}

describe('commit, release and expiry racing on one reservation', () => {
  test(`without a grace period: one of them wins, ${ROUNDS} times`, async () => {
    showDatabaseOnFailure(cluster.databaseUrl);
    const random = new Random(1);
    const accountId = await accountWith('strict', CREDITS);
    const wins = { COMMITTED: 0, RELEASED: 0, EXPIRED: 0 };
    for (let round = 0; needsRound(round, wins); round++) {
      const { reservationId, before, committed, released, reservation } = await race(
        accountId,
        random,
      );
      switch (reservation?.state) {
        case Reservation_State.COMMITTED:
          wins.COMMITTED++;
          expect(committed.answer).toMatchObject({ committed: 6n });
          expect(released).toMatchObject({
            reason: 'RESERVATION_COMMITTED',
            error: { metadata: { reservation_id: reservationId, state: 'COMMITTED' } },
          });
          expect(await kindsOf(accountId, before)).toEqual([Entry_Kind.COMMIT]);
          break;
        case Reservation_State.RELEASED:
          wins.RELEASED++;
          expect(released.answer).toMatchObject({ released: 10n });
          expect(committed).toMatchObject({
            reason: 'RESERVATION_RELEASED',
            error: { metadata: { reservation_id: reservationId, state: 'RELEASED' } },
          });
          expect(await kindsOf(accountId, before)).toEqual([Entry_Kind.RELEASE]);
          break;
        default:
          wins.EXPIRED++;
          expect(reservation?.state).toBe(Reservation_State.EXPIRED);
          expect(released.answer).toMatchObject({
            released: 0n,
            entrySeq: 0n,
            reservation: { state: Reservation_State.EXPIRED },
          });
          expect(committed).toMatchObject({
            reason: 'RESERVATION_EXPIRED',
            error: { metadata: { reservation_id: reservationId, state: 'EXPIRED' } },
          });
          expect(await kindsOf(accountId, before)).toEqual([Entry_Kind.EXPIRE]);
      }
    }
    for (const won of Object.values(wins)) expect(won, JSON.stringify(wins)).toBeGreaterThan(0);
    expect(await balanceOf(accountId)).toMatchObject({
      remaining: CREDITS - 6n * BigInt(wins.COMMITTED),
      reserved: 0n,
    });
    await expectSoundLedger(cluster.databaseUrl);
  });

  test(`with a grace period: an expired one may still be committed late, ${ROUNDS} times`, async () => {
    showDatabaseOnFailure(cluster.databaseUrl);
    const random = new Random(2);
    const accountId = await accountWith('verts', CREDITS);
    const wins = { COMMITTED: 0, LATE: 0, RELEASED: 0 };
    for (let round = 0; needsRound(round, wins); round++) {
      const { committed, released, reservation } = await race(accountId, random);
      // A release stops the commit, also after the expiry, when nothing is held any more.
      if (reservation?.state === Reservation_State.RELEASED) {
        wins.RELEASED++;
        expect(committed.reason).toBe('RESERVATION_RELEASED');
        expect([0n, 10n]).toContain(released.answer?.released);
        continue;
      }
      expect(reservation?.state).toBe(Reservation_State.COMMITTED);
      expect(committed.answer).toMatchObject({
        committed: 6n,
        reservation: { late: reservation?.late },
      });
      if (released.answer) expect(released.answer).toMatchObject({ released: 0n, entrySeq: 0n });
      else expect(released.reason).toBe('RESERVATION_COMMITTED');
      wins[reservation?.late ? 'LATE' : 'COMMITTED']++;
    }
    for (const won of Object.values(wins)) expect(won, JSON.stringify(wins)).toBeGreaterThan(0);
    expect(await balanceOf(accountId)).toMatchObject({
      remaining: CREDITS - 6n * BigInt(wins.COMMITTED + wins.LATE),
      reserved: 0n,
    });
    await expectSoundLedger(cluster.databaseUrl);
  });

  test("the winner's call under a new request id returns the state and changes nothing", async () => {
    const accountId = await accountWith('strict', 30n);
    const [committed, released, expired] = [
      await reserve(accountId, 10n),
      await reserve(accountId, 10n),
      await reserve(accountId, 10n),
    ];
    const commit = (reservationId: string) =>
      cluster.a.billing.commit({ accountId, requestId: requestId(), reservationId, all: true });
    const release = (reservationId: string) =>
      cluster.b.billing.release({ accountId, requestId: requestId(), reservationId });
    await commit(committed);
    await release(released);
    cluster.advance(PAST_TTL_MS);
    await cluster.sweep();
    const before = await balanceOf(accountId);

    expect(await commit(committed)).toMatchObject({
      committed: 0n,
      entrySeq: 0n,
      reservation: { state: Reservation_State.COMMITTED, committed: 10n },
    });
    expect(await release(released)).toMatchObject({
      released: 0n,
      entrySeq: 0n,
      reservation: { state: Reservation_State.RELEASED, returned: 10n },
    });
    expect(await release(expired)).toMatchObject({
      released: 0n,
      entrySeq: 0n,
      reservation: { state: Reservation_State.EXPIRED, returned: 10n },
    });
    expect(await balanceOf(accountId)).toMatchObject({
      remaining: before?.remaining,
      seq: before?.seq,
    });
    await expectSoundLedger(cluster.databaseUrl);
  });
});

describe('an expired reservation', () => {
  test('leaves its credits to the next call on any replica before any sweep', async () => {
    const accountId = await accountWith('strict', 10n);
    const reservationId = await reserve(accountId, 10n);
    cluster.advance(PAST_TTL_MS);
    expect(await balanceOf(accountId)).toMatchObject({ reserved: 0n, available: 10n });
    await cluster.b.billing.charge({ accountId, requestId: requestId(), credits: 10n });

    expect(await kindsOf(accountId, 0n)).toEqual([
      Entry_Kind.OPEN_ACCOUNT,
      Entry_Kind.GRANT,
      Entry_Kind.RESERVE,
      Entry_Kind.EXPIRE,
      Entry_Kind.CHARGE,
    ]);
    const late = cluster.a.billing.commit({
      accountId,
      requestId: requestId(),
      reservationId,
      all: true,
    });
    expect(await outcomeOf(late)).toMatchObject({ reason: 'RESERVATION_EXPIRED' });
    await expectSoundLedger(cluster.databaseUrl);
  });

  test('cannot be committed late after its credits were used', async () => {
    const accountId = await accountWith('verts', 10n);
    const reservationId = await reserve(accountId, 10n);
    cluster.advance(PAST_TTL_MS);
    await cluster.b.billing.charge({ accountId, requestId: requestId(), credits: 1n });
    const commit = (credits: bigint) =>
      cluster.a.billing.commit({ accountId, requestId: requestId(), reservationId, credits });
    expect(await outcomeOf(commit(10n))).toMatchObject({ reason: 'RESERVATION_EXPIRED' });
    expect(await commit(9n)).toMatchObject({ committed: 9n, reservation: { late: true } });
    await expectSoundLedger(cluster.databaseUrl);
  });
});

describe('a grant that expires while it is reserved', () => {
  const HOUR = { seconds: 3_600n, nanos: 0 };

  /** 10 credits that expire in 5 s, reserved for an hour, beside 20 that never expire. */
  async function reservedPastExpiry() {
    const accountId = await accountWith('strict', 20n);
    await grant(accountId, 10n, new Date(cluster.a.now() + 5_000));
    const reservationId = await reserve(accountId, 15n, HOUR);
    cluster.advance(5_001);
    await cluster.sweep();
    return { accountId, reservationId };
  }

  test('stays spendable by its reservation', async () => {
    const { accountId, reservationId } = await reservedPastExpiry();
    expect(await balanceOf(accountId)).toMatchObject({ remaining: 30n, reserved: 15n });
    const commit = { accountId, requestId: requestId(), reservationId, credits: 15n };
    await cluster.b.billing.commit(commit);
    expect(await balanceOf(accountId)).toMatchObject({ remaining: 15n, reserved: 0n });
    await expectSoundLedger(cluster.databaseUrl);
  });

  test('is breakage as far as a commit does not use it', async () => {
    const { accountId, reservationId } = await reservedPastExpiry();
    const commit = { accountId, requestId: requestId(), reservationId, credits: 4n };
    await cluster.b.billing.commit(commit);
    // 6 of the expired grant are lost, 5 of the other come back.
    expect(await balanceOf(accountId)).toMatchObject({ remaining: 20n, reserved: 0n });
    await expectSoundLedger(cluster.databaseUrl);
  });

  test('is breakage when the reservation is released', async () => {
    const { accountId, reservationId } = await reservedPastExpiry();
    await cluster.b.billing.release({ accountId, requestId: requestId(), reservationId });
    expect(await balanceOf(accountId)).toMatchObject({ remaining: 20n, available: 20n });
    await expectSoundLedger(cluster.databaseUrl);
  });

  test('is breakage when the reservation expires, swept by every replica at once', async () => {
    const { accountId } = await reservedPastExpiry();
    cluster.advance(3_600_000);
    await cluster.sweep();
    expect(await balanceOf(accountId)).toMatchObject({ remaining: 20n, available: 20n });
    const { grants } = await cluster.a.accounts.listGrants({ accountId });
    expect(grants.map(({ remaining, reserved }) => [remaining, reserved])).toEqual([
      [0n, 0n],
      [20n, 0n],
    ]);
    await expectSoundLedger(cluster.databaseUrl);
  });

  test('is breakage when both expired before the account was settled', async () => {
    const accountId = await accountWith('strict', 20n);
    await grant(accountId, 10n, new Date(cluster.a.now() + 5_000));
    await reserve(accountId, 15n);
    cluster.advance(3_600_000);
    expect(await balanceOf(accountId)).toMatchObject({ remaining: 20n, available: 20n });
    await cluster.sweep();
    expect(await balanceOf(accountId)).toMatchObject({ remaining: 20n, available: 20n });
    await expectSoundLedger(cluster.databaseUrl);
  });
});
