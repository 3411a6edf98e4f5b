/** The promises of Aspose Cloud's pricing page, one test each, through gRPC. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OverageRates_Mode } from '../../src/gen/billing/v1/pricing.ts';
import { mapOf } from '../../src/map-of.ts';
import { verify } from '../../src/verify/verify.ts';
import { defined } from '../accounts.ts';
import { eventsOf } from '../events/given.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { Customer, noon, usd } from './customer.ts';

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService();
});
afterAll(() => scrip.stop());

const open = () => Customer.open(scrip, 'aspose-cloud');
const outputs = (count: bigint) => ({ operation: 'document.convert', count });
const planNow = async () => defined((await scrip.plans.getPlan({ planId: 'aspose-cloud' })).plan);

/** Opens an account on the 10th of a month. */
async function openIn(year: number, month: number): Promise<Customer> {
  scrip.setNow(noon(year, month, 10));
  return await open();
}

/** Sets the clock to the first moment of a month, and sweeps. */
async function beginMonth(year: number, month: number) {
  scrip.setNow(Date.UTC(year, month - 1, 1));
  await scrip.service.sweep();
}

describe('the offer', () => {
  test('only processed files are paid for: a month without usage costs nothing', async () => {
    const customer = await openIn(2030, 1);
    await beginMonth(2030, 2);
    expect(await customer.statements()).toMatchObject([
      { month: '2030-01', usage: [], overage: 0n, total: usd('0.00') },
    ]);
  });

  test('an output costs one credit', async () => {
    const customer = await openIn(2030, 3);
    expect(await customer.costOf(outputs(1n))).toBe(1n);
    expect(await customer.costOf(outputs(7n))).toBe(7n);
  });

  test.each([
    ['a few credits', 2030, 1n, 1, '0.020', '0.02'],
    ['ten thousand', 2031, 10_000n, 2, '0.015', '150.00'],
    ['a hundred thousand', 2032, 100_000n, 3, '0.010', '1000.00'],
  ])('large volumes have lower rates: %s', async (_, year, overage, tier, unitPrice, amount) => {
    const customer = await openIn(year, 4);
    await customer.charge(outputs(50n + overage));
    const { overageLines, total } = await customer.statement(`${year}-04`);
    expect(overageLines).toEqual([{ tier, quantity: overage, unitPrice, amount: usd(amount) }]);
    expect(total).toEqual(usd(amount));
  });

  test('50 credits are free every month and do not add up', async () => {
    const customer = await openIn(2031, 1);
    expect(await customer.remaining()).toBe(50n);
    await customer.charge(outputs(20n));
    for (const month of [1, 2, 6, 12]) {
      scrip.setNow(Date.UTC(2031, month, 1));
      expect(await customer.balance()).toMatchObject({
        remaining: 50n,
        nextAllowance: { credits: 50n, dueAt: new Date(Date.UTC(2031, month + 1, 1)) },
      });
    }
  });
});

describe('billing', () => {
  test('an output is one credit, whatever its size: the operation has no size', async () => {
    const customer = await openIn(2030, 5);
    const sized = { ...outputs(1n), quantities: mapOf({ bytes: 1_000_000_000n }) };
    const error = await errorOf(customer.charge(sized));
    expect(error.fields).toEqual(['usages.items[0].quantities["bytes"]']);
    expect(await customer.remaining()).toBe(50n);
  });

  test('the number of files is not limited: none is refused when the free credits are used', async () => {
    const customer = await openIn(2030, 5);
    for (const count of [1n, 49n, 1n, 1_000n, 500_000n]) await customer.charge(outputs(count));
    expect(await customer.balance()).toMatchObject({ remaining: 0n, overage: 501_001n });
  });

  test('after the month the usage is added up and billed once', async () => {
    const customer = await openIn(2030, 6);
    await customer.charge(outputs(40n));
    await customer.charge({ operation: 'ocr.recognize', count: 35n });
    expect(await customer.statements()).toEqual([]);
    await beginMonth(2030, 7);
    await scrip.service.sweep();
    const [bill, ...others] = await customer.statements();
    expect(others).toEqual([]);
    expect(bill).toMatchObject({
      month: '2030-06',
      usage: [
        { operation: 'document.convert', count: 40n, credits: 40n },
        { operation: 'ocr.recognize', count: 35n, credits: 35n },
      ],
      creditsUsed: [{ credits: 50n }],
      overage: 25n,
      overageLines: [{ quantity: 25n, unitPrice: '0.020', amount: usd('0.50') }],
      total: usd('0.50'),
    });
    const { accountId } = customer;
    const told = () => eventsOf(scrip, { accountId, types: ['statement.closed'] });
    await expect.poll(async () => (await told()).length).toBe(1);
    expect((await told())[0]?.data).toEqual(
      mapOf({ month: '2030-06', overage: '25', currency: 'USD', total: '0.50' }),
    );
  });

  test('the month is billed by the rates that the plan shows', async () => {
    const customer = await openIn(2030, 8);
    const { overageRates } = defined((await planNow()).terms);
    expect(overageRates).toMatchObject({ mode: OverageRates_Mode.VOLUME, currency: 'USD' });
    expect((await customer.statement('2030-08')).overageRates).toEqual(overageRates);
  });
});

describe('billable calls', () => {
  test('are those that produce an output: all others cost nothing', async () => {
    const { rateCard } = await scrip.plans.getPlan({ planId: 'aspose-cloud' });
    const operations = defined(rateCard).operations;
    const free = operations.filter(({ billable }) => !billable);
    expect(free.length).toBeGreaterThan(operations.length - free.length);
    const customer = await openIn(2030, 9);
    const usages = free.map(({ operation }) => ({ operation, count: 1_000n }));
    expect(await customer.costOf(...usages)).toBe(0n);
  });

  test.each([
    ['Create and save a document', 'document.create', true],
    ['Convert and save a document', 'document.convert', true],
    ['Generate or recognize a barcode', 'barcode.process', true],
    ['Perform OCR', 'ocr.recognize', true],
    ['Upload a document', 'document.upload', false],
    ['Search or replace text', 'text.search_replace', false],
    ['Add or delete pages', 'pages.edit', false],
    ['Merge documents', 'document.merge', false],
  ])('%s (%s): billable %s', async (title, operation, billable) => {
    const { rateCard } = await scrip.plans.getPlan({ planId: 'aspose-cloud' });
    const listed = rateCard?.operations.find((each) => each.operation === operation);
    expect(listed).toMatchObject({ title, billable });
    const customer = await openIn(2030, 9);
    expect(await customer.costOf({ operation })).toBe(billable ? 1n : 0n);
    // After the opening of the account, and its allowance.
    const [, , entry] = await customer.history();
    expect(entry?.usages).toMatchObject([{ usage: { operation }, billable }]);
  });
});

describe('the common scenario', () => {
  let customer: Customer;
  beforeAll(async () => {
    customer = await openIn(2030, 10);
  });

  test.each([
    ['a Word document is uploaded', ['document.upload'], 0n],
    ['new pages are added', ['pages.edit'], 0n],
    ['paragraphs, tables and images are added', ['document.edit'], 0n],
    ['saved as DOCX: one operation, one credit', ['document.create'], 1n],
    ['pages are added or deleted', ['pages.edit'], 1n],
    ['the table is updated', ['document.edit'], 1n],
    ['saved as PDF: another operation, another credit', ['document.convert'], 2n],
  ])('%s', async (_, [operation = ''], counted) => {
    await customer.charge({ operation });
    expect(await customer.remaining()).toBe(50n - counted);
    const { creditsUsed } = await customer.statement('2030-10');
    expect(creditsUsed.reduce((sum, { credits }) => sum + credits, 0n)).toBe(counted);
  });
});

describe('credits bought in advance', () => {
  test('can be bought and are used before anything is billed', async () => {
    const customer = await openIn(2030, 11);
    const { grant } = await customer.buy('prepaid-1000');
    const { split } = await customer.charge(outputs(1_051n));
    expect(split).toEqual([
      { source: { $case: 'grantId', value: 1n }, credits: 50n },
      { source: { $case: 'grantId', value: grant?.grantId }, credits: 1_000n },
      { source: { $case: 'overage', value: true }, credits: 1n },
    ]);
    expect((await customer.statement('2030-11')).total).toEqual(usd('0.02'));
  });

  test('cost the same as a month billed for as many credits', async () => {
    const { packs } = await planNow();
    expect(packs.length).toBeGreaterThan(0);
    for (const { packId, credits, price } of packs) {
      const customer = await openIn(2030, 12);
      await customer.charge(outputs(50n + credits));
      const { overage, total } = await customer.statement('2030-12');
      expect([overage, total], packId).toEqual([credits, price]);
    }
  });

  test('never expire', async () => {
    const customer = await openIn(2031, 2);
    const { grant } = await customer.buy('prepaid-1000');
    expect(grant?.expiresAt).toBeUndefined();
    await customer.charge(outputs(150n));
    scrip.setNow(noon(2041, 2, 10));
    expect(await customer.remaining()).toBe(50n + 900n);
    expect((await customer.balance()).nextExpiry?.credits).toBe(50n);
  });

  test('can pay for a whole year', async () => {
    const customer = await openIn(2032, 1);
    await customer.buy('prepaid-100000');
    for (let month = 1; month <= 12; month++) {
      scrip.setNow(noon(2032, month, 11));
      await customer.charge(outputs(8_000n));
    }
    scrip.setNow(noon(2033, 1, 1));
    const bills = await customer.statements();
    expect(bills.map(({ overage, total }) => [overage, total])).toEqual(
      Array.from({ length: 12 }, () => [0n, usd('0.00')]),
    );
    expect(await customer.remaining()).toBe(50n + 100_000n - 12n * 7_950n);
  });

  test('can be used for one-off work at any later time', async () => {
    const customer = await openIn(2031, 3);
    await customer.buy('prepaid-10000');
    scrip.setNow(noon(2034, 8, 20));
    await customer.charge(outputs(10_050n));
    expect((await customer.statement('2034-08')).total).toEqual(usd('0.00'));
  });

  test('need no monthly payments: without usage nothing is owed or bought', async () => {
    const customer = await openIn(2031, 4);
    await customer.buy('prepaid-1000');
    scrip.setNow(noon(2032, 4, 10));
    const owed = (await customer.statements()).map(({ total }) => total?.amount);
    expect(owed).toEqual(Array.from({ length: 12 }, () => '0.00'));
    expect(await customer.purchases()).toHaveLength(1);
  });

  test('are ordered from the sales team: an order grants its credits once', async () => {
    const customer = await openIn(2031, 5);
    const { purchase } = await customer.buy('prepaid-10000', 'order-4711');
    expect(purchase).toMatchObject({ paymentReference: 'order-4711', price: usd('150.00') });
    expect((await errorOf(customer.buy('prepaid-10000', 'order-4711'))).reason).toBe(
      'PAYMENT_REFERENCE_USED',
    );
    expect(await customer.remaining()).toBe(50n + 10_000n);
  });

  test('can be negotiated: an offer is for one account alone', async () => {
    const [customer, other] = [await openIn(2031, 6), await open()];
    const pack = {
      packId: 'annual-2031',
      title: 'A year of outputs',
      credits: 1_000_000n,
      price: usd('9500.00'),
    };
    await scrip.accounts.offerPack({ ...customer.mutation(), pack });
    const { purchase, grant } = await customer.buy('annual-2031', requestId());
    expect(purchase).toMatchObject({ credits: 1_000_000n, price: usd('9500.00') });
    expect(grant?.expiresAt).toBeUndefined();
    expect((await errorOf(other.buy('annual-2031'))).reason).toBe('PACK_NOT_FOUND');
  });
});

test('verify finds nothing', async () => {
  expect(await verify(scrip.databaseUrl)).toMatchObject({ ok: true });
});

// Promises that are not for a billing service:
// - "Read our FAQ", "contact us": links to other pages and to people.
// - The table of rates is not on the page; the tested rates are those of the plan file.
