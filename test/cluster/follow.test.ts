/** Streams that follow a history which other replicas write. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Scrip } from '../../src/client.ts';
import { Grant_Category } from '../../src/gen/billing/v1/ledger.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { type Cluster, startCluster } from './cluster.ts';
import { Random } from './random.ts';

/** The default. */
const HISTORY_POLL_MS = '250';

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster({ env: { HISTORY_POLL_MS } });
});
afterAll(async () => {
  await cluster.stop();
});

async function accountWith(credits: bigint): Promise<string> {
  const accountId = await cluster.a.open('verts');
  const category = Grant_Category.PAID;
  await cluster.a.accounts.grantCredits({
    reason: 'a test',
    accountId,
    requestId: requestId(),
    credits,
    category,
  });
  return accountId;
}

const charge = ({ billing }: Scrip, accountId: string) =>
  billing.charge({ accountId, requestId: requestId(), credits: 1n });

describe('a follower on one replica', () => {
  test('receives what another replica writes', async () => {
    const accountId = await accountWith(10n);
    const stream = cluster.a.billing.streamHistory({ accountId, afterSeq: 2n, follow: true });
    for (let round = 0; round < 5; round++) {
      const next = stream.next();
      // At several places of the interval of its polls.
      await sleep(50 * round);
      const { entrySeq } = await charge(cluster.b, accountId);
      const { value } = await next;
      expect(value?.entries.map(({ seq }) => seq)).toEqual([entrySeq]);
    }
    await stream.return();
  });

  test('receives at once what its own replica writes', async () => {
    // It polls once a second: what arrives sooner was not found by polling.
    const scrip = await startTestService({ env: { HISTORY_POLL_MS: '1000' } });
    const delays: number[] = [];
    for (let round = 0; round < 3; round++) {
      const accountId = await scrip.open('perfectparser');
      const stream = scrip.billing.streamHistory({ accountId, afterSeq: 2n, follow: true });
      const next = stream.next();
      await sleep(50);
      const { entrySeq } = await charge(scrip, accountId);
      const writtenAt = performance.now();
      expect((await next).value?.nextAfterSeq).toBe(entrySeq);
      delays.push(performance.now() - writtenAt);
      await stream.return();
    }
    await scrip.stop();
    expect(Math.min(...delays)).toBeLessThan(500);
  });

  test('is not woken by entries of other accounts', async () => {
    const [accountId, other] = [await accountWith(10n), await accountWith(10n)];
    const stream = cluster.a.billing.streamHistory({ accountId, afterSeq: 2n, follow: true });
    const next = stream.next();
    for (const replica of cluster.replicas) await charge(replica, other);
    expect(await Promise.race([next, sleep(400, 'nothing')])).toBe('nothing');
    const { entrySeq } = await charge(cluster.b, accountId);
    expect((await next).value?.nextAfterSeq).toBe(entrySeq);
    await stream.return();
  });
});

describe('a follower that is cut off and resumes on another replica', () => {
  const WRITES = 300;

  /** Reads up to `last`, from another replica every few messages. Returns every seq it received. */
  async function readAlternately(accountId: string, last: bigint, random: Random) {
    const seqs: bigint[] = [];
    let afterSeq = 0n;
    let streams = 0;
    for (; afterSeq < last; streams++) {
      const replica = cluster.replicas[streams % 2] as TestService;
      let messages = random.integer(1, 4);
      const follow = { accountId, afterSeq, follow: true };
      for await (const { entries, nextAfterSeq } of replica.billing.streamHistory(follow)) {
        seqs.push(...entries.map(({ seq }) => seq));
        afterSeq = nextAfterSeq;
        if (--messages === 0 || afterSeq >= last) break;
      }
    }
    return { seqs, streams };
  }

  test('misses nothing and receives nothing twice while both replicas write', async () => {
    const accountId = await accountWith(BigInt(WRITES));
    const last = BigInt(WRITES + 2);
    const readers = [1, 2, 3].map((seed) => readAlternately(accountId, last, new Random(seed)));
    const writers = cluster.replicas.map(async (replica) => {
      for (let write = 0; write < WRITES / 2; write++) await charge(replica, accountId);
    });
    await Promise.all(writers);
    const all = Array.from({ length: WRITES + 2 }, (_, index) => BigInt(index + 1));
    for (const { seqs, streams } of await Promise.all(readers)) {
      expect(seqs).toEqual(all);
      expect(streams).toBeGreaterThan(2);
    }
  });
});
