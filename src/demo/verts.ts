/** Verts: each operation at the limits of its range, asynchronous jobs, failing jobs, a low balance and a pause. */

import { Criticality } from '../gen/billing/v1/ledger.ts';
import { mapOf } from '../map-of.ts';
import type { UsageOf } from './step.ts';
import type { Tenant } from './tenant.ts';

export async function verts(tenant: Tenant) {
  await tenant.open({ credits: 0n, available: 0n, lowBalance: true }, 'no free credits');
  await tenant.buy(
    'standard',
    '20.00 USD',
    { credits: 5000n, available: 5000n, lowBalance: false },
    'pack Standard; no low balance warning',
  );
  await rangeLimits(tenant);
  await jobs(tenant);
  await lowBalance(tenant);
}

async function rangeLimits(tenant: Tenant) {
  const steps: readonly (readonly [UsageOf, bigint, string])[] = [
    [{ operation: 'file.inspect' }, 1n, 'inspection: always 1'],
    [resize(1n), 2n, 'the smallest output'],
    [resize(100_000_000n), 5n, 'the largest output, 100 megapixels'],
    [upscale(2n), 10n, 'the lowest scale factor, 2'],
    [upscale(16n), 50n, 'the highest scale factor, 16'],
    [convert('txt'), 2n, 'the cheapest format, txt'],
    [convert('mp4'), 10n, 'the dearest format, mp4'],
  ];
  let available = 5000n;
  for (const [usage, credits, note] of steps) {
    available -= credits;
    await tenant.charge(usage, { credits, available }, note);
  }
}

async function jobs(tenant: Tenant) {
  const done = await tenant.reserve(
    upscale(8n),
    { credits: 35n, available: 4885n, reserved: 35n },
    'async job submitted: credits are held',
  );
  await tenant.commit(
    done,
    { credits: 35n, available: 4885n },
    'job succeeded: credits are committed',
  );

  await tenant.estimate(
    upscale(16n),
    { credits: 50n, available: 4885n, shortfall: 0n },
    'job failed before processing: nothing was reserved',
  );
  const failed = await tenant.reserve(
    upscale(16n),
    { credits: 50n, available: 4835n, reserved: 50n },
    'async job submitted',
  );
  await tenant.release(
    failed,
    { credits: 50n, available: 4885n },
    'job failed during processing: all of it back',
  );
  await tenant.expectRefusal(
    upscale(64n),
    'QUANTITY_OUT_OF_RANGE',
    { quantity: 'scale_factor' },
    { available: 4885n },
    'invalid input (scale factor 64): QUANTITY_OUT_OF_RANGE',
  );
}

async function lowBalance(tenant: Tenant) {
  await tenant.charge(
    { ...upscale(16n), count: 87n },
    { credits: 4350n, available: 535n, lowBalance: false },
    'still above the threshold of 500',
  );
  await tenant.charge(
    upscale(16n),
    { credits: 50n, available: 485n, lowBalance: true },
    'below 500: the low balance warning is on',
  );
  await tenant.expectEvent(
    'balance.low',
    { level: '500', usable: '485' },
    { available: 485n },
    'and an event tells those who follow',
  );
  await pause(tenant);
}

async function pause(tenant: Tenant) {
  await tenant.pauseBelow(
    490n,
    { available: 485n },
    'sheddable work is paused while less than 490 credits are available',
  );
  await tenant.expectRefusal(
    upscale(2n),
    'PAUSED_BELOW_FLOOR',
    { available: '485', floor: '490' },
    { available: 485n, criticality: Criticality.SHEDDABLE },
    'sheddable job: PAUSED_BELOW_FLOOR',
  );
  await tenant.charge(
    upscale(2n),
    { credits: 10n, available: 475n, lowBalance: true },
    'critical job: goes on',
  );
}

const resize = (outputPixels: bigint): UsageOf => ({
  operation: 'image.resize',
  quantities: mapOf({ output_pixels: outputPixels }),
});

const upscale = (scaleFactor: bigint): UsageOf => ({
  operation: 'image.upscale',
  quantities: mapOf({ scale_factor: scaleFactor }),
});

const convert = (outputFormat: string): UsageOf => ({
  operation: 'file.convert',
  attributes: mapOf({ output_format: outputFormat }),
});
