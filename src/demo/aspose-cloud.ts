/**
 * Aspose Cloud: the scenario of its pricing page; then prepaid credits, and finally overage on the
 * month's statement.
 */
import type { Tenant } from './tenant.ts';

export async function asposeCloud(tenant: Tenant) {
  await tenant.open({ credits: 50n, available: 50n }, '50 free credits a month');
  const [free] = await tenant.grants();
  tenant.check('free credits', free?.amount, 50n);

  const steps = [
    ['document.upload', 0n, 'upload a Word document'],
    ['pages.edit', 0n, 'add some new pages'],
    ['document.edit', 0n, 'add paragraphs, tables and images'],
    ['document.create', 1n, 'save it as DOCX: one output'],
    ['pages.edit', 0n, 'add or delete some pages'],
    ['document.edit', 0n, 'update the table'],
    ['document.convert', 1n, 'save it as PDF: another output'],
  ] as const;
  let available = 50n;
  for (const [operation, credits, note] of steps) {
    available -= credits;
    await tenant.charge({ operation }, { credits, available }, note);
  }
  tenant.check('cost of the scenario', 50n - available, 2n);

  const output = { operation: 'document.convert' };
  const prepaid = await tenant.buy(
    'prepaid-1000',
    '20.00 USD',
    { credits: 1000n, available: 1048n },
    'bought in advance; these never expire',
  );
  tenant.check('expiry of prepaid credits', prepaid.expiresAt, undefined);
  if (free)
    await tenant.charge(
      { ...output, count: 48n },
      { credits: 48n, available: 1000n, from: [[free, 48n]] },
      'outputs 3 to 50: the rest of the free credits',
    );
  await tenant.charge(
    output,
    { credits: 1n, available: 999n, from: [[prepaid, 1n]] },
    'output 51: the first of the prepaid credits',
  );
  await tenant.charge(
    { ...output, count: 1_002n },
    {
      credits: 1_002n,
      available: 0n,
      from: [
        [prepaid, 999n],
        ['overage', 3n],
      ],
    },
    'the rest of the prepaid credits, and 3 outputs to be billed',
  );
  await tenant.statement(
    { overage: 3n, total: '0.06 USD', available: 0n },
    'so far: 3 credits at 0.020, billed when the month is over',
  );
}
