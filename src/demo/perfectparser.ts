/** PerfectParser: free pages, a batch that needs a pack, both modes, and packs with different expiries. */

import type { Grant } from '../gen/billing/v1/ledger.ts';
import { mapOf } from '../map-of.ts';
import type { Tenant } from './tenant.ts';

const DAY_MS = 24 * 3_600_000;

const invoices = {
  operation: 'extraction.result_per_file',
  quantities: mapOf({ pages: 2n }),
  count: 50n,
};

export async function perfectparser(tenant: Tenant) {
  await tenant.open({ credits: 20n, available: 20n }, '20 free page credits');

  await tenant.estimate(
    invoices,
    { credits: 100n, available: 20n, shortfall: 80n, pack: '1 x starter for 19.00 USD' },
    '50 two-page invoices: 80 short, Starter would do',
  );
  await tenant.expectRefusal(
    invoices,
    'INSUFFICIENT_CREDITS',
    { required: '100', available: '20', shortfall: '80' },
    { available: 20n },
    'refused: INSUFFICIENT_CREDITS, shortfall 80',
  );
  await tenant.buy(
    'starter',
    '19.00 USD',
    { credits: 100n, available: 120n },
    'packs stack: 20 + 100',
  );
  const batch = await tenant.reserve(
    invoices,
    { credits: 100n, available: 20n, reserved: 100n },
    'the batch starts',
  );
  await tenant.commit(batch, { credits: 100n, available: 20n }, 'the batch is done');

  await burnOrder(tenant, await bothModes(tenant));
}

/** Extracts a bank statement in each mode, paid by a pack whose grant is returned. */
async function bothModes(tenant: Tenant): Promise<Grant> {
  const bankStatement = { quantities: mapOf({ pages: 12n }) };
  const starter = await tenant.buy(
    'starter',
    '19.00 USD',
    { credits: 100n, available: 120n },
    'valid for 12 months from now',
  );
  await tenant.charge(
    { operation: 'extraction.result_per_file', ...bankStatement },
    { credits: 12n, available: 108n, from: [[starter, 12n]] },
    '12-page statement, one record',
  );
  await tenant.charge(
    { operation: 'extraction.result_per_page', ...bankStatement },
    { credits: 12n, available: 96n, from: [[starter, 12n]] },
    '12-page statement, 12 records: the same price',
  );
  return starter;
}

/** Packs burn in the order of their expiry, not of their purchase. */
async function burnOrder(tenant: Tenant, starter: Grant) {
  const small = await tenant.buy(
    'small',
    '39.00 USD',
    { credits: 250n, available: 346n },
    'bought later, so it expires later than Starter',
  );
  // Stands for a pack that was bought eleven months ago.
  const older = await tenant.grantPaid(
    40n,
    new Date(Date.now() + 30 * DAY_MS),
    { credits: 40n, available: 386n },
    'left of an older pack: expires in 30 days',
  );
  await tenant.charge(
    { operation: 'extraction.result_per_file', quantities: mapOf({ pages: 120n }) },
    {
      credits: 120n,
      available: 266n,
      from: [
        [older, 40n],
        [starter, 76n],
        [small, 4n],
      ],
    },
    'soonest expiry first: 40 older, 76 Starter, 4 Small',
  );
  const left = (await tenant.grants()).map(({ remaining }) => remaining);
  tenant.check('what is left of Small and of the free pages', left.join(' and '), '246 and 20');
}
