/** Finds the number of connections that suits each baseline best: nobody is beaten by a bad setting. */
import type { Case } from './cases.ts';
import { accounts } from './ledger.ts';
import { measure } from './measure.ts';
import type { Extent } from './options.ts';
import type { Progress } from './progress.ts';
import type { Pools } from './rounds.ts';
import type { Stage } from './stage.ts';

const SIZES = [8, 16, 32];

/** A size that is as good as any where a baseline is not measured. */
const UNMEASURED = 16;

export async function bestPools(
  stage: Stage,
  extent: Extent,
  chosen: readonly Case[],
  progress: Progress,
): Promise<Pools> {
  const measures = (subject: Case['subject']) => chosen.some((one) => one.subject === subject);
  const timing = { inFlight: 64, warmUpMs: extent.warmUpMs, durationMs: extent.durationMs };
  const withHandTuned = async (pool: number) => {
    const { perSecond } = await measure(stage.measuring(), {
      ...timing,
      operation: { kind: 'function', accounts: accounts.spread, pool },
      addresses: [await stage.databaseOf('hand_tuned')],
    });
    return perSecond;
  };
  const withTextbook = async (pool: number) => {
    const server = await stage.textbook(pool);
    const { perSecond } = await measure(stage.measuring(server), {
      ...timing,
      operation: { kind: 'reserve', accounts: accounts.spread },
      addresses: [server.address],
    });
    return perSecond;
  };
  return {
    handTuned: measures('hand-tuned')
      ? await best('hand-tuned', progress, withHandTuned)
      : UNMEASURED,
    textbook: measures('textbook') ? await best('textbook', progress, withTextbook) : UNMEASURED,
  };
}

async function best(
  who: string,
  progress: Progress,
  perSecondWith: (pool: number) => Promise<number>,
): Promise<number> {
  let fastest = { pool: 0, perSecond: -1 };
  for (const pool of SIZES) {
    progress.doing('connections', `${who}: ${pool}`);
    const perSecond = await perSecondWith(pool);
    if (perSecond > fastest.perSecond) fastest = { pool, perSecond };
  }
  progress.say(`${who}: ${fastest.pool} connections are the fastest of ${SIZES.join(', ')}`);
  return fastest.pool;
}
