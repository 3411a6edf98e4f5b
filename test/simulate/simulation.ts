/** Runs one trace on a database of its own, and checks everything. */

import type { ShadowDecision } from '../../src/gen/billing/v1/account_service.ts';
import { verify } from '../../src/verify/verify.ts';
import { checkAccount } from './checker.ts';
import { checkAll } from './checks-of-all.ts';
import type { Databases } from './databases.ts';
import { checkDecisions, decisionsOf } from './decisions-of-all.ts';
import { checkDeliveries, Endpoint } from './deliveries.ts';
import {
  checkErasure,
  checkEvents,
  checkPayments,
  checkReads,
  checkStatements,
  historyOf,
} from './final-checks.ts';
import type { AccountState } from './model/state.ts';
import { Timeline } from './observations.ts';
import { Provider } from './provider.ts';
import { checkRefusals } from './refusals-of-all.ts';
import { Replicas } from './replicas.ts';
import { Runner, Violation } from './runner.ts';
import { checkSums } from './sums-of-all.ts';
import type { Trace } from './trace.ts';

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
  const now = () => timeline.now;
  const provider = await new Provider().start(now);
  const endpoint = await new Endpoint().open();
  const env = { ...provider.stripe.env, ...endpoint.receiver.env };
  const replicas = await Replicas.start(databaseUrl, trace.replicas, env, now);
  const runner = new Runner(trace, replicas, provider, timeline);
  let entries = 0;
  let problem: string | null = null;
  try {
    await runner.run();
    const states: AccountState[] = [];
    const decided: ShadowDecision[] = [];
    for (const accountId of runner.accountIds) {
      const checked = await checkOne(accountId, runner, replicas, provider);
      entries += checked.entries;
      decided.push(...checked.decisions);
      states.push(checked.state);
    }
    await (await replicas.at(0)).service.sweep();
    await checkAll(states, now(), (await replicas.at(0)).scrip);
    await (await replicas.at(0)).service.countUsage();
    await (await replicas.at(0)).service.countMovements();
    await checkSums(states, STARTS_AT, now(), (await replicas.at(0)).scrip);
    await checkDecisions(decided, (await replicas.at(0)).scrip);
    await checkRefusals(runner.attempts, replicas);
    await checkEvents(states, (await replicas.at(0)).scrip);
    await checkDeliveries(endpoint, timeline, (await replicas.at(0)).scrip);
    if (replicas.bugs.length > 0) throw new Violation('a replica has logged a bug');
    await (await replicas.at(0)).service.countMovements();
    const verified = await verify(databaseUrl, { all: true });
    if (!verified.ok) throw new Violation(`verify: ${JSON.stringify(verified.discrepancies)}`);
    for (const state of states)
      if (state.seq > 0n) await checkErasure(state, now(), (await replicas.at(0)).scrip);
    const erased = await verify(databaseUrl, { all: true });
    if (!erased.ok) throw new Violation(`after erasures: ${JSON.stringify(erased.discrepancies)}`);
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    problem = [error.message, ...replicas.bugs.slice(0, 1)].join('\n');
  } finally {
    await replicas.stop();
    await provider.stripe.stop();
    await endpoint.receiver.close();
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

/** Checks one account, and returns what the model has at its end. */
async function checkOne(accountId: string, runner: Runner, replicas: Replicas, provider: Provider) {
  const { scrip } = await replicas.at(0);
  const entries = await historyOf(scrip.billing, accountId);
  const { timeline } = runner;
  const decisions = entries.length > 0 ? await decisionsOf(scrip, accountId) : [];
  const state = checkAccount({
    accountId,
    attempts: runner.attempts.filter(({ request }) => request.value.accountId === accountId),
    reads: runner.reads.filter((read) => read.accountId === accountId),
    ...{ entries, decisions },
    timeline,
    isPaid: (purchaseId) => provider.isPaid(purchaseId),
  });
  if (state.seq > 0n) {
    for (let index = 0; index < replicas.count; index++)
      await checkReads(state, timeline.now, (await replicas.at(index)).scrip);
    await checkStatements(state, timeline.now, scrip);
    await checkPayments(state, timeline.now, provider, scrip);
  }
  return { state, entries: entries.length, decisions };
}
