/** Constructors of the ledger's objects and commands, with defaults for everything a test leaves out. */

import type { Account } from '../../src/ledger/account.ts';
import { Book, type LoadedAccount } from '../../src/ledger/book.ts';
import type { Command } from '../../src/ledger/decide.ts';
import type { Entry, Labels, Origin, TermsHashes, UnsealedEntry } from '../../src/ledger/entry.ts';
import { type Grant, isLimited } from '../../src/ledger/grant.ts';
import type {
  ImportAccount,
  ImportedGrant,
  ImportedPurchase,
} from '../../src/ledger/import/import-account.ts';
import type { PaymentSnapshot } from '../../src/ledger/purchase.ts';
import type { UpdateAccount } from '../../src/ledger/rules/account.ts';
import type { Charge } from '../../src/ledger/rules/charge.ts';
import type { Commit } from '../../src/ledger/rules/commit.ts';
import type { GrantCredits } from '../../src/ledger/rules/grant-credits.ts';
import type { Refund } from '../../src/ledger/rules/refund.ts';
import type { Reserve } from '../../src/ledger/rules/reserve.ts';
import type { SetBudget } from '../../src/ledger/rules/set-budget.ts';
import type { UpdateGrant } from '../../src/ledger/rules/update-grant.ts';
import type { VoidGrant } from '../../src/ledger/rules/void-grant.ts';
import { mapOf } from '../../src/map-of.ts';
import type { CustomAmount } from '../../src/pricing/custom-amount.ts';
import type { Allowance, Operation, Pack, Plan, RateCard, Terms } from '../../src/pricing/plan.ts';
import { parseDuration } from '../../src/pricing/plan-file/duration.ts';
import { PublishedPlan } from '../../src/pricing/published-plan.ts';
import type { Usage } from '../../src/pricing/usage.ts';

/** The time at which every test starts: in the middle of a month. */
export const START = Date.UTC(2026, 0, 10);

/** Milliseconds of "90s", "15m", "2h" or "30d". */
export function ms(length: string): number {
  const durationMs = parseDuration(length);
  if (durationMs === null) throw new Error(`${length} is no duration`);
  return durationMs;
}

/** An instant: a date such as "2026-02-01", or a duration after START such as "15m". */
export const at = (text: string): number =>
  /^\d{4}-/.test(text) ? Date.parse(text) : START + ms(text);

export const origin: Origin = {
  caller: 'pages',
  requestId: 'request-1',
  onBehalfOf: '',
  certificate: '',
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: 'b7ad6b7169203331',
  sampled: false,
};

export const pack = (packId: string, credits: bigint, amount: string): Pack => ({
  packId,
  title: packId,
  credits,
  price: { currency: 'USD', amount },
  validity: { months: 12 },
});

const perPage = (operation: string, creditsPerPage: bigint): Operation => ({
  operation,
  title: operation,
  billable: true,
  quantities: new Map([
    ['pages', { name: 'pages', title: 'Pages', unit: 'page', min: 1n, max: 1_000n, default: null }],
  ]),
  attributes: new Map(),
  components: [{ kind: 'per_unit', label: 'Pages', quantity: 'pages', credits: creditsPerPage }],
});

/**
 * A rate card with `page.extract` at `creditsPerPage` for 1 to 1,000 pages, and with `a`, `b` and `c` at one
 * credit a page, for grants that are limited to some of them.
 */
export const rateCard = (version = 1, creditsPerPage = 1n): RateCard => ({
  version,
  operations: new Map([
    ['page.extract', perPage('page.extract', creditsPerPage)],
    ...['a', 'b', 'c'].map((name) => [name, perPage(name, 1n)] as const),
  ]),
});

export const pages = (count: bigint): { usages: readonly Usage[] } => ({
  usages: [
    {
      operation: 'page.extract',
      count: 1n,
      quantities: mapOf({ pages: count }),
      attributes: new Map(),
    },
  ],
});

/** Usages of `a`, `b` and `c` that cost these credits. */
export const usagesOf = (
  credits: Partial<Record<'a' | 'b' | 'c', bigint>>,
): { usages: readonly Usage[] } => ({
  usages: Object.entries(credits).map(([operation, pages]) => ({
    operation,
    count: 1n,
    quantities: mapOf({ pages }),
    attributes: new Map(),
  })),
});

/** By default a prepaid plan without welcome credits or allowance. */
export const plan = (
  terms: Partial<Terms> = {},
  packs: readonly Pack[] = [],
  customAmounts: readonly CustomAmount[] = [],
): Plan => ({
  planId: 'test',
  planVersion: 1,
  title: 'Test',
  packs,
  customAmounts,
  rateCard: rateCard(),
  terms: {
    welcome: null,
    allowance: null,
    overage: null,
    lowBalanceLevels: [],
    pauseFloor: 0n,
    reservation: { ttlMs: ms('15m'), maxTtlMs: ms('24h'), graceMs: ms('5m') },
    refundExpired: 'breakage',
    payOwed: false,
    lateUsageMs: 0,
    expiringNoticeMs: 0,
    timeZone: null,
    ...terms,
  },
});

/** By default an allowance of the calendar month without rollover. */
export const allowance = (
  credits: bigint,
  change: Partial<Allowance> = {},
): Pick<Terms, 'allowance'> => ({
  allowance: { credits, every: 'month', rollover: 'none', ...change },
});

export const postpaid = (limit: bigint): Pick<Terms, 'overage'> => ({
  overage: { limit, rates: null },
});

export const grant = (grantId: bigint, change: Partial<Grant> = {}): Grant => {
  const amount = change.amount ?? 100n;
  return {
    accountId: 'acme',
    grantId,
    amount,
    remaining: amount,
    reserved: 0n,
    voided: 0n,
    voidOnReturn: 0n,
    expired: 0n,
    category: 'PAID',
    priority: 50,
    effectiveAt: START,
    expiresAt: null,
    source: 'OPERATOR',
    sourceReference: '',
    operations: [],
    noticeAt: null,
    stranded: false,
    state: 'OPEN',
    createdAt: START,
    ...change,
  };
};

export const account = (change: Partial<Account> = {}): Account => ({
  accountId: 'acme',
  planId: 'test',
  state: 'OPEN',
  displayName: '',
  labels: {},
  lowBalanceLevels: null,
  pauseFloor: null,
  lowLevels: null,
  autoTopUp: null,
  topUps: null,
  topUpDueAt: null,
  openedAt: START,
  timeZones: null,
  closedAt: null,
  suspension: null,
  shadow: null,
  budgets: null,
  archivedSeq: null,
  seq: 0n,
  grantCount: 0n,
  eventCount: 0n,
  eventsHash: null,
  remaining: 0n,
  reserved: 0n,
  granted: 0n,
  scheduled: 0n,
  hasLimitedGrants: false,
  overage: 0n,
  overageBefore: null,
  overageReserved: 0n,
  overageLimit: 0n,
  owed: 0n,
  allowanceDueAt: null,
  statementDueAt: null,
  statementPlanId: null,
  dueAt: null,
  callerDays: null,
  lastAt: START,
  lastHash: new Uint8Array(),
  version: 1n,
  ...change,
});

/** A plan whose rate cards came into force in order of their versions; the newest is in force. */
export const published = (
  plan: Plan,
  rateCards: ReadonlyMap<number, RateCard> = new Map([[plan.rateCard.version, plan.rateCard]]),
): PublishedPlan => {
  const versions = [...rateCards.keys()].map((version) => {
    const effectiveAt = version !== plan.rateCard.version ? START + version - 1_000 : START;
    return {
      version,
      effectiveAt,
      createdAt: effectiveAt,
      withdrawn: false,
      hash: `card ${version}`,
    };
  });
  const { planId, planVersion, title, terms, packs, customAmounts } = plan;
  return new PublishedPlan(
    planId,
    { revision: 1, planVersion, termsHash: `terms ${planVersion}` },
    { title, terms, packs, customAmounts },
    versions,
    new Map(rateCards),
  );
};

/** A book with these grants, and an account whose balances are their sums. */
export function book(
  grants: readonly Grant[],
  { plan: accountPlan = plan(), ...change }: Partial<LoadedAccount> & { readonly plan?: Plan } = {},
  now = START,
): Book {
  return new Book(
    {
      plans: new Map([[accountPlan.planId, published(accountPlan)]]),
      grants,
      reservations: [],
      purchases: [],
      customPacks: [],
      refundables: [],
      budgetCounters: null,
      nextReservationExpiry: null,
      plansLeft: [],
      usageSince: null,
      loadedUpTo: null,
      ...change,
      account: withSums(change.account ?? account(), grants),
    },
    now,
    () => 'new',
  );
}

/** The account with the balances of these grants. */
function withSums(account: Account, grants: readonly Grant[]): Account {
  const sum = (credits: (grant: Grant) => bigint) =>
    grants.reduce((total, grant) => total + credits(grant), 0n);
  if (grants.length === 0) return account;
  return {
    ...account,
    grantCount: BigInt(grants.length),
    remaining: sum(({ remaining }) => remaining),
    reserved: sum(({ reserved }) => reserved),
    granted: sum(({ remaining, amount }) => (remaining > 0n ? amount : 0n)),
    scheduled: sum(({ state, amount, voided }) => (state === 'SCHEDULED' ? amount - voided : 0n)),
    hasLimitedGrants: grants.some(isLimited),
  };
}

/** A deep copy of everything that can change in a book. */
export const snapshotOf = (book: Book) => {
  const { account, grants, reservations, purchases, customPacks, refundables, changes } = book;
  const { budgetCounters } = book;
  return structuredClone({
    budgetCounters,
    account,
    grants,
    reservations,
    purchases,
    customPacks,
    refundables,
    changes,
  });
};

/** A book of the same account in a later unit of work. It shares nothing with the given book. */
export function inLaterUnit(before: Book, laterMs: number): Book {
  const { plans, nextReservationExpiry, newId, now } = before;
  const { account, grants, reservations, purchases, customPacks, refundables } = snapshotOf(before);
  const loaded: LoadedAccount = {
    account,
    plans,
    grants,
    reservations: [...reservations.values()],
    purchases,
    customPacks,
    refundables: [...refundables.values()],
    budgetCounters: structuredClone(before.budgetCounters),
    nextReservationExpiry,
    plansLeft: before.plansLeft,
    usageSince: before.usageSince,
    loadedUpTo: null,
  };
  return new Book(loaded, now + laterMs, newId);
}

export const entry = (seq: bigint, change: Partial<UnsealedEntry> = {}): UnsealedEntry => ({
  ...origin,
  accountId: 'acme',
  seq,
  kind: 'CHARGE',
  at: START,
  moves: [{ from: 'available', to: 'consumed', grantId: 1n, credits: 5n }],
  credits: 5n,
  remainingAfter: 95n,
  reservedAfter: 0n,
  overageAfter: 0n,
  owedAfter: 0n,
  reservationId: null,
  purchaseId: null,
  grantId: null,
  refundedSeq: null,
  usages: [],
  planId: 'test',
  planVersion: 1,
  termsHash: 'terms 1',
  previousPlanId: null,
  rateCardVersion: 1,
  rateCardHash: 'card 1',
  usedAt: null,
  late: false,
  final: null,
  asked: null,
  expiresAt: null,
  overCommitPolicy: null,
  details: {},
  sealedEvents: null,
  reference: '',
  labels: {},
  personal: {},
  request: null,
  ...change,
});

/** The hashes of what `published` published, of the versions that an entry names. */
export const termsOf = ({
  planVersion,
  rateCardVersion,
}: Pick<Entry, 'planVersion' | 'rateCardVersion'>): TermsHashes => ({
  termsHash: `terms ${planVersion}`,
  rateCardHash: rateCardVersion === null ? '' : `card ${rateCardVersion}`,
});

type Amount = bigint | { readonly usages: readonly Usage[] };
const toAmount = (amount: Amount) => (typeof amount === 'bigint' ? { credits: amount } : amount);

export const open = (
  timeZone: string | null = null,
): Extract<Command, { kind: 'OpenAccount' }> => ({
  kind: 'OpenAccount',
  planId: 'test',
  displayName: '',
  labels: {},
  timeZone,
});

/** By default an account that another system opened a year ago, without anything. */
export const importAccount = (
  change: Partial<ImportAccount> = {},
): Extract<Command, { kind: 'ImportAccount' }> => ({
  kind: 'ImportAccount',
  planId: 'test',
  displayName: '',
  labels: {},
  openedAt: at('2025-01-10'),
  timeZone: null,
  grants: [],
  purchases: [],
  month: null,
  system: 'billing-v1',
  file: 'accounts.jsonl',
  reference: '',
  validateOnly: false,
  ...change,
});

/** By default an operator's unspent grant that never expires, of half a year ago. */
export const importedGrant = (
  credits: bigint,
  change: Partial<ImportedGrant> = {},
): ImportedGrant => ({
  source: 'OPERATOR',
  category: 'PROMOTIONAL',
  credits,
  spent: 0n,
  spentThisMonth: 0n,
  effectiveAt: at('2025-07-01'),
  expiresAt: null,
  priority: 50,
  operations: [],
  reference: '',
  ...change,
});

/** By default an unspent pack that was bought half a year ago. */
export const importedPurchase = (
  packId: string,
  credits: bigint,
  change: Partial<ImportedPurchase> = {},
): ImportedPurchase => ({
  packId,
  quantity: 1,
  credits,
  spent: 0n,
  spentThisMonth: 0n,
  price: { currency: 'USD', amount: '10.00' },
  paidAt: at('2025-07-01'),
  paymentReference: `invoice-${packId}`,
  paymentIntentId: null,
  ...change,
});

export const reserve = (amount: Amount, change: Partial<Reserve> = {}): Command => ({
  kind: 'Reserve',
  amount: toAmount(amount),
  ttlMs: null,
  overCommitPolicy: 'REJECT',
  rateCardVersion: null,
  reference: '',
  labels: {},
  criticality: 'CRITICAL',
  usedAt: null,
  ...change,
});

export const commit = (
  reservationId: string,
  amount: Amount | 'all' = 'all',
  change: Partial<Commit> = {},
): Command => ({
  kind: 'Commit',
  reservationId,
  amount: amount === 'all' ? amount : toAmount(amount),
  final: true,
  ...change,
});

export const release = (reservationId: string): Command => ({ kind: 'Release', reservationId });

export const extend = (reservationId: string, ttl: string): Command => ({
  kind: 'ExtendReservation',
  reservationId,
  ttlMs: ms(ttl),
});

export const raise = (reservationId: string, amount: Amount): Command => ({
  kind: 'RaiseReservation',
  reservationId,
  amount: toAmount(amount),
});

export const charge = (
  amount: Amount,
  rateCardVersion: number | null = null,
  change: Partial<Charge> = {},
): Command => ({
  kind: 'Charge',
  amount: toAmount(amount),
  rateCardVersion,
  reference: '',
  labels: {},
  criticality: 'CRITICAL',
  usedAt: null,
  ...change,
});

export const refund = (
  seq: bigint,
  credits: bigint | 'all' = 'all',
  change: Partial<Refund> = {},
): Command => ({
  kind: 'Refund',
  seq,
  credits,
  reference: '',
  labels: {},
  reason: 'a test',
  ...change,
});

export const purchase = (packId: string, paymentReference: string, quantity = 1): Command => ({
  kind: 'Purchase',
  packId,
  quantity,
  credits: null,
  payment: { method: 'REFERENCE', reference: paymentReference },
  labels: {},
});

export const checkout = (packId: string, labels: Labels = {}, quantity = 1): Command => ({
  kind: 'Purchase',
  packId,
  quantity,
  credits: null,
  payment: {
    method: 'CHECKOUT',
    successUrl: 'https://shop.example/thanks',
    cancelUrl: 'https://shop.example/cart',
    customerEmail: null,
  },
  labels,
});

/** By default a snapshot of a payment that is still pending. */
export const syncPurchase = (
  purchaseId: string,
  syncVersion: number,
  change: Partial<PaymentSnapshot> = {},
): Extract<Command, { kind: 'SyncPurchase' }> => ({
  kind: 'SyncPurchase',
  purchaseId,
  syncVersion,
  snapshot: {
    session: null,
    paymentIntentId: null,
    payment: 'PENDING',
    failureCode: '',
    amountPaid: null,
    amountRefunded: '0',
    dispute: 'NONE',
    ...change,
  },
});

/** A snapshot of a payment of 10.00, of which `refunded` hundredths were refunded. */
export const paid = (
  refunded = 0n,
  dispute: PaymentSnapshot['dispute'] = 'NONE',
  amount = '10.00',
  currency = 'USD',
): Partial<PaymentSnapshot> => ({
  payment: 'PAID',
  paymentIntentId: 'pi_1',
  amountPaid: { currency, amount },
  amountRefunded: `${refunded / 100n}.${String(refunded % 100n).padStart(2, '0')}`,
  dispute,
});

export const resolve = (
  purchaseId: string,
  decision: 'ACCEPTED' | 'REJECTED',
  reason = 'why',
): Command => ({ kind: 'ResolvePurchase', purchaseId, decision, reason });

export const offer = (pack: Pack): Command => ({ kind: 'OfferPack', pack });

export const withdraw = (packId: string): Command => ({ kind: 'WithdrawPack', packId });

export const grantCredits = (credits: bigint, change: Partial<GrantCredits> = {}): Command => ({
  kind: 'GrantCredits',
  credits,
  category: 'PAID',
  priority: 50,
  effectiveAt: null,
  expiresAt: null,
  operations: [],
  reference: '',
  labels: {},
  reason: 'a test',
  ...change,
});

export const voidGrant = (
  grantId: bigint,
  credits: bigint | 'all' = 'all',
  change: Partial<VoidGrant> = {},
): Extract<Command, { kind: 'VoidGrant' }> => ({
  kind: 'VoidGrant',
  grantId,
  credits,
  voidReturned: false,
  reference: '',
  labels: {},
  reason: 'a test',
  ...change,
});

export const updateGrant = (
  grantId: bigint,
  change: Partial<UpdateGrant>,
): Extract<Command, { kind: 'UpdateGrant' }> => ({
  kind: 'UpdateGrant',
  grantId,
  reference: '',
  labels: {},
  reason: 'a test',
  ...change,
});

export const update = (
  displayName: string | null,
  change: Partial<UpdateAccount> = {},
): Command => ({
  kind: 'UpdateAccount',
  displayName,
  labels: null,
  ...change,
});

export const move = (planId: string, reference = ''): Command => ({
  kind: 'MoveAccount',
  planId,
  reference,
  labels: {},
  reason: 'a test',
});

export const suspend = (running: 'CONTINUE' | 'STOP' = 'CONTINUE', reason = 'a test'): Command => ({
  kind: 'SuspendAccount',
  running,
  reason,
});

export const resume = (): Command => ({ kind: 'ResumeAccount', reason: 'a test' });

export const close = (): Command => ({ kind: 'CloseAccount' });

/** By default 100 credits a day for each value of the label "user". */
export const setBudget = (
  change: Partial<SetBudget['budget']> = {},
): Extract<Command, { kind: 'SetBudget' }> => ({
  kind: 'SetBudget',
  budget: {
    budgetId: 'per-user',
    label: 'user',
    value: null,
    cap: 100n,
    period: 'DAY',
    enforcement: 'HARD',
    exceptions: new Map(),
    ...change,
  },
  reason: 'a test',
});

export const removeBudget = (budgetId = 'per-user'): Command => ({
  kind: 'RemoveBudget',
  budgetId,
  reason: 'a test',
});

export const eraseData = (): Command => ({ kind: 'EraseAccountData', reason: 'a test' });
