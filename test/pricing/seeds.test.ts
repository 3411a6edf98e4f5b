import { describe, expect, test } from 'vitest';
import { coveringPacks } from '../../src/pricing/packs.ts';
import { priceUsage, priceUsages } from '../../src/pricing/price.ts';
import type { Usage } from '../../src/pricing/usage.ts';
import { realPlan, usage } from './fixtures.ts';

/** Credits, or the reason there are none. */
function creditsOf(planId: Parameters<typeof realPlan>[0], of: Usage): bigint | string {
  const priced = priceUsage(realPlan(planId).rateCard, of, 'usages[0]');
  return 'reason' in priced ? priced.reason : priced.credits;
}

const packRows = (planId: Parameters<typeof realPlan>[0]) =>
  realPlan(planId).packs.map(({ packId, title, credits, price, validity }) => [
    packId,
    title,
    credits,
    `${price.amount} ${price.currency}`,
    validity,
  ]);

describe('aspose-cloud', () => {
  test.each([
    ['document.create', 'Create and save a document', true],
    ['document.convert', 'Convert and save a document', true],
    ['barcode.process', 'Generate or recognize a barcode', true],
    ['ocr.recognize', 'Perform OCR', true],
    ['document.upload', 'Upload a document', false],
    ['text.search_replace', 'Search or replace text', false],
    ['pages.edit', 'Add or delete pages', false],
    ['document.merge', 'Merge documents', false],
    ['document.edit', 'Add or change paragraphs, tables and images', false],
  ])('%s: %s is billable %s, at one credit where it is', (operation, title, billable) => {
    const listed = realPlan('aspose-cloud').rateCard.operations.get(operation);
    expect(listed).toMatchObject({ title, billable });
    expect(creditsOf('aspose-cloud', usage(operation))).toBe(billable ? 1n : 0n);
  });

  test('an output has no size to price: no operation takes a quantity or attribute', () => {
    for (const operation of realPlan('aspose-cloud').rateCard.operations.values()) {
      expect([operation.quantities.size, operation.attributes.size]).toEqual([0, 0]);
    }
  });

  test('what is not listed has no price, rather than the price nothing', () => {
    expect(creditsOf('aspose-cloud', usage('document.print'))).toBe('UNKNOWN_OPERATION');
  });

  test('the scenario of the seed, two saves among six calls, costs two credits', () => {
    const calls = ['document.upload', 'pages.edit', 'document.edit', 'document.create'];
    const more = ['pages.edit', 'document.edit', 'document.convert'];
    const usages = [...calls, ...more].map((operation) => usage(operation));
    const priced = priceUsages(realPlan('aspose-cloud').rateCard, usages, 'usages');
    expect(priced).toMatchObject({ credits: 2n });
  });

  test('50 free credits come every month without rollover; what comes after them is billed', () => {
    const { terms } = realPlan('aspose-cloud');
    expect(terms.allowance).toEqual({ credits: 50n, every: 'month', rollover: 'none' });
    expect(terms.welcome).toBeNull();
    expect(terms.overage).toMatchObject({ limit: 1_000_000n, rates: { mode: 'volume' } });
  });

  test('prepaid credits never expire, and a larger pack is cheaper by the credit', () => {
    const { packs } = realPlan('aspose-cloud');
    expect(packs.length).toBeGreaterThan(0);
    expect(packs.map(({ validity }) => validity)).toEqual(packs.map(() => null));
    const [cheapest] = coveringPacks(packs, 100_000n);
    expect(cheapest?.pack.packId).toBe('prepaid-100000');
  });
});

describe('perfectparser', () => {
  const pages = (operation: string, number: bigint, count = 1n) =>
    usage(operation, { pages: number }, {}, count);

  test.each([
    ['a 1-page invoice', pages('extraction.result_per_file', 1n), 1n],
    ['a 10-page contract', pages('extraction.result_per_file', 10n), 10n],
    ['an image of a receipt', usage('extraction.image'), 1n],
    ['a batch of 50 invoices of 2 pages', pages('extraction.result_per_file', 2n, 50n), 100n],
    ['a 5-page invoice, one result per file', pages('extraction.result_per_file', 5n), 5n],
    ['a 12-page statement, one result per page', pages('extraction.result_per_page', 12n), 12n],
    ['a 3-page sample for a new parser', pages('parser.sample_upload', 3n), 3n],
  ])('%s costs a credit for each page', (_name, of, credits) => {
    expect(creditsOf('perfectparser', of)).toBe(credits);
  });

  test.each(['extraction.result_per_file', 'extraction.result_per_page', 'parser.sample_upload'])(
    '%s has no price without its pages',
    (operation) => {
      expect(creditsOf('perfectparser', usage(operation))).toBe('MISSING_QUANTITY');
      expect(creditsOf('perfectparser', pages(operation, 0n))).toBe('QUANTITY_OUT_OF_RANGE');
    },
  );

  test('every operation of the plan is billable', () => {
    const { operations } = realPlan('perfectparser').rateCard;
    expect([...operations.values()].every(({ billable }) => billable)).toBe(true);
    expect(operations.size).toBe(4);
  });

  test('the eight packs have the prices of the table and are valid for 12 months', () => {
    const year = { months: 12 };
    expect(packRows('perfectparser')).toEqual([
      ['starter', 'Starter', 100n, '19.00 USD', year],
      ['small', 'Small', 250n, '39.00 USD', year],
      ['medium', 'Medium', 500n, '59.00 USD', year],
      ['popular', 'Popular', 1_000n, '99.00 USD', year],
      ['growth', 'Growth', 2_500n, '189.00 USD', year],
      ['scale', 'Scale', 5_000n, '349.00 USD', year],
      ['business', 'Business', 10_000n, '599.00 USD', year],
      ['enterprise', 'Enterprise', 25_000n, '1299.00 USD', year],
    ]);
  });

  test.each([
    ['starter', 190n],
    ['small', 156n],
    ['medium', 118n],
    ['popular', 99n],
    ['growth', 75n],
    ['scale', 69n],
    ['business', 59n],
    ['enterprise', 51n],
  ])('%s costs %s tenths of a cent a page, cut off there as in the table', (packId, perPage) => {
    const pack = realPlan('perfectparser').packs.find((each) => each.packId === packId);
    const cents = BigInt((pack?.price.amount ?? '').replace('.', ''));
    expect((cents * 10n) / (pack?.credits ?? 1n)).toBe(perPage);
  });

  test('a new account is welcomed with 20 credits; nothing comes monthly, nothing is postpaid', () => {
    const { terms } = realPlan('perfectparser');
    expect(terms.welcome).toEqual({ credits: 20n, validity: null });
    expect([terms.allowance, terms.overage]).toEqual([null, null]);
  });
});

describe('verts', () => {
  const resize = (pixels: bigint) => usage('image.resize', { output_pixels: pixels });
  const upscale = (factor: bigint) => usage('image.upscale', { scale_factor: factor });
  const convert = (format: string) => usage('file.convert', {}, { output_format: format });

  test('an inspection costs 1', () => {
    expect(creditsOf('verts', usage('file.inspect'))).toBe(1n);
  });

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
    ['an upscale by nothing named', usage('image.upscale'), 'MISSING_QUANTITY'],
    ['a conversion to a format without a price', convert('psd'), 'INVALID_FIELD'],
    ['a conversion to no format', usage('file.convert'), 'INVALID_FIELD'],
  ])('%s is refused', (_name, of, reason) => {
    expect(creditsOf('verts', of)).toBe(reason);
  });

  test.each([
    ['image.resize', 2n, 5n],
    ['image.upscale', 10n, 50n],
    ['file.convert', 2n, 10n],
  ])('the prices of %s span the seed’s range, %s to %s', (name, lowest, highest) => {
    const component = realPlan('verts').rateCard.operations.get(name)?.components[0];
    const prices =
      component?.kind === 'tier'
        ? component.steps.map(({ credits }) => credits)
        : component?.kind === 'attribute'
          ? [...component.credits.values()]
          : [];
    const ascending = prices.toSorted((a, b) => Number(a - b));
    expect([ascending[0], ascending.at(-1)]).toEqual([lowest, highest]);
  });

  test('the four packs have the prices of the table', () => {
    expect(packRows('verts')).toEqual([
      ['starter', 'Starter', 1_000n, '5.00 USD', null],
      ['standard', 'Standard', 5_000n, '20.00 USD', null],
      ['professional', 'Professional', 25_000n, '75.00 USD', null],
      ['enterprise', 'Enterprise', 100_000n, '250.00 USD', null],
    ]);
  });

  test('the balance is low below 500; nothing is given away and nothing is postpaid', () => {
    const { terms } = realPlan('verts');
    expect(terms.lowBalanceThreshold).toBe(500n);
    expect([terms.welcome, terms.allowance, terms.overage]).toEqual([null, null, null]);
  });
});
