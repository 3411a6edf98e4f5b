/** Accounts that a replica keeps between units of work, while another writes to them, too. */
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { AccountCache } from '../../src/account-cache/account-cache.ts';
import { Failure } from '../../src/failure.ts';
import type { Command } from '../../src/ledger/decide.ts';
import type { PlanFile } from '../../src/pricing/plan.ts';
import { Catalogue } from '../../src/store/catalogue.ts';
import { verify } from '../../src/verify/verify.ts';
import { balanceOf, DAY, defined, entriesOf, grant, openWithCredits } from '../accounts.ts';
import { lockAccount, waitForBlockedSessions } from '../disruptions.ts';
import { type OtherReplica, startOtherReplica } from '../lanes/other-replica.ts';
import {
  charge,
  commit,
  extend,
  ms,
  origin,
  refund,
  release,
  reserve,
} from '../ledger/fixtures.ts';
import { execute } from '../postgres.ts';
import { realPlan } from '../pricing/fixtures.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

/** How many accounts each unit of work did not have to read, and where it had to run again. */
const taken: (number | 'again')[] = [];
class Watched extends AccountCache {
  override take(...args: Parameters<AccountCache['take']>) {
    const books = super.take(...args);
    taken.push(books.size);
    return books;
  }

  override failed(...args: Parameters<AccountCache['failed']>) {
    super.failed(...args);
    taken.push('again');
  }
}

let scrip: TestService;
let replica: OtherReplica;
let kept: AccountCache;

beforeAll(async () => {
  scrip = await startTestService();
});
// Each test has a replica of its own: one that has failed reads for a while.
beforeEach(async () => {
  kept = new Watched(3);
  replica = await startOtherReplica(scrip, () => {}, kept);
  return () => replica.stop();
});
afterAll(() => scrip.stop());

/** What the replica says: an id where a reservation comes of it, or the reason why not. */
async function told(accountId: string, command: Command, id = requestId()): Promise<string> {
  const answer = await replica.lanes.submit({
    type: 'request',
    accountId,
    command,
    origin: { ...origin, requestId: id },
    fingerprint: Buffer.from(inspect(command)),
    encodeResponse: (outcome) =>
      Buffer.from('reservation' in outcome ? outcome.reservation.reservationId : 'done'),
    isAbandoned: () => false,
  });
  if (answer instanceof Failure) return answer.reason;
  return `${answer.replayed ? 'again ' : ''}${Buffer.from(answer.response)}`;
}

/** An account of ten credits, one of which is reserved by the replica: it keeps it from then on. */
async function keptAccount() {
  const accountId = await openWithCredits(scrip, 10n);
  const reservationId = await told(accountId, reserve(1n));
  taken.length = 0;
  return { accountId, reservationId };
}

const reserveElsewhere = (accountId: string, credits: bigint) =>
  scrip.billing.reserve({
    accountId,
    requestId: requestId(),
    credits,
  });

const inspection = charge({
  usages: [{ operation: 'file.inspect', count: 1n, quantities: {}, attributes: {} }],
});

/** The plan of these accounts, one operation of which costs so much a time. */
function priced(operation: string, credits: bigint): PlanFile {
  const plan = realPlan('verts');
  const before = plan.rateCard.operations.get(operation);
  if (!before) throw new Error(operation);
  const after = { ...before, components: [{ kind: 'flat', label: operation, credits }] as const };
  const operations = new Map([...plan.rateCard.operations, [operation, after]]);
  return { ...plan, rateCard: { ...plan.rateCard, operations } };
}

/** Publishes as another replica does. */
async function publish(plan: PlanFile) {
  await new Catalogue(replica.em).publish([plan], scrip.now());
}

describe('a kept account', () => {
  test('is not read again, and adds up', async () => {
    const { accountId, reservationId } = await keptAccount();
    await told(accountId, reserve(2n));
    await told(accountId, commit(reservationId));
    expect(taken).toEqual([1, 1]);
    expect(await balanceOf(scrip, accountId)).toMatchObject({ remaining: 9n, reserved: 2n });
    expect((await entriesOf(scrip, accountId)).length).toBe(4);
  });

  test('that another replica has written to is read, and nothing is written twice', async () => {
    const { accountId } = await keptAccount();
    await reserveElsewhere(accountId, 3n);
    await told(accountId, reserve(2n));
    expect(taken).toEqual([1, 'again', 0]);
    expect((await balanceOf(scrip, accountId)).reserved).toBe(6n);
    expect((await entriesOf(scrip, accountId)).length).toBe(4);
  });

  test('is written to when its turn has come', async () => {
    const { accountId } = await keptAccount();
    let end = () => {};
    const before = replica.turns().take(() => new Promise<void>((done) => (end = done)));
    const later = told(accountId, reserve(2n));
    await sleep(100);
    expect(taken).toEqual([1]);
    expect((await balanceOf(scrip, accountId)).reserved).toBe(1n);
    end();
    await Promise.all([before, later]);
    expect((await balanceOf(scrip, accountId)).reserved).toBe(3n);
  });

  test('that another replica is writing to is read when that is done', async () => {
    const { accountId } = await keptAccount();
    const unlock = await lockAccount(scrip.databaseUrl, accountId);
    const later = told(accountId, reserve(2n));
    await expect.poll(() => taken).toEqual([1, 'again', 0]);
    await unlock();
    await later;
    expect((await balanceOf(scrip, accountId)).reserved).toBe(3n);
  });

  test('whose settings were changed elsewhere is read, though no entry says so', async () => {
    const { accountId } = await keptAccount();
    const pauseFloor = { credits: 10n };
    await scrip.accounts.updateAccount({ accountId, requestId: requestId(), pauseFloor });
    const sheddable = reserve(1n, { criticality: 'SHEDDABLE' });
    expect(await told(accountId, sheddable)).toBe('PAUSED_BELOW_FLOOR');
  });

  test('whose settings were changed elsewhere has them once it was read', async () => {
    const { accountId, reservationId } = await keptAccount();
    const pauseFloor = { credits: 10n };
    await scrip.accounts.updateAccount({ accountId, requestId: requestId(), pauseFloor });
    await told(accountId, extend(reservationId, '2h'));
    await told(accountId, reserve(0n));
    const sheddable = reserve(1n, { criticality: 'SHEDDABLE' });
    expect(await told(accountId, sheddable)).toBe('PAUSED_BELOW_FLOOR');
    expect(taken).toEqual([0, 1, 1, 0]);
  });

  test('whose settings another replica is changing has them when that is done', async () => {
    const { accountId } = await keptAccount();
    const side = new pg.Client(scrip.databaseUrl);
    await side.connect();
    await side.query('begin');
    await side.query(
      'update accounts set pause_floor = 10, version = version + 1 where account_id = $1',
      [accountId],
    );
    const later = told(accountId, reserve(1n, { criticality: 'SHEDDABLE' }));
    await waitForBlockedSessions(scrip.databaseUrl);
    await side.query('commit');
    await side.end();
    expect(await later).toBe('PAUSED_BELOW_FLOOR');
  });

  test('pays what a plan asks that was published elsewhere since', async () => {
    const { accountId } = await keptAccount();
    await told(accountId, inspection);
    await publish(priced('file.inspect', 3n));
    await told(accountId, inspection);
    expect(taken).toEqual([1, 1, 'again', 0]);
    const entries = await entriesOf(scrip, accountId);
    expect(entries.slice(-2).map(({ credits }) => credits)).toEqual([1n, 3n]);
  });

  test('pays what a price that was dated asks from its date on', async () => {
    const from = scrip.now() + DAY;
    const plan = { ...priced('file.inspect', 1n), planId: 'dated' };
    const { rateCard } = priced('file.inspect', 3n);
    await publish({ ...plan, changes: [{ from, rateCard }] });
    const accountId = await scrip.open('dated');
    await grant(scrip, accountId, 10n);
    await told(accountId, inspection);
    await told(accountId, inspection);
    scrip.advance(2 * DAY);
    taken.length = 0;
    await told(accountId, inspection);
    expect(taken).toEqual([1]);
    const entries = await entriesOf(scrip, accountId);
    expect(entries.slice(-2).map(({ credits }) => credits)).toEqual([1n, 3n]);
  });

  test('does not meet a reservation that was made elsewhere since: it is read with it', async () => {
    const { accountId } = await keptAccount();
    const { reservation } = await reserveElsewhere(accountId, 3n);
    const { reservationId } = defined(reservation);
    expect(await told(accountId, release(reservationId))).toBe(reservationId);
    expect(taken).toEqual([1, 0]);
    expect((await balanceOf(scrip, accountId)).reserved).toBe(1n);
  });

  test('has the expiry of a reservation that was extended elsewhere', async () => {
    const { accountId, reservationId } = await keptAccount();
    const { reservation } = await scrip.billing.extendReservation({
      accountId,
      requestId: requestId(),
      reservationId,
      ttl: { seconds: 7_200n, nanos: 0 },
    });
    await told(accountId, commit(reservationId, 0n, { final: false }));
    expect(await scrip.billing.getReservation({ accountId, reservationId })).toMatchObject({
      reservation: { expiresAt: reservation?.expiresAt },
    });
  });

  test('has a row that says so when a reservation was extended: no entry does', async () => {
    const { accountId, reservationId } = await keptAccount();
    const written = 'select version from accounts where account_id = $1';
    const before = await execute(scrip.databaseUrl, written, [accountId]);
    await told(accountId, extend(reservationId, '2h'));
    expect(await execute(scrip.databaseUrl, written, [accountId])).not.toEqual(before);
  });

  test('is read before a failure is answered: there may be more credits by now', async () => {
    const { accountId } = await keptAccount();
    await grant(scrip, accountId, 100n);
    expect(await told(accountId, reserve(50n))).not.toBe('INSUFFICIENT_CREDITS');
    expect(await told(accountId, reserve(500n))).toBe('INSUFFICIENT_CREDITS');
    expect((await balanceOf(scrip, accountId)).reserved).toBe(51n);
  });

  test('that a failure was answered of is kept when it is written to again', async () => {
    const { accountId } = await keptAccount();
    await told(accountId, reserve(500n));
    await told(accountId, reserve(1n));
    await told(accountId, reserve(1n));
    expect(taken).toEqual([1, 0, 0, 1]);
  });

  test('is read where more is needed than is kept', async () => {
    const { accountId, reservationId } = await keptAccount();
    await told(accountId, commit(reservationId));
    const { seq } = defined((await entriesOf(scrip, accountId)).at(-1));
    await told(accountId, refund(seq, 1n));
    await told(accountId, extend(await told(accountId, reserve(1n)), '2h'));
    expect(taken).toEqual([1, 0, 1, 0]);
    expect(await balanceOf(scrip, accountId)).toMatchObject({ remaining: 10n, reserved: 1n });
  });

  test('is read when something of it has expired', async () => {
    const { accountId } = await keptAccount();
    scrip.advance(ms('2d'));
    await told(accountId, reserve(2n));
    expect(taken).toEqual([0]);
    expect((await balanceOf(scrip, accountId)).reserved).toBe(2n);
  });

  test('makes room for one that was used since', async () => {
    const { accountId } = await keptAccount();
    for (let others = 0; others < 3; others++) await keptAccount();
    await told(accountId, reserve(1n));
    await told(accountId, reserve(1n));
    expect(taken).toEqual([0, 1]);
  });
});

describe('a request id that was used before', () => {
  test('is answered as it was', async () => {
    const { accountId } = await keptAccount();
    const id = requestId();
    const first = await told(accountId, reserve(2n), id);
    taken.length = 0;
    expect(await told(accountId, reserve(2n), id)).toBe(`again ${first}`);
    expect(taken).toEqual([1, 'again', 0]);
    expect((await balanceOf(scrip, accountId)).reserved).toBe(3n);
  });

  test('is answered as it was where it would fail now', async () => {
    const { accountId } = await keptAccount();
    const id = requestId();
    const first = await told(accountId, reserve(8n), id);
    expect(await told(accountId, reserve(8n), id)).toBe(`again ${first}`);
  });

  test('is refused with other content', async () => {
    const { accountId } = await keptAccount();
    const id = requestId();
    await told(accountId, reserve(2n), id);
    expect(await told(accountId, reserve(3n), id)).toBe('REQUEST_ID_REUSED');
    expect((await balanceOf(scrip, accountId)).reserved).toBe(3n);
  });
});

describe('a replica whose kept books are often out of date', () => {
  test('reads for longer and longer, and tries again', async () => {
    const { accountId } = await keptAccount();
    for (let times = 0; times < 12; times++) {
      await reserveElsewhere(accountId, 0n);
      await told(accountId, reserve(0n));
    }
    const again = [1, 'again'];
    const reading = (units: number) => Array(units).fill(0);
    expect(taken).toEqual([...again, 0, ...again, 0, 0, 0, 0, ...again, ...reading(7)]);
  });
});

test('the books are in order', async () => {
  expect(await verify(scrip.databaseUrl)).toMatchObject({ ok: true });
});
