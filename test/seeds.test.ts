/** Every figure of the three systems that Scrip bills for, as a caller sees it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Reservation_State } from '../src/gen/billing/v1/ledger.ts';
import { faultOf } from './rpc/fault.ts';
import { balanceOf, newestEntry, there } from './rpc/given.ts';
import { requestId, startTestService, type TestService } from './service.ts';

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService();
});
afterAll(() => scrip.stop());

type Usage = {
  operation: string;
  quantities?: Record<string, bigint>;
  attributes?: Record<string, string>;
  count?: bigint;
};

const charge = (accountId: string, ...usages: Usage[]) =>
  scrip.billing.charge({ accountId, requestId: requestId(), usages });
const reserve = async (accountId: string, ...usages: Usage[]) =>
  there((await scrip.billing.reserve({ accountId, requestId: requestId(), usages })).reservation);
const remaining = async (accountId: string) => (await balanceOf(scrip, accountId)).remaining;
const buy = (accountId: string, packId: string) =>
  scrip.billing.purchase({
    accountId,
    requestId: requestId(),
    packId,
    payment: { $case: 'paymentReference', value: requestId() },
  });

/** What a usage costs: the same in the estimate, the charge and the balance. */
async function costs(accountId: string, ...usages: Usage[]): Promise<bigint> {
  const before = await remaining(accountId);
  const estimate = await scrip.billing.estimate({ accountId, usages });
  const { credits } = await charge(accountId, ...usages);
  expect([estimate.credits, before - (await remaining(accountId))]).toEqual([credits, credits]);
  return credits;
}

describe('Aspose Cloud', () => {
  const open = () => scrip.open('aspose-cloud');

  test.each([
    ['Create and save a document', 'document.create'],
    ['Convert and save a document', 'document.convert'],
    ['Generate or Recognize barcode', 'barcode.process'],
    ['Perform OCR', 'ocr.recognize'],
  ])('%s is billable: one credit', async (_, operation) => {
    const accountId = await open();
    expect(await costs(accountId, { operation })).toBe(1n);
    expect((await newestEntry(scrip, accountId)).usages[0]?.billable).toBe(true);
  });

  test.each([
    ['Upload a document', 'document.upload'],
    ['Search or Replace text', 'text.search_replace'],
    ['Add or Delete pages', 'pages.edit'],
    ['Merge documents', 'document.merge'],
  ])('%s is not billable', async (_, operation) => {
    const accountId = await open();
    expect(await costs(accountId, { operation })).toBe(0n);
    expect((await newestEntry(scrip, accountId)).usages[0]?.billable).toBe(false);
  });

  test('an output is one credit whatever its size: a size cannot even be said', async () => {
    const quantities = { bytes: 1_000_000_000n };
    const call = charge(await open(), { operation: 'document.convert', quantities });
    expect((await faultOf(call)).fields).toEqual(['usages[0].quantities["bytes"]']);
  });

  test('upload, edit, save DOCX, edit, save PDF: two of fifty credits', async () => {
    const accountId = await open();
    const calls = ['document.upload', 'pages.edit', 'document.edit', 'document.create'];
    calls.push('pages.edit', 'document.edit', 'document.convert');
    for (const operation of calls) await charge(accountId, { operation });
    expect(await remaining(accountId)).toBe(48n);
  });

  test('50 credits a month are free, and the 51st output is billed at the month’s end', async () => {
    scrip.setNow(Date.UTC(2030, 4, 20));
    const accountId = await open();
    expect(await remaining(accountId)).toBe(50n);
    await charge(accountId, { operation: 'ocr.recognize', count: 50n });
    const { split } = await charge(accountId, { operation: 'ocr.recognize' });
    expect(split).toEqual([{ source: { $case: 'overage', value: true }, credits: 1n }]);
    scrip.setNow(Date.UTC(2030, 5, 1));
    await scrip.service.sweep();
    const { statements } = await scrip.statements.listStatements({ accountId });
    expect(statements).toMatchObject([
      { month: '2030-05', overage: 1n, total: { currency: 'USD', amount: '0.02' } },
    ]);
  });

  test('credits bought in advance cost what the same credits cost when they are billed', async () => {
    const { plan } = await scrip.plans.getPlan({ planId: 'aspose-cloud' });
    for (const [index, { packId, credits, price }] of there(plan).packs.entries()) {
      scrip.setNow(Date.UTC(2030, 7 + index, 10));
      const accountId = await open();
      await charge(accountId, { operation: 'document.convert', count: 50n + credits });
      scrip.setNow(Date.UTC(2030, 8 + index, 1));
      const month = `2030-${String(8 + index).padStart(2, '0')}`;
      const { statement } = await scrip.statements.getStatement({ accountId, month });
      expect([statement?.overage, statement?.total], packId).toEqual([credits, price]);
    }
  });

  test('free credits come anew each month, and do not add up', async () => {
    scrip.setNow(Date.UTC(2031, 0, 20));
    const accountId = await open();
    await charge(accountId, { operation: 'ocr.recognize', count: 20n });
    for (const month of [1, 2, 6, 12]) {
      scrip.setNow(Date.UTC(2031, month, 1));
      expect(await remaining(accountId)).toBe(50n);
    }
  });

  test('the 51st output falls on credits bought in advance, which never expire', async () => {
    scrip.setNow(Date.UTC(2031, 0, 20));
    const accountId = await open();
    const { grant } = await buy(accountId, 'prepaid-1000');
    expect(grant?.expiresAt).toBeUndefined();
    const { split } = await charge(accountId, { operation: 'ocr.recognize', count: 51n });
    expect(split).toEqual([
      { source: { $case: 'grantId', value: 1n }, credits: 50n },
      { source: { $case: 'grantId', value: grant?.grantId }, credits: 1n },
    ]);
    scrip.setNow(Date.UTC(2041, 0, 20));
    expect(await remaining(accountId)).toBe(50n + 999n);
  });

  test('larger volumes are cheaper by the credit', async () => {
    const { plan } = await scrip.plans.getPlan({ planId: 'aspose-cloud' });
    const rates = there(plan).packs.map(
      ({ credits, price }) => Number(price?.amount) / Number(credits),
    );
    expect(rates.length).toBeGreaterThan(1);
    expect(rates).toEqual(rates.toSorted((a, b) => b - a));
    expect(new Set(rates).size).toBe(rates.length);
  });
});

describe('PerfectParser', () => {
  const open = () => scrip.open('perfectparser');
  const pages = (operation: string, count: bigint, times = 1n): Usage => ({
    operation,
    quantities: { pages: count },
    count: times,
  });
  const perFile = (count: bigint, times = 1n) => pages('extraction.result_per_file', count, times);
  const perPage = (count: bigint) => pages('extraction.result_per_page', count);

  test.each<[string, Usage, bigint]>([
    ['A 1-page invoice', perFile(1n), 1n],
    ['A 10-page contract', perFile(10n), 10n],
    ['A PNG image of a receipt', { operation: 'extraction.image' }, 1n],
    ['A batch of 50 × 2-page invoices', perFile(2n, 50n), 100n],
    ['A 3-page sample document', pages('parser.sample_upload', 3n), 3n],
    ['A 5-page invoice, one result per file', perFile(5n), 5n],
    ['A 12-page bank statement, one result per page', perPage(12n), 12n],
    ['A 12-page bank statement, one result per file', perFile(12n), 12n],
  ])('%s', async (_, usage, credits) => {
    const accountId = await open();
    await buy(accountId, 'starter');
    expect(await costs(accountId, usage)).toBe(credits);
  });

  test('every new account comes with 20 free page credits', async () => {
    const accountId = await open();
    expect(await remaining(accountId)).toBe(20n);
    expect(await costs(accountId, perFile(1n, 20n))).toBe(20n);
  });

  test.each([
    ['starter', 'Starter', 100n, '19.00', '0.190'],
    ['small', 'Small', 250n, '39.00', '0.156'],
    ['medium', 'Medium', 500n, '59.00', '0.118'],
    ['popular', 'Popular', 1_000n, '99.00', '0.099'],
    ['growth', 'Growth', 2_500n, '189.00', '0.075'],
    ['scale', 'Scale', 5_000n, '349.00', '0.069'],
    ['business', 'Business', 10_000n, '599.00', '0.059'],
    ['enterprise', 'Enterprise', 25_000n, '1299.00', '0.051'],
  ])('%s: %s, %s pages for $%s, $%s a page', async (packId, title, credits, amount, perPageUsd) => {
    const { plan } = await scrip.plans.getPlan({ planId: 'perfectparser' });
    const pack = plan?.packs.find((one) => one.packId === packId);
    expect(pack).toEqual({
      packId,
      title,
      credits,
      price: { currency: 'USD', amount },
      validity: { length: { $case: 'months', value: 12 } },
    });
    // The page price is cut after its third decimal, as the seed does.
    const mills = (BigInt(amount.replace('.', '')) * 10n) / credits;
    expect(`0.${mills.toString().padStart(3, '0')}`).toBe(perPageUsd);
    const accountId = await open();
    const { purchase, balance } = await buy(accountId, packId);
    expect(purchase).toMatchObject({ credits, price: { currency: 'USD', amount } });
    expect(balance?.remaining).toBe(20n + credits);
  });

  test('a pack is valid for 12 months from the date of purchase, to the moment', async () => {
    for (const [bought, expires] of [
      [Date.UTC(2031, 6, 15, 9, 30), Date.UTC(2032, 6, 15, 9, 30)],
      [Date.UTC(2032, 1, 29, 12), Date.UTC(2033, 1, 28, 12)],
    ] as const) {
      scrip.setNow(bought);
      const accountId = await open();
      const { grant } = await buy(accountId, 'starter');
      const late = there(grant?.expiresAt).getTime() - expires;
      expect(late).toBeGreaterThanOrEqual(0);
      expect(late).toBeLessThan(10_000); // The clock of the test runs.
      scrip.setNow(expires - 1_000);
      expect(await remaining(accountId)).toBe(120n);
      scrip.setNow(expires + late);
      expect(await remaining(accountId)).toBe(20n);
    }
  });

  test('two packs add up, expire each in its own time, and the sooner one burns first', async () => {
    scrip.setNow(Date.UTC(2031, 0, 10));
    const accountId = await open();
    const first = (await buy(accountId, 'small')).grant?.grantId;
    scrip.setNow(Date.UTC(2031, 5, 10));
    const second = (await buy(accountId, 'starter')).grant?.grantId;
    expect(await remaining(accountId)).toBe(370n);
    const { split } = await charge(accountId, perFile(1n, 300n));
    expect(split).toEqual([
      { source: { $case: 'grantId', value: first }, credits: 250n },
      { source: { $case: 'grantId', value: second }, credits: 50n },
    ]);
    const { grants } = await scrip.billing.getBalance({ accountId, includeGrants: true });
    expect(grants.map(({ grantId, remaining: left }) => [grantId, left])).toEqual([
      [second, 50n],
      [1n, 20n],
    ]);
  });

  test('a batch beyond the credits is shown, refused, and runs once a pack is bought', async () => {
    const accountId = await open();
    const batch = perFile(2n, 50n);
    const shown = await scrip.billing.estimate({ accountId, usages: [batch] });
    expect(shown).toMatchObject({ credits: 100n, sufficient: false, shortfall: 80n });
    expect(shown.packs[0]).toMatchObject({ pack: { packId: 'starter' }, quantity: 1n });
    expect(await faultOf(reserve(accountId, batch))).toMatchObject({
      reason: 'INSUFFICIENT_CREDITS',
      metadata: { required: '100', available: '20', shortfall: '80' },
    });
    await buy(accountId, 'starter');
    const { reservationId } = await reserve(accountId, batch);
    await scrip.billing.commit({ accountId, requestId: requestId(), reservationId });
    expect(await remaining(accountId)).toBe(20n);
  });

  test('no overage, no renewal: what is used up or expired stays so', async () => {
    scrip.setNow(Date.UTC(2031, 0, 10));
    const accountId = await open();
    await buy(accountId, 'starter');
    expect(await balanceOf(scrip, accountId)).toMatchObject({ overageLimit: 0n });
    await charge(accountId, perFile(1n, 120n));
    expect((await faultOf(charge(accountId, perFile(1n)))).reason).toBe('INSUFFICIENT_CREDITS');
    scrip.setNow(Date.UTC(2033, 0, 10));
    expect(await remaining(accountId)).toBe(0n);
  });
});

describe('Verts', () => {
  async function open() {
    const accountId = await scrip.open('verts');
    await buy(accountId, 'standard');
    return accountId;
  }
  const resize = (pixels: bigint) => ({
    operation: 'image.resize',
    quantities: { output_pixels: pixels },
  });
  const upscale = (factor: bigint) => ({
    operation: 'image.upscale',
    quantities: { scale_factor: factor },
  });
  const convert = (format: string) => ({
    operation: 'file.convert',
    attributes: { output_format: format },
  });

  test.each([
    ['starter', 'Starter', 1_000n, '5.00'],
    ['standard', 'Standard', 5_000n, '20.00'],
    ['professional', 'Professional', 25_000n, '75.00'],
    ['enterprise', 'Enterprise', 100_000n, '250.00'],
  ])('%s: %s, %s credits for $%s', async (packId, title, credits, amount) => {
    const { plan } = await scrip.plans.getPlan({ planId: 'verts' });
    const price = { currency: 'USD', amount };
    expect(plan?.packs.find((one) => one.packId === packId)).toMatchObject({
      title,
      credits,
      price,
    });
    const accountId = await scrip.open('verts');
    const { purchase, balance } = await buy(accountId, packId);
    expect([purchase?.price, balance?.remaining]).toEqual([price, credits]);
  });

  test.each<[string, Usage, bigint]>([
    ['File Inspection: 1 credit', { operation: 'file.inspect' }, 1n],
    ['Image Resize, smallest output: 2 credits', resize(1n), 2n],
    ['Image Resize, largest output: 5 credits', resize(100_000_000n), 5n],
    ['Image Upscale, smallest factor: 10 credits', upscale(2n), 10n],
    ['Image Upscale, largest factor: 50 credits', upscale(16n), 50n],
    ['Format Conversion, simplest format: 2 credits', convert('txt'), 2n],
    ['Format Conversion, costliest format: 10 credits', convert('mp4'), 10n],
  ])('%s', async (_, usage, credits) => {
    expect(await costs(await open(), usage)).toBe(credits);
  });

  test('between its ends a price only rises, and never leaves its range', async () => {
    const accountId = await open();
    const prices = async (usages: Usage[]) =>
      (await scrip.billing.estimate({ accountId, usages })).lines.map(({ credits }) => credits);
    const sizes = Array.from({ length: 1_000 }, (_, index) => BigInt(index + 1) * 100_000n);
    const factors = Array.from({ length: 15 }, (_, index) => BigInt(index + 2));
    for (const [priced, from, to] of [
      [await prices(sizes.map(resize)), 2n, 5n],
      [await prices(factors.map(upscale)), 10n, 50n],
    ] as const) {
      expect(priced).toEqual(priced.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0)));
      expect([priced[0], priced.at(-1)]).toEqual([from, to]);
    }
    const { rateCard } = await scrip.plans.getPlan({ planId: 'verts' });
    const conversion = rateCard?.operations.find(({ operation }) => operation === 'file.convert');
    const formats = there(conversion?.attributes[0]).values;
    const converted = await prices(formats.map(convert));
    expect(converted.every((credits) => credits >= 2n && credits <= 10n)).toBe(true);
  });

  test('4,500 credits: no low balance warning', async () => {
    const accountId = await open();
    await charge(accountId, { ...upscale(16n), count: 10n });
    expect(await balanceOf(scrip, accountId)).toMatchObject({
      remaining: 4_500n,
      lowBalance: false,
    });
  });

  test('the low balance warning turns on below 500 credits, and off again', async () => {
    const accountId = await open();
    const lowAfter = async (usage: Usage) => (await charge(accountId, usage)).balance?.lowBalance;
    expect(await lowAfter({ ...upscale(16n), count: 90n })).toBe(false); // 500
    expect(await lowAfter({ operation: 'file.inspect' })).toBe(true); // 499
    expect((await buy(accountId, 'starter')).balance?.lowBalance).toBe(false);
  });

  test('a job reserves when it is submitted and is charged when it has succeeded', async () => {
    const accountId = await open();
    const { reservationId, state } = await reserve(accountId, upscale(8n));
    expect(state).toBe(Reservation_State.ACTIVE);
    const held = { remaining: 5_000n, reserved: 35n, available: 4_965n };
    expect(await balanceOf(scrip, accountId)).toMatchObject(held);
    await scrip.billing.commit({ accountId, requestId: requestId(), reservationId });
    const charged = { remaining: 4_965n, reserved: 0n, available: 4_965n };
    expect(await balanceOf(scrip, accountId)).toMatchObject(charged);
  });

  test('a job that fails before processing deducts nothing', async () => {
    const accountId = await open();
    await scrip.billing.estimate({ accountId, usages: [upscale(8n)] });
    expect(await balanceOf(scrip, accountId)).toMatchObject({ available: 5_000n, seq: 1n });
  });

  test('a job that fails during processing gets its credits back', async () => {
    const accountId = await open();
    const { reservationId } = await reserve(accountId, upscale(8n));
    await scrip.billing.release({ accountId, requestId: requestId(), reservationId });
    expect(await balanceOf(scrip, accountId)).toMatchObject({ available: 5_000n, reserved: 0n });
  });

  test('a job found to have failed after it was charged is refunded', async () => {
    const accountId = await open();
    const { entrySeq: seq } = await charge(accountId, upscale(8n));
    await scrip.billing.refund({ accountId, requestId: requestId(), seq });
    expect(await remaining(accountId)).toBe(5_000n);
  });

  test('invalid input deducts nothing', async () => {
    const accountId = await open();
    for (const bad of [upscale(17n), resize(0n), convert('exe'), { operation: 'image.paint' }])
      expect((await faultOf(reserve(accountId, bad))).code).toBe(3);
    expect(await balanceOf(scrip, accountId)).toMatchObject({ available: 5_000n, seq: 1n });
  });
});
