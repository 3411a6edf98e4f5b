/** Late usage: how late it may be, and what of allowances returns for it. */
import { Entry_Kind, Grant_Category } from '../../../src/gen/billing/v1/ledger.ts';
import { UNITS } from '../plans.ts';
import { periodAt } from './calendar.ts';
import { Funding, insufficient, overageRoom } from './funding.ts';
import { entriesOf } from './history.ts';
import { Refusal } from './refusal.ts';
import {
  type AccountState,
  type GrantState,
  hasExpired,
  type Need,
  OVERAGE,
  type Part,
  type ReservationState,
  SERVICE,
} from './state.ts';

/** Why usage of then cannot be charged; null: it can, or is of now. */
export function refusalOfLate(
  state: AccountState,
  usedAt: Date | undefined,
  now: number,
): Refusal | null {
  if (!usedAt) return null;
  if (usedAt.getTime() > now) return new Refusal('INVALID_FIELD');
  const { lateDays, planId } = state.plan;
  const told = { used_at: usedAt.toISOString(), plan_id: planId };
  if (lateDays === 0) return new Refusal('LATE_USAGE_NOT_ALLOWED', told);
  const window = lateDays * UNITS.DAY;
  const earliest = Math.max(now - window, state.startedAt, openSince(state, now, window));
  if (usedAt.getTime() >= earliest) return null;
  const limit = new Date(earliest).toISOString();
  return new Refusal('LATE_USAGE_NOT_ALLOWED', { ...told, earliest: limit });
}

/** The month before is open for the plan that it ended under, as long as its window lasts. */
function openSince(state: AccountState, now: number, window: number): number {
  const { from } = periodAt(state.timeZones, 'month', now);
  const isOpen = now < from + window && planBefore(state, from) === state.planId;
  return isOpen ? periodAt(state.timeZones, 'month', from - 1).from : from;
}

/** The plan that the account had right before an instant; null: there was no account. */
function planBefore(state: AccountState, instant: number): string | null {
  for (const { kind, at, planId } of entriesOf(state)) {
    const isOwn = kind === Entry_Kind.OPEN_ACCOUNT || kind === Entry_Kind.PLAN_CHANGE;
    if (isOwn && (at?.getTime() ?? 0) < instant) return planId;
  }
  return null;
}

const canReturn = (grant: GrantState, usedAt: number, now: number): boolean =>
  grant.category === Grant_Category.ALLOWANCE &&
  grant.expired > 0n &&
  grant.effectiveAt <= usedAt &&
  !hasExpired(grant, usedAt) &&
  hasExpired(grant, now);

/** Where late usage is paid from; allowances of its time that have expired come first. */
export function fundLate(
  state: AccountState,
  needs: readonly Need[],
  usedAt: number,
  now: number,
  { holds }: { readonly holds: boolean },
): readonly Part[] | Refusal {
  const funding = new Funding(state, needs);
  const required = funding.missing;
  const returned: Part[] = [];
  for (const grant of state.burnOrder) {
    if (!canReturn(grant, usedAt, now)) continue;
    const credits = funding.pay(grant.grantId, grant.expired);
    if (credits > 0n) returned.push({ grantId: grant.grantId, credits });
  }
  const room = holds ? heldRoom(state, usedAt, now) : overageRoom(state, usedAt);
  const parts = [...returned, ...funding.payFromAvailable(now, [], room)];
  return funding.missing > 0n ? insufficient(state, required, funding.missing) : parts;
}

/** Overage that can be set aside for usage of then: both months must have it. */
function heldRoom(state: AccountState, usedAt: number, now: number): bigint {
  const [then, present] = [overageRoom(state, usedAt), overageRoom(state, now)];
  return then < present ? then : present;
}

/** Overage that a reservation can be raised by. */
export function raiseRoom(state: AccountState, { usedAt }: ReservationState, now: number): bigint {
  const isOfNow = usedAt === null || refusalOfLate(state, new Date(usedAt), now) !== null;
  return isOfNow ? overageRoom(state, now) : heldRoom(state, usedAt, now);
}

/** The entries that return what has expired of the parts. */
export function reinstate(state: AccountState, parts: readonly Part[], usedAt: Date, now: number) {
  for (const { grantId, credits } of parts) {
    if (grantId <= OVERAGE || !hasExpired(state.grant(grantId), now)) continue;
    const { sourceReference } = state.grant(grantId);
    state.post(
      Entry_Kind.REINSTATE,
      now,
      {
        moves: [{ from: 'expired', to: 'available', grantId, credits }],
        credits,
        grantId,
        usedAt,
        reference: sourceReference,
      },
      SERVICE,
    );
  }
}

/** When a commit counts; undefined: when it is made. */
export function committedAt(
  state: AccountState,
  { usedAt }: ReservationState,
  fromAvailable: readonly Part[],
  now: number,
): Date | undefined {
  if (usedAt === null) return undefined;
  const at = new Date(usedAt);
  if (refusalOfLate(state, at, now)) return undefined;
  const isEarlier = usedAt < periodAt(state.timeZones, 'month', now).from;
  const draws = fromAvailable.some(({ grantId }) => grantId === OVERAGE);
  return isEarlier && draws ? undefined : at;
}
