/** `recover`: finishes what processes left that have died. */

import { JobLog } from './job-log.ts';
import { jobsOf } from './job-state.ts';
import type { Journal } from './journal.ts';
import type { JobEnd } from './journal-record.ts';
import { type ReservationCalls, settle } from './settle.ts';
import { within } from './until-answered.ts';

export type RecoveredJob = JobEnd & {
  readonly job: string;
  readonly account: string;
  readonly reference: string;
};

export type Recovery = {
  /** The jobs that were finished: charged if they had been decided, else given back. `refused`: by a rule. */
  readonly jobs: readonly RecoveredJob[];
  /** How many are not finished yet. This process goes on with them for as long as it lives. */
  readonly pending: number;
  /** Resolves with all of them when the last one is finished. Rejects if the client is closed before. */
  readonly finished: Promise<readonly RecoveredJob[]>;
};

/** How many jobs are finished at a time. */
const CONCURRENCY = 32;
const DEFAULT_TIMEOUT_MS = 60_000;
const ATTEMPT_MS = 5_000;

/** Resolves when all are finished, or after `timeoutMs` (default 60,000). Rejects if the journal cannot be read. */
export async function recover(
  billing: ReservationCalls,
  journal: Journal,
  { timeoutMs = DEFAULT_TIMEOUT_MS }: { readonly timeoutMs?: number } = {},
  closing?: AbortSignal,
): Promise<Recovery> {
  const states = [...jobsOf(await journal.takeOver()).values()].filter(({ end }) => !end);
  const jobs: RecoveredJob[] = [];
  const waiting = states.values();
  const persistence = { attemptMs: ATTEMPT_MS, keepsAlive: false, closing };
  const finishSome = async () => {
    for (const state of waiting) {
      const { job, account, reference } = state;
      const settled = await settle(new JobLog(state, journal), billing, persistence);
      const { outcome, charged, reason } = settled;
      const end = { outcome, charged, ...(reason !== undefined && { reason }) };
      jobs.push({ job, account, reference, ...end });
    }
  };
  const workers = Promise.all(Array.from({ length: CONCURRENCY }, finishSome));
  const finished = workers.then(() => jobs);
  // Whoever does not wait for it may leave it alone.
  finished.catch(() => {});
  await within(finished, timeoutMs, () => {});
  return { jobs: [...jobs], pending: states.length - jobs.length, finished };
}
