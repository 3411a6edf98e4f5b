/** The whole service, wired by hand: everything it is made of, from the database to the socket. */
import { trace } from '@opentelemetry/api';
import type { Logger } from 'pino';
import { type Clock, systemClock } from './clock.ts';
import type { Config } from './config.ts';
import { connect } from './db/orm.ts';
import { startEvents } from './events/start-events.ts';
import { Lanes } from './lanes/lanes.ts';
import { Sweeper } from './lanes/sweeper.ts';
import { unitOfWork } from './lanes/unit-of-work.ts';
import type { Plan } from './pricing/plan.ts';
import { InFlight } from './rpc/in-flight.ts';
import { startRpcServer } from './rpc/server.ts';
import { Catalogue } from './store/catalogue.ts';
import { Snapshots } from './store/snapshot.ts';
import { Tail } from './store/tail.ts';

export type Service = {
  readonly port: number;
  /** Settles every account that is due, as the sweeper does by itself from time to time. */
  sweep(): Promise<void>;
  /** Finishes what was accepted, then stops. */
  stop(): Promise<void>;
};

/**
 * Starts the service on a migrated database and makes `plans` the ones in force.
 */
export async function startService(
  config: Config,
  databaseUrl: string,
  plans: readonly Plan[],
  log: Logger,
  clock: Clock = systemClock,
): Promise<Service> {
  const orm = await connect(databaseUrl, config.DATABASE_POOL_MAX, config.DATABASE_TIMEOUT_MS);
  const em = () => orm.em.fork();
  const tracer = trace.getTracer('scrip');
  const stopping = new AbortController();

  try {
    const catalogue = new Catalogue(em);
    await catalogue.publish(plans, clock());
    const tail = new Tail(em, config.HISTORY_POLL_MS);
    const events = startEvents(config, { em, clock, tracer, log });
    const lanes = new Lanes(config.LANES, {
      run: (works) =>
        unitOfWork({ em, catalogue, clock, tracer, tail, announced: events.announced }, works),
      groupMax: config.GROUP_MAX,
      queueMax: config.QUEUE_MAX,
      oneAccountPerUnit: config.ONE_ACCOUNT_PER_UNIT,
      onBug: (error, work) =>
        log.error(
          {
            err: error,
            account_id: work.accountId,
            ...(work.command && {
              command: work.command.kind,
              trace_id: work.origin.traceId,
              span_id: work.origin.spanId,
            }),
          },
          'bug',
        ),
    });
    const sweeper = new Sweeper({
      em,
      clock,
      lanes,
      log,
      intervalMs: config.SWEEP_INTERVAL_MS,
      accountsMax: config.SWEEP_ACCOUNTS_MAX,
    });
    const rpc = await startRpcServer(
      {
        em,
        clock,
        tracer,
        log,
        inFlight: new InFlight(),
        catalogue,
        lanes,
        tail,
        eventTail: events.tail,
        snapshots: new Snapshots(em, catalogue, clock),
        stopping: stopping.signal,
      },
      config.HOST,
      config.PORT,
      config.REFLECTION,
    ).catch(async (error) => {
      await Promise.all([sweeper.stop(), events.stop(0)]);
      throw error;
    });
    return {
      port: rpc.port,
      sweep: () => sweeper.sweep(),
      async stop() {
        stopping.abort();
        const graceMs = config.SHUTDOWN_GRACE_MS;
        await Promise.all([rpc.stop(graceMs), events.stop(graceMs)]);
        await sweeper.stop();
        await lanes.close();
        await orm.close();
      },
    };
  } catch (error) {
    await orm.close();
    throw error;
  }
}
