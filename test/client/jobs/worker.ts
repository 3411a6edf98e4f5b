/**
 * The client that is killed: finishes what the ones before it left, then runs jobs. It writes one line for each
 * thing that its callers learn, before anything else happens.
 *
 *     node worker.ts ADDRESSES DIRECTORY FROM TO CONCURRENCY
 */
import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  connect,
  type Job,
  openJournal,
  type ReservationOptions,
  type ScripError,
} from '../../../clients/typescript/src/index.ts';
import { recover } from '../../../clients/typescript/src/reservation/recover.ts';
import { withReservation } from '../../../clients/typescript/src/reservation/with-reservation.ts';
import { forEachConcurrently } from '../../../src/for-each-concurrently.ts';
import { accountOf, type JobPlan, planOf, referenceOf } from './job-plan.ts';

export type Line =
  | { readonly is: 'started'; readonly job: number }
  /** The promise of the job resolved. */
  | {
      readonly is: 'done';
      readonly job: number;
      readonly settlement: string;
      readonly charged: string;
    }
  | { readonly is: 'settled'; readonly job: number; readonly charged: string }
  /** The work failed, as it was to. */
  | { readonly is: 'failed'; readonly job: number }
  | {
      readonly is: 'error';
      readonly job: number;
      readonly reason: string;
      readonly message: string;
    }
  | {
      readonly is: 'recovered';
      readonly reference: string;
      readonly outcome: string;
      readonly charged: string;
      readonly reason?: string;
    }
  | { readonly is: 'pending'; readonly jobs: number }
  /** What a caller would see whose calls are not repeated. */
  | { readonly is: 'probed'; readonly error: string };

/** Longer than a replica is away, on a machine that does much else. */
const TIMEOUT_MS = 300_000;

const [addresses = '', directory = '', from = '', to = '', concurrency = ''] =
  process.argv.slice(2);

const tell = (line: Line) => writeSync(1, `${JSON.stringify(line)}\n`);

class WorkFailed extends Error {}

const first = Number(from);
// Calls that each go alone are many, and are refused by a replica that has little room.
const scrip = connect({ address: addresses, caller: 'jobs', batching: false });
const probe = connect({ address: addresses, caller: 'jobs', retries: false });
/** Every so many jobs one probes. */
const PROBE_EVERY = 5;
const journal = await openJournal(directory);

async function work({ use, useAtEnd }: Job, { parts, atEnd, workMs, fails }: JobPlan) {
  for (const credits of parts) {
    await sleep(workMs / (parts.length + 1));
    await use({ credits });
  }
  await sleep(workMs / (parts.length + 1));
  if (fails) throw new WorkFailed();
  if (atEnd !== null) useAtEnd({ credits: atEnd });
}

function optionsOf(job: number, { reserves, ttlMs }: JobPlan): ReservationOptions {
  const amount =
    'credits' in reserves
      ? { credits: reserves.credits }
      : { usages: { items: [{ operation: 'file.inspect', count: reserves.inspections }] } };
  const common = { account: accountOf(job), reference: referenceOf(job), ttlMs, journal };
  return { ...common, ...amount, timeoutMs: TIMEOUT_MS };
}

async function probeOnce(accountId: string) {
  await probe.billing.getBalance({ accountId }).catch(({ reason, code }: ScripError) => {
    tell({ is: 'probed', error: reason || `status ${code} of the connection` });
  });
}

async function run(job: number) {
  const plan = planOf(job);
  tell({ is: 'started', job });
  if (job % PROBE_EVERY === 0) await probeOnce(accountOf(job));
  try {
    const { settlement, charged, settled } = await withReservation(
      scrip.billing,
      optionsOf(job, plan),
      (running) => work(running, plan),
    );
    tell({ is: 'done', job, settlement, charged: String(charged) });
    if (settlement === 'pending')
      tell({ is: 'settled', job, charged: String((await settled).charged) });
  } catch (error) {
    if (error instanceof WorkFailed) return tell({ is: 'failed', job });
    const { reason = '', message } = error as Error & { reason?: string };
    tell({ is: 'error', job, reason, message });
  }
}

const recovering = recover(scrip.billing, journal, { timeoutMs: TIMEOUT_MS }).then(
  ({ jobs, pending }) => {
    for (const { reference, outcome, charged, reason } of jobs)
      tell({ is: 'recovered', reference, outcome, charged, ...(reason && { reason }) });
    if (pending > 0) tell({ is: 'pending', jobs: pending });
  },
);
const numbers = Array.from(
  { length: Math.max(Number(to) - first, 0) },
  (_, index) => first + index,
);
await forEachConcurrently(numbers, Number(concurrency), null, async (job) => void (await run(job)));
await recovering;
await journal.close();
scrip.close();
probe.close();
