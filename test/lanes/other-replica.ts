/** Lanes on a test service's database, as another replica has them. */
import { trace } from '@opentelemetry/api';
import { pino } from 'pino';
import { AccountCache } from '../../src/account-cache/account-cache.ts';
import { Lanes } from '../../src/lanes/lanes.ts';
import { Mutex } from '../../src/lanes/mutex.ts';
import type { Task } from '../../src/lanes/task.ts';
import { unitOfWork } from '../../src/lanes/unit-of-work.ts';
import { connect, type Em } from '../../src/pg/orm.ts';
import { Catalogue } from '../../src/store/catalogue.ts';
import type { WhereLocked } from '../../src/store/load.ts';
import { Tail } from '../../src/tail.ts';
import { plansOfDeploy, type TestService } from '../service.ts';

export type OtherReplica = {
  readonly lanes: Lanes;
  readonly em: () => Em;
  /** Those of its lane, once it has run a unit of work. */
  readonly turns: () => Mutex;
  stop(): Promise<void>;
};

/** One lane, so that what is submitted in one turn comes into one unit of work; `ran` is told of each. */
export async function startOtherReplica(
  scrip: TestService,
  ran: (tasks: readonly Task[], locked: WhereLocked) => void = () => {},
  kept = new AccountCache(10),
): Promise<OtherReplica> {
  const orm = await connect(scrip.databaseUrl, 4, 10_000);
  const em = () => orm.em.fork();
  const catalogue = new Catalogue(em);
  const log = pino({ level: 'silent' });
  await catalogue.publish(await plansOfDeploy(), scrip.now());
  const context = {
    em: orm.em,
    catalogue,
    clock: scrip.now,
    tracer: trace.getTracer('test'),
    tail: new Tail({ name: 'tail', fetchNewest: async () => [], intervalMs: 3_600_000, log }),
    kept,
    onEventsCommitted: () => {},
  };
  let turnsOfLane = new Mutex();
  const lanes = new Lanes(1, {
    run: (tasks, locked, turns) => {
      turnsOfLane = turns;
      ran(tasks, locked);
      return unitOfWork(context, tasks, locked, turns);
    },
    unitsMax: 1,
    groupMax: 100,
    queueMax: 100,
    onBug: (error) => {
      throw error;
    },
  });
  return {
    lanes,
    em,
    turns: () => turnsOfLane,
    async stop() {
      await lanes.close();
      await orm.close();
    },
  };
}
