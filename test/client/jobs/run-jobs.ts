/** Jobs of a client that is killed, against two replicas that are killed and replaced. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type Scrip } from '../../../clients/typescript/src/index.ts';
import { forEachConcurrently } from '../../../src/for-each-concurrently.ts';
import { publishAt } from '../../../src/plan-publication.ts';
import { ReplicaSlot } from '../../faults/replica-slot.ts';
import { plansOfDeploy } from '../../service.ts';
import { type Checked, checkLedger } from './check-ledger.ts';
import { ClientProcess, type Told } from './client-process.ts';
import { ACCOUNTS, accountOf, CREDITS_PER_ACCOUNT } from './job-plan.ts';

export type Disruption = 'kill -9 of a replica' | 'kill -9 of the client' | 'rolling restart';

export type JobsResult = {
  readonly jobs: number;
  readonly told: Told;
  readonly disruptions: ReadonlyMap<Disruption, number>;
  readonly seconds: number;
  readonly checked: Checked;
};

export type JobsOptions = {
  /** A migrated database. */
  readonly databaseUrl: string;
  readonly jobs: number;
  readonly concurrency: number;
};

/** Little room: many calls are refused with OVERLOADED at first. */
const QUEUE_MAX = '16';

/** How many jobs start between two disruptions, as a share of all. */
const JOBS_BETWEEN = 1 / 25;

export async function runJobs({
  databaseUrl,
  jobs,
  concurrency,
}: JobsOptions): Promise<JobsResult> {
  const directory = await mkdtemp(join(tmpdir(), 'scrip-jobs-'));
  await publishAt(databaseUrl, await plansOfDeploy(), Date.now());
  const env = { DATABASE_URL: databaseUrl, CLOCK_SETTLE_MS: '1000', QUEUE_MAX };
  const slots: ReplicaSlot[] = [];
  try {
    for (let count = 0; count < 2; count++) slots.push(await ReplicaSlot.start(env));
    const addresses = `ipv4:${slots.map(({ port }) => `127.0.0.1:${port}`).join(',')}`;
    const scrip = connect({ address: addresses, caller: 'jobs', timeoutMs: 300_000 });
    try {
      await openAccounts(scrip);
      const startedAt = performance.now();
      const client = new ClientProcess(addresses, directory, jobs, concurrency);
      const disruptions = await disrupt(client, slots, jobs);
      // The last one finishes what the ones before it left.
      client.start();
      await client.ended();
      const seconds = (performance.now() - startedAt) / 1_000;
      const checked = await checkLedger(scrip, databaseUrl, client.told, jobs);
      return { jobs, told: client.told, disruptions, seconds, checked };
    } finally {
      scrip.close();
    }
  } finally {
    await Promise.all(slots.map((slot) => slot.stop()));
    await rm(directory, { recursive: true, force: true });
  }
}

async function openAccounts(scrip: Scrip) {
  const accounts = Array.from({ length: ACCOUNTS }, (_, index) => accountOf(index));
  await forEachConcurrently(accounts, 8, null, async (accountId) => {
    await scrip.accounts.openAccount({ accountId, planId: 'verts' });
    await scrip.accounts.grantCredits({
      accountId,
      credits: CREDITS_PER_ACCOUNT,
      category: 'CATEGORY_PAID',
      reason: 'a run of jobs',
    });
  });
}

/** One after the other, each at least once, until all jobs have started. The client is killed last. */
async function disrupt(client: ClientProcess, slots: readonly ReplicaSlot[], jobs: number) {
  const counts = new Map<Disruption, number>();
  const moreJobs = async () => {
    const until = Math.min(client.told.next + Math.ceil(jobs * JOBS_BETWEEN), jobs);
    while (client.told.next < until) await sleep(10);
  };
  const killReplica = async (slot: ReplicaSlot) => {
    slot.signal('SIGKILL');
    await isServing(slot);
  };
  const all: readonly [Disruption, () => Promise<void>][] = [
    ['kill -9 of a replica', () => killReplica(slots[0]!)],
    ['kill -9 of the client', () => client.kill()],
    ['kill -9 of a replica', () => killReplica(slots[1]!)],
    ['kill -9 of the client', () => client.kill()],
    [
      'rolling restart',
      async () => {
        for (const slot of slots) await slot.replace();
      },
    ],
    ['kill -9 of the client', () => client.kill()],
  ];
  client.start();
  do {
    for (const [name, make] of all) {
      await moreJobs();
      await make();
      counts.set(name, (counts.get(name) ?? 0) + 1);
      if (name === 'kill -9 of the client') client.start();
    }
  } while (client.told.next < jobs);
  await client.ended();
  return counts;
}

/** The replica of the slot answers again. */
async function isServing({ port }: ReplicaSlot) {
  const scrip = connect({ address: `127.0.0.1:${port}`, caller: 'jobs', timeoutMs: 120_000 });
  await scrip.plans.listPlans({});
  scrip.close();
}
