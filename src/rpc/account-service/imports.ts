/** ImportAccount and SumImports. */
import { Failure } from '../../failure.ts';
import {
  type GrantExpiry,
  type ImportedGrant as GrantRequest,
  ImportAccountRequest,
  ImportAccountResponse,
  type ImportSums as ImportSumsMessage,
  type ImportedMonth as MonthRequest,
  type ImportedPurchase as PurchaseRequest,
  type SumImportsRequest,
  type SumImportsResponse,
} from '../../gen/billing/v1/account_service.ts';
import { Grant_Category, Grant_Source } from '../../gen/billing/v1/ledger.ts';
import type { Money as MoneyMessage } from '../../gen/billing/v1/pricing.ts';
import { DEFAULT_PRIORITY } from '../../ledger/grant.ts';
import type {
  ImportedGrant,
  ImportedMonth,
  ImportedPurchase,
  ImportedSpending,
} from '../../ledger/import/import-account.ts';
import { paymentReferenceKey } from '../../ledger/payment-reference.ts';
import { findCurrency } from '../../pricing/currencies.ts';
import { parseMoney } from '../../pricing/money.ts';
import type { Money } from '../../pricing/plan.ts';
import { type ImportSums, sumImportsOf } from '../../queries/import-sums.ts';
import { mergeImportSums } from '../../queries/merge-import-sums.ts';
import { FieldChecker } from '../call/field-checker.ts';
import type { UnaryCall } from '../call/handlers.ts';
import { readInCell } from '../call/in-cell.ts';
import { defineMutation } from '../call/mutation.ts';
import { accountMessage } from '../messages/account.ts';
import { balanceMessage } from '../messages/balance.ts';
import { sumMessage } from '../messages/sum.ts';
import type { ServiceContext } from '../service-context.ts';
import { parseTimeZone } from './time-zone.ts';

/** Grants and purchases of one account. */
const ITEMS_MAX = 1_000;
const QUANTITY_MAX = 1_000;
const USAGES_MAX = 1_000;
const ACCOUNTS_MAX = 1_000;
const MONTH = /^\d{4}-(0[1-9]|1[0-2])$/;
/** Of the bytes that Stripe gives an id. */
const INTENT = /^[\x21-\x7e]{1,255}$/;

export const importAccount = defineMutation(
  'ImportAccount',
  ImportAccountRequest,
  ImportAccountResponse,
  (request, check) => {
    const { grants, purchases } = request;
    if (grants.length + purchases.length > ITEMS_MAX)
      check.addViolation('grants', `must be at most ${ITEMS_MAX}, with the purchases`);
    return {
      kind: 'ImportAccount',
      planId: check.name('plan_id', request.planId),
      displayName: check.text('display_name', request.displayName, 256),
      labels: check.labels('labels', request.labels),
      openedAt: requiredInstant('opened_at', request.openedAt, check),
      timeZone: parseTimeZone(request.timeZone, check),
      grants: grants.map((grant, index) => parseGrant(grant, `grants[${index}]`, check)),
      purchases: purchases.map((purchase, index) =>
        parsePurchase(purchase, `purchases[${index}]`, check),
      ),
      month: request.month ? parseMonth(request.month, check) : null,
      system: check.name('system', request.system),
      file: check.text('file', request.file, 256),
      reference: check.text('reference', request.reference, 256),
      validateOnly: request.validateOnly,
    };
  },
  ({ entrySeq }, book) => ({
    account: accountMessage(book.account, book.plan.terms),
    balance: balanceMessage(book),
    entrySeq,
  }),
);

function requiredInstant(field: string, value: Date | undefined, check: FieldChecker): number {
  if (!value) check.addViolation(field, 'is required');
  return check.instant(field, value) ?? 0;
}

const SOURCES: Partial<Record<Grant_Source, ImportedGrant['source']>> = {
  [Grant_Source.WELCOME]: 'WELCOME',
  [Grant_Source.ALLOWANCE]: 'ALLOWANCE',
  [Grant_Source.OPERATOR]: 'OPERATOR',
};

type Category = ImportedGrant['category'];
const CATEGORIES: Partial<Record<Grant_Category, Category>> = {
  [Grant_Category.PAID]: 'PAID',
  [Grant_Category.PROMOTIONAL]: 'PROMOTIONAL',
  [Grant_Category.ALLOWANCE]: 'ALLOWANCE',
  [Grant_Category.ADJUSTMENT]: 'ADJUSTMENT',
};

/** The categories of grants of a source; the first where none is given, of OPERATOR none. */
const CATEGORIES_OF: Readonly<Record<ImportedGrant['source'], readonly Category[]>> = {
  WELCOME: ['PROMOTIONAL'],
  ALLOWANCE: ['ALLOWANCE'],
  OPERATOR: ['PAID', 'PROMOTIONAL', 'ADJUSTMENT'],
};

function parseGrant(grant: GrantRequest, path: string, check: FieldChecker): ImportedGrant {
  const source = SOURCES[grant.source];
  if (!source) check.addViolation(`${path}.source`, 'must be WELCOME, ALLOWANCE or OPERATOR');
  const { priority = DEFAULT_PRIORITY } = grant;
  if (priority < 0 || priority > 100) check.addViolation(`${path}.priority`, 'must be 0 to 100');
  if (source !== 'OPERATOR' && grant.reference !== '')
    check.addViolation(`${path}.reference`, 'is only for grants of OPERATOR');
  return {
    source: source ?? 'OPERATOR',
    category: parseCategory(grant.category, source ?? 'OPERATOR', path, check),
    ...parseSpending(grant, path, check),
    effectiveAt: requiredInstant(`${path}.effective_at`, grant.effectiveAt, check),
    expiresAt: check.instant(`${path}.expires_at`, grant.expiresAt),
    priority,
    operations: check.operations(`${path}.only_for`, grant.onlyFor),
    reference: check.text(`${path}.reference`, grant.reference, 256),
  };
}

function parseCategory(
  given: Grant_Category,
  source: ImportedGrant['source'],
  path: string,
  check: FieldChecker,
): Category {
  const allowed = CATEGORIES_OF[source];
  const [only] = allowed;
  if (given === Grant_Category.UNSPECIFIED && source !== 'OPERATOR' && only) return only;
  const category = CATEGORIES[given];
  if (category && allowed.includes(category)) return category;
  check.addViolation(`${path}.category`, `must be ${allowed.join(' or ')}`);
  return 'ADJUSTMENT';
}

function parseSpending(
  { credits, spent, spentThisMonth }: ImportedSpending,
  path: string,
  check: FieldChecker,
): ImportedSpending {
  return {
    credits: check.credits(`${path}.credits`, credits, 1n),
    spent: check.credits(`${path}.spent`, spent),
    spentThisMonth: check.credits(`${path}.spent_this_month`, spentThisMonth),
  };
}

function parsePurchase(
  purchase: PurchaseRequest,
  path: string,
  check: FieldChecker,
): ImportedPurchase {
  const { quantity = 1, paymentReference, paymentIntentId } = purchase;
  if (quantity < 1 || quantity > QUANTITY_MAX)
    check.addViolation(`${path}.quantity`, `must be 1 to ${QUANTITY_MAX}`);
  check.text(`${path}.payment_reference`, paymentReference, 256, 1);
  if (paymentReference !== '' && paymentReferenceKey(paymentReference) === '')
    check.addViolation(`${path}.payment_reference`, 'must have a visible character');
  if (paymentIntentId !== '' && !INTENT.test(paymentIntentId))
    check.addViolation(
      `${path}.payment_intent_id`,
      'must be at most 255 printable ASCII characters without spaces',
    );
  return {
    packId: check.name(`${path}.pack_id`, purchase.packId),
    quantity,
    ...parseSpending(purchase, path, check),
    price: parsePrice(purchase.price, `${path}.price`, check),
    paidAt: requiredInstant(`${path}.paid_at`, purchase.paidAt, check),
    ...(purchase.expiry && { expiresAt: parseExpiry(purchase.expiry, path, check) }),
    paymentReference,
    paymentIntentId: paymentIntentId || null,
  };
}

const parseExpiry = ({ expiresAt }: GrantExpiry, path: string, check: FieldChecker) =>
  check.instant(`${path}.expiry.expires_at`, expiresAt);

function parsePrice(price: MoneyMessage | undefined, field: string, check: FieldChecker): Money {
  const parsed = parseMoney(price ? `${price.amount} ${price.currency}` : '');
  if (typeof parsed === 'string') check.addViolation(field, price ? parsed : 'is required');
  // It was paid elsewhere: the minimum and maximum of the payment provider do not count.
  else if (findCurrency(parsed.currency)) return parsed;
  else check.addViolation(field, `names ${parsed.currency}, which is no currency of ISO 4217`);
  return { currency: '', amount: '0' };
}

function parseMonth({ month, overage, usage }: MonthRequest, check: FieldChecker): ImportedMonth {
  if (!MONTH.test(month)) check.addViolation('month.month', 'must be a month, such as 2026-11');
  if (usage.length > USAGES_MAX)
    check.addViolation('month.usage', `must be at most ${USAGES_MAX} operations`);
  return {
    month,
    overage: check.credits('month.overage', overage),
    usage: usage.slice(0, USAGES_MAX).map(({ operation, count, credits }, index) => {
      const path = `month.usage[${index}]`;
      return {
        operation: check.text(`${path}.operation`, operation, 128, 1),
        count: check.credits(`${path}.count`, count, 1n),
        credits: check.credits(`${path}.credits`, credits),
      };
    }),
  };
}

export async function sumImports(
  context: ServiceContext,
  { accountIds }: SumImportsRequest,
  { access }: UnaryCall,
): Promise<SumImportsResponse> {
  const check = new FieldChecker();
  if (accountIds.length < 1 || accountIds.length > ACCOUNTS_MAX)
    check.addViolation('account_ids', `must be 1 to ${ACCOUNTS_MAX} accounts`);
  else if (new Set(accountIds).size < accountIds.length)
    check.addViolation('account_ids', 'must have no duplicates');
  for (const accountId of accountIds.slice(0, ACCOUNTS_MAX)) check.accountId(accountId);
  check.throwIfInvalid();
  for (const accountId of accountIds) {
    const denied = context.authorization.denyAccount(access, 'SumImports', accountId);
    if (denied instanceof Failure) throw denied;
  }
  const { cells } = context;
  const { changing } = cells;
  const ofCells = Map.groupBy(accountIds, (accountId) => cells.of(accountId));
  const read = [...ofCells].map(([cell, ids]) =>
    readInCell(cell, ({ em }) => sumImportsOf(em(), ids, access.permissions.accounts)),
  );
  const sums = mergeImportSums((await Promise.all(read)).flat());
  cells.assertUnchanged(changing);
  return { sums: sums.map(sumsMessage) };
}

/** No account has more than an int64 of anything, and many have. */
const sumsMessage = ({ paid, ...sums }: ImportSums): ImportSumsMessage => ({
  ...sums,
  granted: sumMessage(sums.granted),
  spent: sumMessage(sums.spent),
  spentThisMonth: sumMessage(sums.spentThisMonth),
  expired: sumMessage(sums.expired),
  overage: sumMessage(sums.overage),
  paid: [...paid],
});
