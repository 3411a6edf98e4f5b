/** The whole service, wired by hand: everything it is made of, from the database to the socket. */
import { trace } from '@opentelemetry/api';
import type { Logger } from 'pino';
import { AccountCache } from './account-cache/account-cache.ts';
import { type Clock, systemClock } from './clock.ts';
import type { Config } from './config.ts';
import { startEventPipeline } from './events/event-pipeline.ts';
import { Lanes } from './lanes/lanes.ts';
import { unitOfWork } from './lanes/unit-of-work.ts';
import { Payments } from './payments/payments.ts';
import { Reconciler } from './payments/reconciler.ts';
import { connectStripe } from './payments/stripe.ts';
import { TopUps } from './payments/top-ups.ts';
import { startWebhookServer } from './payments/webhook-server.ts';
import { connect } from './pg/orm.ts';
import type { PlanFile } from './pricing/plan.ts';
import { Snapshots } from './queries/account-snapshots.ts';
import { newestSeqs } from './queries/history.ts';
import { InFlightCalls } from './rpc/call/in-flight-calls.ts';
import { startRpcServer } from './rpc/server.ts';
import { Catalogue } from './store/catalogue.ts';
import { StatementCloser } from './sweeper/statement-closer.ts';
import { Sweeper } from './sweeper/sweeper.ts';
import { Tail } from './tail.ts';

export type Service = {
  readonly port: number;
  /** Where webhooks are taken; null where none are. */
  readonly webhookPort: number | null;
  /** Settles every account that is due, as the sweeper does by itself from time to time. */
  sweep(): Promise<void>;
  /** Looks at every pending purchase that is due, as the reconciler does by itself from time to time. */
  checkPurchases(): Promise<void>;
  /** Charges every top-up that is due, as the service does by itself from time to time. */
  topUp(): Promise<void>;
  /** Finishes what was accepted, then stops. */
  stop(): Promise<void>;
};

/**
 * Starts the service on a migrated database and makes `plans` the ones in force.
 */
export async function startService(
  config: Config,
  databaseUrl: string,
  plans: readonly PlanFile[],
  log: Logger,
  clock: Clock = systemClock,
): Promise<Service> {
  const orm = await connect(databaseUrl, config.DATABASE_POOL_MAX, config.DATABASE_TIMEOUT_MS);
  const em = () => orm.em.fork();
  const tracer = trace.getTracer('scrip');
  const stopping = new AbortController();

  try {
    const catalogue = new Catalogue(em);
    for (const { planId, version, effectiveAt } of await catalogue.publish(plans, clock()))
      log.info(
        { plan_id: planId, version, effective_at: new Date(effectiveAt).toISOString() },
        'rate card published',
      );
    const tail = new Tail({
      name: 'tail of histories',
      fetchNewest: (accountIds) => newestSeqs(em(), accountIds),
      intervalMs: config.HISTORY_POLL_MS,
      log,
    });
    const events = startEventPipeline(config, { em, clock, tracer, log });
    const kept = new AccountCache(config.ACCOUNT_CACHE_MAX);
    const lanes = new Lanes(config.LANES, {
      run: (tasks, locked, turns) =>
        unitOfWork(
          {
            em: orm.em,
            catalogue,
            clock,
            tracer,
            tail,
            kept,
            onEventsCommitted: events.onEventsCommitted,
          },
          tasks,
          locked,
          turns,
        ),
      unitsMax: config.UNITS_MAX,
      groupMax: config.GROUP_MAX,
      queueMax: config.QUEUE_MAX,
      onBug: (error, task) =>
        log.error(
          {
            err: error,
            account_id: task.accountId,
            ...('command' in task && {
              command: task.command.kind,
              trace_id: task.origin.traceId,
              span_id: task.origin.spanId,
            }),
          },
          'bug',
        ),
    });
    const statements = new StatementCloser({
      em,
      clock,
      catalogue,
      lanes,
      log,
      accountsMax: config.SWEEP_ACCOUNTS_MAX,
    });
    const sweeper = new Sweeper({
      em,
      clock,
      lanes,
      statements,
      log,
      intervalMs: config.SWEEP_INTERVAL_MS,
      accountsMax: config.SWEEP_ACCOUNTS_MAX,
    });
    const stripe = connectStripe(config);
    const payments = stripe && new Payments({ stripe, em, lanes, clock, log });
    const reconciler =
      payments &&
      new Reconciler({
        payments,
        em,
        clock,
        tracer,
        log,
        intervalMs: config.PURCHASE_CHECK_INTERVAL_MS,
        checkAfterMs: config.PURCHASE_CHECK_AFTER_MS,
        batchMax: config.PURCHASE_CHECK_MAX,
      });
    const topUps =
      payments &&
      new TopUps({
        payments,
        em,
        lanes,
        clock,
        tracer,
        log,
        intervalMs: config.TOP_UP_INTERVAL_MS,
        batchMax: config.TOP_UP_MAX,
      });
    const stopInBackground = async () => {
      await topUps?.stop(0);
      await sweeper.stop();
      await reconciler?.stop();
      await tail.stop();
    };
    const rpc = await startRpcServer(
      {
        em,
        clock,
        tracer,
        log,
        inFlight: new InFlightCalls(),
        catalogue,
        lanes,
        tail,
        statementCloser: statements,
        eventTail: events.tail,
        snapshots: new Snapshots(orm.em, catalogue, clock),
        payments,
        stopping: stopping.signal,
      },
      config.HOST,
      config.PORT,
      config.REFLECTION,
    ).catch(async (error) => {
      await Promise.all([stopInBackground(), events.stop(0)]);
      throw error;
    });
    const webhooks =
      payments &&
      config.STRIPE_WEBHOOK_SECRET &&
      (await startWebhookServer(
        {
          payments,
          secrets: config.STRIPE_WEBHOOK_SECRET.split(','),
          toleranceS: config.STRIPE_WEBHOOK_TOLERANCE_S,
          clock,
          tracer,
          log,
        },
        config.HOST,
        config.STRIPE_WEBHOOK_PORT,
      ).catch(async (error) => {
        await rpc.stop(0);
        await Promise.all([stopInBackground(), events.stop(0)]);
        throw error;
      }));
    return {
      port: rpc.port,
      webhookPort: webhooks ? webhooks.port : null,
      sweep: () => sweeper.sweep(),
      checkPurchases: async () => await reconciler?.check(),
      topUp: async () => await topUps?.topUp(),
      async stop() {
        stopping.abort();
        const graceMs = config.SHUTDOWN_GRACE_MS;
        await Promise.all([
          rpc.stop(graceMs),
          events.stop(graceMs),
          webhooks ? webhooks.stop(graceMs) : null,
          topUps?.stop(graceMs),
        ]);
        await stopInBackground();
        await lanes.close();
        await orm.close();
      },
    };
  } catch (error) {
    await orm.close();
    throw error;
  }
}
