/** What happens to an account by itself as time passes. */
import {
  Entry_Kind,
  Grant_Category,
  Grant_Source,
  Grant_State,
  Reservation_State,
} from '../../../src/gen/billing/v1/ledger.ts';
import { type ModelEvery, monthOf, periodAt, periodFrom } from './calendar.ts';
import { returnMoves } from './funding.ts';
import { updateLevels } from './levels.ts';
import {
  type AccountState,
  type Author,
  type GrantState,
  isActive,
  type ReservationState,
  SERVICE,
  sum,
  totalOf,
} from './state.ts';

/** Something that is due. */
export type DueItem = {
  readonly at: number;
  readonly name: string;
  /** What its first entry names: the reservation or the grant. Empty for an allowance. */
  readonly subject: string;
  readonly kind: Entry_Kind | null;
  readonly apply: () => void;
};

/** What is due by `now`, soonest first. */
export function dueItems(state: AccountState, now: number): readonly DueItem[] {
  const items: DueItem[] = [];
  const add = (
    at: number,
    kind: Entry_Kind | null,
    subject: string,
    apply: (now: number) => void,
  ) => {
    if (at > now) return;
    items.push({ at, kind, subject, name: `${kind} ${subject}`, apply: () => apply(now) });
  };
  for (const reservation of state.reservations.values())
    if (isActive(reservation))
      add(reservation.expiresAt, Entry_Kind.EXPIRE, reservation.reservationId, (at) =>
        expireReservation(state, reservation, at),
      );
  for (const grant of state.burnOrder)
    if (grant.state === Grant_State.SCHEDULED)
      add(grant.effectiveAt, Entry_Kind.GRANT_EFFECTIVE, `${grant.grantId}`, (at) =>
        makeEffective(state, grant, at),
      );
    else if (grant.expiresAt !== null && grant.remaining > grant.reserved)
      add(grant.expiresAt, Entry_Kind.GRANT_EXPIRED, `${grant.grantId}`, (at) =>
        expireGrant(state, grant, grant.remaining - grant.reserved, at, SERVICE),
      );
  if (state.isOpen && state.allowanceDueAt !== null)
    add(state.allowanceDueAt, null, '', (at) => startPeriod(state, at, SERVICE));
  return items.sort((a, b) => a.at - b.at);
}

/** Does everything that is due by `now`, as far as the order is not free. */
export function settle(state: AccountState, now: number) {
  syncTerms(state, now);
  for (let [first] = dueItems(state, now); first; [first] = dueItems(state, now)) first.apply();
  updateLevels(state);
}

/** A plan that has gained an allowance gives it from the next period on. */
export function syncTerms(state: AccountState, now: number) {
  const { allowance } = state.plan;
  if (allowance && state.allowanceDueAt === null)
    state.allowanceDueAt = periodAt(state.timeZones, everyOf(state, allowance), now).until;
}

/** How often the allowance is granted: each month, or counted from the opening. */
export const everyOf = (
  { openedAt }: Pick<AccountState, 'openedAt'>,
  { every }: NonNullable<AccountState['plan']['allowance']>,
): ModelEvery => (every === 'month' ? every : { ...every, since: openedAt });

function expireReservation(state: AccountState, reservation: ReservationState, now: number) {
  const { held, reservationId, returned, expiresAt } = reservation;
  const credits = totalOf(held);
  state.post(
    Entry_Kind.EXPIRE,
    now,
    { moves: returnMoves(state, held, now), credits, ...namesOf(reservation) },
    SERVICE,
  );
  state.reservations.set(reservationId, {
    ...reservation,
    state: Reservation_State.EXPIRED,
    held: [],
    lapsed: held,
    returned: returned + credits,
    endedAt: expiresAt,
  });
  state.emit('reservation.expired', {
    reservation_id: reservationId,
    credits: `${credits}`,
    reference: reservation.reference,
  });
}

/** What every entry of a reservation names. */
export const namesOf = ({
  reservationId,
  planId,
  rateCardVersion,
  reference,
  labels,
}: ReservationState) => ({ reservationId, planId, rateCardVersion, reference, labels });

function makeEffective(state: AccountState, grant: GrantState, now: number) {
  const { grantId, sourceReference } = grant;
  const amount = grant.amount - grant.voided;
  state.grants.set(grantId, { ...grant, state: Grant_State.OPEN });
  state.post(
    Entry_Kind.GRANT_EFFECTIVE,
    now,
    {
      moves: [{ from: 'issued', to: 'available', grantId, credits: amount }],
      credits: amount,
      grantId,
      reference: sourceReference,
    },
    SERVICE,
  );
}

function expireGrant(
  state: AccountState,
  { grantId, sourceReference }: GrantState,
  credits: bigint,
  now: number,
  author: Author,
) {
  state.post(
    Entry_Kind.GRANT_EXPIRED,
    now,
    {
      moves: [{ from: 'available', to: 'expired', grantId, credits }],
      credits,
      grantId,
      reference: sourceReference,
    },
    author,
  );
  const grant = state.grant(grantId);
  if (grant.remaining === 0n) state.grants.set(grantId, { ...grant, state: Grant_State.EXPIRED });
  state.emit('grant.expired', {
    grant_id: `${grantId}`,
    credits: `${credits}`,
    category: CATEGORIES[grant.category] ?? '',
  });
}

const CATEGORIES: Readonly<Record<number, string>> = {
  [Grant_Category.PAID]: 'PAID',
  [Grant_Category.PROMOTIONAL]: 'PROMOTIONAL',
  [Grant_Category.ALLOWANCE]: 'ALLOWANCE',
  [Grant_Category.ADJUSTMENT]: 'ADJUSTMENT',
};

/** Begins the period that is due: what does not roll over expires, and the allowance is granted. */
export function startPeriod(state: AccountState, now: number, author: Author) {
  const { allowance } = state.plan;
  const from = state.allowanceDueAt ?? now;
  if (!allowance) {
    state.allowanceDueAt = null;
    return;
  }
  const { until } = periodFrom(state.timeZones, everyOf(state, allowance), from);
  expireOldAllowances(state, now, author);
  state.allowanceDueAt = until;
  const period = periodNameOf(state, allowance, { from, until });
  addGrant(
    state,
    {
      amount: BigInt(allowance.credits),
      category: Grant_Category.ALLOWANCE,
      effectiveAt: from,
      expiresAt: allowance.rollover === 'none' ? until : null,
      source: Grant_Source.ALLOWANCE,
      sourceReference: period,
    },
    now,
    { reference: period, details: new Map([['period_end', new Date(until).toISOString()]]) },
    author,
  );
}

/** What the ledger calls a period of the allowance. */
export const periodNameOf = (
  { timeZones }: Pick<AccountState, 'timeZones'>,
  { every }: NonNullable<AccountState['plan']['allowance']>,
  { from, until }: { readonly from: number; readonly until: number },
): string => (every === 'month' ? monthOf(timeZones, until - 1) : new Date(from).toISOString());

/** Of the allowances that have no expiry, the newest credits stay, up to the limit. */
function expireOldAllowances(state: AccountState, now: number, author: Author) {
  const rollover = state.plan.allowance?.rollover ?? 'none';
  if (rollover === 'all') return;
  const limit = rollover === 'none' ? 0n : BigInt(rollover.upTo);
  const grants = [...state.grants.values()].filter(
    ({ category, expiresAt, remaining }) =>
      category === Grant_Category.ALLOWANCE && expiresAt === null && remaining > 0n,
  );
  let excess = sum(grants, ({ remaining }) => remaining) - limit;
  for (const grant of grants) {
    const available = grant.remaining - grant.reserved;
    const credits = available < excess ? available : excess;
    if (credits <= 0n) continue;
    expireGrant(state, grant, credits, now, author);
    excess -= credits;
  }
}

export type NewGrant = Pick<
  GrantState,
  'amount' | 'category' | 'effectiveAt' | 'expiresAt' | 'source' | 'sourceReference'
> &
  Partial<Pick<GrantState, 'priority' | 'operations'>>;

const DEFAULT_PRIORITY = 50;

/** Adds a grant with its entry. One that begins later has no credits yet. */
export function addGrant(
  state: AccountState,
  grant: NewGrant,
  now: number,
  entry: Parameters<AccountState['post']>[2],
  author: Author,
  kind: Entry_Kind = Entry_Kind.GRANT,
): GrantState {
  const grantId = state.nextGrantId;
  const { amount } = grant;
  const isScheduled = grant.effectiveAt > now;
  state.grants.set(grantId, {
    priority: DEFAULT_PRIORITY,
    operations: [],
    ...grant,
    grantId,
    remaining: 0n,
    reserved: 0n,
    voided: 0n,
    toVoid: 0n,
    expired: 0n,
    createdAt: now,
    state: isScheduled ? Grant_State.SCHEDULED : Grant_State.OPEN,
  });
  const moves = isScheduled
    ? []
    : [{ from: 'issued' as const, to: 'available' as const, grantId, credits: amount }];
  const details =
    entry.details === null
      ? null
      : new Map([...termsOf(state.grant(grantId)), ...(entry.details ?? [])]);
  state.post(kind, now, { moves, credits: amount, grantId, ...entry, details }, author);
  return state.grant(grantId);
}

/** What others have paid of a debt that is none any more. */
export const grantPaidOwed = (
  state: AccountState,
  credits: bigint,
  now: number,
  entry: Parameters<AccountState['post']>[2],
  author: Author,
): GrantState =>
  addGrant(
    state,
    {
      amount: credits,
      category: Grant_Category.ADJUSTMENT,
      effectiveAt: now,
      expiresAt: null,
      source: Grant_Source.REFUND,
      sourceReference: '0',
    },
    now,
    entry,
    author,
  );

const nameIn = (names: Readonly<Record<string, number>>, value: number): string =>
  Object.keys(names).find((name) => names[name] === value) ?? '';

/** What the entry of a grant says of it. */
function termsOf({
  source,
  sourceReference,
  category,
  priority,
  effectiveAt,
  expiresAt,
  operations,
}: GrantState): Map<string, string> {
  const terms = new Map([
    ['source', nameIn(Grant_Source, source)],
    ['category', nameIn(Grant_Category, category)],
    ['priority', `${priority}`],
    ['effective_at', new Date(effectiveAt).toISOString()],
    ['expires_at', expiresAt === null ? 'never' : new Date(expiresAt).toISOString()],
  ]);
  if (
    source === Grant_Source.ALLOWANCE ||
    source === Grant_Source.WELCOME ||
    source === Grant_Source.REFUND
  )
    terms.set('source_reference', sourceReference);
  if (operations.length > 0) terms.set('operations', operations.join(','));
  return terms;
}
