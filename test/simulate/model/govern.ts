/** Accounts, grants by hand and offered packs. */

import { Entry_Kind, Grant_Category, Grant_Source } from '../../../src/gen/billing/v1/ledger.ts';
import type { LowBalanceLevel } from '../../../src/gen/billing/v1/pricing.ts';
import { type Level, OPERATIONS, PLANS } from '../plans.ts';
import { endOf, periodAt } from './calendar.ts';
import { closed, type Deciding } from './deciding.ts';
import { addGrant, everyOf, startPeriod, syncTerms } from './due.ts';
import { accountOf, balanceOf, grantOf } from './messages.ts';
import { Refusal } from './refusal.ts';
import type { First, RequestOf } from './requests.ts';
import type { AccountState } from './state.ts';

export function openAccount(
  state: AccountState,
  request: RequestOf<'openAccount'>,
  { now, author }: Deciding,
): First<'openAccount'> | Refusal {
  const plan = PLANS.find(({ planId }) => planId === request.planId);
  if (!plan) return new Refusal('PLAN_NOT_FOUND', { plan_id: request.planId });
  const { displayName, labels } = request;
  Object.assign(state, { planId: plan.planId, displayName, labels });
  Object.assign(state, { openedAt: now, startedAt: now, lastAt: now });
  const { timeZone } = request;
  if (timeZone !== '' && timeZone !== 'UTC') state.timeZones = [{ zone: timeZone, at: now }];
  const details = [
    ...(displayName === '' ? [] : [['display_name', displayName] as const]),
    ...(state.timeZones ? [['time_zone', timeZone] as const] : []),
  ];
  const entry = state.post(
    Entry_Kind.OPEN_ACCOUNT,
    now,
    { labels, details: new Map(details) },
    author,
  );
  if (plan.welcome) {
    const { credits, validity } = plan.welcome;
    addGrant(
      state,
      {
        amount: BigInt(credits),
        category: Grant_Category.PROMOTIONAL,
        effectiveAt: now,
        expiresAt: endOf(validity, now),
        source: Grant_Source.WELCOME,
        sourceReference: '',
      },
      now,
      { labels },
      author,
    );
  }
  if (plan.allowance) {
    state.allowanceDueAt = periodAt(state.timeZones, everyOf(state, plan.allowance), now).from;
    startPeriod(state, now, author);
  }
  // Opening an account crosses no level.
  state.remainingSeen = state.remaining;
  return { account: accountOf(state), balance: balanceOf(state, now), entrySeq: entry.seq };
}

const toLevels = (levels: readonly LowBalanceLevel[]): readonly Level[] =>
  levels.map(({ credits, percent }) =>
    percent === undefined ? Number(credits) : (`${percent}%` as const),
  );

const textOf = (labels: ReadonlyMap<string, string>): string =>
  JSON.stringify([...labels].sort(([a], [b]) => (a < b ? -1 : 1)));

const zoneOf = ({ timeZones }: AccountState): string => timeZones?.at(-1)?.zone ?? 'UTC';

const settingsOf = (state: AccountState) => ({
  display_name: state.displayName,
  labels: textOf(state.labels),
  time_zone: zoneOf(state),
  low_balance_levels: state.ownLevels === null ? 'plan' : state.ownLevels.join(','),
  pause_floor: state.ownFloor === null ? 'plan' : `${state.ownFloor}`,
});

export function updateAccount(
  state: AccountState,
  request: RequestOf<'updateAccount'>,
  { now, author }: Deciding,
): First<'updateAccount'> | Refusal {
  if (!state.isOpen) return closed(state);
  const before = settingsOf(state);
  state.displayName = request.displayName ?? state.displayName;
  if (request.labels) state.labels = request.labels.labels;
  if (request.lowBalanceLevels) {
    const { own } = request.lowBalanceLevels;
    state.ownLevels = own ? toLevels(own.levels) : null;
  }
  const { timeZone } = request;
  if (timeZone !== '' && timeZone !== zoneOf(state)) {
    const before = state.timeZones ?? [{ zone: 'UTC', at: state.openedAt }];
    state.timeZones = [...before, { zone: timeZone, at: now }];
  }
  if (request.pauseFloor) state.ownFloor = request.pauseFloor.credits ?? null;
  const after = settingsOf(state);
  const changed = Object.entries(after).filter(
    ([name, text]) => text !== before[name as keyof typeof before],
  );
  if (changed.length === 0) return { account: accountOf(state), entrySeq: 0n };
  const names = changed.map(([name]) => name);
  if (names.includes('low_balance_levels')) state.low ??= [];
  const details = new Map(changed);
  const hasLabels = names.includes('labels');
  if (hasLabels) details.set('labels', `${state.labels.size}`);
  const entry = state.post(
    Entry_Kind.UPDATE_ACCOUNT,
    now,
    { details, ...(hasLabels && { labels: state.labels }) },
    author,
  );
  return { account: accountOf(state), entrySeq: entry.seq };
}

export function closeAccount(
  state: AccountState,
  { now, author }: Deciding,
): First<'closeAccount'> {
  let entrySeq = 0n;
  if (state.isOpen) {
    state.isOpen = false;
    state.closedAt = now;
    entrySeq = state.post(Entry_Kind.CLOSE_ACCOUNT, now, {}, author).seq;
  }
  return { account: accountOf(state), balance: balanceOf(state, now), entrySeq };
}

export function moveAccount(
  state: AccountState,
  request: RequestOf<'moveAccount'>,
  { now, author }: Deciding,
): First<'moveAccount'> | Refusal {
  if (!state.isOpen) return closed(state);
  const { planId, reference, labels, reason } = request;
  const plan = PLANS.find((candidate) => candidate.planId === planId);
  if (!plan) return new Refusal('PLAN_NOT_FOUND', { plan_id: planId });
  const previousPlanId = state.planId;
  let entrySeq = 0n;
  if (planId !== previousPlanId) {
    if (!plan.overage && state.overageReserved > 0n)
      return new Refusal('OVERAGE_RESERVED', { reserved: state.overageReserved });
    state.planId = planId;
    syncTerms(state, now);
    const details = new Map([['reason', reason]]);
    const draft = { previousPlanId, reference, labels, details };
    entrySeq = state.post(Entry_Kind.PLAN_CHANGE, now, draft, author).seq;
  }
  return { account: accountOf(state), balance: balanceOf(state, now), entrySeq };
}

export function grantCredits(
  state: AccountState,
  request: RequestOf<'grantCredits'>,
  { now, author }: Deciding,
): First<'grantCredits'> | Refusal {
  if (!state.isOpen) return closed(state);
  const effectiveAt = Math.max(now, request.effectiveAt?.getTime() ?? now);
  const expiresAt = request.expiresAt?.getTime() ?? null;
  if (expiresAt !== null && expiresAt <= effectiveAt) return new Refusal('INVALID_FIELD');
  const operations = (request.onlyFor?.operations ?? []).toSorted();
  const unknown = operations.find((name) => !OPERATIONS[name]);
  if (unknown) return new Refusal('UNKNOWN_OPERATION', { operation: unknown });
  const { reference, labels, credits, category, reason } = request;
  // What it pays of what is owed is an entry after it.
  const entrySeq = state.seq + 1n;
  const grant = addGrant(
    state,
    {
      ...{ amount: credits, category, effectiveAt, expiresAt, operations },
      priority: request.priority ?? 50,
      source: Grant_Source.OPERATOR,
      sourceReference: reference,
    },
    now,
    { reference, labels, details: new Map([['reason', reason]]) },
    author,
  );
  return { grant: grantOf(grant, now), balance: balanceOf(state, now), entrySeq };
}
