/**
 * Metrics of a real process, as Prometheus and as a collector get them: every metric of the table after a small
 * workload and no other, with the attributes that are declared and no others, and counts that agree with what was done.
 */
import { Client, credentials } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, inject, test, vi } from 'vitest';
import { ErrorReason } from '../../src/gen/billing/v1/error_reason.ts';
import { Grant_Category } from '../../src/gen/billing/v1/ledger.ts';
import {
  METRIC_ATTRIBUTES,
  METRICS,
  type Metric,
  type MetricAttribute,
} from '../../src/telemetry/metrics.ts';
import { prometheusName, toLabel } from '../../src/telemetry/prometheus-names.ts';
import { buyByCheckout } from '../payments/given.ts';
import { StripeFake } from '../payments/stripe-fake.ts';
import { createDatabase, execute } from '../postgres.ts';
import { MetricsCollector } from '../telemetry/metrics-collector.ts';
import { parseMetrics, type Sample, sumOf } from '../telemetry/prometheus-text.ts';
import { end, type Replica, startProgram, startReplica } from './replica.ts';

const table: readonly (readonly [string, Metric])[] = Object.entries(METRICS);
const attributeTable: Readonly<Record<string, MetricAttribute>> = METRIC_ATTRIBUTES;

const collector = new MetricsCollector();
const stripe = new StripeFake();
let scrip: Replica;
let adminUrl: string;
let samples: readonly Sample[];

const scrape = async () => parseMetrics(await (await fetch(`${adminUrl}/metrics`)).text());

/** Account ids and request ids of the workload: no metric may show one. */
const secrets = ['account-of-the-test', 'request-of-the-test', 'caller-of-the-test'];
const [accountId, requestId] = secrets as [string, string];

async function callUnknownMethod() {
  const client = new Client(`127.0.0.1:${scrip.port}`, credentials.createInsecure());
  const { promise, resolve } = Promise.withResolvers<unknown>();
  const bytes = (buffer: Buffer) => buffer;
  client.makeUnaryRequest('/no.such.Service/Method', bytes, bytes, Buffer.alloc(0), resolve);
  expect(await promise).toMatchObject({ code: 12 });
  client.close();
}

async function work() {
  const { accounts, billing } = scrip;
  const refused = (call: Promise<unknown>) => expect(call).rejects.toThrow();
  await accounts.openAccount({ accountId, requestId, planId: 'verts' });
  const grant = { category: Grant_Category.PAID, reason: 'test' };
  await accounts.grantCredits({ accountId, requestId, credits: 1_000n, ...grant });
  const usages = { items: [{ operation: 'file.inspect', count: 7n }] };
  await billing.charge({ accountId, requestId, usages });
  // The same request again, and other content under its id.
  await billing.charge({ accountId, requestId, usages });
  await refused(billing.charge({ accountId, requestId, credits: 3n }));
  await refused(billing.charge({ accountId, requestId: `${requestId}-2`, credits: 10_000n }));
  await refused(billing.getBalance({ accountId: `${accountId}-2` }));
  const charge = (id: string, credits: bigint) => ({
    mutation: {
      $case: 'charge' as const,
      value: { accountId, requestId: `${requestId}-${id}`, credits },
    },
  });
  await billing.batch({ mutations: [charge('b1', 5n), charge('b2', 10_000n)] });
  await billing.reserve({ accountId, requestId: `${requestId}-r`, credits: 20n });
  await reserveInShadow(`${accountId}-shadow`);
  await callUnknownMethod();
  await buyByCheckout(scrip, accountId);
}

/** It has no credits: it would have been refused. */
async function reserveInShadow(accountId: string) {
  const { accounts, billing } = scrip;
  await accounts.openAccount({ accountId, requestId, planId: 'verts' });
  await accounts.setShadowMode({ accountId, requestId, enabled: true, reason: 'test' });
  await billing.reserve({ accountId, requestId, credits: 20n });
}

/** As `scrip archive` records a file; there is none, and so it is recorded after the audit. */
const ARCHIVED = `
  insert into archive_files (name, month, part, first_account, last_account, entries, bytes, sha256, finished_at)
  values ('a file', '2025-11', 1, '', '', 7, 700, '', '2026-01-01')`;

async function audit(databaseUrl: string) {
  const program = startProgram(['src/verify/main.ts'], { DATABASE_URL: databaseUrl });
  expect(await program.ended).toMatchObject({ code: 0, stderr: '' });
}

beforeAll(async () => {
  const databaseUrl = await createDatabase(inject('postgresUrl'));
  await stripe.start();
  scrip = await startReplica({
    ...stripe.env,
    DATABASE_URL: databaseUrl,
    LEDGER_GAUGES_INTERVAL_MS: '50',
    OTEL_EXPORTER_OTLP_ENDPOINT: await collector.start(),
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    // Metrics alone.
    OTEL_TRACES_EXPORTER: 'none',
    OTEL_LOGS_EXPORTER: 'none',
  });
  adminUrl = `http://127.0.0.1:${scrip.adminPort}`;
  await work();
  await audit(databaseUrl);
  await execute(databaseUrl, ARCHIVED);
  await vi.waitUntil(
    async () => {
      samples = await scrape();
      return samples.some(({ name }) => name === 'scrip_archive_last_finished_seconds');
    },
    { timeout: 60_000 },
  );
});
afterAll(async () => {
  await end(scrip);
  collector.stop();
  await stripe.stop();
});

/** The metric of a sample: a histogram has three names. */
const familyOf = (name: string): string => {
  const histogram = name.replace(/_(bucket|sum|count)$/, '');
  const isHistogram = table.some(
    ([own, metric]) => metric.kind === 'histogram' && prometheusName(own, metric) === histogram,
  );
  return isHistogram ? histogram : name;
};

/** A service that has one cell does not name it. */
const shownAttributes = ({ attributes }: Metric) =>
  attributes.filter((attribute) => attribute !== 'scrip.cell');

describe('Prometheus gets', () => {
  test('every metric of the table, and no other', () => {
    const names = new Set(samples.map(({ name }) => familyOf(name)));
    names.delete('target_info');
    const expected = table.map(([name, metric]) => prometheusName(name, metric));
    expect([...names].toSorted()).toEqual(expected.toSorted());
  });

  test.each(table)('%s with the labels that are declared', (name, metric) => {
    const own = samples.filter((sample) => familyOf(sample.name) === prometheusName(name, metric));
    const expected = shownAttributes(metric).map(toLabel).toSorted();
    for (const { name: sample, labels } of own) {
      const { le, ...others } = labels;
      expect(le !== undefined).toBe(sample.endsWith('_bucket'));
      expect(Object.keys(others).toSorted()).toEqual(expected);
      for (const attribute of shownAttributes(metric)) {
        const values = attributeTable[attribute]?.values;
        if (values) expect(values).toContain(labels[toLabel(attribute)]);
      }
    }
  });

  test('no account, request or caller', () => {
    for (const { labels } of samples)
      for (const value of Object.values(labels))
        for (const secret of secrets) expect(value).not.toContain(secret);
  });

  test('reasons of the contract, and methods that there are', () => {
    const refusals = samples.filter(({ name }) => name === 'scrip_refusals_total');
    expect(refusals.length).toBeGreaterThan(3);
    for (const { labels } of refusals) {
      expect(Object.keys(ErrorReason)).toContain(labels['scrip_reason']);
      expect(labels['rpc_method']).toMatch(/^(billing\.v1\.\w+\/\w+|_OTHER)$/);
    }
  });
});

describe('counts agree with what was done:', () => {
  const method = (name: string) => ({ rpc_method: `billing.v1.BillingService/${name}` });
  const calls = (name: string, status: string) =>
    sumOf(samples, 'rpc_server_call_duration_seconds_count', {
      ...method(name),
      rpc_status_code: status,
    });
  const refusals = (name: string, reason: string) =>
    sumOf(samples, 'scrip_refusals_total', { ...method(name), scrip_reason: reason });

  test('calls, by their method and status', () => {
    expect(calls('Charge', 'OK')).toBe(2);
    expect(calls('Charge', 'INVALID_ARGUMENT')).toBe(1);
    expect(calls('Charge', 'FAILED_PRECONDITION')).toBe(1);
    expect(calls('Batch', 'OK')).toBe(1);
    expect(calls('GetBalance', 'NOT_FOUND')).toBe(1);
    const unknown = { rpc_method: '_OTHER', rpc_status_code: 'UNIMPLEMENTED' };
    expect(sumOf(samples, 'rpc_server_call_duration_seconds_count', unknown)).toBe(1);
  });

  test('refusals, those inside of a Batch included', () => {
    expect(refusals('Charge', 'REQUEST_ID_REUSED')).toBe(1);
    expect(refusals('Charge', 'INSUFFICIENT_CREDITS')).toBe(1);
    expect(refusals('Batch', 'INSUFFICIENT_CREDITS')).toBe(1);
    expect(refusals('GetBalance', 'ACCOUNT_NOT_FOUND')).toBe(1);
    const ofPlan = { scrip_reason: 'INSUFFICIENT_CREDITS', scrip_plan_id: 'verts' };
    expect(sumOf(samples, 'scrip_refusals_total', ofPlan)).toBe(2);
  });

  test('replays', () => {
    expect(sumOf(samples, 'scrip_replays_total', method('Charge'))).toBe(1);
    expect(sumOf(samples, 'scrip_replays_total')).toBe(1);
  });

  test('credits, by kind and operation', () => {
    const credits = (kind: string, operation: string) =>
      sumOf(samples, 'scrip_credits_total', {
        scrip_entry_kind: kind,
        scrip_operation: operation,
        scrip_plan_id: 'verts',
      });
    expect(credits('GRANT', '')).toBe(1_000);
    expect(credits('CHARGE', 'file.inspect')).toBe(7);
    expect(credits('CHARGE', '')).toBe(5);
    expect(credits('RESERVE', '')).toBe(20);
  });

  test('the reservation that runs, and the purchase that is pending', () => {
    expect(sumOf(samples, 'scrip_reservations_active')).toBe(1);
    expect(sumOf(samples, 'scrip_reservations_oldest_age_seconds')).toBeGreaterThan(0);
    expect(sumOf(samples, 'scrip_purchases_pending')).toBe(1);
  });

  test('what would have been refused in shadow mode', () => {
    const labels = { scrip_reason: 'INSUFFICIENT_CREDITS' };
    expect(sumOf(samples, 'scrip_shadow_decisions_total', labels)).toBe(1);
  });

  test('the audit', () => {
    expect(sumOf(samples, 'scrip_verify_disagreements')).toBe(0);
    expect(sumOf(samples, 'scrip_verify_last_success_seconds')).toBeGreaterThan(1.7e9);
  });

  test('the archive', () => {
    expect(sumOf(samples, 'scrip_archive_entries')).toBe(7);
    expect(sumOf(samples, 'scrip_archive_size_bytes')).toBe(700);
    expect(sumOf(samples, 'scrip_archive_unfinished')).toBe(0);
    expect(sumOf(samples, 'scrip_archive_last_finished_seconds')).toBe(
      Date.parse('2026-01-01T00:00:00Z') / 1_000,
    );
    expect(sumOf(samples, 'scrip_archive_month_age_seconds')).toBeGreaterThan(0);
  });

  test('the request to the payment provider', () => {
    const opened = {
      http_request_method: 'POST',
      url_template: '/v1/checkout/sessions',
      scrip_outcome: 'ok',
    };
    expect(sumOf(samples, 'scrip_provider_duration_seconds_count', opened)).toBe(1);
  });

  test('a mutation waits in the queue of its lane once, and a Batch as often as it has mutations', () => {
    // Opening, granting, 4 charges, 2 in a Batch, a reservation, a purchase; 3 of the account in shadow mode.
    expect(sumOf(samples, 'scrip_lane_wait_seconds_count')).toBe(13);
  });

  test('units of work have the same number of each phase', () => {
    const units = sumOf(samples, 'scrip_unit_size_count');
    expect(units).toBeGreaterThan(5);
    for (const phase of METRIC_ATTRIBUTES['scrip.unit.phase'].values) {
      const labels = { scrip_unit_phase: phase };
      expect(sumOf(samples, 'scrip_unit_duration_seconds_count', labels)).toBe(units);
    }
  });
});

test('a collector gets the same metrics, and those that were measured last', async () => {
  expect((await scrip.signal('SIGTERM')).code).toBe(0);
  const received = new Set(collector.points.map(({ name }) => name));
  expect([...received].toSorted()).toEqual(table.map(([name]) => name).toSorted());
  for (const { name, unit, attributes } of collector.points) {
    const metric: Metric = METRICS[name as keyof typeof METRICS];
    expect(unit).toBe(metric.unit);
    expect(Object.keys(attributes).toSorted(), name).toEqual(shownAttributes(metric).toSorted());
  }
  const charges = collector.points.filter(
    ({ name, attributes }) =>
      name === 'rpc.server.call.duration' &&
      attributes['rpc.method'] === 'billing.v1.BillingService/Charge',
  );
  expect(charges.reduce((sum, { value }) => sum + value, 0)).toBe(4);
});
