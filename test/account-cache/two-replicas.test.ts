/**
 * Accounts that a replica has cached while another replica writes to them, too. Every fact holds with the
 * cache and without it.
 */
import { inspect } from 'node:util';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  type AccountCache,
  LruAccountCache,
  NoAccountCache,
} from '../../src/account-cache/account-cache.ts';
import { Failure } from '../../src/failure.ts';
import { Entry_Kind } from '../../src/gen/billing/v1/ledger.ts';
import type { Command, RequestedCommand } from '../../src/ledger/decide.ts';
import { mapOf } from '../../src/map-of.ts';
import { publishAt } from '../../src/plan-publication.ts';
import type { PlanFile } from '../../src/pricing/plan.ts';
import { budgetMessage } from '../../src/rpc/messages/budget.ts';
import { verify } from '../../src/verify/verify.ts';
import {
  balanceOf,
  DAY,
  defined,
  entriesOf,
  grant,
  openWithCredits,
  storedRows,
} from '../accounts.ts';
import { lockAccount, waitForBlockedSessions } from '../disruptions.ts';
import { type OtherReplica, startOtherReplica } from '../lanes/other-replica.ts';
import {
  charge,
  commit,
  extend,
  ms,
  origin,
  raise,
  refund,
  release,
  reserve,
  setBudget,
  update,
} from '../ledger/fixtures.ts';
import { execute } from '../postgres.ts';
import { deployedPlan } from '../pricing/fixtures.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

/** Accounts that each unit of work found in the cache; 'failed' where it failed and runs again. */
const found: (number | 'failed')[] = [];

/** Records what another cache returns. */
class RecordingCache implements AccountCache {
  readonly #cache: AccountCache;

  constructor(cache: AccountCache) {
    this.#cache = cache;
  }

  take(...given: Parameters<AccountCache['take']>) {
    const taken = this.#cache.take(...given);
    found.push(taken.size);
    return taken;
  }

  store(...given: Parameters<AccountCache['store']>) {
    this.#cache.store(...given);
  }

  discard(...given: Parameters<AccountCache['discard']>) {
    this.#cache.discard(...given);
    found.push('failed');
  }
}

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService();
});
afterAll(() => scrip.stop());

describe.each([
  ['with the account cache', () => new LruAccountCache(3), true],
  ['without it', () => new NoAccountCache(), false],
])('%s', (_, createCache, isCaching) => {
  let replica: OtherReplica;
  // Each test has a replica of its own: one whose cache was stale has a cooldown.
  beforeEach(async () => {
    replica = await startOtherReplica(scrip, () => {}, new RecordingCache(createCache()));
    return () => replica.stop();
  });

  /** What the units of work found in the cache, if there is one. */
  function expectFound(expected: readonly (number | 'failed')[]) {
    if (isCaching) expect(found).toEqual(expected);
  }

  /** Asks the replica: the reservation's id if the command made one, or the reason of the failure. */
  async function ask(accountId: string, command: Command, id = requestId()): Promise<string> {
    const answer = await replica.lanes.submit({
      type: 'request',
      accountId,
      command: command as RequestedCommand,
      origin: { ...origin, requestId: id },
      call: null,
      permissions: null,
      fingerprint: Buffer.from(inspect(command)),
      notAfter: null,
      encodeResponse: (outcome) =>
        Buffer.from('reservation' in outcome ? outcome.reservation.reservationId : 'done'),
      isAbandoned: () => false,
      dayTally: null,
      blockedBy: null,
    });
    if (answer instanceof Failure) return answer.reason;
    return `${answer.firstAnsweredAt === null ? '' : 'replayed '}${Buffer.from(answer.response)}`;
  }

  /** An account of ten credits, one of them reserved by the replica, which has it in its cache. */
  async function cachedAccount() {
    const accountId = await openWithCredits(scrip, 10n);
    const reservationId = await ask(accountId, reserve(1n));
    found.length = 0;
    return { accountId, reservationId };
  }

  const reserveElsewhere = (accountId: string, credits: bigint) =>
    scrip.billing.reserve({
      accountId,
      requestId: requestId(),
      credits,
    });

  const inspection = charge({
    usages: [
      { operation: 'file.inspect', count: 1n, quantities: new Map(), attributes: new Map() },
    ],
  });

  /** The plan of these accounts, with another price of one operation. */
  function priced(operation: string, credits: bigint): PlanFile {
    const plan = deployedPlan('verts');
    const before = plan.rateCard.operations.get(operation);
    if (!before) throw new Error(operation);
    const after = { ...before, components: [{ kind: 'flat', label: operation, credits }] as const };
    const operations = new Map([...plan.rateCard.operations, [operation, after]]);
    return { ...plan, rateCard: { ...plan.rateCard, operations } };
  }

  /** Publishes as `scrip plans publish` does. */
  async function publish(plan: PlanFile) {
    await publishAt(scrip.databaseUrl, [plan], scrip.now());
  }

  describe('a cached account', () => {
    test('is not read again', async () => {
      const { accountId, reservationId } = await cachedAccount();
      await ask(accountId, reserve(2n));
      await ask(accountId, commit(reservationId));
      expectFound([1, 1]);
      expect(await balanceOf(scrip, accountId)).toMatchObject({ remaining: 9n, reserved: 2n });
      expect((await entriesOf(scrip, accountId)).length).toBe(5);
    });

    test('is not read again to extend and to raise a reservation', async () => {
      const { accountId, reservationId } = await cachedAccount();
      const expiresAt = new Date(scrip.now() + ms('2h'));
      expect(await ask(accountId, extend(reservationId, '2h'))).toBe(reservationId);
      expect(await ask(accountId, raise(reservationId, 3n))).toBe(reservationId);
      expectFound([1, 1]);
      const { reservation } = await scrip.billing.getReservation({ accountId, reservationId });
      expect(reservation).toMatchObject({ credits: 4n, held: 4n });
      expect(defined(reservation?.expiresAt).getTime()).toBeGreaterThanOrEqual(expiresAt.getTime());
      expect(await ask(accountId, commit(reservationId))).toBe(reservationId);
      expectFound([1, 1, 1]);
      expect(await balanceOf(scrip, accountId)).toMatchObject({ remaining: 6n, reserved: 0n });
      expect((await entriesOf(scrip, accountId)).slice(-3).map(({ kind }) => kind)).toEqual([
        Entry_Kind.EXTEND,
        Entry_Kind.RAISE,
        Entry_Kind.COMMIT,
      ]);
    });

    test('is read before an extension that changes nothing is answered, and nothing is written', async () => {
      const { accountId, reservationId } = await cachedAccount();
      const rows = await storedRows(scrip, accountId);
      expect(await ask(accountId, extend(reservationId, '1m'))).toBe(reservationId);
      expectFound([1, 0]);
      expect(await storedRows(scrip, accountId)).toBe(rows);
    });

    test('has the credits by which a reservation was raised elsewhere', async () => {
      const { accountId, reservationId } = await cachedAccount();
      const named = { accountId, requestId: requestId(), reservationId };
      await scrip.billing.raiseReservation({ ...named, credits: 3n });
      expect(await ask(accountId, raise(reservationId, 2n))).toBe(reservationId);
      expect(await ask(accountId, extend(reservationId, '2h'))).toBe(reservationId);
      expectFound([1, 0, 1]);
      expect(await ask(accountId, commit(reservationId))).toBe(reservationId);
      expect(await balanceOf(scrip, accountId)).toMatchObject({ remaining: 4n, reserved: 0n });
    });

    test('does not raise a reservation beyond what another replica has left', async () => {
      const { accountId, reservationId } = await cachedAccount();
      await reserveElsewhere(accountId, 8n);
      expect(await ask(accountId, raise(reservationId, 2n))).toBe('INSUFFICIENT_CREDITS');
      expect(await ask(accountId, raise(reservationId, 1n))).toBe(reservationId);
      expect(await balanceOf(scrip, accountId)).toMatchObject({ available: 0n, reserved: 10n });
    });

    test.each([
      ['committed', commit, 'RESERVATION_COMMITTED'],
      ['released', release, 'RESERVATION_RELEASED'],
    ] as const)(
      'is read before a command on a %s reservation is answered',
      async (_, end, reason) => {
        const { accountId, reservationId } = await cachedAccount();
        expect(await ask(accountId, end(reservationId))).toBe(reservationId);
        // The reservation has no row any more, and the account is cached again by each reserve.
        const repeated = async (command: Command) => {
          await ask(accountId, reserve(0n));
          found.length = 0;
          const rows = await storedRows(scrip, accountId);
          const answer = await ask(accountId, command);
          expectFound([1, 0]);
          expect(await storedRows(scrip, accountId)).toBe(rows);
          return answer;
        };
        expect(await repeated(end(reservationId))).toBe(reservationId);
        expect(await repeated(commit(reservationId, 7n))).toBe(reason);
        expect(await repeated(raise(reservationId, 1n))).toBe(reason);
        expect(await repeated(extend(reservationId, '2h'))).toBe(reason);
        expect(await repeated(release('01900000-0000-7000-8000-000000000000'))).toBe(
          'RESERVATION_NOT_FOUND',
        );
      },
    );

    test('that another replica has written is read again, and written once', async () => {
      const { accountId } = await cachedAccount();
      await reserveElsewhere(accountId, 3n);
      await ask(accountId, reserve(2n));
      expectFound([1, 'failed', 0]);
      expect((await balanceOf(scrip, accountId)).reserved).toBe(6n);
      expect((await entriesOf(scrip, accountId)).length).toBe(5);
    });

    test('that another replica has written without an entry is read again, as after a month is closed', async () => {
      const { accountId } = await cachedAccount();
      const sql = 'update accounts set version = version + 1 where account_id = $1';
      await execute(scrip.databaseUrl, sql, [accountId]);
      await ask(accountId, reserve(2n));
      expectFound([1, 'failed', 0]);
      expect((await balanceOf(scrip, accountId)).reserved).toBe(3n);
    });

    describe('with a budget', () => {
      const ann = { labels: { user: 'ann' } };

      /** An account of a thousand credits of which each user may use a hundred; ann has reserved one. */
      async function budgetedAccount() {
        const accountId = await openWithCredits(scrip, 1_000n);
        const { budget } = setBudget({ period: 'TOTAL' });
        const message = budgetMessage(budget);
        const named = { accountId, requestId: requestId(), reason: 'a test' };
        await scrip.accounts.setBudget({ ...named, budget: message });
        const reservationId = await ask(accountId, reserve(1n, ann));
        found.length = 0;
        return { accountId, reservationId };
      }

      const usedBy = async (accountId: string) =>
        (await scrip.accounts.getBudgets({ accountId })).uses.map(
          ({ value, used }) => `${value}: ${used}`,
        );

      test('counts without being read again, also what it has not counted before', async () => {
        const { accountId, reservationId } = await budgetedAccount();
        await ask(accountId, reserve(2n, ann));
        await ask(accountId, charge(7n, null, { labels: { user: 'bob' } }));
        await ask(accountId, charge(6n, null, { labels: { user: 'bob' } }));
        await ask(accountId, release(reservationId));
        expectFound([1, 1, 1, 1]);
        expect(await usedBy(accountId)).toEqual(['ann: 2', 'bob: 13']);
      });

      test('knows what another replica has counted before it charges more', async () => {
        const { accountId } = await budgetedAccount();
        const work = { accountId, requestId: requestId(), labels: mapOf(ann.labels) };
        await scrip.billing.charge({ ...work, credits: 90n });
        expect(await ask(accountId, reserve(10n, ann))).toBe('BUDGET_EXCEEDED');
        expectFound([1, 'failed', 0]);
        expect(await usedBy(accountId)).toEqual(['ann: 91']);
      });

      test('knows it of a value that it has not counted before', async () => {
        const { accountId } = await budgetedAccount();
        const bob = { user: 'bob' };
        const work = { accountId, requestId: requestId(), labels: mapOf(bob) };
        await scrip.billing.charge({ ...work, credits: 95n });
        expect(await ask(accountId, charge(6n, null, { labels: bob }))).toBe('BUDGET_EXCEEDED');
        expect(await ask(accountId, charge(5n, null, { labels: bob }))).toBe('done');
        expect(await usedBy(accountId)).toEqual(['ann: 1', 'bob: 100']);
      });

      test('is read before it refuses: another replica may have given back', async () => {
        const { accountId } = await budgetedAccount();
        const reservationId = await ask(accountId, reserve(99n, ann));
        await scrip.billing.release({ accountId, requestId: requestId(), reservationId });
        found.length = 0;
        expect(await ask(accountId, reserve(50n, ann))).not.toBe('BUDGET_EXCEEDED');
        expectFound([1, 0]);
        expect(await usedBy(accountId)).toEqual(['ann: 51']);
      });

      test('keeps the counters of the last values, and reads the others again', async () => {
        const { accountId } = await budgetedAccount();
        for (let user = 0; user < 300; user++)
          await ask(accountId, charge(1n, null, { labels: { user: `u${user}` } }));
        await ask(accountId, charge(1n, null, { labels: { user: 'u0' } }));
        await ask(accountId, charge(1n, null, { labels: { user: 'u299' } }));
        const { uses } = await scrip.accounts.getBudgets({ accountId, pageSize: 1_000 });
        expect(uses.filter(({ used }) => used === 2n).map(({ value }) => value)).toEqual([
          'u0',
          'u299',
        ]);
      });
    });

    test('that another replica has locked is read when the lock is free', async () => {
      const { accountId } = await cachedAccount();
      const unlock = await lockAccount(scrip.databaseUrl, accountId);
      const later = ask(accountId, reserve(2n));
      await expect.poll(() => found.at(-1), { timeout: 60_000 }).toBe(0);
      await waitForBlockedSessions(scrip.databaseUrl);
      expectFound([1, 'failed', 0]);
      await unlock();
      await later;
      expect((await balanceOf(scrip, accountId)).reserved).toBe(3n);
    });

    test('is read again after its settings were changed elsewhere, which moves no credits', async () => {
      const { accountId } = await cachedAccount();
      const pauseFloor = { credits: 10n };
      await scrip.accounts.updateAccount({ accountId, requestId: requestId(), pauseFloor });
      const sheddable = reserve(1n, { criticality: 'SHEDDABLE' });
      expect(await ask(accountId, sheddable)).toBe('PAUSED_BELOW_FLOOR');
    });

    test('is cached with its new settings once it was read', async () => {
      const { accountId, reservationId } = await cachedAccount();
      const pauseFloor = { credits: 10n };
      await scrip.accounts.updateAccount({ accountId, requestId: requestId(), pauseFloor });
      await ask(accountId, extend(reservationId, '2h'));
      await ask(accountId, reserve(0n));
      const sheddable = reserve(1n, { criticality: 'SHEDDABLE' });
      expect(await ask(accountId, sheddable)).toBe('PAUSED_BELOW_FLOOR');
      // Its reservation is not read at an old version, so the extension is decided again.
      expectFound([1, 0, 1, 1, 0]);
    });

    test('has the settings that another replica commits while it waits for the lock', async () => {
      const { accountId } = await cachedAccount();
      const side = new pg.Client(scrip.databaseUrl);
      await side.connect();
      await side.query('begin');
      await side.query(
        'update accounts set pause_floor = 10, version = version + 1 where account_id = $1',
        [accountId],
      );
      const later = ask(accountId, reserve(1n, { criticality: 'SHEDDABLE' }));
      await waitForBlockedSessions(scrip.databaseUrl);
      await side.query('commit');
      await side.end();
      expect(await later).toBe('PAUSED_BELOW_FLOOR');
      // No entry says it: the audit at the end would find it.
      await execute(
        scrip.databaseUrl,
        'update accounts set pause_floor = null, version = version + 1 where account_id = $1',
        [accountId],
      );
    });

    test('is charged the price that was published since', async () => {
      await publish(deployedPlan('verts'));
      const { accountId } = await cachedAccount();
      await ask(accountId, inspection);
      await publish(priced('file.inspect', 3n));
      await ask(accountId, inspection);
      expectFound([1, 1, 'failed', 0]);
      const entries = await entriesOf(scrip, accountId);
      expect(entries.slice(-2).map(({ credits }) => credits)).toEqual([1n, 3n]);
    });

    test('is charged a dated price from its date on', async () => {
      const from = scrip.now() + DAY;
      const plan = { ...priced('file.inspect', 1n), planId: `dated-${isCaching}` };
      const { rateCard } = priced('file.inspect', 3n);
      await publish({ ...plan, changes: [{ from, rateCard }] });
      const accountId = await scrip.open(`dated-${isCaching}`);
      await grant(scrip, accountId, 10n);
      await ask(accountId, inspection);
      await ask(accountId, inspection);
      scrip.advance(2 * DAY);
      found.length = 0;
      await ask(accountId, inspection);
      expectFound([1]);
      const entries = await entriesOf(scrip, accountId);
      expect(entries.slice(-2).map(({ credits }) => credits)).toEqual([1n, 3n]);
    });

    test('is read again with a reservation that was made elsewhere since', async () => {
      const { accountId } = await cachedAccount();
      const { reservation } = await reserveElsewhere(accountId, 3n);
      const { reservationId } = defined(reservation);
      expect(await ask(accountId, release(reservationId))).toBe(reservationId);
      expectFound([1, 0]);
      expect((await balanceOf(scrip, accountId)).reserved).toBe(1n);
    });

    test('has the expiry of a reservation that was extended elsewhere', async () => {
      const { accountId, reservationId } = await cachedAccount();
      const { reservation } = await scrip.billing.extendReservation({
        accountId,
        requestId: requestId(),
        reservationId,
        ttl: { seconds: 7_200n, nanos: 0 },
      });
      await ask(accountId, commit(reservationId, 0n, { final: false }));
      expect(await scrip.billing.getReservation({ accountId, reservationId })).toMatchObject({
        reservation: { expiresAt: reservation?.expiresAt },
      });
    });

    test('has a new row version after a reservation was extended, which moves no credits', async () => {
      const { accountId, reservationId } = await cachedAccount();
      const version = 'select version from accounts where account_id = $1';
      const before = await execute(scrip.databaseUrl, version, [accountId]);
      await ask(accountId, extend(reservationId, '2h'));
      expect(await execute(scrip.databaseUrl, version, [accountId])).not.toEqual(before);
    });

    test('is read again before a failure is answered: it may have more credits by now', async () => {
      const { accountId } = await cachedAccount();
      await grant(scrip, accountId, 100n);
      expect(await ask(accountId, reserve(50n))).not.toBe('INSUFFICIENT_CREDITS');
      expect(await ask(accountId, reserve(500n))).toBe('INSUFFICIENT_CREDITS');
      expect((await balanceOf(scrip, accountId)).reserved).toBe(51n);
    });

    test('is cached again by the next write after a failure', async () => {
      const { accountId } = await cachedAccount();
      await ask(accountId, reserve(500n));
      await ask(accountId, reserve(1n));
      await ask(accountId, reserve(1n));
      expectFound([1, 0, 0, 1]);
    });

    test('is read for commands that need more than the cache has', async () => {
      const { accountId, reservationId } = await cachedAccount();
      await ask(accountId, commit(reservationId));
      const { seq } = defined((await entriesOf(scrip, accountId)).at(-1));
      await ask(accountId, refund(seq, 1n));
      await ask(accountId, reserve(1n));
      await ask(accountId, update('Anna'));
      expectFound([1, 0, 1, 0]);
      expect(await balanceOf(scrip, accountId)).toMatchObject({ remaining: 10n, reserved: 1n });
    });

    test('is read again when a reservation of it has expired', async () => {
      const { accountId } = await cachedAccount();
      scrip.advance(ms('2d'));
      await ask(accountId, reserve(2n));
      expectFound([0]);
      expect((await balanceOf(scrip, accountId)).reserved).toBe(2n);
    });

    test('is evicted by accounts that were written since', async () => {
      const { accountId } = await cachedAccount();
      for (let others = 0; others < 3; others++) await cachedAccount();
      await ask(accountId, reserve(1n));
      await ask(accountId, reserve(1n));
      expectFound([0, 1]);
    });
  });

  describe('a used request id on a cached account', () => {
    test('is answered with the first response', async () => {
      const { accountId } = await cachedAccount();
      const id = requestId();
      const first = await ask(accountId, reserve(2n), id);
      found.length = 0;
      expect(await ask(accountId, reserve(2n), id)).toBe(`replayed ${first}`);
      expectFound([1, 'failed', 0]);
      expect((await balanceOf(scrip, accountId)).reserved).toBe(3n);
    });

    test('is answered with the first response, though the command would fail now', async () => {
      const { accountId } = await cachedAccount();
      const id = requestId();
      const first = await ask(accountId, reserve(8n), id);
      expect(await ask(accountId, reserve(8n), id)).toBe(`replayed ${first}`);
    });

    test.each([
      ['Reserve', () => reserve(2n), () => reserve(3n)],
      ['RaiseReservation', (id: string) => raise(id, 1n), (id: string) => raise(id, 2n)],
      ['ExtendReservation', (id: string) => extend(id, '2h'), (id: string) => extend(id, '3h')],
      ['Commit', (id: string) => commit(id, 1n), (id: string) => commit(id, 0n)],
      ['Release', (id: string) => release(id), () => release(requestId())],
      ['Charge', () => charge(1n), () => charge(2n)],
    ] as const)('of %s is replayed, and refused with other content', async (_, first, other) => {
      const { accountId, reservationId } = await cachedAccount();
      const id = requestId();
      const answer = await ask(accountId, first(reservationId), id);
      const rows = await storedRows(scrip, accountId);
      expect(await ask(accountId, first(reservationId), id)).toBe(`replayed ${answer}`);
      expect(await ask(accountId, other(reservationId), id)).toBe('REQUEST_ID_REUSED');
      expect(await storedRows(scrip, accountId)).toBe(rows);
    });

    test('is refused with other content', async () => {
      const { accountId } = await cachedAccount();
      const id = requestId();
      await ask(accountId, reserve(2n), id);
      expect(await ask(accountId, reserve(3n), id)).toBe('REQUEST_ID_REUSED');
      expect((await balanceOf(scrip, accountId)).reserved).toBe(3n);
    });
  });

  describe('a replica whose cache is often stale', () => {
    test('reads accounts for a growing number of units of work before it uses its cache again', async () => {
      const { accountId } = await cachedAccount();
      for (let times = 0; times < 12; times++) {
        await reserveElsewhere(accountId, 0n);
        await ask(accountId, reserve(0n));
      }
      const again = [1, 'failed'];
      const reading = (units: number) => Array(units).fill(0);
      expectFound([...again, 0, ...again, 0, 0, 0, 0, ...again, ...reading(7)]);
    });
  });
});

test('the ledger verifies', async () => {
  expect(await verify(scrip.databaseUrl)).toMatchObject({ ok: true });
});
