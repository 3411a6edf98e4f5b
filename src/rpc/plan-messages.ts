/** Plans, packs and rate cards as messages of the protos. */
import {
  Allowance_Period,
  type Operation as OperationMessage,
  type Pack as PackMessage,
  type Plan as PlanMessage,
  type PriceComponent as PriceComponentMessage,
  type RateCard as RateCardMessage,
  type Terms as TermsMessage,
  type Validity as ValidityMessage,
} from '../gen/billing/v1/pricing.ts';
import type { Duration } from '../gen/google/protobuf/duration.ts';
import {
  type Component,
  namedValues,
  type Operation,
  type Pack,
  type Plan,
  type RateCard,
  type Terms,
  type Validity,
} from '../pricing/plan.ts';

const duration = (ms: number): Duration => ({
  seconds: BigInt(Math.floor(ms / 1_000)),
  nanos: (ms % 1_000) * 1_000_000,
});

function validityMessage(validity: Validity): ValidityMessage | undefined {
  if (validity === null) return undefined;
  return 'months' in validity
    ? { length: { $case: 'months', value: validity.months } }
    : { length: { $case: 'days', value: validity.days } };
}

export const packMessage = (pack: Pack): PackMessage => ({
  packId: pack.packId,
  title: pack.title,
  credits: pack.credits,
  price: pack.price,
  validity: validityMessage(pack.validity),
});

const termsMessage = (terms: Terms): TermsMessage => ({
  welcome: terms.welcome
    ? { credits: terms.welcome.credits, validity: validityMessage(terms.welcome.validity) }
    : undefined,
  allowance: terms.allowance
    ? { credits: terms.allowance.credits, period: Allowance_Period.MONTH }
    : undefined,
  overageLimit: terms.overage?.limit,
  lowBalanceThreshold: terms.lowBalanceThreshold,
  pauseFloor: terms.pauseFloor,
  reservationTtl: duration(terms.reservation.ttlMs),
  reservationMaxTtl: duration(terms.reservation.maxTtlMs),
  lateCommitGrace: duration(terms.reservation.graceMs),
});

export const planMessage = (plan: Plan): PlanMessage => ({
  planId: plan.planId,
  title: plan.title,
  terms: termsMessage(plan.terms),
  packs: plan.packs.map(packMessage),
  rateCardVersion: BigInt(plan.rateCard.version),
});

export const rateCardMessage = (rateCard: RateCard, createdAt: number): RateCardMessage => ({
  version: BigInt(rateCard.version),
  operations: [...rateCard.operations.values()].map(operationMessage),
  createdAt: new Date(createdAt),
});

const operationMessage = (operation: Operation): OperationMessage => ({
  operation: operation.operation,
  title: operation.title,
  billable: operation.billable,
  quantities: [...operation.quantities.values()].map((quantity) => ({
    name: quantity.name,
    unit: quantity.unit,
    min: quantity.min,
    max: quantity.max,
    defaultValue: quantity.default ?? undefined,
  })),
  attributes: [...operation.attributes.values()].map((attribute) => ({
    name: attribute.name,
    values: [...namedValues(operation, attribute)],
    defaultValue: attribute.default ?? undefined,
  })),
  components: operation.components.map((component) => ({
    label: component.label,
    component: componentMessage(component),
  })),
});

function componentMessage(component: Component): PriceComponentMessage['component'] {
  switch (component.kind) {
    case 'flat':
      return { $case: 'flat', value: component.credits };
    case 'per_unit':
      return {
        $case: 'perUnit',
        value: { quantity: component.quantity, credits: component.credits },
      };
    case 'tier':
      return {
        $case: 'tier',
        value: { quantity: component.quantity, tiers: [...component.steps] },
      };
    case 'attribute':
      return {
        $case: 'attribute',
        value: {
          attribute: component.attribute,
          credits: Object.fromEntries(component.credits),
          defaultCredits: component.default === 'refuse' ? undefined : component.default,
        },
      };
    case 'cel':
      return { $case: 'cel', value: component.expression };
  }
}
