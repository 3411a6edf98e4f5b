/** Makes the request of an import: its dates count back from when it is made. */
import { ImportAccountRequest } from '../../src/gen/billing/v1/account_service.ts';
import { type Grant_Category, Grant_Source } from '../../src/gen/billing/v1/ledger.ts';
import type { ImportedGrantSpec, ImportedPurchaseSpec, ImportSpec } from './import-spec.ts';
import { type ModelZones, monthOf, periodAt } from './model/calendar.ts';
import { everyOf } from './model/due.ts';
import { PLANS } from './plans.ts';

type Opened = { readonly openedAt: number; readonly timeZones: ModelZones };

type Common = {
  readonly accountId: string;
  readonly requestId: string;
  readonly notAfter: Date | undefined;
};

export function importOf(spec: ImportSpec, common: Common, now: number): ImportAccountRequest {
  const { plan: planId, name: displayName, timeZone = '', month, reference } = spec;
  const openedAt = now - spec.openedAgoMs;
  const timeZones = timeZone === '' ? null : [{ zone: timeZone, at: openedAt }];
  return ImportAccountRequest.fromPartial({
    ...common,
    ...{ planId, displayName, timeZone, reference, system: 'before' },
    labels: displayName === '' ? new Map() : new Map([['team', 't1']]),
    openedAt: new Date(openedAt),
    grants: spec.grants.map((grant) => grantOf(grant, planId, { openedAt, timeZones }, now)),
    purchases: spec.purchases.map((purchase) => purchaseOf(purchase, now)),
    month: month && {
      month: month.name ?? monthOf(timeZones, now),
      overage: BigInt(month.overage),
      usage: month.usage.map(({ operation, count, credits }) => ({
        operation,
        count: BigInt(count),
        credits: BigInt(credits),
      })),
    },
  });
}

/** The request id of imports that only validate. */
export const TRIAL = 'trial';

/** The request of one that only validates. */
export const trialOf = (
  spec: ImportSpec,
  accountId: string,
  now: number,
): ImportAccountRequest => ({
  ...importOf(spec, { accountId, requestId: TRIAL, notAfter: undefined }, now),
  validateOnly: true,
});

type Spent = Pick<ImportedGrantSpec, 'credits' | 'spent' | 'spentThisMonth'>;

const spentOf = ({ credits, spent, spentThisMonth }: Spent) => ({
  credits: BigInt(credits),
  spent: BigInt(spent),
  spentThisMonth: BigInt(spentThisMonth),
});

function grantOf(spec: ImportedGrantSpec, planId: string, opened: Opened, now: number) {
  const { source, category, agoMs, lastsMs, priority, onlyFor, reference = '' } = spec;
  const allowance = PLANS.find((plan) => plan.planId === planId)?.allowance;
  const effectiveAt =
    source === Grant_Source.ALLOWANCE && allowance
      ? periodAt(opened.timeZones, everyOf(opened, allowance), now - agoMs).from
      : now - agoMs;
  return {
    ...{ source: source as Grant_Source, category: category as Grant_Category, reference },
    ...spentOf(spec),
    effectiveAt: new Date(effectiveAt),
    ...(lastsMs !== undefined && { expiresAt: new Date(effectiveAt + lastsMs) }),
    ...(priority !== undefined && { priority }),
    ...(onlyFor && { onlyFor: { operations: [...onlyFor] } }),
  };
}

function purchaseOf(spec: ImportedPurchaseSpec, now: number) {
  const { pack: packId, quantity, price, agoMs, lastsMs, reference } = spec;
  const paidAt = now - agoMs;
  return {
    ...{ packId, quantity, paymentReference: reference },
    ...spentOf(spec),
    price: { currency: 'USD', amount: price },
    paidAt: new Date(paidAt),
    ...(lastsMs !== undefined && {
      expiry: lastsMs === null ? {} : { expiresAt: new Date(paidAt + lastsMs) },
    }),
  };
}
