/** Purchases paid at the payment provider: pending, then synchronised with its snapshots. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Book } from '../../src/ledger/book.ts';
import { decide } from '../../src/ledger/decide.ts';
import {
  creditsToClawBack,
  type PaymentSnapshot,
  type Purchase,
} from '../../src/ledger/purchase.ts';
import type { AccountStore } from './account-store.ts';
import {
  at,
  charge,
  checkout,
  close,
  commit,
  ms,
  origin,
  pack,
  paid,
  plan,
  refund,
  release,
  reserve,
  snapshotOf,
  syncPurchase,
} from './fixtures.ts';
import { audit, continueLedger, ledger, type Row } from './table.ts';

const PACKS = [
  pack('starter', 100n, '10.00'),
  { ...pack('day', 100n, '10.00'), validity: { days: 1 } },
];

/** An account that has ordered a starter pack by checkout. */
const ordered = (...rows: readonly Row[]): AccountStore =>
  ledger(plan({}, PACKS), [['0s', checkout('starter'), 'CHECKOUT', '0'], ...rows]);

const purchase = ({ purchases }: AccountStore): Purchase =>
  purchases[0] ?? expect.fail('none was made');

const session = (expiresAt = at('24h')) => ({
  session: { sessionId: 'cs_1', url: 'https://pay.example/cs_1', expiresAt },
});

describe('a purchase by checkout', () => {
  test('is pending, grants nothing and keeps a copy of the pack', () => {
    const store = ordered();
    expect(purchase(store)).toMatchObject({
      state: 'PENDING',
      method: 'CHECKOUT',
      paymentReference: null,
      title: 'starter',
      credits: 100n,
      price: { currency: 'USD', amount: '10.00' },
      validity: { months: 12 },
      grantId: null,
      nextCheckAt: at('0s'),
    });
    expect(store.entries.at(-1)).toMatchObject({
      kind: 'CHECKOUT',
      purchaseId: 'p1',
      grantId: null,
      moves: [],
      details: { pack_id: 'starter', credits: '100', amount: '10.00', currency: 'USD' },
    });
  });

  test('grants once it is paid, from that moment on, on the terms at the time of the order', () => {
    const store = ledger(plan({}, PACKS), [
      ['0s', checkout('day', { shop: 'eu' }), 'CHECKOUT', '0'],
    ]);
    store.plan = plan({}, [pack('day', 7n, '99.00')]);
    continueLedger(store, [
      ['5h', syncPurchase('p1', 0, paid()), 'PURCHASE 100: issued>g1 100', '100'],
      ['6h', syncPurchase('p1', 1, paid()), 'nothing', '100'],
      ['28h', null, 'nothing', '100'],
      ['29h', null, 'GRANT_EXPIRED 100: g1>expired 100', '0'],
    ]);
    expect(purchase(store)).toMatchObject({
      state: 'PAID',
      paidAt: at('5h'),
      grantId: 1n,
      paymentIntentId: 'pi_1',
      nextCheckAt: null,
    });
    expect(store.entries[2]).toMatchObject({
      kind: 'PURCHASE',
      purchaseId: 'p1',
      caller: 'pages',
      requestId: 'request-1',
      reference: 'p1',
      labels: { shop: 'eu' },
    });
  });

  test('emits purchase.completed once', () => {
    const store = ordered();
    const { book } = store.run(at('1h'), syncPurchase('p1', 0, paid()));
    expect(book.changes.events).toMatchObject([
      {
        type: 'purchase.completed',
        data: { purchase_id: 'p1', pack_id: 'starter', credits: '100', method: 'CHECKOUT' },
      },
    ]);
    expect(store.run(at('2h'), syncPurchase('p1', 1, paid())).book.changes.events).toEqual([]);
  });

  test.each(['FAILED', 'EXPIRED'] as const)(
    'that %s becomes paid if the money arrives after all',
    (state) => {
      const store = ordered(
        ['1h', syncPurchase('p1', 0, { payment: state, failureCode: 'why' }), 'PAYMENT', '0'],
        ['2h', syncPurchase('p1', 1, { payment: 'PENDING' }), 'nothing', '0'],
      );
      expect(purchase(store)).toMatchObject({ state, failureCode: 'why', nextCheckAt: null });
      continueLedger(store, [
        ['3h', syncPurchase('p1', 2, paid()), 'PURCHASE 100: issued>g1 100', '100'],
      ]);
      expect(purchase(store)).toMatchObject({ state: 'PAID', failureCode: '' });
    },
  );

  test('that is paid stays paid, whatever a later snapshot of its session shows', () => {
    const store = ordered([
      '1h',
      syncPurchase('p1', 0, paid()),
      'PURCHASE 100: issued>g1 100',
      '100',
    ]);
    for (const payment of ['PENDING', 'FAILED', 'EXPIRED'] as const)
      continueLedger(store, [['2h', syncPurchase('p1', 1, { payment }), 'nothing', '100']]);
    expect(purchase(store).state).toBe('PAID');
  });

  test('ignores a stale snapshot', () => {
    const store = ordered(
      ['1h', syncPurchase('p1', 0, paid()), 'PURCHASE 100: issued>g1 100', '100'],
      ['2h', syncPurchase('p1', 1, paid(1_000n)), 'CLAW_BACK 100: g1>issued 100 | PAYMENT', '0'],
    );
    const before = structuredClone(store.purchases);
    const { outcome } = store.run(at('3h'), syncPurchase('p1', 1, paid()));
    expect(outcome).toMatchObject({ result: 'stale' });
    expect(store.purchases).toEqual(before);
  });

  test('has one payment: a second one grants nothing', () => {
    const store = ordered([
      '1h',
      syncPurchase('p1', 0, paid()),
      'PURCHASE 100: issued>g1 100',
      '100',
    ]);
    const second = { ...paid(1_000n), paymentIntentId: 'pi_2' };
    const { outcome } = store.run(at('2h'), syncPurchase('p1', 1, second));
    expect(outcome).toMatchObject({ result: 'other payment' });
    expect(purchase(store)).toMatchObject({ paymentIntentId: 'pi_1', creditsClawedBack: 0n });
  });

  test('is not ended by a second session that expires, and is paid by a second session that is paid', () => {
    const store = ordered(['1m', syncPurchase('p1', 0, session()), 'nothing', '0']);
    const other = { session: { sessionId: 'cs_2', url: '', expiresAt: at('1h') } };
    continueLedger(store, [
      ['2h', syncPurchase('p1', 1, { ...other, payment: 'EXPIRED' }), 'nothing', '0'],
      ['3h', syncPurchase('p1', 1, { ...other, ...paid() }), 'PURCHASE 100: issued>g1 100', '100'],
    ]);
    expect(purchase(store).session?.sessionId).toBe('cs_1');
  });

  test('is granted although the account was closed meanwhile, because the money was taken', () => {
    ordered(
      ['1h', close(), 'CLOSE_ACCOUNT', '0'],
      ['2h', syncPurchase('p1', 0, paid()), 'PURCHASE 100: issued>g1 100', '100'],
      ['3h', checkout('starter'), 'ACCOUNT_CLOSED', '100'],
    );
  });

  test('that does not exist is not found', () => {
    ordered([
      '1h',
      syncPurchase('p9', 0, paid()),
      'PURCHASE_NOT_FOUND: purchase_id p9, account_id acme',
      '0',
    ]);
  });

  test('is checked again at growing intervals, and right after its session has expired', () => {
    const store = ordered();
    const checks = ['0s', '4m', '10h', '23h', '25h'].map((moment, syncVersion) => {
      store.run(at(moment), syncPurchase('p1', syncVersion, session()));
      return ((purchase(store).nextCheckAt ?? 0) - at(moment)) / ms('1m');
    });
    expect(checks).toEqual([1, 2, 300, 61, 750]);
  });
});

describe('credits are clawed back', () => {
  const PAID: Row = ['1h', syncPurchase('p1', 0, paid()), 'PURCHASE 100: issued>g1 100', '100'];
  const state = (store: AccountStore) => {
    const { creditsClawedBack, creditsUnrecovered, amountRefunded, disputeState } = purchase(store);
    return [creditsClawedBack, creditsUnrecovered, amountRefunded, disputeState];
  };

  test('in proportion to the money refunded, rounded down over all refunds together', () => {
    const store = ordered(
      PAID,
      ['2h', syncPurchase('p1', 1, paid(333n)), 'CLAW_BACK 33: g1>issued 33 | PAYMENT', '67'],
      ['3h', syncPurchase('p1', 2, paid(666n)), 'CLAW_BACK 33: g1>issued 33 | PAYMENT', '34'],
      ['4h', syncPurchase('p1', 3, paid(669n)), 'PAYMENT', '34'],
      ['5h', syncPurchase('p1', 4, paid(1_000n)), 'CLAW_BACK 34: g1>issued 34 | PAYMENT', '0'],
    );
    expect(state(store)).toEqual([100n, 0n, '10.00', 'NONE']);
    expect(store.grants.get(1n)?.state).toBe('SPENT');
    expect(store.entries[3]).toMatchObject({ caller: 'scrip', requestId: '', grantId: 1n });
  });

  test('if they are neither spent nor reserved; the rest is unrecovered', () => {
    const store = ordered(
      PAID,
      ['2h', charge(30n), 'CHARGE 30: g1>consumed 30', '70'],
      ['2h', reserve(20n), 'RESERVE 20: g1>(g1) 20', '70 (20)'],
      [
        '2h',
        syncPurchase('p1', 1, paid(1_000n)),
        'CLAW_BACK 100: g1>issued 50, owed>issued 50 | PAYMENT',
        '20 (20) owes 50',
      ],
    );
    expect(state(store)).toEqual([50n, 50n, '10.00', 'NONE']);
    continueLedger(store, [
      ['2h', release('r1'), 'RELEASE 20: (g1)>g1 20', '20 owes 50'],
      // Credits that became available since are not clawed back, because nothing more was refunded.
      ['3h', syncPurchase('p1', 2, paid(1_000n)), 'nothing', '20 owes 50'],
      ['3h', refund(4n, 10n), 'REFUND 10: consumed>g1 10', '30 owes 50'],
    ]);
    expect(state(store)).toEqual([50n, 50n, '10.00', 'NONE']);
  });

  test('from the purchase’s own grant only', () => {
    const store = ordered(
      ['0s', checkout('day'), 'CHECKOUT', '0'],
      ['1h', syncPurchase('p1', 0, paid()), 'PURCHASE 100: issued>g1 100', '100'],
      [
        '1h',
        syncPurchase('p2', 0, { ...paid(), paymentIntentId: 'pi_2' }),
        'PURCHASE 100: issued>g2 100',
        '200',
      ],
      ['2h', syncPurchase('p1', 1, paid(1_000n)), 'CLAW_BACK 100: g1>issued 100 | PAYMENT', '100'],
      ['3h', charge(100n), 'CHARGE 100: g2>consumed 100', '0'],
    );
    expect(store.purchases[1]).toMatchObject({ creditsClawedBack: 0n });
  });

  test('all of them while the payment is disputed, and for good if the dispute is lost', () => {
    const store = ordered(
      PAID,
      ['2h', charge(40n), 'CHARGE 40: g1>consumed 40', '60'],
      [
        '3h',
        syncPurchase('p1', 1, paid(0n, 'OPEN')),
        'CLAW_BACK 100: g1>issued 60, owed>issued 40 | PAYMENT',
        '0 owes 40',
      ],
      ['4h', syncPurchase('p1', 2, paid(0n, 'LOST')), 'PAYMENT', '0 owes 40'],
    );
    expect(state(store)).toEqual([60n, 40n, '0.00', 'LOST']);
  });

  test('and reinstated when the dispute is won', () => {
    const store = ordered(
      PAID,
      ['2h', charge(40n), 'CHARGE 40: g1>consumed 40', '60'],
      [
        '3h',
        syncPurchase('p1', 1, paid(0n, 'OPEN')),
        'CLAW_BACK 100: g1>issued 60, owed>issued 40 | PAYMENT',
        '0 owes 40',
      ],
      [
        '4h',
        syncPurchase('p1', 2, paid(0n, 'WON')),
        'REINSTATE 100: issued>owed 40, issued>g1 60 | PAYMENT',
        '60',
      ],
      ['5h', syncPurchase('p1', 3, paid(0n, 'WON')), 'nothing', '60'],
      ['5h', charge(60n), 'CHARGE 60: g1>consumed 60', '0'],
    );
    expect(state(store)).toEqual([0n, 0n, '0.00', 'WON']);
  });

  test('except for those of a refund before the dispute', () => {
    const store = ordered(
      PAID,
      ['2h', syncPurchase('p1', 1, paid(500n)), 'CLAW_BACK 50: g1>issued 50 | PAYMENT', '50'],
      ['3h', charge(20n), 'CHARGE 20: g1>consumed 20', '30'],
      [
        '4h',
        syncPurchase('p1', 2, paid(500n, 'OPEN')),
        'CLAW_BACK 50: g1>issued 30, owed>issued 20 | PAYMENT',
        '0 owes 20',
      ],
      [
        '5h',
        syncPurchase('p1', 3, paid(500n, 'WON')),
        'REINSTATE 50: issued>owed 20, issued>g1 30 | PAYMENT',
        '30',
      ],
    );
    expect(state(store)).toEqual([50n, 0n, '5.00', 'WON']);
  });

  test('and reinstated as breakage if the grant has expired meanwhile', () => {
    const store = ledger(plan({}, PACKS), [
      ['0s', checkout('day'), 'CHECKOUT', '0'],
      PAID,
      [
        '2h',
        syncPurchase('p1', 1, paid(0n, 'OPEN')),
        'CLAW_BACK 100: g1>issued 100 | PAYMENT',
        '0',
      ],
      [
        '30d',
        syncPurchase('p1', 2, paid(0n, 'WON')),
        'REINSTATE 100: issued>expired 100 | PAYMENT',
        '0',
      ],
    ]);
    expect(state(store)).toEqual([0n, 0n, '0.00', 'WON']);
  });

  test('and expire on time after they were reinstated', () => {
    const store = ledger(plan({}, PACKS), [
      ['0s', checkout('day'), 'CHECKOUT', '0'],
      PAID,
      [
        '2h',
        syncPurchase('p1', 1, paid(0n, 'OPEN')),
        'CLAW_BACK 100: g1>issued 100 | PAYMENT',
        '0',
      ],
      ['3h', null, 'nothing', '0'],
      [
        '4h',
        syncPurchase('p1', 2, paid(0n, 'WON')),
        'REINSTATE 100: issued>g1 100 | PAYMENT',
        '100',
      ],
      ['25h', null, 'GRANT_EXPIRED 100: g1>expired 100', '0'],
    ]);
    expect(store.grants.get(1n)?.state).toBe('EXPIRED');
  });

  test('at once if the first snapshot shows a payment that is refunded already', () => {
    ordered([
      '1h',
      syncPurchase('p1', 0, paid(400n)),
      'PURCHASE 100: issued>g1 100 | CLAW_BACK 40: g1>issued 40',
      '60',
    ]);
  });

  test('and what a reservation holds of them stays usable by it', () => {
    ordered(
      PAID,
      ['2h', reserve(30n), 'RESERVE 30: g1>(g1) 30', '100 (30)'],
      [
        '2h',
        syncPurchase('p1', 1, paid(0n, 'LOST')),
        'CLAW_BACK 100: g1>issued 70, owed>issued 30 | PAYMENT',
        '30 (30) owes 30',
      ],
      ['2h', commit('r1'), 'COMMIT 30: (g1)>consumed 30', '0 owes 30'],
    );
  });
});

describe('the credits to claw back', () => {
  const amounts = fc.record({
    credits: fc.bigInt(1n, 10n ** 15n),
    paid: fc.bigInt(1n, 10n ** 8n),
    share: fc.integer({ min: 0, max: 1_000 }),
  });
  const dollars = (cents: bigint) => `${cents / 100n}.${String(cents % 100n).padStart(2, '0')}`;

  test('never exceed the purchase, are all of it for a full refund, and grow with the refund', () => {
    fc.assert(
      fc.property(amounts, fc.bigInt(0n, 10n ** 5n), ({ credits, paid, share }, more) => {
        const refunded = (paid * BigInt(share)) / 1_000n;
        const target = (refunded: bigint) =>
          creditsToClawBack(credits, {
            amountPaid: { currency: 'USD', amount: dollars(paid) },
            amountRefunded: dollars(refunded),
            dispute: 'NONE',
          });
        expect(target(refunded) * paid <= credits * refunded).toBe(true);
        expect((target(refunded) + 1n) * paid > credits * refunded).toBe(true);
        expect(target(refunded + more) >= target(refunded)).toBe(true);
        expect(target(paid)).toBe(credits);
        expect(target(0n)).toBe(0n);
      }),
    );
  });

  const snapshots: fc.Arbitrary<Partial<PaymentSnapshot>> = fc
    .tuple(fc.bigInt(0n, 1_000n), fc.constantFrom('NONE', 'OPEN', 'WON', 'LOST'))
    .map(([refunded, dispute]) => paid(refunded, dispute));
  const steps = fc.array(fc.oneof(snapshots, fc.bigInt(1n, 60n)), { maxLength: 12 });

  test('are clawed back or unrecovered, whatever happens in between; the same snapshot changes nothing', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const store = ordered([
          '1h',
          syncPurchase('p1', 0, paid()),
          'PURCHASE 100: issued>g1 100',
          '100',
        ]);
        let now = at('2h');
        for (const step of all) {
          now += 1_000;
          if (typeof step === 'bigint') {
            store.run(now, charge(step));
            continue;
          }
          const sync = () => syncPurchase('p1', purchase(store).syncVersion, step);
          store.run(now, sync());
          const { credits, creditsClawedBack, creditsUnrecovered } = purchase(store);
          const { snapshot } = sync();
          expect(creditsClawedBack + creditsUnrecovered).toBe(creditsToClawBack(credits, snapshot));
          const book: Book = store.loadBook(now, [sync()]);
          const before = snapshotOf(book);
          decide(book, sync(), origin);
          const after = snapshotOf(book);
          expect(after.changes.entries).toEqual([]);
          expect(after.grants).toEqual(before.grants);
        }
        audit(store);
      }),
      { numRuns: 200 },
    );
  });
});

describe('subscribers', () => {
  const told = (store: AccountStore) =>
    store.events.flatMap(({ type, data }) => {
      if (!type.startsWith('purchase.') || type === 'purchase.completed') return [];
      const { purchase_id: id, pack_id: packId, ...rest } = data;
      expect([id, packId]).toEqual(['p1', 'starter']);
      return [[type, ...Object.values(rest)].join(' ')];
    });

  test('are told what is refunded, and how many credits that takes back', () => {
    const store = ordered(
      ['1h', syncPurchase('p1', 0, paid()), 'PURCHASE 100: issued>g1 100', '100'],
      ['2h', charge(60n), 'CHARGE 60: g1>consumed 60', '40'],
      ['3h', syncPurchase('p1', 1, paid(300n)), 'CLAW_BACK 30: g1>issued 30 | PAYMENT', '10'],
      ['3h', syncPurchase('p1', 2, paid(300n)), 'nothing', '10'],
      [
        '4h',
        syncPurchase('p1', 3, paid(800n)),
        'CLAW_BACK 50: g1>issued 10, owed>issued 40 | PAYMENT',
        '0 owes 40',
      ],
      [
        '5h',
        syncPurchase('p1', 4, paid(0n)),
        'REINSTATE 80: issued>owed 40, issued>g1 40 | PAYMENT',
        '40',
      ],
    );
    expect(told(store)).toEqual([
      'purchase.refunded 3.00 USD',
      'purchase.clawed_back 30 30 0 0',
      'purchase.refunded 8.00 USD',
      'purchase.clawed_back 10 40 40 40',
      'purchase.refunded 0.00 USD',
      'purchase.reinstated 40 0 0 0',
    ]);
  });

  test('are told of a dispute and its end', () => {
    const store = ordered(
      ['1h', syncPurchase('p1', 0, paid()), 'PURCHASE 100: issued>g1 100', '100'],
      [
        '3h',
        syncPurchase('p1', 1, paid(0n, 'OPEN')),
        'CLAW_BACK 100: g1>issued 100 | PAYMENT',
        '0',
      ],
      [
        '4h',
        syncPurchase('p1', 2, paid(0n, 'WON')),
        'REINSTATE 100: issued>g1 100 | PAYMENT',
        '100',
      ],
    );
    expect(told(store)).toEqual([
      'purchase.disputed OPEN',
      'purchase.clawed_back 100 100 0 0',
      'purchase.disputed WON',
      'purchase.reinstated 100 0 0 0',
    ]);
  });
});

describe('a purchase of several packs', () => {
  test('is paid and granted as one', () => {
    const store = ledger(plan({}, PACKS), [
      ['0s', checkout('starter', {}, 3), 'CHECKOUT', '0'],
      [
        '1h',
        syncPurchase('p1', 0, paid(0n, 'NONE', '30.00')),
        'PURCHASE 300: issued>g1 300',
        '300',
      ],
      [
        '2h',
        syncPurchase('p1', 1, paid(1_000n, 'NONE', '30.00')),
        'CLAW_BACK 100: g1>issued 100 | PAYMENT',
        '200',
      ],
    ]);
    expect(purchase(store)).toMatchObject({
      quantity: 3,
      credits: 300n,
      price: { currency: 'USD', amount: '30.00' },
    });
  });

  test('of which only one is paid grants nothing', () => {
    ledger(plan({}, PACKS), [
      ['0s', checkout('starter', {}, 3), 'CHECKOUT', '0'],
      ['1h', syncPurchase('p1', 0, paid()), 'PAYMENT', '0'],
    ]);
  });

  test('is refused where the account could not hold their credits', () => {
    const most = pack('most', 2n ** 62n, '1.00');
    ledger(plan({}, [most]), [
      ['0s', checkout('most', {}, 2), 'INVALID_FIELD', '0'],
      ['0s', checkout('most', {}, 1), 'CHECKOUT', '0'],
    ]);
  });
});
