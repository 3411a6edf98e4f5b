/** An account of an import file, as both formats say it: docs/how-to/import.md describes it. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { canonicalJson } from '../../canonical.ts';
import type { ImportAccountRequest } from '../../gen/billing/v1/account_service.ts';
import { Grant_Category, Grant_Source } from '../../gen/billing/v1/ledger.ts';
import { parseMoney } from '../../pricing/money.ts';
import { instant } from '../../pricing/plan-file/scalar-schemas.ts';

const INTEGER_REASON = 'must be a whole number';

const missingOr =
  (reason: string) =>
  ({ input }: { readonly input?: unknown }) =>
    input === undefined ? 'missing key' : reason;

/** A number of JSON, or digits: CSV has texts, and large numbers are exact only as such. */
const integer = z
  .union([z.int(), z.string().regex(/^\d{1,18}$/)], { error: missingOr(INTEGER_REASON) })
  .transform((value) => BigInt(value));

const smallInteger = z
  .union([z.int(), z.string().regex(/^\d{1,9}$/)], { error: INTEGER_REASON })
  .transform(Number);

const text = z.string({
  error: missingOr('must be a text'),
});

const date = instant.transform((at) => new Date(at));

/** Null: never. */
const expiry = z.union([z.literal('never').transform(() => null), z.null(), instant], {
  error: 'must be never, a date such as 2027-01-01, or an instant such as 2027-01-01T12:00:00Z',
});

const price = text.transform((value, context) => {
  const money = parseMoney(value);
  if (typeof money !== 'string') return money;
  context.addIssue(money);
  return z.NEVER;
});

/** The name of a member of an enum, in any case. */
const memberOf = <Member extends string>(members: readonly Member[]) =>
  text.transform((value, context): Member => {
    const member = members.find((one) => one === value.toUpperCase());
    if (member) return member;
    context.addIssue(`must be ${members.join(', ').toLowerCase()}`);
    return z.NEVER;
  });

const spending = {
  credits: integer,
  spent: integer.default(0n),
  spent_this_month: integer.default(0n),
};

const grant = z.strictObject({
  source: memberOf(['WELCOME', 'ALLOWANCE', 'OPERATOR']),
  category: memberOf(['PAID', 'PROMOTIONAL', 'ALLOWANCE', 'ADJUSTMENT']).optional(),
  ...spending,
  effective_at: date,
  expires_at: expiry.optional(),
  priority: smallInteger.optional(),
  operations: z.array(text).optional(),
  reference: text.default(''),
});

const purchase = z.strictObject({
  pack_id: text,
  quantity: smallInteger.optional(),
  ...spending,
  price,
  paid_at: date,
  expires_at: expiry.optional(),
  payment_reference: text,
  payment_intent_id: text.default(''),
});

const month = z.strictObject({
  month: text,
  overage: integer.default(0n),
  usage: z.array(z.strictObject({ operation: text, count: integer, credits: integer })).default([]),
});

export const RECORD = z.strictObject({
  account_id: text,
  plan_id: text,
  opened_at: date,
  time_zone: text.optional(),
  display_name: text.default(''),
  labels: z.record(text, text).default({}),
  reference: text.default(''),
  grants: z.array(grant).default([]),
  purchases: z.array(purchase).default([]),
  month: month.optional(),
});

export type ImportRecord = z.infer<typeof RECORD>;

/** Where a record comes from, and whether it is only checked. */
export type ImportOrigin = {
  readonly system: string;
  readonly file: string;
  readonly validateOnly: boolean;
};

/** The request, whose id follows from its content: the same record of the same system has the same. */
export function toRequest(record: ImportRecord, origin: ImportOrigin): ImportAccountRequest {
  const { system } = origin;
  const content = {
    accountId: record.account_id,
    planId: record.plan_id,
    displayName: record.display_name,
    labels: new Map(Object.entries(record.labels)),
    openedAt: record.opened_at,
    // Left out of a record without one, so that its hash stays what it was.
    timeZone: record.time_zone,
    grants: record.grants.map(grantMessage),
    purchases: record.purchases.map(purchaseMessage),
    month: record.month,
    system,
    reference: record.reference,
  };
  const hash = createHash('sha256').update(canonicalJson(asText(content)));
  const requestId = `import-${hash.digest('base64url')}`;
  const { timeZone = '' } = content;
  return { ...content, ...origin, timeZone, requestId, notAfter: undefined };
}

/** Instants as texts, which canonical JSON does not know. */
const asText = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (_, part) => {
      if (typeof part === 'bigint') return part.toString();
      return part instanceof Map ? Object.fromEntries(part) : part;
    }),
  );

function grantMessage(given: ImportRecord['grants'][number]) {
  const { source, category, credits, spent, operations, priority, reference } = given;
  return {
    source: Grant_Source[source],
    category: Grant_Category[category ?? 'UNSPECIFIED'],
    credits,
    spent,
    spentThisMonth: given.spent_this_month,
    effectiveAt: given.effective_at,
    expiresAt: toDate(given.expires_at),
    priority,
    onlyFor: operations && { operations },
    reference,
  };
}

function purchaseMessage(given: ImportRecord['purchases'][number]) {
  const { quantity, credits, spent, price: paid } = given;
  return {
    packId: given.pack_id,
    quantity,
    credits,
    spent,
    spentThisMonth: given.spent_this_month,
    price: { ...paid },
    paidAt: given.paid_at,
    expiry: given.expires_at === undefined ? undefined : { expiresAt: toDate(given.expires_at) },
    paymentReference: given.payment_reference,
    paymentIntentId: given.payment_intent_id,
  };
}

const toDate = (at: number | null | undefined): Date | undefined =>
  at === null || at === undefined ? undefined : new Date(at);
