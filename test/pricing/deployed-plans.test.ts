/**
 * Prices of the plans in deploy/plans that the price pages do not show: every step and format, and inputs
 * without a price. The figures of the pages are tested in test/promises.
 */
import { describe, expect, test } from 'vitest';
import { priceUsage } from '../../src/pricing/price.ts';
import type { Usage } from '../../src/pricing/usage.ts';
import { deployedPlan, usage } from './fixtures.ts';

/** Credits, or the reason of the failure. */
function creditsOf(planId: Parameters<typeof deployedPlan>[0], of: Usage): bigint | string {
  const priced = priceUsage(deployedPlan(planId).rateCard, of, 'usages[0]');
  return 'reason' in priced ? priced.reason : priced.credits;
}

describe('aspose-cloud', () => {
  test('no operation has a quantity or attribute', () => {
    for (const operation of deployedPlan('aspose-cloud').rateCard.operations.values()) {
      expect([operation.quantities.size, operation.attributes.size]).toEqual([0, 0]);
    }
  });

  test('an operation that is not listed has no price, not the price 0', () => {
    expect(creditsOf('aspose-cloud', usage('document.print'))).toBe('UNKNOWN_OPERATION');
  });
});

describe('perfectparser', () => {
  const pages = (operation: string, number: bigint, count = 1n) =>
    usage(operation, { pages: number }, {}, count);

  test.each(['extraction.result_per_file', 'extraction.result_per_page', 'parser.sample_upload'])(
    '%s has no price without its pages',
    (operation) => {
      expect(creditsOf('perfectparser', usage(operation))).toBe('MISSING_QUANTITY');
      expect(creditsOf('perfectparser', pages(operation, 0n))).toBe('QUANTITY_OUT_OF_RANGE');
    },
  );

  test('welcome credits never expire', () => {
    expect(deployedPlan('perfectparser').terms.welcome).toEqual({ credits: 20n, validity: null });
  });

  test('every operation of the plan is billable', () => {
    const { operations } = deployedPlan('perfectparser').rateCard;
    expect([...operations.values()].every(({ billable }) => billable)).toBe(true);
    expect(operations.size).toBe(4);
  });
});

describe('verts', () => {
  const resize = (pixels: bigint) => usage('image.resize', { output_pixels: pixels });
  const upscale = (factor: bigint) => usage('image.upscale', { scale_factor: factor });
  const convert = (format: string) => usage('file.convert', {}, { output_format: format });

  test.each([
    [1n, 2n],
    [1_000_000n, 2n],
    [1_000_001n, 3n],
    [4_000_000n, 3n],
    [4_000_001n, 4n],
    [16_000_000n, 4n],
    [16_000_001n, 5n],
    [100_000_000n, 5n],
  ])('a resize to %s pixels costs %s', (pixels, credits) => {
    expect(creditsOf('verts', resize(pixels))).toBe(credits);
  });

  test.each([
    [2n, 10n],
    [3n, 20n],
    [4n, 20n],
    [5n, 35n],
    [8n, 35n],
    [9n, 50n],
    [16n, 50n],
  ])('an upscale by %s costs %s', (factor, credits) => {
    expect(creditsOf('verts', upscale(factor))).toBe(credits);
  });

  test.each([
    ['txt', 2n],
    ['csv', 2n],
    ['json', 2n],
    ['jpg', 2n],
    ['jpeg', 2n],
    ['png', 2n],
    ['bmp', 2n],
    ['gif', 3n],
    ['webp', 3n],
    ['tif', 4n],
    ['tiff', 4n],
    ['svg', 4n],
    ['avif', 5n],
    ['heic', 5n],
    ['html', 5n],
    ['pdf', 6n],
    ['docx', 8n],
    ['xlsx', 8n],
    ['pptx', 8n],
    ['mp3', 8n],
    ['mp4', 10n],
    ['webm', 10n],
  ])('a conversion to %s costs %s', (format, credits) => {
    expect(creditsOf('verts', convert(format))).toBe(credits);
  });

  test.each([
    ['a resize to no pixels', resize(0n), 'QUANTITY_OUT_OF_RANGE'],
    ['a resize above the largest output', resize(100_000_001n), 'QUANTITY_OUT_OF_RANGE'],
    ['an upscale by 1', upscale(1n), 'QUANTITY_OUT_OF_RANGE'],
    ['an upscale by 17', upscale(17n), 'QUANTITY_OUT_OF_RANGE'],
    ['an upscale without a factor', usage('image.upscale'), 'MISSING_QUANTITY'],
    ['a conversion to a format without a price', convert('psd'), 'INVALID_FIELD'],
    ['a conversion without a format', usage('file.convert'), 'INVALID_FIELD'],
  ])('%s is refused', (_name, of, reason) => {
    expect(creditsOf('verts', of)).toBe(reason);
  });

  test('bought credits never expire; there is no welcome grant, allowance or overage', () => {
    const { packs, terms } = deployedPlan('verts');
    expect(packs.map(({ validity }) => validity)).toEqual(packs.map(() => null));
    expect([terms.welcome, terms.allowance, terms.overage]).toEqual([null, null, null]);
  });
});
