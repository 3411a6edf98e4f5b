/** ImportAccount, as the contract describes it. */
import {
  Entry_Kind,
  Grant_Category,
  Grant_Source,
  type Purchase,
  Purchase_Method,
  Purchase_State,
} from '../../../src/gen/billing/v1/ledger.ts';
import type { PricedUsage } from '../../../src/gen/billing/v1/pricing.ts';
import { OPERATIONS, PLANS, type SimulatedPlan } from '../plans.ts';
import { pendingPurchase, validityText } from './buy.ts';
import { endOf, type ModelZones, periodAt } from './calendar.ts';
import type { Deciding } from './deciding.ts';
import { addGrant, everyOf, type NewGrant, periodNameOf } from './due.ts';
import { mistakeIn } from './import-mistakes.ts';
import { accountOf, balanceOf } from './messages.ts';
import { dividedPrice } from './money.ts';
import { Refusal } from './refusal.ts';
import type { First, RequestOf } from './requests.ts';
import {
  type AccountState,
  type Author,
  type Draft,
  type ModelMove,
  mergeParts,
  OVERAGE,
  sum,
} from './state.ts';
import { ownUses } from './uses.ts';

export type ImportRequest = RequestOf<'importAccount'>;
type ImportedGrant = ImportRequest['grants'][number];
type ImportedPurchase = ImportRequest['purchases'][number];
type Spent = Pick<ImportedGrant, 'credits' | 'spent' | 'spentThisMonth'>;

/** What is known of the account before anything of it is written. */
export type Opened = {
  readonly plan: SimulatedPlan;
  readonly openedAt: number;
  readonly timeZones: ModelZones;
};

/** A grant or purchase, and what its entry says beside its moves. */
type Item = Spent & {
  readonly kind: Entry_Kind;
  readonly grant: NewGrant;
  readonly entry: Draft & { readonly details: ReadonlyMap<string, string> };
  /** Null: it is a grant. */
  readonly purchase: ImportedPurchase | null;
};

export function importAccount(
  state: AccountState,
  request: ImportRequest,
  { now, author, importedIds }: Deciding,
): First<'importAccount'> | Refusal {
  const plan = PLANS.find(({ planId }) => planId === request.planId);
  if (!plan) return new Refusal('PLAN_NOT_FOUND', { plan_id: request.planId });
  const { displayName, labels, timeZone } = request;
  const openedAt = timeOf(request.openedAt);
  const timeZones =
    timeZone === '' || timeZone === 'UTC' ? null : [{ zone: timeZone, at: openedAt }];
  const opened = { plan, openedAt, timeZones };
  const mistake = mistakeIn(request, opened, now);
  if (mistake) return mistake;

  Object.assign(state, { planId: plan.planId, displayName, labels, openedAt, timeZones });
  Object.assign(state, { startedAt: now, lastAt: now });
  // The period that is running was granted elsewhere.
  if (plan.allowance)
    state.allowanceDueAt = periodAt(timeZones, everyOf(opened, plan.allowance), now).until;
  const details = new Map([
    ['opened_at', new Date(openedAt).toISOString()],
    ...(displayName === '' ? [] : [['display_name', displayName] as const]),
    ...(timeZones ? [['time_zone', timeZone] as const] : []),
  ]);
  const entry = state.post(Entry_Kind.OPEN_ACCOUNT, now, { labels, details }, author);
  const used: ModelMove[] = [];
  const items = itemsOf(state, request);
  let purchases = 0;
  for (const item of items) {
    const purchaseId = item.purchase ? (importedIds[purchases++] ?? `unknown-${purchases}`) : '';
    const grantId = addItem(state, item, purchaseId, now, author);
    const { spentThisMonth: credits } = item;
    if (credits > 0n) used.push({ from: 'available', to: 'consumed', grantId, credits });
  }
  const overage = request.month?.overage ?? 0n;
  if (overage > 0n)
    used.push({ from: 'overage', to: 'consumed', grantId: OVERAGE, credits: overage });
  const { uses } = postImport(state, request, used, now, author);
  state.imported = {
    ...{ at: now, planId: plan.planId, request, uses },
    expired: sum(items, (item) => item.credits - item.spent - leftOf(item, now)),
    split: mergeParts(used),
  };
  // As of an account that is opened, no level is crossed.
  state.remainingSeen = state.remaining;
  return { account: accountOf(state), balance: balanceOf(state, now), entrySeq: entry.seq };
}

export const timeOf = (at: Date | undefined): number => at?.getTime() ?? 0;

/** The oldest first; those of the same time as the request lists them. */
function itemsOf(state: AccountState, { grants, purchases }: ImportRequest): readonly Item[] {
  const items = [
    ...grants.map((grant) => grantItem(state, grant)),
    ...purchases.map((purchase) => purchaseItem(state, purchase)),
  ];
  return items.toSorted((a, b) => a.grant.effectiveAt - b.grant.effectiveAt);
}

const CATEGORIES = {
  [Grant_Source.WELCOME]: Grant_Category.PROMOTIONAL,
  [Grant_Source.ALLOWANCE]: Grant_Category.ALLOWANCE,
} as const;

function grantItem(state: AccountState, given: ImportedGrant): Item {
  const { source, credits, spent, spentThisMonth, priority, onlyFor } = given;
  const effectiveAt = timeOf(given.effectiveAt);
  const period = source === Grant_Source.ALLOWANCE ? allowanceOf(state, effectiveAt) : null;
  const reference = period?.name ?? given.reference;
  return {
    ...{ credits, spent, spentThisMonth, kind: Entry_Kind.GRANT, purchase: null },
    grant: {
      amount: credits,
      category: given.category || CATEGORIES[source as keyof typeof CATEGORIES],
      effectiveAt,
      expiresAt: period ? period.expiresAt : (given.expiresAt?.getTime() ?? null),
      source,
      sourceReference: reference,
      priority: priority ?? 50,
      operations: (onlyFor?.operations ?? []).toSorted(),
    },
    entry: {
      reference,
      details: new Map(period ? [['period_end', new Date(period.until).toISOString()]] : []),
    },
  };
}

/** The period of the plan's allowance that begins then. */
function allowanceOf(state: AccountState, at: number) {
  const { allowance } = state.plan;
  if (!allowance) throw new Error('an allowance of a plan without one must be refused');
  const period = periodAt(state.timeZones, everyOf(state, allowance), at);
  return {
    until: period.until,
    name: periodNameOf(state, allowance, period),
    expiresAt: allowance.rollover === 'none' ? period.until : null,
  };
}

export const packOf = ({ packs }: SimulatedPlan, { packId }: ImportedPurchase) =>
  packs.find((pack) => pack.packId === packId);

function purchaseItem(state: AccountState, given: ImportedPurchase): Item {
  const { credits, spent, spentThisMonth, quantity = 1, expiry, price } = given;
  const pack = packOf(state.plan, given);
  if (!pack) throw new Error('a pack that is not sold must be refused');
  const paidAt = timeOf(given.paidAt);
  const ends = expiry ? (expiry.expiresAt?.getTime() ?? null) : endOf(pack.validity, paidAt);
  return {
    ...{ credits, spent, spentThisMonth, kind: Entry_Kind.PURCHASE, purchase: given },
    grant: {
      amount: credits,
      category: Grant_Category.PAID,
      effectiveAt: paidAt,
      expiresAt: ends,
      source: Grant_Source.PURCHASE,
      sourceReference: '',
    },
    entry: {
      reference: given.paymentReference,
      details: new Map([
        ['pack_id', pack.packId],
        ['title', pack.title],
        ['quantity', `${quantity}`],
        ['credits', `${credits}`],
        ['amount', price?.amount ?? ''],
        ['currency', price?.currency ?? ''],
        ['validity', validityText(pack.validity)],
        ['method', 'REFERENCE'],
        ['paid_at', new Date(paidAt).toISOString()],
      ]),
    },
  };
}

/** What of it can still be spent: of what is over, nothing. */
const leftOf = ({ credits, spent, grant: { expiresAt } }: Item, now: number): bigint =>
  expiresAt !== null && expiresAt <= now ? 0n : credits - spent;

/** Issues all credits, and says what became of them before the running month. */
function addItem(
  state: AccountState,
  item: Item,
  purchaseId: string,
  now: number,
  author: Author,
): bigint {
  const { kind, entry, purchase, credits, spent, spentThisMonth } = item;
  const grant = purchase ? { ...item.grant, sourceReference: purchaseId } : item.grant;
  const grantId = state.nextGrantId;
  const left = leftOf(item, now);
  const moves: readonly ModelMove[] = [
    { from: 'issued', to: 'available', grantId, credits: left + spentThisMonth },
    { from: 'issued', to: 'consumed', grantId, credits: spent - spentThisMonth },
    { from: 'issued', to: 'expired', grantId, credits: credits - spent - left },
  ];
  const draft = { ...entry, purchaseId, moves: moves.filter((move) => move.credits > 0n) };
  addGrant(state, grant, now, draft, author, kind);
  if (purchase) state.purchases.set(purchaseId, purchaseOf(state, purchase, purchaseId, grantId));
  return grantId;
}

function purchaseOf(
  state: AccountState,
  { credits, quantity = 1, price, paymentReference, ...given }: ImportedPurchase,
  purchaseId: string,
  grantId: bigint,
): Purchase {
  const pack = packOf(state.plan, { ...given, credits, quantity, price, paymentReference });
  if (!pack || !price) throw new Error('a purchase of no pack must be refused');
  const paidAt = timeOf(given.paidAt);
  const { expiresAt } = state.grant(grantId);
  const { currency } = price;
  return {
    ...pendingPurchase(state, pack, quantity, purchaseId, new Map(), paidAt),
    ...{ credits, price, paymentReference, grantId, paidAt: new Date(paidAt) },
    method: Purchase_Method.REFERENCE,
    state: Purchase_State.PAID,
    expiresAt: expiresAt === null ? undefined : new Date(expiresAt),
    pricePerCredit: { currency, amount: dividedPrice(price.amount, credits) },
  };
}

/** The last entry: what the running month had used, and where the account comes from. */
function postImport(
  state: AccountState,
  request: ImportRequest,
  moves: readonly ModelMove[],
  now: number,
  author: Author,
) {
  const { system, reference, month } = request;
  const { allowanceDueAt } = state;
  const usages = (month?.usage ?? []).flatMap(pricedUsages);
  const credits = sum(moves, (move) => move.credits);
  const details = new Map([
    ['system', system],
    ...(allowanceDueAt === null
      ? []
      : [['period_end', new Date(allowanceDueAt).toISOString()] as const]),
  ]);
  state.post(Entry_Kind.IMPORT, now, { moves, credits, usages, details, reference }, author);
  return { uses: ownUses(usages, credits) };
}

/** As often as it was done, for exactly its credits: some may cost one credit more than the others. */
function pricedUsages({
  operation,
  count,
  credits,
}: NonNullable<ImportRequest['month']>['usage'][number]): PricedUsage[] {
  const dear = credits % count;
  const line = (times: bigint, unitCredits: bigint): PricedUsage => ({
    usage: { operation, count: times, quantities: new Map(), attributes: new Map() },
    unitCredits,
    credits: times * unitCredits,
    billable: OPERATIONS[operation]?.billable ?? true,
    components: [],
  });
  const unit = credits / count;
  const lines = [line(count - dear, unit), line(dear, unit + 1n)];
  return lines.filter(({ usage }) => usage?.count !== 0n);
}
