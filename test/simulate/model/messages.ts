/** What the model expects of messages. */
import {
  type Account,
  Account_State,
  RunningWork,
} from '../../../src/gen/billing/v1/account_service.ts';
import {
  type Balance,
  type Grant,
  Grant_State,
  type Reservation,
} from '../../../src/gen/billing/v1/ledger.ts';
import type { LowBalanceLevel } from '../../../src/gen/billing/v1/pricing.ts';
import type { Level } from '../plans.ts';
import { overageRoom } from './funding.ts';
import { isBelow, isStranded, levelsOf, usableOf } from './levels.ts';
import type { ShadowState } from './shadow-state.ts';
import {
  type AccountState,
  type GrantState,
  type ReservationState,
  type Suspended,
  spendable,
  stateOf,
  sum,
  toAllocations,
  totalOf,
} from './state.ts';

const dateOf = (at: number | null): Date | undefined => (at === null ? undefined : new Date(at));

/** The balance in a response to a mutation. */
export function balanceOf(state: AccountState, now: number): Balance {
  const { remaining, reserved, plan } = state;
  const usable = usableOf(state);
  const levels = levelsOf(state).map(({ name, threshold, percent }) => ({
    threshold,
    percent,
    low: isBelow(usable, threshold) || (state.low ?? []).includes(name),
  }));
  const limited = [...state.burnOrder].filter(
    (grant) => grant.operations.length > 0 && grant.remaining > 0n,
  );
  const { allowance } = plan;
  return {
    remaining,
    reserved,
    available:
      sum(state.grants.values(), (grant) =>
        grant.operations.length > 0 ? 0n : grant.remaining - grant.reserved,
      ) - state.overageReserved,
    overage: state.overageOf(now),
    overageLimit: BigInt(plan.overage?.limit ?? 0),
    owed: state.owed,
    lowBalance: levels.some(({ low }) => low),
    levels,
    nextExpiry: undefined,
    seq: state.seq,
    asOf: new Date(now),
    nextAllowance:
      state.isOpen && allowance && state.allowanceDueAt !== null
        ? { dueAt: new Date(state.allowanceDueAt), credits: BigInt(allowance.credits) }
        : undefined,
    pauseFloor: floorOf(state),
    usable,
    limited: [...Map.groupBy(limited, ({ operations }) => operations.join())].map(([, some]) => {
      const remaining = sum(some, (grant) => grant.remaining);
      const reserved = sum(some, (grant) => grant.reserved);
      return {
        operations: [...(some[0]?.operations ?? [])],
        remaining,
        reserved,
        available: remaining - reserved,
        stranded: some.every(isStranded),
      };
    }),
  };
}

export const floorOf = (state: AccountState): bigint =>
  state.ownFloor ?? BigInt(state.plan.pauseFloor);

/** The balance that GetBalance shows: also with the next expiry. */
export function fullBalanceOf(state: AccountState, now: number): Balance {
  const expiring = [...state.grants.values()].filter(
    ({ expiresAt, remaining }) => expiresAt !== null && expiresAt > now && remaining > 0n,
  );
  const soonest = Math.min(...expiring.map(({ expiresAt }) => expiresAt ?? 0));
  const credits = sum(expiring, ({ expiresAt, remaining }) =>
    expiresAt === soonest ? remaining : 0n,
  );
  return {
    ...balanceOf(state, now),
    nextExpiry: credits > 0n ? { expiresAt: new Date(soonest), credits } : undefined,
  };
}

export const grantOf = (grant: GrantState, now: number): Grant => ({
  grantId: grant.grantId,
  amount: grant.amount,
  remaining: grant.remaining,
  reserved: grant.reserved,
  category: grant.category,
  priority: grant.priority,
  effectiveAt: new Date(grant.effectiveAt),
  expiresAt: dateOf(grant.expiresAt),
  source: grant.source,
  sourceReference: grant.sourceReference,
  state: stateOf(grant, now),
  createdAt: new Date(grant.createdAt),
  operations: [...grant.operations],
  stranded: grant.remaining > 0n && isStranded(grant),
  voided: grant.voided,
  voidOnReturn: grant.toVoid,
});

export const isOpenGrant = ({ state, remaining }: GrantState): boolean =>
  state !== Grant_State.SCHEDULED && remaining > 0n;

export const reservationOf = (accountId: string, reservation: ReservationState): Reservation => ({
  accountId,
  reservationId: reservation.reservationId,
  state: reservation.state,
  credits: reservation.credits,
  held: totalOf(reservation.held),
  committed: reservation.committed,
  returned: reservation.returned,
  allocations: toAllocations(reservation.held),
  expiresAt: new Date(reservation.expiresAt),
  createdAt: new Date(reservation.createdAt),
  endedAt: dateOf(reservation.endedAt),
  overCommitPolicy: reservation.policy,
  rateCardVersion: reservation.rateCardVersion,
  reference: reservation.reference,
  labels: new Map(reservation.labels),
  late: reservation.late,
  planId: reservation.planId,
  usedAt: dateOf(reservation.usedAt),
});

const levelOf = (level: Level): LowBalanceLevel =>
  typeof level === 'number'
    ? { credits: BigInt(level), percent: undefined }
    : { credits: undefined, percent: Number.parseInt(level, 10) };

const stateOfAccount = ({ isOpen, suspended }: AccountState) => {
  if (!isOpen) return Account_State.CLOSED;
  return suspended ? Account_State.SUSPENDED : Account_State.OPEN;
};

const suspensionOf = ({ since, reason, caller, stops }: Suspended) => ({
  since: new Date(since),
  reason,
  caller,
  running: stops ? RunningWork.STOP : RunningWork.CONTINUE,
});

const shadowModeOf = ({ mode: { since, until, caller } }: ShadowState) => ({
  since: new Date(since),
  until: dateOf(until),
  caller,
});

export const accountOf = (state: AccountState): Account => ({
  accountId: state.accountId,
  planId: state.planId,
  state: stateOfAccount(state),
  displayName: state.displayName,
  labels: new Map(state.labels),
  openedAt: new Date(state.openedAt),
  timeZone: state.timeZones?.at(-1)?.zone ?? 'UTC',
  closedAt: dateOf(state.closedAt),
  lowBalanceLevels: (state.ownLevels ?? state.plan.levels).map(levelOf),
  pauseFloor: floorOf(state),
  ownLowBalanceLevels: state.ownLevels ? { levels: state.ownLevels.map(levelOf) } : undefined,
  ownPauseFloor: state.ownFloor ?? undefined,
  autoTopUp: state.autoTopUp ?? undefined,
  topUpDueAt: undefined,
  topUpPurchaseId: '',
  suspension: state.suspended ? suspensionOf(state.suspended) : undefined,
  shadowMode: state.shadow ? shadowModeOf(state.shadow) : undefined,
});

/** What Estimate and the pause floor call available. */
export const roomOf = (state: AccountState, now: number) => ({
  overage: overageRoom(state, now),
  general: sum(state.grants.values(), (grant) => spendable(grant, now)),
});
