/** Calls that are refused before they are decoded are counted as well. */
import { expect, test } from 'vitest';
import type { ScripError } from '../../src/client.ts';
import { startPoliced } from '../authorization/policed-service.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService } from '../service.ts';
import { parseMetrics, sumOf } from '../telemetry/prometheus-text.ts';

const CHARGE = 'billing.v1.BillingService/Charge';

const scrape = async ({ adminPort }: { readonly adminPort: number | null }) =>
  parseMetrics(await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text());

test('those of an overload: as many as the callers were told of', async () => {
  const scrip = await startTestService({ env: { ADMIN_PORT: '0', QUEUE_MAX: '1' } });
  const accountId = await scrip.open('verts');
  const calls = Array.from({ length: 100 }, () =>
    scrip.billing.charge({ accountId, requestId: requestId(), credits: 1n }).then(
      () => 'OK',
      (error: ScripError) => error.reason,
    ),
  );
  const told = (await Promise.all(calls)).filter((reason) => reason === 'OVERLOADED').length;
  expect(told).toBeGreaterThan(0);
  const samples = await scrape(scrip.service);
  const labels = { rpc_method: CHARGE, scrip_reason: 'OVERLOADED' };
  expect(sumOf(samples, 'scrip_refusals_total', labels)).toBe(told);
  const refused = { rpc_method: CHARGE, rpc_status_code: 'RESOURCE_EXHAUSTED' };
  expect(sumOf(samples, 'rpc_server_call_duration_seconds_count', refused)).toBe(told);
  await scrip.stop();
});

test('those that the policy denies', async () => {
  const scrip = await startPoliced('  - { id: header:reader, roles: [observer] }', {
    env: { ADMIN_PORT: '0' },
  });
  const call = scrip
    .as('reader')
    .billing.charge({ accountId: 'a', requestId: requestId(), credits: 1n });
  expect(await errorOf(call)).toMatchObject({ reason: 'CALLER_NOT_ALLOWED' });
  const labels = { rpc_method: CHARGE, scrip_reason: 'CALLER_NOT_ALLOWED', scrip_plan_id: '' };
  expect(sumOf(await scrape(scrip.service), 'scrip_refusals_total', labels)).toBe(1);
  await scrip.stop();
});
