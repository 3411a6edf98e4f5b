/** Plans, packs and rate cards as messages of the protos. */
import {
  Allowance_Period,
  Allowance_Rollover,
  type Allowance as AllowanceMessage,
  type Operation as OperationMessage,
  OverageRates_Mode,
  type Pack as PackMessage,
  type Plan as PlanMessage,
  type PriceComponent as PriceComponentMessage,
  type RateCard as RateCardMessage,
  type OverageRates as RatesMessage,
  Terms_RefundExpired,
  type Terms as TermsMessage,
  type Validity as ValidityMessage,
} from '../../gen/billing/v1/pricing.ts';
import type { Duration } from '../../gen/google/protobuf/duration.ts';
import type { OverageRates } from '../../pricing/overage.ts';
import {
  type Allowance,
  type Component,
  namedValues,
  type Operation,
  type Pack,
  type RateCard,
  type Terms,
  type Validity,
} from '../../pricing/plan.ts';
import type { DatedVersion, PublishedPlan } from '../../pricing/published-plan.ts';

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

const allowanceMessage = ({ credits, every, rollover }: Allowance): AllowanceMessage => ({
  credits,
  period: every === 'month' ? Allowance_Period.MONTH : Allowance_Period.LENGTH,
  length: every === 'month' ? undefined : validityMessage(every),
  rollover:
    typeof rollover !== 'string'
      ? Allowance_Rollover.UP_TO
      : { none: Allowance_Rollover.NONE, all: Allowance_Rollover.ALL }[rollover],
  rolloverUpTo: typeof rollover === 'string' ? 0n : rollover.upTo,
});

const REFUND_EXPIRED = {
  breakage: Terms_RefundExpired.BREAKAGE,
  new_grant: Terms_RefundExpired.NEW_GRANT,
};

export const overageRatesMessage = ({ mode, currency, tiers }: OverageRates): RatesMessage => ({
  mode: mode === 'volume' ? OverageRates_Mode.VOLUME : OverageRates_Mode.GRADUATED,
  currency,
  tiers: tiers.map(({ upTo, unitPrice }) => ({ upTo: upTo ?? undefined, unitPrice })),
});

const termsMessage = (terms: Terms): TermsMessage => ({
  welcome: terms.welcome
    ? { credits: terms.welcome.credits, validity: validityMessage(terms.welcome.validity) }
    : undefined,
  allowance: terms.allowance ? allowanceMessage(terms.allowance) : undefined,
  overageLimit: terms.overage?.limit,
  overageRates: terms.overage?.rates ? overageRatesMessage(terms.overage.rates) : undefined,
  lowBalanceThreshold: terms.lowBalanceThreshold,
  pauseFloor: terms.pauseFloor,
  reservationTtl: duration(terms.reservation.ttlMs),
  reservationMaxTtl: duration(terms.reservation.maxTtlMs),
  lateCommitGrace: duration(terms.reservation.graceMs),
  refundExpired: REFUND_EXPIRED[terms.refundExpired],
  expiringNotice: duration(terms.expiringNoticeMs),
});

export const planMessage = (published: PublishedPlan, now: number): PlanMessage => {
  const { planId, title, terms, packs, rateCard } = published.at(now);
  return {
    planId,
    title,
    terms: termsMessage(terms),
    packs: packs.map(packMessage),
    rateCardVersion: BigInt(rateCard.version),
    upcomingRateCards: published.upcomingAt(now).map(({ version, effectiveAt }) => ({
      version: BigInt(version),
      effectiveAt: new Date(effectiveAt),
    })),
  };
};

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
