/** Plans and their terms as messages. */
import {
  Allowance_Period,
  Allowance_Rollover,
  type Allowance as AllowanceMessage,
  type CustomAmount as CustomAmountMessage,
  type LowBalanceLevel as LowBalanceLevelMessage,
  OverageRates_Mode,
  type OverageRates as OverageRatesMessage,
  type Plan as PlanMessage,
  Terms_RefundExpired,
  type Terms as TermsMessage,
} from '../../gen/billing/v1/pricing.ts';
import type { CustomAmount } from '../../pricing/custom-amount.ts';
import type { LowBalanceLevel } from '../../pricing/low-balance-level.ts';
import type { OverageRates } from '../../pricing/overage.ts';
import type { Allowance, Terms } from '../../pricing/plan.ts';
import type { PublishedPlan } from '../../pricing/published-plan.ts';
import { UTC } from '../../pricing/time-zone.ts';
import { packMessage, validityMessage } from './pack.ts';
import { durationMessage } from './time.ts';

/** The plan as it is at `now`, with the rate card versions that come into force later. */
export const planMessage = (published: PublishedPlan, now: number): PlanMessage => {
  const { planId, title, terms, packs, customAmounts, rateCard } = published.planAt(now);
  return {
    planId,
    title,
    terms: termsMessage(terms),
    packs: packs.map(packMessage),
    customAmounts: customAmounts.map(customAmountMessage),
    rateCardVersion: BigInt(rateCard.version),
    upcomingRateCards: published.upcomingAt(now).map(({ version, effectiveAt }) => ({
      version: BigInt(version),
      effectiveAt: new Date(effectiveAt),
    })),
  };
};

const termsMessage = (terms: Terms): TermsMessage => ({
  welcome: terms.welcome
    ? { credits: terms.welcome.credits, validity: validityMessage(terms.welcome.validity) }
    : undefined,
  allowance: terms.allowance ? allowanceMessage(terms.allowance) : undefined,
  overageLimit: terms.overage?.limit,
  overageRates: terms.overage?.rates ? overageRatesMessage(terms.overage.rates) : undefined,
  lowBalanceLevels: terms.lowBalanceLevels.map(levelMessage),
  pauseFloor: terms.pauseFloor,
  reservationTtl: durationMessage(terms.reservation.ttlMs),
  reservationMaxTtl: durationMessage(terms.reservation.maxTtlMs),
  lateCommitGrace: durationMessage(terms.reservation.graceMs),
  refundExpired: REFUND_EXPIRED[terms.refundExpired],
  payOwed: terms.payOwed,
  lateUsage: terms.lateUsageMs > 0 ? durationMessage(terms.lateUsageMs) : undefined,
  expiringNotice: durationMessage(terms.expiringNoticeMs),
  timeZone: terms.timeZone ?? UTC,
});

export const levelMessage = (level: LowBalanceLevel): LowBalanceLevelMessage => ({
  credits: 'credits' in level ? level.credits : undefined,
  percent: 'percent' in level ? level.percent : undefined,
});

const REFUND_EXPIRED = {
  breakage: Terms_RefundExpired.BREAKAGE,
  new_grant: Terms_RefundExpired.NEW_GRANT,
};

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

export const customAmountMessage = (amount: CustomAmount): CustomAmountMessage => ({
  packId: amount.packId,
  title: amount.title,
  minimum: amount.min,
  maximum: amount.max,
  rates: overageRatesMessage(amount.rates),
  validity: validityMessage(amount.validity),
});

export const overageRatesMessage = ({
  mode,
  currency,
  tiers,
}: OverageRates): OverageRatesMessage => ({
  mode: mode === 'volume' ? OverageRates_Mode.VOLUME : OverageRates_Mode.GRADUATED,
  currency,
  tiers: tiers.map(({ upTo, unitPrice }) => ({ upTo: upTo ?? undefined, unitPrice })),
});
