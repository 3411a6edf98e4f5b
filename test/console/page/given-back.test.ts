/** The preview of refunds and releases: what of the credits that come back can be spent again. */
import { expect, test } from 'vitest';
import { givenBack } from '../../../clients/console/src/actions/given-back.ts';
import { OVERAGE, OWED } from '../../../clients/console/src/parts/entry.ts';

const NOW = Date.parse('2026-11-30T12:00:00Z');
const NOTHING = {
  general: 0n,
  limited: 0n,
  overage: 0n,
  owed: 0n,
  expired: 0n,
  voided: 0n,
  grantedAgain: 0n,
};
const share = (source: string, credits: bigint) => ({ source, credits });
const OPEN = { grantId: '1', state: 'STATE_OPEN' } as const;
const LIMITED = { grantId: '2', state: 'STATE_OPEN', operations: ['image.upscale'] } as const;
const EXPIRED = {
  grantId: '3',
  state: 'STATE_EXPIRED',
  expiresAt: '2026-11-01T00:00:00Z',
} as const;
const LIMITED_EXPIRED = { ...EXPIRED, grantId: '4', operations: LIMITED.operations } as const;
const GRANTS = [OPEN, LIMITED, EXPIRED, LIMITED_EXPIRED];
const SHARES = [share('1', 1n), share('2', 10n), share('3', 100n), share('4', 1_000n)];

test('of an expired grant nothing can be spent again, and of a limited one only by its operations', () => {
  expect(
    givenBack([...SHARES, share(OVERAGE, 5n), share(OWED, 7n)], {
      grants: GRANTS,
      now: NOW,
      grantsAgain: false,
    }),
  ).toEqual({
    ...NOTHING,
    general: 1n,
    limited: 10n,
    expired: 1_100n,
    overage: 5n,
    owed: 7n,
  });
});

test('a plan can grant expired credits again, for the same operations', () => {
  expect(givenBack(SHARES, { grants: GRANTS, now: NOW, grantsAgain: true })).toEqual({
    ...NOTHING,
    general: 101n,
    limited: 1_010n,
    grantedAgain: 1_100n,
  });
});

test('what was voided ahead is voided first, also of an expired grant', () => {
  const voiding = [OPEN, EXPIRED].map((grant) => ({ ...grant, voidOnReturn: '30' }));
  const shares = [share('1', 20n), share('3', 100n)];
  expect(givenBack(shares, { grants: voiding, now: NOW, grantsAgain: true })).toEqual({
    ...NOTHING,
    general: 70n,
    voided: 50n,
    grantedAgain: 70n,
  });
});

test('a grant that was used up before it expired has expired, too', () => {
  const spent = { grantId: '1', state: 'STATE_SPENT', expiresAt: '2026-11-30T12:00:00Z' } as const;
  const backAt = (now: number) =>
    givenBack([share('1', 5n)], { grants: [spent], now, grantsAgain: false });
  expect(backAt(NOW - 1)).toEqual({ ...NOTHING, general: 5n });
  expect(backAt(NOW)).toEqual({ ...NOTHING, expired: 5n });
});

test('an allowance that was not carried into the next period has no expiry, and takes refunds', () => {
  const ended = { grantId: '1', state: 'STATE_EXPIRED' } as const;
  const circumstances = { grants: [ended], now: NOW, grantsAgain: false };
  expect(givenBack([share('1', 5n)], circumstances)).toEqual({ ...NOTHING, general: 5n });
});
