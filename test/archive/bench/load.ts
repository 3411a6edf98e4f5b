/** Jobs of many accounts: a reserve and a commit each, with a trace, a reference and a label. */
import { randomBytes, randomUUID } from 'node:crypto';
import { Metadata } from '@grpc/grpc-js';
import type { Scrip } from '../../../src/client.ts';
import { forEachConcurrently } from '../../../src/for-each-concurrently.ts';
import { Grant_Category } from '../../../src/gen/billing/v1/ledger.ts';

const CONCURRENCY = 64;
/** Jobs at one time of the clock. */
const ROUND = 256;

/** Ids of a job. */
export type Job = {
  readonly accountId: string;
  readonly traceId: string;
  readonly reservationId: string;
  readonly commitRequestId: string;
};

export class Load {
  readonly #scrip: Scrip;
  readonly accountIds: readonly string[];
  /** The first job, and one in the middle of each run. */
  readonly samples: Job[] = [];
  written = 0;

  static async open(scrip: Scrip, accounts: number): Promise<Load> {
    const accountIds = Array.from({ length: accounts }, (_, n) => `customer-${n}`);
    for (const accountId of accountIds) {
      await scrip.accounts.openAccount({ accountId, planId: 'verts', requestId: randomUUID() });
      await scrip.accounts.grantCredits({
        accountId,
        requestId: randomUUID(),
        credits: 1_000_000_000n,
        category: Grant_Category.PAID,
        reason: 'a measurement',
      });
    }
    return new Load(scrip, accountIds);
  }

  private constructor(scrip: Scrip, accountIds: readonly string[]) {
    this.#scrip = scrip;
    this.accountIds = accountIds;
    this.written = accountIds.length * 2;
  }

  get accounts(): number {
    return this.accountIds.length;
  }

  /** Writes so many entries. `onPart` is told which part of them is done. */
  async run(entries: number, onPart: (part: number) => void): Promise<void> {
    const jobs = Math.round(entries / 2);
    // The clock moves where no job is running.
    for (let begun = 0; begun < jobs; begun += ROUND) {
      onPart(begun / jobs);
      const indexes = Array.from({ length: Math.min(ROUND, jobs - begun) }, (_, n) => begun + n);
      await forEachConcurrently(indexes, CONCURRENCY, null, async (index) => {
        const job = await this.#job(this.accountIds[index % this.accounts] as string);
        if (index === 0 || index === jobs >> 1) this.samples.push(job);
      });
    }
  }

  /** A few jobs at a time, until it is stopped. */
  runMeanwhile() {
    let stopped = false;
    let jobs = 0;
    let slowest = 0;
    const work = async () => {
      for (let index = 0; !stopped; index++) {
        const since = performance.now();
        await this.#job(this.accountIds[index % this.accounts] as string);
        slowest = Math.max(slowest, performance.now() - since);
        jobs += 1;
      }
    };
    const working = Promise.all([work(), work(), work(), work()]);
    return {
      async stop(): Promise<string> {
        stopped = true;
        await working;
        return `${jobs} jobs (the slowest ${Math.round(slowest)} ms)`;
      },
    };
  }

  async #job(accountId: string): Promise<Job> {
    const traceId = randomBytes(16).toString('hex');
    const metadata = new Metadata();
    metadata.set('traceparent', `00-${traceId}-00000000000000aa-01`);
    const reference = `job-${randomUUID()}`;
    const labels = new Map([['team', `team-${traceId[0]}`]]);
    const { reservation } = await this.#scrip.billing.reserve(
      { accountId, requestId: randomUUID(), credits: 10n, reference, labels },
      { metadata },
    );
    const reservationId = reservation?.reservationId ?? '';
    const commitRequestId = randomUUID();
    await this.#scrip.billing.commit(
      { accountId, requestId: commitRequestId, reservationId, credits: 7n },
      { metadata },
    );
    this.written += 2;
    return { accountId, traceId, reservationId, commitRequestId };
  }
}
