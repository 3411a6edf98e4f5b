/**
 * What the model knows of one account. Records are never changed, only replaced, so a copy of the maps is a
 * copy of the account.
 */
import type {
  AutoTopUp,
  ImportAccountRequest,
} from '../../../src/gen/billing/v1/account_service.ts';
import {
  Bucket_Kind,
  type Entry,
  Entry_Kind,
  type Grant_Category,
  type Grant_Source,
  Grant_State,
  type OverCommitPolicy,
  type Purchase,
  Reservation_State,
} from '../../../src/gen/billing/v1/ledger.ts';
import type { PricedUsage } from '../../../src/gen/billing/v1/pricing.ts';
import { type Level, type PlanPack, planOf, type SimulatedPlan, type Validity } from '../plans.ts';
import type { ModelBudget } from './budgets.ts';
import { type ModelZones, monthOf } from './calendar.ts';
import type { ModelDecision, ShadowState } from './shadow-state.ts';

export type Labels = ReadonlyMap<string, string>;

export type GrantState = {
  readonly grantId: bigint;
  readonly amount: bigint;
  readonly remaining: bigint;
  readonly reserved: bigint;
  readonly voided: bigint;
  /** What is voided as it comes back. */
  readonly toVoid: bigint;
  /** Of an allowance: what expired of it under a plan that takes late usage. */
  readonly expired: bigint;
  readonly category: Grant_Category;
  readonly priority: number;
  readonly effectiveAt: number;
  readonly expiresAt: number | null;
  readonly source: Grant_Source;
  readonly sourceReference: string;
  readonly operations: readonly string[];
  readonly createdAt: number;
  readonly state: Grant_State;
};

/** Credits of one grant; grant 0 is overage, and -1 what is owed. */
export type Part = { readonly grantId: bigint; readonly credits: bigint };
export const OVERAGE = 0n;
export const OWED = -1n;

/** Credits for an operation; null: an amount of credits without usages. */
export type Need = { readonly operation: string | null; readonly credits: bigint };

/** Credits by operation; empty: for none. */
export type Shares = ReadonlyMap<string, bigint>;

export type ReservationState = {
  readonly reservationId: string;
  readonly seq: bigint;
  readonly state: Reservation_State;
  readonly credits: bigint;
  readonly committed: bigint;
  readonly returned: bigint;
  readonly held: readonly Part[];
  /** What it gave back when it expired and has not committed late. */
  readonly lapsed: readonly Part[];
  /** The usages it was made for that are not committed yet, if it holds limited credits. */
  readonly heldFor: readonly Need[] | null;
  readonly expiresAt: number;
  readonly createdAt: number;
  /** When its work is said to be done. */
  readonly usedAt: number | null;
  readonly endedAt: number | null;
  /** What the final commit asked for. */
  readonly asked: { readonly credits: bigint; readonly lines: readonly PricedUsage[] } | null;
  readonly policy: OverCommitPolicy;
  readonly planId: string;
  readonly rateCardVersion: bigint;
  readonly reference: string;
  readonly labels: Labels;
  readonly late: boolean;
  /** The usages that Reserve named. */
  readonly lines: readonly PricedUsage[];
  /** Whether any commit was made, even of 0 credits. */
  readonly wasCommitted: boolean;
  /** What it holds of each operation, also where that is 0 by now: it counts as long as it is active. */
  readonly heldShares: Shares;
  /** What was committed of each. */
  readonly spentShares: Shares;
};

/** Credits that were used for an operation; empty: for none. */
export type Use = {
  readonly operation: string;
  readonly count: bigint;
  readonly credits: bigint;
};

/** A charge or commit. */
export type Spending = {
  readonly seq: bigint;
  /** When its usage counts. */
  readonly at: number;
  /** In the order in which the credits were used; overage last. */
  readonly split: readonly Part[];
  readonly refunded: bigint;
  /** What it was used for, in order. */
  readonly uses: readonly Use[];
  /** The same as it was asked for; nothing, where that does not say which operations all of it was for. */
  readonly shares: Shares;
  readonly reservationId: string;
  readonly planId: string;
  readonly rateCardVersion: bigint;
  readonly reference: string;
  readonly labels: Labels;
};

/** What an import has told. */
export type Imported = {
  readonly at: number;
  readonly planId: string;
  readonly request: ImportAccountRequest;
  /** What had expired unspent. */
  readonly expired: bigint;
  /** What the running month had used, and for what. */
  readonly split: readonly Part[];
  readonly uses: readonly Use[];
};

/** A refund of a spending, and what was refunded of it before. */
export type RefundMade = {
  readonly at: number;
  readonly spending: Spending;
  readonly split: readonly Part[];
};

/** An event, with the data that the model predicts. */
export type ModelEvent = {
  readonly type: string;
  readonly data: Readonly<Record<string, string>>;
};

export type CustomPack = PlanPack & { readonly currency: string; readonly withdrawn: boolean };

export type BucketName =
  | 'issued'
  | 'available'
  | 'reserved'
  | 'overage'
  | 'overage_reserved'
  | 'owed'
  | 'consumed'
  | 'expired'
  | 'voided';

export type ModelMove = Part & { readonly from: BucketName; readonly to: BucketName };

/** An entry as the model predicts it: all fields but the hash and the trace. */
export type ModelEntry = Omit<Entry, 'hash' | 'traceId' | 'spanId' | 'moves' | 'details'> & {
  readonly moves: readonly ModelMove[];
  /** Null: not predicted. */
  readonly details: ReadonlyMap<string, string> | null;
};

/** Entries from one back to the first. */
export type History = { readonly entry: ModelEntry; readonly before: History | null };

export type Draft = Partial<
  Pick<
    ModelEntry,
    | 'credits'
    | 'reservationId'
    | 'grantId'
    | 'refundedSeq'
    | 'usages'
    | 'rateCardVersion'
    | 'late'
    | 'caller'
    | 'requestId'
    | 'reference'
    | 'planId'
    | 'previousPlanId'
    | 'final'
    | 'purchaseId'
    | 'expiresAt'
    | 'usedAt'
    | 'details'
  >
> & {
  readonly moves?: readonly ModelMove[];
  readonly labels?: Labels;
  /** Of a refund: when the refunded usage counts. */
  readonly refundedAt?: number;
};

/** Who an entry names. */
export type Author = {
  readonly caller: string;
  readonly requestId: string;
  readonly onBehalfOf: string;
};
export const SERVICE: Author = { caller: 'scrip', requestId: '', onBehalfOf: '' };

export type Suspended = {
  readonly since: number;
  readonly reason: string;
  readonly caller: string;
  readonly stops: boolean;
};

export class AccountState {
  readonly accountId: string;
  planId = '';
  isOpen = true;
  displayName = '';
  labels: Labels = new Map();
  openedAt = 0;
  /** When its first entry was made: after its opening, if it was imported. */
  startedAt = 0;
  /** Null: it was opened here. */
  imported: Imported | null = null;
  /** Null: always UTC. */
  timeZones: ModelZones = null;
  closedAt: number | null = null;
  /** Null: it is not suspended. */
  suspended: Suspended | null = null;
  /** Null: the plan's. */
  ownLevels: readonly Level[] | null = null;
  ownFloor: bigint | null = null;
  autoTopUp: AutoTopUp | null = null;
  seq = 0n;
  lastAt = 0;
  allowanceDueAt: number | null = null;
  /** The levels that are low; null until the balance changes for the first time. */
  low: readonly string[] | null = null;
  /** What was remaining when the levels were looked at last. */
  remainingSeen = 0n;
  overageReserved = 0n;
  owed = 0n;
  /** What credits have paid of what was owed, by month. */
  owedPaid = new Map<string, bigint>();
  grants = new Map<bigint, GrantState>();
  reservations = new Map<string, ReservationState>();
  spendings = new Map<bigint, Spending>();
  purchases = new Map<string, Purchase>();
  /** Of purchases by checkout: who bought, and how long the credits last. */
  orders = new Map<string, { readonly author: Author; readonly validity: Validity }>();
  /** What the account came to owe of purchases whose money was taken back. */
  debts = new Map<string, bigint>();
  packs = new Map<string, CustomPack>();
  budgets = new Map<string, ModelBudget>();
  /** The highest cap of a soft budget that an event has told, by budget, period and value. */
  toldCaps = new Map<string, bigint>();
  /** Overage used, less what was refunded in the same month. */
  overage = new Map<string, bigint>();
  /** In the order of their seqs. Both lists only grow, and copies share their items. */
  refunds: readonly RefundMade[] = [];
  events: readonly ModelEvent[] = [];
  /** The newest entry, with those before it. Copies share them. */
  history: History | null = null;
  /** Null: it was never in shadow mode. */
  shadow: ShadowState | null = null;
  /** Decisions that the last command made in shadow mode. */
  decided: ModelDecision[] = [];
  /** Entries that the last command or settling made. */
  posted: ModelEntry[] = [];

  constructor(accountId: string) {
    this.accountId = accountId;
  }

  copy(): AccountState {
    const copy = Object.assign(new AccountState(this.accountId), this);
    copy.grants = new Map(this.grants);
    copy.reservations = new Map(this.reservations);
    copy.spendings = new Map(this.spendings);
    copy.purchases = new Map(this.purchases);
    copy.debts = new Map(this.debts);
    copy.packs = new Map(this.packs);
    copy.budgets = new Map(this.budgets);
    copy.toldCaps = new Map(this.toldCaps);
    copy.orders = new Map(this.orders);
    copy.overage = new Map(this.overage);
    copy.owedPaid = new Map(this.owedPaid);
    copy.posted = [];
    copy.decided = [];
    return copy;
  }

  emit(type: string, data: ModelEvent['data']) {
    this.events = [...this.events, { type, data }];
  }

  get plan(): SimulatedPlan {
    return planOf(this.planId);
  }

  get remaining(): bigint {
    return sum(this.grants.values(), ({ remaining }) => remaining);
  }

  get reserved(): bigint {
    return sum(this.grants.values(), ({ reserved }) => reserved) + this.overageReserved;
  }

  overageOf(at: number): bigint {
    return this.overage.get(monthOf(this.timeZones, at)) ?? 0n;
  }

  /** In burn order. */
  get burnOrder(): readonly GrantState[] {
    return [...this.grants.values()].sort(compareBurnOrder);
  }

  /** Grants are numbered from 1; one with another number is none of the account. */
  get nextGrantId(): bigint {
    let count = 0n;
    while (this.grants.has(count + 1n)) count += 1n;
    return count + 1n;
  }

  grant(grantId: bigint): GrantState {
    const grant = this.grants.get(grantId);
    if (!grant) throw new Error(`the model has no grant ${grantId}`);
    return grant;
  }

  /** Posts an entry: applies its moves, and appends it. */
  post(kind: Entry_Kind, now: number, draft: Draft, author: Author): ModelEntry {
    const { moves = [], refundedAt, ...fields } = draft;
    const { owed } = this;
    const countedAt = refundedAt ?? fields.usedAt?.getTime() ?? now;
    for (const move of moves) this.#apply(move, now, countedAt);
    if (planOf(fields.planId ?? this.planId).lateDays > 0) this.#followExpired(moves, now);
    this.seq += 1n;
    this.lastAt = now;
    const entry: ModelEntry = {
      accountId: this.accountId,
      seq: this.seq,
      kind,
      at: new Date(now),
      moves,
      credits: 0n,
      remainingAfter: this.remaining,
      reservedAfter: this.reserved,
      overageAfter: this.overageOf(now),
      owedAfter: this.owed,
      reservationId: '',
      grantId: 0n,
      refundedSeq: 0n,
      usages: [],
      rateCardVersion: 0n,
      late: false,
      reference: '',
      planId: this.planId,
      previousPlanId: '',
      split: toAllocations(mergeParts(moves.filter(({ to }) => to === 'consumed').map(partOf))),
      final: undefined,
      planVersion: 1n,
      purchaseId: '',
      expiresAt: undefined,
      usedAt: undefined,
      details: new Map(),
      certificate: '',
      ...author,
      ...fields,
      labels: new Map(draft.labels ?? []),
    };
    this.posted.push(entry);
    this.history = { entry, before: this.history };
    this.#tellOfOwed(entry, owed);
    const isForUsage = kind === Entry_Kind.REINSTATE && fields.usedAt !== undefined;
    if (this.owed > 0n && this.plan.payOwed && !isForUsage) this.#payOwed(moves, now);
    return entry;
  }

  /** What was not carried into the next period had no end by which it expired. */
  #followExpired(moves: readonly ModelMove[], now: number) {
    for (const { from, to, grantId, credits } of moves) {
      if (from === 'issued' || grantId === OVERAGE) continue;
      const grant = this.grant(grantId);
      const expired = grant.expired + signed('expired', from, to) * credits;
      if (grant.category === CATEGORY_ALLOWANCE && hasExpired(grant, now))
        this.grants.set(grantId, { ...grant, expired });
    }
  }

  #tellOfOwed({ kind, seq }: ModelEntry, before: bigint) {
    const change = this.owed - before;
    if (change === 0n) return;
    const lowered = kind === Entry_Kind.PAY_OWED ? 'owed.paid' : 'owed.cancelled';
    this.emit(change > 0n ? 'owed.added' : lowered, {
      credits: `${change > 0n ? change : -change}`,
      owed: `${this.owed}`,
      entry_seq: `${seq}`,
    });
  }

  /** What has just come to general grants pays what is owed, as far as it goes. */
  #payOwed(moves: readonly ModelMove[], now: number) {
    let left = this.owed;
    const paying: ModelMove[] = [];
    for (const { to, grantId, credits } of moves) {
      if (to !== 'available' || this.grant(grantId).operations.length > 0) continue;
      const paid = credits < left ? credits : left;
      left -= paid;
      if (paid > 0n) paying.push({ from: 'available', to: 'owed', grantId, credits: paid });
    }
    if (paying.length === 0) return;
    const month = monthOf(this.timeZones, now);
    this.owedPaid.set(month, (this.owedPaid.get(month) ?? 0n) + totalOf(paying));
    this.post(Entry_Kind.PAY_OWED, now, { moves: paying, credits: totalOf(paying) }, SERVICE);
  }

  #apply({ grantId, credits, from, to }: ModelMove, now: number, spentAt: number) {
    this.owed -= signed('owed', from, to) * credits;
    if (this.owed < 0n) throw new Error(`the model owes less than nothing of ${this.accountId}`);
    if (grantId === OVERAGE) {
      if (from === 'owed' || to === 'owed' || to === 'issued') return;
      this.overageReserved += signed('overage_reserved', from, to) * credits;
      const used = signed('consumed', from, to) * credits;
      const month = monthOf(this.timeZones, spentAt);
      // What is given back of an earlier month stays counted there.
      if (used !== 0n && (used > 0n || monthOf(this.timeZones, now) === month))
        this.overage.set(month, (this.overage.get(month) ?? 0n) + used);
      return;
    }
    const grant = this.grant(grantId);
    const reserved = grant.reserved + signed('reserved', from, to) * credits;
    const available = signed('available', from, to) * credits;
    const remaining = grant.remaining + available + (reserved - grant.reserved);
    if (reserved < 0n || reserved > remaining || remaining > grant.amount)
      throw new Error(`the model overdraws grant ${grantId} of ${this.accountId}`);
    const gone = to === 'voided' ? credits : 0n;
    const changed = {
      ...grant,
      ...{ remaining, reserved },
      voided: grant.voided + gone,
      toVoid: grant.toVoid - (from === 'available' ? 0n : gone),
    };
    const isLast = gone > 0n && remaining === 0n && grant.remaining > 0n;
    const state = isLast && !hasExpired(grant, now) ? Grant_State.VOIDED : stateOf(changed, now);
    this.grants.set(grantId, { ...changed, state });
  }
}

/** Of a move into `consumed`. */
const partOf = ({ from, grantId, credits }: ModelMove): Part => ({
  grantId: from === 'owed' ? OWED : grantId,
  credits,
});

const signed = (bucket: BucketName, from: BucketName, to: BucketName): bigint =>
  (to === bucket ? 1n : 0n) - (from === bucket ? 1n : 0n);

/** A grant that is used up stays what it became first. */
export function stateOf(grant: GrantState, now: number): Grant_State {
  const { state, remaining } = grant;
  if (state === Grant_State.SCHEDULED) return state;
  if (remaining === 0n && state !== Grant_State.OPEN) return state;
  if (hasExpired(grant, now)) return Grant_State.EXPIRED;
  return remaining === 0n ? Grant_State.SPENT : Grant_State.OPEN;
}

export const hasExpired = ({ expiresAt }: GrantState, now: number): boolean =>
  expiresAt !== null && now >= expiresAt;

/** Credits that can be used now. */
export const spendable = (grant: GrantState, now: number): bigint =>
  grant.state === Grant_State.SCHEDULED || hasExpired(grant, now)
    ? 0n
    : grant.remaining - grant.reserved;

const CATEGORY_PAID = 1;
const CATEGORY_ALLOWANCE = 3;

/** Priority, soonest expiry, unpaid before paid, oldest. */
function compareBurnOrder(a: GrantState, b: GrantState): number {
  const end = ({ expiresAt }: GrantState) => expiresAt ?? Number.MAX_VALUE;
  const paid = ({ category }: GrantState) => (category === CATEGORY_PAID ? 1 : 0);
  return (
    a.priority - b.priority || end(a) - end(b) || paid(a) - paid(b) || Number(a.grantId - b.grantId)
  );
}

export function sum<Item>(items: Iterable<Item>, creditsOf: (item: Item) => bigint): bigint {
  let total = 0n;
  for (const item of items) total += creditsOf(item);
  return total;
}

export const totalOf = (parts: readonly Part[]): bigint => sum(parts, ({ credits }) => credits);

/** One part per grant, in the order of their first appearance. */
export function mergeParts(parts: readonly Part[]): readonly Part[] {
  const byGrant = new Map<bigint, bigint>();
  for (const { grantId, credits } of parts)
    byGrant.set(grantId, (byGrant.get(grantId) ?? 0n) + credits);
  return [...byGrant].map(([grantId, credits]) => ({ grantId, credits }));
}

/** The first `credits` of the parts, and the rest. */
export function cut(parts: readonly Part[], credits: bigint) {
  const first: Part[] = [];
  const rest: Part[] = [];
  let missing = credits;
  for (const { grantId, credits: here } of parts) {
    const taken = here < missing ? here : missing;
    missing -= taken;
    if (taken > 0n) first.push({ grantId, credits: taken });
    if (here > taken) rest.push({ grantId, credits: here - taken });
  }
  return { first, rest };
}

export const toAllocations = (parts: readonly Part[]) =>
  parts.map(({ grantId, credits }) => ({
    source: sourceOf(grantId),
    credits,
  }));

function sourceOf(grantId: bigint) {
  if (grantId === OVERAGE) return { $case: 'overage', value: true } as const;
  if (grantId === OWED) return { $case: 'owed', value: true } as const;
  return { $case: 'grantId', value: grantId } as const;
}

export const isActive = ({ state }: ReservationState): boolean =>
  state === Reservation_State.ACTIVE;

export const BUCKETS: Readonly<Record<BucketName, Bucket_Kind>> = {
  issued: Bucket_Kind.ISSUED,
  available: Bucket_Kind.GRANT_AVAILABLE,
  reserved: Bucket_Kind.GRANT_RESERVED,
  overage: Bucket_Kind.OVERAGE,
  overage_reserved: Bucket_Kind.OVERAGE_RESERVED,
  owed: Bucket_Kind.OWED,
  consumed: Bucket_Kind.CONSUMED,
  expired: Bucket_Kind.EXPIRED,
  voided: Bucket_Kind.VOIDED,
};

export { Entry_Kind };
