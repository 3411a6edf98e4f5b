/** What must hold of an import before anything of it is written. */
import type { Failure } from '../../failure.ts';
import { unknownOperationAt } from '../../pricing/usage-failures.ts';
import { allowancePeriodAt } from '../allowance.ts';
import type { Book } from '../book.ts';
import { checkCallerLimits } from '../caller-limits.ts';
import { checkCreditLimit } from '../credit-limit.ts';
import { monthNotRunning, paymentReferenceUsed, planLacksPack } from '../failures.ts';
import { instantText } from '../grant-details.ts';
import { paymentReferenceKey } from '../payment-reference.ts';
import { monthAt, monthNameAt, nameOfMonth, periodAt } from '../periods/period.ts';
import {
  type ImportAccount,
  type ImportedGrant,
  type ImportedSpending,
  usedThisMonth,
} from './import-account.ts';
import { grantExpiry, importedPack, purchaseExpiry } from './items.ts';
import { atField, Mistakes } from './mistakes.ts';

const DAY_MS = 86_400_000;

/** `left`: the credits that the account will have. Null: nothing is wrong. */
export function checkImport(book: Book, command: ImportAccount, left: bigint): Failure | null {
  const mistakes = new Mistakes();
  if (command.openedAt > book.now) mistakes.addField('opened_at', inFuture(book));
  checkGrants(book, command, mistakes);
  checkPurchases(book, command, mistakes);
  checkMonth(book, command, mistakes);
  // What was spent of a grant counts, too: sums over the amounts of grants are int64.
  const granted = [...command.grants, ...command.purchases].reduce(
    (sum, { credits }) => sum + credits,
    0n,
  );
  return mistakes.failure ?? checkCreditLimit(book, granted) ?? checkCallerLimits(book, left);
}

const inFuture = ({ now }: Book): string => `is in the future: it is ${instantText(now)}`;

function checkGrants(book: Book, command: ImportAccount, mistakes: Mistakes) {
  const seen = new Map<string, string>();
  for (const [index, grant] of command.grants.entries()) {
    const path = `grants[${index}]`;
    checkSpending(grant, path, mistakes);
    checkEnd(book, command, { ...grant, expiresAt: grantExpiry(book, grant) }, path, mistakes);
    const earliest = earliestOf(book, grant);
    checkDate(book, grant.effectiveAt, earliest, `${path}.effective_at`, mistakes);
    for (const [position, operation] of grant.operations.entries())
      if (!book.plan.rateCard.operations.has(operation))
        mistakes.add(
          unknownOperationAt(
            book.plan.rateCard,
            operation,
            `${path}.only_for.operations[${position}]`,
          ),
        );
    if (grant.source === 'ALLOWANCE') checkAllowance(book, grant, path, mistakes);
    else if (grant.expiresAt !== null && grant.expiresAt <= grant.effectiveAt)
      mistakes.addField(`${path}.expires_at`, 'must be after effective_at');
    if (grant.source === 'OPERATOR') continue;
    // Only one of each: of all accounts WELCOME, of each period ALLOWANCE.
    const once = grant.source === 'WELCOME' ? 'WELCOME' : `${grant.effectiveAt}`;
    const before = seen.get(once);
    if (before) mistakes.addField(`${path}.source`, `was granted before, by ${before}`);
    seen.set(once, path);
  }
}

/** An allowance of the plan, from the first moment of a period. */
function checkAllowance(
  { plan, account }: Book,
  { effectiveAt, expiresAt }: ImportedGrant,
  path: string,
  mistakes: Mistakes,
) {
  const { allowance } = plan.terms;
  if (!allowance)
    return mistakes.addField(
      `${path}.source`,
      `plan ${plan.planId} gives no allowance: import it as PROMOTIONAL`,
    );
  if (expiresAt !== null)
    mistakes.addField(`${path}.expires_at`, 'follows from the plan, and must not be given');
  const { from } = allowancePeriodAt(account, allowance, effectiveAt);
  if (from !== effectiveAt)
    mistakes.addField(
      `${path}.effective_at`,
      `must be the first moment of a period, such as ${instantText(from)}`,
    );
}

function checkPurchases(book: Book, command: ImportAccount, mistakes: Mistakes) {
  const references = new Map<string, string>();
  const intents = new Map<string, string>();
  for (const [index, purchase] of command.purchases.entries()) {
    const path = `purchases[${index}]`;
    const { packId, paidAt, expiresAt, paymentReference, paymentIntentId } = purchase;
    if (!importedPack(book.plan, purchase))
      mistakes.add(atField(planLacksPack(book.plan, packId), `${path}.pack_id`));
    checkSpending(purchase, path, mistakes);
    const ends = purchaseExpiry(book, purchase);
    checkEnd(book, command, { ...purchase, expiresAt: ends }, path, mistakes);
    checkDate(book, paidAt, dayOfOpening(book), `${path}.paid_at`, mistakes);
    if (typeof expiresAt === 'number' && expiresAt <= paidAt)
      mistakes.addField(`${path}.expiry.expires_at`, 'must be after paid_at');
    const key = paymentReferenceKey(paymentReference);
    const before = references.get(key);
    if (before !== undefined)
      mistakes.add(
        atField(paymentReferenceUsed(paymentReference, before), `${path}.payment_reference`),
      );
    references.set(key, paymentReference);
    if (paymentIntentId === null) continue;
    const other = intents.get(paymentIntentId);
    if (other) mistakes.addField(`${path}.payment_intent_id`, `has paid for ${other}`);
    intents.set(paymentIntentId, path);
  }
}

function checkMonth(book: Book, command: ImportAccount, mistakes: Mistakes) {
  const { month } = command;
  const used = usedThisMonth(command);
  if (!month) {
    if (used > 0n) mistakes.addField('month', 'is required: credits were spent in it');
    return;
  }
  const running = monthNameAt(book.account.timeZones, book.now);
  if (month.month !== running)
    mistakes.add(atField(monthNotRunning(month.month, running), 'month.month'));
  checkOverage(book, month.overage, mistakes);
  const { operations } = book.plan.rateCard;
  for (const [index, { operation, credits }] of month.usage.entries()) {
    const path = `month.usage[${index}]`;
    const known = operations.get(operation);
    if (!known)
      mistakes.add(unknownOperationAt(book.plan.rateCard, operation, `${path}.operation`));
    else if (!known.billable && credits > 0n)
      mistakes.addField(`${path}.credits`, `must be 0: ${operation} is not billable`);
  }
  const sum = month.usage.reduce((total, { credits }) => total + credits, 0n);
  if (month.usage.length > 0 && sum !== used)
    mistakes.addField(
      'month.usage',
      `comes to ${sum} credits; grants, purchases and overage say that ${used} were used`,
    );
}

function checkOverage({ plan, account }: Book, overage: bigint, mistakes: Mistakes) {
  if (overage === 0n) return;
  if (!plan.terms.overage)
    mistakes.addField('month.overage', `must be 0: plan ${plan.planId} bills no overage`);
  else if (overage > account.overageLimit)
    mistakes.addField(
      'month.overage',
      `is ${overage}, the limit of plan ${plan.planId} is ${account.overageLimit}`,
    );
}

function checkSpending(
  { credits, spent, spentThisMonth }: ImportedSpending,
  path: string,
  mistakes: Mistakes,
) {
  if (spent > credits)
    mistakes.addField(`${path}.spent`, `is ${spent}, more than the ${credits} credits granted`);
  if (spentThisMonth > spent)
    mistakes.addField(
      `${path}.spent_this_month`,
      `is ${spentThisMonth}, more than the ${spent} that were spent in all`,
    );
}

/** What was over before the month began has paid for nothing of it. Of another month, MONTH_NOT_RUNNING says enough. */
function checkEnd(
  { account: { timeZones }, now }: Book,
  { month }: ImportAccount,
  { spentThisMonth, expiresAt }: ImportedSpending & { readonly expiresAt: number | null },
  path: string,
  mistakes: Mistakes,
) {
  if (spentThisMonth === 0n || expiresAt === null || expiresAt > now) return;
  const running = monthAt(timeZones, now);
  if (expiresAt > running.from || (month && month.month !== nameOfMonth(running))) return;
  mistakes.addField(
    `${path}.spent_this_month`,
    `must be 0: it expired at ${instantText(expiresAt)}, and the running month began at ${instantText(running.from)}`,
  );
}

/** `earliest` is its first possible moment. */
function checkDate(book: Book, at: number, earliest: number, field: string, mistakes: Mistakes) {
  if (at > book.now) mistakes.addField(field, inFuture(book));
  else if (at < earliest) mistakes.addField(field, 'is before the account was opened');
}

/**
 * Dates of one day may differ in their precision: a date alone is its first moment. The day is that of the account's
 * zone, or that of UTC where it began earlier: files have dates of UTC.
 */
function dayOfOpening({ account: { openedAt, timeZones } }: Book): number {
  const inUtc = Math.floor(openedAt / DAY_MS) * DAY_MS;
  return Math.min(inUtc, periodAt(timeZones, 'day', openedAt).from);
}

/** The period in which an account is opened has begun before. */
function earliestOf(book: Book, { source }: ImportedGrant): number {
  const { plan, account } = book;
  const { allowance } = plan.terms;
  if (source !== 'ALLOWANCE' || !allowance) return dayOfOpening(book);
  return allowancePeriodAt(account, allowance, account.openedAt).from;
}
