/**
 * The drill: what goes wrong makes an alert of a real Prometheus fire, and the commands of the runbook lead from the alert
 * to a failing call, in three at most. Two replicas on one database.
 */
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test, vi } from 'vitest';
import { Grant_Category } from '../../src/gen/billing/v1/ledger.ts';
import { publishAt } from '../../src/plan-publication.ts';
import { defined } from '../accounts.ts';
import { named, newTrace, type Trace } from '../operator/traced.ts';
import { createDatabase } from '../postgres.ts';
import { end, type Replica, startPublished } from '../process/replica.ts';
import { plansOfDeploy, requestId } from '../service.ts';
import { TcpProxy } from '../tcp-proxy.ts';
import {
  type Alert,
  hasPrometheus,
  type RealPrometheus,
  startPrometheus,
} from './real-prometheus.ts';
import { look } from './runbook-steps.ts';

const CALLER = 'test';
/** Of each replica. */
const QUEUE_MAX = 16;
const BURST = 8 * QUEUE_MAX;

let database: TcpProxy;
let replicas: readonly Replica[];
let prometheus: RealPrometheus;

/** Plans without a time for late commits, so that nobody waits for its end. */
async function publishStrictPlans(databaseUrl: string) {
  const plans = (await plansOfDeploy()).map((plan) => {
    const reservation = { ...plan.terms.reservation, graceMs: 0 };
    return { ...plan, terms: { ...plan.terms, reservation } };
  });
  await publishAt(databaseUrl, plans, Date.now());
}

async function startAll() {
  const databaseUrl = await createDatabase(inject('postgresUrl'));
  await publishStrictPlans(databaseUrl);
  database = new TcpProxy(databaseUrl);
  await database.open();
  const env = {
    DATABASE_URL: database.url,
    QUEUE_MAX: String(QUEUE_MAX),
    WAIT_MAX_MS: '5000',
    LEDGER_GAUGES_INTERVAL_MS: '500',
    SWEEP_INTERVAL_MS: '100',
  };
  replicas = [await startPublished(env), await startPublished(env)];
  prometheus = await startPrometheus(replicas.map(({ adminPort }) => adminPort));
}

const replica = (index: number): Replica => defined(replicas[index % replicas.length]);
const addresses = (): string => replicas.map(({ port }) => `127.0.0.1:${port}`).join();

async function openAccount(name: string, credits: bigint): Promise<string> {
  const accountId = `${name}-${requestId()}`;
  const { accounts } = replica(0);
  await accounts.openAccount({ ...named(accountId), planId: 'verts' });
  const grant = { category: Grant_Category.PAID, reason: 'drill' };
  await accounts.grantCredits({ ...named(accountId), credits, ...grant });
  return accountId;
}

async function reserve(accountId: string, seconds: bigint, trace: Trace = newTrace()) {
  const call = { ...named(accountId), credits: 10n, ttl: { seconds } };
  const { reservation } = await replica(0).billing.reserve(call, trace);
  return { reservationId: defined(reservation).reservationId, trace };
}

/** Makes calls, again and again, until the alert fires. */
async function untilFiring(
  alert: string,
  labels: Readonly<Record<string, string>>,
  makeCalls: () => Promise<unknown>,
): Promise<Alert> {
  const isWanted = (one: Alert): boolean =>
    one.labels['alertname'] === alert &&
    Object.entries(labels).every(([name, value]) => one.labels[name] === value);
  let found: Alert | undefined;
  await vi.waitUntil(
    async () => {
      await makeCalls();
      found = (await prometheus.firing()).find(isWanted);
      return found;
    },
    { timeout: 300_000, interval: 200 },
  );
  return defined(found);
}

const failing = (call: Promise<unknown>) =>
  call.then(
    () => {},
    () => {},
  );

/** What somebody found who followed the runbook. */
async function found(alert: Alert) {
  const steps = await look(alert, addresses());
  expect(steps.length).toBeGreaterThan(0);
  expect(steps.length).toBeLessThanOrEqual(3);
  return { steps, text: steps.map(({ stdout }) => stdout).join('\n') };
}

describe.runIf(hasPrometheus)('From its alert', () => {
  beforeAll(startAll);
  afterAll(async () => {
    await prometheus?.stop();
    for (const one of replicas ?? []) await end(one);
    await database?.close();
  });

  test('a charge whose reservation had expired is found', async () => {
    const accountId = await openAccount('expired', 100n);
    const { reservationId } = await reserve(accountId, 1n);
    const labels = { scrip_reason: 'RESERVATION_EXPIRED', scrip_plan_id: 'verts' };
    let index = 0;
    const alert = await untilFiring('RefusalsJump', labels, () =>
      failing(
        replica(index++).billing.commit({ ...named(accountId), reservationId, credits: 99n }),
      ),
    );
    const { steps, text } = await found(alert);
    expect(text).toMatch(
      new RegExp(`RESERVATION_EXPIRED .*/Commit +${accountId} +${CALLER} +${reservationId}`),
    );
    expect(steps[1]).toMatchObject({ command: `scrip trace ${reservationId}`, exitCode: 0 });
    expect(text).toMatch(/ RESERVE until .*\n.* EXPIRE /);
  });

  test('a charge for which the credits did not suffice is found', async () => {
    const accountId = await openAccount('poor', 10n);
    const labels = { scrip_reason: 'INSUFFICIENT_CREDITS', scrip_plan_id: 'verts' };
    let index = 0;
    const alert = await untilFiring('RefusalsJump', labels, () =>
      failing(replica(index++).billing.reserve({ ...named(accountId), credits: 20n })),
    );
    const { steps, text } = await found(alert);
    expect(text).toMatch(new RegExp(`INSUFFICIENT_CREDITS .*/Reserve +${accountId} +${CALLER} `));
    expect(text).toContain('20 credits are required, 10 are available: 10 are missing');
    expect(steps.at(-1)).toMatchObject({
      command: `scrip history ${accountId} --last 20`,
      exitCode: 0,
    });
  });

  test('a charge of more than was reserved is found', async () => {
    const accountId = await openAccount('over', 100n);
    const { reservationId } = await reserve(accountId, 3_600n);
    const labels = { scrip_reason: 'EXCEEDS_RESERVATION', scrip_plan_id: 'verts' };
    let index = 0;
    const alert = await untilFiring('RefusalsJump', labels, () =>
      failing(
        replica(index++).billing.commit({ ...named(accountId), reservationId, credits: 17n }),
      ),
    );
    const { steps, text } = await found(alert);
    expect(text).toMatch(
      new RegExp(`EXCEEDS_RESERVATION .* ${accountId} +${CALLER} +${reservationId}`),
    );
    expect(text).toContain(
      'a commit of 17 credits exceeds the 10 that the reservation holds for it',
    );
    expect(steps[1]).toMatchObject({ command: `scrip trace ${reservationId}`, exitCode: 0 });
  });

  test('a job that an overload keeps from being charged is found', async () => {
    const accountId = await openAccount('burst', 1_000n);
    const { reservationId, trace } = await reserve(accountId, 3_600n);
    const commit = () => ({ ...named(accountId), reservationId, credits: 0n, final: false });
    const alert = await untilFiring('Overloaded', { severity: 'page', window: '1h' }, () =>
      Promise.all(
        Array.from({ length: BURST }, () => failing(replica(0).billing.commit(commit(), trace))),
      ),
    );
    const { steps, text } = await found(alert);
    expect(text).toMatch(
      new RegExp(`OVERLOADED +BillingService/Commit .*${CALLER} +.*${trace.traceId}`),
    );
    expect(steps.at(-1)).toMatchObject({ command: `scrip trace ${trace.traceId}`, exitCode: 0 });
    expect(text).toContain(`reservation ${reservationId} of account ${accountId}`);
  });

  test('a charge that fails because the database is gone is found', async () => {
    const accountId = await openAccount('outage', 100n);
    await database.close();
    onTestFinished(() => database.open());
    const call = named(accountId);
    let index = 0;
    const alert = await untilFiring('DatabaseUnavailable', {}, () =>
      failing(replica(index++).billing.charge({ ...call, credits: 1n })),
    );
    const { text } = await found(alert);
    expect(text).toMatch(
      new RegExp(`DATABASE_UNAVAILABLE .* ${accountId} +${CALLER} +${call.requestId}`),
    );
  });
});
