/** The table of accounts, and auto top-up as JSON on their rows. */
import type { JsonInteger } from '../../canonical.ts';
import type { AccountState, ShadowMode, Suspension } from '../../ledger/account.ts';
import type { AutoTopUp } from '../../ledger/auto-top-up.ts';
import type { CallerDays } from '../../ledger/caller-limits.ts';
import type { Labels } from '../../ledger/entry.ts';
import type { ZoneChange } from '../../ledger/periods/period.ts';
import type { TopUps } from '../../ledger/top-up.ts';
import { bigint, boolean, bytea, hex, instant, json, text } from '../../pg/column.ts';
import { defineTable } from '../../pg/table.ts';
import {
  type LowBalanceLevel,
  levelName,
  parseLevelName,
} from '../../pricing/low-balance-level.ts';
import { fromBudgets, type StoredBudget, toBudgets } from './budgets.ts';

type StoredAutoTopUp = {
  readonly pack_id: string;
  readonly threshold: JsonInteger;
  readonly on_refusal: boolean;
  readonly custom_pack: boolean;
  readonly cool_down_ms: number;
  readonly monthly_cap: number;
  readonly customer: string;
  readonly payment_method: string;
  /** The pack as it was when auto top-up was switched on. */
  readonly agreed?: {
    readonly credits: JsonInteger;
    readonly currency: string;
    readonly amount: string;
  };
};

/** Instants are epoch milliseconds. */
type StoredTopUps = {
  readonly purchase_id: string | null;
  readonly lease_expires_at: number | null;
  readonly started_at: number | null;
  readonly month: number;
  readonly count: number;
  readonly failures: number;
  readonly retry_at: number | null;
  readonly refusal: StoredRefusal | null;
};

type StoredCallerDays = {
  readonly day: number;
  readonly credits: Readonly<Record<string, JsonInteger>>;
};

type StoredRefusal = {
  readonly at: number;
  readonly shortfall: JsonInteger;
  readonly available: JsonInteger;
};

export const accounts = defineTable({
  name: 'accounts',
  comment: 'Owners of balances. A unit of work locks the row of each account that it changes.',
  columns: {
    accountId: text('key', 'given by the caller'),
    openedAt: instant('inserted'),
    timeZones: json<readonly ZoneChange[]>(
      'settings',
      'the zones it was given, oldest first, each with the millisecond when; null: always UTC',
    )
      .as(toTimeZones, (zones) => zones)
      .nullable(),
    closedAt: instant('settings', 'null while the account is open').nullable(),
    state: text<AccountState>('settings'),
    suspension: json<Suspension>('settings', 'new work is refused; null: it is not').nullable(),
    planId: text('settings', 'the plan that the account lives under'),
    displayName: text('settings'),
    labels: json<Labels>('settings', '{"name": "value"}'),
    lowBalanceLevels: json<readonly string[]>('settings', 'e.g. ["500", "10%"]; null: the plan\'s')
      .as(toLevels, fromLevels)
      .nullable(),
    pauseFloor: bigint('settings', "null: the plan's is in force").nullable(),
    lowLevels: json<readonly string[]>(
      'settings',
      'the newest event of each says "low"; null: no change since it was opened',
    ).nullable(),
    autoTopUp: json<StoredAutoTopUp>('settings', 'what the owner switched on; null: off')
      .as(toAutoTopUp, fromAutoTopUp)
      .nullable(),
    topUps: json<StoredTopUps>('settings', 'past and current top-ups; null before the first')
      .as(toTopUps, fromTopUps)
      .nullable(),
    topUpDueAt: instant('settings', 'a top-up is to be started or checked; null: none').nullable(),
    statementDueAt: instant(
      'settings',
      'when the next month is closed: at its end, or later by the late usage that the plan takes; null: never',
    ).nullable(),
    statementPlanId: text('settings', 'the postpaid plan that prices that month').nullable(),
    eventsHash: hex('settings', 'of the events that no entry covers yet; null: none').nullable(),
    callerDays: json<StoredCallerDays>(
      'settings',
      'what callers with a limit have moved on its UTC day; null: none',
    )
      .as(toCallerDays, fromCallerDays)
      .nullable(),
    budgets: json<readonly StoredBudget[]>('settings', 'in the order of their ids; null: none')
      .as(toBudgets, fromBudgets)
      .nullable(),
    archivedSeq: bigint('settings', 'the entries up to it are archived; null: none is').nullable(),
    shadow: json<ShadowMode>(
      'settings',
      'what is used is only recorded, or was until it ended; null: never',
    ).nullable(),
    owed: bigint('settings', 'charged or claimed back, and paid by nothing yet; null: 0').nullIs(
      0n,
    ),
    overageBefore: bigint(
      'settings',
      'used in the month before that of last_at, while late usage can add to it; null: none',
    ).nullable(),
    seq: bigint('updated', 'of the newest entry'),
    grantCount: bigint('updated', 'number of the newest grant'),
    eventCount: bigint('updated', 'seq of the newest event'),
    remaining: bigint('updated', "sum over the account's grants"),
    reserved: bigint('updated', "sum over the account's grants"),
    granted: bigint('updated', 'sum of the amounts of grants with credits left'),
    scheduled: bigint('updated', 'sum of the amounts of grants that are not effective yet'),
    overage: bigint('updated', 'used in the calendar month of last_at and covered by no grant'),
    overageReserved: bigint('updated', 'of reservations that no grant covers'),
    overageLimit: bigint('updated'),
    allowanceDueAt: instant(
      'updated',
      'end of the period granted last; null: none lasts',
    ).nullable(),
    hasLimitedGrants: boolean('updated', 'an open grant is limited to operations, or was'),
    dueAt: instant(
      'updated',
      'nothing happens to the account by itself before; may be too early',
    ).nullable(),
    lastAt: instant('updated', 'time of the newest entry or closed month; never decreases'),
    lastHash: bytea('updated', 'hash of the newest entry'),
    version: bigint('updated', 'row version: every update increments it'),
  },
  checks: {
    accounts_state_check: "state in ('OPEN', 'CLOSED')",
    accounts_seq_check: 'seq >= 0',
    accounts_grant_count_check: 'grant_count >= 0',
    accounts_event_count_check: 'event_count >= 0',
    accounts_pause_floor_check: 'pause_floor >= 0',
    accounts_available_check: ['reserved >= 0', 'reserved <= remaining', 'remaining <= granted'],
    accounts_overage_check: [
      'overage >= 0',
      'overage_reserved >= 0',
      'overage + overage_reserved <= overage_limit',
    ],
    accounts_overage_before_check: ['overage_before > 0', 'overage_before <= overage_limit'],
    accounts_owed_check: 'owed > 0',
    // The update of a stale cached account fails by it: see versionedUpdate in src/pg/bulk.ts.
    accounts_version_check: 'version > 0',
  },
  indexes: {
    accounts_due: { on: ['dueAt'], where: 'due_at is not null' },
    accounts_statement_due: { on: ['statementDueAt'], where: 'statement_due_at is not null' },
    accounts_top_up_due: { on: ['topUpDueAt'], where: 'top_up_due_at is not null' },
    accounts_auto_top_up: { on: ['planId', 'accountId'], where: 'auto_top_up is not null' },
    accounts_by_plan: { on: ['planId', 'accountId'] },
    accounts_by_label: { on: ['labels'], using: 'gin' },
    accounts_closed: { on: ['accountId'], where: "state = 'CLOSED'" },
    accounts_suspended: { on: ['accountId'], where: 'suspension is not null' },
    accounts_in_shadow: {
      on: ['accountId'],
      where: "shadow is not null and shadow ->> 'until' is null",
    },
  },
  privileges: 'select, insert, update',
  unanalyzed: [
    'timeZones',
    'suspension',
    'labels',
    'autoTopUp',
    'topUps',
    'eventsHash',
    'budgets',
    'shadow',
    'lastHash',
  ],
  fillfactor: 70,
});

/** An audit reads rows that others have written, too. */
function toTimeZones(stored: readonly ZoneChange[]): readonly ZoneChange[] {
  const isWhole = stored.every(({ zone, at }) => typeof zone === 'string' && isInstant(at));
  if (stored.length === 0 || !isWhole) throw new Error('the time zones cannot be read');
  return stored;
}

/** Within what a Date holds. */
const isInstant = (at: number): boolean => Number.isInteger(at) && Math.abs(at) < 8e15;

function toCallerDays({ day, credits }: StoredCallerDays): CallerDays {
  const entries = Object.entries(credits);
  return { day, credits: new Map(entries.map(([caller, value]) => [caller, BigInt(value)])) };
}

function fromCallerDays({ day, credits }: CallerDays): StoredCallerDays {
  return { day, credits: Object.fromEntries(credits) };
}

function toLevels(names: readonly string[]): readonly LowBalanceLevel[] {
  return names.map((name) => {
    const level = parseLevelName(name);
    if (!level) throw new Error(`${name} is no low-balance level`);
    return level;
  });
}

function fromLevels(levels: readonly LowBalanceLevel[]): readonly string[] {
  return levels.map(levelName);
}

function toAutoTopUp(stored: StoredAutoTopUp): AutoTopUp {
  return {
    packId: stored.pack_id,
    threshold: BigInt(stored.threshold),
    onRefusal: stored.on_refusal,
    isCustomPack: stored.custom_pack,
    coolDownMs: stored.cool_down_ms,
    monthlyCap: stored.monthly_cap,
    customer: stored.customer,
    paymentMethod: stored.payment_method,
    agreed: stored.agreed
      ? {
          credits: BigInt(stored.agreed.credits),
          price: { currency: stored.agreed.currency, amount: stored.agreed.amount },
        }
      : null,
  };
}

function fromAutoTopUp(setting: AutoTopUp): StoredAutoTopUp {
  return {
    pack_id: setting.packId,
    threshold: setting.threshold,
    on_refusal: setting.onRefusal,
    custom_pack: setting.isCustomPack,
    cool_down_ms: setting.coolDownMs,
    monthly_cap: setting.monthlyCap,
    customer: setting.customer,
    payment_method: setting.paymentMethod,
    ...(setting.agreed && {
      agreed: { credits: setting.agreed.credits, ...setting.agreed.price },
    }),
  };
}

function toTopUps(stored: StoredTopUps): TopUps {
  return {
    purchaseId: stored.purchase_id,
    leaseExpiresAt: stored.lease_expires_at,
    startedAt: stored.started_at,
    month: stored.month,
    count: stored.count,
    failures: stored.failures,
    retryAt: stored.retry_at,
    refusal: stored.refusal && {
      at: stored.refusal.at,
      shortfall: BigInt(stored.refusal.shortfall),
      available: BigInt(stored.refusal.available),
    },
  };
}

function fromTopUps(topUps: TopUps): StoredTopUps {
  return {
    purchase_id: topUps.purchaseId,
    lease_expires_at: topUps.leaseExpiresAt,
    started_at: topUps.startedAt,
    month: topUps.month,
    count: topUps.count,
    failures: topUps.failures,
    retry_at: topUps.retryAt,
    refusal: topUps.refusal,
  };
}
