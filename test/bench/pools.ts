/** Finds the fastest connection pool size of each baseline, so that the comparison is fair. */

import type { Pools } from './case-runner.ts';
import type { Case } from './cases.ts';
import { accounts } from './ledger.ts';
import { measure } from './measure.ts';
import type { Extent } from './options.ts';
import type { Progress } from './progress.ts';
import type { Testbed } from './testbed.ts';

const SIZES = [8, 16, 32];

/** Used if the baseline is not measured. */
const DEFAULT_SIZE = 16;

export async function bestPools(
  testbed: Testbed,
  extent: Extent,
  chosen: readonly Case[],
  progress: Progress,
): Promise<Pools> {
  const measures = (subject: Case['subject']) => chosen.some((one) => one.subject === subject);
  const timing = { inFlight: 64, warmUpMs: extent.warmUpMs, durationMs: extent.durationMs };
  const withHandTuned = async (pool: number) => {
    const { perSecond } = await measure(testbed.processes(), {
      ...timing,
      operation: { kind: 'function', accounts: accounts.spread, pool },
      addresses: [await testbed.databaseOf('hand_tuned')],
    });
    return perSecond;
  };
  const withTextbook = async (pool: number) => {
    const server = await testbed.textbook(pool);
    const { perSecond } = await measure(testbed.processes(server), {
      ...timing,
      operation: { kind: 'reserve', accounts: accounts.spread },
      addresses: [server.address],
    });
    return perSecond;
  };
  return {
    handTuned: measures('hand-tuned')
      ? await best('hand-tuned', progress, withHandTuned)
      : DEFAULT_SIZE,
    textbook: measures('textbook') ? await best('textbook', progress, withTextbook) : DEFAULT_SIZE,
  };
}

async function best(
  baseline: string,
  progress: Progress,
  perSecondWith: (pool: number) => Promise<number>,
): Promise<number> {
  let fastest = { pool: 0, perSecond: -1 };
  for (const pool of SIZES) {
    progress.doing('connections', `${baseline}: ${pool}`);
    const perSecond = await perSecondWith(pool);
    if (perSecond > fastest.perSecond) fastest = { pool, perSecond };
  }
  progress.say(`${baseline}: ${fastest.pool} connections are the fastest of ${SIZES.join(', ')}`);
  return fastest.pool;
}
