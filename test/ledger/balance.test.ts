import { describe, expect, test } from 'vitest';
import type { Account } from '../../src/ledger/account.ts';
import { balanceOf, nextExpiry } from '../../src/ledger/balance.ts';
import type { Grant } from '../../src/ledger/grant.ts';
import { account, at, grant, plan, postpaid, START } from './fixtures.ts';

const PLAN = plan({ lowBalanceLevels: [{ credits: 50n }] });
const balance = (change: Partial<Account>, grants: readonly Grant[] = []) =>
  balanceOf(account(change), grants, PLAN, START);

describe('a balance', () => {
  test('has remaining, reserved and available credits', () => {
    expect(balance({ remaining: 100n, reserved: 30n, seq: 7n })).toEqual({
      remaining: 100n,
      reserved: 30n,
      available: 70n,
      overage: 0n,
      overageLimit: 0n,
      owed: 0n,
      lowBalance: false,
      levels: [{ level: { credits: 50n }, threshold: 50n, low: false }],
      usable: 100n,
      limited: [],
      pauseFloor: 0n,
      nextAllowance: null,
      seq: 7n,
      asOf: START,
    });
  });

  test('counts reserved overage as reserved, so available can be negative', () => {
    const used = { remaining: 10n, reserved: 10n, overage: 5n, overageReserved: 20n };
    const postpaidAccount = account({ ...used, overageLimit: 90n });
    expect(balanceOf(postpaidAccount, [], plan(postpaid(90n)), START)).toMatchObject({
      remaining: 10n,
      reserved: 30n,
      available: -20n,
      overage: 5n,
      overageLimit: 90n,
    });
  });

  test.each([
    [51n, false],
    [50n, false],
    [49n, true],
    [0n, true],
  ])(
    'with %s unspent, whatever is held, and a threshold of 50 is low: %s',
    (remaining, lowBalance) => {
      expect(balance({ remaining, reserved: remaining })).toMatchObject({ lowBalance });
    },
  );
});

describe('the next expiry', () => {
  const inOneDay = { expiresAt: at('1d') };
  test.each<[string, readonly Grant[], unknown]>([
    ['is null if nothing expires', [grant(1n)], null],
    ['is null without grants', [], null],
    [
      'is the soonest',
      [grant(1n, { expiresAt: at('2d') }), grant(2n, { ...inOneDay, amount: 7n }), grant(3n)],
      { ...inOneDay, credits: 7n },
    ],
    [
      'adds up credits that expire at the same moment',
      [
        grant(1n, { ...inOneDay, amount: 7n }),
        grant(2n, { ...inOneDay, amount: 8n }),
        grant(3n, { expiresAt: at('2d'), amount: 9n }),
        grant(4n, { ...inOneDay, amount: 10n }),
      ],
      { ...inOneDay, credits: 25n },
    ],
    [
      'includes reserved credits, which expire unless they are spent',
      [grant(1n, { ...inOneDay, amount: 7n, reserved: 7n })],
      { ...inOneDay, credits: 7n },
    ],
    [
      'ignores spent, scheduled and expired grants',
      [
        grant(1n, { ...inOneDay, remaining: 0n }),
        grant(2n, { ...inOneDay, state: 'SCHEDULED', remaining: 0n }),
        grant(3n, { expiresAt: START, reserved: 100n }),
        grant(4n, { expiresAt: at('3d'), amount: 4n }),
      ],
      { expiresAt: at('3d'), credits: 4n },
    ],
  ])('%s', (_, grants, next) => {
    expect(nextExpiry(grants, START)).toEqual(next);
  });
});
