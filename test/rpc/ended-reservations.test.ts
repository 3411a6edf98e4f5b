/**
 * Reservations that have ended: they have no row, and are read from their entries. They are what the call that
 * ended them said, on every replica and after a restart.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  Entry_Kind,
  OverCommitPolicy,
  type Reservation,
  Reservation_State,
} from '../../src/gen/billing/v1/ledger.ts';
import type { Usage } from '../../src/gen/billing/v1/pricing.ts';
import { mapOf } from '../../src/map-of.ts';
import {
  balanceOf,
  DAY,
  defined,
  entriesOf,
  grant,
  HOUR,
  INSPECT,
  MINUTE,
  openWithCredits,
  reserveCredits,
  storedRows,
  UPSCALE,
} from '../accounts.ts';
import { expectSoundLedger } from '../cluster/audit.ts';
import { execute } from '../postgres.ts';
import { errorOf } from '../rpc-error.ts';
import {
  plansOfDeploy,
  requestId,
  startTestService,
  type TestOptions,
  type TestService,
} from '../service.ts';
import { convert, scan, waterfallPlan } from './waterfall.ts';

let options: TestOptions;
let scrip: TestService;
/** Another replica on the same database. */
let twin: TestService;
beforeAll(async () => {
  const owing = waterfallPlan('owing', '  overage: { limit: 100 }');
  options = { plans: [...(await plansOfDeploy()), owing] };
  scrip = await startTestService(options);
  options = { ...options, databaseUrl: scrip.databaseUrl };
  twin = await startTestService(options);
});
afterAll(async () => {
  await expectSoundLedger(scrip.databaseUrl);
  await twin.stop();
  await scrip.stop();
});

const { COMMITTED, RELEASED, EXPIRED, ACTIVE } = Reservation_State;

function advance(ms: number) {
  for (const service of [scrip, twin]) service.advance(ms);
}

type Reserve = Omit<Parameters<TestService['billing']['reserve']>[0], 'accountId' | 'requestId'>;
type Commit = Parameters<TestService['billing']['commit']>[0];

/** A job whose calls go to one replica after the other. */
class Job {
  readonly accountId: string;
  readonly reservationId: string;
  /** The reservation as the last call returned it. */
  last: Reservation;
  #calls = 0;

  private constructor(reservation: Reservation) {
    this.accountId = reservation.accountId;
    this.reservationId = reservation.reservationId;
    this.last = reservation;
  }

  static async start(accountId: string, reserve: Reserve): Promise<Job> {
    const request = { reference: 'job-17', labels: mapOf({ team: 'images' }), ...reserve };
    const { reservation } = await scrip.billing.reserve({
      accountId,
      requestId: requestId(),
      ...request,
    });
    return new Job(defined(reservation));
  }

  /** A job on a new account of the plan verts with a hundred credits. */
  static async on100(reserve: Reserve): Promise<Job> {
    return await Job.start(await openWithCredits(scrip, 100n), reserve);
  }

  #billing() {
    return this.#calls++ % 2 === 0 ? twin.billing : scrip.billing;
  }

  get #named() {
    const { accountId, reservationId } = this;
    return { accountId, requestId: requestId(), reservationId };
  }

  async #keep(call: Promise<{ reservation?: Reservation | undefined }>) {
    this.last = defined((await call).reservation);
    return this;
  }

  commit(request: Commit) {
    return this.#keep(this.#billing().commit({ ...this.#named, ...request }));
  }

  release() {
    return this.#keep(this.#billing().release(this.#named));
  }

  raise(credits: bigint) {
    return this.#keep(this.#billing().raiseReservation({ ...this.#named, credits }));
  }

  extend(seconds: bigint) {
    const request = { ...this.#named, ttl: { seconds, nanos: 0 } };
    return this.#keep(this.#billing().extendReservation(request));
  }
}

const all = { all: true };
const usages = (...items: Usage[]) => ({
  usages: { items },
});
const TTL = { ttl: { seconds: 900n, nanos: 0 } };

/** An account that owes: 5 credits of a grant for conversions alone, 5 for all, and overage. */
async function owing(): Promise<string> {
  const accountId = await scrip.open('owing');
  await grant(scrip, accountId, 5n, { onlyFor: { operations: ['doc.convert'] } });
  await grant(scrip, accountId, 5n);
  return accountId;
}

/** How reservations come to their end. */
const jobs: readonly (readonly [how: string, state: Reservation_State, run: () => Promise<Job>])[] =
  [
    [
      'committed in full',
      COMMITTED,
      async () => (await Job.on100({ credits: 40n, ...TTL })).commit(all),
    ],
    [
      'committed in part',
      COMMITTED,
      async () => (await Job.on100({ credits: 40n })).commit({ credits: 15n }),
    ],
    [
      'committed for nothing',
      COMMITTED,
      async () => (await Job.on100({ credits: 40n })).commit(usages()),
    ],
    [
      'committed as usages',
      COMMITTED,
      async () => (await Job.on100(usages(UPSCALE, UPSCALE))).commit(usages(UPSCALE, INSPECT)),
    ],
    [
      'committed in several steps',
      COMMITTED,
      async () => {
        const job = await Job.on100({ credits: 40n });
        await job.commit({ credits: 3n, final: false });
        await job.commit({ ...usages(INSPECT), final: false });
        return await job.commit({ credits: 5n });
      },
    ],
    [
      'raised and extended, then committed',
      COMMITTED,
      async () => {
        const job = await Job.on100({ credits: 40n });
        await job.extend(7_200n);
        await job.raise(7n);
        await job.extend(10_800n);
        await job.raise(2n);
        return await job.commit({ credits: 45n });
      },
    ],
    [
      'capped',
      COMMITTED,
      async () => {
        const overCommitPolicy = OverCommitPolicy.CAP;
        return await (await Job.on100({ credits: 8n, overCommitPolicy })).commit({ credits: 30n });
      },
    ],
    [
      'capped usages',
      COMMITTED,
      async () => {
        const overCommitPolicy = OverCommitPolicy.CAP;
        return await (await Job.on100({ credits: 8n, overCommitPolicy })).commit(usages(UPSCALE));
      },
    ],
    [
      'drawn beyond what was reserved',
      COMMITTED,
      async () => {
        const job = await Job.on100({ credits: 8n, overCommitPolicy: OverCommitPolicy.DRAW });
        return await job.commit({ credits: 30n });
      },
    ],
    ['released', RELEASED, async () => (await Job.on100({ credits: 40n, ...TTL })).release()],
    [
      'released of nothing',
      RELEASED,
      async () => (await Job.on100({ credits: 0n, reference: '', labels: new Map() })).release(),
    ],
    [
      'released after a part was committed',
      RELEASED,
      async () => {
        const job = await Job.on100({ credits: 40n });
        await job.commit({ credits: 9n, final: false });
        return await job.release();
      },
    ],
    [
      'committed late',
      COMMITTED,
      async () => {
        const job = await Job.on100({ credits: 40n });
        advance(16 * MINUTE);
        return await job.commit({ credits: 25n });
      },
    ],
    [
      'committed before its expiry, late and late again',
      COMMITTED,
      async () => {
        const job = await Job.on100({ credits: 40n });
        await job.commit({ credits: 4n, final: false });
        advance(16 * MINUTE);
        await job.commit({ credits: 5n, final: false });
        await job.commit({ credits: 6n, final: false });
        return await job.commit(all);
      },
    ],
    [
      'committed late beyond what was reserved',
      COMMITTED,
      async () => {
        const job = await Job.on100({ credits: 8n, overCommitPolicy: OverCommitPolicy.DRAW });
        advance(16 * MINUTE);
        return await job.commit({ credits: 30n });
      },
    ],
    [
      'released late',
      RELEASED,
      async () => {
        const job = await Job.on100({ credits: 40n });
        advance(16 * MINUTE);
        return await job.release();
      },
    ],
    [
      'released late after a part was committed late',
      RELEASED,
      async () => {
        const job = await Job.on100({ credits: 40n });
        advance(16 * MINUTE);
        await job.commit({ credits: 5n, final: false });
        return await job.release();
      },
    ],
    [
      'held by a grant that has expired since',
      COMMITTED,
      async () => {
        const accountId = await scrip.open('verts');
        await grant(scrip, accountId, 10n, { expiresAt: new Date(scrip.now() + 5 * MINUTE) });
        const job = await Job.start(accountId, { credits: 10n });
        advance(6 * MINUTE);
        return await job.commit({ credits: 4n });
      },
    ],
    [
      'held by overage in part',
      COMMITTED,
      async () => (await Job.start(await owing(), usages(scan(30n)))).commit(usages(scan(12n))),
    ],
    [
      'held by overage, in whose place a grant pays',
      COMMITTED,
      async () => {
        const accountId = await owing();
        const job = await Job.start(accountId, usages(scan(30n)));
        await grant(scrip, accountId, 9n);
        return await job.commit(usages(scan(25n)));
      },
    ],
    [
      'held by overage, in whose place a grant pays for each of several commits',
      COMMITTED,
      async () => {
        const accountId = await owing();
        const job = await Job.start(accountId, { credits: 30n });
        await grant(scrip, accountId, 6n);
        await job.commit({ credits: 8n, final: false });
        await grant(scrip, accountId, 3n);
        return await job.commit({ credits: 7n });
      },
    ],
    [
      'held by overage, and released',
      RELEASED,
      async () => (await Job.start(await owing(), usages(scan(30n)))).release(),
    ],
    [
      'held by limited grants, and committed for another operation',
      COMMITTED,
      async () => {
        const overCommitPolicy = OverCommitPolicy.DRAW;
        const job = await Job.start(await owing(), { ...usages(convert(8n)), overCommitPolicy });
        return await job.commit(usages(scan(6n)));
      },
    ],
    [
      'held while the account moved to another plan',
      COMMITTED,
      async () => {
        const job = await Job.on100(usages(UPSCALE));
        const { accountId } = job;
        const named = { accountId, requestId: requestId() };
        const move = { ...named, planId: 'perfectparser', reason: 'a test' };
        await scrip.accounts.moveAccount(move);
        return await job.commit(usages(UPSCALE));
      },
    ],
    [
      'held while the account was closed',
      RELEASED,
      async () => {
        const job = await Job.on100({ credits: 40n });
        const { accountId } = job;
        await scrip.accounts.closeAccount({ accountId, requestId: requestId() });
        return await job.release();
      },
    ],
    [
      'refunded after it was committed',
      COMMITTED,
      async () => {
        const job = await (await Job.on100({ credits: 40n })).commit({ credits: 15n });
        const { accountId } = job;
        const { seq } = await balanceOf(scrip, accountId);
        await scrip.billing.refund({
          reason: 'a test',
          accountId,
          requestId: requestId(),
          seq,
          credits: 5n,
        });
        return job;
      },
    ],
  ];

describe.each(jobs)('a reservation that was %s', (_, state, run) => {
  let job: Job;
  let named: { readonly accountId: string; readonly reservationId: string };
  beforeAll(async () => {
    job = await run();
    const { accountId, reservationId } = job;
    named = { accountId, reservationId };
  });

  test('has no row any more', async () => {
    expect(job.last).toMatchObject({ state, held: 0n, allocations: [] });
    const sql = 'select from reservations where account_id = $1';
    expect(await execute(scrip.databaseUrl, sql, [job.accountId])).toEqual([]);
  });

  test('is what the call that ended it returned, alone and in lists', async () => {
    for (const { billing } of [scrip, twin]) {
      expect((await billing.getReservation(named)).reservation).toEqual(job.last);
      const upperCase = { ...named, reservationId: job.reservationId.toUpperCase() };
      expect((await billing.getReservation(upperCase)).reservation).toEqual(job.last);
      const { accountId } = job;
      for (const states of [[], [state], [ACTIVE, state], [COMMITTED, RELEASED, EXPIRED]])
        expect((await billing.listReservations({ accountId, states })).reservations).toEqual([
          job.last,
        ]);
      for (const other of [ACTIVE, COMMITTED, RELEASED, EXPIRED].filter((one) => one !== state))
        expect(
          (await billing.listReservations({ accountId, states: [other] })).reservations,
        ).toEqual([]);
    }
  });

  test('cannot be ended otherwise, raised or extended, on any replica', async () => {
    const reason = state === COMMITTED ? 'RESERVATION_COMMITTED' : 'RESERVATION_RELEASED';
    const rows = await storedRows(scrip, job.accountId);
    for (const { billing } of [twin, scrip]) {
      const request = () => ({ ...named, requestId: requestId() });
      const ttl = { seconds: 7_200n, nanos: 0 };
      const refused = [
        billing.commit({ ...request(), credits: 77n }),
        billing.commit({ ...request(), credits: job.last.committed, final: false }),
        billing.raiseReservation({ ...request(), credits: 1n }),
        billing.extendReservation({ ...request(), ttl }),
        ...(state === COMMITTED ? [billing.release(request())] : []),
      ];
      for (const error of await Promise.all(refused.map(errorOf)))
        expect(error).toMatchObject({
          reason,
          metadata: {
            reservation_id: job.reservationId,
            at: job.last.endedAt?.toISOString(),
          },
        });
    }
    expect(await storedRows(scrip, job.accountId)).toBe(rows);
  });

  test('can be ended in the same way again, which changes nothing', async () => {
    const rows = await storedRows(scrip, job.accountId);
    for (const { billing } of [twin, scrip]) {
      const request = { ...named, requestId: requestId() };
      const again = await (state === COMMITTED
        ? billing.commit({ ...request, credits: job.last.committed })
        : billing.release(request));
      expect(again).toMatchObject({ reservation: job.last, entrySeq: 0n });
    }
    expect(await storedRows(scrip, job.accountId)).toBe(rows);
  });
});

describe('ended reservations after a restart', () => {
  test('are what they were, and can be ended again in the same way alone', async () => {
    const ended: Job[] = [];
    for (const [, , run] of jobs) ended.push(await run());
    const restarted = await startTestService(options);
    restarted.setNow(scrip.now());
    const { billing } = restarted;
    for (const { accountId, reservationId, last } of ended) {
      const named = { accountId, reservationId };
      expect((await billing.getReservation(named)).reservation).toEqual(last);
      const again = () => ({ ...named, requestId: requestId() });
      const commit = (credits: bigint) => billing.commit({ ...again(), credits });
      const release = () => billing.release(again());
      const [same, other] =
        last.state === COMMITTED
          ? [() => commit(last.committed), release]
          : [release, () => commit(0n)];
      expect(await same()).toMatchObject({ reservation: last, entrySeq: 0n });
      expect((await errorOf(other())).reason).toMatch(/^RESERVATION_(COMMITTED|RELEASED)$/);
    }
    await restarted.stop();
  });
});

describe('an account with reservations in every state', () => {
  let accountId: string;
  /** Newest first. */
  const made: Reservation[] = [];
  beforeAll(async () => {
    accountId = await openWithCredits(scrip, 1_000n);
    const ids: string[] = [];
    for (let round = 0; round < 5; round++) {
      const [committed, released] = [await reserve(), await reserve()];
      ids.unshift(committed, released, await reserve());
      const named = () => ({ accountId, requestId: requestId() });
      await scrip.billing.commit({ ...named(), reservationId: committed, credits: 1n });
      await twin.billing.release({ ...named(), reservationId: released });
    }
    advance(HOUR); // Those that run have expired.
    await scrip.service.sweep();
    for (let round = 0; round < 5; round++) ids.unshift(await reserve());
    const { reservations } = await scrip.billing.listReservations({ accountId });
    made.push(...reservations);
  });
  const reserve = () => reserveCredits(scrip, accountId, 2n);

  test('lists 20 of them', () => {
    expect(made.map(({ state }) => state)).toEqual([
      ...Array(5).fill(ACTIVE),
      ...Array.from({ length: 5 }, () => [EXPIRED, RELEASED, COMMITTED]).flat(),
    ]);
  });

  test.each<{ readonly states: Reservation_State[] }>([
    { states: [] },
    { states: [ACTIVE] },
    { states: [EXPIRED] },
    { states: [COMMITTED] },
    { states: [RELEASED] },
    { states: [ACTIVE, EXPIRED] },
    { states: [COMMITTED, RELEASED] },
    { states: [ACTIVE, COMMITTED] },
    { states: [EXPIRED, RELEASED, COMMITTED] },
    { states: [ACTIVE, EXPIRED, RELEASED, COMMITTED] },
  ])('pages through those in the states $states, whatever the page size', async ({ states }) => {
    const expected = made.filter(({ state }) => states.length === 0 || states.includes(state));
    for (const pageSize of [1, 2, 3, 5, 19, 20, 21])
      for (const { billing } of [scrip, twin]) {
        const seen: Reservation[] = [];
        let pageToken = '';
        do {
          const page = await billing.listReservations({ accountId, states, pageSize, pageToken });
          expect(page.reservations.length).toBeLessThanOrEqual(pageSize);
          seen.push(...page.reservations);
          pageToken = page.nextPageToken;
        } while (pageToken !== '');
        expect(seen).toEqual(expected);
      }
  });
});

describe('a reservation in one batch', () => {
  test('is extended, raised, committed twice and ended; what follows meets its end', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const reservationId = await reserveCredits(scrip, accountId, 10n);
    const value = () => ({ accountId, requestId: requestId(), reservationId });
    const ttl = { seconds: 7_200n, nanos: 0 };
    const { results } = await scrip.billing.batch({
      mutations: [
        { mutation: { $case: 'extendReservation', value: { ...value(), ttl } } },
        { mutation: { $case: 'raiseReservation', value: { ...value(), credits: 20n } } },
        { mutation: { $case: 'commit', value: { ...value(), credits: 3n, final: false } } },
        { mutation: { $case: 'commit', value: { ...value(), credits: 4n } } },
        { mutation: { $case: 'commit', value: { ...value(), credits: 4n } } },
        { mutation: { $case: 'commit', value: { ...value(), credits: 5n } } },
        { mutation: { $case: 'release', value: value() } },
        { mutation: { $case: 'raiseReservation', value: { ...value(), credits: 1n } } },
        { mutation: { $case: 'extendReservation', value: { ...value(), ttl } } },
      ],
    });
    const outcomes = results.map(({ result }) =>
      result?.$case === 'error'
        ? result.value.reason
        : (defined(result).value as { readonly entrySeq: bigint }).entrySeq,
    );
    const ended = 'RESERVATION_COMMITTED';
    expect(outcomes).toEqual([4n, 5n, 6n, 7n, 0n, ended, ended, ended, ended]);
    expect((await entriesOf(scrip, accountId)).map(({ kind }) => kind).slice(3)).toEqual([
      Entry_Kind.EXTEND,
      Entry_Kind.RAISE,
      Entry_Kind.COMMIT,
      Entry_Kind.COMMIT,
    ]);
    const { reservation } = await twin.billing.getReservation({ accountId, reservationId });
    expect(reservation).toMatchObject({
      state: COMMITTED,
      credits: 30n,
      committed: 7n,
      returned: 23n,
    });
    const last = results[3]?.result;
    expect(last?.$case === 'commit' && last.value.reservation).toEqual(reservation);
  });
});

describe('an expired reservation', () => {
  test('has a row for as long as it is not ended, also past the grace period', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const reservationId = await reserveCredits(scrip, accountId, 10n);
    advance(2 * DAY);
    await scrip.service.sweep();
    const rows = await execute(
      scrip.databaseUrl,
      'select reservation_id, state from running_reservations where account_id = $1',
      [accountId],
    );
    expect(rows).toEqual([{ reservation_id: reservationId, state: 'EXPIRED' }]);
    const late = { accountId, requestId: requestId(), reservationId, credits: 1n };
    expect((await errorOf(twin.billing.commit(late))).reason).toBe('RESERVATION_EXPIRED');
  });
});
