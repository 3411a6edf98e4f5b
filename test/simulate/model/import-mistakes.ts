/** What an import must not say: the first mistake, in the order of the request's fields. */
import { Grant_Source } from '../../../src/gen/billing/v1/ledger.ts';
import { OPERATIONS, UNITS } from '../plans.ts';
import { referenceKey } from './buy.ts';
import { endOf, monthOf, periodAt } from './calendar.ts';
import { everyOf } from './due.ts';
import { type ImportRequest, type Opened, packOf, timeOf } from './import.ts';
import { Refusal } from './refusal.ts';
import { sum } from './state.ts';

type ImportedGrant = ImportRequest['grants'][number];
type Mistakes = Generator<Refusal, void, void>;

const invalid = new Refusal('INVALID_FIELD');
const unknown = (operation: string): Refusal => new Refusal('UNKNOWN_OPERATION', { operation });

/** Null: none. */
export function mistakeIn(request: ImportRequest, opened: Opened, now: number): Refusal | null {
  for (const mistake of mistakesIn(request, opened, now)) return mistake;
  return null;
}

function* mistakesIn(request: ImportRequest, opened: Opened, now: number): Mistakes {
  if (opened.openedAt > now) yield invalid;
  const made: string[] = [];
  const running = periodAt(opened.timeZones, 'month', now);
  const isOfAnother = request.month && request.month.month !== monthOf(opened.timeZones, now);
  const began = isOfAnother ? Number.NEGATIVE_INFINITY : running.from;
  for (const grant of request.grants) yield* inGrant(grant, opened, { now, began }, made);
  const references = new Map<string, string>();
  for (const purchase of request.purchases) {
    const { packId, paymentReference, expiry } = purchase;
    const paidAt = timeOf(purchase.paidAt);
    const pack = packOf(opened.plan, purchase);
    if (!pack) yield new Refusal('PACK_NOT_FOUND', { pack_id: packId });
    yield* inSpending(purchase);
    const ends = expiry ? expiry.expiresAt?.getTime() : endOf(pack?.validity ?? null, paidAt);
    yield* inEnd(purchase, ends ?? null, began);
    yield* inDate(paidAt, dayOfOpening(opened), now);
    if (expiry?.expiresAt && expiry.expiresAt.getTime() <= paidAt) yield invalid;
    const before = references.get(referenceKey(paymentReference));
    if (before !== undefined) yield new Refusal('PAYMENT_REFERENCE_USED', { used_as: before });
    references.set(referenceKey(paymentReference), paymentReference);
  }
  yield* inMonth(request, opened, now);
}

/** `began`: when the month began of which the import tells. */
type Moments = { readonly now: number; readonly began: number };

/** `made`: the welcome credits and the allowances that were seen before. */
function* inGrant(
  grant: ImportedGrant,
  opened: Opened,
  { now, began }: Moments,
  made: string[],
): Mistakes {
  const { source, expiresAt, onlyFor } = grant;
  const effectiveAt = timeOf(grant.effectiveAt);
  const isAllowance = source === Grant_Source.ALLOWANCE;
  const { allowance } = opened.plan;
  const wholePeriodOf = (at: number) =>
    allowance && isAllowance ? periodAt(opened.timeZones, everyOf(opened, allowance), at) : null;
  const periodOf = (at: number) => wholePeriodOf(at)?.from ?? null;
  yield* inSpending(grant);
  const period = wholePeriodOf(effectiveAt);
  const lasts = period && allowance?.rollover !== 'none';
  yield* inEnd(grant, lasts ? null : (period?.until ?? expiresAt?.getTime() ?? null), began);
  yield* inDate(effectiveAt, periodOf(opened.openedAt) ?? dayOfOpening(opened), now);
  for (const operation of onlyFor?.operations ?? [])
    if (!OPERATIONS[operation]) yield unknown(operation);
  if (isAllowance) {
    // It begins with a period, and the plan says how long it lasts.
    if (expiresAt || periodOf(effectiveAt) !== effectiveAt) yield invalid;
  } else if (expiresAt && expiresAt.getTime() <= effectiveAt) yield invalid;
  if (source === Grant_Source.OPERATOR) return;
  const one = isAllowance ? `allowance of ${effectiveAt}` : 'welcome';
  if (made.includes(one)) yield invalid;
  made.push(one);
}

function* inSpending({
  credits,
  spent,
  spentThisMonth,
}: Pick<ImportedGrant, 'credits' | 'spent' | 'spentThisMonth'>): Mistakes {
  if (spent > credits || spentThisMonth > spent) yield invalid;
}

/** What is over when a month begins pays for nothing of it. */
function* inEnd(
  { spentThisMonth }: Pick<ImportedGrant, 'spentThisMonth'>,
  ends: number | null,
  began: number,
): Mistakes {
  if (ends !== null && ends <= began && spentThisMonth > 0n) yield invalid;
}

function* inDate(at: number, earliest: number, now: number): Mistakes {
  if (at < earliest || at > now) yield invalid;
}

/** Dates of the day on which the account was opened, in UTC or in its zone, may be less exact than its opening. */
const dayOfOpening = ({ openedAt, timeZones }: Opened): number =>
  Math.min(openedAt - (openedAt % UNITS.DAY), periodAt(timeZones, 'day', openedAt).from);

function* inMonth(
  { grants, purchases, month }: ImportRequest,
  { plan, timeZones }: Opened,
  now: number,
): Mistakes {
  const spent = sum([...grants, ...purchases], ({ spentThisMonth }) => spentThisMonth);
  if (!month) {
    if (spent > 0n) yield invalid;
    return;
  }
  const running = monthOf(timeZones, now);
  if (month.month !== running)
    yield new Refusal('MONTH_NOT_RUNNING', { month: month.month, running });
  if (month.overage > BigInt(plan.overage?.limit ?? 0)) yield invalid;
  for (const { operation, credits } of month.usage) {
    const known = OPERATIONS[operation];
    if (!known) yield unknown(operation);
    else if (!known.billable && credits > 0n) yield invalid;
  }
  const told = sum(month.usage, ({ credits }) => credits);
  if (month.usage.length > 0 && told !== spent + month.overage) yield invalid;
}
