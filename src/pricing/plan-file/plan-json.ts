/**
 * Rate cards and terms as JSON, to be stored and read back years later. The form is that of the sections
 * of a plan file, read by the same schemas, with whole numbers as decimal text. It is canonical: equal
 * content gives equal text. PostgreSQL's jsonb reorders keys, so compare values that were read back
 * through these functions, not the stored text.
 */
import { z } from 'zod';
import { levelName } from '../low-balance-level.ts';
import { formatMoney } from '../money.ts';
import type {
  Attribute,
  Component,
  Operation,
  PlanTerms,
  Quantity,
  RateCard,
  Terms,
} from '../plan.ts';
import { allowanceToJson } from './allowance-schema.ts';
import { customAmountsSchema, customAmountToJson } from './custom-amount-schema.ts';
import { formatDuration } from './duration.ts';
import { overageRatesToJson } from './overage-schema.ts';
import { operationsSchema } from './rate-card-schema.ts';
import { jsonIntegers, text } from './scalar-schemas.ts';
import { packsSchema, termsSchema } from './terms-schema.ts';
import { formatPath, validate } from './validation-error.ts';
import { formatValidity } from './validity.ts';

export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json };

/** A rate card without its version, which has a column of its own. */
export function rateCardToJson(rateCard: RateCard): Json {
  return { operations: sortedByKey(rateCard.operations, operationToJson) };
}

/** The rate card of parsed JSON. Throws if it is invalid. */
export function rateCardFromJson(json: unknown, version: number): RateCard {
  return { version, operations: readStored(storedRateCard, json).operations };
}

/** Whether two rate cards have the same prices, whatever their versions. */
export function sameRateCard(a: RateCard, b: RateCard): boolean {
  return JSON.stringify(rateCardToJson(a)) === JSON.stringify(rateCardToJson(b));
}

/** The plan's title, terms and packs. */
export function planTermsToJson({ title, terms, packs, customAmounts }: PlanTerms): Json {
  return {
    title,
    terms: {
      welcome: terms.welcome && {
        credits: `${terms.welcome.credits}`,
        validity: formatValidity(terms.welcome.validity),
      },
      allowance: terms.allowance && allowanceToJson(terms.allowance),
      overage: terms.overage && overageToJson(terms.overage),
      low_balance_levels: terms.lowBalanceLevels.map(levelName),
      pause_floor: `${terms.pauseFloor}`,
      reservation: {
        ttl: formatDuration(terms.reservation.ttlMs),
        max_ttl: formatDuration(terms.reservation.maxTtlMs),
        grace: formatDuration(terms.reservation.graceMs),
      },
      refund_expired: terms.refundExpired,
      ...(terms.payOwed && { pay_owed: true }),
      ...(terms.lateUsageMs > 0 && { late_usage: formatDuration(terms.lateUsageMs) }),
      expiring_notice: formatDuration(terms.expiringNoticeMs),
      ...(terms.timeZone && { time_zone: terms.timeZone }),
    },
    packs: packs.map(({ packId, title, credits, price, validity }) => ({
      pack_id: packId,
      title,
      credits: `${credits}`,
      price: formatMoney(price),
      validity: formatValidity(validity),
    })),
    ...(customAmounts.length > 0 && { custom_amounts: customAmounts.map(customAmountToJson) }),
  };
}

function overageToJson({ limit, rates }: NonNullable<Terms['overage']>): Json {
  return { limit: `${limit}`, ...(rates && overageRatesToJson(rates)) };
}

/** The title, terms and packs of parsed JSON. Throws if they are invalid. */
export function planTermsFromJson(json: unknown): PlanTerms {
  return readStored(storedTerms, json);
}

const storedRateCard = z.strictObject({ operations: operationsSchema(jsonIntegers) });
const storedTerms = z
  .strictObject({
    title: text,
    terms: termsSchema(jsonIntegers),
    packs: packsSchema(jsonIntegers),
    custom_amounts: customAmountsSchema(jsonIntegers).default([]),
  })
  .transform(({ custom_amounts: customAmounts, ...plan }) => ({ ...plan, customAmounts }));

function readStored<T>(schema: z.ZodType<T>, json: unknown): T {
  const result = validate(schema, json);
  if ('value' in result) return result.value;
  const reasons = result.errors.map(({ path, reason }) => `${formatPath(path)}: ${reason}`);
  throw new Error(`stored pricing cannot be read: ${reasons.join('; ')}`);
}

function operationToJson(operation: Operation): Json {
  return {
    title: operation.title,
    billable: operation.billable,
    quantities: sortedByKey(operation.quantities, quantityToJson),
    attributes: sortedByKey(operation.attributes, attributeToJson),
    components: operation.components.map(componentToJson),
  };
}

function quantityToJson({ title, unit, min, max, default: otherwise }: Quantity): Json {
  const written = otherwise === null ? null : `${otherwise}`;
  return { title, unit, min: `${min}`, max: `${max}`, default: written };
}

function attributeToJson({ title, values, default: otherwise }: Attribute): Json {
  return { title, values, default: otherwise };
}

function componentToJson(component: Component): Json {
  const { kind, label } = component;
  switch (component.kind) {
    case 'flat':
      return { kind, label, credits: `${component.credits}` };
    case 'per_unit':
      return { kind, label, quantity: component.quantity, credits: `${component.credits}` };
    case 'tier': {
      const steps = component.steps.map(({ upTo, credits }) => ({
        up_to: `${upTo}`,
        credits: `${credits}`,
      }));
      return { kind, label, quantity: component.quantity, steps };
    }
    case 'attribute': {
      const credits = sortedByKey(component.credits, (price) => `${price}`);
      return {
        kind,
        label,
        attribute: component.attribute,
        credits,
        default: `${component.default}`,
      };
    }
    case 'cel':
      return { kind, label, expression: component.expression };
  }
}

/** A JSON object with its keys sorted. */
function sortedByKey<T>(map: ReadonlyMap<string, T>, toJson: (value: T) => Json): Json {
  const entries = [...map].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, value]) => [key, toJson(value)]));
}
