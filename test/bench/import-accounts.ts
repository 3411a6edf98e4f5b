/**
 * Writes accounts of another system for `scrip import`, each with a year of purchases, for the figure in
 * docs/how-to/import.md:
 *
 *     node test/bench/import-accounts.ts 20000 > accounts.jsonl
 */
const count = Number(process.argv[2] ?? 20_000);
const now = new Date();
const month = now.toISOString().slice(0, 7);

/** The first day of a month, counted back from this one. */
const monthsAgo = (many: number): string =>
  new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - many, 1)).toISOString().slice(0, 10);

for (let number = 1; number <= count; number++) {
  const account = {
    account_id: `customer-${number}`,
    plan_id: 'aspose-cloud',
    opened_at: monthsAgo(13),
    reference: `crm-${number}`,
    grants: [
      {
        ...{ source: 'allowance', credits: 50, spent: 50, spent_this_month: 50 },
        effective_at: `${month}-01`,
      },
    ],
    purchases: Array.from({ length: 12 }, (_, index) => ({
      ...{ pack_id: 'prepaid-1000', credits: 1_000, price: '20.00 USD' },
      ...{ paid_at: monthsAgo(12 - index), payment_reference: `order-${number}-${index}` },
      spent: index < 10 ? 1_000 : number % 1_000,
    })),
    month: {
      ...{ month, overage: number % 100 },
      usage: [
        {
          operation: 'document.convert',
          count: 50 + (number % 100),
          credits: 50 + (number % 100),
        },
      ],
    },
  };
  process.stdout.write(`${JSON.stringify(account)}\n`);
}
