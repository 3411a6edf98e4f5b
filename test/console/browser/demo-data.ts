/**
 * A service with the scenarios of the three seeds, and a studio that has worked for two months: every page has
 * something to show. Its clock stands still at the end.
 */
// Entries have traces then.
import '../../../src/telemetry/sdk.ts';
import { randomUUID } from 'node:crypto';
import { inject } from 'vitest';
import { asposeCloud } from '../../../src/demo/aspose-cloud.ts';
import { perfectparser } from '../../../src/demo/perfectparser.ts';
import { Tenant } from '../../../src/demo/tenant.ts';
import { verts } from '../../../src/demo/verts.ts';
import { Grant_Category } from '../../../src/gen/billing/v1/ledger.ts';
import type { Usage } from '../../../src/gen/billing/v1/pricing.ts';
import { mapOf } from '../../../src/map-of.ts';
import { publishAt } from '../../../src/plan-publication.ts';
import type { Operation, PlanFile, RateCard } from '../../../src/pricing/plan.ts';
import { DAY, HOUR, MINUTE } from '../../accounts.ts';
import { newTrace } from '../../operator/traced.ts';
import { createDatabase } from '../../postgres.ts';
import { plansOfDeploy, requestId } from '../../service.ts';
import { type SignedInService, startSignedIn } from '../signed-in.ts';

export type DemoService = SignedInService & {
  readonly origin: string;
  /** The accounts of the seeds' scenarios. */
  readonly demo: {
    readonly aspose: string;
    readonly perfectparser: string;
    readonly verts: string;
  };
  /** A running reservation of the studio. */
  readonly runningId: string;
  /** A reservation of the studio that was committed in parts. */
  readonly jobId: string;
  readonly jobReference: string;
  readonly jobTraceId: string;
};

export const STUDIO = 'studio-north';
const DAYS = 62;

/** Ann does everything; Rita reads. */
const RULES = `
  - { id: staff:ann, roles: [product-service, support, billing-admin, observer, operator] }
  - { id: staff:rita, roles: [observer] }
  - { id: staff:sam, roles: [support] }
`;

const upscale = (factor: bigint, count = 1n): Usage => ({
  operation: 'image.upscale',
  quantities: mapOf({ scale_factor: factor }),
  attributes: new Map(),
  count,
});

const resize = (pixels: bigint, count = 1n): Usage => ({
  operation: 'image.resize',
  quantities: mapOf({ output_pixels: pixels }),
  attributes: new Map(),
  count,
});

const convert = (format: string, count = 1n): Usage => ({
  operation: 'file.convert',
  quantities: new Map(),
  attributes: mapOf({ output_format: format }),
  count,
});

const inspection = (credits: bigint, title = 'File inspection'): Operation => ({
  operation: 'file.inspect',
  title,
  billable: true,
  quantities: new Map(),
  attributes: new Map(),
  components: [{ kind: 'flat', label: title, credits }],
});

const withOperations = ({ version, operations }: RateCard, ...others: Operation[]): RateCard => {
  const all = [...operations.values(), ...others];
  const byName = new Map(all.map((one) => [one.operation, one]));
  return { version, operations: new Map([...byName].toSorted(([a], [b]) => (a < b ? -1 : 1))) };
};

/** Of the plan verts: inspection cost 2, and there was a watermark. */
async function formerPlans(): Promise<readonly PlanFile[]> {
  const watermark = { ...inspection(3n, 'Watermark'), operation: 'image.watermark' };
  return (await plansOfDeploy()).map((plan) =>
    plan.planId === 'verts'
      ? { ...plan, rateCard: withOperations(plan.rateCard, inspection(2n), watermark) }
      : plan,
  );
}

/** The deployed plans; inspection becomes free later. */
async function presentPlans(from: number): Promise<readonly PlanFile[]> {
  const free = { ...inspection(0n), billable: false, components: [] };
  return (await plansOfDeploy()).map((plan) =>
    plan.planId === 'verts'
      ? { ...plan, changes: [{ from, rateCard: withOperations(plan.rateCard, free) }] }
      : plan,
  );
}

export async function startDemo(): Promise<DemoService> {
  const databaseUrl = await createDatabase(inject('postgresUrl'));
  const now = Date.now();
  const begin = now - DAYS * DAY;
  await publishAt(databaseUrl, await formerPlans(), begin - DAY);
  await publishAt(databaseUrl, await presentPlans(now + 12 * DAY), begin);
  const scrip = await startSignedIn(RULES, {
    databaseUrl,
    frozenAt: begin,
    publishesNothing: true,
    env: {
      ADMIN_PORT: '0',
      TRACE_URL_TEMPLATE: 'https://traces.example.org/{trace_id}?span={span_id}',
      // Nothing listens there, and deliveries are given up at once.
      EVENTS_WEBHOOK_URL: 'http://127.0.0.1:9/',
      EVENTS_WEBHOOK_SECRET: `whsec_${Buffer.alloc(32).toString('base64')}`,
      EVENTS_WEBHOOK_ATTEMPTS_MAX: '1',
      EVENTS_WEBHOOK_BACKOFF_MS: '10',
    },
  });
  const studio = await workOfStudio(scrip, begin, now);
  scrip.setNow(now);
  const demo = {
    aspose: await scenario(scrip, 'aspose-cloud', asposeCloud),
    perfectparser: await scenario(scrip, 'perfectparser', perfectparser),
    verts: await scenario(scrip, 'verts', verts),
  };
  await scrip.service.readGauges();
  return { ...scrip, ...studio, demo, origin: `http://localhost:${scrip.service.adminPort}` };
}

async function scenario(
  scrip: SignedInService,
  planId: string,
  run: (tenant: Tenant) => Promise<void>,
): Promise<string> {
  const tenant = new Tenant(scrip, planId);
  await run(tenant);
  return tenant.accountId;
}

/** Two months of jobs, with a pack, a promotion that expires, a refund, and jobs that still run. */
async function workOfStudio(scrip: SignedInService, begin: number, now: number) {
  const { accounts, billing } = scrip;
  const named = () => ({ accountId: STUDIO, requestId: requestId() });
  const buy = (packId: string) =>
    billing.purchase({
      ...named(),
      packId,
      payment: { $case: 'paymentReference', value: `INV-${packId}-${randomUUID().slice(0, 6)}` },
    });
  await accounts.openAccount({
    ...named(),
    planId: 'verts',
    displayName: 'Studio North',
    labels: mapOf({ team: 'media', tier: 'gold' }),
  });
  await buy('standard');
  await accounts.grantCredits({
    ...named(),
    credits: 9_000n,
    category: Grant_Category.PROMOTIONAL,
    expiresAt: new Date(begin + 70 * DAY),
    reason: 'Launch offer, campaign 12',
    reference: 'campaign-12',
  });
  for (let day = 0; day < DAYS - 2; day += 1) {
    scrip.setNow(begin + day * DAY + 9 * HOUR);
    const busy = BigInt(1 + ((day * 7) % 5));
    const usages = {
      items: [upscale(4n, busy), resize(3_000_000n, busy * 2n), convert('pdf', busy)],
    };
    const job = { reference: `job-${4_000 + day}`, labels: mapOf({ batch: `day-${day}` }) };
    await billing.charge({ ...named(), ...job, usages });
    if (day === 20 || day === 41) await buy('standard');
    if (day === 33)
      await accounts.grantCredits({
        ...named(),
        credits: 200n,
        category: Grant_Category.ADJUSTMENT,
        reason: 'Sorry for the outage of Tuesday, ticket 1807',
      });
  }
  const job = await longJob(scrip, now);
  scrip.setNow(now - 2 * HOUR);
  const stuck = await billing.reserve({
    ...named(),
    usages: { items: [upscale(16n, 6n)] },
    ttl: { seconds: 86_400n, nanos: 0 },
    reference: 'job-4990',
  });
  scrip.setNow(now - 4 * MINUTE);
  await billing.reserve({
    ...named(),
    usages: { items: [upscale(8n, 2n)] },
    reference: 'job-4991',
  });
  return { ...job, runningId: stuck.reservation?.reservationId ?? '' };
}

/** A job of the day before: reserved, committed in two parts, and one part refunded. */
async function longJob(scrip: SignedInService, now: number) {
  const { billing } = scrip;
  const jobReference = 'job-4711';
  const trace = newTrace();
  const named = () => ({ accountId: STUDIO, requestId: requestId() });
  scrip.setNow(now - 26 * HOUR);
  const { reservation } = await billing.reserve(
    {
      ...named(),
      usages: { items: [upscale(16n, 4n), convert('mp4', 2n)] },
      reference: jobReference,
      labels: mapOf({ film: 'north-lights' }),
    },
    trace,
  );
  const jobId = reservation?.reservationId ?? '';
  scrip.advance(42_000);
  await billing.commit(
    {
      ...named(),
      reservationId: jobId,
      usages: { items: [upscale(16n, 3n)] },
      final: false,
    },
    trace,
  );
  scrip.advance(71_000);
  const last = await billing.commit(
    {
      ...named(),
      reservationId: jobId,
      usages: { items: [convert('mp4', 2n)] },
    },
    trace,
  );
  scrip.advance(3 * HOUR);
  await billing.refund({
    ...named(),
    seq: last.entrySeq,
    credits: 10n,
    reason: 'The second film was cut short, ticket 1822',
  });
  return { jobId, jobReference, jobTraceId: trace.traceId };
}
