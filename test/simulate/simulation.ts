/** Runs one trace on a database of its own, and checks everything. */

import type { Entry } from '../../src/gen/billing/v1/ledger.ts';
import { verify } from '../../src/verify/verify.ts';
import { checkAccount } from './checker.ts';
import { differences } from './compare.ts';
import type { Databases } from './databases.ts';
import { expectRead } from './expected-reads.ts';
import { settle } from './model/due.ts';
import { Refusal } from './model/refusal.ts';
import type { AccountState } from './model/state.ts';
import { Timeline } from './observations.ts';
import { Replicas } from './replicas.ts';
import { Runner, readNow, Violation } from './runner.ts';
import type { ReadSpec, Trace } from './trace.ts';

/** Shortly before the end of a month. */
export const STARTS_AT = Date.UTC(2031, 0, 30, 21, 30);

export type Result = {
  /** What is wrong; null if nothing is. */
  readonly problem: string | null;
  readonly attempts: number;
  readonly reads: number;
  readonly entries: number;
  readonly kills: number;
  readonly unknown: number;
  readonly ms: number;
  /** How often each refusal came. */
  readonly refusals: Readonly<Record<string, number>>;
};

export async function simulate(trace: Trace, databases: Databases): Promise<Result> {
  const startedAt = performance.now();
  const databaseUrl = await databases.create();
  const timeline = new Timeline(STARTS_AT);
  const replicas = await Replicas.start(databaseUrl, trace.replicas, () => timeline.now);
  const runner = new Runner(trace, replicas, timeline);
  let entries = 0;
  let problem: string | null = null;
  try {
    await runner.run();
    for (const accountId of runner.accountIds)
      entries += await checkOne(accountId, runner, replicas);
    if (replicas.bugs.length > 0) throw new Violation(`a replica has logged ${replicas.bugs[0]}`);
    const verified = await verify(databaseUrl, { all: true });
    if (!verified.ok) throw new Violation(`verify: ${JSON.stringify(verified.discrepancies)}`);
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    problem = error.message;
  } finally {
    await replicas.stop();
    await databases.drop(databaseUrl);
  }
  const refusals: Record<string, number> = {};
  for (const { outcome } of runner.attempts)
    if (outcome.kind === 'refusal') refusals[outcome.reason] = (refusals[outcome.reason] ?? 0) + 1;
  return {
    problem,
    attempts: runner.attempts.length,
    reads: runner.reads.length,
    entries,
    kills: replicas.kills,
    unknown: runner.attempts.filter(({ outcome }) => outcome.kind === 'unknown').length,
    refusals,
    ms: performance.now() - startedAt,
  };
}

/** Checks one account, and returns how many entries it has. */
async function checkOne(accountId: string, runner: Runner, replicas: Replicas): Promise<number> {
  const { scrip } = await replicas.at(0);
  const entries: Entry[] = [];
  try {
    for await (const message of scrip.billing.streamHistory({ accountId }))
      entries.push(...message.entries);
  } catch (error) {
    if ((error as { reason?: string }).reason !== 'ACCOUNT_NOT_FOUND') throw error;
  }
  const { timeline } = runner;
  const state = checkAccount({
    accountId,
    attempts: runner.attempts.filter(({ request }) => request.value.accountId === accountId),
    reads: runner.reads.filter((read) => read.accountId === accountId),
    entries,
    timeline,
  });
  for (let index = 0; index < replicas.count; index++)
    await checkEnd(state, timeline.now, (await replicas.at(index)).scrip);
  return entries.length;
}

/** Everything that can be read of an account at its end. */
const LAST_READS: readonly ReadSpec[] = [
  { read: 'balance', grants: true },
  { read: 'grants' },
  { read: 'reservations', states: [] },
  { read: 'purchases' },
  { read: 'packs' },
  { read: 'account' },
];

async function checkEnd(state: AccountState, time: number, scrip: Parameters<typeof readNow>[0]) {
  if (state.seq === 0n) return;
  const now = Math.max(time, state.lastAt);
  for (const spec of LAST_READS) {
    const settled = state.copy();
    settle(settled, now);
    const expected = expectRead(settled, spec, '', now);
    if (expected instanceof Refusal) throw new Error('every account at its end can be read');
    const actual = await readNow(scrip, spec, state.accountId, '');
    const problem = differences(actual, expected);
    if (problem) throw new Violation(`${state.accountId}: at its end ${spec.read}: ${problem}`);
  }
}
