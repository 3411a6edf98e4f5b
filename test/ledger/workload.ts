/**
 * Random scenarios of one account: any command at any time, on any kind of plan. The plan may change, and
 * the account may move to another.
 */
import fc from 'fast-check';
import type { Command } from '../../src/ledger/decide.ts';
import type { Labels } from '../../src/ledger/entry.ts';
import type { LowBalanceLevel } from '../../src/pricing/low-balance-level.ts';
import type { Terms } from '../../src/pricing/plan.ts';
import { AccountStore } from './account-store.ts';
import {
  charge,
  checkout,
  close,
  commit,
  eraseData,
  extend,
  grantCredits,
  move,
  ms,
  offer,
  open,
  pack,
  pages,
  paid,
  plan,
  purchase,
  raise,
  rateCard,
  refund,
  release,
  removeBudget,
  reserve,
  resolve,
  resume,
  START,
  setBudget,
  suspend,
  syncPurchase,
  update,
  updateGrant,
  usagesOf,
  voidGrant,
  withdraw,
} from './fixtures.ts';

/**
 * A command before its target is known. `target` chooses the reservation, entry or purchase that the
 * command is about when it is run: by its index among those that exist then, newest first. Instants in the
 * command count from then. Null: the account is only settled.
 */
export type UntargetedCommand = { readonly target: number; readonly command: Command | null };

export type Step = UntargetedCommand & {
  readonly waitMs: number;
  readonly newTerms: Partial<Terms> | null;
};

export type Scenario = {
  readonly terms: Partial<Terms>;
  /** Terms of the plan that the account may move to. */
  readonly otherTerms: Partial<Terms>;
  readonly steps: readonly Step[];
};

const credits = fc.oneof(
  { weight: 8, arbitrary: fc.bigInt(0n, 40n) },
  { weight: 1, arbitrary: fc.bigInt(41n, 400n) },
);
const amounts = fc.oneof(
  { weight: 4, arbitrary: credits },
  { weight: 1, arbitrary: fc.bigInt(0n, 30n).map(pages) },
  {
    weight: 2,
    arbitrary: fc
      .record({ a: fc.bigInt(1n, 15n), b: fc.bigInt(1n, 15n), c: fc.bigInt(1n, 15n) })
      .chain((all) => fc.subarray(Object.entries(all), { minLength: 1 }))
      .map((some) => usagesOf(Object.fromEntries(some))),
  },
);
const labels = fc.constantFrom<Labels>({}, {}, { user: 'ann' }, { user: 'ann' }, { user: 'bob' });
const upTo = (length: string) => fc.integer({ min: 1, max: ms(length) });

/** How long before it is charged work was done. `withTarget` makes an instant of it. */
const usedBefore = fc.oneof(
  { weight: 12, arbitrary: fc.constant(null) },
  { weight: 1, arbitrary: upTo('20h') },
  { weight: 2, arbitrary: upTo('12d') },
);

const reserving = (ttlMs: fc.Arbitrary<number | null>) =>
  fc
    .record({
      amount: amounts,
      overCommitPolicy: fc.constantFrom(
        'REJECT' as const,
        'CAP' as const,
        'DRAW' as const,
        'TAKE' as const,
      ),
      ttlMs,
      criticality: fc.constantFrom('CRITICAL' as const, 'CRITICAL' as const, 'SHEDDABLE' as const),
      labels,
      usedAt: usedBefore,
    })
    .map(({ amount, ...terms }) => reserve(amount, terms));
const reserveCommands = reserving(fc.option(fc.oneof(upTo('10m'), upTo('26h')), { freq: 2 }));
const briefReserveCommands = reserving(upTo('5m'));
const commitCommands = fc
  .tuple(fc.option(amounts, { nil: 'all' as const }), fc.boolean())
  .map(([amount, final]) => commit('', amount, { final }));
const raiseCommands = amounts.map((amount) => raise('', amount));
const extendCommands = fc.constantFrom('1s', '10m', '20h', '30h').map((ttl) => extend('', ttl));
const chargeCommands = fc
  .tuple(amounts, labels, usedBefore)
  .map(([amount, labels, usedAt]) => charge(amount, null, { labels, usedAt }));
const refundCommands = fc
  .option(fc.bigInt(1n, 30n), { nil: 'all' as const })
  .map((credits) => refund(0n, credits));
const purchaseCommands = fc
  .tuple(fc.constantFrom('small', 'large', 'own', 'none'), fc.nat(9))
  .map(([packId, invoice]) => purchase(packId, `INV-${invoice}`));
const checkoutCommands = fc
  .constantFrom('large', 'brief', 'brief')
  .map((packId) => checkout(packId));
const syncCommands = fc
  .record({
    payment: fc.constantFrom('PENDING', 'PAID', 'PAID', 'PAID', 'FAILED', 'EXPIRED'),
    refunded: fc.oneof(fc.constant(0n), fc.bigInt(0n, 1_000n)),
    dispute: fc.constantFrom('NONE', 'NONE', 'OPEN', 'WON', 'LOST'),
    stale: fc.constantFrom(false, false, false, false, true),
    // The price is filled in by withTarget.
    paidOtherwise: fc.constantFrom(null, null, null, { currency: 'EUR', amount: '9.00' }),
  })
  .map(({ payment, refunded, dispute, stale, paidOtherwise }) =>
    syncPurchase('', stale ? -1 : 0, {
      ...paid(refunded, dispute),
      payment,
      amountPaid: paidOtherwise,
    }),
  );
const resolveCommands = fc
  .constantFrom('ACCEPTED' as const, 'REJECTED' as const)
  .map((decision) => resolve('', decision));
const grantCommands = fc
  .record({
    granted: fc.bigInt(1n, 60n),
    category: fc.constantFrom('PAID' as const, 'PROMOTIONAL' as const, 'ADJUSTMENT' as const),
    priority: fc.integer({ min: 49, max: 51 }),
    operations: fc.oneof(
      { weight: 3, arbitrary: fc.constant([]) },
      { weight: 2, arbitrary: fc.subarray(['a', 'b', 'c'], { minLength: 1, maxLength: 2 }) },
    ),
    effectiveAt: fc.option(fc.oneof(upTo('1h'), upTo('40d')), { freq: 2 }),
    expiresAt: fc.option(fc.oneof(upTo('1h'), upTo('60d')), { freq: 4 }),
  })
  .map(({ granted, ...terms }) => grantCredits(granted, terms));

const voidCommands = fc
  .record({
    credits: fc.option(fc.bigInt(1n, 40n), { nil: 'all' as const, freq: 2 }),
    voidReturned: fc.constantFrom(true, true, false),
  })
  .map(({ credits, voidReturned }) => voidGrant(0n, credits, { voidReturned }));

const changeCommands = fc
  .record(
    {
      priority: fc.integer({ min: 48, max: 52 }),
      expiresAt: fc.option(fc.oneof(upTo('1h'), upTo('60d')), { freq: 3 }),
      operations: fc.subarray(['a', 'b', 'c'], { maxLength: 2 }),
    },
    { requiredKeys: [] },
  )
  .map((change) => updateGrant(0n, change));

/** Ids, dimensions and caps repeat, so that budgets are replaced and go on. */
const budgetCommands: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc
      .record({
        budgetId: fc.constantFrom('one', 'two'),
        label: fc.constantFrom('user', 'user', null),
        value: fc.constantFrom(null, null, null, 'ann', 'a', ''),
        cap: fc.constantFrom(0n, 20n, 20n, 45n, 100n),
        period: fc.constantFrom(
          'DAY' as const,
          'WEEK' as const,
          'MONTH' as const,
          'TOTAL' as const,
        ),
        enforcement: fc.constantFrom('HARD' as const, 'HARD' as const, 'SOFT' as const),
        exceptions: fc.constantFrom<[string, bigint | null][]>(
          [],
          [],
          [
            ['bob', 60n],
            ['', null],
          ],
        ),
      })
      .map(({ exceptions, ...budget }) =>
        setBudget({ ...budget, exceptions: new Map(budget.value === null ? exceptions : []) }),
      ),
  },
  { weight: 1, arbitrary: fc.constantFrom('one', 'two').map(removeBudget) },
);

const packCommands = fc.oneof(
  fc.constantFrom(25n, 35n).map((credits) => offer(pack('own', credits, '3.00'))),
  fc.constantFrom('own', 'own', 'none').map(withdraw),
);

/** "other" stands for the plan of the two under which the account is not. "test" may be the one that it has. */
const moveCommands = fc
  .constantFrom('other', 'other', 'other', 'test', 'none')
  .map((planId) => move(planId));
const limit = fc.constantFrom(undefined, null, 0n, 15n, 60n);
const levels = fc.constantFrom<readonly LowBalanceLevel[]>(
  [],
  [{ credits: 20n }],
  [{ credits: 50n }, { percent: 30 }, { credits: 5n }],
);
const topUps = fc
  .record({ packId: fc.constantFrom('small', 'own'), threshold: fc.constantFrom(5n, 40n) })
  .map((terms) => ({
    ...terms,
    onRefusal: false,
    coolDownMs: 0,
    monthlyCap: 3,
    customer: 'cus_1',
    paymentMethod: 'pm_1',
  }));
const TIME_ZONES = ['UTC', 'Europe/Berlin', 'Asia/Kolkata', 'Pacific/Kiritimati', 'Etc/GMT+12'];

const updateCommands: fc.Arbitrary<Command> = fc.oneof(
  fc.constant(update(null)),
  fc
    .record({
      displayName: fc.constantFrom('Acme', 'Umbrella', null),
      labels: fc.constantFrom(null, {}, { region: 'eu' }),
      lowBalanceLevels: fc.oneof(levels, fc.constantFrom(undefined, null)),
      pauseFloor: limit,
      autoTopUp: fc.oneof(fc.constantFrom(undefined, null), topUps),
      timeZone: fc.constantFrom(undefined, undefined, ...TIME_ZONES),
    })
    .map(({ displayName, lowBalanceLevels, pauseFloor, autoTopUp, labels, timeZone }) =>
      update(displayName, {
        labels,
        ...(lowBalanceLevels !== undefined && { lowBalanceLevels }),
        ...(pauseFloor !== undefined && { pauseFloor }),
        ...(autoTopUp !== undefined && { autoTopUp }),
        ...(timeZone !== undefined && { timeZone }),
      }),
    ),
);

const commands: fc.Arbitrary<Command | null> = fc.oneof(
  { weight: 16, arbitrary: reserveCommands },
  { weight: 14, arbitrary: commitCommands },
  { weight: 4, arbitrary: fc.constant(release('')) },
  { weight: 3, arbitrary: extendCommands },
  { weight: 4, arbitrary: raiseCommands },
  { weight: 8, arbitrary: chargeCommands },
  { weight: 3, arbitrary: budgetCommands },
  { weight: 8, arbitrary: refundCommands },
  { weight: 4, arbitrary: purchaseCommands },
  { weight: 4, arbitrary: checkoutCommands },
  { weight: 10, arbitrary: syncCommands },
  { weight: 8, arbitrary: resolveCommands },
  { weight: 8, arbitrary: grantCommands },
  { weight: 9, arbitrary: voidCommands },
  { weight: 5, arbitrary: changeCommands },
  { weight: 4, arbitrary: packCommands },
  { weight: 8, arbitrary: moveCommands },
  { weight: 4, arbitrary: updateCommands },
  { weight: 3, arbitrary: fc.constant(null) },
  { weight: 2, arbitrary: fc.constantFrom(suspend(), suspend('STOP'), null) },
  { weight: 6, arbitrary: fc.constant(resume()) },
  { weight: 2, arbitrary: fc.constant(close()) },
  { weight: 3, arbitrary: fc.constant(eraseData()) },
);

/** Few reservations, to which much happens. */
const reservationCommands: fc.Arbitrary<Command | null> = fc.oneof(
  { weight: 3, arbitrary: reserveCommands },
  { weight: 5, arbitrary: briefReserveCommands },
  { weight: 6, arbitrary: commitCommands },
  { weight: 10, arbitrary: fc.bigInt(1n, 9n).map((few) => commit('', few, { final: false })) },
  { weight: 2, arbitrary: fc.constant(release('')) },
  { weight: 3, arbitrary: extendCommands },
  { weight: 5, arbitrary: raiseCommands },
  { weight: 5, arbitrary: grantCommands },
  { weight: 1, arbitrary: voidCommands },
  { weight: 2, arbitrary: changeCommands },
  { weight: 2, arbitrary: chargeCommands },
  { weight: 2, arbitrary: budgetCommands },
  { weight: 2, arbitrary: refundCommands },
  { weight: 1, arbitrary: moveCommands },
);

/** Work of the same few values, on budgets that change. */
const budgetedCommands: fc.Arbitrary<Command | null> = fc.oneof(
  { weight: 6, arbitrary: fc.bigInt(100n, 300n).map((granted) => grantCredits(granted)) },
  { weight: 4, arbitrary: budgetCommands },
  { weight: 10, arbitrary: reserveCommands },
  { weight: 4, arbitrary: briefReserveCommands },
  { weight: 12, arbitrary: commitCommands },
  { weight: 2, arbitrary: fc.constant(release('')) },
  { weight: 8, arbitrary: raiseCommands },
  { weight: 6, arbitrary: chargeCommands },
  { weight: 6, arbitrary: refundCommands },
  { weight: 1, arbitrary: moveCommands },
  { weight: 1, arbitrary: fc.constant(null) },
);

const target = fc.oneof({ weight: 3, arbitrary: fc.nat(2) }, { weight: 1, arbitrary: fc.nat(30) });

const waits = fc.oneof(
  { weight: 6, arbitrary: fc.constant(0) },
  { weight: 6, arbitrary: upTo('5m') },
  { weight: 4, arbitrary: upTo('20m') },
  { weight: 2, arbitrary: upTo('20d') },
  { weight: 1, arbitrary: upTo('100d') },
);

/** Often to the next day. */
const budgetedWaits = fc.oneof(
  { weight: 10, arbitrary: fc.constant(0) },
  { weight: 10, arbitrary: upTo('4m') },
  { weight: 4, arbitrary: upTo('20h') },
  { weight: 1, arbitrary: upTo('40d') },
);

const shortWaits = fc.oneof(
  { weight: 10, arbitrary: fc.constant(0) },
  { weight: 10, arbitrary: upTo('2m') },
  { weight: 1, arbitrary: upTo('40d') },
);

const terms: fc.Arbitrary<Partial<Terms>> = fc.record({
  welcome: fc.constantFrom(null, { credits: 20n, validity: { days: 30 } }),
  allowance: fc.constantFrom(
    null,
    { credits: 50n, every: 'month', rollover: 'none' },
    { credits: 50n, every: { days: 10 }, rollover: { upTo: 20n } },
    { credits: 20n, every: { months: 1 }, rollover: 'all' },
  ),
  refundExpired: fc.constantFrom('breakage', 'new_grant'),
  payOwed: fc.boolean(),
  lateUsageMs: fc.constantFrom(0, 0, ms('2d'), ms('10d')),
  expiringNoticeMs: fc.constantFrom(0, ms('5d')),
  overage: fc.constantFrom(null, null, { limit: 25n, rates: null }, { limit: 90n, rates: null }),
  lowBalanceLevels: levels,
  pauseFloor: fc.constantFrom(0n, 0n, 10n),
  timeZone: fc.constantFrom(null, null, 'America/New_York', 'Asia/Tokyo'),
});

const step = (command: fc.Arbitrary<Command | null>, waitMs: fc.Arbitrary<number>) =>
  fc.record({
    waitMs,
    target,
    command,
    newTerms: fc.oneof(
      { weight: 24, arbitrary: fc.constant(null) },
      { weight: 1, arbitrary: terms },
    ),
  });

export const untargetedCommands: fc.Arbitrary<readonly UntargetedCommand[]> = fc.array(
  fc.record({ target, command: commands }),
  {
    minLength: 2,
    maxLength: 8,
  },
);

export const scenarios = (
  stepsMax: number,
  command = commands,
  waitMs = waits,
): fc.Arbitrary<Scenario> =>
  fc.record({
    terms,
    otherTerms: terms,
    steps: fc.array(step(command, waitMs), { minLength: 1, maxLength: stepsMax, size: 'max' }),
  });

export const reservationScenarios = (stepsMax: number): fc.Arbitrary<Scenario> =>
  scenarios(stepsMax, reservationCommands, shortWaits);

export const budgetedScenarios = (stepsMax: number): fc.Arbitrary<Scenario> =>
  scenarios(stepsMax, budgetedCommands, budgetedWaits);

const pick = <Id>(ids: readonly Id[], target: number, none: Id): Id =>
  ids.at(-1 - (target % ids.length)) ?? none;

const purchaseIds = ({ purchases }: AccountStore): readonly string[] =>
  purchases.map(({ purchaseId }) => purchaseId);

/** The command with its target and instants filled in. */
export function withTarget(
  { target, command }: UntargetedCommand,
  store: AccountStore,
  now: number,
): Command | null {
  switch (command?.kind) {
    case 'Charge':
    case 'Reserve':
      return command.usedAt === null ? command : { ...command, usedAt: now - command.usedAt };
    case 'Commit':
    case 'Release':
    case 'RaiseReservation':
    case 'ExtendReservation': {
      const reservationId = pick([...store.reservations.keys()], target, 'r0');
      return { ...command, reservationId };
    }
    case 'Refund': {
      const refundable = store.entries.filter(({ kind }) => kind === 'COMMIT' || kind === 'CHARGE');
      const seqs = refundable.map(({ seq }) => seq);
      return { ...command, seq: pick(seqs, target, 0n) };
    }
    case 'UpdateGrant': {
      const { expiresAt } = command;
      const grantId = pick([...store.grants.keys()], target, 99n);
      return { ...command, grantId, ...(expiresAt && { expiresAt: now + expiresAt }) };
    }
    case 'VoidGrant': {
      // Most of all those that reservations hold credits of.
      const held = [...store.grants.values()].filter(({ reserved }) => reserved > 0n);
      const grants = held.length > 0 && target % 4 > 0 ? held : [...store.grants.values()];
      const ids = grants.map(({ grantId }) => grantId);
      return { ...command, grantId: pick(ids, target, 99n) };
    }
    case 'SyncPurchase': {
      const purchase = store.purchases.at(-1 - (target % Math.max(store.purchases.length, 1)));
      const purchaseId = purchase?.purchaseId ?? 'p0';
      const { snapshot } = command;
      return {
        ...command,
        purchaseId,
        syncVersion: (purchase?.syncVersion ?? 0) + command.syncVersion,
        snapshot: {
          ...snapshot,
          paymentIntentId: snapshot.payment === 'PAID' ? `pi_${purchaseId}` : null,
          amountPaid:
            snapshot.payment === 'PAID' ? (snapshot.amountPaid ?? purchase?.price ?? null) : null,
        },
      };
    }
    case 'ResolvePurchase':
      return { ...command, purchaseId: pick(purchaseIds(store), target, 'p0') };
    case 'GrantCredits': {
      const { effectiveAt, expiresAt } = command;
      const fromNow = (laterMs: number | null) => (laterMs === null ? null : now + laterMs);
      return { ...command, effectiveAt: fromNow(effectiveAt), expiresAt: fromNow(expiresAt) };
    }
    case 'MoveAccount': {
      const [other = 'none'] = store.otherPlans.keys();
      return command.planId === 'other' ? { ...command, planId: other } : command;
    }
    default:
      return command;
  }
}

const PACKS = [
  pack('small', 30n, '5.00'),
  { ...pack('large', 120n, '15.00'), validity: { days: 45 } },
  { ...pack('brief', 40n, '9.00'), validity: { days: 1 } },
];

/** Opens an account, then calls `run` with each step's command at its time. */
export function runScenario(
  { terms, otherTerms, steps }: Scenario,
  run: (store: AccountStore, now: number, command: Command | null) => void = (...step) => {
    const [store, now, command] = step;
    store.run(now, command);
  },
): AccountStore {
  const store = new AccountStore(plan(terms, PACKS), START);
  const card = rateCard(1, 2n);
  const operations = new Map([...card.operations].filter(([name]) => name !== 'c'));
  const expensive = { planId: 'other', rateCard: { ...card, operations } };
  store.otherPlans.set('other', { ...plan(otherTerms, PACKS), ...expensive });
  let now = START;
  store.run(now, open());
  for (const step of steps) {
    now += step.waitMs;
    if (step.newTerms) store.plan = { ...store.plan, terms: plan(step.newTerms).terms };
    run(store, now, withTarget(step, store, now));
  }
  return store;
}
