import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mapOf } from '../../src/map-of.ts';
import {
  balanceOf,
  grant,
  HOUR,
  INSPECT,
  openWithCredits,
  reserveCredits,
  storedRows,
  UPSCALE,
} from '../accounts.ts';
import { EVERYTHING, planIn } from '../pricing/fixtures.ts';
import { errorOf } from '../rpc-error.ts';
import { plansOfDeploy, requestId, startTestService, type TestService } from '../service.ts';

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService({ plans: [...(await plansOfDeploy()), planIn(EVERYTHING)] });
});
afterAll(() => scrip.stop());

const MAX = 9_223_372_036_854_775_807n;

describe('Estimate', () => {
  test('prices usages line by line, in their order, with the components of each price', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const usages = {
      items: [
        { ...UPSCALE, count: 3n },
        { operation: 'file.convert', attributes: mapOf({ output_format: 'pdf' }) },
        INSPECT,
      ],
    };
    expect(await scrip.billing.estimate({ accountId, usages })).toEqual({
      lines: [
        {
          usage: { ...UPSCALE, count: 3n },
          unitCredits: 10n,
          credits: 30n,
          billable: true,
          components: [{ label: 'Scale factor', credits: 10n }],
        },
        {
          usage: {
            operation: 'file.convert',
            quantities: new Map(),
            attributes: mapOf({ output_format: 'pdf' }),
            count: 1n,
          },
          unitCredits: 6n,
          credits: 6n,
          billable: true,
          components: [{ label: 'Output format', credits: 6n }],
        },
        {
          usage: INSPECT,
          unitCredits: 1n,
          credits: 1n,
          billable: true,
          components: [{ label: 'File inspection', credits: 1n }],
        },
      ],
      credits: 37n,
      rateCardVersion: 1n,
      available: 100n,
      sufficient: true,
      shortfall: 0n,
      packs: [],
    });
  });

  test('fills in the defaults of quantities, attributes and counts', async () => {
    const accountId = await scrip.open('everything');
    const usages = {
      items: [
        { operation: 'job.tier' },
        { operation: 'job.format', attributes: mapOf({ quality: 'final' }) },
      ],
    };
    const { lines } = await scrip.billing.estimate({ accountId, usages });
    expect(lines.map(({ usage, credits }) => ({ usage, credits }))).toEqual([
      {
        usage: {
          operation: 'job.tier',
          quantities: mapOf({ size: 10n }),
          attributes: new Map(),
          count: 1n,
        },
        credits: 0n,
      },
      {
        usage: {
          operation: 'job.format',
          quantities: new Map(),
          attributes: mapOf({ format: 'png', quality: 'final' }),
          count: 1n,
        },
        credits: 3n,
      },
    ]);
  });

  test('shows operations that cost nothing as not billable', async () => {
    const accountId = await scrip.open('everything');
    const { lines, credits } = await scrip.billing.estimate({
      accountId,
      usages: { items: [{ operation: 'job.free' }] },
    });
    expect([credits, lines[0]?.billable, lines[0]?.components]).toEqual([0n, false, []]);
  });

  test('is sufficient if the available credits equal the price', async () => {
    const accountId = await openWithCredits(scrip, 10n);
    expect(await scrip.billing.estimate({ accountId, usages: { items: [UPSCALE] } })).toMatchObject(
      {
        sufficient: true,
        shortfall: 0n,
        packs: [],
      },
    );
  });

  test('returns the shortfall and the packs that cover it, cheapest first', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const usages = { items: [{ ...INSPECT, count: 1_600n }] };
    const estimate = await scrip.billing.estimate({ accountId, usages });
    expect(estimate).toMatchObject({ available: 100n, sufficient: false, shortfall: 1_500n });
    expect(
      estimate.packs.map(({ pack, quantity, price }) => [pack?.packId, quantity, price?.amount]),
    ).toEqual([
      ['starter', 2n, '10.00'],
      ['standard', 1n, '20.00'],
      ['professional', 1n, '75.00'],
      ['enterprise', 1n, '250.00'],
    ]);
    expect(estimate.packs[0]?.pack).toEqual({
      packId: 'starter',
      title: 'Starter',
      credits: 1_000n,
      price: { currency: 'USD', amount: '5.00' },
      validity: undefined,
    });
  });

  test('includes the rest of the overage limit on a postpaid plan', async () => {
    const accountId = await scrip.open('everything');
    const usages = { items: [{ operation: 'job.flat' }] };
    // 30 welcome credits, an allowance of 50, and 10,000 of overage.
    expect((await scrip.billing.estimate({ accountId, usages })).available).toBe(10_080n);
    await scrip.billing.charge({ accountId, requestId: requestId(), credits: 1_080n });
    expect((await scrip.billing.estimate({ accountId, usages })).available).toBe(9_000n);
  });

  test('excludes reserved credits and grants that are scheduled or expired', async () => {
    const accountId = await openWithCredits(scrip, 50n);
    await grant(scrip, accountId, 500n, { effectiveAt: new Date(scrip.now() + HOUR) });
    await grant(scrip, accountId, 100n, { expiresAt: new Date(scrip.now() + HOUR / 2) });
    await reserveCredits(scrip, accountId, 30n);
    const available = async () =>
      (await scrip.billing.estimate({ accountId, usages: { items: [INSPECT] } })).available;
    expect(await available()).toBe(120n);
    scrip.advance(HOUR / 2); // The reservation of 15 minutes is over too: nothing was swept.
    expect(await available()).toBe(50n);
    scrip.advance(HOUR / 2);
    expect(await available()).toBe(550n);
  });

  test('writes nothing', async () => {
    const accountId = await openWithCredits(scrip, 10n);
    const [rows, { asOf: _, ...before }] = [
      await storedRows(scrip, accountId),
      await balanceOf(scrip, accountId),
    ];
    await scrip.billing.estimate({ accountId, usages: { items: [UPSCALE] } });
    expect(await storedRows(scrip, accountId)).toBe(rows);
    expect(await balanceOf(scrip, accountId)).toMatchObject(before);
  });

  test('is not sufficient on a closed account', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    await scrip.accounts.closeAccount({ accountId, requestId: requestId() });
    const error = await errorOf(
      scrip.billing.reserve({ accountId, requestId: requestId(), usages: { items: [INSPECT] } }),
    );
    expect(error.reason).toBe('ACCOUNT_CLOSED');
    const { sufficient } = await scrip.billing.estimate({
      accountId,
      usages: { items: [INSPECT] },
    });
    expect(sufficient).toBe(false);
  });

  test('accepts 0 to 1,000 usages', async () => {
    const accountId = await scrip.open('verts');
    const estimate = (count: number) =>
      scrip.billing.estimate({ accountId, usages: { items: Array(count).fill(INSPECT) } });
    expect((await estimate(1_000)).credits).toBe(1_000n);
    expect((await estimate(0)).credits).toBe(0n);
    expect((await errorOf(estimate(1_001))).fields).toEqual(['usages.items']);
    expect((await errorOf(scrip.billing.estimate({ accountId }))).fields).toEqual(['usages']);
  });

  test('prices quantities up to the largest int64', async () => {
    const accountId = await scrip.open('verts');
    const estimate = (items: { operation: string; count?: bigint | undefined }[]) =>
      scrip.billing.estimate({ accountId, usages: { items } });
    expect(await estimate([{ operation: 'file.inspect', count: MAX }])).toMatchObject({
      credits: MAX,
      shortfall: MAX,
    });
    expect(await errorOf(estimate([{ ...UPSCALE, count: MAX }]))).toMatchObject({
      reason: 'INVALID_FIELD',
      fields: ['usages.items[0].count'],
    });
    expect(await errorOf(estimate([{ ...INSPECT, count: MAX }, INSPECT]))).toMatchObject({
      reason: 'INVALID_FIELD',
      fields: ['usages.items'],
    });
    expect(await errorOf(estimate([{ ...INSPECT, count: -1n }]))).toMatchObject({
      reason: 'INVALID_FIELD',
      fields: ['usages.items[0].count'],
    });
  });
});

describe('A usage that cannot be priced fails with the path of its field', () => {
  const convert = (attributes: Record<string, string>) => ({
    operation: 'file.convert',
    attributes: mapOf(attributes),
  });
  const upscale = (quantities: Record<string, bigint>) => ({
    operation: 'image.upscale',
    quantities: mapOf(quantities),
  });
  test.each([
    ['an unknown operation', { operation: 'file.print' }, 'UNKNOWN_OPERATION', '.operation'],
    ['no operation', { operation: '' }, 'INVALID_FIELD', '.operation'],
    ['a control character', { operation: 'a\u0000b' }, 'INVALID_FIELD', '.operation'],
    ['a missing quantity', upscale({}), 'MISSING_QUANTITY', '.quantities["scale_factor"]'],
    [
      'a quantity below its minimum',
      upscale({ scale_factor: 1n }),
      'QUANTITY_OUT_OF_RANGE',
      '.quantities["scale_factor"]',
    ],
    [
      'a quantity above its maximum',
      upscale({ scale_factor: MAX }),
      'QUANTITY_OUT_OF_RANGE',
      '.quantities["scale_factor"]',
    ],
    [
      'a negative quantity',
      upscale({ scale_factor: -MAX }),
      'QUANTITY_OUT_OF_RANGE',
      '.quantities["scale_factor"]',
    ],
    ['an unknown quantity', upscale({ pages: 1n }), 'INVALID_FIELD', '.quantities["pages"]'],
    ['a missing attribute', convert({}), 'INVALID_FIELD', '.attributes["output_format"]'],
    [
      'a format without a price',
      convert({ output_format: 'exe' }),
      'INVALID_FIELD',
      '.attributes["output_format"]',
    ],
    ['an unknown attribute', convert({ dpi: '300' }), 'INVALID_FIELD', '.attributes["dpi"]'],
  ])('%s', async (_, usage, reason, path) => {
    const accountId = await scrip.open('verts');
    expect(
      await errorOf(scrip.billing.estimate({ accountId, usages: { items: [INSPECT, usage] } })),
    ).toMatchObject({ code: status.INVALID_ARGUMENT, reason, fields: [`usages.items[1]${path}`] });
  });

  test('text that PostgreSQL cannot store fails with INVALID_FIELD', async () => {
    const accountId = await scrip.open('everything');
    const usages = {
      items: [
        { operation: 'job.format', attributes: mapOf({ format: 'a\u0000b', quality: 'draft' }) },
      ],
    };
    expect(
      await errorOf(scrip.billing.charge({ accountId, requestId: requestId(), usages })),
    ).toMatchObject({ reason: 'INVALID_FIELD', fields: ['usages.items[0].attributes["format"]'] });
  });
});
