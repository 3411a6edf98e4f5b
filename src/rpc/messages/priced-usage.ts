/** Priced usages, the lines of estimates, responses and entries, as messages. */
import type { PricedUsage as PricedUsageMessage } from '../../gen/billing/v1/pricing.ts';
import type { PricedUsage } from '../../pricing/price.ts';

/** Without the components of the price: only estimates show them. */
export const pricedUsageMessage = (line: PricedUsage): PricedUsageMessage => ({
  usage: {
    operation: line.usage.operation,
    quantities: new Map(line.usage.quantities),
    attributes: new Map(line.usage.attributes),
    count: line.usage.count,
  },
  unitCredits: line.unitCredits,
  credits: line.credits,
  billable: line.billable,
  components: [],
});

export const pricedUsageMessageWithComponents = (line: PricedUsage): PricedUsageMessage => ({
  ...pricedUsageMessage(line),
  components: [...line.components],
});
