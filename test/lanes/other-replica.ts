/** The lanes of another replica, on the database of a test service. */
import { type AccountCache, LruAccountCache } from '../../src/account-cache/account-cache.ts';
import { GrantLimits } from '../../src/lanes/grant-limits.ts';
import { Lanes } from '../../src/lanes/lanes.ts';
import type { Task } from '../../src/lanes/task.ts';
import { unitOfWork } from '../../src/lanes/unit-of-work.ts';
import { connect, type Em } from '../../src/pg/orm.ts';
import { Catalogue } from '../../src/store/catalogue.ts';
import type { WaitPolicy } from '../../src/store/load.ts';
import { entities } from '../../src/store/tables/index.ts';
import { Observers } from '../../src/telemetry/observers.ts';
import { Tracing } from '../../src/telemetry/tracing.ts';
import type { TestService } from '../service.ts';

export type OtherReplica = {
  readonly lanes: Lanes;
  readonly em: () => Em;
  stop(): Promise<void>;
};

/**
 * Starts one lane, so that tasks submitted together run in one unit of work. `onUnit` is told of each
 * unit of work before it runs.
 */
export async function startOtherReplica(
  scrip: TestService,
  onUnit: (tasks: readonly Task[], waitPolicy: WaitPolicy) => void = () => {},
  cache: AccountCache = new LruAccountCache(10),
): Promise<OtherReplica> {
  const orm = await connect(scrip.databaseUrl, entities, 4, 10_000);
  const em = () => orm.em.fork();
  const catalogue = new Catalogue(em);
  await catalogue.findPlans(scrip.now());
  const context = {
    em: orm.em,
    catalogue,
    clock: { now: scrip.now, isReliable: true },
    tracing: new Tracing(),
    observers: new Observers(),
    cache,
    grantLimits: new GrantLimits(),
    onCommit: () => {},
  };
  const lanes = new Lanes(1, {
    run: (tasks, waitPolicy, record) => {
      onUnit(tasks, waitPolicy);
      return unitOfWork(context, tasks, waitPolicy, record);
    },
    unitsMax: 1,
    groupMax: 100,
    waitMaxMs: 60_000,

    now: () => performance.now(),
    onBug: (error) => {
      throw error;
    },
  });
  return {
    lanes,
    em,
    async stop() {
      await lanes.close();
      await orm.close();
    },
  };
}
