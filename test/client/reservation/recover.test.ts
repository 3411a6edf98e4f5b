/** What is left by processes that died, and a journal in the caller's own store. */
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import {
  connect,
  type Journal,
  type JournalRecord,
  type Scrip,
} from '../../../clients/typescript/src/index.ts';
import { recover } from '../../../clients/typescript/src/reservation/recover.ts';
import { withReservation } from '../../../clients/typescript/src/reservation/with-reservation.ts';
import { balanceOf, DAY, openWithCredits } from '../../accounts.ts';
import { startTestService, type TestService } from '../../service.ts';
import { faultyCalls, lost } from './faulty-calls.ts';

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

/** Rows of a table, as a caller could keep them. `dies` makes them those of a process that is dead. */
class Table implements Journal {
  #rows: JournalRecord[] = [];
  #dead: JournalRecord[] = [];

  readonly write = async (record: JournalRecord) => {
    // As it comes back from JSON.
    this.#rows.push(JSON.parse(JSON.stringify(record)));
    if (record.type === 'end') this.#rows = this.#rows.filter(({ job }) => job !== record.job);
  };

  readonly takeOver = async () => {
    const taken = this.#dead;
    this.#dead = [];
    this.#rows.push(...taken);
    return taken;
  };

  get rows(): readonly JournalRecord[] {
    return this.#rows;
  }

  dies() {
    this.#dead = this.#rows;
    this.#rows = [];
  }
}

const spentOf = async (account: string) => 100n - (await balanceOf(service, account)).remaining;

/** A job that is decided, and whose process dies before it hears of its commit. */
async function leaveDecided(journal: Table, account: string, ttlMs = 60_000) {
  let isDead = false;
  const billing = faultyCalls(scrip.billing, (method) => {
    if (isDead) throw new Error('the process is dead');
    if (method === 'commit') throw lost();
  });
  const options = { account, credits: 5n, ttlMs, timeoutMs: 100, journal, reference: 'job-1' };
  const { settled, settlement } = await withReservation(billing, options, () => {});
  expect(settlement).toBe('pending');
  journal.dies();
  isDead = true;
  await expect(settled).rejects.toThrow('the process is dead');
}

test('a job leaves nothing in a journal once it has ended', async () => {
  const account = await openWithCredits(service, 100n);
  const journal = new Table();
  await withReservation(scrip.billing, { account, credits: 5n, journal }, async ({ use }) => {
    await use({ credits: 1n });
    expect(journal.rows.map(({ type }) => type)).toEqual([
      'reserve',
      'reserved',
      'part',
      'partSettled',
    ]);
  });
  expect(journal.rows).toEqual([]);
});

test('what was decided is charged by another process', async () => {
  const account = await openWithCredits(service, 100n);
  const journal = new Table();
  await leaveDecided(journal, account);
  expect(await recover(scrip.billing, journal)).toMatchObject({
    jobs: [
      {
        job: expect.any(String),
        account,
        reference: 'job-1',
        outcome: 'charged',
        charged: '5',
      },
    ],
    pending: 0,
  });
  expect(await spentOf(account)).toBe(5n);
  expect(journal.rows).toEqual([]);
});

test('a charge that comes too late is told', async () => {
  const account = await openWithCredits(service, 100n);
  const journal = new Table();
  await leaveDecided(journal, account);
  service.advance(DAY);
  expect(await recover(scrip.billing, journal)).toMatchObject({
    jobs: [{ account, outcome: 'refused', charged: '0', reason: 'RESERVATION_EXPIRED' }],
    pending: 0,
  });
  expect(await spentOf(account)).toBe(0n);
  expect(journal.rows).toEqual([]);
});

test('a part that comes too late is told', async () => {
  const account = await openWithCredits(service, 100n);
  const journal = new Table();
  let isDead = false;
  const billing = faultyCalls(scrip.billing, (method) => {
    if (isDead) throw new Error('the process is dead');
    if (method === 'commit') throw lost();
  });
  const options = { account, credits: 5n, timeoutMs: 100, journal };
  const killed = withReservation(billing, options, async ({ use }) => {
    expect(await use({ credits: 3n })).toEqual({ settlement: 'pending', charged: 0n });
    journal.dies();
    isDead = true;
    throw new Error('the process is dead');
  });
  await expect(killed).rejects.toThrow('the process is dead');
  service.advance(DAY);
  expect(await recover(scrip.billing, journal)).toMatchObject({
    jobs: [{ account, outcome: 'refused', charged: '0', reason: 'RESERVATION_EXPIRED' }],
    pending: 0,
  });
});

test('it goes on with what it cannot finish in time', async () => {
  const account = await openWithCredits(service, 100n);
  const journal = new Table();
  await leaveDecided(journal, account);
  let isOver = false;
  const billing = faultyCalls(scrip.billing, () => {
    if (!isOver) throw lost();
  });
  const recovery = await recover(billing, journal, { timeoutMs: 100 });
  expect(recovery).toMatchObject({ jobs: [], pending: 1 });
  isOver = true;
  expect(await recovery.finished).toMatchObject([{ account, outcome: 'charged' }]);
  expect(await spentOf(account)).toBe(5n);
  expect(journal.rows).toEqual([]);
});

test('a job does not begin without its journal, and is charged though the journal breaks', async () => {
  const account = await openWithCredits(service, 100n);
  const work = vi.fn();
  let isBroken = true;
  const journal: Journal = {
    async write() {
      if (isBroken) throw new Error('the disk is full');
    },
    takeOver: async () => [],
  };
  const options = { account, credits: 5n, journal };
  await expect(withReservation(scrip.billing, options, work)).rejects.toThrow('the disk is full');
  expect(work).not.toHaveBeenCalled();
  expect((await scrip.billing.listReservations({ accountId: account })).reservations).toEqual([]);

  isBroken = false;
  const { charged } = await withReservation(scrip.billing, options, () => {
    isBroken = true;
  });
  expect(charged).toBe(5n);
});
