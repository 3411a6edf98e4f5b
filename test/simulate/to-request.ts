/** Makes requests of their specifications. */
import {
  CloseAccountRequest,
  GrantCreditsRequest,
  MoveAccountRequest,
  OfferPackRequest,
  OpenAccountRequest,
  ResumeAccountRequest,
  type RunningWork,
  SetShadowModeRequest,
  SuspendAccountRequest,
  UpdateAccountRequest,
  UpdateGrantRequest,
  VoidGrantRequest,
  type VoidGrantRequest_Returned,
  WithdrawPackRequest,
} from '../../src/gen/billing/v1/account_service.ts';
import {
  ChargeRequest,
  CommitRequest,
  ExtendReservationRequest,
  PurchaseRequest,
  RaiseReservationRequest,
  RefundRequest,
  ReleaseRequest,
  ReserveRequest,
} from '../../src/gen/billing/v1/billing_service.ts';
import {
  type Budget,
  type BudgetEnforcement,
  type BudgetPeriod,
  RemoveBudgetRequest,
  SetBudgetRequest,
} from '../../src/gen/billing/v1/budget.ts';
import { Criticality, type Grant_Category } from '../../src/gen/billing/v1/ledger.ts';
import type { Usages } from '../../src/gen/billing/v1/pricing.ts';
import type { Request } from './model/requests.ts';
import { importOf } from './to-import.ts';
import type { AmountSpec, RequestSpec, UsageSpec } from './trace.ts';

export const toUsages = (items: readonly UsageSpec[]): Usages => ({
  items: items.map(({ operation, quantities, count }) => ({
    operation,
    quantities: new Map(Object.entries(quantities).map(([name, value]) => [name, BigInt(value)])),
    attributes: new Map(),
    count: BigInt(count),
  })),
});

/** `all` means as much as can be asked for without it, where it is not taken. */
function amountOf(amount: AmountSpec) {
  if ('all' in amount) return { credits: 1n };
  return 'credits' in amount
    ? { credits: BigInt(amount.credits) }
    : { usages: toUsages(amount.usages) };
}

const commitAmount = (amount: AmountSpec) => ('all' in amount ? { all: true } : amountOf(amount));

const durationOf = (ms: number) => ({
  seconds: BigInt(Math.floor(ms / 1_000)),
  nanos: (ms % 1_000) * 1_000_000,
});

const CHECKOUT = { successUrl: 'https://shop.example/ok', cancelUrl: 'https://shop.example/no' };

export type Named = { readonly accountId: string; readonly requestId: string };

/** What steps before have made. Null: the step failed, or is not part of the trace. */
export type Made = {
  readonly reservationOf: (step: number) => string | null;
  readonly seqOf: (step: number) => bigint | null;
};

/** Null if it names something that does not exist. */
export function toRequest(
  spec: RequestSpec,
  named: Named,
  now: number,
  made: Made,
): Request | null {
  const { notAfterMs } = spec;
  const common = {
    ...named,
    notAfter: notAfterMs === undefined ? undefined : new Date(now + notAfterMs),
  };
  const why = { reason: `for ${named.requestId}` };
  const reservationId = 'of' in spec && spec.do !== 'refund' ? made.reservationOf(spec.of) : '';
  if (reservationId === null) return null;
  switch (spec.do) {
    case 'open': {
      const { plan: planId, name: displayName, timeZone = '' } = spec;
      const fields = { ...common, planId, displayName, timeZone };
      const value = OpenAccountRequest.fromPartial(fields);
      return { $case: 'openAccount', value };
    }
    case 'import':
      return { $case: 'importAccount', value: importOf(spec, common, now) };
    case 'update': {
      const value = UpdateAccountRequest.fromPartial({ ...common, ...settingsOf(spec) });
      return { $case: 'updateAccount', value };
    }
    case 'close':
      return { $case: 'closeAccount', value: CloseAccountRequest.fromPartial(common) };
    case 'suspend': {
      const fields = { ...common, ...why, running: spec.running as RunningWork };
      return { $case: 'suspendAccount', value: SuspendAccountRequest.fromPartial(fields) };
    }
    case 'resume': {
      const value = ResumeAccountRequest.fromPartial({ ...common, ...why });
      return { $case: 'resumeAccount', value };
    }
    case 'shadow': {
      const value = SetShadowModeRequest.fromPartial({ ...common, ...why, enabled: spec.enabled });
      return { $case: 'setShadowMode', value };
    }
    case 'move': {
      const value = MoveAccountRequest.fromPartial({ ...common, ...why, planId: spec.plan });
      return { $case: 'moveAccount', value };
    }
    case 'set budget': {
      const value = SetBudgetRequest.fromPartial({ ...common, ...why, budget: budgetOf(spec) });
      return { $case: 'setBudget', value };
    }
    case 'remove budget': {
      const fields = { ...common, ...why, budgetId: spec.budget };
      return { $case: 'removeBudget', value: RemoveBudgetRequest.fromPartial(fields) };
    }
    case 'grant':
      return { $case: 'grantCredits', value: grantOf(spec, { ...common, ...why }, now) };
    case 'change':
      return {
        $case: 'updateGrant',
        value: changeOf(spec, { ...common, ...why }, now),
      };
    case 'void': {
      const { grant, credits, returned } = spec;
      const amount = credits === null ? { all: true } : { credits: BigInt(credits) };
      const named = { ...common, ...why, grantId: BigInt(grant) };
      const fields = { ...named, ...amount, returned: returned as VoidGrantRequest_Returned };
      return { $case: 'voidGrant', value: VoidGrantRequest.fromPartial(fields) };
    }
    case 'offer': {
      const { pack: packId, credits, days } = spec;
      const pack = {
        packId,
        title: `Pack ${packId}`,
        credits: BigInt(credits),
        price: { currency: 'USD', amount: '7.50' },
        validity:
          days === undefined ? undefined : { length: { $case: 'days', value: days } as const },
      };
      return { $case: 'offerPack', value: OfferPackRequest.fromPartial({ ...common, pack }) };
    }
    case 'withdraw': {
      const value = WithdrawPackRequest.fromPartial({ ...common, packId: spec.pack });
      return { $case: 'withdrawPack', value };
    }
    case 'buy': {
      const payment = { $case: 'paymentReference', value: spec.reference } as const;
      const { pack: packId, quantity } = spec;
      const value = PurchaseRequest.fromPartial({ ...common, packId, quantity, payment });
      return { $case: 'purchase', value };
    }
    case 'checkout': {
      const value = PurchaseRequest.fromPartial({
        ...common,
        packId: spec.pack,
        quantity: spec.quantity,
        payment: { $case: 'checkout', value: CHECKOUT },
      });
      return { $case: 'purchase', value };
    }
    case 'reserve': {
      const { amount, ttlMs, policy, sheddable, reference } = spec;
      const value = ReserveRequest.fromPartial({
        ...common,
        ...labelsOf(spec),
        ...amountOf(amount),
        ttl: ttlMs === undefined ? undefined : durationOf(ttlMs),
        overCommitPolicy: policy as ReserveRequest['overCommitPolicy'],
        criticality: sheddable ? Criticality.SHEDDABLE : Criticality.UNSPECIFIED,
        reference,
        ...usedAtOf(spec, now),
      });
      return { $case: 'reserve', value };
    }
    case 'charge': {
      const { amount, sheddable, reference } = spec;
      const value = ChargeRequest.fromPartial({
        ...common,
        ...labelsOf(spec),
        ...amountOf(amount),
        criticality: sheddable ? Criticality.SHEDDABLE : Criticality.UNSPECIFIED,
        reference,
        ...usedAtOf(spec, now),
      });
      return { $case: 'charge', value };
    }
    case 'raise': {
      const fields = { ...common, reservationId, ...amountOf(spec.amount) };
      return { $case: 'raiseReservation', value: RaiseReservationRequest.fromPartial(fields) };
    }
    case 'extend': {
      const fields = { ...common, reservationId, ttl: durationOf(spec.ttlMs) };
      return { $case: 'extendReservation', value: ExtendReservationRequest.fromPartial(fields) };
    }
    case 'commit': {
      const { amount, final } = spec;
      const fields = { ...common, reservationId, ...commitAmount(amount), final };
      return { $case: 'commit', value: CommitRequest.fromPartial(fields) };
    }
    case 'release':
      return {
        $case: 'release',
        value: ReleaseRequest.fromPartial({ ...common, reservationId }),
      };
    case 'refund': {
      const seq = made.seqOf(spec.of);
      if (seq === null) return null;
      const { credits, reference } = spec;
      const amount = credits === null ? { all: true } : { credits: BigInt(credits) };
      const value = RefundRequest.fromPartial({ ...common, ...why, seq, ...amount, reference });
      return { $case: 'refund', value };
    }
  }
}

const labelsOf = ({ user }: { readonly user?: string }) =>
  user === undefined ? {} : { labels: new Map([['user', user]]) };

const budgetOf = ({
  budget: budgetId,
  dimension,
  value,
  credits,
  period,
  enforcement,
  exceptions,
}: Extract<RequestSpec, { do: 'set budget' }>): Budget => ({
  budgetId,
  dimension: dimension ? { $case: dimension, value: true } : { $case: 'label', value: 'user' },
  value,
  credits: BigInt(credits),
  period: period as BudgetPeriod,
  enforcement: enforcement as BudgetEnforcement,
  exceptions: Object.entries(exceptions).map(([value, cap]) => ({
    value,
    cap:
      cap === null ? { $case: 'unlimited', value: true } : { $case: 'credits', value: BigInt(cap) },
  })),
});

const usedAtOf = ({ usedMs }: { readonly usedMs?: number }, now: number) =>
  usedMs === undefined ? {} : { usedAt: new Date(now - usedMs) };

function settingsOf({
  name,
  labels,
  levels,
  floor,
  timeZone,
}: Extract<RequestSpec, { do: 'update' }>) {
  const levelOf = (level: number | `${number}%`) =>
    typeof level === 'number'
      ? { credits: BigInt(level) }
      : { percent: Number.parseInt(level, 10) };
  return {
    ...(name !== undefined && { displayName: name }),
    ...(timeZone !== undefined && { timeZone }),
    ...(labels && { labels: { labels: new Map(Object.entries(labels)) } }),
    ...(levels !== undefined && {
      lowBalanceLevels: levels === null ? {} : { own: { levels: levels.map(levelOf) } },
    }),
    ...(floor !== undefined && { pauseFloor: floor === null ? {} : { credits: BigInt(floor) } }),
  };
}

function changeOf(
  { grant, priority, expiresInMs, onlyFor }: Extract<RequestSpec, { do: 'change' }>,
  common: Named & { notAfter: Date | undefined; reason: string },
  now: number,
): UpdateGrantRequest {
  return UpdateGrantRequest.fromPartial({
    ...common,
    grantId: BigInt(grant),
    ...(priority !== undefined && { priority }),
    ...(expiresInMs !== undefined && {
      expiry: expiresInMs === null ? {} : { expiresAt: new Date(now + expiresInMs) },
    }),
    ...(onlyFor !== undefined && {
      operations: onlyFor === null ? {} : { onlyFor: { operations: [...onlyFor] } },
    }),
  });
}

function grantOf(
  spec: Extract<RequestSpec, { do: 'grant' }>,
  common: Named & { notAfter: Date | undefined; reason: string },
  now: number,
): GrantCreditsRequest {
  const { credits, category, priority, effectiveInMs, expiresInMs, onlyFor } = spec;
  return GrantCreditsRequest.fromPartial({
    ...common,
    credits: BigInt(credits),
    category: category as Grant_Category,
    ...(priority !== undefined && { priority }),
    ...(effectiveInMs !== undefined && { effectiveAt: new Date(now + effectiveInMs) }),
    ...(expiresInMs !== undefined && { expiresAt: new Date(now + expiresInMs) }),
    ...(onlyFor && { onlyFor: { operations: [...onlyFor] } }),
  });
}
