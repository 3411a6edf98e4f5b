/**
 * Prices of usages and of overage, computed independently of the service from the plans as callers can read
 * them. Money is in billionths of a dollar and is rounded on a line.
 */
import type { Scrip } from '../../src/client.ts';
import {
  type Operation,
  type OverageRates,
  OverageRates_Mode,
  type Plan,
} from '../../src/gen/billing/v1/pricing.ts';
import type { Usage } from './usage-log.ts';

export type PublishedPlan = {
  readonly plan: Plan;
  readonly operations: ReadonlyMap<string, Operation>;
};
export type PublishedPlans = ReadonlyMap<string, PublishedPlan>;

export async function readPlans(scrip: Scrip): Promise<PublishedPlans> {
  const { plans } = await scrip.plans.listPlans({});
  const published = new Map<string, PublishedPlan>();
  for (const plan of plans) {
    const { rateCard } = await scrip.plans.getPlan({ planId: plan.planId });
    const operations = rateCard?.operations ?? [];
    const byName = new Map(operations.map((operation) => [operation.operation, operation]));
    published.set(plan.planId, { plan, operations: byName });
  }
  return published;
}

/** How late usage can be, in milliseconds; 0: not at all. */
export const lateUsageOf = ({ plan }: PublishedPlan): number =>
  Number(plan.terms?.lateUsage?.seconds ?? 0n) * 1_000;

/** The credits of a usage, for its whole count. */
export function creditsOf({ operations, plan }: PublishedPlan, usage: Usage): bigint {
  const operation = operations.get(usage.operation);
  if (!operation) throw new Error(`plan ${plan.planId} has no price for ${usage.operation}`);
  let unit = 0n;
  for (const { component, label } of operation.components)
    switch (component?.$case) {
      case 'flat':
        unit += component.value;
        break;
      case 'perUnit':
        unit += component.value.credits * (usage.quantities?.get(component.value.quantity) ?? 0n);
        break;
      case 'tier': {
        const quantity = usage.quantities?.get(component.value.quantity) ?? 0n;
        const fits = ({ upTo }: { upTo?: bigint | undefined }) =>
          upTo === undefined || quantity <= upTo;
        unit += component.value.tiers.find(fits)?.credits ?? 0n;
        break;
      }
      case 'attribute': {
        const { attribute, credits } = component.value;
        unit += credits.get(usage.attributes?.get(attribute) ?? '') ?? 0n;
        break;
      }
      default:
        throw new Error(`no arithmetic for component ${label} of ${usage.operation}`);
    }
  return unit * usage.count;
}

const BILLION = 1_000_000_000n;
const CENT = BILLION / 100n;

export type Line = {
  readonly tier: number;
  readonly quantity: bigint;
  readonly unitPrice: string;
  readonly amount: bigint;
};

/** The lines of a month's overage. */
export function priceOverage(rates: OverageRates, overage: bigint): readonly Line[] {
  if (rates.currency !== 'USD') throw new Error(`no arithmetic for ${rates.currency}`);
  const line = (tier: number, quantity: bigint): Line => {
    const { unitPrice } = rates.tiers[tier] as OverageRates['tiers'][number];
    return {
      tier: tier + 1,
      quantity,
      unitPrice,
      amount: toCents(quantity * billionths(unitPrice)),
    };
  };
  if (overage === 0n) return [];
  const tops = rates.tiers.map(({ upTo }) => upTo ?? overage);
  const reached = tops.findIndex((top) => overage <= top);
  if (rates.mode === OverageRates_Mode.VOLUME) return [line(reached, overage)];
  return tops.slice(0, reached + 1).map((top, tier) => {
    const below = tier === 0 ? 0n : (tops[tier - 1] ?? 0n);
    return line(tier, (top < overage ? top : overage) - below);
  });
}

export const sumOfLines = (lines: readonly Line[]): bigint =>
  lines.reduce((sum, { amount }) => sum + amount, 0n);

/**
 * The amount due for a month whose overage was refunded in part after its statement: the least that any
 * part of the refunds makes it cost, because a refund must not raise the price.
 */
export function amountDue(rates: OverageRates, overage: bigint, refunded: bigint): bigint {
  const rest = overage - refunded;
  // The least is at the remaining quantity, or at the start of a tier above it.
  const begins = rates.tiers.flatMap(({ upTo }) => (upTo === undefined ? [] : [upTo + 1n]));
  const candidates = [rest, ...begins.filter((begin) => begin > rest && begin <= overage)];
  return candidates
    .map((quantity) => sumOfLines(priceOverage(rates, quantity)))
    .reduce((least, owed) => (owed < least ? owed : least));
}

function billionths(decimal: string): bigint {
  const [whole = '0', fraction = ''] = decimal.split('.');
  return BigInt(whole) * BILLION + BigInt(fraction.padEnd(9, '0'));
}

/** Rounds to cents, half to even; the result is in billionths. */
function toCents(amount: bigint): bigint {
  const cents = amount / CENT;
  const twice = (amount % CENT) * 2n;
  const up = twice > CENT || (twice === CENT && cents % 2n === 1n);
  return (up ? cents + 1n : cents) * CENT;
}

/** E.g. "-12.30". */
export function dollars(amount: bigint): string {
  const cents = (amount < 0n ? -amount : amount) / CENT;
  const sign = amount < 0n ? '-' : '';
  return `${sign}${cents / 100n}.${String(cents % 100n).padStart(2, '0')}`;
}
