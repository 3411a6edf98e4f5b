/** A ledger with every kind of entry and every kind of move, written through the RPCs. */
import { Metadata } from '@grpc/grpc-js';
import { connect } from '../../src/client.ts';
import {
  RunningWork,
  VoidGrantRequest_Returned,
} from '../../src/gen/billing/v1/account_service.ts';
import { BudgetEnforcement, BudgetPeriod } from '../../src/gen/billing/v1/budget.ts';
import {
  Purchase_Resolution_Decision as Decision,
  Grant_Category,
  Grant_Source,
  OverCommitPolicy,
} from '../../src/gen/billing/v1/ledger.ts';
import { mapOf } from '../../src/map-of.ts';
import { buyByCheckout } from '../payments/given.ts';
import { deliver, StripeFake } from '../payments/stripe-fake.ts';
import { planIn } from '../pricing/fixtures.ts';
import { requestId, startTestService, type TestOptions, type TestService } from '../service.ts';

/** It limits what callers move, so that it is counted. */
const POLICY_FILE = new URL('policy.yaml', import.meta.url).pathname;

const forAnn = new Metadata();
forAnn.set('x-on-behalf-of', 'user:ann');

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

export const plan = (planId: string, terms: string) =>
  planIn(`
plan_id: ${planId}
title: ${planId}
terms:
  reservation: { ttl: 90s, max_ttl: 2h, grace: 10m }
${terms}
packs:
  - { pack_id: small, title: Small, credits: 100, price: 10 USD, validity: 12 months }
  - { pack_id: brief, title: Brief, credits: 20, price: 2 USD, validity: 1 day }
operations:
  job.pages:
    title: Three credits a page
    billable: true
    quantities:
      pages: { title: Pages, unit: page, min: 1, max: 500 }
    components:
      - { kind: per_unit, label: Pages, quantity: pages, credits: 3 }
`);

export const PLANS = [
  plan(
    'prepaid',
    `  low_balance_threshold: 250
  welcome: { credits: 30, validity: 20 days }
  allowance: { credits: 200, every: month, rollover: none }`,
  ),
  plan(
    'postpaid',
    `  welcome: { credits: 10, validity: never }
  overage:
    limit: 200
    mode: graduated
    currency: USD
    tiers: [{ up_to: 20, price: "0.125" }, { price: "0.05" }]`,
  ),
  plan('bare', '  low_balance_threshold: 1'),
  plan('paying', '  pay_owed: true'),
  plan(
    'late',
    `  late_usage: 3d
  allowance: { credits: 20, every: month, rollover: none }
  overage: { limit: 100, mode: volume, currency: USD, tiers: [{ price: "0.1" }] }`,
  ),
  plan(
    'waterfall',
    `  allowance: { credits: 40, every: 30 days, rollover: { up_to: 25 } }
  overage: { limit: 100 }
  refund_expired: new_grant`,
  ),
];

/** A service with its own Stripe fake. */
export type SampleService = TestService & { readonly stripe: StripeFake };

export async function startSampleService(options: TestOptions = {}): Promise<SampleService> {
  const stripe = await new StripeFake().start();
  const scrip = await startTestService({
    plans: PLANS,
    ...options,
    env: { ...stripe.env, POLICY_FILE, ...options.env },
  });
  stripe.clock = scrip.now;
  const stop = async () => {
    await scrip.stop();
    await stripe.stop();
  };
  return { ...scrip, stripe, stop };
}

export type SampleAccounts = Readonly<
  Record<
    | 'prepaid'
    | 'postpaid'
    | 'bare'
    | 'waterfall'
    | 'buyer'
    | 'erased'
    | 'topped'
    | 'corrected'
    | 'budgeted'
    | 'imported'
    | 'late'
    | 'owing',
    string
  >
>;

/** Writes several months, two of which are closed, and leaves some reservations active. */
export async function writeSampleLedger(scrip: SampleService): Promise<SampleAccounts> {
  scrip.setNow(Date.UTC(2031, 0, 25, 12));
  const prepaid = await scrip.open('prepaid');
  await chargesAndReservations(scrip, prepaid);
  await expiries(scrip, prepaid);
  const postpaid = await scrip.open('postpaid');
  await overage(scrip, postpaid);
  const bare = await scrip.open('bare');
  await settingsAndPacks(scrip, bare);
  await scrip.accounts.closeAccount({ accountId: bare, requestId: requestId() });
  const waterfall = await scrip.open('waterfall');
  await limitedGrants(scrip, waterfall);
  await grantBySupport(scrip, waterfall);
  const buyer = await scrip.open('bare');
  await refundedPayments(scrip, buyer);
  const erased = await scrip.open('prepaid');
  await erasedData(scrip, erased);
  const topped = await scrip.open('bare');
  await topUps(scrip, topped);
  const corrected = await scrip.open('bare');
  await voidedGrants(scrip, corrected);
  await changedGrants(scrip, corrected);
  await suspensions(scrip, corrected);
  const budgeted = await scrip.open('bare');
  await budgets(scrip, budgeted);
  const imported = await importOne(scrip);
  const owing = await scrip.open('paying');
  await debts(scrip, owing);
  scrip.setNow(Date.UTC(2031, 11, 20, 12));
  const late = await scrip.open('late');
  await lateUsage(scrip, late);
  const special = { erased, topped, corrected, budgeted, imported, late, owing };
  return { prepaid, postpaid, bare, waterfall, buyer, ...special };
}

const hours = (many: number) => ({ seconds: BigInt(many * 3_600) });

/** The mutations of one account, each with a new request id. */
function accountOf({ billing, accounts }: TestService, accountId: string) {
  const named = () => ({ accountId, requestId: requestId() });
  const pages = (many: bigint) => ({
    items: [{ operation: 'job.pages', quantities: mapOf({ pages: many }) }],
  });
  return {
    pages,
    reserve: async (rest: Omit<Parameters<typeof billing.reserve>[0], 'accountId'>) => {
      const { reservation } = await billing.reserve({ ...named(), reference: 'job', ...rest });
      return reservation?.reservationId ?? '';
    },
    commit: (
      reservationId: string,
      rest: Omit<Parameters<typeof billing.commit>[0], 'accountId'>,
    ) => billing.commit({ ...named(), reservationId, ...rest }),
    raise: (
      reservationId: string,
      rest: Omit<Parameters<typeof billing.raiseReservation>[0], 'accountId'>,
    ) => billing.raiseReservation({ ...named(), reservationId, ...rest }),
    release: (reservationId: string) => billing.release({ ...named(), reservationId }),
    charge: async (rest: Omit<Parameters<typeof billing.charge>[0], 'accountId'>) =>
      (await billing.charge({ ...named(), labels: mapOf({ team: 'a' }), ...rest })).entrySeq,
    refund: (seq: bigint, credits?: bigint) =>
      billing.refund(
        {
          reason: 'a test',
          ...named(),
          seq,
          ...(credits === undefined ? { all: true } : { credits }),
        },
        { metadata: forAnn },
      ),
    extend: (reservationId: string) =>
      billing.extendReservation({ ...named(), reservationId, ttl: hours(2) }),
    purchase: (paymentReference: string) =>
      billing.purchase({
        ...named(),
        packId: 'small',
        payment: { $case: 'paymentReference', value: paymentReference },
      }),
    grantCredits: (rest: Omit<Parameters<typeof accounts.grantCredits>[0], 'accountId'>) =>
      accounts.grantCredits({ reason: 'a test', ...named(), ...rest }, { metadata: forAnn }),
    voidGrant: (rest: Omit<Parameters<typeof accounts.voidGrant>[0], 'accountId'>) =>
      accounts.voidGrant({ reason: 'a test', ...named(), ...rest }),
    updateGrant: (rest: Omit<Parameters<typeof accounts.updateGrant>[0], 'accountId'>) =>
      accounts.updateGrant({ reason: 'a test', ...named(), ...rest }),
    setBudget: (budget: Parameters<typeof accounts.setBudget>[0]['budget']) =>
      accounts.setBudget({ reason: 'a test', ...named(), budget }),
    removeBudget: (budgetId: string) =>
      accounts.removeBudget({ reason: 'a test', ...named(), budgetId }),
    move: (planId: string) => accounts.moveAccount({ reason: 'a test', ...named(), planId }),
    update: (rest: Omit<Parameters<typeof accounts.updateAccount>[0], 'accountId'>) =>
      accounts.updateAccount({ ...named(), ...rest }),
    offer: (packId: string, amount: string) =>
      accounts.offerPack({
        ...named(),
        pack: { packId, title: packId, credits: 50n, price: { currency: 'USD', amount } },
      }),
    withdraw: (packId: string) => accounts.withdrawPack({ ...named(), packId }),
  };
}

/** Of the month before, whose statement is closed after the window: charged, refunded, and still reserved. */
async function lateUsage(scrip: TestService, accountId: string) {
  const account = accountOf(scrip, accountId);
  const usedAt = new Date(Date.UTC(2031, 11, 31, 12));
  await account.charge({ credits: 8n });
  scrip.setNow(Date.UTC(2032, 0, 2, 12));
  await account.charge({ credits: 25n });
  const charged = await account.charge({ credits: 10n, usedAt });
  await account.refund(charged, 3n);
  const reserved = await account.reserve({ credits: 9n, usedAt });
  await account.commit(reserved, { credits: 4n });
  await account.reserve({ credits: 6n, usedAt });
  scrip.setNow(Date.UTC(2032, 0, 4));
  await scrip.statements.listStatements({ accountId });
}

async function chargesAndReservations(scrip: TestService, accountId: string) {
  const account = accountOf(scrip, accountId);
  await account.purchase('order-1');
  await account.grantCredits({
    credits: 15n,
    category: Grant_Category.ADJUSTMENT,
    effectiveAt: new Date(scrip.now() + HOUR),
    reference: 'from the next hour on',
  });
  const partly = await account.reserve({
    usages: account.pages(80n),
    labels: mapOf({ team: 'a' }),
  });
  await account.commit(partly, { usages: account.pages(10n), final: false });
  await account.commit(partly, { credits: 5n });
  await account.release(await account.reserve({ credits: 6n }));
  const capped = await account.reserve({ credits: 5n, overCommitPolicy: OverCommitPolicy.CAP });
  await account.commit(capped, { usages: account.pages(3n) });
  const drawing = await account.reserve({ credits: 5n, overCommitPolicy: OverCommitPolicy.DRAW });
  await account.commit(drawing, { usages: account.pages(3n) });
  const refunded = await account.charge({ usages: account.pages(2n) });
  await account.refund(refunded, 2n);
  await account.refund(refunded);
  await account.commit(await account.reserve({ credits: 0n }), { all: true });
  // Commits all that is held, but not as final: the reservation stays active until it expires.
  const emptied = await account.reserve({ credits: 12n });
  await account.commit(emptied, { all: true, final: false });
}

async function expiries(scrip: TestService, accountId: string) {
  const account = accountOf(scrip, accountId);
  const late = await account.reserve({ credits: 7n });
  scrip.advance(2 * MINUTE);
  await scrip.service.sweep();
  await account.commit(late, { credits: 4n });
  await account.reserve({ credits: 9n });
  const charged = await account.charge({ credits: 3n });
  scrip.advance(HOUR);
  await scrip.service.sweep();

  // The month's allowance lapses while most of what is left of it is reserved.
  scrip.setNow(Date.UTC(2031, 0, 31, 23, 30));
  const committed = await account.reserve({ credits: 6n, ttl: hours(2) });
  const released = await account.reserve({ credits: 5n, ttl: hours(2) });
  await account.reserve({ credits: 4n, ttl: { seconds: 2_700n } });
  scrip.advance(HOUR);
  await account.commit(committed, { credits: 1n });
  await account.release(released);
  await account.refund(charged);

  // A reservation from before a move to another plan and back.
  const across = await account.reserve({ usages: account.pages(2n) });
  await account.move('postpaid');
  await account.release(await account.reserve({ usages: account.pages(1n) }));
  await account.commit(across, { usages: account.pages(1n) });
  await account.move('prepaid');

  await account.extend(await account.reserve({ credits: 3n }));
  await account.update({ displayName: 'renamed' });
  const half = await account.reserve({ credits: 8n, ttl: hours(2) });
  await account.commit(half, { credits: 2n, final: false });
}

/** Credits voided at once, before they were effective, and as jobs and refunds give them back. */
async function voidedGrants(scrip: TestService, accountId: string) {
  const account = accountOf(scrip, accountId);
  const grant = async (credits: bigint, hoursUntil = 0) => {
    const effectiveAt = new Date(scrip.now() + hoursUntil * HOUR);
    const made = { credits, category: Grant_Category.PROMOTIONAL, effectiveAt };
    return (await account.grantCredits(made)).grant?.grantId ?? 0n;
  };
  const returned = VoidGrantRequest_Returned.VOID;
  await account.voidGrant({ grantId: await grant(30n), all: true });
  await account.voidGrant({ grantId: await grant(20n, 1), credits: 5n });
  await account.voidGrant({ grantId: await grant(10n, 1), all: true });
  const grantId = await grant(50n);
  const charged = await account.charge({ credits: 10n });
  const released = await account.reserve({ credits: 8n });
  const partly = await account.reserve({ credits: 7n, ttl: hours(2) });
  await account.reserve({ credits: 4n });
  await account.voidGrant({ grantId, credits: 5n });
  await account.voidGrant({ grantId, all: true, returned });
  await account.release(released);
  await account.refund(charged, 3n);
  await account.commit(partly, { credits: 2n });
  scrip.advance(70 * MINUTE);
  await account.charge({ credits: 0n }); // no sweep: reservations of other accounts stay active
}

/** Grants whose terms changed while they were spent and reserved. */
async function changedGrants(scrip: TestService, accountId: string) {
  const account = accountOf(scrip, accountId);
  const grant = async (rest: Parameters<typeof account.grantCredits>[0]) =>
    (await account.grantCredits({ category: Grant_Category.PROMOTIONAL, ...rest })).grant
      ?.grantId ?? 0n;
  const onlyFor = { operations: ['job.pages'] };
  const soon = new Date(scrip.now() + HOUR);
  const grantId = await grant({ credits: 60n, expiresAt: soon });
  await account.charge({ credits: 5n });
  await account.updateGrant({ grantId, priority: 10, operations: { onlyFor } });
  const before = await account.reserve({ usages: account.pages(3n), ttl: hours(2) });
  await account.updateGrant({ grantId, operations: {}, expiry: {} });
  const after = await account.reserve({ usages: account.pages(2n), ttl: hours(2) });
  await account.commit(before, { usages: account.pages(1n), final: false });
  const other = await grant({ credits: 20n, effectiveAt: soon });
  await account.updateGrant({ grantId: other, expiry: { expiresAt: new Date(+soon + HOUR) } });
  scrip.advance(90 * MINUTE);
  await account.commit(after, { credits: 1n });
  await account.updateGrant({ grantId: other, priority: 1 });
  await account.charge({ credits: 4n });
  const held = await grant({ credits: 6n, priority: 0 });
  await account.reserve({ credits: 6n, ttl: hours(2) });
  await account.voidGrant({ grantId: held, all: true, returned: VoidGrantRequest_Returned.VOID });
}

/** An account of another system, with everything that an import can have, and what follows it. */
async function importOne(scrip: TestService): Promise<string> {
  const accountId = `imported-${requestId()}`;
  const day = (many: number) => new Date(Date.UTC(2031, 0, 1) - many * 24 * HOUR);
  const openedAt = day(300);
  await scrip.accounts.importAccount({
    ...{ accountId, requestId: requestId(), planId: 'waterfall', openedAt },
    ...{ displayName: 'Ann', labels: mapOf({ team: 'a' }), reference: 'customer-17' },
    ...{ system: 'billing-v1', file: 'accounts.jsonl' },
    grants: [
      {
        source: Grant_Source.WELCOME,
        credits: 10n,
        spent: 4n,
        effectiveAt: openedAt,
        expiresAt: day(200),
      },
      // Periods of 30 days from the opening.
      {
        source: Grant_Source.ALLOWANCE,
        credits: 40n,
        spent: 25n,
        spentThisMonth: 5n,
        effectiveAt: day(30),
      },
      {
        ...{ source: Grant_Source.OPERATOR, category: Grant_Category.ADJUSTMENT, credits: 30n },
        ...{ effectiveAt: day(20), onlyFor: { operations: ['job.pages'] }, reference: 'ticket-3' },
      },
    ],
    purchases: [
      {
        ...{ packId: 'small', credits: 100n, price: { currency: 'USD', amount: '9.5' } },
        ...{ paidAt: day(250), paymentReference: 'invoice-1', paymentIntentId: 'pi_imported' },
        spent: 60n,
      },
      {
        ...{ packId: 'small', credits: 100n, price: { currency: 'USD', amount: '9.5' } },
        ...{ paidAt: day(150), paymentReference: 'invoice-2' },
        ...{ spent: 10n, spentThisMonth: 10n },
      },
    ],
    month: {
      month: new Date(scrip.now()).toISOString().slice(0, 7),
      overage: 7n,
      usage: [{ operation: 'job.pages', count: 5n, credits: 22n }],
    },
  });
  const account = accountOf(scrip, accountId);
  await account.refund(await account.charge({ usages: account.pages(15n) }), 3n);
  await account.purchase('order-of-imported');
  return accountId;
}

async function suspensions({ accounts, billing }: TestService, accountId: string) {
  const why = () => ({ accountId, requestId: requestId(), reason: 'a test' });
  await accounts.suspendAccount({ ...why(), running: RunningWork.STOP });
  await accounts.resumeAccount(why());
  await accounts.suspendAccount(why());
  await accounts.setShadowMode({ ...why(), enabled: true });
  await billing.charge({ ...why(), credits: 3n });
  const { reservation } = await billing.reserve({ ...why(), credits: 2n });
  await accounts.setShadowMode({ ...why(), enabled: false });
  const { reservationId = '' } = reservation ?? {};
  await billing.commit({ ...why(), reservationId, all: true });
}

/** Budgets of a label and of operations, hard and soft ones, over two days, and one that was set anew. */
async function budgets(scrip: TestService, accountId: string) {
  const account = accountOf(scrip, accountId);
  const of = (user: string) => ({ labels: mapOf({ user }) });
  await account.grantCredits({ credits: 900n, category: Grant_Category.PAID });
  const label = { $case: 'label', value: 'user' } as const;
  const perUser = { budgetId: 'per-user', dimension: label, period: BudgetPeriod.DAY } as const;
  const exceptions = [
    { value: 'bob', cap: { $case: 'unlimited', value: true } as const },
    { value: 'eve', cap: { $case: 'credits', value: 20n } as const },
  ];
  await account.setBudget({ ...perUser, credits: 50n, exceptions });
  const dimension = { $case: 'operation', value: true } as const;
  const { SOFT } = BudgetEnforcement;
  const perOperation = { budgetId: 'ops', dimension, credits: 8n, enforcement: SOFT };
  await account.setBudget({ ...perOperation, period: BudgetPeriod.MONTH });
  await account.setBudget({ ...perUser, budgetId: 'old', credits: 70n });
  const charged = await account.charge({ usages: account.pages(5n), ...of('ann') });
  await account.charge({ credits: 60n, ...of('bob') });
  await account.refund(charged, 4n);
  const over = await account.reserve({
    ...{ usages: account.pages(4n), ...of('ann') },
    overCommitPolicy: OverCommitPolicy.DRAW,
  });
  await account.commit(over, { usages: account.pages(6n) });
  await account.reserve({ credits: 7n, ttl: { seconds: 1n }, ...of('eve') });
  const longer = await account.reserve({ usages: account.pages(3n), ttl: hours(2), ...of('eve') });
  await account.removeBudget('old');
  await account.setBudget({ ...perUser, budgetId: 'old', credits: 80n });
  scrip.advance(MINUTE);
  await account.commit(longer, { usages: account.pages(1n), final: false });
  await account.setBudget({ ...perUser, credits: 60n, exceptions });
  scrip.advance(24 * HOUR);
  await account.charge({ credits: 5n, ...of('ann') });
  await account.refund(charged, 4n);
  const running = await account.reserve({ usages: account.pages(3n), ttl: hours(2), ...of('') });
  await account.raise(running, { credits: 2n });
  await account.reserve({ credits: 3n, ttl: hours(2), ...of('ann') });
}

/** Settings that were set and unset, and packs that were withdrawn and offered again. */
async function settingsAndPacks(scrip: TestService, accountId: string) {
  const account = accountOf(scrip, accountId);
  const levels = [{ credits: 10n }, { percent: 20 }];
  await account.update({
    displayName: 'Ann',
    labels: { labels: mapOf({ team: 'a', site: 'Zürich "Süd" \\ 😀' }) },
    lowBalanceLevels: { own: { levels } },
    pauseFloor: { credits: 3n },
  });
  await account.update({ labels: { labels: mapOf({ team: 'c' }) }, pauseFloor: {} });
  await account.offer('special', '20.00');
  await account.offer('other', '5');
  scrip.advance(MINUTE);
  await account.withdraw('special');
  await account.withdraw('other');
  await account.offer('special', '19.5');
}

async function overage(scrip: TestService, accountId: string) {
  const account = accountOf(scrip, accountId);
  await account.charge({ credits: 24n });
  const partly = await account.reserve({ credits: 30n });
  await account.commit(partly, { credits: 12n, final: false });
  await account.commit(partly, { credits: 3n });
  const drawing = await account.reserve({ credits: 6n, overCommitPolicy: OverCommitPolicy.DRAW });
  await account.commit(drawing, { credits: 10n });
  await account.release(await account.reserve({ credits: 9n }));
  const late = await account.reserve({ credits: 5n });
  scrip.advance(2 * MINUTE);
  await account.commit(late, { all: true });
  await account.refund(await account.charge({ credits: 5n }), 2n);
  const lastMonth = await account.charge({ credits: 20n });
  const overTheEnd = await account.reserve({ credits: 4n, ttl: hours(2) });

  scrip.setNow(Date.UTC(2031, 2, 1, 0, 10));
  await account.charge({ credits: 6n });
  // More than March's overage: a refund of an earlier month does not change it.
  await account.refund(lastMonth);
  await account.commit(overTheEnd, { all: true }).catch(() => {}); // it has expired
  // Closes February and March; March adjusts February by the refund.
  scrip.setNow(Date.UTC(2031, 3, 1, 0, 10));
  await scrip.statements.listStatements({ accountId });
  await account.charge({ credits: 6n });
  await account.reserve({ credits: 8n, ttl: hours(2) });
}

/** Limited grants, raises, carried allowances, and refunds that make new grants. */
async function limitedGrants(scrip: TestService, accountId: string) {
  const account = accountOf(scrip, accountId);
  await account.grantCredits({
    credits: 30n,
    category: Grant_Category.PROMOTIONAL,
    onlyFor: { operations: ['job.pages'] },
    expiresAt: new Date(scrip.now() + 10 * 24 * HOUR),
  });
  const charged = await account.charge({ usages: account.pages(5n) });
  await account.charge({ credits: 20n });
  const long = await account.reserve({ usages: account.pages(4n), ttl: hours(2) });
  await account.raise(long, { usages: account.pages(2n) });
  await account.commit(long, { usages: account.pages(1n), final: false });
  await account.raise(long, { credits: 60n });
  await account.commit(long, { usages: account.pages(20n) });
  const late = await account.reserve({ usages: account.pages(1n) });
  scrip.advance(2 * MINUTE);
  await account.commit(late, { all: true });

  scrip.advance(31 * 24 * HOUR);
  await account.charge({ credits: 0n }); // no sweep: reservations of other accounts stay active
  await account.refund(charged, 4n);
  await account.refund(charged);
  scrip.advance(31 * 24 * HOUR);
  await account.charge({ credits: 0n });
  const running = await account.reserve({ credits: 5n, ttl: hours(2) });
  await account.commit(running, { all: true, final: false });
  await account.raise(running, { credits: 3n });
}

/** By a caller whose credits of a day are limited on all accounts together. */
async function grantBySupport(scrip: TestService, accountId: string) {
  const support = connect(`127.0.0.1:${scrip.service.port}`, { caller: 'support' });
  await accountOf({ ...scrip, ...support }, accountId).grantCredits({
    credits: 1n,
    category: Grant_Category.ADJUSTMENT,
  });
  support.close();
}

/** Credits that were used and not paid: by a commit, and of a disputed payment. */
async function debts(scrip: SampleService, accountId: string) {
  const { stripe } = scrip;
  const account = accountOf(scrip, accountId);
  const taking = await account.reserve({ credits: 0n, overCommitPolicy: OverCommitPolicy.TAKE });
  const { entrySeq } = await account.commit(taking, { credits: 5n });
  await account.refund(entrySeq, 2n);
  await account.grantCredits({ credits: 2n, category: Grant_Category.ADJUSTMENT });
  const { purchaseId } = await buyByCheckout(scrip, accountId, 'small');
  const send = (type: string, object: object) =>
    deliver(scrip.service.webhookPort, stripe.event(type, object));
  await send('checkout.session.completed', stripe.pay(stripe.sessionOf(purchaseId).id));
  await account.charge({ credits: 60n });
  const dispute = stripe.dispute(stripe.intentOf(purchaseId).id);
  await send('charge.dispute.created', dispute);
  dispute.status = 'won';
  await send('charge.dispute.closed', dispute);
}

/** Packs whose payments were refunded or disputed, and one that nobody paid. */
async function refundedPayments(scrip: SampleService, accountId: string) {
  const { stripe } = scrip;
  const deliverWebhook = async (type: string, object: object) =>
    await deliver(scrip.service.webhookPort, stripe.event(type, object));
  const buy = async (packId: string) => {
    const { purchaseId } = await buyByCheckout(scrip, accountId, packId);
    await deliverWebhook('checkout.session.completed', stripe.pay(stripe.sessionOf(purchaseId).id));
    return stripe.intentOf(purchaseId).id;
  };
  const settle = async (dispute: ReturnType<typeof stripe.dispute>, status: string) => {
    dispute.status = status;
    await deliverWebhook('charge.dispute.closed', dispute);
  };
  const account = accountOf(scrip, accountId);
  const refunded = await buy('small');
  await account.charge({ credits: 70n });
  await deliverWebhook('charge.refunded', stripe.refund(refunded, 600));
  const disputed = stripe.dispute(await buy('small'));
  await deliverWebhook('charge.dispute.created', disputed);
  await settle(disputed, 'won');
  const lost = stripe.dispute(await buy('small'));
  await deliverWebhook('charge.dispute.created', lost);
  await settle(lost, 'lost');
  const brief = stripe.dispute(await buy('brief'));
  await deliverWebhook('charge.dispute.created', brief);
  scrip.advance(48 * HOUR);
  await settle(brief, 'won');
  await mismatchedPayments(scrip, accountId);
  await buyByCheckout(scrip, accountId, 'small');
}

/** Payments that differ from the price: one is accepted and partly refunded, one rejected, one undecided. */
async function mismatchedPayments(scrip: SampleService, accountId: string) {
  const { stripe } = scrip;
  const send = (type: string, object: object) =>
    deliver(scrip.service.webhookPort, stripe.event(type, object));
  for (const decision of [Decision.ACCEPTED, Decision.REJECTED, null]) {
    const { purchaseId } = await buyByCheckout(scrip, accountId, 'small');
    const session = stripe.payOther(stripe.sessionOf(purchaseId).id, 400);
    await send('checkout.session.completed', session);
    if (decision === null) continue;
    const named = { accountId, requestId: requestId(), purchaseId };
    await scrip.accounts.resolvePurchase({ ...named, decision, reason: 'a call' });
    const charge = stripe.refund(stripe.intentOf(purchaseId).id, 100);
    await send('charge.refunded', charge);
  }
}

/** Something personal in every column that can have it, and its erasure. */
async function erasedData(scrip: SampleService, accountId: string) {
  const { stripe } = scrip;
  const account = accountOf(scrip, accountId);
  const labels = mapOf({ team: 'a' });
  await account.update({ displayName: 'Ann', labels: { labels } });
  await account.purchase('order-2');
  await account.grantCredits({
    credits: 15n,
    category: Grant_Category.ADJUSTMENT,
    reference: 'Ann, by phone',
  });
  const dimension = { $case: 'label', value: 'team' } as const;
  await account.setBudget({ budgetId: 'a', dimension, credits: 90n, period: BudgetPeriod.TOTAL });
  await account.reserve({ credits: 6n, labels });
  await account.commit(await account.reserve({ credits: 5n, labels }), { all: true });
  const { purchaseId } = await buyByCheckout(scrip, accountId, 'small');
  const session = stripe.payOther(stripe.sessionOf(purchaseId).id, 400);
  const paid = stripe.event('checkout.session.completed', session);
  await deliver(scrip.service.webhookPort, paid);
  const decided = { purchaseId, decision: Decision.ACCEPTED, reason: 'Ann called' };
  await scrip.accounts.resolvePurchase({ accountId, requestId: requestId(), ...decided });
  await account.update({
    autoTopUp: {
      autoTopUp: {
        packId: 'small',
        threshold: 900n,
        monthlyCap: 9,
        customer: 'cus_2',
        paymentMethod: 'pm_2',
      },
    },
  });
  await scrip.service.topUp();
  scrip.advance(2 * MINUTE);
  const charged = await account.charge({ credits: 3n, reference: 'Ann' });
  await scrip.accounts.closeAccount({ accountId, requestId: requestId() });
  const why = { reason: 'ticket 17' };
  await scrip.accounts.eraseAccountData({ accountId, requestId: requestId(), ...why });
  await account.refund(charged);
}

/** Auto top-ups: one paid and spent, one declined, one whose payment is pending. */
async function topUps(scrip: SampleService, accountId: string) {
  const { methods } = scrip.stripe;
  const autoTopUp = { packId: 'small', threshold: 90n, monthlyCap: 9, customer: 'cus_1' };
  await scrip.accounts.updateAccount({
    accountId,
    requestId: requestId(),
    autoTopUp: { autoTopUp: { ...autoTopUp, paymentMethod: 'pm_1' } },
  });
  await scrip.service.topUp();
  await accountOf(scrip, accountId).update({ timeZone: 'Asia/Kolkata' });
  await accountOf(scrip, accountId).charge({ credits: 70n });
  for (const end of ['insufficient_funds', 'processing'] as const) {
    scrip.advance(2 * HOUR);
    methods.set('pm_1', end);
    await scrip.service.topUp();
  }
}
