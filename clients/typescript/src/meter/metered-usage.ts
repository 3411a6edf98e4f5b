/**
 * What a unit of a meter is to the service: a credit, an operation done once with the same inputs, or one of a
 * quantity of an operation. So a number of units costs the same in one report as in several.
 */
import type { Scrip } from '../connect.ts';
import type { ReserveResponse } from '../gen/billing/v1/billing_service.ts';
import type { Operation, Quantity, Usage } from '../gen/billing/v1/pricing.ts';
import type { DeepPartial } from '../method.ts';

export type MeteredInputs = {
  /** An operation of the account's rate card. Not set: a unit is a credit. */
  readonly operation?: string;
  /** Quantities that are the same in each use. */
  readonly quantities?: Readonly<Record<string, bigint | number>>;
  /** Attributes that are the same in each use. */
  readonly attributes?: Readonly<Record<string, string>>;
  /**
   * The quantity that `tryUse` counts, such as "tokens". Its operation must cost so many credits for each of it, and
   * nothing else. Not set: `tryUse` counts how many times the operation is done.
   */
  readonly quantity?: string;
};

export type Amount =
  | { readonly credits: bigint }
  | { readonly usages: { readonly items: readonly DeepPartial<Usage>[] } };

export type MeteredUsage = {
  /** Credits of a unit. */
  readonly unitCredits: bigint;
  /** Units of one request at most. */
  readonly unitsMax: number;
  readonly amountOf: (units: number) => Amount;
  /** Plan and rate card version that it is for; null: any. */
  readonly ratedBy: { readonly planId: string; readonly rateCardVersion: bigint } | null;
};

export type PricingCalls = {
  readonly billing: Pick<Scrip['billing'], 'estimate'>;
  readonly accounts: Pick<Scrip['accounts'], 'getAccount'>;
  readonly plans: Pick<Scrip['plans'], 'getPlan'>;
};

/** Usages of one request. */
const USAGES_MAX = 1_000;

const CREDITS: MeteredUsage = {
  unitCredits: 1n,
  unitsMax: Number.MAX_SAFE_INTEGER,
  amountOf: (units) => ({ credits: BigInt(units) }),
  ratedBy: null,
};

/**
 * Rejects with the service's error if it cannot price the operation, and with a RangeError if the price is not
 * proportional to the quantity.
 */
export async function meteredUsage(
  calls: PricingCalls,
  accountId: string,
  inputs: MeteredInputs,
): Promise<MeteredUsage> {
  if (inputs.operation === undefined) return CREDITS;
  if (inputs.quantity === undefined) return await byCount(calls, accountId, inputs);
  const { account } = await calls.accounts.getAccount({ accountId });
  return await byQuantity(calls, inputs.quantity, inputs, account?.planId ?? '');
}

/** The same usage as a reservation has it, which may have been made after prices have changed. */
export async function asReserved(
  calls: PricingCalls,
  inputs: MeteredInputs,
  usage: MeteredUsage,
  { reservation, lines }: ReserveResponse,
): Promise<MeteredUsage> {
  const { ratedBy } = usage;
  if (ratedBy === null)
    return { ...usage, unitCredits: lines[0]?.unitCredits ?? usage.unitCredits };
  const { planId = '', rateCardVersion = 0n } = reservation ?? {};
  if (ratedBy.planId === planId && ratedBy.rateCardVersion === rateCardVersion) return usage;
  return await byQuantity(calls, inputs.quantity ?? '', inputs, planId, rateCardVersion);
}

async function byCount(
  { billing }: PricingCalls,
  accountId: string,
  { operation = '', quantities = {}, attributes = {} }: MeteredInputs,
): Promise<MeteredUsage> {
  const itemOf = (count: number) => ({ operation, quantities, attributes, count });
  const { lines } = await billing.estimate({ accountId, usages: { items: [itemOf(1)] } });
  return {
    unitCredits: lines[0]?.unitCredits ?? 0n,
    unitsMax: Number.MAX_SAFE_INTEGER,
    amountOf: (units) => ({ usages: { items: units > 0 ? [itemOf(units)] : [] } }),
    ratedBy: null,
  };
}

/** `version`: of the rate card. Not set: the one in force. */
async function byQuantity(
  { plans }: PricingCalls,
  quantity: string,
  { operation = '', quantities = {}, attributes = {} }: MeteredInputs,
  planId: string,
  version?: bigint,
): Promise<MeteredUsage> {
  const { rateCard } = await plans.getPlan({
    planId,
    ...(version !== undefined && { rateCardVersion: version }),
  });
  const priced = rateCard?.operations.find((one) => one.operation === operation);
  const limits = priced?.quantities.find(({ name }) => name === quantity);
  if (!priced)
    throw new RangeError(`the rate card of plan ${planId} has no operation ${operation}`);
  if (!limits) throw new RangeError(`${operation} has no quantity ${quantity}`);
  const max = Number(limits.max);
  return {
    unitCredits: unitCreditsOf(priced, limits),
    unitsMax: Math.min(max * USAGES_MAX, Number.MAX_SAFE_INTEGER),
    amountOf: (units) => ({
      usages: {
        items: partsOf(units, max).map((part) => ({
          operation,
          quantities: { ...quantities, [quantity]: part },
          attributes,
        })),
      },
    }),
    ratedBy: { planId, rateCardVersion: rateCard?.version ?? 0n },
  };
}

/** Throws unless the operation costs only so much for each of the quantity. */
export function unitCreditsOf(operation: Operation, { name, min }: Quantity): bigint {
  let credits = 0n;
  for (const { label, component } of operation.components)
    if (component?.$case === 'perUnit' && component.value.quantity === name)
      credits += component.value.credits;
    else if (!(component?.$case === 'flat' && component.value === 0n))
      throw new RangeError(
        `${operation.operation} cannot be metered by ${name}: its price has the part "${label}", which is not so much for each of it; meter how many times it is done, or credits`,
      );
  if (min > 1n)
    throw new RangeError(
      `${operation.operation} cannot be metered by ${name}: a report may have less than its least value, ${min}`,
    );
  return credits;
}

/** As few parts as possible, each at most `max`. */
export function partsOf(units: number, max: number): readonly number[] {
  const whole = Array.from({ length: Math.floor(units / max) }, () => max);
  return units % max > 0 ? [...whole, units % max] : whole;
}
