/**
 * Shadow mode: work is decided as if all work of shadow mode before had been charged. What would be refused is recorded, and
 * decided once more as if nothing were in the way. Its grants and overage are those of the account, less what was used.
 */
import {
  Entry_Kind,
  Grant_Category,
  Grant_Source,
  Grant_State,
} from '../../../src/gen/billing/v1/ledger.ts';
import { monthOf } from './calendar.ts';
import { closed, type Deciding } from './deciding.ts';
import { dueItems } from './due.ts';
import { accountOf, balanceOf } from './messages.ts';
import { Refusal } from './refusal.ts';
import type { First, Request, RequestOf } from './requests.ts';
import { isDecision, type ModelDecision, NO_SHADOW, type ShadowState } from './shadow-state.ts';
import {
  type AccountState,
  type GrantState,
  type ModelEntry,
  OVERAGE,
  type Part,
  sum,
} from './state.ts';

/** The grant that pays for what would be refused, and more than anybody asks for. */
const OVER_COMMIT = 10n ** 15n;
const PLENTY = 10n ** 17n;

/** Reasons that concern what an account has or may do. */
const REFUSED: ReadonlySet<string> = new Set([
  ...['INSUFFICIENT_CREDITS', 'OVERAGE_LIMIT_REACHED', 'BUDGET_EXCEEDED', 'PAUSED_BELOW_FLOOR'],
  ...['ACCOUNT_SUSPENDED', 'ACCOUNT_CLOSED'],
]);

export function setShadowMode(
  state: AccountState,
  { enabled, reason }: RequestOf<'setShadowMode'>,
  { now, author }: Deciding,
): First<'setShadowMode'> | Refusal {
  if (enabled && !state.isOpen) return closed(state);
  const { shadow } = state;
  const isOn = shadow?.mode.until === null;
  if (enabled === isOn) return { account: accountOf(state), entrySeq: 0n };
  const { caller } = author;
  const before = shadow ?? NO_SHADOW;
  // No two begin at the same instant.
  const since = Math.max(now, before.mode.since + 1);
  state.shadow = enabled
    ? // It begins with the balance of now: what was spent before does not count.
      {
        ...before,
        mode: { since, until: null, caller },
        sinceSeq: before.seq,
        ...{ spent: new Map(), overage: new Map() },
      }
    : { ...before, mode: { ...before.mode, until: Math.max(now, before.mode.since), caller } };
  const details = new Map([
    ['shadow_mode', enabled ? 'on' : 'off'],
    ['reason', reason],
  ]);
  const entry = state.post(Entry_Kind.UPDATE_ACCOUNT, now, { details }, author);
  return { account: accountOf(state), entrySeq: entry.seq };
}

/** Work that begins is of the mode of the account, what follows of that in which its job began. */
export function isOfShadow({ shadow }: AccountState, { $case, value }: Request): boolean {
  if (!shadow) return false;
  if ($case === 'reserve' || $case === 'charge') return shadow.mode.until === null;
  if ($case === 'refund') return isDecision(value.seq);
  return 'reservationId' in value && shadow.reservations.has(value.reservationId);
}

/** Decides a request of it by the rules of all others. The decisions are added to those of the account. */
export function decideInShadow(
  state: AccountState,
  request: Request,
  deciding: Deciding,
  apply: (state: AccountState) => First | Refusal,
): First | Refusal {
  for (let [due] = dueInShadow(state, deciding.now); due; [due] = dueInShadow(state, deciding.now))
    due.apply();
  const overCommits = isOfRefusedJob(state, request);
  const refunded = splitOfEarlierMode(state, request);
  const limited = asIfCharged(state, deciding.now, { unlimited: false, overCommits, refunded });
  const first = apply(limited);
  if (first instanceof Refusal && !REFUSED.has(first.reason)) return first;
  const refusal = deciding.refusedWith ?? first;
  if (!(refusal instanceof Refusal)) return taken(state, limited, refusal, null, deciding.now);
  const all = { unlimited: true, overCommits: true, refunded };
  const unlimited = asIfCharged(state, deciding.now, all);
  const second = apply(unlimited);
  if (second instanceof Refusal) return second;
  return taken(state, unlimited, second, refusal, deciding.now);
}

/** Such a job would not have begun: what follows from it uses nothing of the account either. */
const isOfRefusedJob = ({ shadow }: AccountState, { value }: Request): boolean =>
  'reservationId' in value && (shadow?.refusedJobs.has(value.reservationId) ?? false);

/** What a refund may give back that is not in what the mode of now has used. */
function splitOfEarlierMode({ shadow }: AccountState, request: Request): readonly Part[] {
  if (!shadow || request.$case !== 'refund' || request.value.seq > shadow.sinceSeq) return [];
  return shadow.spendings.get(request.value.seq)?.split ?? [];
}

/** The jobs of shadow mode whose time is over, the soonest first. */
export function dueInShadow(state: AccountState, now: number) {
  if (!state.shadow) return [];
  const simulated = asIfCharged(state, now, AS_CHARGED);
  return dueItems(simulated, now)
    .filter(({ kind }) => kind === Entry_Kind.EXPIRE)
    .map((item) => ({
      ...item,
      apply: () => {
        item.apply();
        take(state, simulated, null, now);
      },
    }));
}

type Simulated = {
  /** Nothing is in the way. */
  readonly unlimited: boolean;
  /** The over-commit grant pays for all that is new. */
  readonly overCommits: boolean;
  /** There is room for it in the grants. */
  readonly refunded: readonly Part[];
};

const AS_CHARGED: Simulated = { unlimited: false, overCommits: false, refunded: [] };

/** The account that it would be. */
function asIfCharged(
  state: AccountState,
  now: number,
  { unlimited, overCommits, refunded }: Simulated,
): AccountState {
  const shadow = state.shadow ?? NO_SHADOW;
  const account = state.copy();
  const held = [...shadow.reservations.values()].flatMap((one) => one.held);
  const heldOf = (grantId: bigint) => creditsOf(held, grantId);
  for (const grant of state.grants.values()) {
    const { grantId } = grant;
    const spent = shadow.spent.get(grantId) ?? 0n;
    const less = lessUsed(grant, heldOf(grantId), spent, overCommits);
    account.grants.set(grantId, { ...less, amount: less.amount + creditsOf(refunded, grantId) });
  }
  const over = heldOf(OVER_COMMIT);
  account.grants.set(OVER_COMMIT, overCommitGrant(over, overCommits, now));
  const month = monthOf(state.timeZones, now);
  account.overage.set(month, state.overageOf(now) + (shadow.overage.get(month) ?? 0n));
  account.overageReserved += heldOf(OVERAGE);
  account.reservations = new Map(shadow.reservations);
  account.spendings = new Map(shadow.spendings);
  Object.assign(account, {
    shadow: null,
    seq: shadow.seq,
    owed: 0n,
    refunds: [],
    budgets: new Map(),
  });
  if (unlimited) Object.assign(account, { isOpen: true, suspended: null, ownFloor: 0n });
  return account;
}

const creditsOf = (parts: readonly Part[], grantId: bigint): bigint =>
  sum(parts, (part) => (part.grantId === grantId ? part.credits : 0n));

/** Real jobs hold what they hold, beside those of shadow mode. */
function lessUsed(
  grant: GrantState,
  held: bigint,
  spent: bigint,
  overCommits: boolean,
): GrantState {
  const left = grant.remaining - grant.reserved - spent - held;
  const reserved = grant.reserved + held;
  const remaining = (overCommits || left < 0n ? 0n : left) + reserved;
  const isSpent = grant.state === Grant_State.OPEN || grant.state === Grant_State.SPENT;
  const spentState = remaining > 0n ? Grant_State.OPEN : Grant_State.SPENT;
  return {
    ...grant,
    amount: grant.amount + held + spent,
    ...{ remaining, reserved, expired: 0n },
    state: isSpent ? spentState : grant.state,
  };
}

/** It comes last, and never ends. */
const overCommitGrant = (held: bigint, overCommits: boolean, now: number): GrantState => ({
  grantId: OVER_COMMIT,
  amount: 2n * PLENTY,
  remaining: held + (overCommits ? PLENTY : 0n),
  reserved: held,
  ...{ voided: 0n, toVoid: 0n, expired: 0n, priority: 100, operations: [], sourceReference: '' },
  category: Grant_Category.ADJUSTMENT,
  ...{ effectiveAt: now, createdAt: now, expiresAt: null },
  source: Grant_Source.OPERATOR,
  state: held > 0n || overCommits ? Grant_State.OPEN : Grant_State.SPENT,
});

/** The answer, with the balance that the account would have now. */
function taken(
  state: AccountState,
  simulated: AccountState,
  answer: First,
  refusal: Refusal | null,
  now: number,
): First {
  take(state, simulated, refusal, now);
  if (!('balance' in answer)) return answer;
  const balance = {
    ...balanceOf(asIfCharged(state, now, AS_CHARGED), now),
    owed: state.owed,
  };
  return { ...answer, balance };
}

/** Takes over what was decided, entry by entry. */
function take(state: AccountState, simulated: AccountState, refusal: Refusal | null, now: number) {
  // A refund to a grant that is over makes no other grant.
  const entries = simulated.posted.filter(({ kind }) => kind !== Entry_Kind.GRANT);
  simulated.posted = [];
  const { reservations, spendings } = simulated;
  for (const entry of entries) {
    const shadow = state.shadow ?? NO_SHADOW;
    const used = usedAfter(state, simulated, entry, now);
    const refusedJobs =
      refusal && entry.kind === Entry_Kind.RESERVE
        ? new Set([...shadow.refusedJobs, entry.reservationId])
        : shadow.refusedJobs;
    state.shadow = {
      ...{ ...shadow, ...used, reservations, spendings, refusedJobs },
      seq: entry.seq,
    };
    const after = asIfCharged(state, now, AS_CHARGED);
    const availableAfter =
      sum(after.grants.values(), ({ remaining, reserved }) => remaining - reserved) -
      after.overageReserved;
    state.decided.push(decisionOf(entry, refusal, availableAfter));
  }
}

/** What is used after an entry. A refund of what was charged before the mode began gives nothing back to it. */
function usedAfter(
  state: AccountState,
  simulated: AccountState,
  entry: ModelEntry,
  now: number,
): Pick<ShadowState, 'spent' | 'overage'> {
  const shadow = state.shadow ?? NO_SHADOW;
  const isOfEarlierMode = entry.refundedSeq > 0n && entry.refundedSeq <= shadow.sinceSeq;
  if (isOfEarlierMode) return shadow;
  const used = simulated.overageOf(now) - state.overageOf(now);
  return {
    spent: spentAfter(shadow, entry),
    overage: new Map([...shadow.overage, [monthOf(state.timeZones, now), used]]),
  };
}

/** What was spent of grants, with what an entry moves. */
function spentAfter({ spent: before }: ShadowState, { moves }: ModelEntry): ShadowState['spent'] {
  const spent = new Map(before);
  const isOfGrant = (bucket: string) => bucket === 'available' || bucket === 'reserved';
  for (const { from, to, grantId, credits } of moves) {
    const gone = (isOfGrant(from) ? credits : 0n) - (isOfGrant(to) ? credits : 0n);
    spent.set(grantId, (spent.get(grantId) ?? 0n) + gone);
  }
  return spent;
}

const decisionOf = (
  entry: ModelEntry,
  refusal: Refusal | null,
  availableAfter: bigint,
): ModelDecision => ({
  accountId: entry.accountId,
  seq: entry.seq,
  kind: entry.kind,
  at: entry.at,
  credits: entry.credits,
  refusedBecause: refusal?.reason ?? '',
  refusalMetadata: new Map(Object.entries(refusal?.metadata ?? {})),
  availableAfter,
  usages: entry.usages,
  planId: entry.planId,
  rateCardVersion: entry.rateCardVersion,
  reservationId: entry.reservationId,
  caller: entry.caller,
  requestId: entry.requestId,
  reference: entry.reference,
  labels: entry.labels,
  refundedSeq: entry.refundedSeq,
});
