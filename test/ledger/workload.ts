/** Random lives of one account: any command at any time, on any kind of plan, which may change, or on another. */
import fc from 'fast-check';
import type { Command } from '../../src/ledger/decide.ts';
import type { Terms } from '../../src/pricing/plan.ts';
import {
  charge,
  checkout,
  close,
  commit,
  extend,
  grantCredits,
  move,
  ms,
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
  reserve,
  START,
  syncPurchase,
  update,
  usagesOf,
} from './fixtures.ts';
import { Shelf } from './shelf.ts';

/**
 * What somebody does. The reservation or entry it is about is named only when it is done: by its
 * place among those there are then, the newest first. Instants count from then. Without a command
 * the account only settles.
 */
export type Act = { readonly place: number; readonly command: Command | null };

export type Step = Act & { readonly waitMs: number; readonly newTerms: Partial<Terms> | null };

export type Life = {
  readonly terms: Partial<Terms>;
  /** Of the plan that a move leads to. */
  readonly otherTerms: Partial<Terms>;
  readonly steps: readonly Step[];
};

const credits = fc.oneof(
  { weight: 8, arbitrary: fc.bigInt(0n, 40n) },
  { weight: 1, arbitrary: fc.bigInt(41n, 400n) },
);
const asked = fc.oneof(
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
const within = (length: string) => fc.integer({ min: 1, max: ms(length) });

const reserving = fc
  .record({
    of: asked,
    overCommitPolicy: fc.constantFrom('REJECT' as const, 'CAP' as const, 'DRAW' as const),
    ttlMs: fc.option(fc.oneof(within('10m'), within('26h')), { freq: 2 }),
    criticality: fc.constantFrom('CRITICAL' as const, 'CRITICAL' as const, 'SHEDDABLE' as const),
  })
  .map(({ of, ...terms }) => reserve(of, terms));
const committing = fc
  .tuple(fc.option(asked), fc.boolean())
  .map(([of, final]) => commit('', of, { final }));
const raising = asked.map((of) => raise('', of));
const extending = fc.constantFrom('1s', '10m', '20h', '30h').map((ttl) => extend('', ttl));
const refunding = fc.option(fc.bigInt(1n, 30n)).map((of) => refund(0n, of));
const buying = fc
  .tuple(fc.constantFrom('small', 'large', 'none'), fc.nat(9))
  .map(([packId, invoice]) => purchase(packId, `INV-${invoice}`));
const sellingOut = fc.constantFrom('large', 'brief', 'brief').map((packId) => checkout(packId));
const observing = fc
  .record({
    payment: fc.constantFrom('PENDING', 'PAID', 'PAID', 'PAID', 'FAILED', 'EXPIRED'),
    refunded: fc.oneof(fc.constant(0n), fc.bigInt(0n, 1_000n)),
    dispute: fc.constantFrom('NONE', 'NONE', 'OPEN', 'WON', 'LOST'),
    stale: fc.constantFrom(false, false, false, false, true),
  })
  .map(({ payment, refunded, dispute, stale }) =>
    syncPurchase('', stale ? -1 : 0, { ...paid(refunded, dispute), payment }),
  );
const granting = fc
  .record({
    of: fc.bigInt(1n, 60n),
    category: fc.constantFrom('PAID' as const, 'PROMOTIONAL' as const, 'ADJUSTMENT' as const),
    priority: fc.integer({ min: 49, max: 51 }),
    operations: fc.oneof(
      { weight: 3, arbitrary: fc.constant([]) },
      { weight: 2, arbitrary: fc.subarray(['a', 'b', 'c'], { minLength: 1, maxLength: 2 }) },
    ),
    effectiveAt: fc.option(fc.oneof(within('1h'), within('40d')), { freq: 2 }),
    expiresAt: fc.option(fc.oneof(within('1h'), within('60d')), { freq: 4 }),
  })
  .map(({ of, ...terms }) => grantCredits(of, terms));

/** To the other plan of the two, wherever the account is then. */
const moving = fc.constantFrom('other', 'other', 'other', 'none').map((planId) => move(planId));
const limit = fc.constantFrom(undefined, null, 0n, 15n, 60n);
const updating: fc.Arbitrary<Command> = fc
  .tuple(limit, limit)
  .map(([lowBalanceThreshold, pauseFloor]) =>
    update('Acme', {
      ...(lowBalanceThreshold !== undefined && { lowBalanceThreshold }),
      ...(pauseFloor !== undefined && { pauseFloor }),
    }),
  );

const command: fc.Arbitrary<Command | null> = fc.oneof(
  { weight: 16, arbitrary: reserving },
  { weight: 14, arbitrary: committing },
  { weight: 4, arbitrary: fc.constant(release('')) },
  { weight: 3, arbitrary: extending },
  { weight: 4, arbitrary: raising },
  { weight: 8, arbitrary: asked.map((of) => charge(of)) },
  { weight: 8, arbitrary: refunding },
  { weight: 4, arbitrary: buying },
  { weight: 4, arbitrary: sellingOut },
  { weight: 10, arbitrary: observing },
  { weight: 8, arbitrary: granting },
  { weight: 8, arbitrary: moving },
  { weight: 4, arbitrary: fc.option(updating, { freq: 1, nil: null }) },
  { weight: 1, arbitrary: fc.constant(close()) },
);

const place = fc.oneof({ weight: 3, arbitrary: fc.nat(2) }, { weight: 1, arbitrary: fc.nat(30) });

const waitMs = fc.oneof(
  { weight: 6, arbitrary: fc.constant(0) },
  { weight: 6, arbitrary: within('5m') },
  { weight: 4, arbitrary: within('20m') },
  { weight: 2, arbitrary: within('20d') },
  { weight: 1, arbitrary: within('100d') },
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
  expiringNoticeMs: fc.constantFrom(0, ms('5d')),
  overage: fc.constantFrom(null, null, { limit: 25n, rates: null }, { limit: 90n, rates: null }),
  lowBalanceThreshold: fc.constantFrom(0n, 20n, 50n),
  pauseFloor: fc.constantFrom(0n, 0n, 10n),
});

const step: fc.Arbitrary<Step> = fc.record({
  waitMs,
  place,
  command,
  newTerms: fc.oneof({ weight: 24, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: terms }),
});

export const acts: fc.Arbitrary<readonly Act[]> = fc.array(fc.record({ place, command }), {
  minLength: 2,
  maxLength: 8,
});

export const life = (stepsMax: number): fc.Arbitrary<Life> =>
  fc.record({
    terms,
    otherTerms: terms,
    steps: fc.array(step, { minLength: 1, maxLength: stepsMax, size: 'max' }),
  });

const nameOf = <Name>(names: readonly Name[], place: number, none: Name): Name =>
  names.at(-1 - (place % names.length)) ?? none;

/** The command of an act, as it is done now. */
export function aimed({ place, command }: Act, shelf: Shelf, now: number): Command | null {
  switch (command?.kind) {
    case 'Commit':
    case 'Release':
    case 'RaiseReservation':
    case 'ExtendReservation': {
      const reservationId = nameOf([...shelf.reservations.keys()], place, 'r0');
      return { ...command, reservationId };
    }
    case 'Refund': {
      const taking = shelf.entries.filter(({ kind }) => kind === 'COMMIT' || kind === 'CHARGE');
      return {
        ...command,
        seq: nameOf(
          taking.map(({ seq }) => seq),
          place,
          0n,
        ),
      };
    }
    case 'SyncPurchase': {
      const purchase = shelf.purchases.at(-1 - (place % Math.max(shelf.purchases.length, 1)));
      const purchaseId = purchase?.purchaseId ?? 'p0';
      const { snapshot } = command;
      return {
        ...command,
        purchaseId,
        syncVersion: (purchase?.syncVersion ?? 0) + command.syncVersion,
        snapshot: {
          ...snapshot,
          paymentIntentId: snapshot.payment === 'PAID' ? `pi_${purchaseId}` : null,
        },
      };
    }
    case 'GrantCredits': {
      const { effectiveAt, expiresAt } = command;
      const fromNow = (laterMs: number | null) => (laterMs === null ? null : now + laterMs);
      return { ...command, effectiveAt: fromNow(effectiveAt), expiresAt: fromNow(expiresAt) };
    }
    case 'MoveAccount': {
      const [other = 'none'] = shelf.others.keys();
      return command.planId === 'none' ? command : { ...command, planId: other };
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

/** Lives a life: opens an account, then hands each step's command to `work` at its time. */
export function live(
  { terms, otherTerms, steps }: Life,
  work: (shelf: Shelf, now: number, command: Command | null) => void = (shelf, now, command) => {
    shelf.work(now, command);
  },
): Shelf {
  const shelf = new Shelf(plan(terms, PACKS), START);
  const dearer = { planId: 'other', rateCard: rateCard(1, 2n) };
  shelf.others.set('other', { ...plan(otherTerms, PACKS), ...dearer });
  let now = START;
  shelf.work(now, open());
  for (const step of steps) {
    now += step.waitMs;
    if (step.newTerms) shelf.plan = { ...shelf.plan, terms: plan(step.newTerms).terms };
    work(shelf, now, aimed(step, shelf, now));
  }
  return shelf;
}
