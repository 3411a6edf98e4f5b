/** Replicas whose clocks jump or disagree, on a real database: nothing that cannot be undone is done. */
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { insertAcceptance } from '../../src/clock/clock-records.ts';
import { Purchase_State } from '../../src/gen/billing/v1/ledger.ts';
import { connectAsOwner } from '../../src/pg/migrate.ts';
import { entities } from '../../src/store/tables/index.ts';
import {
  balanceOf,
  DAY,
  entriesOf,
  grant,
  HOUR,
  MINUTE,
  openWithCredits,
  reserveCredits,
} from '../accounts.ts';
import { captureLog } from '../disruptions.ts';
import { healthOf } from '../health.ts';
import { buyByCheckout, purchaseNow } from '../payments/given.ts';
import { deliver, StripeFake } from '../payments/stripe-fake.ts';
import { createDatabase, execute } from '../postgres.ts';
import { errorOf } from '../rpc-error.ts';
import {
  requestId,
  showDatabaseOnFailure,
  startTestService,
  type TestOptions,
  type TestService,
} from '../service.ts';
import { type DatabaseClock, elapse, HostClocks } from '../time-sources.ts';

const START = Date.UTC(2031, 4, 10, 12);
/** How long clocks must agree again. */
const SETTLE = 10 * MINUTE;

let databaseUrl: string;
/** The clock of the database. */
let database: DatabaseClock;
const running: TestService[] = [];
beforeEach(async () => {
  databaseUrl = await createDatabase(inject('postgresUrl'));
  showDatabaseOnFailure(databaseUrl);
  database = { time: START };
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((service) => service.stop()));
});

/** Starts a replica on a host whose clock is right, or is set before. */
async function start(host = new HostClocks(database), options: TestOptions = {}) {
  const scrip = await startTestService({ databaseUrl, sources: host.sources, ...options });
  running.push(scrip);
  return { scrip, host };
}

async function stop(scrip: TestService) {
  running.splice(running.indexOf(scrip), 1);
  await scrip.stop();
}

const charge = (scrip: TestService, accountId: string, credits = 1n, id = requestId()) =>
  scrip.billing.charge({ accountId, requestId: id, credits });

async function expectUnreliable(call: Promise<unknown>) {
  expect(await errorOf(call)).toMatchObject({ reason: 'CLOCK_UNRELIABLE', retryMs: 1_000 });
}

/** What was written to the account's history. */
const kindsOf = async (accountId: string) =>
  (
    await execute(databaseUrl, 'select kind from history where account_id = $1 order by seq', [
      accountId,
    ])
  ).map(({ kind }) => kind);

/** As it is stored. */
const stateOf = async (reservationId: string) =>
  (
    await execute(databaseUrl, 'select state from running_reservations where reservation_id = $1', [
      reservationId,
    ])
  )[0]?.['state'];

const newestAt = async (scrip: TestService, accountId: string) =>
  (await entriesOf(scrip, accountId)).at(-1)?.at;

/** Everything that a replica does by itself. */
async function work({ service }: TestService) {
  await service.sweep();
  await service.topUp();
  await service.checkPurchases();
}

/** Lets the clocks agree for as long as they must. */
async function settle(scrip: TestService, host: HostClocks) {
  await scrip.service.compareClocks();
  elapse(SETTLE, database, host);
  await scrip.service.compareClocks();
}

/** What `scrip clock accept` writes. */
async function accept() {
  const orm = await connectAsOwner(databaseUrl, entities);
  await insertAcceptance(orm.em.fork(), Date.now());
  await orm.close();
}

/** An account with 500 paid credits for 30 days, of which 100 are reserved for 15 minutes. */
async function openWithEverything(scrip: TestService) {
  const accountId = await scrip.open('verts');
  await grant(scrip, accountId, 500n, { expiresAt: new Date(database.time + 30 * DAY) });
  return { accountId, reservationId: await reserveCredits(scrip, accountId, 100n) };
}

describe('a host clock that is 90 days ahead for 7 seconds', () => {
  test('expires nothing, and leaves no account in the future', async () => {
    const { scrip, host } = await start();
    const { accountId, reservationId } = await openWithEverything(scrip);

    host.wall += 90 * DAY;
    await work(scrip);
    await scrip.service.compareClocks();
    await work(scrip);
    await charge(scrip, accountId);
    elapse(7_000, database, host);
    host.wall -= 90 * DAY;
    await scrip.service.compareClocks();
    await work(scrip);

    expect(await kindsOf(accountId)).toEqual(['OPEN_ACCOUNT', 'GRANT', 'RESERVE', 'CHARGE']);
    expect(await stateOf(reservationId)).toBe('ACTIVE');
    expect(await balanceOf(scrip, accountId)).toMatchObject({ remaining: 499n, available: 399n });
    const [row] = await execute(databaseUrl, 'select max(last_at) as at from accounts');
    expect(row).toEqual({ at: new Date(START) });
  });

  test('fails calls until the database has told which clock is wrong', async () => {
    const { scrip, host } = await start();
    const accountId = await openWithCredits(scrip, 10n);
    host.wall += 90 * DAY;
    await expectUnreliable(charge(scrip, accountId));
    await scrip.service.compareClocks();
    await charge(scrip, accountId);
    expect(await balanceOf(scrip, accountId)).toMatchObject({ available: 9n });
  });

  test('is logged once, and takes the replica out of service until an operator accepts', async () => {
    const { log, lines } = captureLog('error');
    const { scrip, host } = await start(undefined, { log });
    expect(await healthOf(scrip)).toBe('SERVING');
    host.wall += 90 * DAY;
    for (let second = 0; second < 7; second++) {
      elapse(1_000, database, host);
      await scrip.service.compareClocks();
      expect(await healthOf(scrip)).toBe('NOT_SERVING');
    }
    host.wall -= 90 * DAY;
    await settle(scrip, host);
    expect(await healthOf(scrip, 'billing.v1.BillingService')).toBe('NOT_SERVING');
    await accept();
    await scrip.service.compareClocks();
    expect(await healthOf(scrip, 'billing.v1.BillingService')).toBe('SERVING');
    expect(lines).toMatchObject([{ host_ahead_ms: 90 * DAY, database_ahead_ms: 0 }]);
    expect(lines[0]?.['msg']).toContain('scrip clock accept');
  });

  test('when the replica starts, leaves it without a time', async () => {
    const { scrip: right } = await start();
    const { accountId, reservationId } = await openWithEverything(right);
    const ahead = new HostClocks(database);
    ahead.wall += 90 * DAY;
    const { scrip } = await start(ahead);
    await work(scrip);
    await expectUnreliable(charge(scrip, accountId));
    await expectUnreliable(balanceOf(scrip, accountId));
    expect(await healthOf(scrip)).toBe('NOT_SERVING');
    expect(await healthOf(right)).toBe('SERVING');
    expect(await stateOf(reservationId)).toBe('ACTIVE');
    expect(await kindsOf(accountId)).toEqual(['OPEN_ACCOUNT', 'GRANT', 'RESERVE']);
  });
});

describe('one replica whose host is 90 minutes ahead', () => {
  test.each([
    ['while it runs', (host: HostClocks) => host],
    [
      'from its start',
      (host: HostClocks) => Object.assign(host, { wall: host.wall + 90 * MINUTE }),
    ],
  ])('expires nobody’s reservations: %s', async (_, before) => {
    const { scrip: a } = await start();
    const { accountId, reservationId } = await openWithEverything(a);
    const { scrip: b, host } = await start(before(new HostClocks(database)));
    host.wall = database.time + 90 * MINUTE;
    await b.service.compareClocks();
    await work(b);
    expect(await stateOf(reservationId)).toBe('ACTIVE');
    const commit = { accountId, requestId: requestId(), reservationId, credits: 40n };
    await a.billing.commit(commit);
    expect(await kindsOf(accountId)).toEqual(['OPEN_ACCOUNT', 'GRANT', 'RESERVE', 'COMMIT']);
  });

  test('gives its reservations the time of the database', async () => {
    const { scrip: a } = await start();
    const { scrip: b, host } = await start();
    const accountId = await openWithCredits(a, 10n);
    host.wall += 90 * MINUTE;
    await b.service.compareClocks();
    const { reservation } = await b.billing.reserve({
      accountId,
      requestId: requestId(),
      credits: 1n,
      ttl: { seconds: 60n, nanos: 0 },
    });
    expect(reservation?.expiresAt).toEqual(new Date(START + MINUTE));
  });

  test('serves again 10 minutes after its host is right', async () => {
    const { scrip, host } = await start();
    host.wall += 90 * MINUTE;
    await scrip.service.compareClocks();
    host.wall -= 90 * MINUTE;
    await scrip.service.compareClocks();
    elapse(SETTLE - 1, database, host);
    await scrip.service.compareClocks();
    expect(await healthOf(scrip)).toBe('NOT_SERVING');
    elapse(1, database, host);
    await scrip.service.compareClocks();
    expect(await healthOf(scrip)).toBe('SERVING');
  });
});

describe('a host clock that is behind', () => {
  test('is not the time of calls, and keeps the replica from what is due', async () => {
    const { scrip: a } = await start();
    const { accountId, reservationId } = await openWithEverything(a);
    const { scrip: b, host } = await start();
    host.wall -= 2 * HOUR;
    await b.service.compareClocks();
    elapse(10 * MINUTE, database, host);
    await charge(b, accountId);
    expect(await newestAt(b, accountId)).toEqual(new Date(START + 10 * MINUTE));
    elapse(10 * MINUTE, database, host);
    await work(b);
    expect(await stateOf(reservationId)).toBe('ACTIVE');
    await expectUnreliable(charge(b, accountId));
  });
});

describe('a database clock that jumps', () => {
  test.each([
    ['90 days ahead', 90 * DAY],
    ['2 hours back', -2 * HOUR],
  ])('%s alone expires nothing, and calls go on with the time before', async (_, lead) => {
    const { scrip, host } = await start();
    const { accountId, reservationId } = await openWithEverything(scrip);
    database.time += lead;
    await scrip.service.compareClocks();
    await work(scrip);
    await charge(scrip, accountId);
    expect(await healthOf(scrip)).toBe('NOT_SERVING');
    expect(await stateOf(reservationId)).toBe('ACTIVE');
    expect(await kindsOf(accountId)).toEqual(['OPEN_ACCOUNT', 'GRANT', 'RESERVE', 'CHARGE']);
    expect(await newestAt(scrip, accountId)).toEqual(new Date(START));

    database.time -= lead;
    await settle(scrip, host);
    if (Math.abs(lead) > DAY) await accept();
    await scrip.service.compareClocks();
    expect(await healthOf(scrip)).toBe('SERVING');
  });

  test('back with the host, by an hour: no time for 10 minutes, then the new one', async () => {
    const { scrip, host } = await start();
    const { accountId, reservationId } = await openWithEverything(scrip);
    database.time -= HOUR;
    host.wall -= HOUR;
    await expectUnreliable(charge(scrip, accountId));
    await settle(scrip, host);
    await work(scrip);
    await charge(scrip, accountId);
    expect(await stateOf(reservationId)).toBe('ACTIVE');
    // Time never runs backwards within an account.
    expect(await newestAt(scrip, accountId)).toEqual(new Date(START));
    const other = await openWithCredits(scrip, 1n);
    expect(await newestAt(scrip, other)).toEqual(new Date(START - HOUR + SETTLE));
  });

  test('with the host, by an hour: no time for 10 minutes, then the new one', async () => {
    const { scrip, host } = await start();
    const { accountId, reservationId } = await openWithEverything(scrip);
    database.time += HOUR;
    host.wall += HOUR;
    await expectUnreliable(charge(scrip, accountId));
    await work(scrip);
    await settle(scrip, host);
    expect(await healthOf(scrip)).toBe('SERVING');
    await work(scrip);
    expect(await stateOf(reservationId)).toBe('EXPIRED');
    await charge(scrip, accountId);
    expect(await newestAt(scrip, accountId)).toEqual(new Date(START + HOUR + SETTLE));
  });

  test('with the host, by 90 days: no time until an operator accepts it', async () => {
    const { scrip, host } = await start();
    const { accountId } = await openWithEverything(scrip);
    database.time += 90 * DAY;
    host.wall += 90 * DAY;
    await settle(scrip, host);
    await expectUnreliable(charge(scrip, accountId));
    expect(await kindsOf(accountId)).toEqual(['OPEN_ACCOUNT', 'GRANT', 'RESERVE']);
    await accept();
    await scrip.service.compareClocks();
    await work(scrip);
    expect(await kindsOf(accountId)).toEqual([
      'OPEN_ACCOUNT',
      'GRANT',
      'RESERVE',
      'EXPIRE',
      'GRANT_EXPIRED',
    ]);
  });

  test('is not forgotten by a restart: a replica that starts suspects what the last one did', async () => {
    const { scrip, host } = await start();
    const { accountId } = await openWithEverything(scrip);
    database.time += 90 * DAY;
    host.wall += 90 * DAY;
    await scrip.service.compareClocks();
    await stop(scrip);
    elapse(MINUTE, database, host);

    const next = await start();
    await work(next.scrip);
    await settle(next.scrip, next.host);
    await work(next.scrip);
    await expectUnreliable(charge(next.scrip, accountId));
    await accept();
    await next.scrip.service.compareClocks();
    await charge(next.scrip, accountId, 0n);
    expect(await kindsOf(accountId)).toEqual([
      'OPEN_ACCOUNT',
      'GRANT',
      'RESERVE',
      'EXPIRE',
      'GRANT_EXPIRED',
      'CHARGE',
    ]);
  });

  test('2 hours back over a restart leaves no time for 10 minutes', async () => {
    const { scrip, host } = await start();
    const { accountId } = await openWithEverything(scrip);
    elapse(MINUTE, database, host);
    await scrip.service.compareClocks();
    await stop(scrip);
    database.time -= 2 * HOUR;

    const next = await start();
    expect(await healthOf(next.scrip)).toBe('NOT_SERVING');
    await expectUnreliable(charge(next.scrip, accountId));
    await settle(next.scrip, next.host);
    expect(await healthOf(next.scrip)).toBe('SERVING');
    await charge(next.scrip, accountId);
    // Time never runs backwards within an account.
    expect(await newestAt(next.scrip, accountId)).toEqual(new Date(START));
  });

  test('one replica that was asleep tells the others nothing: they and new ones serve', async () => {
    const { scrip: awake, host: awakeHost } = await start();
    const { scrip: asleep, host } = await start();
    // Its machine stood still, with its monotonic clock; its wall clock is set when it goes on.
    elapse(3 * HOUR, database, awakeHost);
    host.wall = database.time;
    await awake.service.compareClocks();
    await asleep.service.compareClocks();
    elapse(MINUTE, database, awakeHost, host);
    await asleep.service.compareClocks();
    expect(await healthOf(asleep)).toBe('NOT_SERVING');
    expect(await healthOf((await start()).scrip)).toBe('SERVING');
    expect(await healthOf(awake)).toBe('SERVING');
  });
});

describe('while the clocks disagree', () => {
  /** A replica that has the time of the database, and a host that has not. */
  async function startSuspect(options: TestOptions = {}) {
    const { scrip, host } = await start(undefined, options);
    const suspect = async () => {
      host.wall += HOUR;
      await scrip.service.compareClocks();
    };
    const agree = async () => {
      host.wall -= HOUR;
      await settle(scrip, host);
    };
    return { scrip, host, suspect, agree };
  }

  test('a call on an account where something is due fails, and writes nothing', async () => {
    const { scrip, host, suspect, agree } = await startSuspect();
    const { accountId, reservationId } = await openWithEverything(scrip);
    const other = await openWithCredits(scrip, 10n);
    await suspect();
    elapse(16 * MINUTE, database, host);
    await expectUnreliable(charge(scrip, accountId));
    await charge(scrip, other);
    expect(await kindsOf(accountId)).toEqual(['OPEN_ACCOUNT', 'GRANT', 'RESERVE']);
    await agree();
    await charge(scrip, accountId);
    expect(await kindsOf(accountId)).toEqual([
      'OPEN_ACCOUNT',
      'GRANT',
      'RESERVE',
      'EXPIRE',
      'CHARGE',
    ]);
    expect(await stateOf(reservationId)).toBe('EXPIRED');
  });

  test('an instant that has passed without anything to do holds no call up', async () => {
    const { scrip, host, suspect } = await startSuspect();
    const { accountId, reservationId } = await openWithEverything(scrip);
    await scrip.billing.release({ accountId, requestId: requestId(), reservationId });
    await suspect();
    elapse(16 * MINUTE, database, host);
    await charge(scrip, accountId);
    expect(await balanceOf(scrip, accountId)).toMatchObject({ available: 499n });
  });

  test('a repeated call gets its first response, whatever is due', async () => {
    const { scrip, host, suspect } = await startSuspect();
    const { accountId } = await openWithEverything(scrip);
    const id = randomUUID();
    const first = await charge(scrip, accountId, 5n, id);
    await suspect();
    elapse(16 * MINUTE, database, host);
    expect(await charge(scrip, accountId, 5n, id)).toEqual({
      ...first,
      replay: expect.anything(),
    });
  });

  test('a new month brings no allowance and closes no statement until they agree', async () => {
    const { scrip, host, suspect, agree } = await startSuspect();
    const accountId = await scrip.open('aspose-cloud');
    await charge(scrip, accountId, 60n);
    await suspect();
    elapse(Date.UTC(2031, 5, 1) - START, database, host);
    await work(scrip);
    const statement = { accountId, month: '2031-05' };
    await expectUnreliable(scrip.statements.getStatement(statement));
    await expectUnreliable(
      scrip.accounts.openAccount({
        accountId: `acct-${requestId()}`,
        requestId: requestId(),
        planId: 'aspose-cloud',
      }),
    );
    expect(await kindsOf(accountId)).toEqual(['OPEN_ACCOUNT', 'GRANT', 'CHARGE']);
    await agree();
    await work(scrip);
    expect(await kindsOf(accountId)).toEqual(['OPEN_ACCOUNT', 'GRANT', 'CHARGE', 'GRANT']);
    const { statement: closed } = await scrip.statements.getStatement(statement);
    expect(closed?.overage).toBe(10n);
  });

  test('a paid purchase is granted, and one that waits for its payment is left alone', async () => {
    const stripe = await new StripeFake().start();
    stripe.clock = () => database.time;
    const { scrip, suspect } = await startSuspect({ env: stripe.env });
    const bought = await buyByCheckout(scrip, await scrip.open('verts'));
    await suspect();
    const { id } = stripe.sessionOf(bought.purchaseId);
    const paid = stripe.event('checkout.session.completed', stripe.pay(id));
    expect(await deliver(scrip.service.webhookPort, paid)).toBe(200);
    expect(await kindsOf(bought.accountId)).toEqual(['OPEN_ACCOUNT', 'CHECKOUT', 'PURCHASE']);

    const waiting = await buyByCheckout(scrip, await scrip.open('verts'));
    const { length } = stripe.calls;
    database.time += 2 * DAY;
    await work(scrip);
    expect(stripe.calls.length).toBe(length);
    expect((await purchaseNow(scrip, waiting)).state).toBe(Purchase_State.PENDING);
    await stripe.stop();
  });

  test('no top-up is charged until they agree', async () => {
    const stripe = await new StripeFake().start();
    const { scrip, suspect, agree } = await startSuspect({ env: stripe.env });
    const accountId = await openWithCredits(scrip, 600n);
    const autoTopUp = {
      packId: 'starter',
      threshold: 500n,
      coolDown: { seconds: 3_600n, nanos: 0 },
      monthlyCap: 3,
      customer: 'cus_1',
      paymentMethod: 'pm_1',
    };
    await scrip.accounts.updateAccount({
      accountId,
      requestId: requestId(),
      autoTopUp: { autoTopUp },
    });
    await suspect();
    await charge(scrip, accountId, 200n);
    await work(scrip);
    expect(stripe.charges.size).toBe(0);
    await agree();
    await work(scrip);
    expect(stripe.charges.size).toBe(1);
    await stripe.stop();
  });
});
