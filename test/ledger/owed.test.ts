/** What an account owes: how it comes to owe, what pays, and what cancels it. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { min } from '../../src/min.ts';
import { AccountStore } from './account-store.ts';
import {
  allowance,
  at,
  charge,
  checkout,
  commit,
  grantCredits,
  move,
  open,
  pack,
  paid,
  plan,
  postpaid,
  purchase,
  refund,
  release,
  reserve,
  syncPurchase,
  usagesOf,
  voidGrant,
} from './fixtures.ts';
import { audit, ledger } from './table.ts';

const PACKS = [
  pack('large', 100n, '10.00'),
  { ...pack('brief', 40n, '10.00'), validity: { days: 1 } },
];
const TAKE = { overCommitPolicy: 'TAKE' as const };
const paying = plan({ payOwed: true }, PACKS);

/** An account that owes 5 credits: it had 10, and a job used 15. */
const owing = [
  ['0s', grantCredits(10n), 'GRANT 10: issued>g1 10', '10'],
  ['0s', reserve(4n, TAKE), 'RESERVE 4: g1>(g1) 4', '10 (4)'],
  [
    '1s',
    commit('r1', 15n),
    'COMMIT 15: (g1)>consumed 4, g1>consumed 6, owed>consumed 5',
    '0 owes 5',
  ],
] as const;

const eventsOf = (store: AccountStore) =>
  store.events.flatMap(({ type, data }) =>
    type.startsWith('owed.') ? [`${type} ${data['credits']}, owes ${data['owed']}`] : [],
  );

describe('a commit of policy TAKE', () => {
  test('uses what is held, then what is available, and owes the rest', () => {
    const store = ledger(plan(), owing);
    expect(store.account.owed).toBe(5n);
    expect(store.reservations.get('r1')).toMatchObject({ committed: 15n, returned: 0n });
    expect(store.entries.at(-1)).toMatchObject({ credits: 15n, owedAfter: 5n, overageAfter: 0n });
    expect(eventsOf(store)).toEqual(['owed.added 5, owes 5']);
  });

  test('says in its split what is owed', () => {
    const store = ledger(plan(), owing.slice(0, 2));
    expect(store.run(at('1s'), commit('r1', 15n)).outcome).toMatchObject({
      committed: 15n,
      split: [
        { grantId: 1n, credits: 10n },
        { grantId: -1n, credits: 5n },
      ],
    });
  });

  test('owes nothing where something can pay, and returns what it does not use', () => {
    const store = ledger(plan(), [
      ...owing.slice(0, 2),
      ['1s', commit('r1', 10n), 'COMMIT 10: (g1)>consumed 4, g1>consumed 6', '0'],
      ['2s', grantCredits(10n), 'GRANT 10: issued>g2 10', '10'],
      ['2s', reserve(4n, TAKE), 'RESERVE 4: g2>(g2) 4', '10 (4)'],
      ['3s', commit('r2', 1n), 'COMMIT 1: (g2)>consumed 1, (g2)>g2 3', '9'],
    ]);
    expect(store.account.owed).toBe(0n);
  });

  test('owes in every partial commit that exceeds what is there', () => {
    const store = ledger(plan(), [
      ...owing.slice(0, 2),
      [
        '1s',
        commit('r1', 12n, { final: false }),
        'COMMIT 12: (g1)>consumed 4, g1>consumed 6, owed>consumed 2',
        '0 owes 2',
      ],
      ['2s', commit('r1', 7n), 'COMMIT 7: owed>consumed 7', '0 owes 9'],
    ]);
    expect(store.account.owed).toBe(9n);
    expect(store.reservations.get('r1')).toMatchObject({ committed: 19n, state: 'COMMITTED' });
  });

  test('uses overage up to its limit first, and what is owed is none', () => {
    const store = ledger(plan(postpaid(6n)), [
      ...owing.slice(0, 2),
      [
        '1s',
        commit('r1', 20n),
        'COMMIT 20: (g1)>consumed 4, g1>consumed 6, overage>consumed 6, owed>consumed 4',
        '0 overage 6 owes 4',
      ],
    ]);
    expect(store.account).toMatchObject({ overage: 6n, owed: 4n });
  });

  test('leaves limited credits to their operations, and owes instead', () => {
    const store = ledger(plan(), [
      ['0s', grantCredits(10n, { operations: ['a'] }), 'GRANT 10: issued>g1 10', '10'],
      ['0s', grantCredits(2n), 'GRANT 2: issued>g2 2', '12'],
      ['0s', reserve(2n, TAKE), 'RESERVE 2: g2>(g2) 2', '12 (2)'],
      [
        '1s',
        commit('r1', usagesOf({ a: 3n, b: 4n })),
        'COMMIT 7: (g2)>consumed 2, g1>consumed 3, owed>consumed 2',
        '7 owes 2',
      ],
    ]);
    expect(store.account.owed).toBe(2n);
  });

  test('that is late owes what others have used since', () => {
    const store = ledger(plan(), [
      ['0s', grantCredits(10n), 'GRANT 10: issued>g1 10', '10'],
      ['0s', reserve(8n, { ...TAKE, ttlMs: 60_000 }), 'RESERVE 8: g1>(g1) 8', '10 (8)'],
      ['1m', null, 'EXPIRE 8: (g1)>g1 8', '10'],
      ['2m', charge(7n), 'CHARGE 7: g1>consumed 7', '3'],
      ['3m', commit('r1', 8n), 'late COMMIT 8: g1>consumed 3, owed>consumed 5', '0 owes 5'],
    ]);
    expect(store.reservations.get('r1')).toMatchObject({ late: true, committed: 8n, returned: 0n });
    expect(store.account.owed).toBe(5n);
  });

  test('fails where the account would owe more than it can', () => {
    const most = 9_000_000_000_000_000_000n;
    const store = ledger(plan(), [['0s', reserve(0n, TAKE), 'RESERVE 0', '0']]);
    expect(store.run(at('1s'), commit('r1', most + 1n)).outcome).toMatchObject({
      reason: 'EXCEEDS_RESERVATION',
      metadata: { asked: `${most + 1n}`, allowed: `${most}` },
    });
    expect(store.entries).toHaveLength(2);
  });
});

describe('with pay_owed', () => {
  test.each([
    ['a grant', grantCredits(8n), 'GRANT 8: issued>g2 8', 'PAY_OWED 5: g2>owed 5', '3'],
    [
      'a smaller grant',
      grantCredits(2n),
      'GRANT 2: issued>g2 2',
      'PAY_OWED 2: g2>owed 2',
      '0 owes 3',
    ],
    [
      'a purchase',
      purchase('large', 'INV-1'),
      'PURCHASE 100: issued>g2 100',
      'PAY_OWED 5: g2>owed 5',
      '95',
    ],
    ['a refund', refund(4n, 5n), 'REFUND 5: consumed>owed 5', null, '0'],
  ])('%s pays what is owed first', (_, command, entry, payment, balance) => {
    const entries = payment ? `${entry} | ${payment}` : entry;
    const store = ledger(paying, [...owing, ['2s', command, entries, balance]]);
    const left = command.kind === 'GrantCredits' && command.credits === 2n ? 3n : 0n;
    expect(store.account.owed).toBe(left);
  });

  test('the response says what is left of the grant', () => {
    const store = ledger(paying, owing);
    expect(store.run(at('2s'), grantCredits(8n)).outcome).toMatchObject({
      grant: { remaining: 3n },
    });
  });

  test('tells of each payment', () => {
    const store = ledger(paying, [
      ...owing,
      ['2s', grantCredits(2n), 'GRANT 2: issued>g2 2 | PAY_OWED 2: g2>owed 2', '0 owes 3'],
      ['3s', grantCredits(9n), 'GRANT 9: issued>g3 9 | PAY_OWED 3: g3>owed 3', '6'],
    ]);
    expect(eventsOf(store)).toEqual([
      'owed.added 5, owes 5',
      'owed.paid 2, owes 3',
      'owed.paid 3, owes 0',
    ]);
    expect(store.entries.at(-1)).toMatchObject({ caller: 'scrip', requestId: '', owedAfter: 0n });
  });

  test('what a job gives back pays, too', () => {
    ledger(paying, [
      ['0s', grantCredits(20n), 'GRANT 20: issued>g1 20', '20'],
      ['0s', reserve(10n), 'RESERVE 10: g1>(g1) 10', '20 (10)'],
      ['0s', reserve(10n, TAKE), 'RESERVE 10: g1>(g1) 10', '20 (20)'],
      ['1s', commit('r2', 13n), 'COMMIT 13: (g1)>consumed 10, owed>consumed 3', '10 (10) owes 3'],
      ['2s', release('r1'), 'RELEASE 10: (g1)>g1 10 | PAY_OWED 3: g1>owed 3', '7'],
    ]);
  });

  test('allowances of periods that are over pay before they expire', () => {
    const store = new AccountStore(plan({ payOwed: true, ...allowance(10n) }), at('0s'));
    store.run(at('0s'), open());
    store.run(at('0s'), reserve(0n, TAKE));
    store.run(at('1s'), commit('r1', 38n));
    expect(store.account.owed).toBe(28n);
    store.run(at('2026-04-02'), null);
    expect(store.account).toMatchObject({ owed: 0n, remaining: 2n });
    expect(store.entries.slice(4).map(({ kind, credits }) => `${kind} ${credits}`)).toEqual([
      'GRANT 10',
      'PAY_OWED 10',
      'GRANT 10',
      'PAY_OWED 10',
      'GRANT 10',
      'PAY_OWED 8',
    ]);
  });

  test('a scheduled grant pays once it is effective', () => {
    ledger(paying, [
      ...owing,
      ['2s', grantCredits(8n, { effectiveAt: at('1h') }), 'GRANT 8', '0 owes 5'],
      ['1h', null, 'GRANT_EFFECTIVE 8: issued>g2 8 | PAY_OWED 5: g2>owed 5', '3'],
    ]);
  });

  test('limited credits do not pay', () => {
    const store = ledger(paying, [
      ...owing,
      ['2s', grantCredits(8n, { operations: ['a'] }), 'GRANT 8: issued>g2 8', '8 owes 5'],
    ]);
    expect(store.account.owed).toBe(5n);
  });

  test('a refusal offers packs that cover what is owed as well', () => {
    const store = ledger(paying, owing);
    expect(store.run(at('2s'), charge(97n)).outcome).toMatchObject({
      metadata: { required: '97', available: '0', shortfall: '97', best_quantity: '2' },
    });
  });
});

describe('without pay_owed', () => {
  test('what is owed stays, and later credits can be used', () => {
    const store = ledger(plan(), [
      ...owing,
      ['2s', grantCredits(8n), 'GRANT 8: issued>g2 8', '8 owes 5'],
      ['3s', charge(8n), 'CHARGE 8: g2>consumed 8', '0 owes 5'],
    ]);
    expect(store.account.owed).toBe(5n);
  });

  test('a plan that pays it begins with the next credits', () => {
    const store = ledger(plan(), [
      ...owing,
      ['2s', grantCredits(8n), 'GRANT 8: issued>g2 8', '8 owes 5'],
    ]);
    store.otherPlans.set('other', { ...paying, planId: 'other' });
    store.run(at('3s'), move('other'));
    expect(store.account).toMatchObject({ owed: 5n, remaining: 8n });
    store.run(at('4s'), grantCredits(4n));
    expect(store.account).toMatchObject({ owed: 1n, remaining: 8n });
  });
});

describe('a refund of what was owed', () => {
  test('cancels what is still owed first, then gives back to grants', () => {
    const store = ledger(plan(), [
      ...owing,
      ['2s', refund(4n, 3n), 'REFUND 3: consumed>owed 3', '0 owes 2'],
      ['3s', refund(4n, 4n), 'REFUND 4: consumed>g1 2, consumed>owed 2', '2'],
    ]);
    expect(store.account.owed).toBe(0n);
    expect(eventsOf(store).slice(1)).toEqual([
      'owed.cancelled 3, owes 2',
      'owed.cancelled 2, owes 0',
    ]);
  });

  test('grants again what others have paid since', () => {
    const store = ledger(paying, [
      ...owing,
      ['2s', grantCredits(3n), 'GRANT 3: issued>g2 3 | PAY_OWED 3: g2>owed 3', '0 owes 2'],
      [
        '3s',
        refund(4n),
        'REFUND 15: consumed>g1 10, consumed>owed 2, consumed>issued 3 | GRANT 3: issued>g3 3',
        '13',
      ],
    ]);
    expect(store.account.owed).toBe(0n);
    expect(store.grants.get(3n)).toMatchObject({
      category: 'ADJUSTMENT',
      source: 'REFUND',
      sourceReference: '0',
      expiresAt: null,
      operations: [],
    });
  });
});

describe('used credits of a purchase whose money was taken back', () => {
  /** A pack of 100 that was paid, of which 70 are spent. */
  const spent = (terms = plan({}, PACKS)) => {
    const store = new AccountStore(terms, at('0s'));
    store.run(at('0s'), open());
    store.run(at('0s'), checkout('large'));
    store.run(at('1s'), syncPurchase('p1', 0, paid()));
    store.run(at('2s'), charge(70n));
    return store;
  };
  const moves = (store: AccountStore) =>
    store.entries
      .at(-2)!
      .moves.map(({ from, to, grantId, credits }) => `${from}>${to} g${grantId} ${credits}`);

  test('are owed while a dispute is open and after it is lost', () => {
    const store = spent();
    store.run(at('3s'), syncPurchase('p1', 1, paid(0n, 'OPEN')));
    expect(store.entries.at(-2)).toMatchObject({
      kind: 'CLAW_BACK',
      credits: 100n,
      owedAfter: 70n,
    });
    expect(moves(store)).toEqual(['available>issued g1 30', 'owed>issued g0 70']);
    expect(store.purchases[0]).toMatchObject({
      creditsClawedBack: 30n,
      creditsUnrecovered: 70n,
      creditsOwed: 70n,
    });
    store.run(at('4s'), syncPurchase('p1', 2, paid(0n, 'LOST')));
    expect(store.account).toMatchObject({ owed: 70n, remaining: 0n });
  });

  test('are owed no longer when the dispute is won', () => {
    const store = spent();
    store.run(at('3s'), syncPurchase('p1', 1, paid(0n, 'OPEN')));
    store.run(at('4s'), syncPurchase('p1', 2, paid(0n, 'WON')));
    expect(moves(store)).toEqual(['issued>owed g0 70', 'issued>available g1 30']);
    expect(store.account).toMatchObject({ owed: 0n, remaining: 30n });
    expect(store.purchases[0]).toMatchObject({ creditsUnrecovered: 0n, creditsOwed: 0n });
  });

  test('come back as a new grant where others have paid and the dispute is won', () => {
    const store = spent(paying);
    store.run(at('3s'), syncPurchase('p1', 1, paid(0n, 'OPEN')));
    store.run(at('4s'), grantCredits(60n));
    expect(store.account).toMatchObject({ owed: 10n, remaining: 0n });
    store.run(at('5s'), syncPurchase('p1', 2, paid(0n, 'WON')));
    expect(store.account).toMatchObject({ owed: 0n, remaining: 90n });
    expect(store.grants.get(3n)).toMatchObject({
      amount: 60n,
      source: 'REFUND',
      sourceReference: '0',
    });
  });

  test('are owed by the share of a refund that unspent ones do not cover', () => {
    const store = spent();
    store.run(at('3s'), syncPurchase('p1', 1, paid(500n)));
    expect(moves(store)).toEqual(['available>issued g1 30', 'owed>issued g0 20']);
    store.run(at('4s'), syncPurchase('p1', 2, paid(1_000n)));
    expect(moves(store)).toEqual(['owed>issued g0 50']);
    expect(store.account.owed).toBe(70n);
  });

  test('do not include what was voided', () => {
    const store = spent();
    store.run(at('3s'), voidGrant(1n, 20n));
    store.run(at('4s'), syncPurchase('p1', 1, paid(0n, 'LOST')));
    expect(store.purchases[0]).toMatchObject({
      creditsClawedBack: 10n,
      creditsUnrecovered: 90n,
      creditsOwed: 70n,
    });
  });

  test('are owed as far as an account can owe, and the rest is unrecovered alone', () => {
    const third = 3_000_000_000_000_000_000n;
    const store = new AccountStore(plan({}, [pack('huge', third, '10.00')]), at('0s'));
    const ids = ['p1', 'p2', 'p3', 'p4'];
    store.run(at('0s'), open());
    for (const id of ids) {
      store.run(at('0s'), checkout('huge'));
      store.run(at('1s'), syncPurchase(id, 0, paid()));
      store.run(at('1s'), charge(third));
    }
    for (const id of ids) store.run(at('2s'), syncPurchase(id, 1, paid(0n, 'OPEN')));
    expect(store.account.owed).toBe(3n * third);
    expect(store.purchases[3]).toMatchObject({ creditsUnrecovered: third, creditsOwed: 0n });
    for (const id of ids) store.run(at('3s'), syncPurchase(id, 2, paid(0n, 'WON')));
    expect(store.account.owed).toBe(0n);
    for (const { creditsOwed } of store.purchases) expect(creditsOwed).toBe(0n);
  });

  test('do not include those of a grant that has expired', () => {
    const store = new AccountStore(plan({}, PACKS), at('0s'));
    store.run(at('0s'), open());
    store.run(at('0s'), checkout('brief'));
    store.run(at('1s'), syncPurchase('p1', 0, paid()));
    store.run(at('2s'), charge(30n));
    store.run(at('3d'), syncPurchase('p1', 1, paid(0n, 'LOST')));
    expect(store.account.owed).toBe(0n);
    expect(store.purchases[0]).toMatchObject({ creditsUnrecovered: 40n, creditsOwed: 0n });
  });
});

describe('whatever an account is given', () => {
  const credits = fc.bigInt(1n, 50n);
  const given = fc.array(fc.record({ credits, limited: fc.boolean() }), { maxLength: 12 });

  test('with pay_owed, what is owed is paid first, by the entry after the one that brought the credits', () => {
    fc.assert(
      fc.property(fc.bigInt(1n, 200n), given, (debt, grants) => {
        const store = new AccountStore(paying, at('0s'));
        store.run(at('0s'), open());
        store.run(at('0s'), reserve(0n, TAKE));
        store.run(at('0s'), commit('r1', debt));
        let [owed, left] = [debt, 0n];
        for (const one of grants) {
          const before = store.entries.length;
          const operations = one.limited ? ['a'] : [];
          store.run(at('1s'), grantCredits(one.credits, { operations }));
          const pays = one.limited ? 0n : min(one.credits, owed);
          owed -= pays;
          left += one.credits - pays;
          const kinds = store.entries
            .slice(before)
            .map((entry) => `${entry.kind} ${entry.credits}`);
          expect(kinds).toEqual([
            `GRANT ${one.credits}`,
            ...(pays > 0n ? [`PAY_OWED ${pays}`] : []),
          ]);
          expect(store.account).toMatchObject({ owed, remaining: left });
        }
        audit(store);
      }),
    );
  });

  test('a refund and a grant end the same in either order', () => {
    fc.assert(
      fc.property(credits, credits, fc.bigInt(0n, 30n), (debt, granted, held) => {
        const [grant, back] = [grantCredits(granted), refund(4n)];
        const totals = [
          [grant, back],
          [back, grant],
        ].map((commands) => {
          const store = new AccountStore(paying, at('0s'));
          store.run(at('0s'), open());
          store.run(at('0s'), grantCredits(held + 1n));
          store.run(at('0s'), reserve(0n, TAKE));
          store.run(at('0s'), commit('r1', held + 1n + debt));
          for (const command of commands) store.run(at('1s'), command);
          audit(store);
          return { owed: store.account.owed, remaining: store.account.remaining };
        });
        expect(totals[0]).toEqual(totals[1]);
        expect(totals[0]).toEqual({ owed: 0n, remaining: held + 1n + granted });
      }),
    );
  });
});
