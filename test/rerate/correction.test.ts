/** What a charge should have cost, and what corrects it. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Failure } from '../../src/failure.ts';
import { type PricedUsage, priceUsage } from '../../src/pricing/price.ts';
import {
  correctionId,
  correctionOf,
  type EarlierCorrections,
  NO_CORRECTIONS,
  parseCorrectionId,
  type RecordedCharge,
} from '../../src/rerate/correction.ts';
import { pages, rateCard } from '../ledger/fixtures.ts';

/** A usage of pages, priced by version 1 at so many credits a page. */
function priced(count: bigint, each: bigint): PricedUsage {
  const [usage] = pages(count).usages;
  const line = usage && priceUsage(rateCard(1, each), usage, '');
  if (!line || line instanceof Failure) throw new Error('it has no price');
  return line;
}

const charge = (
  credits: bigint,
  usages: readonly PricedUsage[],
  refunded = 0n,
): RecordedCharge => ({
  ...{
    accountId: 'a',
    seq: 17n,
    at: 0,
    requestId: 'r',
    reservationId: '',
    planId: 'p',
    labels: {},
  },
  ...{ rateCardVersion: 1, credits, refunded, usages },
});

const earlier = (changes: Partial<EarlierCorrections>): EarlierCorrections => ({
  ...NO_CORRECTIONS,
  versions: new Set([3]),
  ...changes,
});

/** The right price is two credits a page. */
const RIGHT = rateCard(2, 2n);
const FOUR_AT_3 = [priced(4n, 3n)];
const FOUR_AT_1 = [priced(4n, 1n)];
const FREE = [{ ...priced(4n, 1n), unitCredits: 0n, credits: 0n }];
const GONE = [{ ...priced(4n, 1n), usage: { ...priced(4n, 1n).usage, operation: 'page.removed' } }];

test.each([
  ['too much is refunded', charge(12n, FOUR_AT_3), NO_CORRECTIONS, 'refund 12 8'],
  ['too little is charged', charge(4n, FOUR_AT_1), NO_CORRECTIONS, 'charge 4 8'],
  ['what was free is charged', charge(0n, FREE), NO_CORRECTIONS, 'charge 0 8'],
  ['what is right stays', charge(8n, [priced(4n, 2n)]), NO_CORRECTIONS, 'right 8 8'],
  ['credits without usages stay', charge(9n, []), NO_CORRECTIONS, 'right 9 9'],
  ['half of it costs half', charge(6n, FOUR_AT_3), NO_CORRECTIONS, 'refund 6 4'],
  ['refunded by half costs half', charge(12n, FOUR_AT_3, 6n), NO_CORRECTIONS, 'refund 6 4'],
  ['refunded in full owes nothing', charge(4n, FOUR_AT_1, 4n), NO_CORRECTIONS, 'right 0 0'],
  ['what has no price is by hand', charge(4n, GONE), NO_CORRECTIONS, 'by hand 4 4'],
  [
    'a correction is made once',
    charge(12n, FOUR_AT_3, 4n),
    earlier({ refunded: 4n, versions: new Set([2]) }),
    'done 12 8',
  ],
  [
    'once, also where the rest was refunded later',
    charge(12n, FOUR_AT_3, 12n),
    earlier({ refunded: 4n, versions: new Set([2]) }),
    'done 4 0',
  ],
  [
    'an earlier refund of another version counts',
    charge(12n, FOUR_AT_3, 8n),
    earlier({ refunded: 8n }),
    'charge 4 8',
  ],
  [
    'an earlier additional charge counts',
    charge(12n, FOUR_AT_3),
    earlier({ charged: 3n }),
    'refund 15 8',
  ],
  [
    'more than is left to refund is by hand',
    charge(0n, FREE),
    earlier({ charged: 12n }),
    'by hand 12 8',
  ],
  [
    'rerated and refunded by others is by hand',
    charge(12n, FOUR_AT_3, 10n),
    earlier({ refunded: 8n }),
    'by hand 2 2',
  ],
])('%s', (_, recorded, made, expected) => {
  const { state, charged, shouldCost } = correctionOf(recorded, made, RIGHT, '');
  expect(`${state} ${charged} ${shouldCost}`).toBe(expected);
});

test('only the prices of the operation are corrected', () => {
  const usages = [...FOUR_AT_3, ...GONE];
  const { state, shouldCost } = correctionOf(
    charge(16n, usages),
    NO_CORRECTIONS,
    RIGHT,
    'page.extract',
  );
  expect([state, shouldCost]).toEqual(['refund', 12n]);
});

test('a correction leaves nothing to correct, and gives back no more than there is', () => {
  const small = fc.bigInt({ min: 0n, max: 40n });
  fc.assert(
    fc.property(small, small, fc.bigInt({ min: 1n, max: 9n }), small, (count, part, each, back) => {
      const usages = [priced(count + 1n, each)];
      const full = (count + 1n) * each;
      const credits = part < full ? full - part : full;
      const refunded = back < credits ? back : 0n;
      const recorded = charge(credits, usages, refunded);
      const { state, charged, shouldCost } = correctionOf(recorded, NO_CORRECTIONS, RIGHT, '');
      expect(charged).toBe(credits - refunded);
      expect(shouldCost).toBeGreaterThanOrEqual(0n);
      if (state === 'right') return;
      const isRefund = state === 'refund';
      const after = { ...recorded, refunded: refunded + (isRefund ? charged - shouldCost : 0n) };
      expect(after.refunded).toBeLessThanOrEqual(credits);
      const made = {
        ...NO_CORRECTIONS,
        refunded: isRefund ? charged - shouldCost : 0n,
        charged: isRefund ? 0n : shouldCost - charged,
        versions: new Set([2]),
      };
      expect(correctionOf(after, made, RIGHT, '')).toEqual({
        state: 'done',
        charged,
        shouldCost,
        why: '',
      });
    }),
  );
});

test('request ids of corrections are read as they were made', () => {
  const id = correctionId({ ...charge(1n, []), planId: 'a:1-b' }, 12);
  expect(id).toBe('scrip-rerate-of:17:a:1-b:12');
  expect(parseCorrectionId(id)).toEqual({ seq: 17n, version: 12 });
  expect(parseCorrectionId('scrip-rerate-of:x')).toBeNull();
});
