/** A client that is killed between any two steps: what it had decided is charged once, the rest goes back. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connect, openJournal, type Scrip } from '../../../clients/typescript/src/index.ts';
import { recover } from '../../../clients/typescript/src/reservation/recover.ts';
import { forEachConcurrently } from '../../../src/for-each-concurrently.ts';
import { Entry_Kind } from '../../../src/gen/billing/v1/ledger.ts';
import { balanceOf, entriesOf, openWithCredits } from '../../accounts.ts';
import { startProgram } from '../../process/replica.ts';
import { startTestService, type TestService } from '../../service.ts';

let service: TestService;
let scrip: Scrip;
let address: string;
beforeAll(async () => {
  service = await startTestService();
  address = `127.0.0.1:${service.service.port}`;
  scrip = connect({ address, caller: 'test' });
});
afterAll(async () => {
  scrip.close();
  await service.stop();
});

/** Resolves with the number of its steps; null if it was killed. */
async function runJob(...args: readonly string[]): Promise<number | null> {
  const program = startProgram(['test/client/reservation/killed-job.ts', ...args], {});
  const { stdout, stderr, signal, code } = await program.ended;
  if (signal === 'SIGKILL') return null;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return Number(stdout);
}

type Left = { readonly account: string; readonly records: readonly Record<string, unknown>[] };

/** What processes left that died, by account. */
async function readJournals(directory: string): Promise<readonly Left[]> {
  const names = (await readdir(directory)).filter((name) => name.endsWith('.journal'));
  const journals = names.map(async (name) => {
    const lines = (await readFile(join(directory, name), 'utf8')).split('\n').filter(Boolean);
    const records = lines.map((line) => JSON.parse(line));
    return { account: String(records[0]?.account), records };
  });
  return await Promise.all(journals);
}

/** Credits that the job had decided to charge: a part of 2, and 3 at the end. */
const decidedBy = ({ records }: Left): bigint => {
  const has = (type: string, which: (record: Record<string, unknown>) => boolean = () => true) =>
    records.some((record) => record['type'] === type && which(record));
  const isPart = ({ requestId }: Record<string, unknown>) => String(requestId).includes('.');
  const part = has('part') || has('use', isPart);
  const rest = has('commit') || has('use', (record) => !isPart(record));
  return (part ? 2n : 0n) + (rest ? 3n : 0n);
};

const CHARGING: readonly Entry_Kind[] = [Entry_Kind.COMMIT, Entry_Kind.CHARGE];

describe.each([
  ['succeeds', 'succeeds'],
  ['fails', 'fails'],
  ['runs unreserved', 'unreserved'],
])('a job that %s', (_, scenario) => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'scrip-killed-'));
  });
  afterAll(() => rm(directory, { recursive: true }));

  test('is charged once what it had decided, wherever it is killed', async () => {
    const whole = await openWithCredits(service, 100n);
    const steps = await runJob(address, directory, whole, scenario, '0');
    expect(steps).toBeGreaterThan(15);
    const spentBy = async (account: string) => 100n - (await balanceOf(service, account)).remaining;
    expect(await spentBy(whole)).toBe(scenario === 'fails' ? 2n : 5n);

    const accounts: string[] = [];
    let survivors = 0;
    const moments = Array.from({ length: steps! }, (_, index) => String(index + 1));
    await forEachConcurrently(moments, 2, null, async (moment) => {
      const account = await openWithCredits(service, 100n);
      accounts.push(account);
      if ((await runJob(address, directory, account, scenario, moment)) !== null) survivors++;
    });
    // Writes that nobody waits for may be missing at the end.
    expect(survivors).toBeLessThan(3);
    const left = await readJournals(directory);
    expect(new Set(left.map(decidedBy)).size).toBeGreaterThan(1);

    const journal = await openJournal(directory);
    const recovery = await recover(scrip.billing, journal);
    expect(recovery.pending).toBe(0);
    expect(recovery.jobs.filter(({ outcome }) => outcome === 'refused')).toEqual([]);
    expect([...(await journal.takeOver())]).toEqual([]);
    await journal.close();
    expect(await readdir(directory)).toEqual([]);

    for (const account of accounts) {
      const journalled = left.find((one) => one.account === account);
      const { reserved } = await balanceOf(service, account);
      const spent = await spentBy(account);
      if (journalled)
        expect({ spent, reserved }).toEqual({ spent: decidedBy(journalled), reserved: 0n });
      const kinds = (await entriesOf(service, account)).map(({ kind }) => kind);
      expect(kinds.filter((kind) => CHARGING.includes(kind)).length).toBeLessThanOrEqual(2);
      if (!journalled) expect(reserved).toBe(0n);
    }
  });
});
