/** Rate cards, their operations and the components of prices as messages. */
import type {
  Operation as OperationMessage,
  PriceComponent as PriceComponentMessage,
  RateCard as RateCardMessage,
} from '../../gen/billing/v1/pricing.ts';
import { type Component, knownValues, type Operation, type RateCard } from '../../pricing/plan.ts';
import type { DatedVersion } from '../../pricing/published-plan.ts';

export const rateCardMessage = (rateCard: RateCard, dated: DatedVersion): RateCardMessage => ({
  version: BigInt(rateCard.version),
  operations: [...rateCard.operations.values()].map(operationMessage),
  createdAt: new Date(dated.createdAt),
  effectiveAt: new Date(dated.effectiveAt),
  withdrawn: dated.withdrawn,
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
    values: [...knownValues(operation, attribute)],
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
          credits: new Map(component.credits),
          defaultCredits: component.default === 'refuse' ? undefined : component.default,
        },
      };
    case 'cel':
      return { $case: 'cel', value: component.expression };
  }
}
