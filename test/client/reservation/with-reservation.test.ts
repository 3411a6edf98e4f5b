/** Work with a reservation: what it is charged, whatever fails. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import {
  ChargeRefused,
  connect,
  type Job,
  ReservationLost,
  type ReservationOptions,
  type Scrip,
} from '../../../clients/typescript/src/index.ts';
import { withReservation } from '../../../clients/typescript/src/reservation/with-reservation.ts';
import { Entry_Kind } from '../../../src/gen/billing/v1/ledger.ts';
import { balanceOf, entriesOf, HOUR, MINUTE, openWithCredits } from '../../accounts.ts';
import { SOON } from '../../process/replica.ts';
import { startTestService, type TestService } from '../../service.ts';
import { type Fault, faultyCalls, lost } from './faulty-calls.ts';

let service: TestService;
let scrip: Scrip;
beforeAll(async () => {
  service = await startTestService();
  scrip = connect({ address: `127.0.0.1:${service.service.port}`, caller: 'test' });
});
afterAll(async () => {
  scrip.close();
  await service.stop();
});

const inspections = (count: bigint) => ({ items: [{ operation: 'file.inspect', count }] });
const reservations = async (accountId: string) =>
  (await scrip.billing.listReservations({ accountId })).reservations;
/** What the account has spent, and what is still set aside. */
async function figuresOf(account: string) {
  const { remaining, reserved } = await balanceOf(service, account);
  return { spent: 100n - remaining, reserved };
}
const open = () => openWithCredits(service, 100n);

describe('work that succeeds', () => {
  test('is charged what it reserved, if it says nothing', async () => {
    const account = await open();
    const outcome = await withReservation(
      scrip.billing,
      { account, usages: inspections(3n), reference: 'job-1', labels: { team: 'a' } },
      ({ reservationId }) => `the result of ${reservationId}`,
    );
    const [reservation] = await reservations(account);
    expect(outcome).toMatchObject({
      result: `the result of ${reservation!.reservationId}`,
      settlement: 'settled',
      charged: 3n,
      reservationId: reservation!.reservationId,
    });
    expect(reservation).toMatchObject({ reference: 'job-1', labels: { team: 'a' } });
    expect(await figuresOf(account)).toEqual({ spent: 3n, reserved: 0n });
  });

  test('is charged its parts, and the rest goes back', async () => {
    const account = await open();
    const { charged } = await withReservation(
      scrip.billing,
      { account, credits: 50n },
      async ({ use }) => {
        expect(await use({ credits: 3n })).toEqual({ settlement: 'settled', charged: 3n });
        expect(await figuresOf(account)).toEqual({ spent: 3n, reserved: 47n });
        await Promise.all([use({ usages: inspections(2n) }), use({ credits: 4n })]);
      },
    );
    expect(charged).toBe(9n);
    expect(await figuresOf(account)).toEqual({ spent: 9n, reserved: 0n });
  });

  test('is charged its parts and what it leaves to the end', async () => {
    const account = await open();
    const { charged } = await withReservation(
      scrip.billing,
      { account, credits: 50n },
      async (job) => {
        await job.use({ credits: 3n });
        job.useAtEnd({ usages: inspections(2n) });
        job.useAtEnd({ usages: inspections(1n) });
      },
    );
    expect(charged).toBe(6n);
    const entries = await entriesOf(service, account);
    expect(entries.map(({ credits }) => credits).slice(-2)).toEqual([3n, 3n]);
  });

  test('is charged a part that it did not wait for', async () => {
    const account = await open();
    await withReservation(scrip.billing, { account, credits: 50n }, ({ use }) => {
      void use({ credits: 7n });
    });
    expect(await figuresOf(account)).toEqual({ spent: 7n, reserved: 0n });
  });

  test('is charged nothing if it says so', async () => {
    const account = await open();
    const { charged } = await withReservation(scrip.billing, { account, credits: 50n }, (job) =>
      job.useAtEnd({ credits: 0n }),
    );
    expect(charged).toBe(0n);
    expect(await figuresOf(account)).toEqual({ spent: 0n, reserved: 0n });
  });

  test('may cost more than it reserved, if the reservation says so', async () => {
    const account = await open();
    const { charged } = await withReservation(
      scrip.billing,
      { account, credits: 5n, overCommitPolicy: 'OVER_COMMIT_POLICY_DRAW' },
      (job) => job.useAtEnd({ credits: 8n }),
    );
    expect(charged).toBe(8n);
  });

  test('is charged what it said when it said it', async () => {
    const account = await open();
    const usage = { operation: 'file.inspect', count: 1n };
    const options = { account, credits: 50n };
    const { charged } = await withReservation(scrip.billing, options, (job) => {
      for (const count of [1n, 2n, 4n]) {
        usage.count = count;
        job.useAtEnd({ usages: { items: [usage] } });
      }
      usage.count = 40n;
    });
    expect(charged).toBe(7n);
  });

  test('is told apart from work that was charged too little', async () => {
    const account = await open();
    const done = withReservation(scrip.billing, { account, credits: 5n }, async (job) => {
      await job.use({ credits: 2n });
      job.useAtEnd({ credits: 8n });
      return 'the result';
    });
    const error = await done.catch((reason) => reason);
    expect(error).toBeInstanceOf(ChargeRefused);
    expect(error).toMatchObject({
      reason: 'EXCEEDS_RESERVATION',
      result: 'the result',
      charged: 2n,
      refusal: { metadata: { asked: '8', allowed: '3' } },
    });
    expect(await figuresOf(account)).toEqual({ spent: 2n, reserved: 0n });
  });
});

describe('work that fails', () => {
  test('costs nothing but its parts', async () => {
    const account = await open();
    const failure = new Error('the disk is full');
    const failed = withReservation(scrip.billing, { account, credits: 50n }, async (job) => {
      await job.use({ credits: 3n });
      job.useAtEnd({ credits: 5n });
      throw failure;
    });
    await expect(failed).rejects.toBe(failure);
    expect(await figuresOf(account)).toEqual({ spent: 3n, reserved: 0n });
    expect(await reservations(account)).toMatchObject([{ state: 'STATE_RELEASED' }]);
  });

  test('cannot use anything afterwards', async () => {
    const account = await open();
    let leaked: Job | undefined;
    await withReservation(scrip.billing, { account, credits: 50n }, (job) => {
      leaked = job;
    });
    await expect(leaked!.use({ credits: 1n })).rejects.toThrow('the job has ended');
    expect(() => leaked!.useAtEnd({ credits: 1n })).toThrow('the job has ended');
  });

  test('learns that its caller gave up, and its reservation goes back', async () => {
    const account = await open();
    const caller = new AbortController();
    const aborted = withReservation(
      scrip.billing,
      { account, credits: 50n, signal: caller.signal },
      async ({ signal }) => {
        caller.abort(new Error('the user left'));
        signal.throwIfAborted();
      },
    );
    await expect(aborted).rejects.toThrow('the user left');
    expect(await figuresOf(account)).toEqual({ spent: 0n, reserved: 0n });
  });

  test('on the price of its parts and of its end learns of it', async () => {
    const account = await open();
    await withReservation(scrip.billing, { account, credits: 5n }, async (job) => {
      await expect(job.use({ credits: 6n })).rejects.toMatchObject({
        reason: 'EXCEEDS_RESERVATION',
      });
      job.useAtEnd({ credits: 1n });
      expect(() => job.useAtEnd({ usages: inspections(1n) })).toThrow(TypeError);
      expect(() => job.useAtEnd({ credits: -1n })).toThrow(RangeError);
    });
    expect(await figuresOf(account)).toEqual({ spent: 1n, reserved: 0n });
  });
});

describe('an amount that no request can have', () => {
  const item = { operation: 'file.inspect' };
  const amounts = [
    [{ usages: { item: [item] } }, TypeError, 'usages.item'],
    [{ usages: { items: [{ ...item, counts: 2 }] } }, TypeError, 'usages.items.0.counts'],
    [{ usages: { items: [{ ...item, count: 1.5 }] } }, RangeError, '1.5'],
    [{ usages: { items: [{ ...item, quantities: { pages: '' } }] } }, TypeError, 'pages'],
    [{ usages: null }, TypeError, 'give either usages or credits'],
    [{ credits: null }, TypeError, 'give either usages or credits'],
    [{ credits: '' }, TypeError, 'credits'],
    [{ credits: 2n ** 64n + 5n }, Error, 'credits'],
  ] as const;

  test.each(amounts)('does not reserve: %o', async (amount, _, text) => {
    const account = await open();
    const work = vi.fn();
    const options = { account, ...amount } as never;
    await expect(withReservation(scrip.billing, options, work)).rejects.toThrow(text);
    expect(work).not.toHaveBeenCalled();
    expect(await reservations(account)).toEqual([]);
  });

  test.each(amounts)('is refused where it is said, and the work goes on: %o', async (...row) => {
    const [amount, type, text] = row;
    const account = await open();
    const { charged } = await withReservation(
      scrip.billing,
      { account, credits: 5n },
      async (job) => {
        expect(() => job.useAtEnd(amount as never)).toThrow(type);
        expect(() => job.useAtEnd(amount as never)).toThrow(text);
        await expect(job.use(amount as never)).rejects.toThrow(text);
      },
    );
    expect(charged).toBe(5n);
  });
});

test('work does not run if Reserve is refused', async () => {
  const account = await open();
  const work = vi.fn();
  const unreserved = { credits: 1_000n, onRun: vi.fn() };
  const refused = withReservation(
    scrip.billing,
    { account, usages: inspections(101n), unreserved },
    work,
  );
  await expect(refused).rejects.toMatchObject({
    name: 'InsufficientCredits',
    reason: 'INSUFFICIENT_CREDITS',
    metadata: { required: '101', available: '100', shortfall: '1' },
  });
  expect(work).not.toHaveBeenCalled();
  expect(unreserved.onRun).not.toHaveBeenCalled();
});

// Long TTLs for busy machines: the heartbeat comes after a third of it.
describe.concurrent('the heartbeat', () => {
  const extensions = async (account: string) =>
    (await entriesOf(service, account)).filter(({ kind }) => kind === Entry_Kind.EXTEND).length;

  test('keeps the reservation while the work runs', async () => {
    const account = await open();
    await withReservation(scrip.billing, { account, credits: 5n, ttlMs: 12_000 }, async () => {
      await vi.waitUntil(async () => (await extensions(account)) >= 2, SOON);
    });
    const [reservation] = await reservations(account);
    expect(reservation).toMatchObject({ state: 'STATE_COMMITTED', late: false });
    const { createdAt, expiresAt } = reservation!;
    expect(expiresAt!.getTime() - createdAt!.getTime()).toBeGreaterThan(16_000);
  });

  test('tells the work that its reservation has ended', async () => {
    const account = await open();
    let reason: unknown;
    const done = withReservation(
      scrip.billing,
      { account, credits: 5n, ttlMs: 12_000 },
      async ({ reservationId, signal }) => {
        await scrip.billing.release({ accountId: account, reservationId: reservationId! });
        await vi.waitUntil(() => signal.aborted, SOON);
        reason = signal.reason;
        return 'done all the same';
      },
    );
    await expect(done).rejects.toMatchObject({
      name: 'ChargeRefused',
      reason: 'RESERVATION_RELEASED',
      result: 'done all the same',
    });
    expect(reason).toBeInstanceOf(ReservationLost);
    expect(reason).toMatchObject({ reason: 'RESERVATION_RELEASED' });
  });

  test('survives answers that were lost', async () => {
    const account = await open();
    let isLost = false;
    const billing = faultyCalls(scrip.billing, (method, moment) => {
      if (method !== 'extendReservation' || moment !== 'after') return;
      isLost = !isLost;
      if (isLost) throw lost();
    });
    const options = { account, credits: 5n, ttlMs: 12_000 };
    await withReservation(billing, options, async ({ signal }) => {
      await vi.waitUntil(async () => (await extensions(account)) >= 4, SOON);
      expect(signal.aborted).toBe(false);
    });
    expect(await figuresOf(account)).toEqual({ spent: 5n, reserved: 0n });
  });
});

describe('a heartbeat that does not come through', () => {
  test('tells the work before the reservation ends, and the work is charged late', async () => {
    const account = await open();
    const billing = faultyCalls(scrip.billing, (method) => {
      if (method === 'extendReservation') throw lost();
    });
    let reason: unknown;
    const { charged } = await withReservation(
      billing,
      { account, credits: 5n, ttlMs: 1_000 },
      async ({ signal }) => {
        await vi.waitUntil(() => signal.aborted, SOON);
        reason = signal.reason;
        service.advance(MINUTE);
      },
    );
    expect(reason).toMatchObject({ name: 'ReservationLost', reason: '' });
    expect(charged).toBe(5n);
    expect(await reservations(account)).toMatchObject([{ state: 'STATE_COMMITTED', late: true }]);
    expect(await figuresOf(account)).toEqual({ spent: 5n, reserved: 0n });
  });

  test('for longer than the grace period cannot save the charge', async () => {
    const account = await open();
    const late = withReservation(scrip.billing, { account, credits: 5n, ttlMs: HOUR }, async () => {
      service.advance(2 * HOUR);
      return 'the result';
    });
    await expect(late).rejects.toMatchObject({
      name: 'ChargeRefused',
      reason: 'RESERVATION_EXPIRED',
      result: 'the result',
    });
    expect(await figuresOf(account)).toEqual({ spent: 0n, reserved: 0n });
  });
});

describe('while the service cannot be reached', () => {
  /** Until `end` is called, these calls are lost before or after they had an effect. */
  function outage(lostAt: Fault) {
    let isOver = false;
    const billing = faultyCalls(scrip.billing, (method, moment) =>
      isOver ? undefined : lostAt(method, moment),
    );
    return {
      billing,
      end: () => {
        isOver = true;
      },
    };
  }

  test.each(['before', 'after'] as const)(
    'the result comes in time, and the charge later (lost %s)',
    async (at) => {
      const account = await open();
      const { billing, end } = outage((method, moment) => {
        if (method === 'commit' && moment === at) throw lost();
      });
      const outcome = await withReservation(
        billing,
        { account, credits: 5n, timeoutMs: 200 },
        () => 'the result',
      );
      expect(outcome).toMatchObject({ result: 'the result', settlement: 'pending', charged: 0n });
      end();
      expect(await outcome.settled).toEqual({ charged: 5n });
      expect(await figuresOf(account)).toEqual({ spent: 5n, reserved: 0n });
    },
  );

  test('a part is pending, and is charged before the reservation ends', async () => {
    const account = await open();
    const { billing, end } = outage((method) => {
      if (method === 'commit') throw lost();
    });
    const outcome = await withReservation(
      billing,
      { account, credits: 5n, timeoutMs: 200 },
      async ({ use }) => {
        expect(await use({ credits: 2n })).toEqual({ settlement: 'pending', charged: 0n });
      },
    );
    expect(outcome.settlement).toBe('pending');
    end();
    expect(await outcome.settled).toEqual({ charged: 2n });
    expect(await figuresOf(account)).toEqual({ spent: 2n, reserved: 0n });
  });

  test('a pending part that is refused in the end is told', async () => {
    const account = await open();
    const { billing, end } = outage((method) => {
      if (method === 'commit') throw lost();
    });
    const options = { account, credits: 5n, timeoutMs: 200 };
    const outcome = await withReservation(billing, options, async ({ use }) => {
      await use({ credits: 2n });
      expect(await use({ credits: 9n })).toEqual({ settlement: 'pending', charged: 0n });
      return 'the result';
    });
    expect(outcome.settlement).toBe('pending');
    end();
    await expect(outcome.settled).rejects.toMatchObject({
      name: 'ChargeRefused',
      reason: 'EXCEEDS_RESERVATION',
      result: 'the result',
      charged: 2n,
    });
    expect(await figuresOf(account)).toEqual({ spent: 2n, reserved: 0n });
  });

  test('a client that is closed gives up what is pending', async () => {
    const own = await startTestService();
    const account = await openWithCredits(own, 100n);
    const client = connect({ address: `127.0.0.1:${own.service.port}`, caller: 'test' });
    const options = { account, credits: 5n, timeoutMs: 5_000 };
    const { settlement, settled } = await client.withReservation(options, () => own.stop());
    expect(settlement).toBe('pending');
    client.close();
    await expect(settled).rejects.toThrow('closed');
  });

  test('failed work does not wait longer than its timeout', async () => {
    const account = await open();
    const { billing, end } = outage((method) => {
      if (method === 'release') throw lost();
    });
    const failed = withReservation(billing, { account, credits: 5n, timeoutMs: 200 }, () => {
      throw new Error('failed');
    });
    await expect(failed).rejects.toThrow('failed');
    end();
    await vi.waitUntil(async () => (await figuresOf(account)).reserved === 0n, SOON);
  });

  test('a reservation that was made without an answer is given back', async () => {
    const account = await open();
    const work = vi.fn();
    let calls = 0;
    const billing = faultyCalls(scrip.billing, (method, moment) => {
      if (method === 'reserve' && moment === 'after' && calls++ === 0) throw lost();
    });
    await expect(withReservation(billing, { account, credits: 5n }, work)).rejects.toThrow('lost');
    expect(work).not.toHaveBeenCalled();
    await vi.waitFor(async () => {
      expect(await reservations(account)).toMatchObject([{ state: 'STATE_RELEASED' }]);
    }, SOON);
  });

  describe('unreserved work', () => {
    const run = async (
      account: string,
      at: 'before' | 'after',
      amount: Pick<ReservationOptions, 'credits' | 'usages'>,
      work: (job: Job) => unknown,
    ) => {
      const onRun = vi.fn();
      const { billing, end } = outage((method, moment) => {
        if (method === 'reserve' && moment === at) throw lost();
      });
      const options = {
        account,
        ...amount,
        reference: 'job-1',
        timeoutMs: 60_000,
        unreserved: { credits: 10n, onRun },
      } as ReservationOptions;
      const outcome = await withReservation(billing, options, (job) => {
        end();
        return work(job);
      });
      return { outcome, onRun };
    };

    test.each(['before', 'after'] as const)(
      'is reported and charged afterwards (reserve lost %s)',
      async (at) => {
        const account = await open();
        const { outcome, onRun } = await run(account, at, { usages: inspections(3n) }, () => 'it');
        expect(outcome).toMatchObject({
          result: 'it',
          settlement: 'settled',
          charged: 3n,
          reservationId: null,
        });
        expect(onRun.mock.calls).toMatchObject([
          [{ account, reference: 'job-1', job: outcome.job, error: { message: /lost/ } }],
        ]);
        expect(await figuresOf(account)).toEqual({ spent: 3n, reserved: 0n });
      },
    );

    test('is charged all that it used, and not what it reserved', async () => {
      const account = await open();
      const { outcome } = await run(account, 'before', { credits: 10n }, async (job) => {
        expect(await job.use({ credits: 2n })).toEqual({ settlement: 'pending', charged: 0n });
        job.useAtEnd({ usages: inspections(3n) });
      });
      expect(outcome.charged).toBe(5n);
    });

    test('is charged no more than was stated', async () => {
      const account = await open();
      const usages = { usages: inspections(30n) };
      const { outcome } = await run(account, 'before', usages, () => {});
      expect(outcome.charged).toBe(10n);
      await run(account, 'before', { credits: 10n }, async (job) => {
        await job.use({ credits: 8n });
        await expect(job.use({ credits: 3n })).rejects.toThrow('may use 10 credits');
      });
      expect(await figuresOf(account)).toEqual({ spent: 18n, reserved: 0n });
    });

    test('does not run for more than was stated', async () => {
      const account = await open();
      const work = vi.fn();
      await expect(run(account, 'before', { credits: 11n }, work)).rejects.toThrow('lost');
      expect(work).not.toHaveBeenCalled();
    });

    test('does not run if nobody can be told', async () => {
      const account = await open();
      const work = vi.fn();
      const { billing, end } = outage((method, moment) => {
        if (method === 'reserve' && moment === 'after') throw lost();
      });
      const onRun = () => {
        end();
        throw new Error('the pager is off');
      };
      const options = { account, credits: 5n, unreserved: { credits: 10n, onRun } };
      const denied = withReservation(billing, options, work);
      await expect(denied).rejects.toThrow('the pager is off');
      expect(work).not.toHaveBeenCalled();
      await vi.waitUntil(async () => (await figuresOf(account)).reserved === 0n, SOON);
    });

    test('costs nothing if it fails', async () => {
      const account = await open();
      const failed = run(account, 'after', { credits: 10n }, () => {
        throw new Error('failed');
      });
      await expect(failed).rejects.toThrow('failed');
      expect(await figuresOf(account)).toEqual({ spent: 0n, reserved: 0n });
    });

    test('that the account cannot pay is told as not charged', async () => {
      const account = await openWithCredits(service, 2n);
      const refused = run(account, 'before', { usages: inspections(3n) }, () => 'it');
      await expect(refused).rejects.toMatchObject({
        name: 'ChargeRefused',
        reason: 'INSUFFICIENT_CREDITS',
        result: 'it',
      });
    });
  });
});
